use std::{fs, path::PathBuf};

use super::*;

/// The verdicts on the tests of a configuration, one text each: `ok` or all failures.
fn verdicts(config: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("vector.yaml");
    fs::write(&path, config).unwrap();
    let config = VectorConfig::read(&[path]).unwrap();
    let tables = Tables::load(&config.enrichment_tables).unwrap();
    let mut suite = Suite::new(config, tables);
    suite
        .run()
        .map(|verdict| {
            let failures = verdict.failures;
            if failures.is_empty() {
                "ok".into()
            } else {
                failures.join("\n")
            }
        })
        .collect()
}

#[test]
fn an_event_goes_from_where_it_is_inserted_to_where_it_is_extracted() {
    let verdicts = verdicts(
        "
transforms:
  first: {type: remap, inputs: [nowhere], source: '.a = .message'}
  second: {type: remap, inputs: ['fir*'], source: '.b = .a'}
tests:
  - name: both
    inputs: [{insert_at: first, value: x}]
    outputs: [{extract_from: second, conditions: ['.b == \"x\"']}]
  - name: the second alone
    inputs: [{insert_at: second, type: log, log_fields: {a: 1, b.c: 2}}]
    outputs: [{extract_from: second, conditions: [{type: vrl, source: '.b == 1 && .message == \"\"'}]}]
  - name: by VRL
    input: {insert_at: first, type: vrl, source: '. = {\"message\": [1]}'}
    outputs: [{extract_from: [first, second], conditions: ['.b == [1]', '!exists(.timestamp)']}]
",
    );
    assert_eq!(verdicts, ["ok", "ok", "ok"]);
}

#[test]
fn a_wrong_expectation_is_told_with_what_came() {
    let verdicts = verdicts(
        "
transforms:
  only: {type: remap, inputs: [], source: '. = {\"a\": 1}'}
tests:
  - name: wrong
    inputs: [{insert_at: only, value: x}]
    outputs: [{extract_from: only, conditions: ['assert_eq!(.a, 2)']}]
",
    );
    let expected = r#"check 0 of `only`, condition 0: function call error for "assert_eq" in the condition, line 1: 
  wanted  2
  got     1
what came from `only`:
  {"a":1}"#;
    assert_eq!(verdicts, [expected]);
}

#[test]
fn any_of_several_events_may_meet_a_condition_and_their_number_can_be_stated() {
    let verdicts = verdicts(
        "
transforms:
  split: {type: remap, inputs: [], source: '. = [{\"n\": 1}, {\"n\": 2}, 3]'}
tests:
  - name: any
    inputs: [{insert_at: split, value: x}]
    outputs: [{extract_from: split, conditions: ['.n == 2', '.message == 3'], expected_event_count: 3}]
  - name: count
    inputs: [{insert_at: split, value: x}]
    outputs: [{extract_from: split, expected_event_count: 1}]
",
    );
    assert_eq!(
        verdicts,
        [
            "ok",
            "1 event should come from `split`, and 3 events came\nwhat came from `split`:\n  \
             {\"n\":1}\n  {\"n\":2}\n  {\"message\":3}"
        ]
    );
}

#[test]
fn routes_filters_and_dropped_events_leave_by_their_own_outputs() {
    let verdicts = verdicts(
        "
transforms:
  kind:
    type: route
    inputs: []
    route: {number: 'is_integer(.n)', big: '(int(.n) ?? 0) > 9'}
  first: {type: exclusive_route, inputs: [], routes: [{name: one, condition: '.n == 1'}, {name: any, condition: 'true'}]}
  keep: {type: filter, inputs: [], condition: '.n == 1'}
  strict:
    type: remap
    inputs: []
    drop_on_error: true
    reroute_dropped: true
    source: '.n = to_int!(.message)'
tests:
  - name: every route that fits
    inputs: [{insert_at: kind, type: log, log_fields: {n: 10}}]
    outputs: [{extract_from: kind.number}, {extract_from: kind.big}]
    no_outputs_from: [kind._unmatched]
  - name: the first alone
    inputs: [{insert_at: first, type: log, log_fields: {n: 1}}]
    outputs: [{extract_from: first.one}]
    no_outputs_from: [first.any, first._unmatched]
  - name: filtered
    inputs: [{insert_at: keep, type: log, log_fields: {n: 2}}]
    no_outputs_from: [keep]
  - name: dropped
    inputs: [{insert_at: strict, value: x}]
    outputs:
      - extract_from: strict.dropped
        conditions: ['.message == \"x\" && .metadata.dropped.reason == \"error\"']
    no_outputs_from: [strict]
",
    );
    assert_eq!(verdicts, ["ok", "ok", "ok", "ok"]);
}

