//! What each function may do is what its code does, on the things it does it to.

use std::collections::BTreeSet;

use serde_json::Value;

use super::document::{Template, target};

/// (function, action, on what): the SDK calls of each function. A DynamoDB transaction is listed by its parts,
/// which is what IAM checks.
const CALLS: &[(&str, &[&str], &str)] = &[
    ("assignments", READ_AND_WRITE, "Table"),
    ("assignments", &["dynamodb:BatchWriteItem"], "Table"),
    ("assignments", &["s3:PutObject"], "Uploads/copies/*"),
    ("assignments", &["kms:GenerateDataKey"], "CopiesKey"),
    (
        "assignments",
        &["secretsmanager:GetSecretValue"],
        "secret:SessionKeySecret",
    ),
    ("grade", READ_AND_WRITE, "Table"),
    ("grade", &["dynamodb:DeleteItem"], "Table"),
    ("grade", &["s3:ListBucket"], "Uploads"),
    ("grade", &["sqs:SendMessage"], "WorkQueue"),
    (
        "grade",
        &["secretsmanager:GetSecretValue"],
        "secret:SessionKeySecret",
    ),
    ("worker", READ_AND_WRITE, "Table"),
    ("worker", &["dynamodb:DeleteItem"], "Table"),
    ("worker", &["s3:GetObject"], "Uploads/copies/*"),
    ("worker", &["s3:GetObject", "s3:PutObject"], "Uploads/replies/*"),
    ("worker", &["s3:GetObject", "s3:PutObject"], "Uploads/results/*"),
    ("worker", &["s3:ListBucket"], "Uploads"),
    ("worker", &["kms:Decrypt", "kms:GenerateDataKey"], "CopiesKey"),
    ("worker", &["sqs:SendMessage"], "WorkQueue"),
    // The event source mapping receives in the worker's name.
    (
        "worker",
        &[
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
        ],
        "WorkQueue",
    ),
    ("worker", &["sqs:ChangeMessageVisibility"], "WorkQueue"),
    (
        "worker",
        &["secretsmanager:GetSecretValue"],
        "secret:ModelKeySecret",
    ),
    ("status", &["dynamodb:GetItem", "dynamodb:Query"], "Table"),
    ("status", &["s3:GetObject"], "Uploads/results/*"),
    ("status", &["kms:Decrypt"], "CopiesKey"),
    (
        "status",
        &["secretsmanager:GetSecretValue"],
        "secret:SessionKeySecret",
    ),
    ("sweeper", READ_AND_WRITE, "Table"),
    ("sweeper", &["dynamodb:DeleteItem"], "Table"),
    ("sweeper", &["dynamodb:Query"], "Table/index/pending"),
    ("sweeper", &["sqs:SendMessage"], "WorkQueue"),
];

const READ_AND_WRITE: &[&str] = &[
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
    "dynamodb:ConditionCheckItem",
];

#[test]
fn a_function_may_do_what_its_code_does_and_nothing_else() {
    let template = Template::read();
    for (folder, (logical, function)) in template.functions() {
        let mut expected: BTreeSet<(String, String)> = CALLS
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

fn statements_of(template: &Template, role: &str) -> Vec<Value> {
    let policies = template.resource(role).properties["Policies"].as_array().unwrap();
    let documents = policies
        .iter()
        .map(|policy| &policy["PolicyDocument"]["Statement"]);
    documents
        .flat_map(|statements| statements.as_array().unwrap().clone())
        .collect()
}

fn one_or_many(value: &Value) -> impl Iterator<Item = &Value> {
    value
        .as_array()
        .map_or(std::slice::from_ref(value), Vec::as_slice)
        .iter()
}

/// A resource of a statement by the logical names in it: `Table`, `Uploads/copies/*`, `secret:ModelKeySecret`.
fn resource_name(resource: &Value) -> String {
    if let Some(name) = target(resource) {
        return name.to_owned();
    }
    let text = resource["Fn::Sub"]
        .as_str()
        .unwrap_or_else(|| panic!("not a resource of this stack: {resource}"));
    if let Some((_, secret)) = text.split_once(":secret:") {
        // Six characters of chance that Secrets Manager adds to every name.
        let name = secret
            .strip_suffix("-??????")
            .unwrap_or_else(|| panic!("{text}: end it with -??????"));
        return format!("secret:{}", name.trim_start_matches("${").trim_end_matches('}'));
    }
    text.replace("${", "").replace(".Arn}", "")
}
