//! The pipeline's side: what arrives, and what can go wrong with it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use fastrand::Rng;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use vector_entra_id::{
    outlet::{Outlet, OutletError},
    record::{Batch, Content, Event, Key},
    stream::Stream,
};

use super::plan::Plan;

/// One event that was stored.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub stream: Stream,
    pub key: Key,
    pub id: String,
    pub revision: u32,
    pub observed_ms: i64,
    pub text: String,
    /// The source's process that it came from, from 0.
    pub process: u32,
    /// Whether the source could not know that it was stored: its reply was lost, or the source
    /// crashed before it had taken note.
    pub unclear: bool,
}

/// What was stored, in its order.
pub struct SimulatedPipeline {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    rng: Rng,
    faults: f64,
    lost_replies: bool,
    poison: bool,
    arrivals: Vec<Arrival>,
    down_until: Option<Instant>,
    refuses_until: Option<Instant>,
    unknown: u64,
    /// Rises with each process of the source.
    process: u32,
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap()
}

impl SimulatedPipeline {
    pub fn new(plan: &Plan) -> Self {
        Self {
            inner: Arc::new(Mutex::new(Inner {
                rng: Rng::with_seed(plan.seed ^ 0xbb67_ae85),
                faults: plan.pipeline_faults,
                lost_replies: plan.lost_replies,
                poison: plan.poison,
                arrivals: Vec::new(),
                down_until: None,
                refuses_until: None,
                unknown: 0,
                process: 0,
            })),
        }
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        lock(&self.inner).arrivals.clone()
    }

    /// Batches whose reply was lost.
    pub fn unknown(&self) -> u64 {
        lock(&self.inner).unknown
    }

    pub fn be_well(&self) {
        lock(&self.inner).faults = 0.0;
    }

    /// The source's process is over. Marks what it has not taken note of.
    pub fn process_over(&self, noted: impl Fn(&Arrival) -> bool) {
        let mut inner = lock(&self.inner);
        inner.process += 1;
        for arrival in &mut inner.arrivals {
            if !arrival.unclear && !noted(arrival) {
                arrival.unclear = true;
            }
        }
    }
}

/// What becomes of a batch.
enum Fate {
    Stored,
    StoredReplyLost,
    ReplyLost,
    Busy,
    Unreachable,
    Refused,
    TooLarge,
}

impl Inner {
    fn fate(&mut self, batch: &Batch) -> Fate {
        let now = Instant::now();
        if self.down_until.is_some_and(|until| now < until) {
            return Fate::Unreachable;
        }
        let refuses = self.refuses_until.is_some_and(|until| now < until);
        if refuses || self.poison && batch.events.iter().any(is_poison) {
            return Fate::Refused;
        }
        if self.rng.f64() >= self.faults {
            return Fate::Stored;
        }
        match self.rng.u8(..8) {
            0 | 1 if self.lost_replies => Fate::StoredReplyLost,
            2 if self.lost_replies => Fate::ReplyLost,
            3 if batch.events.len() > 1 => Fate::TooLarge,
            4 => {
                // An outage: a restart of seconds, or an hour.
                let seconds = if self.rng.u8(..8) == 0 { 3600 } else { 20 };
                self.down_until = Some(now + Duration::from_secs(seconds));
                Fate::Unreachable
            }
            5 => {
                // A sink without its credentials: everything is refused.
                let seconds = if self.rng.u8(..8) == 0 { 3600 } else { 20 };
                self.refuses_until = Some(now + Duration::from_secs(seconds));
                Fate::Refused
            }
            _ => Fate::Busy,
        }
    }

    fn store(&mut self, batch: &Batch, process: u32, reply_lost: bool) {
        let unclear = reply_lost || self.process > process;
        for event in &batch.events {
            let line: Value = serde_json::from_slice(&event.line).unwrap();
            let envelope = &line["entra_id"];
            self.arrivals.push(Arrival {
                stream: batch.origin.stream,
                key: event.key,
                id: envelope["record_id"].as_str().unwrap().to_owned(),
                revision: u32::try_from(envelope["revision"].as_u64().unwrap()).unwrap(),
                observed_ms: envelope["observed_ms"].as_i64().unwrap(),
                text: line["message"].as_str().unwrap().to_owned(),
                process,
                unclear,
            });
        }
    }
}

pub fn is_poison(event: &Event) -> bool {
    let line = std::str::from_utf8(&event.line).unwrap();
    POISON.iter().any(|poison| line.contains(poison))
}

/// Whether a record's id is one of those that are never taken.
pub fn is_poisonous(id: &str) -> bool {
    POISON
        .iter()
        .any(|poison| format!("{id}\\\"").ends_with(poison))
}

/// The records that are never taken, where the plan has some: six of each stream.
pub const POISON: [&str; 6] = [
    r#"-1\""#, r#"-2\""#, r#"-3\""#, r#"-4\""#, r#"-5\""#, r#"-7\""#,
];

/// Takes a batch as a server does: it goes on when the client is gone.
async fn take(inner: Arc<Mutex<Inner>>, batch: Batch) -> Result<(), OutletError> {
    let (wait, process) = {
        let mut inner = lock(&inner);
        let slow = inner.rng.u8(..30) == 0;
        let wait = inner.rng.u64(if slow { 5_000..600_000 } else { 5..3_000 });
        (Duration::from_millis(wait / 2), inner.process)
    };
    sleep(wait).await;
    let fate = {
        let mut inner = lock(&inner);
        let fate = inner.fate(&batch);
        match fate {
            Fate::Stored => inner.store(&batch, process, false),
            Fate::StoredReplyLost => {
                inner.unknown += 1;
                inner.store(&batch, process, true);
            }
            _ => {}
        }
        fate
    };
    // The sinks have it, and the reply is on its way.
    sleep(wait).await;
    match fate {
        Fate::Stored => Ok(()),
        Fate::StoredReplyLost | Fate::ReplyLost => Err(OutletError::Unknown("lost".into())),
        Fate::Busy => Err(OutletError::read(500, b"")),
        Fate::Unreachable => Err(OutletError::Unreachable("down".into())),
        Fate::Refused => Err(OutletError::read(400, b"")),
        Fate::TooLarge => Err(OutletError::read(413, b"")),
    }
}

#[async_trait]
impl Outlet for SimulatedPipeline {
    async fn deliver(&self, batch: &Batch) -> Result<(), OutletError> {
        if batch.content == Content::Status {
            return Ok(());
        }
        tokio::spawn(take(Arc::clone(&self.inner), batch.clone()))
            .await
            .unwrap()
    }
}

/// Revisions that arrived again although the source knew of an earlier arrival when it sent them.
pub fn repeated_without_cause(arrivals: &[Arrival]) -> Vec<&Arrival> {
    let mut known = BTreeMap::new();
    let mut repeated = Vec::new();
    for arrival in arrivals {
        let of = (arrival.stream, arrival.id.as_str(), arrival.revision);
        // What a process sent that is over by now may still arrive.
        if known
            .get(&of)
            .is_some_and(|process| *process <= arrival.process)
        {
            repeated.push(arrival);
        }
        if !arrival.unclear {
            known.insert(of, arrival.process);
        }
    }
    repeated
}
