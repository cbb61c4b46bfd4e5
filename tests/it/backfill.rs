//! History: by the command itself and by the running source, once, and after a kill.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Output,
};

use serde_json::{Value, json};
use vector_entra_id::stream::{Kind, Stream};

use crate::common::{Emulated, Pipeline, Process, Reply, binary, until};

/// A tenant with two hours of history, of which a source by itself reads the last minute.
async fn tenant(records: usize) -> Emulated {
    Emulated::start(records, 1).await
}

fn config(emulated: &Emulated, outlet: Value) -> Value {
    let mut config = emulated.config(outlet);
    config["collect"]["start_secs"] = json!(60);
    config
}

async fn backfill(config: &Path, more: &[&str]) -> Output {
    let mut command = binary();
    command
        .args(["backfill", "--config"])
        .arg(config)
        .args(more);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The ids of every record that has a history, by stream.
fn held(emulated: &Emulated) -> BTreeSet<(String, String)> {
    let service = emulated.server.service();
    let by_time = Stream::ALL
        .into_iter()
        .filter(|stream| stream.entry().kind != Kind::Snapshot);
    by_time
        .flat_map(|stream| {
            let records = service.tenant.records(stream).iter();
            records
                .map(|stored| (stream.name().to_owned(), stored.id.clone()))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// How often each record came in its first revision, but for the lists of states.
fn firsts(events: &[Value]) -> BTreeMap<(String, String), usize> {
    let mut firsts = BTreeMap::new();
    for event in events {
        let envelope = &event["entra_id"];
        let part = |key: &str| envelope[key].as_str().unwrap_or_default().to_owned();
        let is_first = envelope["revision"] == 0 && !part("stream").starts_with("risky_");
        if envelope["kind"].is_null() && is_first {
            *firsts
                .entry((part("stream"), part("record_id")))
                .or_default() += 1;
        }
    }
    firsts
}

fn came_once(emulated: &Emulated, pipeline: &Pipeline) {
    let firsts = firsts(&pipeline.stored());
    let came: BTreeSet<_> = firsts.keys().cloned().collect();
    let held = held(emulated);
    assert_eq!(
        held.difference(&came).collect::<Vec<_>>(),
        [] as [&(String, String); 0]
    );
    let repeated: Vec<_> = firsts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_no_source_running_the_command_reads_history_itself_and_never_twice() {
    let emulated = tenant(400).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.write_config(&config(&emulated, pipeline.outlet()));
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let output = backfill(&config, &["--since", "3h"]).await;
    let (told, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{told}\n{errors}");
    assert!(
        told.contains("sign_ins: ") && told.contains(" records of 2h"),
        "{told}"
    );
    assert!(!errors.contains('\u{1b}'), "{errors}");
    let once = pipeline.stored().len();
    let again = backfill(&config, &["--since", "3h"]).await;
    assert_eq!(again.status.code(), Some(0), "{}", text(&again.stderr));
    assert_eq!(pipeline.stored().len(), once);
    // The source goes on from there, and finds nothing but what has changed or happened since.
    let process = Process::run(&config);
    until("everything was read", || {
        let held = held(&emulated);
        firsts(&pipeline.stored()).len() >= held.len()
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    came_once(&emulated, &pipeline);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_source_reads_history_itself_beside_what_is_new() {
    let emulated = tenant(400).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.write_config(&config(&emulated, pipeline.outlet()));
    let process = Process::run(&config);
    until("it collects", || process.errors().contains("collecting")).await;
    until("Graph is read", || {
        emulated.server.service().served.requests > 5
    })
    .await;
    let output = backfill(&config, &["--since", "3h"]).await;
    let (told, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{told}\n{errors}");
    assert!(errors.contains("the running source reads it"), "{errors}");
    until("everything was read", || {
        firsts(&pipeline.stored()).len() >= held(&emulated).len()
    })
    .await;
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    came_once(&emulated, &pipeline);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_is_killed_goes_on_with_what_is_left() {
    let emulated = tenant(1500).await;
    let pipeline = Pipeline::start(vec![Reply::Late(150); 60]).await;
    let config = emulated.write_config(&config(&emulated, pipeline.outlet()));
    let mut command = binary();
    command
        .args(["backfill", "--config"])
        .arg(&config)
        .args(["--since", "3h"]);
    let process = Process::spawn(command);
    until("some came", || pipeline.acked().len() > 100).await;
    process.kill();
    let before = firsts(&pipeline.acked()).len();
    assert!(
        before < held(&emulated).len(),
        "it was over before it was killed"
    );
    let output = backfill(&config, &["--since", "3h"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let process = Process::run(&config);
    until("everything was read", || {
        firsts(&pipeline.stored()).len() >= held(&emulated).len()
    })
    .await;
    assert_eq!(process.stop().0.code(), Some(0));
    let firsts = firsts(&pipeline.stored());
    let came: BTreeSet<_> = firsts.keys().cloned().collect();
    let held = held(&emulated);
    assert_eq!(held.difference(&came).count(), 0);
    // Only what was on its way when it was killed comes again.
    let repeated = firsts.values().filter(|times| **times > 1).count();
    assert!(repeated < came.len() / 2, "{repeated} of {}", came.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_for_is_told_by_its_option() {
    let emulated = tenant(20).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let http = emulated.write_config(&config(&emulated, pipeline.outlet()));
    for (args, says) in [
        (&["--since", "yesterday"][..], "a duration back from now"),
        (
            &["--since", "40d"],
            "is longer ago than Graph keeps records",
        ),
        (&["--since", "1h", "--until", "2h"], "is not before the end"),
        (
            &["--since", "1h", "--stream", "risky_users"],
            "has no history",
        ),
        (
            &["--since", "1h", "--stream", "sign_in"],
            "no stream is called",
        ),
    ] {
        let output = backfill(&http, args).await;
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(says), "{errors}");
    }
    let stdout = config(&emulated, json!({"stdout": {}}));
    let output = backfill(&emulated.write_config(&stdout), &["--since", "1h"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("outlet.stdout"));
    assert_eq!(emulated.server.service().served.requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_graph_denies_is_told_and_the_others_are_read() {
    let emulated = tenant(200).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.write_config(&config(&emulated, pipeline.outlet()));
    emulated
        .server
        .service()
        .app
        .permissions
        .remove("SecurityAlert.Read.All");
    let output = backfill(&config, &["--since", "3h"]).await;
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("not read: security_alerts: the permission SecurityAlert.Read.All"),
        "{errors}"
    );
    let streams: BTreeSet<_> = firsts(&pipeline.stored())
        .into_keys()
        .map(|key| key.0)
        .collect();
    assert!(streams.contains("sign_ins") && !streams.contains("security_alerts"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_asked_for_is_left_to_the_source_s_own_start() {
    let emulated = tenant(300).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    // Three hours back, by itself.
    let config = emulated.write_config(&emulated.config(pipeline.outlet()));
    let output = backfill(&config, &["--since", "1h", "--stream", "sign_ins"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let streams: BTreeSet<_> = firsts(&pipeline.stored())
        .into_keys()
        .map(|key| key.0)
        .collect();
    assert_eq!(streams, BTreeSet::from(["sign_ins".to_owned()]));
    let process = Process::run(&config);
    until("everything was read", || {
        firsts(&pipeline.stored()).len() >= held(&emulated).len()
    })
    .await;
    process.stop();
    came_once(&emulated, &pipeline);
}
