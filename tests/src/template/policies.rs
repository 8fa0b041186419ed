//! What each function may do is what its code does, on the things it does it to.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::calls::calls_of;
use super::document::{Template, project_root, target};

/// SDK call of `shared/src/store` → what IAM checks for it.
const CALLS: &[(&str, &[&str])] = &[
    ("get_item", &["dynamodb:GetItem"]),
    ("batch_get_item", &["dynamodb:BatchGetItem"]),
    ("query", &["dynamodb:Query"]),
    ("put_item", &["dynamodb:PutItem"]),
    ("update_item", &["dynamodb:UpdateItem"]),
    ("delete_item", &["dynamodb:DeleteItem"]),
    // By its parts: it has no action of its own.
    ("transact_write_items", &[]),
    ("get_object", &["s3:GetObject"]),
    ("put_object", &["s3:PutObject"]),
    ("list_objects_v2", &["s3:ListBucket"]),
    ("list_object_versions", &["s3:ListBucketVersions"]),
    ("send_message_batch", &["sqs:SendMessage"]),
    ("change_message_visibility", &["sqs:ChangeMessageVisibility"]),
    ("get_secret_value", &["secretsmanager:GetSecretValue"]),
    ("send_email", &["ses:SendEmail"]),
];

/// A part of a transaction, as `Writes` names it → what IAM checks for it.
const PARTS: &[(&str, &str)] = &[
    ("writes.create", "dynamodb:PutItem"),
    ("writes.put", "dynamodb:PutItem"),
    ("writes.change", "dynamodb:UpdateItem"),
    ("writes.check", "dynamodb:ConditionCheckItem"),
];

/// What a role needs although its code calls no such thing.
const UNCALLED: &[(&str, &str)] = &[
    (
        "logs:CreateLogStream",
        "Lambda writes the function's output in its name",
    ),
    (
        "logs:PutLogEvents",
        "Lambda writes the function's output in its name",
    ),
    (
        "sqs:ReceiveMessage",
        "the event source mapping takes messages in the worker's name",
    ),
    (
        "sqs:DeleteMessage",
        "the event source mapping takes messages in the worker's name",
    ),
    (
        "sqs:GetQueueAttributes",
        "the event source mapping takes messages in the worker's name",
    ),
    ("kms:Decrypt", "S3 decrypts in the reader's name"),
    ("kms:GenerateDataKey", "S3 encrypts in the writer's name"),
];

/// (function, actions, on what), beside the table: what its code does there is read from the code. A form that
/// `assignments` signs writes in its name.
const ALLOWED: &[(&str, &[&str], &str)] = &[
    ("assignments", &["s3:PutObject"], "Uploads/copies/*"),
    ("assignments", &["kms:GenerateDataKey"], "CopiesKey"),
    (
        "assignments",
        &["secretsmanager:GetSecretValue"],
        "secret:SessionKeySecret",
    ),
    ("grade", &["s3:ListBucket"], "Uploads"),
    ("grade", &["sqs:SendMessage"], "WorkQueue"),
    (
        "grade",
        &["secretsmanager:GetSecretValue"],
        "secret:SessionKeySecret",
    ),
    ("worker", &["s3:GetObject"], "Uploads/copies/*"),
    ("worker", &["s3:GetObject", "s3:PutObject"], "Uploads/replies/*"),
    ("worker", &["s3:PutObject"], "Uploads/results/*"),
    ("worker", &["s3:ListBucket"], "Uploads"),
    ("worker", &["kms:Decrypt", "kms:GenerateDataKey"], "CopiesKey"),
    (
        "worker",
        &[
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
        ],
        "WorkQueue",
    ),
    (
        "worker",
        &["sqs:SendMessage", "sqs:ChangeMessageVisibility"],
        "WorkQueue",
    ),
    (
        "worker",
        &["secretsmanager:GetSecretValue"],
        "secret:ModelKeySecret",
    ),
    ("status", &["s3:GetObject"], "Uploads/results/*"),
    ("status", &["s3:ListBucketVersions"], "Uploads"),
    ("status", &["kms:Decrypt"], "CopiesKey"),
    (
        "status",
        &["secretsmanager:GetSecretValue"],
        "secret:SessionKeySecret",
    ),
    ("sweeper", &["sqs:SendMessage"], "WorkQueue"),
    ("sweeper", &["ses:SendEmail"], "identity:MailDomain"),
    (
        "checkout",
        &["secretsmanager:GetSecretValue"],
        "secret:SessionKeySecret",
    ),
    (
        "checkout",
        &["secretsmanager:GetSecretValue"],
        "secret:StripeKeySecret",
    ),
    ("grade", &["sqs:SendMessage"], "BillingQueue"),
    ("webhook", &["sqs:SendMessage"], "BillingQueue"),
    (
        "webhook",
        &["secretsmanager:GetSecretValue"],
        "secret:StripeSigningSecret",
    ),
    (
        "billing",
        &[
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
        ],
        "BillingQueue",
    ),
    (
        "billing",
        &["sqs:SendMessage", "sqs:ChangeMessageVisibility"],
        "BillingQueue",
    ),
    (
        "billing",
        &["secretsmanager:GetSecretValue"],
        "secret:StripeKeySecret",
    ),
];

