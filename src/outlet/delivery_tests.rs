use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::DateTime;
use uuid::Uuid;

use super::*;
use crate::{
    record::{Content, Hash, Key, Known, Origin},
    stream::Stream,
};

const REFUSED_FOR: Duration = Duration::from_secs(5 * 60);

/// A pipeline that answers by what a batch holds, and remembers what it accepted.
struct Pipeline<F> {
    answer: F,
    accepted: Mutex<Vec<String>>,
    asked: Mutex<Vec<usize>>,
}

#[async_trait]
impl<F> Outlet for Pipeline<F>
where
    F: Fn(&[String], usize) -> Result<(), OutletError> + Send + Sync,
{
    async fn deliver(&self, batch: &Batch) -> Result<(), OutletError> {
        let lines: Vec<String> = batch.events.iter().map(line).collect();
        let attempt = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(lines.len());
            asked.len()
        };
        (self.answer)(&lines, attempt)?;
        self.accepted.lock().unwrap().extend(lines);
        Ok(())
    }
}

fn line(event: &Event) -> String {
    String::from_utf8(event.line.to_vec()).unwrap()
}

fn batch(lines: &[&str]) -> Batch {
    Batch {
        origin: Origin {
            tenant: Uuid::nil(),
            stream: Stream::SignIns,
            cloud: "global".into(),
        },
        events: lines
            .iter()
            .map(|line| Event {
                line: (*line).to_owned().into(),
                key: Key {
                    slot: DateTime::UNIX_EPOCH,
                    id: Hash::of(line.as_bytes()),
                },
                known: Known {
                    raw: Hash(0),
                    canonical: Hash(0),
                    revision: 0,
                    first_seen: DateTime::UNIX_EPOCH,
                    observed_ms: 0,
                    seen_ms: 0,
                },
            })
            .collect(),
        content: Content::Records,
    }
}

/// Delivers `lines` through a pipeline, and says what was accepted, what became a dead letter and
/// how large the batches were that were sent.
async fn deliver<F>(
    lines: &[&str],
    answer: F,
) -> (Result<(), OutletError>, Vec<String>, String, Vec<usize>)
where
    F: Fn(&[String], usize) -> Result<(), OutletError> + Send + Sync + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    let pipeline = Arc::new(Pipeline {
        answer,
        accepted: Mutex::default(),
        asked: Mutex::default(),
    });
    let letters = DeadLetters::new(dir.path(), DeadLetters::LIMIT);
    let delivery = Delivery::new(
        Arc::clone(&pipeline) as Arc<dyn Outlet>,
        letters,
        REFUSED_FOR,
    );
    let outcome = delivery
        .deliver(batch(lines), &Semaphore::new(4), |_| {
            Box::pin(async { Ok(()) })
        })
        .await;
    let letters = std::fs::read_to_string(dir.path().join("dead-letters.ndjson"));
    let accepted = pipeline.accepted.lock().unwrap().clone();
    let asked = pipeline.asked.lock().unwrap().clone();
    (outcome, accepted, letters.unwrap_or_default(), asked)
}

fn refused() -> OutletError {
    OutletError::read(
        400,
        br#"{"code":400,"message":"Contents failed to deliver to sink"}"#,
    )
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_sends_the_same_batch_again() {
    let (outcome, accepted, _, asked) = deliver(&["a", "b"], |_, attempt| match attempt {
        1 => Err(OutletError::Unknown("reset".into())),
        2 => Err(OutletError::read(500, b"")),
        _ => Ok(()),
    })
    .await;
    assert!(outcome.is_ok());
    assert_eq!(accepted, ["a", "b"]);
    assert_eq!(asked, [2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_halved_until_it_fits_and_keeps_its_order() {
    let (outcome, accepted, _, asked) = deliver(&["a", "b", "c", "d"], |lines, _| {
        if lines.len() > 1 {
            Err(OutletError::read(413, b""))
        } else {
            Ok(())
        }
    })
    .await;
    assert!(outcome.is_ok());
    assert_eq!(accepted, ["a", "b", "c", "d"]);
    assert_eq!(asked, [4, 2, 1, 1, 2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_poison_record_alone_is_set_aside_and_the_others_arrive() {
    let began = Instant::now();
    let (outcome, accepted, letters, _) = deliver(&["a", "b", "poison\n", "d"], |lines, _| {
        if lines.iter().any(|line| line == "poison\n") {
            Err(refused())
        } else {
            Ok(())
        }
    })
    .await;
    assert!(outcome.is_ok());
    assert_eq!(letters, "poison\n");
    let accepted: BTreeSet<String> = accepted.into_iter().collect();
    assert_eq!(accepted, ["a", "b", "d"].map(String::from).into());
    assert!(began.elapsed() >= REFUSED_FOR);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_refuses_everything_for_an_hour_costs_no_record() {
    let began = Instant::now();
    let hour = Duration::from_secs(3600);
    let (outcome, accepted, letters, asked) = deliver(&["a", "b", "c"], move |_, _| {
        if began.elapsed() < hour {
            Err(refused())
        } else {
            Ok(())
        }
    })
    .await;
    assert!(outcome.is_ok());
    assert_eq!(letters, "");
    let accepted: BTreeSet<String> = accepted.into_iter().collect();
    assert_eq!(accepted, ["a", "b", "c"].map(String::from).into());
    assert!(asked.len() < 80, "{} attempts in an hour", asked.len());
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_is_shut_halts_at_once() {
    let (outcome, accepted, letters, asked) =
        deliver(&["a"], |_, _| Err(OutletError::read(401, b""))).await;
    assert_eq!(outcome.unwrap_err().disposition(), Disposition::Halt);
    assert_eq!((accepted.len(), letters.as_str(), asked.len()), (0, "", 1));
}

#[tokio::test]
async fn a_full_file_of_dead_letters_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let letters = DeadLetters::new(dir.path(), 10);
    let batch = batch(&["12345678\n", "9\n"]);
    assert!(letters.put(&batch, &batch.events[0]).unwrap());
    assert!(!letters.put(&batch, &batch.events[1]).unwrap());
    let text = std::fs::read_to_string(letters.path()).unwrap();
    assert_eq!(text, "12345678\n");
}

#[test]
fn dead_letters_are_counted_by_stream_also_those_of_an_earlier_process() {
    let dir = tempfile::tempdir().unwrap();
    let line = format!(
        r#"{{"message":"x","entra_id":{{"tenant_id":"{}","stream":"sign_ins"}}}}"#,
        Uuid::nil()
    );
    std::fs::write(
        dir.path().join("dead-letters.ndjson"),
        format!("{line}\nno event\n{line}\n"),
    )
    .unwrap();
    let letters = DeadLetters::new(dir.path(), DeadLetters::LIMIT);
    assert_eq!(letters.of(Uuid::nil(), Stream::SignIns), 2);
    assert_eq!(letters.of(Uuid::nil(), Stream::Provisioning), 0);
    let batch = batch(&["a\n"]);
    letters.put(&batch, &batch.events[0]).unwrap();
    assert_eq!(letters.of(Uuid::nil(), Stream::SignIns), 3);
}
