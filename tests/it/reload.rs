//! SIGHUP: another configuration without another process.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use crate::common::{Emulated, Pipeline, Process, revisions, until};

fn streams(pipeline: &Pipeline) -> BTreeSet<String> {
    let stored = pipeline.stored();
    let of = |event: &Value| event["entra_id"]["stream"].as_str().unwrap().to_owned();
    stored.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_collects_by_the_new_configuration_and_repeats_nothing() {
    let emulated = Emulated::start(200, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let mut config = emulated.config(pipeline.outlet());
    config["tenants"][0]["streams"] = json!(["sign_ins"]);
    config["telemetry"] = json!({"status_secs": 0});
    let mut process = Process::run(&emulated.write_config(&config));
    until("sign-ins come", || !pipeline.acked().is_empty()).await;
    config["tenants"][0]["streams"] = json!(["sign_ins", "directory_audits"]);
    emulated.write_config(&config);
    process.signal("HUP");
    until("audits come", || {
        streams(&pipeline).contains("directory_audits")
    })
    .await;
    until("everything was read", || {
        let service = emulated.server.service();
        let now = chrono::Utc::now();
        let owed: usize = [
            vector_entra_id::stream::Stream::SignIns,
            vector_entra_id::stream::Stream::DirectoryAudits,
        ]
        .map(|stream| service.owed(stream, now))
        .iter()
        .sum();
        revisions(&pipeline.acked()).len() >= owed
    })
    .await;
    assert!(process.is_running());
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(
        errors.contains("collecting by the configuration as it is now"),
        "{errors}"
    );
    let repeated: Vec<_> = revisions(&pipeline.acked())
        .into_iter()
        .filter(|(_, times)| *times > 1)
        .collect();
    assert!(repeated.is_empty(), "{repeated:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_configuration_is_reported_and_the_old_one_stays() {
    let emulated = Emulated::start(100, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.config(pipeline.outlet());
    let path = emulated.write_config(&config);
    let mut process = Process::run(&path);
    until("records come", || !pipeline.acked().is_empty()).await;
    fs::write(&path, "{\"tenants\": 7}").unwrap();
    process.signal("HUP");
    until("the faults are told", || {
        process.errors().contains("not reloaded")
    })
    .await;
    let before = emulated.server.service().served.requests;
    until("Graph is read on", || {
        emulated.server.service().served.requests > before + 5
    })
    .await;
    assert!(process.is_running());
    assert_eq!(process.stop().0.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_stdout_a_reload_writes_nothing_again_and_mends_a_halt() {
    let emulated = Emulated::start(100, 1).await;
    let config = emulated.config(json!({"stdout": {}}));
    let path = emulated.write_config(&config);
    let process = Process::run(&path);
    let owed = || emulated.owed();
    until("everything came", || {
        let (owed, settled) = owed();
        let events = process
            .lines()
            .iter()
            .filter(|line| line.contains("\"revision\""))
            .count();
        settled && events >= owed
    })
    .await;
    let before = process.lines().len();
    process.signal("HUP");
    until("it collects again", || {
        process.errors().matches("collecting; state in").count() == 2
    })
    .await;
    let requests = emulated.server.service().served.requests;
    until("Graph is read again", || {
        emulated.server.service().served.requests > requests + 10
    })
    .await;
    let after = process.lines().len();
    assert!(after <= before + 11, "{before} lines, then {after}");
    process.stop();
    fs::write(emulated.path("secret"), "wrong").unwrap();
    let process = Process::run(&path);
    until("it halts", || {
        process.errors().contains("staying quiet until stopped")
    })
    .await;
    fs::write(emulated.path("secret"), crate::common::SECRET).unwrap();
    process.signal("HUP");
    until("it collects", || {
        process.errors().matches("collecting; state in").count() == 2
    })
    .await;
    assert_eq!(process.stop().0.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_started_by_gives_way_to_the_one_before() {
    let emulated = Emulated::start(100, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let mut config = emulated.config(pipeline.outlet());
    let mut process = Process::run(&emulated.write_config(&config));
    until("records come", || !pipeline.acked().is_empty()).await;
    // What is saved was saved by slots of another length.
    config["collect"]["slot_secs"] = json!(120);
    emulated.write_config(&config);
    process.signal("HUP");
    until("the old one stays", || {
        process
            .errors()
            .contains("not reloaded, the old configuration stays: the state file was written with")
    })
    .await;
    until("it collects again", || {
        process.errors().matches("collecting; state in").count() == 2
    })
    .await;
    assert!(process.is_running());
    assert_eq!(process.stop().0.code(), Some(0));
}
