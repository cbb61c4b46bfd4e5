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
    (0..suite.len())
        .map(|number| {
            let failures = suite.run(number).failures;
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
    input: {insert_at: second, type: vrl, source: '. = {\"a\": [1]}'}
    outputs: [{extract_from: [first, second], conditions: ['.b == [1]', '!exists(.message)']}]
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
    let expected = r#"check 0 of `only`, condition 0: function call error for "assert_eq" at (0:17): 
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
        ["ok", "1 event should come from `split`, and 3 events came"]
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
            "check 0 of `only`, condition 0: a condition says true or false; this one ends in another value",
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
            "transform `misspelt`: it needs exactly one of `source`, `file` and `files` \
             (it has `fils`)"
        ]
    );
}
