//! The command line: exit codes, and what goes to which output.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use vector_entra_id::ecs::{
    bundle::BASE,
    vector_config::{Remap, TransformKind, VectorConfig},
};

use crate::{catalogue::project, common::binary};

fn run(args: &[&str]) -> Output {
    binary().args(args).stdin(Stdio::null()).output().unwrap()
}

fn run_with_input(args: &[&str], input: &str) -> Output {
    let mut child = binary()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn help_names_every_command_within_eighty_columns() {
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = text(&output.stdout);
    for command in [
        "run",
        "demo",
        "map",
        "test",
        "check",
        "backfill",
        "status",
        "emulate",
        "vrl",
        "man",
        "completions",
    ] {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command} in {help}"
        );
    }
    assert!(
        help.lines().all(|line| line.chars().count() <= 80),
        "{help}"
    );
}

#[test]
fn a_wrong_command_line_is_2_and_leaves_standard_output_alone() {
    for args in [
        vec!["run"],
        vec!["run", "--config", "/nowhere/config.yaml"],
        vec!["run", "--colour"],
        vec!["nonsense"],
        vec!["map", "/nowhere/records.ndjson"],
        vec!["map", "--program", "/nowhere/program.vrl"],
        vec!["demo", "--records", "many"],
        vec![
            "demo",
            "--records",
            "60",
            "--output",
            "/nowhere/documents.ndjson",
        ],
    ] {
        let output = run(&args);
        assert_eq!(output.status.code(), Some(2), "{args:?} {output:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn map_gives_one_document_for_each_line_whatever_it_holds() {
    let input = "{\"id\":\"1\"}\nnot json\n\n[1,2]\n{\"message\":\"{}\"}\n\u{fffd}\n";
    let output = run_with_input(&["map"], input);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let documents: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(documents.len(), 5);
    assert_eq!(documents[1]["event"]["kind"], "pipeline_error");
    assert_eq!(documents[1]["message"], "not json");
    assert!(documents[1]["error"]["message"].is_string());
}

#[test]
fn map_with_a_program_that_does_not_compile_names_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.vrl");
    fs::write(&path, ".a = 1\n.b = nope(2)\n").unwrap();
    let output = run_with_input(&["map", "--program", path.to_str().unwrap()], "{}\n");
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(errors.contains("mine.vrl, line 2"), "{errors}");
    assert!(errors.contains("nope"), "{errors}");
}

#[test]
fn map_takes_files_before_and_after_the_mapping() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let before = file(
        "before.vrl",
        ".message = replace(string!(.message), \"Ada\", \"Eve\")",
    );
    let after = file("after.vrl", ".own = user_name");
    let output = run_with_input(
        &["map", "--before", &before, "--with", &after],
        r#"{"id":"1","createdDateTime":"2026-11-22T10:00:00Z","appId":"a","userDisplayName":"Ada"}"#,
    );
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["own"], "Eve");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn map_reads_tables_for_the_enrichment_files() {
    let output = run_with_input(
        &["map", "--tables", "tests/vrl/layers.yaml", "--with", "tor"],
        r#"{"id":"1","createdDateTime":"2026-11-22T10:00:00Z","appId":"a","ipAddress":"198.51.100.9"}"#,
    );
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["azure"]["entraid"]["source"]["tor_exit"], true);
    let output = run_with_input(&["map", "--with", "tor"], "{}");
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("tor_exits"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_database_that_knows_no_places_leaves_nothing_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tables.yaml");
    let tables = "enrichment_tables: \
                  {geoip_city: {type: geoip, path: tests/vrl/tables/geoip_asn.mmdb}}";
    fs::write(&path, tables).unwrap();
    let output = run_with_input(
        &[
            "map",
            "--tables",
            path.to_str().unwrap(),
            "--with",
            "geoip-city",
        ],
        r#"{"id":"1","createdDateTime":"2026-11-22T10:00:00Z","appId":"a","ipAddress":"203.0.113.7"}"#,
    );
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        document["source"],
        serde_json::json!({"address": "203.0.113.7", "ip": "203.0.113.7"})
    );
}