#[test]
fn a_test_that_can_prove_nothing_fails() {
    let verdicts = verdicts(
        "
transforms:
  only: {type: remap, inputs: [], source: '.a = 1'}
  other: {type: dedupe, inputs: [only]}
tests:
  - {name: '1', inputs: [{insert_at: only, value: x}]}
  - {name: '2', inputs: [{insert_at: nope, value: x}], outputs: [{extract_from: only}]}
  - {name: '3', inputs: [{insert_at: only, value: x}], outputs: [{extract_from: nope}]}
  - {name: '4', outputs: [{extract_from: only}]}
  - {name: '5', inputs: [{insert_at: only, value: x}], outputs: [{extract_from: other}]}
  - {name: '6', inputs: [{insert_at: other, value: x}], outputs: [{extract_from: only}]}
  - {name: '7', inputs: [{insert_at: only, value: x}], outputs: [{extract_from: only, conditions: ['.a']}]}
",
    );
    assert_eq!(
        verdicts
            .iter()
            .map(|failures| failures.lines().next().unwrap())
            .collect::<Vec<_>>(),
        [
            "it has neither `outputs` nor `no_outputs_from`",
            "there is no transform `nope` to insert at",
            "there is no output `nope` to extract from",
            "it has no `inputs`",
            "transform `other`: only Vector runs this type; run `vector test`",
            "nothing leads from `other` to what is extracted",
            "condition 0: a condition says true or false; this one ends in another value",
        ]
    );
}

