//! Faults of a configuration: all at once, each with its place and what to do.

mod ways;

use vector_entra_id::config::{Format, Outlet, parse};

fn faults(text: &str, format: Format) -> Vec<String> {
    let faults = parse("config.yaml", text, format).unwrap_err();
    let list = faults.list.iter();
    list.map(|fault| format!("{}: {}", fault.place, fault.remedy))
        .collect()
}

fn yaml_faults(text: &str) -> Vec<String> {
    faults(text, Format::Yaml)
}

#[track_caller]
fn says(faults: &[String], place: &str, remedy: &str) {
    assert!(
        faults
            .iter()
            .any(|fault| fault.starts_with(place) && fault.contains(remedy)),
        "{place} {remedy} is not in {faults:#?}"
    );
}

/// A configuration without fault, but for what is appended to it.
fn valid(dir: &tempfile::TempDir) -> String {
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "s3cr3t").unwrap();
    format!(
        "state_dir: /var/lib/x\n\
         outlet: {{http: {{url: 'http://127.0.0.1:8080/'}}}}\n\
         tenants:\n  - tenant_id: 11111111-2222-3333-4444-555555555555\n    \
         client_id: 66666666-7777-8888-9999-000000000000\n    \
         client_secret: {{file: {}}}\n",
        secret.display()
    )
}

#[test]
fn an_empty_file_is_told_all_that_is_missing() {
    for (text, format) in [("", Format::Yaml), ("", Format::Toml), ("{}", Format::Json)] {
        let faults = faults(text, format);
        assert_eq!(faults.len(), 3, "{faults:#?}");
        says(&faults, "state_dir", "is missing");
        says(&faults, "tenants", "is missing");
        says(&faults, "outlet", "is missing");
    }
}

#[test]
fn every_fault_of_a_file_is_told_at_once() {
    let faults = yaml_faults(
        "stat_dir: /x\n\
         outlet: {http: {url: 'http://vector.example:8080/', compresion: gzip}}\n\
         collect: {poll_secs: 0, reread_ages_secs: [60, 30], overlap_secs: soon}\n\
         tenants:\n  - tenant_id: contoso.com\n    client_id: 7\n    client_secret: {env: A, file: b}\n    \
         cloud: mars\n    streams: [sign_in, sign_ins, sign_ins, 5]\n  - nonsense\n",
    );
    says(&faults, "stat_dir", "did you mean `state_dir`?");
    says(&faults, "outlet.http.url", "use https");
    says(
        &faults,
        "outlet.http.compresion",
        "did you mean `compression`?",
    );
    says(
        &faults,
        "collect.poll_secs",
        "is 0; it must be a whole number from 1",
    );
    says(
        &faults,
        "collect.overlap_secs",
        "is \"soon\"; it must be a whole number from 0",
    );
    says(&faults, "collect.reread_ages_secs", "must rise");
    says(&faults, "tenants[0].tenant_id", "is not a GUID");
    says(&faults, "tenants[0].client_id", "is 7; it must be a text");
    says(&faults, "tenants[0].client_secret", "name one place");
    says(
        &faults,
        "tenants[0].cloud",
        "global, us_gov_l4, us_gov_l5, china",
    );
    says(&faults, "tenants[0].streams[0]", "did you mean sign_ins?");
    says(&faults, "tenants[0].streams[2]", "stands twice");
    says(&faults, "tenants[0].streams[3]", "is no stream");
    says(&faults, "tenants[1]", "");
}

#[test]
fn the_three_notations_give_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let yaml = valid(&dir);
    let value: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
    let toml = toml::to_string(&value).unwrap();
    let configs = [
        (yaml.as_str(), Format::Yaml),
        (&toml, Format::Toml),
        (&value.to_string(), Format::Json),
    ]
    .map(|(text, format)| format!("{:?}", parse("x", text, format).unwrap()));
    assert_eq!(configs[0], configs[1]);
    assert_eq!(configs[0], configs[2]);
}

#[test]
fn defaults_are_those_of_a_live_tenant() {
    let dir = tempfile::tempdir().unwrap();
    let config = parse("x", &valid(&dir), Format::Yaml).unwrap();
    assert_eq!(config.tenants[0].streams.len(), 11);
    assert_eq!(config.tenants[0].cloud.name(), "global");
    assert_eq!(config.collect.poll_secs.get(), 30);
    assert_eq!(config.collect.limits.reports.requests.get(), 5);
    let Outlet::Http(http) = config.outlet else {
        panic!("{:?}", config.outlet);
    };
    assert_eq!(http.reply_timeout.as_secs(), 900);
}

#[test]
fn broken_text_is_told_with_its_line() {
    let broken = yaml_faults("tenants:\n  - a: [1\nstate_dir: x\n");
    assert!(
        broken[0].contains("is not valid YAML") && broken[0].contains("line"),
        "{broken:?}"
    );
    let broken = faults("state_dir = \n", Format::Toml);
    assert!(
        broken[0].contains("is not valid TOML") && broken[0].contains("line 1"),
        "{broken:?}"
    );
    let broken = faults("{\"state_dir\": }", Format::Json);
    assert!(
        broken[0].contains("is not valid JSON") && broken[0].contains("line 1"),
        "{broken:?}"
    );
}

