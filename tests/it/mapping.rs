//! The mapping against documents that others published, and by its own tests in `tests/vrl`.
//!
//! The founding document's two samples and the cases of the seed's own parser are not part of the
//! project. They are read from `ENTRA_SAMPLES`, or from `../shared` beside the project, where they
//! are present; where they are not, the test says so and proves nothing.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use vector_entra_id::ecs::{
    Mapper, bundle, tables::Tables, unit_test::Suite, vector_config::VectorConfig,
};

use crate::catalogue::project;

fn samples(part: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("ENTRA_SAMPLES") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
    };
    let path = root.join(part);
    if path.exists() {
        return Some(path);
    }
    eprintln!("{} is not here; nothing was compared", path.display());
    None
}

fn map(mapper: &mut Mapper, record: &str) -> Value {
    let documents = mapper.map(record);
    assert_eq!(documents.len(), 1);
    serde_json::from_str(&documents[0]).unwrap()
}

/// Arrays of scalars by value, arrays of objects by their text.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(list) => {
            let mut list: Vec<Value> = list.iter().map(sorted).collect();
            list.sort_by_key(Value::to_string);
            Value::Array(list)
        }
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            let sorted = keys.into_iter().map(|key| (key.clone(), sorted(&map[key])));
            Value::Object(sorted.collect())
        }
        scalar => scalar.clone(),
    }
}

/// The paths at which `document` does not hold what `expected` does. Arrays under `related` may
/// hold more.
fn missing(path: &str, expected: &Value, document: &Value, differences: &mut Vec<String>) {
    match expected {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                missing(&path, value, &document[key], differences);
            }
        }
        Value::Array(list) if path.starts_with("related.") => {
            let holds = |value| {
                document
                    .as_array()
                    .is_some_and(|there| there.contains(value))
            };
            if !list.iter().all(holds) {
                differences.push(format!("{path}: {expected} is not within {document}"));
            }
        }
        _ if sorted(expected) == sorted(document) => {}
        _ => differences.push(format!("{path}: {expected} is {document}")),
    }
}

fn differences(mapper: &mut Mapper, expected: &Value, record: &str) -> Vec<String> {
    let mut differences = Vec::new();
    missing("", expected, &map(mapper, record), &mut differences);
    differences
}

/// The JSON objects that stand in a text.
fn objects(text: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("\n{\n") {
        let mut stream = serde_json::Deserializer::from_str(&rest[start + 1..]).into_iter();
        let end = match stream.next() {
            Some(Ok(object)) => {
                objects.push(object);
                start + 1 + stream.byte_offset()
            }
            _ => start + 2,
        };
        rest = &rest[end..];
    }
    objects
}

#[test]
fn the_founding_document_s_samples_are_reproduced_value_for_value() {
    let Some(seeds) = samples("seeds") else {
        return;
    };
    let mut mapper = Mapper::new(&bundle::base(), &Tables::default()).unwrap();
    let mut compared = 0;
    for file in fs::read_dir(seeds).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for expected in objects(&text) {
            let Some(record) = expected["message"].as_str() else {
                continue;
            };
            assert_eq!(
                differences(&mut mapper, &expected, record),
                [""; 0],
                "{expected:#}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 2);
}

/// Where base differs from the seed's parser on purpose, for this record.
fn on_purpose(record: &Value, path: &str) -> bool {
    let status = &record["status"];
    let geo = &record["location"]["geoCoordinates"];
    let address = record["ipAddress"]
        .as_str()
        .or(record["initiatedBy"]["user"]["ipAddress"].as_str())
        .unwrap_or_default();
    match path {
        // The target's name does not replace the actor's.
        "user.email" => !record["targetResources"].is_null(),
        // What Graph says of a success is no error.
        "error.message" => status["errorCode"] == 0 && status["failureReason"] == "Other.",
        "event.outcome" => record["result"] == "timeout",
        "source.ip" => address.parse::<std::net::IpAddr>().is_err(),
        _ if path.starts_with("user_agent.") => record["userAgent"].is_string(),
        _ if path.starts_with("related.ip") => address.parse::<std::net::IpAddr>().is_err(),
        _ if path.starts_with("source.geo.location") => {
            geo["latitude"] == 0 && geo["longitude"] == 0
        }
        _ => false,
    }
}

/// The cases of the seed's own parser: file, record, document.
fn seed_parser_s_cases() -> Vec<(PathBuf, String, Value)> {
    let Some(directory) = samples("conformance/sekoia") else {
        return Vec::new();
    };
    let cases: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let mut case: Value =
                serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            let record = case["input"]["message"].as_str().unwrap().to_owned();
            (path, record, case["expected"].take())
        })
        .collect();
    assert!(!cases.is_empty());
    cases
}

