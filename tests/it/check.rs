//! The doctor: one thing broken at a time, and what is said of it.

use std::{fs, process::Output};

use serde_json::{Value, json};

use crate::common::{Emulated, Pipeline, Process, Reply, SECRET, binary, until};

/// What `check` says as JSON, with its exit code.
async fn check(emulated: &Emulated, config: &Value) -> (Option<i32>, Vec<Value>) {
    let output = run(emulated, config, &["--format", "json"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(SECRET), "{text}");
    let all: Value = serde_json::from_str(&text).unwrap();
    (
        output.status.code(),
        all["findings"].as_array().unwrap().clone(),
    )
}

async fn run(emulated: &Emulated, config: &Value, more: &[&str]) -> Output {
    let path = emulated.write_config(config);
    let mut command = binary();
    command.args(["check", "--config"]).arg(path).args(more);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[track_caller]
fn says(findings: &[Value], verdict: &str, area: &str, part: &str) {
    let found = findings.iter().any(|finding| {
        finding["verdict"] == verdict
            && finding["area"] == area
            && finding["text"].as_str().unwrap().contains(part)
    });
    assert!(found, "{verdict} {area} {part} is not in {findings:#?}");
}

fn failures(findings: &[Value]) -> Vec<&Value> {
    findings
        .iter()
        .filter(|finding| finding["verdict"] == "fail")
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_is_well_nothing_fails_and_no_event_is_sent() {
    let emulated = Emulated::start(200, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.config(pipeline.outlet());
    let (code, findings) = check(&emulated, &config).await;
    assert_eq!((code, failures(&findings)), (Some(0), vec![]));
    says(&findings, "ok", "stream", "beta; a record of");
    says(&findings, "ok", "clock", "as Microsoft's");
    let policies = "without Policy.Read.ConditionalAccess";
    says(&findings, "warn", "permissions", policies);
    assert!(pipeline.stored().is_empty());
    let streams = findings
        .iter()
        .filter(|finding| finding["area"] == "stream");
    assert_eq!(streams.count(), 11);
    let output = run(&emulated, &config, &[]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    assert!(text.contains(" ok    sign_ins: beta; "), "{text}");
    assert!(text.contains("\n0 failed, "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_graph_or_entra_refuses_is_told_with_its_remedy() {
    let emulated = Emulated::start(200, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.config(pipeline.outlet());
    let app = emulated.server.service().app.clone();
    emulated
        .server
        .service()
        .app
        .permissions
        .remove("SecurityAlert.Read.All");
    let (code, findings) = check(&emulated, &config).await;
    assert_eq!((code, failures(&findings).len()), (Some(1), 1));
    says(
        &findings,
        "fail",
        "stream",
        "SecurityAlert.Read.All is missing",
    );
    says(&findings, "fail", "stream", "/adminconsent?client_id=");
    says(
        &findings,
        "warn",
        "permissions",
        "does not name SecurityAlert.Read.All",
    );
    emulated.server.service().app.permissions.clear();
    let (_, findings) = check(&emulated, &config).await;
    says(&findings, "fail", "permissions", "the token carries none");
    emulated.server.service().app.permissions = app.permissions.clone();
    emulated.server.service().app.premium = false;
    let (_, findings) = check(&emulated, &config).await;
    says(&findings, "fail", "stream", "no licence for this stream");
    emulated.server.service().app.premium = true;
    fs::write(emulated.path("secret"), "wrong").unwrap();
    let (code, findings) = check(&emulated, &config).await;
    assert_eq!(code, Some(1));
    says(&findings, "fail", "token", "AADSTS7000215");
    says(&findings, "skipped", "streams", "without a token");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_on_this_side_is_told_with_its_remedy() {
    let emulated = Emulated::start(20, 1).await;
    let mut config = emulated.config(json!({"http": {"url": "http://127.0.0.1:9/"}}));
    let (code, findings) = check(&emulated, &config).await;
    assert_eq!(code, Some(1));
    says(
        &findings,
        "fail",
        "delivery",
        "start Vector, or check outlet.http.url",
    );
    let shut = Pipeline::start(vec![Reply::Status(401, "no"); 10]).await;
    config["outlet"] = shut.outlet();
    let (_, findings) = check(&emulated, &config).await;
    says(&findings, "fail", "delivery", "outlet.http.auth");
    fs::write(emulated.path("state"), "").unwrap();
    let (_, findings) = check(&emulated, &config).await;
    says(&findings, "fail", "state", "is no directory");
    fs::remove_file(emulated.path("state")).unwrap();
    fs::create_dir(emulated.path("state")).unwrap();
    fs::write(emulated.path("state").join("state.redb"), "").unwrap();
    let line = json!({"entra_id": {"tenant_id": config["tenants"][0]["tenant_id"],
                                   "stream": "sign_ins"}});
    fs::write(
        emulated.path("state").join("dead-letters.ndjson"),
        format!("{line}\n"),
    )
    .unwrap();
    let (_, findings) = check(&emulated, &config).await;
    says(&findings, "fail", "state", "it is empty");
    says(&findings, "warn", "dead letters", "1 record in");
    config["outlet"] = json!({"http": {"url": "ftp://x/"}});
    config["tenants"][0]["tenant_id"] = json!("contoso.com");
    let (code, findings) = check(&emulated, &config).await;
    assert_eq!(code, Some(1));
    says(&findings, "fail", "configuration", "tenants[0].tenant_id");
    says(&findings, "fail", "configuration", "outlet.http.url");
    says(
        &findings,
        "skipped",
        "everything else",
        "configuration is mended",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_source_is_asked_instead_of_graph() {
    let emulated = Emulated::start(200, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.config(pipeline.outlet());
    emulated
        .server
        .service()
        .app
        .permissions
        .remove("SecurityAlert.Read.All");
    let process = Process::run(&emulated.write_config(&config));
    until("the denied stream is told", || {
        process
            .errors()
            .contains("SecurityAlert.Read.All is missing")
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let (code, findings) = check(&emulated, &config).await;
    assert_eq!(code, Some(1), "{findings:#?}");
    says(&findings, "ok", "source", "runs");
    says(&findings, "ok", "stream", "read up to 20");
    says(
        &findings,
        "fail",
        "stream",
        "SecurityAlert.Read.All is missing",
    );
    says(&findings, "ok", "limits", "reports: ");
    process.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn vector_s_own_configuration_is_followed_from_the_source_to_its_sinks() {
    let emulated = Emulated::start(20, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let address = pipeline
        .url
        .trim_start_matches("http://")
        .trim_end_matches('/');
    let vector = emulated.path("vector.yaml");
    let text = format!(
        "sources:\n  in: {{type: http_server, address: '{address}', decoding: {{codec: json}}}}\n\
         sinks:\n  out: {{type: file, inputs: [in], path: /x, encoding: {{codec: json}}}}\n"
    );
    fs::write(&vector, text).unwrap();
    let config = emulated.config(pipeline.outlet());
    let vector = vector.to_str().unwrap();
    let output = run(&emulated, &config, &["--vector-config", vector]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("FAIL  vector: out (file) does not acknowledge"),
        "{text}"
    );
    let output = run(&emulated, &config, &["--vector-config", "/missing.yaml"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("cannot read /missing.yaml"), "{text}");
}
