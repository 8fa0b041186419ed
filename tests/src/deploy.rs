//! `sam deploy` creates on the emulator what `template.yaml` declares, and what it does not create is listed in the
//! template with its reason.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use local::emulator::{ACCESS_KEY_ID, Ministack, REGION, SECRET_ACCESS_KEY, project_root};
use serde_json::Value;

use crate::template::document::Template;

const STACK: &str = "corrigeuse-test";
/// It takes ten seconds on an idle machine. Unit: seconds.
const DEPLOY_SECONDS_MAX: &str = "240";
/// SAM tells reasons in a narrow column.
const REASON_LINES: usize = 10;
/// A page lists a hundred resources.
const PAGES_MAX: usize = 10;
/// What SAM makes of `Events` and `EventInvokeConfig`.
const MADE_BY_SAM: [&str; 5] = [
    "BillingEveryNight",
    "BillingEveryNightPermission",
    "SweeperEveryMinute",
    "SweeperEveryMinutePermission",
    "SweeperEventInvokeConfig",
];
/// A zip archive with nothing in it: nobody calls these functions.
const EMPTY_ZIP: [u8; 22] = *b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_template_deploys_to_the_emulator_with_every_route() {
    let sam = project_root().join(".venv/sam/bin/sam");
    if !sam.exists() {
        assert!(
            std::env::var_os("CI").is_none(),
            "SAM CLI is not installed: run scripts/setup test"
        );
        eprintln!("skipped: SAM CLI is not installed; scripts/setup test installs it");
        return;
    }
    let ministack = Ministack::ephemeral().await.unwrap();
    let endpoint = ministack.endpoint().to_owned();
    let folder = stubbed_copy_of_the_template();
    let deployed = tokio::task::spawn_blocking({
        let (endpoint, folder) = (endpoint.clone(), folder.clone());
        move || deploy(&sam, &folder, &endpoint)
    });
    let failure = deployed.await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(failure, None);

    let template = Template::read();
    let mut declared: BTreeSet<String> = template
        .resources()
        .map(|(name, _)| name.to_owned())
        .chain(MADE_BY_SAM.map(str::to_owned))
        .collect();
    for left_out in template
        .at("/Metadata/NotCreatedLocally")
        .as_object()
        .unwrap()
        .keys()
    {
        declared.remove(left_out);
    }
    assert_eq!(created(&endpoint).await, declared);

    let keys: BTreeSet<String> = template
        .of_type("AWS::ApiGatewayV2::Route")
        .map(|(_, route)| route.properties["RouteKey"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(routes(&endpoint).await, keys);
    assert_eq!(
        delivers(&endpoint).await,
        [true, true],
        "two queues, whose messages reach the worker and the billing function"
    );
    ministack.stop().await.unwrap();
}

/// A folder with the template and, where it looks for them, packages of functions.
fn stubbed_copy_of_the_template() -> PathBuf {
    let folder = project_root()
        .join(".local/tests")
        .join(format!("deploy-{}", std::process::id()));
    for function in Template::read().functions().into_keys() {
        let package = folder.join("target/lambda").join(function);
        std::fs::create_dir_all(&package).unwrap();
        std::fs::write(package.join("bootstrap.zip"), EMPTY_ZIP).unwrap();
    }
    std::fs::copy(project_root().join("template.yaml"), folder.join("template.yaml")).unwrap();
    folder
}

/// What went wrong, if anything did.
fn deploy(sam: &Path, folder: &Path, endpoint: &str) -> Option<String> {
    let output = Command::new("timeout")
        .arg(DEPLOY_SECONDS_MAX)
        .arg(sam)
        .args([
            "deploy",
            "--stack-name",
            STACK,
            "--region",
            REGION,
            "--resolve-s3",
            "--no-confirm-changeset",
        ])
        .args([
            "--capabilities",
            "CAPABILITY_IAM",
            "--parameter-overrides",
            "Stage=local",
        ])
        .args([
            "SessionKeySecret=test/session-key",
            "ModelKeySecret=test/model-key",
            "StripeKeySecret=test/stripe-key",
            "StripeSigningSecret=test/stripe-signing",
        ])
        .current_dir(folder)
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("SAM_CLI_TELEMETRY", "0")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let reason: Vec<&str> = told
        .lines()
        .skip_while(|line| !line.contains("_FAILED"))
        .take(REASON_LINES)
        .collect();
    let failed = format!(
        "{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        reason.join("\n")
    );
    (!output.status.success()).then_some(failed)
}

/// Logical names of the stack's resources.
async fn created(endpoint: &str) -> BTreeSet<String> {
    let ask = format!("{endpoint}/?Action=ListStackResources&Version=2010-05-15&StackName={STACK}");
    let value = |text: &str, tag: &str| {
        let rest = text.split_once(&format!("<{tag}>")).map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split('<').next())
            .unwrap_or_default()
            .to_owned()
    };
    let mut names = BTreeSet::new();
    let mut next = String::new();
    for _ in 0..PAGES_MAX {
        let xml = get(&format!("{ask}{next}"), "cloudformation").await;
        for summary in xml.split("<member>").skip(1) {
            let name = value(summary, "LogicalResourceId");
            assert_eq!(value(summary, "ResourceStatus"), "CREATE_COMPLETE", "{name}");
            names.insert(name);
        }
        let token = value(&xml, "NextToken");
        if token.is_empty() {
            break;
        }
        next = format!("&NextToken={token}");
    }
    names
}

/// What the API answers to: an API can stand and have no route.
async fn routes(endpoint: &str) -> BTreeSet<String> {
    let list = async |path: &str| -> Vec<Value> {
        let text = get(&format!("{endpoint}/v2/apis{path}"), "apigateway").await;
        let list: Value = serde_json::from_str(&text).unwrap();
        list["items"].as_array().unwrap().clone()
    };
    let apis = list("").await;
    assert_eq!(apis.len(), 1);
    let routes = list(&format!("/{}/routes", apis[0]["apiId"].as_str().unwrap())).await;
    routes
        .iter()
        .map(|route| route["routeKey"].as_str().unwrap().to_owned())
        .collect()
}

/// Of each event source mapping, whether the emulator can count its concurrency: it compares a string with a number
/// only when it delivers, and then never delivers.
async fn delivers(endpoint: &str) -> Vec<bool> {
    let text = get(&format!("{endpoint}/2015-03-31/event-source-mappings"), "lambda").await;
    let list: Value = serde_json::from_str(&text).unwrap();
    let mappings = list["EventSourceMappings"].as_array().unwrap().iter();
    mappings
        .map(|mapping| !mapping["ScalingConfig"]["MaximumConcurrency"].is_string())
        .collect()
}

/// The emulator wants to know the service, and checks no signature here.
async fn get(url: &str, service: &str) -> String {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, \
         Signature=0"
    );
    let answer = reqwest::Client::new()
        .get(url)
        .header("authorization", authorization)
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status} {text}");
    text
}