#[test]
fn map_takes_messages_of_event_hubs_apart() {
    let output = run_with_input(
        &["map", "--event-hubs"],
        r#"{"records":[{"category":"SignInLogs","properties":{"id":"1"}},{"category":"AuditLogs","properties":{"id":"2"}}]}"#,
    );
    let documents: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<&Value> = documents
        .iter()
        .map(|document| &document["event"]["id"])
        .collect();
    assert_eq!(ids, ["1", "2"]);
    assert_eq!(
        documents[1]["azure"]["entraid"]["stream"],
        "directory_audits"
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error_for_map() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("many.ndjson");
    fs::write(&path, "{\"id\":\"1\"}\n".repeat(5_000)).unwrap();
    let script = format!(
        "{} map {} | head -n 1; exit ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_vector-entra-id"),
        path.display()
    );
    let output = Command::new("bash").arg("-c").arg(script).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn the_bundled_files_written_out_map_as_the_bundle_does() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(&["vrl", "--output", dir.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0));
    let files: Vec<&str> = text(&output.stdout).lines().collect();
    let written = |directory: &str| -> Vec<&str> {
        let directory = dir.path().join(directory);
        let within = files
            .iter()
            .filter(|file| Path::new(file).starts_with(&directory));
        within.copied().collect()
    };
    let mut base = vec!["map"];
    for file in written("base") {
        base.extend(["--program", file]);
    }
    let mut elastic = base.clone();
    for file in written("overlays/elastic") {
        elastic.extend(["--with", file]);
    }
    let record =
        r#"{"id":"1","activityDisplayName":"Add user","activityDateTime":"2026-11-22T10:00:00Z"}"#;
    let event = |bytes: &[u8]| {
        let mut document: Value = serde_json::from_slice(bytes).unwrap();
        // The time of mapping differs from run to run.
        if let Some(event) = document["event"].as_object_mut() {
            event.remove("ingested");
        }
        document
    };
    for (files, bundle) in [
        (base, vec!["map"]),
        (elastic, vec!["map", "--with", "elastic"]),
    ] {
        let by_files = run_with_input(&files, record);
        let by_bundle = run_with_input(&bundle, record);
        assert_eq!(event(&by_files.stdout), event(&by_bundle.stdout));
        assert!(by_files.stderr.is_empty(), "{}", text(&by_files.stderr));
    }
}

#[test]
fn the_readme_s_stanzas_name_the_bundled_files_in_their_order() {
    let readme = include_str!("../../README.md");
    let listed: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("      - /etc/vector/entra-id/vrl/"))
        .collect();
    let bundled = BASE.map(|(name, _)| name);
    assert_eq!(listed, [bundled, bundled].concat());
}

#[test]
fn the_configurations_in_the_tree_name_the_bundled_files_in_their_order() {
    let bundled: Vec<PathBuf> = BASE
        .iter()
        .map(|(name, _)| Path::new("vrl").join(name))
        .collect();
    let mut compared = 0;
    for file in [
        "tests/vrl/pipeline.yaml",
        "tests/vrl/layers.yaml",
        "config-examples/acme/vector.yaml",
    ] {
        let config = VectorConfig::read(&[project().join(file)]).unwrap();
        for (name, transform) in &config.transforms {
            let TransformKind::Remap(Remap {
                files: Some(files), ..
            }) = &transform.kind
            else {
                continue;
            };
            let within = |file: &&PathBuf| file.starts_with("vrl/base");
            let base: Vec<&PathBuf> = files.iter().filter(within).collect();
            if !base.is_empty() {
                assert_eq!(base, bundled.iter().collect::<Vec<_>>(), "{file}: {name}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 6);
}

#[test]
fn man_pages_and_completions_come_from_the_command_line_itself() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("man1");
    let output = run(&["man", "--output", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    for page in ["vector-entra-id.1", "vector-entra-id-backfill.1"] {
        let page = std::fs::read_to_string(path.join(page)).unwrap();
        assert!(page.contains(".TH "), "{page}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(text(&output.stdout).contains("backfill"), "{shell}");
    }
}
