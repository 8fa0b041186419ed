//! `template.yaml` agrees with the code, and keeps the promises made about it.

mod calls;
pub(crate) mod document;
mod policies;
mod promises;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use document::{Template, project_root, target};

/// (method, path) → folder in `functions/`.
pub(crate) type Routes = BTreeMap<(String, String), String>;

#[test]
fn every_folder_in_functions_is_a_function_of_the_template_and_back() {
    let folders: BTreeSet<String> = std::fs::read_dir(project_root().join("functions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let functions: BTreeSet<String> = Template::read().functions().into_keys().collect();
    assert_eq!(folders, functions);
}

#[test]
fn the_routes_of_the_template_are_those_of_the_contract() {
    let path = project_root().join("openapi.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("openapi.json: {error}; it is generated from the code, see the Makefile")
    });
    let contract: Value = serde_json::from_str(&text).unwrap();
    let promised: BTreeSet<(String, String)> = contract["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, operations)| {
            operations
                .as_object()
                .unwrap()
                .keys()
                .map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let routed: BTreeSet<(String, String)> = routes_of_the_template().into_keys().collect();
    assert_eq!(promised, routed);
}

#[test]
fn the_routes_of_the_local_router_are_those_of_the_template() {
    assert_eq!(routes_of_the_router(), routes_of_the_template());
}

#[test]
fn only_the_http_functions_may_be_called_by_the_api() {
    let template = Template::read();
    let behind_routes: BTreeSet<String> = routes_of_the_template().into_values().collect();
    let callable: BTreeSet<String> = template
        .of_type("AWS::Lambda::Permission")
        .filter(|(_, permission)| permission.properties["Principal"] == "apigateway.amazonaws.com")
        .map(|(_, permission)| folder_of(&template, target(&permission.properties["FunctionName"]).unwrap()))
        .collect();
    assert_eq!(behind_routes, callable);
}

#[test]
fn a_function_is_given_the_variables_that_its_main_reads_and_no_other() {
    let template = Template::read();
    let everywhere = keys(template.at("/Globals/Function/Environment/Variables"));
    for (folder, (_, function)) in template.functions() {
        let mut given = keys(&function.properties["Environment"]["Variables"]);
        given.extend(everywhere.clone());
        // Read by the telemetry of every `main`.
        for name in ["RUST_LOG", "STAGE"] {
            assert!(given.remove(name), "functions/{folder} has no {name}");
        }
        let main = project_root().join("functions").join(&folder).join("src/main.rs");
        let main = std::fs::read_to_string(main).unwrap();
        assert_eq!(variables_read_by(&main), given, "functions/{folder}");
    }
}

#[test]
fn only_a_main_reads_the_environment() {
    for folder in Template::read().functions().into_keys() {
        let sources = project_root().join("functions").join(&folder).join("src");
        for entry in std::fs::read_dir(sources).unwrap() {
            let path = entry.unwrap().path();
            let source = std::fs::read_to_string(&path).unwrap();
            assert!(
                !source.contains("env::var"),
                "{}: name it in shared/src/config.rs",
                path.display()
            );
            let reads = !variables_read_by(&source).is_empty();
            assert!(
                !reads || path.ends_with("main.rs"),
                "{} reads the environment",
                path.display()
            );
        }
    }
}

pub(crate) fn routes_of_the_template() -> Routes {
    let template = Template::read();
    let integrations: BTreeMap<&str, String> = template
        .of_type("AWS::ApiGatewayV2::Integration")
        .map(|(name, door)| {
            (
                name,
                folder_of(&template, target(&door.properties["IntegrationUri"]).unwrap()),
            )
        })
        .collect();
    template
        .of_type("AWS::ApiGatewayV2::Route")
        .map(|(name, route)| {
            let (method, path) = route.properties["RouteKey"]
                .as_str()
                .unwrap()
                .split_once(' ')
                .unwrap();
            let door = route.properties["Target"]["Fn::Sub"].as_str().unwrap();
            let door = door
                .strip_prefix("integrations/${")
                .and_then(|rest| rest.strip_suffix('}'));
            let folder = door.and_then(|door| integrations.get(door));
            let folder = folder.unwrap_or_else(|| panic!("{name}: no integration behind its target"));
            ((method.to_owned(), path.to_owned()), folder.clone())
        })
        .collect()
}

/// `[workspace.metadata.lambda.watch.router]`, every entry in its long form: a short one would answer any method.
fn routes_of_the_router() -> Routes {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(project_root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let workspace: Value = serde_json::from_slice(&output.stdout).unwrap();
    let router = workspace
        .pointer("/metadata/lambda/watch/router")
        .and_then(Value::as_object);
    let router = router.expect("Cargo.toml has no [workspace.metadata.lambda.watch.router]");
    let mut routes = Routes::new();
    for (path, entries) in router {
        for entry in entries
            .as_array()
            .unwrap_or_else(|| panic!("{path}: write [{{ method, function }}]"))
        {
            let method = entry["method"].as_str().unwrap().to_owned();
            routes.insert(
                (method, path.clone()),
                entry["function"].as_str().unwrap().to_owned(),
            );
        }
    }
    routes
}

/// The folder in `functions/` of a function's logical name.
fn folder_of(template: &Template, logical: &str) -> String {
    let functions = template.functions();
    let found = functions.iter().find(|(_, (name, _))| *name == logical);
    found
        .map(|(folder, _)| folder.clone())
        .unwrap_or_else(|| panic!("{logical} is no function"))
}

/// Names in `variable::NAME`.
fn variables_read_by(source: &str) -> BTreeSet<String> {
    let name = |rest: &str| {
        let end = rest
            .find(|c: char| !(c.is_ascii_uppercase() || c == '_'))
            .unwrap_or(rest.len());
        rest[..end].to_owned()
    };
    source
        .split("variable::")
        .skip(1)
        .map(name)
        .filter(|name| !name.is_empty())
        .collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value
        .as_object()
        .map(|map| map.keys().cloned().collect())
        .unwrap_or_default()
}
