//! `template.yaml` as the emulator gets it: the same resources, except that functions carry no code (the
//! emulator forwards their invocations to `cargo lambda watch`), there are no alarms, and the queue gives out as many
//! messages at a time as there are workers.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::emulator::installed;

/// Reads YAML with CloudFormation's short tags, as SAM's own translator does, and writes JSON.
const TO_JSON: &str = "import json, sys\n\
    from samtranslator.yaml_helper import yaml_parse\n\
    json.dump(yaml_parse(sys.stdin), sys.stdout)";

/// The template at `path` as JSON, nothing changed.
///
/// # Errors
/// It cannot be read, or is not YAML.
pub async fn read(path: &Path) -> anyhow::Result<Value> {
    let python = installed("run", "python", "run")?;
    let yaml = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let output = tokio::task::spawn_blocking(move || {
        std::process::Command::new(python)
            .args(["-c", TO_JSON])
            .stdin(Stdio::from(yaml))
            .output()
    })
    .await?
    .context("cannot run Python")?;
    ensure!(
        output.status.success(),
        "{} is not a template: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
            .lines()
            .last()
            .unwrap_or_default()
    );
    serde_json::from_slice(&output.stdout).context("the template does not come out as JSON")
}

/// The template for the emulator. `workers` is how many messages it hands out at a time.
///
/// # Errors
/// It has no resources.
pub(super) fn for_emulator(mut template: Value, workers: usize) -> anyhow::Result<Value> {
    let left_out = template["Metadata"]["LeftOutByTheSupervisor"].clone();
    let resources = template
        .get_mut("Resources")
        .and_then(Value::as_object_mut)
        .context("template.yaml has no Resources")?;
    let stays = |resource: &Value| {
        let kind = resource["Type"].as_str();
        kind.is_none_or(|kind| left_out.get(kind).is_none())
    };
    resources.retain(|_, resource| stays(resource));
    for resource in resources.values_mut() {
        let kind = resource.get("Type").and_then(Value::as_str).map(str::to_owned);
        let Some(properties) = resource.get_mut("Properties").and_then(Value::as_object_mut) else {
            continue;
        };
        match kind.as_deref() {
            Some("AWS::Serverless::Function") => {
                properties.remove("CodeUri");
                properties.insert(
                    "InlineCode".to_owned(),
                    json!("the code runs in cargo lambda watch"),
                );
            }
            // The template leaves it to the emulator; it is how many workers this machine has room for.
            Some("AWS::Lambda::EventSourceMapping") => {
                properties.insert(
                    "ScalingConfig".to_owned(),
                    json!({ "MaximumConcurrency": workers }),
                );
            }
            _ => {}
        }
    }
    Ok(template)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_lose_their_code_and_nobody_is_alarmed() {
        let why = json!({ "AWS::CloudWatch::Alarm": "too many bytes" });
        let template = json!({ "Metadata": { "LeftOutByTheSupervisor": why }, "Resources": {
            "Worker": { "Type": "AWS::Serverless::Function", "Properties": { "CodeUri": "x.zip", "Timeout": 300 } },
            "Source": { "Type": "AWS::Lambda::EventSourceMapping",
                        "Properties": { "BatchSize": 1, "ScalingConfig": { "Ref": "AWS::NoValue" } } },
            "Queue": { "Type": "AWS::SQS::Queue" },
            "Alarm": { "Type": "AWS::CloudWatch::Alarm" },
        }});
        let local = for_emulator(template, 4).unwrap();
        assert_eq!(local["Resources"].as_object().unwrap().len(), 3);
        let worker = &local["Resources"]["Worker"]["Properties"];
        assert_eq!((worker.get("CodeUri"), &worker["Timeout"]), (None, &json!(300)));
        assert!(worker["InlineCode"].is_string());
        let source = &local["Resources"]["Source"]["Properties"];
        assert_eq!(
            source,
            &json!({ "BatchSize": 1, "ScalingConfig": { "MaximumConcurrency": 4 } })
        );
    }

    #[test]
    fn a_file_without_resources_is_not_a_template() {
        assert!(for_emulator(json!({ "Outputs": {} }), 4).is_err());
    }
}
