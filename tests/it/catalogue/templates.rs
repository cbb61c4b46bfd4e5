//! Elasticsearch component and index templates, from the catalogue.

use serde_json::{Map, Value, json};

use super::Type;

/// How many targets and changed properties of an audit overlay `elastic` gets indexed by number; what
/// comes after stays in the document.
const TARGETS: usize = 5;
const PROPERTIES: usize = 16;

/// A component template with these fields. Nothing else is indexed: `dynamic` is false throughout.
pub fn component(fields: &[(String, Type)]) -> String {
    let mut root = Map::new();
    for (name, sort) in fields {
        for name in numbered(name) {
            put(&mut root, &name, sort.index());
        }
    }
    pretty(&json!({
        "template": {
            "mappings": {
                "dynamic": false,
                "date_detection": false,
                "properties": root,
            },
        },
        "_meta": {"description": "Microsoft Entra ID; generated from vrl/catalogue.yaml"},
    }))
}

/// An index template for these patterns, made of the component template and of one that an operator may
/// add for fields of their own.
pub fn index(patterns: &[&str], component: &str, data_stream: bool) -> String {
    let custom = format!("{component}@custom");
    let mut template = json!({
        "index_patterns": patterns,
        "composed_of": [component, custom],
        "ignore_missing_component_templates": [custom],
        "priority": 250,
        "template": {"settings": {"index": {"mapping": {"total_fields": {"limit": 1500}}}}},
        "_meta": {"description": "Microsoft Entra ID; generated from vrl/catalogue.yaml"},
    });
    if data_stream {
        template["data_stream"] = json!({});
    }
    pretty(&template)
}

fn pretty(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap())
}

/// The name with a number for each `*`.
fn numbered(name: &str) -> Vec<String> {
    let Some((before, after)) = name.split_once("*") else {
        return vec![name.into()];
    };
    let many = if before.contains("modified_properties") {
        PROPERTIES
    } else {
        TARGETS
    };
    (0..many)
        .flat_map(|number| numbered_after(&format!("{before}{number}"), after))
        .collect()
}

fn numbered_after(before: &str, after: &str) -> Vec<String> {
    numbered(&format!("{before}{after}"))
}

fn put(root: &mut Map<String, Value>, name: &str, mapping: Value) {
    match name.split_once('.') {
        None => {
            let there = root.entry(name).or_insert_with(|| json!({}));
            for (key, value) in mapping.as_object().unwrap() {
                there[key] = value.clone();
            }
        }
        Some((first, rest)) => {
            let there = root.entry(first).or_insert_with(|| json!({}));
            let below = there
                .as_object_mut()
                .unwrap()
                .entry("properties")
                .or_insert_with(|| json!({}));
            put(below.as_object_mut().unwrap(), rest, mapping);
        }
    }
}
