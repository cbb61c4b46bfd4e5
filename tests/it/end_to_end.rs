//! From the emulated tenant over TLS to a pipeline, by the real binary.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vector_entra_id::stream::Stream;

use crate::common::{Emulated, Pipeline, Process, Reply, revisions, until};

/// Every event is one of the record's versions, byte for byte, in the documented envelope, and the
/// revisions of a document come in the order of the record's versions.
fn check_events(emulated: &Emulated, events: &[Value]) {
    let mut versions: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for event in events {
        let envelope = &event["entra_id"];
        let stream: Stream = envelope["stream"].as_str().unwrap().parse().unwrap();
        let id = envelope["record_id"].as_str().unwrap();
        let message = event["message"].as_str().unwrap();
        let texts = emulated.texts(stream, id);
        let version = texts.iter().position(|text| text == message);
        let version = version.unwrap_or_else(|| panic!("{id} of {stream} is not as Graph sent it"));
        let document = envelope["document_id"].as_str().unwrap().to_owned();
        versions.insert((document, envelope["revision"].as_u64().unwrap()), version);
        assert_eq!(event["source_type"], "entra_id");
        assert_eq!(envelope["category"], stream.entry().category);
        assert_eq!(envelope["cloud"], "custom");
        assert!(event["timestamp"].is_string());
    }
    for ((document, revision), version) in &versions {
        if let Some(next) = versions.get(&(document.clone(), revision + 1)) {
            assert!(version < next, "{document} goes back to an older version");
        }
    }
}

async fn until_complete(emulated: &Emulated, events: impl Fn() -> Vec<Value>) {
    until("everything came through", || {
        let (owed, settled) = emulated.owed();
        settled && revisions(&events()).len() >= owed
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_every_revision_is_acked_once_and_a_restart_repeats_nothing() {
    let emulated = Emulated::start(400, 4).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.write_config(&emulated.config(pipeline.outlet()));
    let process = Process::run(&config);
    until_complete(&emulated, || pipeline.acked()).await;
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");

    let events = pipeline.acked();
    check_events(&emulated, &events);
    let counts = revisions(&events);
    assert_eq!(counts.len(), emulated.owed().0);
    assert!(
        counts.values().all(|times| *times == 1),
        "something came twice"
    );
    let headers = &pipeline.batches()[0].headers;
    assert_eq!(headers["content-encoding"], "gzip");
    assert!(headers["x-entra-id-stream"].parse::<Stream>().is_ok());
    assert_eq!(emulated.server.service().served.without_prefer, 0);

    let before = pipeline.batches().len();
    let process = Process::run(&config);
    let requests = emulated.server.service().served.requests;
    until("the second run has read everything again", || {
        emulated.server.service().served.requests > requests + 60
    })
    .await;
    assert_eq!(process.stop().0.code(), Some(0));
    assert_eq!(pipeline.batches().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_on_both_sides_lose_nothing() {
    let emulated = Emulated::start(300, 3).await;
    emulated.server.service().faults.rate = 0.15;
    let replies = vec![
        Reply::Status(500, "Error delivering contents to sink"),
        Reply::StoredAndBroken,
        Reply::Status(413, ""),
        Reply::Status(400, "Contents failed to deliver to sink"),
        Reply::Status(503, ""),
        Reply::StoredAndBroken,
    ];
    let pipeline = Pipeline::start(replies).await;
    let config = emulated.write_config(&emulated.config(pipeline.outlet()));
    let process = Process::run(&config);
    until_complete(&emulated, || pipeline.acked()).await;
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    let events = pipeline.acked();
    check_events(&emulated, &events);
    // What was acked came once; repeats are only of batches whose outcome was unknown.
    assert!(revisions(&events).values().all(|times| *times == 1));
    assert!(!emulated.path("state/dead-letters.ndjson").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_stdout_every_revision_is_a_line() {
    let emulated = Emulated::start(200, 3).await;
    let config = emulated.write_config(&emulated.config(json!({"stdout": {}})));
    let process = Process::run(&config);
    let events = || {
        let lines = process.lines();
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<Value>>()
    };
    until_complete(&emulated, events).await;
    let all = events();
    check_events(&emulated, &all);
    assert_eq!(revisions(&all).len(), emulated.owed().0);
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_bearer_and_page_tokens_cost_nothing() {
    let emulated = Emulated::start(300, 2).await;
    {
        let mut service = emulated.server.service();
        service.tokens.life = chrono::TimeDelta::seconds(2);
        service.page_token_life = chrono::TimeDelta::seconds(1);
    }
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.write_config(&emulated.config(pipeline.outlet()));
    let process = Process::run(&config);
    until_complete(&emulated, || pipeline.acked()).await;
    until("the token was renewed twice", || {
        emulated.server.service().served.tokens > 2
    })
    .await;
    assert_eq!(process.stop().0.code(), Some(0));
}
