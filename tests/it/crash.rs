//! kill -9 of the real process, over and over, at random moments and under load. Nothing is lost,
//! and what comes twice was on its way when a process died or a reply was lost.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::Utc;
use serde_json::{Value, json};
use tokio::time::sleep;
use vector_entra_id::stream::Stream;

use crate::common::{Emulated, PATIENCE, Pipeline, Process, Reply, revisions, until};

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
    config: &Path,
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

/// A configuration whose schedule outlasts the lateness of what is revised while kills go on.
fn config(emulated: &Emulated, outlet: Value) -> PathBuf {
    let mut config = emulated.config(outlet);
    config["collect"]["reread_ages_secs"] = json!([1, 2, 4, 8, 16, 32, 120]);
    emulated.write_config(&config)
}

/// Waits until the latest version of every record has arrived, byte for byte. What was seen just
/// before a kill, and replaced by the time of the next start, does not come any more.
async fn until_complete(emulated: &Emulated, stored: impl Fn() -> Vec<Value>) {
    let mut missing = None;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        missing = first_missing(emulated, &stored());
        let settled = emulated.owed().1;
        if settled && missing.is_none() {
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("waited in vain for {missing:?}");
}

/// A record whose latest version has not arrived, with what came of it.
pub fn first_missing(emulated: &Emulated, events: &[Value]) -> Option<String> {
    let mut latest: BTreeMap<(&str, &str), (i64, &str)> = BTreeMap::new();
    for event in events {
        let envelope = &event["entra_id"];
        let observed = envelope["observed_ms"].as_i64().unwrap();
        let stream = envelope["stream"].as_str().unwrap();
        let id = envelope["record_id"].as_str().unwrap();
        let held = latest.entry((stream, id)).or_default();
        if observed >= held.0 {
            *held = (observed, event["message"].as_str().unwrap());
        }
    }
    let now = Utc::now();
    let service = emulated.server.service();
    let all = Stream::ALL.into_iter().flat_map(|stream| {
        let records = service.tenant.records(stream).iter();
        records.map(move |stored| (stream, stored))
    });
    for (stream, stored) in all {
        let Some((_, version)) = stored.at(now) else {
            continue;
        };
        let arrived = latest.get(&(stream.name(), stored.id.as_str()));
        if arrived.map(|(_, text)| *text) != Some(version.text.as_str()) {
            let of_record = events
                .iter()
                .filter(|event| event["entra_id"]["record_id"] == stored.id.as_str());
            let came: Vec<String> = of_record
                .map(|event| event["entra_id"].to_string())
                .collect();
            let versions: Vec<_> = stored
                .versions
                .iter()
                .map(|version| version.visible_at)
                .collect();
            return Some(format!(
                "{stream} {}, versions at {versions:?}, came: {came:?}",
                stored.id
            ));
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_kills_into_an_ill_pipeline_lose_nothing() {
    let mut rng = fastrand::Rng::with_seed(11);
    let emulated = Emulated::start(1500, 30).await;
    emulated.server.service().faults.rate = 0.05;
    let pipeline = Pipeline::start(replies(&mut rng)).await;
    let config = config(&emulated, pipeline.outlet());
    let process = kill_again_and_again(&config, &mut rng, |kill, _| {
        pipeline.set_dead(kill % 7 == 3);
    })
    .await;
    pipeline.set_dead(false);
    until_complete(&emulated, || pipeline.stored()).await;
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    let stored = pipeline.stored();
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
    let config = config(&emulated, json!({"stdout": {"replay_records": 50}}));
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
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_on_standard_output_begins_with_what_was_written_last() {
    let emulated = Emulated::start(200, 1).await;
    let config = config(&emulated, json!({"stdout": {}}));
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