#[test]
fn every_call_of_the_stores_is_known_here_with_what_iam_checks_for_it() {
    let known: BTreeSet<String> = CALLS.iter().map(|(call, _)| (*call).to_owned()).collect();
    let mut made = BTreeSet::new();
    for entry in std::fs::read_dir(project_root().join("shared/src/store")).unwrap() {
        let path = entry.unwrap().path();
        let source = std::fs::read_to_string(&path).unwrap();
        let dense: String = source.split_whitespace().collect();
        let calls: Vec<&str> = [
            "self.dynamo.",
            "self.s3.",
            "self.sqs.",
            "self.client.",
            "self.ses().",
        ]
        .into_iter()
        .flat_map(|client| dense.split(client).skip(1))
        .map(|rest| rest.split('(').next().unwrap())
        .collect();
        let sent = dense.matches(".send()").count();
        assert_eq!(
            calls.len(),
            sent,
            "{}: a call that this test does not see",
            path.display()
        );
        made.extend(calls.into_iter().map(str::to_owned));
    }
    assert_eq!(made, known);
}

#[test]
fn only_the_stores_call_aws() {
    for folder in Template::read().functions().into_keys() {
        let manifest = project_root().join("functions").join(&folder).join("Cargo.toml");
        let manifest = std::fs::read_to_string(manifest).unwrap();
        assert!(
            !manifest.contains("aws-sdk"),
            "functions/{folder}: its calls belong to shared/src/store"
        );
    }
}

#[test]
fn no_policy_allows_what_nobody_calls() {
    let callable: BTreeSet<&str> = CALLS
        .iter()
        .flat_map(|(_, actions)| actions.iter().copied())
        .chain(PARTS.iter().map(|(_, action)| *action))
        .chain(UNCALLED.iter().map(|(action, _)| *action))
        .collect();
    let template = Template::read();
    for (role, _) in template.of_type("AWS::IAM::Role") {
        for statement in statements_of(&template, role) {
            for action in one_or_many(&statement["Action"]) {
                assert!(callable.contains(action.as_str().unwrap()), "{role}: {action}");
            }
        }
    }
}

