//! `template.yaml` as JSON, with CloudFormation's short forms written out: `!Ref X` is `{"Ref": "X"}`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// One resource of the template.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) kind: String,
    pub(crate) condition: Option<String>,
    pub(crate) properties: Value,
    pub(crate) whole: Value,
}

/// The template, read once per test.
#[derive(Debug)]
pub(crate) struct Template {
    root: Value,
    resources: BTreeMap<String, Resource>,
}

impl Template {
    pub(crate) fn read() -> Self {
        let text = std::fs::read_to_string(project_root().join("template.yaml")).unwrap();
        let documents = Yaml::load_from_str(&text).unwrap();
        let root = to_json(&documents[0]);
        let resources = root["Resources"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, resource)| {
                let resource = Resource {
                    kind: resource["Type"].as_str().unwrap().to_owned(),
                    condition: resource["Condition"].as_str().map(str::to_owned),
                    properties: resource.get("Properties").cloned().unwrap_or(Value::Null),
                    whole: resource.clone(),
                };
                (name.clone(), resource)
            });
        Self {
            resources: resources.collect(),
            root,
        }
    }

    /// A value by JSON pointer.
    pub(crate) fn at(&self, pointer: &str) -> &Value {
        self.root.pointer(pointer).unwrap_or(&Value::Null)
    }

    pub(crate) fn resource(&self, name: &str) -> &Resource {
        self.resources
            .get(name)
            .unwrap_or_else(|| panic!("template.yaml has no resource {name}"))
    }

    /// Every resource, by logical name.
    pub(crate) fn resources(&self) -> impl Iterator<Item = (&str, &Resource)> {
        self.resources
            .iter()
            .map(|(name, resource)| (name.as_str(), resource))
    }

    /// Resources of one type, by logical name.
    pub(crate) fn of_type(&self, kind: &str) -> impl Iterator<Item = (&str, &Resource)> {
        self.resources()
            .filter(move |(_, resource)| resource.kind == kind)
    }

    /// The functions, by the folder in `functions/` that they are built from.
    pub(crate) fn functions(&self) -> BTreeMap<String, (&str, &Resource)> {
        self.of_type("AWS::Serverless::Function")
            .map(|(name, function)| {
                let zip = function.properties["CodeUri"].as_str().unwrap();
                let folder = zip
                    .strip_prefix("target/lambda/")
                    .and_then(|rest| rest.strip_suffix("/bootstrap.zip"))
                    .unwrap_or_else(|| {
                        panic!("{name}: CodeUri {zip} is not target/lambda/<folder>/bootstrap.zip")
                    });
                (folder.to_owned(), (name, function))
            })
            .collect()
    }
}

/// The root of the project.
pub(crate) fn project_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The logical name that `{"Ref": name}` or `{"Fn::GetAtt": [name, …]}` points at.
pub(crate) fn target(value: &Value) -> Option<&str> {
    value["Ref"].as_str().or_else(|| value["Fn::GetAtt"][0].as_str())
}

fn to_json(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(scalar) => scalar_to_json(scalar),
        Yaml::Sequence(items) => items.iter().map(to_json).collect(),
        Yaml::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (key.as_str().unwrap().to_owned(), to_json(value)))
            .collect::<Map<_, _>>()
            .into(),
        Yaml::Tagged(tag, inner) => long_form(&tag.suffix, to_json(inner)),
        // CloudFormation refuses aliases; representations are resolved on loading.
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => panic!("unexpected YAML: {node:?}"),
    }
}

fn scalar_to_json(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => json!(value),
        Scalar::Integer(value) => json!(value),
        Scalar::FloatingPoint(value) => json!(value.into_inner()),
        Scalar::String(value) => json!(value),
    }
}

fn long_form(tag: &str, value: Value) -> Value {
    match (tag, &value) {
        ("Ref" | "Condition", _) => json!({ tag: value }),
        ("GetAtt", Value::String(path)) => {
            let (name, attribute) = path.split_once('.').unwrap();
            json!({ "Fn::GetAtt": [name, attribute] })
        }
        _ => json!({ format!("Fn::{tag}"): value }),
    }
}
