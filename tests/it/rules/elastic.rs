//! Elastic's prebuilt rules against documents of overlay `elastic`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
};

use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};
use vector_entra_id::{
    ecs::{Mapper, bundle, tables::Tables, vector_config::VectorConfig},
    emulator::records,
    stream::Stream,
};

use crate::{catalogue::project, generated::stands};

/// A row of `elastic.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    field: String,
    /// The number of rules that read it.
    rules: u32,
    /// Rules show it to an analyst and do not query it.
    #[serde(default)]
    shown: bool,
    /// Why no document has it.
    not: Option<String>,
    /// What rules compare it with, as text.
    #[serde(default)]
    values: Vec<String>,
}

/// The values of every field in some documents, as text, by the whole name of the field.
type Seen = BTreeMap<String, BTreeSet<String>>;

const HEAD: &str = "\
# Elastic's prebuilt rules

Which fields of Elastic's rules for `azure.signinlogs`, `azure.auditlogs` and
`azure.identity_protection` the documents of overlay `elastic` have. Read from
elastic/detection-rules at 14cf530 (2026-08-21): 73 rules, of which 41 read sign-ins,
30 audits, 6 risks. Made by a test: a field counts as covered if a document that the
overlay made of an emulated record has it, with each of the values in the last column,
with which rules compare it; values that stand in a record pass through as they are.
What a live tenant writes there was not verified.

- **yes**: from the record or made up as Azure's diagnostic settings would write it.
- **GeoIP**: only with the files `vrl/enrichment/geoip_city.vrl` and `geoip_asn.vrl`
  before the overlay; rules compare the names of MaxMind's databases.
- **no**: with the reason.
";

fn fields() -> Vec<Field> {
    let text = fs::read_to_string(project().join("tests/it/rules/elastic.yaml")).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

/// Notes every leaf of a value.
fn note(path: &str, value: &Value, seen: &mut Seen) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                note(&format!("{path}.{key}"), value, seen);
            }
        }
        Value::Array(list) => {
            for item in list {
                note(path, item, seen);
            }
        }
        Value::Null => {}
        leaf => {
            let text = leaf.as_str().map_or_else(|| leaf.to_string(), Into::into);
            seen.entry(path[1..].into()).or_default().insert(text);
        }
    }
}

/// What documents of the overlay hold, with these files before it: of the first records of each
/// stream, and of each further one whose text has a value that no earlier one had.
fn seen(before: &[&str], mut wanted: BTreeSet<String>) -> Seen {
    let config = VectorConfig::read(&[project().join("tests/vrl/layers.yaml")]).unwrap();
    let tables = Tables::load(&config.enrichment_tables).unwrap();
    let sources = bundle::layered(&[before, &["elastic"]].concat()).unwrap();
    let mut mapper = Mapper::new(&sources, &tables).unwrap();
    let mut rng = fastrand::Rng::with_seed(21);
    let at = DateTime::from_timestamp(1_795_000_000, 0).unwrap();
    let mut seen = Seen::new();
    for stream in Stream::ALL {
        for ordinal in 0..5000 {
            let record = records::make(&mut rng, stream, at, ordinal).text;
            let known = wanted.len();
            wanted.retain(|value| !record.contains(value));
            if ordinal >= 100 && wanted.len() == known {
                continue;
            }
            let event = json!({
                "message": record,
                "entra_id": {"tenant_id": records::TENANT_ID, "stream": stream.name()},
            });
            for document in mapper.map(&event.to_string()) {
                let document: Value = serde_json::from_str(&document).unwrap();
                if document["data_stream"].is_object() {
                    note("", &document, &mut seen);
                }
            }
        }
    }
    seen
}

/// The values seen in the fields that this name stands for: `*` is any part, or all that follows.
fn of<'a>(seen: &'a Seen, name: &str) -> BTreeSet<&'a str> {
    let wanted: Vec<&str> = name.split('.').collect();
    let fits = |there: &&String| {
        let parts: Vec<&str> = there.split('.').collect();
        parts.len() >= wanted.len() && wanted.iter().zip(parts).all(|(a, b)| *a == "*" || *a == b)
    };
    seen.keys()
        .filter(fits)
        .flat_map(|key| seen[key].iter().map(String::as_str))
        .collect()
}

#[test]
fn every_field_of_elastic_s_rules_is_in_the_documents_or_says_why_not() {
    let fields = fields();
    let values = fields.iter().flat_map(|field| &field.values);
    let wanted = values.map(|value| match value.parse::<u32>() {
        Ok(number) => format!(":{number},"),
        Err(_) => format!("\"{value}\""),
    });
    let plain = seen(&[], wanted.collect());
    let enriched = seen(&["geoip-city", "geoip-asn"], BTreeSet::new());
    let mut page = HEAD.to_string();
    let mut wrong = Vec::new();
    for (title, shown) in [("Queried", false), ("Shown to an analyst only", true)] {
        let _ = write!(
            page,
            "\n## {title}\n\n| field | rules | covered | values seen |\n|---|--:|---|---|\n"
        );
        for field in fields.iter().filter(|field| field.shown == shown) {
            let (covered, values) = match of(&plain, &field.field) {
                values if !values.is_empty() => ("yes", values),
                _ => match of(&enriched, &field.field) {
                    values if !values.is_empty() => ("GeoIP", values),
                    none => ("no", none),
                },
            };
            let told = match &field.not {
                Some(reason) => format!("no: {reason}"),
                None => covered.into(),
            };
            if (covered == "no") != field.not.is_some() {
                wrong.push(format!("{}: {told}, and {covered}", field.field));
            }
            for value in &field.values {
                if !values.contains(value.as_str()) {
                    wrong.push(format!("{}: `{value}` was not seen", field.field));
                }
            }
            let values: Vec<String> = field.values.iter().map(|v| format!("`{v}`")).collect();
            let _ = writeln!(
                page,
                "| `{}` | {} | {told} | {} |",
                field.field,
                field.rules,
                values.join(", ")
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    stands("docs/elastic-rules.md", page);
}
