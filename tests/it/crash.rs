//! kill -9 of the real process, over and over, at random moments and under load. Nothing is lost,
//! and what comes twice was on its way when a process died or a reply was lost.

use std::{collections::BTreeMap, time::Duration};

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::common::{Emulated, Pipeline, Process, Reply, revisions, until};

const KILLS: usize = 50;

/// A pipeline's mood: mostly well, at times late, refusing, broken.
fn replies(rng: &mut fastrand::Rng) -> Vec<Reply> {
    let reply = |rng: &mut fastrand::Rng| match rng.u8(..12) {
        0 | 1 => Reply::Late(rng.u64(50..700)),
        2 => Reply::Status(500, "Error delivering contents to sink"),
        3 => Reply::Status(400, "Contents failed to deliver to sink"),
        4 => Reply::StoredAndBroken,
        5 => Reply::Broken,
        _ => Reply::Status(200, ""),
    };
    (0..2_000).map(|_| reply(rng)).collect()
}

/// Kills process after process; the last one is left alive.
async fn kill_again_and_again(
    config: &std::path::Path,
    rng: &mut fastrand::Rng,
    mut after_each: impl FnMut(usize, Vec<String>),
) -> Process {
    for kill in 0..KILLS {
        let process = Process::run(config);
        sleep(Duration::from_millis(rng.u64(30..900))).await;
        after_each(kill, process.kill());
    }
    Process::run(config)
}

async fn until_complete(emulated: &Emulated, stored: impl Fn() -> Vec<Value>) {
    until("everything came through", || {
        let (owed, settled) = emulated.owed();
        settled && revisions(&stored()).len() >= owed
    })
    .await;
}

/// The latest version of every record arrived, byte for byte.
fn check_latest(emulated: &Emulated, events: &[Value]) {
    let mut latest: BTreeMap<(String, String), (i64, String)> = BTreeMap::new();
    for event in events {
        let envelope = &event["entra_id"];
        let text = |name: &str| envelope[name].as_str().unwrap().to_owned();
        let observed = envelope["observed_ms"].as_i64().unwrap();
        let message = event["message"].as_str().unwrap().to_owned();
        let held = latest
            .entry((text("stream"), text("record_id")))
            .or_default();
        if observed >= held.0 {
            *held = (observed, message);
        }
    }
    let now = Utc::now() - TimeDelta::seconds(2);
    let service = emulated.server.service();
    for stream in vector_entra_id::stream::Stream::ALL {
        for stored in service.tenant.records(stream) {
            let Some((_, version)) = stored.at(now) else {
                continue;
            };
            let arrived = latest.get(&(stream.to_string(), stored.id.clone()));
            assert_eq!(
                arrived.map(|(_, text)| text.as_str()),
                Some(version.text.as_str()),
                "{stream} {}",
                stored.id
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_into_an_ill_pipeline_lose_nothing() {
    let mut rng = fastrand::Rng::with_seed(11);
    let emulated = Emulated::start(1500, 30).await;
    emulated.server.service().faults.rate = 0.05;
    let pipeline = Pipeline::start(replies(&mut rng)).await;
    let config = emulated.write_config(&emulated.config(pipeline.outlet()));
    let process = kill_again_and_again(&config, &mut rng, |kill, _| {
        pipeline.set_dead(kill % 7 == 3);
    })
    .await;
    pipeline.set_dead(false);
    until_complete(&emulated, || pipeline.stored()).await;
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    let stored = pipeline.stored();
    check_latest(&emulated, &stored);
    let all = revisions(&stored);
    let repeated: usize = all.values().map(|times| times - 1).sum();
    println!("{KILLS} kills: {} revisions, {repeated} repeats", all.len());
    // Four batches of a stream are on their way at most when a process dies.
    let acked: usize = pipeline
        .batches()
        .iter()
        .filter(|batch| batch.acked)
        .count();
    assert!(acked > KILLS, "there was no load: {acked} batches");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_lose_nothing_that_standard_output_was_to_bring() {
    let mut rng = fastrand::Rng::with_seed(12);
    let emulated = Emulated::start(800, 20).await;
    let config = emulated.write_config(&emulated.config(json!({"stdout": {"replay_records": 50}})));
    let mut lines: Vec<String> = Vec::new();
    let process = kill_again_and_again(&config, &mut rng, |_, written| {
        lines.extend(written);
    })
    .await;
    let events = |process: &Process| -> Vec<Value> {
        // The last line that a killed process wrote may be half a line.
        let lines = lines
            .iter()
            .chain(process.lines().iter())
            .cloned()
            .collect::<Vec<_>>();
        lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    until_complete(&emulated, || events(&process)).await;
    check_latest(&emulated, &events(&process));
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_standard_output_begins_with_what_was_written_last() {
    let emulated = Emulated::start(200, 1).await;
    let config = emulated.write_config(&emulated.config(json!({"stdout": {}})));
    let first = Process::run(&config);
    until_complete(&emulated, || {
        first
            .lines()
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    })
    .await;
    sleep(Duration::from_millis(300)).await;
    let written = first.lines();
    first.kill();
    let second = Process::run(&config);
    until("the second start has written what the first wrote", || {
        second.lines().len() >= written.len()
    })
    .await;
    assert_eq!(second.lines()[..written.len()], written);
    assert_eq!(second.stop().0.code(), Some(0));
}