#[test]
fn the_seed_parser_s_cases_differ_only_where_base_means_to() {
    let mut mapper = Mapper::new(&bundle::base(), &Tables::default()).unwrap();
    let mut unmeant = Vec::new();
    for (path, text, expected) in seed_parser_s_cases() {
        let record: Value = serde_json::from_str(&text).unwrap();
        for difference in differences(&mut mapper, &expected, &text) {
            let place = difference.split(':').next().unwrap();
            if !on_purpose(&record, place) {
                unmeant.push(format!("{}: {difference}", path.display()));
            }
        }
    }
    assert!(unmeant.is_empty(), "{unmeant:#?}");
}

#[test]
fn overlay_sekoia_gives_the_seed_parser_s_documents_and_nothing_more() {
    let mut mapper =
        Mapper::new(&bundle::layered(&["sekoia"]).unwrap(), &Tables::default()).unwrap();
    for (path, text, expected) in seed_parser_s_cases() {
        let document = map(&mut mapper, &text);
        assert_eq!(sorted(&document), sorted(&expected), "{}", path.display());
    }
}

#[test]
fn the_bundled_programs_compile_without_a_warning() {
    let tables = VectorConfig::read(&[project().join("tests/vrl/layers.yaml")]).unwrap();
    let tables = Tables::load(&tables.enrichment_tables).unwrap();
    let programs = [
        bundle::layered(&[]).unwrap(),
        bundle::layered(&["sekoia"]).unwrap(),
        bundle::layered(&["elastic"]).unwrap(),
        bundle::layered(&["geoip-city", "geoip-asn", "directory", "tor", "threat-list"]).unwrap(),
        bundle::layered(&[
            "geoip-city",
            "geoip-asn",
            "elastic",
            "directory",
            "tor",
            "threat-list",
        ])
        .unwrap(),
        bundle::sources(bundle::EVENT_HUBS),
    ];
    for program in programs {
        let mapper = Mapper::new(&program, &tables).unwrap();
        assert_eq!(mapper.warnings(), None, "{:?}", program.last());
    }
}

/// The tests of these files, all of which must pass.
fn all_pass(files: &[&str]) {
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|file| project().join("tests/vrl").join(file))
        .collect();
    let config = VectorConfig::read(&paths).unwrap();
    let tables = Tables::load(&config.enrichment_tables).unwrap();
    let mut suite = Suite::new(config, tables);
    assert!(!suite.is_empty());
    for verdict in suite.run() {
        assert!(
            verdict.failures.is_empty(),
            "{}\n{}",
            verdict.name,
            verdict.failures.join("\n")
        );
    }
}

#[test]
fn the_tests_of_base_pass() {
    all_pass(&[
        "pipeline.yaml",
        "base_sign_ins.yaml",
        "base_audits.yaml",
        "base_others.yaml",
        "base_traps.yaml",
        "base_activities.yaml",
    ]);
}

#[test]
fn the_tests_of_the_normaliser_for_event_hubs_pass() {
    all_pass(&["pipeline.yaml", "event_hubs.yaml"]);
}

#[test]
fn the_tests_of_the_overlays_and_of_the_enrichment_pass() {
    all_pass(&[
        "layers.yaml",
        "pipeline.yaml",
        "enrichment.yaml",
        "overlay_sekoia.yaml",
        "overlay_elastic_sign_ins.yaml",
        "overlay_elastic_audits.yaml",
        "overlay_elastic_risks.yaml",
        "overlay_elastic_traps.yaml",
    ]);
}

#[test]
fn the_tests_of_the_example_extension_pass() {
    all_pass(&["../../config-examples/acme/vector.yaml"]);
}
