//! The reference of the configuration stands in the tree as it would be made now: its JSON schema,
//! and the tables of its page.

use std::fs;

use serde_json::Value;
use vector_entra_id::{config, stream::Stream};

use crate::{catalogue::project, generated::stands};

const BEGIN: &str = "<!-- The tables are generated: see CONTRIBUTING.md -->\n";
const END: &str = "<!-- end of the tables -->\n";

/// The schema that a property refers to, wherever it stands.
fn resolved<'a>(schema: &'a Value, property: &'a Value) -> &'a Value {
    let variants = ["anyOf", "allOf"]
        .iter()
        .find_map(|key| property[key].as_array());
    let property = match variants {
        Some(variants) => variants.iter().find(|one| one["type"] != "null").unwrap(),
        None => property,
    };
    match property["$ref"].as_str() {
        Some(name) => schema.pointer(name.trim_start_matches('#')).unwrap(),
        None => property,
    }
}

/// A comment's text, and its last sentence's default, or that there must be a value.
fn split(description: &str) -> (String, String) {
    let text = description.replace('\n', " ");
    if let Some(text) = text.strip_suffix(" Needed.") {
        return (text.trim_end_matches('.').into(), "needed".into());
    }
    let (text, default) = text.split_once(" Default: ").unwrap_or((&text, ""));
    let end = |text: &str| text.trim_end_matches('.').to_owned();
    (end(text), end(default))
}

/// The place of a secret, a request limit, and a choice for each stream need no lines of their own.
fn is_told_by_its_own_line(group: &Value) -> bool {
    let properties = group["properties"].as_object().unwrap();
    let names: Vec<&str> = properties.keys().map(String::as_str).collect();
    let of_streams = || names.iter().all(|name| name.parse::<Stream>().is_ok());
    names == ["env", "file"] || names == ["requests", "per_ms"] || of_streams()
}

fn rows(schema: &Value, of: &Value, prefix: &str, rows: &mut Vec<String>) {
    for (name, property) in of["properties"].as_object().unwrap() {
        let place = format!("{prefix}{name}");
        let inner = resolved(schema, property);
        let described = property["description"].as_str();
        let (mut text, mut default) = split(
            described
                .or(inner["description"].as_str())
                .unwrap_or_else(|| panic!("{place} has no comment")),
        );
        let is_group = inner["properties"].is_object() && !is_told_by_its_own_line(inner);
        if let Some(names) = resolved(schema, &inner["items"])["enum"].as_array() {
            let names = names
                .iter()
                .map(|name| format!("`{}`", name.as_str().unwrap()));
            text = format!("{text}: {}", names.collect::<Vec<_>>().join(", "));
        }
        let given = &property["default"];
        if !given.is_null() && !is_group && default.is_empty() {
            default = format!("`{}`", given.as_str().map_or(given.to_string(), Into::into));
        }
        rows.push(format!("| `{place}` | {text} | {default} |"));
        if is_group {
            self::rows(schema, inner, &format!("{place}."), rows);
        }
    }
}

fn tables(schema: &Value) -> String {
    let mut page = String::new();
    let table = |rows: Vec<String>| {
        format!(
            "\n| option | what it is | default |\n|---|---|---|\n{}\n",
            rows.join("\n")
        )
    };
    let properties = schema["properties"].as_object().unwrap();
    let mut top = Vec::new();
    for (name, property) in properties {
        let (text, default) = split(property["description"].as_str().unwrap());
        top.push(format!("| `{name}` | {text} | {default} |"));
    }
    page.push_str("\n## Top level\n");
    page.push_str(&table(top));
    for (name, property) in properties {
        let inner = resolved(schema, property);
        let items = &inner["items"];
        let (title, group) = match items.is_object() {
            true => (format!("{name}[]"), resolved(schema, items)),
            false => (name.clone(), inner),
        };
        if group["properties"].is_object() {
            let mut of_group = Vec::new();
            rows(schema, group, "", &mut of_group);
            page.push_str(&format!("\n## `{title}`\n"));
            page.push_str(&table(of_group));
        }
    }
    page.push('\n');
    page
}

#[test]
fn the_schema_is_that_of_the_types() {
    let mut text = serde_json::to_string_pretty(&config::schema()).unwrap();
    text.push('\n');
    stands("docs/configuration.schema.json", text);
}

#[test]
fn the_reference_s_tables_are_those_of_the_types() {
    let page = fs::read_to_string(project().join("docs/configuration.md")).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let tables = tables(&config::schema());
    stands(
        "docs/configuration.md",
        format!("{before}{BEGIN}{tables}{END}{after}"),
    );
}

#[test]
fn the_defaults_that_the_comments_name_are_those_that_hold() {
    let schema = config::schema();
    let mut all = Vec::new();
    for group in ["Collect", "Telemetry"] {
        rows(&schema, &schema["$defs"][group], "", &mut all);
    }
    let collect = serde_json::to_value(config::Collect::default()).unwrap();
    let telemetry = serde_json::to_value(config::Telemetry::default()).unwrap();
    let defaults = collect
        .as_object()
        .unwrap()
        .iter()
        .chain(telemetry.as_object().unwrap());
    let mut compared = 0;
    for (name, value) in defaults.filter(|(_, value)| value.is_number()) {
        let row = all
            .iter()
            .find(|row| row.starts_with(&format!("| `{name}` |")))
            .unwrap();
        let cell = row.rsplit(" | ").next().unwrap();
        let digits: String = cell.chars().take_while(char::is_ascii_digit).collect();
        assert_eq!(digits, value.to_string(), "{row}");
        compared += 1;
    }
    assert!(compared > 10);
}
