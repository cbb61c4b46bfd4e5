//! `test`, the runner for the tests of Vector configurations, as a person or a script sees it; and
//! whether a real Vector, where there is one on PATH, comes to the same verdicts.

use std::{fs, path::Path, process::Command};

use crate::{catalogue::project, common::binary, real_vector::there_is_vector};

/// What `test` prints about this configuration, and its exit code.
fn run(config: &str, more: &[&str]) -> (String, String, Option<i32>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vector.yaml");
    fs::write(&path, config).unwrap();
    let output = binary().arg("test").arg(&path).args(more).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code(),
    )
}

const CONFIG: &str = "
transforms:
  only:
    type: remap
    inputs: []
    source: |
      .a = 1
      unused = 2
tests:
  - name: it is one
    inputs: [{insert_at: only, value: x}]
    outputs: [{extract_from: only, conditions: ['assert_eq!(.a, 1)']}]
  - name: it is a list
    inputs: [{insert_at: only, value: x}]
    outputs: [{extract_from: only, conditions: ['assert_eq!(., {\"a\": 2, \"message\": \"x\"})']}]
";

#[test]
fn each_test_is_reported_with_a_readable_difference_and_a_count() {
    let (out, errors, code) = run(CONFIG, &[]);
    assert_eq!(code, Some(1));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[..3],
        [
            "Running 2 tests",
            "test it is one ... passed",
            "test it is a list ... FAILED"
        ]
    );
    assert!(out.contains("\n    -   \"a\": 2,\n"), "{out}");
    assert!(out.contains("\n    +   \"a\": 1,\n"), "{out}");
    assert_eq!(lines.last(), Some(&"1 passed, 1 failed"));
    assert!(errors.contains("unused variable"), "{errors}");
    assert!(errors.ends_with("1 of 2 tests failed\n"), "{errors}");
}

