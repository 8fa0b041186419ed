//! Properties that a refactoring of the template must not lose.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::telemetry::{Metrics, Unit};

use super::document::{Template, project_root, target};

#[test]
fn data_is_encrypted_recoverable_and_kept() {
    let template = Template::read();
    let table = &template.resource("Table").properties;
    assert_eq!(
        table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"],
        true
    );
    assert_eq!(
        table["SSESpecification"],
        json!({ "SSEEnabled": true, "SSEType": "KMS" })
    );
    assert_eq!(
        table["DeletionProtectionEnabled"],
        json!({ "Fn::If": ["IsProd", true, false] })
    );
    assert_eq!(
        table["TimeToLiveSpecification"],
        json!({ "AttributeName": "ttl", "Enabled": true })
    );
    assert_eq!(table["BillingMode"], "PAY_PER_REQUEST");

    let uploads = &template.resource("Uploads").properties;
    assert_eq!(uploads["VersioningConfiguration"]["Status"], "Enabled");
    let encryption = &uploads["BucketEncryption"]["ServerSideEncryptionConfiguration"][0];
    assert_eq!(
        encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"],
        "aws:kms"
    );
    assert_eq!(
        target(&encryption["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]),
        Some("CopiesKey")
    );

    for name in ["Table", "Uploads", "CopiesKey"] {
        let resource = &template.resource(name).whole;
        assert_eq!(resource["DeletionPolicy"], "RetainExceptOnCreate", "{name}");
        assert_eq!(resource["UpdateReplacePolicy"], "Retain", "{name}");
    }
    for (name, queue) in template.of_type("AWS::SQS::Queue") {
        assert_eq!(queue.properties["SqsManagedSseEnabled"], true, "{name}");
    }
}

#[test]
fn the_table_has_one_sparse_index_of_keys() {
    let template = Template::read();
    let table = &template.resource("Table").properties;
    assert_eq!(table["KeySchema"], key_schema("pk", "sk"));
    let indexes = table["GlobalSecondaryIndexes"].as_array().unwrap();
    assert_eq!(indexes.len(), 1);
    assert_eq!(indexes[0]["IndexName"], "pending");
    assert_eq!(indexes[0]["KeySchema"], key_schema("pending_pk", "pending_sk"));
    assert_eq!(indexes[0]["Projection"]["ProjectionType"], "KEYS_ONLY");
}

#[test]
fn no_bucket_is_public_and_each_refuses_plain_http() {
    let template = Template::read();
    for (name, bucket) in template.of_type("AWS::S3::Bucket") {
        let block = bucket.properties["PublicAccessBlockConfiguration"]
            .as_object()
            .unwrap();
        assert_eq!(block.len(), 4, "{name}");
        assert!(block.values().all(|on| *on == true), "{name}");
        let tls_only = template.of_type("AWS::S3::BucketPolicy").any(|(_, policy)| {
            target(&policy.properties["Bucket"]) == Some(name)
                && policy.properties["PolicyDocument"]["Statement"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|statement| {
                        statement["Effect"] == "Deny"
                            && statement["Condition"] == json!({ "Bool": { "aws:SecureTransport": "false" } })
                    })
        });
        assert!(tls_only, "{name} has no policy that refuses plain HTTP");
    }
}

#[test]
fn what_nobody_needs_any_more_expires() {
    let template = Template::read();
    let rules = template.resource("Uploads").properties["LifecycleConfiguration"]["Rules"]
        .as_array()
        .unwrap();
    let rule = |id: &str| {
        rules
            .iter()
            .find(|rule| rule["Id"] == id)
            .unwrap_or_else(|| panic!("no rule {id}"))
    };
    assert!(rules.iter().all(|rule| rule["Status"] == "Enabled"));
    assert_eq!(rule("paid-replies-outlive-every-retry")["Prefix"], "replies/");
    assert_eq!(rule("paid-replies-outlive-every-retry")["ExpirationInDays"], 30);
    assert!(rule("old-versions")["NoncurrentVersionExpiration"]["NoncurrentDays"].is_u64());
    assert!(rule("broken-multiparts")["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"].is_u64());
}

#[test]
fn work_is_given_out_one_copy_at_a_time_and_is_never_lost_silently() {
    let template = Template::read();
    let queue = &template.resource("WorkQueue").properties;
    let visibility = queue["VisibilityTimeout"].as_u64().unwrap();
    let longest = template.resource("Worker").properties["Timeout"]
        .as_u64()
        .unwrap();
    assert!(
        visibility >= 6 * longest,
        "Lambda asks for six times the function's timeout"
    );
    let lease = template.at("/Parameters/LeaseSeconds/MinValue").as_u64().unwrap();
    assert!(
        lease > longest,
        "a lease shorter than the worker's timeout lets two workers pay for one copy"
    );
    assert_eq!(
        target(&queue["RedrivePolicy"]["deadLetterTargetArn"]),
        Some("DeadLetters")
    );
    let dead = template.resource("DeadLetters").properties["MessageRetentionPeriod"]
        .as_u64()
        .unwrap();
    assert!(
        dead > queue["MessageRetentionPeriod"].as_u64().unwrap(),
        "age counts from the first send"
    );

    let source = &template.resource("WorkerSource").properties;
    assert_eq!(source["BatchSize"], 1);
    assert_eq!(
        source["FunctionResponseTypes"],
        json!(["ReportBatchItemFailures"])
    );
    assert_eq!(
        source["ScalingConfig"],
        json!({ "Fn::If": [
            "OnAws",
            { "MaximumConcurrency": { "Ref": "WorkerConcurrency" } },
            { "Ref": "AWS::NoValue" },
        ] })
    );

    let sweeper = &template.resource("Sweeper").properties;
    assert_eq!(sweeper["ReservedConcurrentExecutions"], 1);
    assert_eq!(
        sweeper["Events"]["EveryMinute"]["Properties"]["Schedule"],
        "rate(1 minute)"
    );
}

#[test]
fn a_customers_events_are_handled_in_order_and_never_lost_silently() {
    let template = Template::read();
    let queue = &template.resource("BillingQueue").properties;
    let dead = &template.resource("BillingDeadLetters").properties;
    assert_eq!(
        (&queue["FifoQueue"], &dead["FifoQueue"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(queue["DeduplicationScope"], "messageGroup");
    assert_eq!(
        target(&queue["RedrivePolicy"]["deadLetterTargetArn"]),
        Some("BillingDeadLetters")
    );
    let seconds = |of: &Value, name: &str| of[name].as_u64().unwrap();
    let billing = &template.resource("Billing").properties;
    assert!(seconds(queue, "VisibilityTimeout") >= 6 * seconds(billing, "Timeout"));
    assert!(seconds(dead, "MessageRetentionPeriod") > seconds(queue, "MessageRetentionPeriod"));
    let source = &template.resource("BillingSource").properties;
    assert_eq!(
        source["FunctionResponseTypes"],
        json!(["ReportBatchItemFailures"])
    );
    // A door that anybody may knock at is bounded.
    let webhook = &template.resource("Webhook").properties;
    assert!(webhook["ReservedConcurrentExecutions"].is_u64());
}

#[test]
fn every_function_and_queue_has_its_alarms_and_every_alarm_an_action() {
    let template = Template::read();
    let listened: BTreeSet<(String, String)> = template
        .of_type("AWS::CloudWatch::Alarm")
        .map(|(name, alarm)| {
            let alarm = &alarm.properties;
            assert!(alarm["AlarmActions"]["Fn::If"].is_array(), "{name} tells nobody");
            // A metric without data is calm, except where silence is the trouble.
            let silence_is_trouble = alarm["ComparisonOperator"] == "LessThanThreshold";
            let missing = if silence_is_trouble {
                "breaching"
            } else {
                "notBreaching"
            };
            assert_eq!(alarm["TreatMissingData"], missing, "{name}");
            let on = &alarm["Dimensions"][0]["Value"];
            let on = target(on).or(on.as_str()).unwrap();
            (on.to_owned(), alarm["MetricName"].as_str().unwrap().to_owned())
        })
        .collect();
    let mut expected = vec![
        ("DeadLetters", "ApproximateNumberOfMessagesVisible"),
        ("WorkQueue", "ApproximateAgeOfOldestMessage"),
        ("Api", "5xx"),
        ("BillingDeadLetters", "ApproximateNumberOfMessagesVisible"),
        ("BillingQueue", "ApproximateAgeOfOldestMessage"),
        ("sweeper", "LedgerDrift"),
        ("sweeper", "LettersLost"),
        ("sweeper", "LettersLate"),
        ("worker", "WasteTokens"),
        ("billing", "BillingAlerts"),
        ("billing", "BillingDrift"),
        ("billing", "PortalDrift"),
        ("billing", "UnknownCustomer"),
        ("webhook", "WebhookMisdirected"),
        ("webhook", "WebhookUnparsed"),
        ("webhook", "WebhookRejected"),
        ("webhook", "WebhookFailed"),
        ("Sweeper", "Invocations"),
    ];
    for (name, _) in template.of_type("AWS::Serverless::Function") {
        expected.extend([(name, "Errors"), (name, "Throttles")]);
    }
    let expected = expected
        .into_iter()
        .map(|(on, metric)| (on.to_owned(), metric.to_owned()))
        .collect();
    assert_eq!(listened, expected);
}

#[test]
fn a_sweeper_that_is_not_called_raises_an_alarm_within_minutes() {
    let template = Template::read();
    let alarm = &template.resource("SweeperStopped").properties;
    assert_eq!(target(&alarm["Dimensions"][0]["Value"]), Some("Sweeper"));
    assert_eq!(
        (&alarm["ComparisonOperator"], &alarm["Threshold"]),
        (&json!("LessThanThreshold"), &json!(1))
    );
    let silence = alarm["Period"].as_u64().unwrap() * alarm["EvaluationPeriods"].as_u64().unwrap();
    assert!((120..=600).contains(&silence), "{silence} s");
}

#[test]
fn alarms_on_our_own_metrics_listen_to_lines_that_the_code_writes() {
    let line: Value =
        serde_json::from_str(&Metrics::of("sweeper").value("x", Unit::Count, 1).line(0)).unwrap();
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Dimensions"], json!([["function", "stage"]]));
    let template = Template::read();
    let alarms = template.of_type("AWS::CloudWatch::Alarm");
    let ours: Vec<&Value> = alarms
        .map(|(_, alarm)| &alarm.properties)
        .filter(|alarm| !alarm["Namespace"].as_str().unwrap().starts_with("AWS/"))
        .collect();
    assert!(!ours.is_empty());
    for alarm in ours {
        assert_eq!(alarm["Namespace"], directive["Namespace"], "{alarm}");
        let dimensions = alarm["Dimensions"].as_array().unwrap();
        let names: Vec<&Value> = dimensions.iter().map(|dimension| &dimension["Name"]).collect();
        assert_eq!(names, ["function", "stage"], "{alarm}");
        assert_eq!(target(&dimensions[1]["Value"]), Some("Stage"), "{alarm}");
        let function = dimensions[0]["Value"].as_str().unwrap();
        let written = format!("{}", alarm["MetricName"]);
        let sources = project_root().join("functions").join(function).join("src");
        let found = std::fs::read_dir(sources).unwrap().any(|entry| {
            std::fs::read_to_string(entry.unwrap().path())
                .unwrap()
                .contains(&written)
        });
        assert!(found, "functions/{function} writes no {written}");
    }
}

#[test]
fn every_function_runs_on_either_architecture_and_logs_json_that_expires() {
    let template = Template::read();
    assert_eq!(template.at("/Globals/Function/Runtime"), "provided.al2023");
    assert_eq!(
        template.at("/Globals/Function/Architectures"),
        &json!([{ "Ref": "Architecture" }])
    );
    assert_eq!(template.at("/Parameters/Architecture/Default"), "arm64");
    for (name, function) in template.of_type("AWS::Serverless::Function") {
        let logging = &function.properties["LoggingConfig"];
        assert_eq!(logging["LogFormat"], "JSON", "{name}");
        let group = template.resource(target(&logging["LogGroup"]).unwrap());
        assert_eq!(group.kind, "AWS::Logs::LogGroup", "{name}");
    }
    for (name, group) in template.of_type("AWS::Logs::LogGroup") {
        assert_eq!(
            target(&group.properties["RetentionInDays"]),
            Some("LogRetentionDays"),
            "{name}"
        );
    }
}

#[test]
fn the_whole_stage_is_throttled() {
    let template = Template::read();
    let settings = &template.resource("ApiStage").properties["DefaultRouteSettings"];
    assert_eq!(target(&settings["ThrottlingRateLimit"]), Some("ApiRateLimit"));
    assert_eq!(target(&settings["ThrottlingBurstLimit"]), Some("ApiBurstLimit"));
}

#[test]
fn what_the_emulator_does_not_get_is_listed_with_its_reason() {
    let template = Template::read();
    let listed: BTreeSet<&str> = template
        .at("/Metadata/NotCreatedLocally")
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let conditional: BTreeSet<&str> = template
        .resources()
        .filter(|(_, resource)| resource.condition.is_some())
        .map(|(name, _)| name)
        .collect();
    assert_eq!(listed, conditional);
}

fn key_schema(hash: &str, range: &str) -> Value {
    json!([
        { "AttributeName": hash, "KeyType": "HASH" },
        { "AttributeName": range, "KeyType": "RANGE" },
    ])
}
