//! `demo`, as the README shows it.

use serde_json::Value;

use crate::common::binary;

#[test]
fn demo_writes_every_record_as_a_document_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("documents.ndjson");
    let output = binary()
        .args(["demo", "--records", "300", "--output"])
        .arg(&path)
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{shown}{errors}");
    assert!(shown.contains("0 pipeline errors, 0 repeats"), "{shown}");
    let total = shown.lines().find(|line| line.starts_with("all ")).unwrap();
    assert_eq!(total.split_whitespace().nth(1), Some("300"), "{shown}");
    let mut table = shown
        .lines()
        .skip_while(|line| !line.starts_with("stream "));
    assert!(table.all(|line| line.chars().count() <= 80), "{shown}");

    let documents = std::fs::read_to_string(&path).unwrap();
    let documents: Vec<Value> = documents
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(documents.len() >= 300);
    for document in &documents {
        assert!(document["@timestamp"].is_string(), "{document}");
        assert!(document["event"]["kind"].is_string(), "{document}");
    }
    // The two records of the founding document are among them.
    for id in ["id", "66ea54eb-6301-4ee5-be62-ff5a759b0100"] {
        assert!(
            documents
                .iter()
                .any(|document| document["event"]["id"] == id),
            "{id}"
        );
    }
}