#[test]
fn a_program_that_ends_early_is_told_where_its_event_is_missed() {
    let verdicts = verdicts(
        "
transforms:
  strict: {type: remap, inputs: [], drop_on_error: true, source: \"x = 1\\n.n = to_int!(.message)\"}
tests:
  - name: missed
    inputs: [{insert_at: strict, value: x}]
    outputs: [{extract_from: strict, conditions: ['true']}]
  - name: not missed
    inputs: [{insert_at: strict, value: x}]
    no_outputs_from: [strict]
",
    );
    let [missed, not_missed] = verdicts.as_slice() else {
        panic!("{verdicts:?}")
    };
    let expected = "no event came from `strict`\n`strict` dropped an event: \
                    function call error for \"to_int\" in source, line 2: ";
    assert!(missed.starts_with(expected), "{missed}");
    assert_eq!(not_missed, "ok");
}

#[test]
fn a_program_that_does_not_compile_is_told_in_full_once() {
    let verdicts = verdicts(
        "
transforms:
  wrong: {type: remap, inputs: [], source: '.n = nope(1)'}
  misspelt: {type: remap, inputs: [], fils: [a.vrl]}
tests:
  - {name: a, inputs: [{insert_at: wrong, value: x}], outputs: [{extract_from: wrong}]}
  - {name: b, inputs: [{insert_at: wrong, value: x}], outputs: [{extract_from: wrong}]}
  - {name: c, inputs: [{insert_at: misspelt, value: x}], outputs: [{extract_from: misspelt}]}
",
    );
    assert!(verdicts[0].contains("source, line 1:"), "{}", verdicts[0]);
    assert_eq!(
        verdicts[1..],
        [
            "transform `wrong` failed as told above",
            "transform `misspelt`: it has no option `fils`"
        ]
    );
}

/// What the one test of a configuration with these transforms says.
fn verdict(transforms: &str, test: &str) -> String {
    verdicts(&format!(
        "transforms: {{{transforms}}}\ntests: [{{name: t, inputs: [{{insert_at: a, value: x}}], {test}}}]"
    ))
    .concat()
}

#[test]
fn a_test_that_vector_would_not_build_fails() {
    let silent = "a: {type: filter, inputs: [], condition: 'false'}";
    let set = "a: {type: remap, inputs: [], source: '.x = 1'}";
    for (transforms, test, reason) in [
        (
            format!("{silent}, b: {{type: remap, inputs: [a], source: '.n = nope(1)'}}"),
            "no_outputs_from: [b]",
            "transform `b`: the VRL program does not compile",
        ),
        (
            format!("{silent}, b: {{type: sample, inputs: [a], rate: 10}}"),
            "no_outputs_from: [b]",
            "transform `b`: only Vector runs this type; run `vector test`",
        ),
        (
            format!("{set}, z: {{type: remap, inputs: [], source: '.x = 1'}}"),
            "outputs: [{extract_from: a}], no_outputs_from: [z]",
            "nothing leads from the test's inputs to `z`",
        ),
        (
            silent.into(),
            "outputs: [{extract_from: a, expected_event_count: 0, conditions: ['true']}]",
            "`a` is to give no event, so its conditions prove nothing",
        ),
        (
            set.into(),
            "outputs: [{extract_from: a, expected_event_count: 1}, \
             {extract_from: a, expected_event_count: 2}]",
            "`a` is to give 1 event and 2 events",
        ),
        (
            set.into(),
            "outputs: [{extract_from: a}], no_outputs_from: [a]",
            "`a` stands in `extract_from` and in `no_outputs_from`",
        ),
        (
            "a: {type: remap, inputs: [b], source: '.x = 1'}, \
             b: {type: remap, inputs: [a], source: '.x = 1'}"
                .into(),
            "outputs: [{extract_from: a}]",
            "the inputs of `a` come back to it: a cycle",
        ),
        (
            "a: {type: remap, inputs: ['a*'], source: '.x = 1'}".into(),
            "outputs: [{extract_from: a}]",
            "a pattern in the inputs of `a` takes the source of the test too",
        ),
        (
            "a: {type: remap, inputs: [], source: '.x = 1', drop_on_abrt: false}".into(),
            "outputs: [{extract_from: a}]",
            "transform `a`: it has no option `drop_on_abrt`",
        ),
        (
            "a: {type: remap, inputs: [], source: '%vector.x = 1'}".into(),
            "outputs: [{extract_from: a}]",
            "mutation of read-only value",
        ),
        (
            "a: {type: remap, inputs: [], source: '.x = get_secret(\"y\")'}".into(),
            "outputs: [{extract_from: a}]",
            "`get_secret` is a function that only Vector has",
        ),
    ] {
        let told = verdict(&transforms, test);
        assert!(told.contains(reason), "{told}");
    }
}

#[test]
fn a_pattern_takes_the_inserted_event_too_where_it_fits_the_test_s_source() {
    let transforms = "a: {type: remap, inputs: [], source: '.x = 1'}, \
                      b: {type: remap, inputs: ['a*'], source: '.y = .x'}";
    let test = "outputs: [{extract_from: b, expected_event_count: 2, conditions: ['true']}]";
    assert_eq!(verdict(transforms, test), "ok");
}

#[test]
fn times_without_a_zone_are_taken_in_the_transform_s() {
    let transforms = "a: {type: remap, inputs: [], timezone: Europe/Berlin, \
                      source: '.at = parse_timestamp!(\"2026-01-01 10:00\", \"%F %R\")'}";
    let test = "outputs: [{extract_from: a, conditions: [\".at == t'2026-01-01T09:00:00Z'\"]}]";
    assert_eq!(verdict(transforms, test), "ok");
}
