//! SIGTERM and SIGINT: what is being delivered may come to its end, within a bound; a second signal
//! ends at once; and the next start goes on without loss.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::common::{Emulated, Pipeline, Process, Reply, revisions, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_what_is_being_delivered_and_nothing_comes_again() {
    let emulated = Emulated::start(200, 1).await;
    let pipeline = Pipeline::start(vec![Reply::Late(2_000); 40]).await;
    let config = emulated.write_config(&emulated.config(pipeline.outlet()));
    let process = Process::run(&config);
    until("a batch is on its way", || !pipeline.batches().is_empty()).await;
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    let process = Process::run(&config);
    until("everything came through", || {
        let (owed, settled) = emulated.owed();
        settled && revisions(&pipeline.stored()).len() >= owed
    })
    .await;
    assert_eq!(process.stop().0.code(), Some(0));
    let repeated = revisions(&pipeline.stored())
        .into_iter()
        .find(|(_, times)| *times > 1);
    assert_eq!(repeated, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_never_replies_holds_a_stop_for_twenty_seconds_at_most() {
    let emulated = Emulated::start(100, 1).await;
    let pipeline = Pipeline::start(vec![Reply::Late(600_000); 400]).await;
    let config = emulated.write_config(&emulated.config(pipeline.outlet()));
    let process = Process::run(&config);
    until("a batch is on its way", || !pipeline.batches().is_empty()).await;
    let began = Instant::now();
    let (status, errors) = process.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(
        errors.contains("pages unacked; the next start delivers them"),
        "{errors}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once() {
    let emulated = Emulated::start(100, 1).await;
    let pipeline = Pipeline::start(vec![Reply::Late(600_000); 400]).await;
    let config = emulated.write_config(&emulated.config(pipeline.outlet()));
    let process = Process::run(&config);
    until("a batch is on its way", || !pipeline.batches().is_empty()).await;
    process.signal("INT");
    until("the first signal is heard", || {
        process.errors().contains("stopping")
    })
    .await;
    sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    process.signal("TERM");
    let (status, errors) = process.end();
    assert_eq!(status.code(), Some(1), "{errors}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_waits_for_the_state_stops_when_it_is_told() {
    let emulated = Emulated::start(20, 1).await;
    let pipeline = Pipeline::start(Vec::new()).await;
    let config = emulated.write_config(&emulated.config(pipeline.outlet()));
    let first = Process::run(&config);
    until("the first collects", || !pipeline.acked().is_empty()).await;
    let second = Process::run(&config);
    sleep(Duration::from_millis(1_000)).await;
    let began = Instant::now();
    let (status, errors) = second.stop();
    assert_eq!(status.code(), Some(0), "{errors}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(first.stop().0.code(), Some(0));
}