#[test]
fn a_function_may_do_what_its_code_does_and_nothing_else() {
    let template = Template::read();
    for (folder, (logical, function)) in template.functions() {
        let mut expected: BTreeSet<(String, String)> = ALLOWED
            .iter()
            .filter(|(function, ..)| *function == folder)
            .flat_map(|(_, actions, on)| {
                actions
                    .iter()
                    .map(|action| ((*action).to_owned(), (*on).to_owned()))
            })
            .collect();
        for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
            expected.insert((action.to_owned(), format!("{logical}Logs")));
        }
        for (action, on) in needed(&folder) {
            match on {
                Some(on) => drop(expected.insert((action, on.to_owned()))),
                None => assert!(
                    expected.iter().any(|(allowed, _)| *allowed == action),
                    "{folder} calls {action}, and nothing here says on what"
                ),
            }
        }
        let role = target(&function.properties["Role"]).unwrap();
        let allowed: BTreeSet<(String, String)> = statements_of(&template, role)
            .iter()
            .flat_map(|statement| {
                let resources: Vec<String> = one_or_many(&statement["Resource"]).map(resource_name).collect();
                one_or_many(&statement["Action"])
                    .flat_map(|action| {
                        let action = action.as_str().unwrap();
                        resources
                            .iter()
                            .map(|resource| (action.to_owned(), resource.clone()))
                            .collect::<Vec<_>>()
                    })
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(expected, allowed, "the policy of {folder}");
    }
}

#[test]
fn no_role_has_a_wildcard_beyond_the_keys_under_a_prefix() {
    let template = Template::read();
    for (role, _) in template.of_type("AWS::IAM::Role") {
        for statement in statements_of(&template, role) {
            assert_eq!(statement["Effect"], "Allow", "{role}");
            for action in one_or_many(&statement["Action"]) {
                assert!(!action.as_str().unwrap().contains('*'), "{role}: {action}");
            }
            for resource in one_or_many(&statement["Resource"]) {
                let name = resource_name(resource);
                let bare = name.strip_suffix("/*").unwrap_or(&name);
                assert!(!bare.contains('*'), "{role}: {name}");
                assert!(
                    !name.ends_with('*') || bare.starts_with("Uploads/"),
                    "{role}: {name}"
                );
            }
        }
    }
}

#[test]
fn letters_come_from_one_address_of_one_domain_or_from_none() {
    let template = Template::read();
    let roles: Vec<(&str, Value)> = template
        .of_type("AWS::IAM::Role")
        .flat_map(|(role, _)| {
            let statements = statements_of(&template, role);
            statements.into_iter().map(move |statement| (role, statement))
        })
        .filter(|(_, statement)| statement["Action"] == "ses:SendEmail")
        .collect();
    let [(role, statement)] = roles.as_slice() else {
        panic!("one role sends mail: {roles:?}");
    };
    assert_eq!(*role, "SweeperRole");
    let from = json!({ "StringEquals": { "ses:FromAddress": { "Ref": "MailFrom" } } });
    assert_eq!(statement["Condition"], from);
    let domain = json!({ "Fn::Select": [1, { "Fn::Split": ["@", { "Ref": "MailFrom" }] }] });
    assert_eq!(statement["Resource"]["Fn::Sub"][1]["MailDomain"], domain);
}

#[test]
fn each_function_has_a_role_of_its_own_that_only_lambda_may_take() {
    let template = Template::read();
    let mut seen = BTreeSet::new();
    for (folder, (_, function)) in template.functions() {
        let role = target(&function.properties["Role"]).unwrap();
        assert!(seen.insert(role.to_owned()), "functions/{folder} shares {role}");
        let properties = &template.resource(role).properties;
        let trust = &properties["AssumeRolePolicyDocument"]["Statement"][0];
        assert_eq!(trust["Principal"]["Service"], "lambda.amazonaws.com", "{role}");
        assert_eq!(
            properties["ManagedPolicyArns"],
            Value::Null,
            "{role}: managed policies name every resource"
        );
        assert_eq!(
            function.properties["Policies"],
            Value::Null,
            "functions/{folder}: write it in {role}"
        );
    }
}

/// What a function's code asks for, and where in the table, if it is there.
fn needed(function: &str) -> BTreeSet<(String, Option<&'static str>)> {
    let mut needed = BTreeSet::new();
    for call in calls_of(function) {
        let (call, on) = match call.strip_suffix(" index") {
            Some(query) => (query, "Table/index/pending"),
            None => (call.as_str(), "Table"),
        };
        let part = PARTS.iter().find(|(part, _)| *part == call);
        let whole = CALLS.iter().find(|(known, _)| *known == call);
        let actions = whole.map_or(&[][..], |(_, actions)| *actions).iter().copied();
        for action in actions.chain(part.map(|(_, action)| *action)) {
            let on = action.starts_with("dynamodb:").then_some(on);
            needed.insert((action.to_owned(), on));
        }
    }
    needed
}

fn statements_of(template: &Template, role: &str) -> Vec<Value> {
    let policies = template.resource(role).properties["Policies"].as_array().unwrap();
    let documents = policies
        .iter()
        .map(|policy| &policy["PolicyDocument"]["Statement"]);
    // One that is there under a condition counts: it is either this or nothing.
    let of = |statement: &Value| match &statement["Fn::If"] {
        Value::Array(either) => {
            assert_eq!(either[2], json!({ "Ref": "AWS::NoValue" }), "{role}");
            either[1].clone()
        }
        _ => statement.clone(),
    };
    documents
        .flat_map(|statements| statements.as_array().unwrap().iter().map(of))
        .collect()
}

fn one_or_many(value: &Value) -> impl Iterator<Item = &Value> {
    value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice)
        .iter()
}

/// A resource of a statement by the logical names in it: `Table`, `Uploads/copies/*`, `secret:ModelKeySecret`,
/// `identity:MailDomain`.
fn resource_name(resource: &Value) -> String {
    if let Some(name) = target(resource) {
        return name.to_owned();
    }
    let text = resource["Fn::Sub"]
        .as_str()
        .or_else(|| resource["Fn::Sub"][0].as_str())
        .unwrap_or_else(|| panic!("not a resource of this stack: {resource}"));
    if let Some((_, secret)) = text.split_once(":secret:") {
        // Six characters of chance that Secrets Manager adds to every name.
        let name = secret
            .strip_suffix("-??????")
            .unwrap_or_else(|| panic!("{text}: end it with -??????"));
        return format!("secret:{}", name.trim_start_matches("${").trim_end_matches('}'));
    }
    if let Some((_, identity)) = text.split_once(":identity/") {
        return format!(
            "identity:{}",
            identity.trim_start_matches("${").trim_end_matches('}')
        );
    }
    text.replace("${", "").replace(".Arn}", "")
}