#[test]
fn a_tenant_stands_once_and_a_custom_cloud_alone() {
    let dir = tempfile::tempdir().unwrap();
    let tenant = valid(&dir);
    let entry = tenant.split_once("tenants:\n").unwrap().1.to_owned();
    let twice = yaml_faults(&format!("{tenant}{entry}"));
    says(&twice, "tenants[1].tenant_id", "stands twice");
    let both = yaml_faults(&format!(
        "{tenant}    cloud: global\n    custom_cloud: {{authority_url: 'https://a', graph_url: 'https://b'}}\n"
    ));
    says(&both, "tenants[0].cloud", "keep one of the two");
    let plain = yaml_faults(&format!(
        "{tenant}    custom_cloud: {{authority_url: 'http://a', ca_file: /nowhere/ca.pem}}\n"
    ));
    says(
        &plain,
        "tenants[0].custom_cloud.authority_url",
        "must begin with https://",
    );
    says(&plain, "tenants[0].custom_cloud.graph_url", "is missing");
    says(&plain, "tenants[0].custom_cloud.ca_file", "cannot read");
}

#[test]
fn a_secret_that_is_not_there_is_named_by_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let config = valid(&dir);
    let path = dir.path().join("secret").display().to_string();
    let unset = config.replace(
        &format!("file: {path}"),
        "env: ENTRA_TEST_SECRET_THAT_IS_NOT_SET",
    );
    says(
        &yaml_faults(&unset),
        "tenants[0].client_secret",
        "is not set",
    );
    std::fs::write(dir.path().join("secret"), "\n").unwrap();
    says(
        &yaml_faults(&config),
        "tenants[0].client_secret",
        "holds no secret",
    );
    std::fs::remove_file(dir.path().join("secret")).unwrap();
    says(
        &yaml_faults(&config),
        "tenants[0].client_secret",
        "cannot read",
    );
}

#[test]
fn one_outlet_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let config = valid(&dir);
    let outlet = |outlet: &str| {
        let lines = config.lines().map(|line| match line.starts_with("outlet") {
            true => format!("outlet: {outlet}"),
            false => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    for wrong in ["{}", "{stdout: {}, http: {url: 'http://127.0.0.1/'}}"] {
        says(&yaml_faults(&outlet(wrong)), "outlet", "choose one");
    }
    says(
        &yaml_faults(&outlet("{http: {}}")),
        "outlet.http.url",
        "is missing",
    );
    says(
        &yaml_faults(&outlet("{http: {url: 'ftp://127.0.0.1/'}}")),
        "outlet.http.url",
        "http or https",
    );
    says(
        &yaml_faults(&outlet("{http: {url: 'https://u:p@vector.example/'}}")),
        "outlet.http.url",
        "must not hold a user or password",
    );
    assert!(parse("x", &outlet("{stdout: {}}"), Format::Yaml).is_ok());
    assert!(
        parse(
            "x",
            &outlet("{http: {url: 'http://[::1]:80/'}}"),
            Format::Yaml
        )
        .is_ok()
    );
}

#[test]
fn the_example_and_the_reference_s_own_text_are_valid_but_for_their_secret() {
    let reference = include_str!("../../docs/configuration.md");
    let block = reference
        .split("```yaml\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    for text in [block, include_str!("../../config-examples/entra-id.yaml")] {
        let text = text.replace("ENTRA_CLIENT_SECRET", "PATH");
        let config = parse("x", &text, Format::Yaml);
        assert!(config.is_ok(), "{}", config.unwrap_err());
    }
}

#[test]
fn a_secret_that_was_written_into_the_file_is_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let config = valid(&dir);
    let place = format!("{{file: {}}}", dir.path().join("secret").display());
    for inline in [
        "abc~8Q~xyz",
        "{env: abc~8Q~xyz}",
        "[abc~8Q~xyz]",
        "{file: [abc~8Q~xyz]}",
    ] {
        let faults = yaml_faults(&config.replace(&place, inline));
        says(&faults, "tenants[0].client_secret", "env");
        assert!(
            !faults.iter().any(|fault| fault.contains("8Q~")),
            "{faults:?}"
        );
    }
    let toml = faults("[[tenants]]\nclient_secret = abc~8Q~xyz\n", Format::Toml);
    assert!(
        toml[0].contains("line 2") && !toml[0].contains("8Q~"),
        "{toml:?}"
    );
}

#[test]
fn one_fault_is_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let valid = valid(&dir);
    for (more, line) in [
        (
            "collect: {revisions: {sign_ins: x}}",
            "collect.revisions: \"x\" is not known; known: emit, ignore",
        ),
        (
            "collect: {revisions: {sign_in: emit}}",
            "collect.revisions: \"sign_in\" is not known; known: ",
        ),
        (
            "collect: {limits: {reports: {requests: 0, per_ms: 1}}}",
            "collect.limits.reports.requests: is 0; it must be a whole number from 1",
        ),
        (
            "telemetry: {metrics_listen: 'localhost:9598'}",
            "telemetry.metrics_listen: must be an address with its port",
        ),
        (
            "telemetry: {metrics_listen: 9598}",
            "telemetry.metrics_listen: is 9598; it must be an address with its port",
        ),
        ("state_dir: ''", "state_dir: must be a directory's path"),
        (
            "log: {level: loud}",
            "log.level: \"loud\" is not known; known: error, warn",
        ),
    ] {
        let text = match more.starts_with("state_dir") {
            true => valid.replace("state_dir: /var/lib/x", more),
            false => format!("{valid}{more}\n"),
        };
        let faults = yaml_faults(&text);
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert!(faults[0].starts_with(line), "{line} is not {}", faults[0]);
    }
}