#[test]
fn one_test_can_be_run_alone_and_a_name_that_fits_none_is_a_mistake() {
    let (out, _, code) = run(CONFIG, &["--only", "is one"]);
    assert_eq!(code, Some(0));
    assert!(out.ends_with("1 passed, 0 failed\n"), "{out}");
    let (_, errors, code) = run(CONFIG, &["--only", "is two"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("--only is two: no test"), "{errors}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_2() {
    let (_, errors, code) = run("transforms: [", &[]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("vector.yaml"), "{errors}");
}

/// Tests of every sort, some of which fail.
const VERDICTS: &str = r#"
transforms:
  first:
    type: remap
    inputs: []
    drop_on_error: true
    reroute_dropped: true
    source: |
      .n = to_int!(.message)
      if .n == 7 { . = [., {"n": 8}] }
  parity:
    type: route
    inputs: [first]
    route: {even: 'mod(int!(.n), 2) == 0', small: 'int!(.n) < 5'}
  large:
    type: filter
    inputs: [parity.even]
    condition: 'int!(.n) > 5'
  strict:
    type: remap
    inputs: []
    drop_on_abort: false
    source: 'if .a == 1 { abort "one" } else { .b.c = %m }'
  first_fit:
    type: exclusive_route
    inputs: ['str*']
    routes: [{name: one, condition: '.a == 1'}, {name: log, condition: {type: is_log}}]
  only:
    type: route
    inputs: [first_fit.log]
    reroute_unmatched: false
    route: {with_b: 'exists(.b.c)'}
tests:
  - name: a number goes its way
    inputs: [{insert_at: first, value: "6"}]
    outputs: [{extract_from: large, conditions: ['assert_eq!(.n, 6)']}]
    no_outputs_from: [parity.small]
  - name: a wrong expectation
    inputs: [{insert_at: first, value: "6"}]
    outputs: [{extract_from: large, conditions: ['assert_eq!(.n, 5)']}]
  - name: an array is several events
    inputs: [{insert_at: first, value: "7"}]
    outputs: [{extract_from: first, expected_event_count: 2, conditions: ['.n == 8']}]
  - name: one event too few
    inputs: [{insert_at: first, value: "7"}]
    outputs: [{extract_from: first, expected_event_count: 3, conditions: ['true']}]
  - name: a failure leaves by its own output
    inputs: [{insert_at: first, value: "x"}]
    outputs: [{extract_from: first.dropped, conditions: ['.metadata.dropped.reason == "error"', 'exists(.metadata.dropped.message)']}]
    no_outputs_from: [first]
  - name: nothing comes
    inputs: [{insert_at: first, value: "x"}]
    outputs: [{extract_from: first, conditions: ['true']}]
  - name: what fits no route
    inputs: [{insert_at: parity, type: log, log_fields: {n: 9}}]
    outputs: [{extract_from: parity._unmatched, conditions: ['.n == 9']}]
  - name: something comes where nothing should
    inputs: [{insert_at: parity, type: log, log_fields: {n: 2}}]
    no_outputs_from: [parity.small]
  - name: an abort that does not drop lets the event through
    input: {insert_at: strict, type: vrl, source: '. = {"a": 1}'}
    outputs: [{extract_from: strict, conditions: ['. == {"a": 1}']}]
  - name: by another way than its own
    inputs: [{insert_at: strict, type: log, log_fields: {a: 1, '%m': 2}}]
    outputs: [{extract_from: first_fit.log, conditions: ['true']}]
  - name: metadata and paths, and both entries of a pattern
    inputs: [{insert_at: strict, type: log, log_fields: {x.y: 1, '%m': 2}}]
    outputs:
      - {extract_from: first_fit.log, expected_event_count: 2, conditions: ['.b.c == 2', '.x == {"y": 1}']}
      - {extract_from: only.with_b, expected_event_count: 1}
  - name: several inputs and outputs, of which one condition holds for none
    inputs:
      - {insert_at: strict, type: log, log_fields: {a: 3}}
      - {insert_at: large, type: log, log_fields: {n: 9}}
    outputs:
      - {extract_from: [strict, large], expected_event_count: 2, conditions: ['.a == 3', '.n == 8']}
  - name: none is as many as expected
    inputs: [{insert_at: large, type: log, log_fields: {n: 1}}]
    outputs: [{extract_from: large, expected_event_count: 0}]
"#;

/// The verdicts in an output of `vector test` or of our `test`.
fn verdicts(output: &str) -> Vec<String> {
    let lines = output.lines().filter(|line| line.contains(" ... "));
    lines.map(str::to_lowercase).collect()
}

const EXPECTED: [&str; 13] = [
    "test a number goes its way ... passed",
    "test a wrong expectation ... failed",
    "test an array is several events ... passed",
    "test one event too few ... failed",
    "test a failure leaves by its own output ... passed",
    "test nothing comes ... failed",
    "test what fits no route ... passed",
    "test something comes where nothing should ... failed",
    "test an abort that does not drop lets the event through ... passed",
    "test by another way than its own ... failed",
    "test metadata and paths, and both entries of a pattern ... passed",
    "test several inputs and outputs, of which one condition holds for none ... failed",
    "test none is as many as expected ... passed",
];

#[test]
fn a_test_of_every_sort_passes_and_fails_as_it_should() {
    let (out, _, _) = run(VERDICTS, &[]);
    assert_eq!(verdicts(&out), EXPECTED);
}

/// The files that the guide to extensions shows: the name stands before the block.
fn files_of_the_guide() -> Vec<(String, String)> {
    let guide = fs::read_to_string(project().join("docs/extending-the-mapping.md")).unwrap();
    let mut files = Vec::new();
    let mut name = String::new();
    for block in guide.split("```") {
        if let Some((_, text)) = block.split_once('\n').filter(|_| !name.is_empty()) {
            files.push((std::mem::take(&mut name), text.to_owned()));
        }
        let line = block.trim_end().lines().last().unwrap_or_default();
        if let Some(quoted) = line.strip_suffix("`:") {
            name = quoted.rsplit('`').next().unwrap_or_default().to_owned();
        }
    }
    files
}

#[test]
fn what_the_guide_to_extensions_shows_works_as_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    let files = files_of_the_guide();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "acme/acme.vrl",
            "acme/device_names.vrl",
            "vector.yaml",
            "acme/component.json"
        ]
    );
    fs::create_dir(dir.path().join("acme")).unwrap();
    for (name, text) in &files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    for args in [vec!["vrl", "--output", "vrl"], vec!["test", "vector.yaml"]] {
        let output = binary()
            .args(&args)
            .current_dir(dir.path())
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{args:?}\n{out}");
    }
    let component = fs::read_to_string(dir.path().join("acme/component.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&component).unwrap();
}

#[test]
fn a_real_vector_comes_to_the_same_verdicts() {
    if !there_is_vector() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vector.yaml");
    fs::write(&path, VERDICTS).unwrap();
    let output = vector(&["test", path.to_str().unwrap()], dir.path());
    assert_eq!(verdicts(&output), EXPECTED, "{output}");
}

#[test]
fn a_real_vector_finds_the_mapping_s_configurations_valid() {
    if !there_is_vector() {
        return;
    }
    for files in [
        vec!["tests/vrl/pipeline.yaml", "tests/vrl/layers.yaml"],
        vec!["config-examples/acme/vector.yaml"],
    ] {
        let mut args = vec!["validate", "--no-environment", "--deny-warnings"];
        args.extend(files);
        let output = vector(&args, &project());
        assert!(output.contains("Validated"), "{output}");
    }
}

/// What Vector prints.
fn vector(args: &[&str], directory: &Path) -> String {
    let output = Command::new("vector")
        .args(args)
        .current_dir(directory)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
