//! The part of JSON Schema that structured outputs take, and whether an answer follows a schema.

use serde_json::{Map, Value};

const OPTIONAL_MAX: usize = 24;
const UNIONS_MAX: usize = 16;

/// Keywords that carry no constraint, or one that constrained decoding honours. All others (`minimum`,
/// `maxLength`, `maxItems`, …) are refused.
const KEYWORDS: [&str; 15] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
    "$ref",
    "$defs",
    "title",
    "description",
    "default",
    "format",
    "minItems",
];

/// Checks that the provider would take this schema.
pub(super) fn check(schema: &Value) -> Result<(), String> {
    let mut counts = Counts::default();
    check_at(schema, schema, &mut counts)
        .map_err(|problem| format!("output_config.format.schema: {problem}"))?;
    if counts.optional > OPTIONAL_MAX || counts.unions > UNIONS_MAX {
        let Counts { optional, unions } = counts;
        return Err(format!(
            "output_config.format.schema: {optional} optional and {unions} union parameters are too many"
        ));
    }
    Ok(())
}

#[derive(Default)]
struct Counts {
    optional: usize,
    unions: usize,
}

fn check_at(root: &Value, schema: &Value, counts: &mut Counts) -> Result<(), String> {
    let object = schema.as_object().ok_or("a schema must be an object")?;
    if let Some(keyword) = object.keys().find(|key| !KEYWORDS.contains(&key.as_str())) {
        return Err(format!("property '{keyword}' is not supported"));
    }
    if object
        .get("minItems")
        .is_some_and(|count| !matches!(count.as_u64(), Some(0 | 1)))
    {
        return Err("'minItems' must be 0 or 1".to_owned());
    }
    if let Some(reference) = object.get("$ref") {
        resolve(root, reference).ok_or("'$ref' must name one of '$defs'")?;
    }
    if object.get("type").is_some_and(Value::is_array) || object.contains_key("anyOf") {
        counts.unions += 1;
    }
    if object.contains_key("properties") || object.get("type").is_some_and(|kind| kind == "object") {
        if object.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Err(
                "For 'object' type, 'additionalProperties' must be explicitly set to false".to_owned(),
            );
        }
        let required = object
            .get("required")
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        let properties = object
            .get("properties")
            .and_then(Value::as_object)
            .map_or(0, Map::len);
        counts.optional += properties.saturating_sub(required);
    }
    let named = ["properties", "$defs"]
        .into_iter()
        .filter_map(|key| object.get(key)?.as_object());
    let listed = object.get("anyOf").and_then(Value::as_array);
    let inner = named
        .flat_map(Map::values)
        .chain(listed.into_iter().flatten())
        .chain(object.get("items"));
    for schema in inner {
        check_at(root, schema, counts)?;
    }
    Ok(())
}

fn resolve<'a>(root: &'a Value, reference: &Value) -> Option<&'a Value> {
    root.pointer(reference.as_str()?.strip_prefix('#')?)
}

/// Why `text` is not JSON that follows `schema`, if it is not.
pub(super) fn problem_with(schema: &Value, text: &str) -> Option<String> {
    match serde_json::from_str(text) {
        Ok(value) => follows(schema, schema, &value, "").err(),
        Err(error) => Some(error.to_string()),
    }
}

fn follows(root: &Value, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    let problem = |what: &str| Err(format!("{path}: {what}"));
    if let Some(reference) = schema.get("$ref") {
        let Some(target) = resolve(root, reference) else {
            return problem("unknown $ref");
        };
        return follows(root, target, value, path);
    }
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array)
        && !choices
            .iter()
            .any(|choice| follows(root, choice, value, path).is_ok())
    {
        return problem("matches no choice");
    }
    if schema
        .get("enum")
        .and_then(Value::as_array)
        .is_some_and(|choices| !choices.contains(value))
    {
        return problem("is not in the enum");
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return problem("is not the constant");
    }
    let is = |kind: &Value| kind.as_str().is_some_and(|kind| has_type(value, kind));
    let typed = match schema.get("type") {
        None => true,
        Some(Value::Array(kinds)) => kinds.iter().any(is),
        Some(kind) => is(kind),
    };
    if !typed {
        return problem("has the wrong type");
    }
    if let (Some(object), Some(properties)) = (
        value.as_object(),
        schema.get("properties").and_then(Value::as_object),
    ) {
        let required = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        if let Some(missing) = required
            .filter_map(Value::as_str)
            .find(|name| !object.contains_key(*name))
        {
            return problem(&format!("lacks `{missing}`"));
        }
        for (name, value) in object {
            let Some(schema) = properties.get(name) else {
                return problem(&format!("has an extra `{name}`"));
            };
            follows(root, schema, value, &format!("{path}/{name}"))?;
        }
    }
    if let (Some(values), Some(items)) = (value.as_array(), schema.get("items")) {
        for (index, value) in values.iter().enumerate() {
            follows(root, items, value, &format!("{path}/{index}"))?;
        }
    }
    Ok(())
}

fn has_type(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}
