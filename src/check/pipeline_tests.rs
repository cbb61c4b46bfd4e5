use super::*;
use crate::{check::Verdict, config};

/// What is said of a pipeline, in a line each: verdict and text.
fn said(outlet: &str, pipeline: &str) -> Vec<String> {
    let config = format!(
        "state_dir: /x\noutlet: {outlet}\ntenants:\n  - tenant_id: \
         11111111-2222-3333-4444-555555555555\n    managed_identity: {{}}\n"
    );
    let config = config::parse("c", &config, Format::Yaml).unwrap();
    let pipeline: Value = serde_saphyr::from_str(pipeline).unwrap();
    let findings = Pipeline(&pipeline).judge(&config.outlet);
    findings
        .into_iter()
        .map(|finding| format!("{:?}: {}", finding.verdict, finding.text))
        .collect()
}

const HTTP: &str = "{http: {url: 'http://127.0.0.1:8080/'}}";

const WHOLE: &str = "
sources:
  entra: {type: http_server, address: '127.0.0.1:8080', decoding: {codec: json}}
transforms:
  ecs: {type: remap, inputs: [entra], source: '.'}
  routed: {type: route, inputs: [ecs], route: {status: 'true'}}
sinks:
  store:
    type: elasticsearch
    inputs: ['routed.*']
    acknowledgements: {enabled: true}
";

#[test]
fn acknowledgements_that_reach_the_source_are_told_once() {
    assert_eq!(
        said(HTTP, WHOLE),
        ["Ok: acknowledgements reach entra from every sink: store"]
    );
    let global = WHOLE.replace("    acknowledgements: {enabled: true}\n", "")
        + "acknowledgements: {enabled: true}\n";
    assert_eq!(said(HTTP, &global).len(), 1);
}

#[track_caller]
fn says(outlet: &str, pipeline: &str, verdict: Verdict, part: &str) {
    let said = said(outlet, pipeline);
    let verdict = format!("{verdict:?}: ");
    let found = said
        .iter()
        .any(|line| line.starts_with(&verdict) && line.contains(part));
    assert!(found, "{verdict}{part} is not in {said:#?}");
}

#[test]
fn each_break_in_the_chain_is_told() {
    use Verdict::{Fail, Warn};
    for (from, to, verdict, part) in [
        (
            ":8080'",
            ":8081'",
            Fail,
            "no http_server source listens on port 8080",
        ),
        ("codec: json", "codec: bytes", Fail, "codec: json"),
        ("8080',", "8080', path: /in,", Fail, "its path is /in"),
        (
            "8080',",
            "8080', framing: {method: bytes},",
            Fail,
            "leave `framing` out",
        ),
        ("8080',", "8080', method: PUT,", Fail, "must be POST"),
        (
            "8080',",
            "8080', auth: {strategy: basic},",
            Fail,
            "set outlet.http.auth",
        ),
        (
            "8080',",
            "8080', tls: {enabled: true},",
            Fail,
            "TLS is on at one end only",
        ),
        (
            "inputs: ['routed.*']",
            "inputs: [other]",
            Fail,
            "no sink is connected to entra",
        ),
        (
            "routed.*",
            "routed.status",
            Warn,
            "connect routed._unmatched",
        ),
        (
            "acknowledgements: {enabled: true}",
            "encoding: {}",
            Fail,
            "does not acknowledge",
        ),
        (
            "enabled: true",
            "enabled: false",
            Warn,
            "does not acknowledge",
        ),
        (
            "type: elasticsearch",
            "type: file\n    compression: zstd",
            Warn,
            "store compresses",
        ),
        (
            "enabled: true}",
            "enabled: true}\n    buffer: {type: disk, max_size: 1}",
            Warn,
            "has a disk buffer",
        ),
        (
            "enabled: true}",
            "enabled: true}\n    batch: {timeout_secs: 900}",
            Fail,
            "gathers batches for 900 s",
        ),
        ("type: remap", "type: throttle", Warn, "drops records"),
        (
            "type: remap",
            "type: reduce",
            Warn,
            "holds records in memory",
        ),
        (
            "source: '.'",
            "source: '.', drop_on_error: true",
            Warn,
            "reroute_dropped",
        ),
    ] {
        says(HTTP, &WHOLE.replacen(from, to, 1), verdict, part);
    }
}

#[test]
fn a_sink_that_keeps_nothing_need_not_acknowledge() {
    let with_console = format!("{WHOLE}  seen: {{type: console, inputs: [ecs]}}\n");
    says(
        HTTP,
        &with_console,
        Verdict::Warn,
        "seen (console) does not acknowledge",
    );
}

#[test]
fn an_exec_source_is_found_by_its_command() {
    let exec = "
sources:
  entra:
    type: exec
    mode: streaming
    command: [vector-entra-id, run, --config, /x]
    decoding: {codec: json}
    include_stderr: false
sinks:
  out: {type: file, inputs: [entra]}
";
    assert_eq!(
        said("{stdout: {}}", exec),
        ["Ok: entra is connected to out"]
    );
    let other = exec.replace("include_stderr: false", "include_stderr: true");
    says(
        "{stdout: {}}",
        &other,
        Verdict::Warn,
        "include_stderr: false",
    );
    says("{stdout: {}}", WHOLE, Verdict::Fail, "no exec source");
}
