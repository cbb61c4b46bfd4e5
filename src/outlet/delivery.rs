//! Delivers a batch until every event of it is acked or set aside.
//!
//! A refused batch is halved, ever more slowly while nothing is accepted, until the records at fault
//! are alone. A record alone is set aside when its trial convicts it ([`super::trial`]); until then it
//! is tried again.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep},
};
use tracing::{error, info, warn};
use uuid::Uuid;

use super::{
    DeadLetters, Disposition, Outlet, OutletError,
    trial::{Fortune, Trial},
};
use crate::{
    record::{Batch, Event, Origin},
    state::WriteFailed,
    stream::Stream,
    telemetry::Repeats,
};

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Delivers through one outlet.
pub struct Delivery {
    outlet: Arc<dyn Outlet>,
    dead_letters: DeadLetters,
    refused_for: Duration,
    shared: Mutex<Shared>,
}

/// What the deliveries of all streams know together.
#[derive(Default)]
struct Shared {
    /// By stream, since the sinks behind them may differ.
    streams: HashMap<(Uuid, Stream), Fortune>,
    repeats: Repeats,
}

/// A part of a batch, and what befell it.
struct Part {
    batch: Batch,
    trial: Trial,
}

impl Part {
    /// A piece of this part.
    fn piece(&self, batch: Batch) -> Self {
        Self {
            batch,
            trial: self.trial.of_piece(),
        }
    }
}

/// What becomes of a part that was refused.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Halve,
    SetAside,
    TryAgain,
}

impl Delivery {
    #[must_use]
    pub fn new(outlet: Arc<dyn Outlet>, dead_letters: DeadLetters, refused_for: Duration) -> Self {
        Self {
            outlet,
            dead_letters,
            refused_for,
            shared: Mutex::default(),
        }
    }

    /// Delivers a batch, however long that takes. While an attempt is made it holds one of `in_flight`;
    /// between attempts others take their turn, so that what is refused holds up nothing else.
    /// Each part that is acked, or set aside, is given to `note` at once.
    ///
    /// # Errors
    /// [`OutletError`] when nothing more can be delivered.
    pub async fn deliver(
        &self,
        batch: Batch,
        in_flight: &Semaphore,
        note: impl Fn(&Batch) -> BoxFuture<'static, Result<(), WriteFailed>>,
    ) -> Result<(), OutletError> {
        let mut parts = VecDeque::from([Part {
            batch,
            trial: Trial::default(),
        }]);
        let mut failures = 0;
        while let Some(part) = parts.pop_front() {
            // It is never closed.
            let turn = in_flight.acquire().await;
            let sent = Instant::now();
            let outcome = self.outlet.deliver(&part.batch).await;
            drop(turn);
            let Err(error) = outcome else {
                self.accept(&part, sent);
                note(&part.batch).await.map_err(OutletError::State)?;
                if failures > 0 {
                    info!(
                        tenant = %part.batch.origin.tenant, stream = %part.batch.origin.stream,
                        "the pipeline takes batches again"
                    );
                }
                failures = 0;
                continue;
            };
            self.report(&part.batch, &error);
            let mut set_aside = None;
            match error.disposition() {
                Disposition::Halt => return Err(error),
                Disposition::Resend => {
                    failures += 1;
                    sleep(wait(failures)).await;
                    parts.push_front(part);
                }
                Disposition::Split => match part.batch.halves() {
                    Some(halves) => {
                        for batch in halves.into_iter().rev() {
                            parts.push_front(part.piece(batch));
                        }
                    }
                    None => set_aside = self.refused(part, &mut parts, &mut failures).await?,
                },
                Disposition::Refused => {
                    set_aside = self.refused(part, &mut parts, &mut failures).await?;
                }
            }
            if let Some(batch) = set_aside {
                note(&batch).await.map_err(OutletError::State)?;
            }
        }
        Ok(())
    }

    /// What becomes of a refused part; returns it when it was set aside.
    async fn refused(
        &self,
        part: Part,
        parts: &mut VecDeque<Part>,
        failures: &mut u32,
    ) -> Result<Option<Batch>, OutletError> {
        let mut part = part;
        let halves = part.batch.halves();
        let convicted = {
            let now = Instant::now();
            let mut shared = self.lock();
            let fortune = shared.of(&part.batch);
            fortune.refuse(&mut part.trial, halves.is_none(), now);
            fortune.convicts(&part.trial, self.refused_for, now)
        };
        match (fate(halves.is_none(), convicted), halves) {
            (Fate::Halve, Some(halves)) => {
                parts.extend(halves.map(|batch| part.piece(batch)));
            }
            (Fate::SetAside, _) if self.set_aside(&part.batch)? => return Ok(Some(part.batch)),
            _ => parts.push_back(part),
        }
        *failures += 1;
        sleep(wait(*failures)).await;
        Ok(None)
    }

    /// Sends what the source says about itself. It is tried once: the next says more.
    ///
    /// # Errors
    /// [`OutletError`] when nothing more can be delivered.
    pub async fn tell(&self, batch: &Batch) -> Result<(), OutletError> {
        match self.outlet.deliver(batch).await {
            Err(error) if error.disposition() == Disposition::Halt => Err(error),
            _ => Ok(()),
        }
    }

    /// Where dead letters are.
    #[must_use]
    pub fn dead_letters(&self) -> &DeadLetters {
        &self.dead_letters
    }

    /// Sets a single event aside; `false` when there is no room or too many were set aside
    /// already, and the stream holds.
    fn set_aside(&self, batch: &Batch) -> Result<bool, OutletError> {
        let path = self.dead_letters.path().display();
        for event in &batch.events {
            if !self.lock().of(batch).may_set_aside() {
                self.say_once(
                    batch,
                    format!(
                        "more than {} of the last {} records are refused; that is not the records' \
                     fault, so the stream holds: look at the sinks behind Vector",
                        Fortune::SET_ASIDE,
                        Fortune::AMONG
                    ),
                );
                return Ok(false);
            }
            if !self.dead_letters.put(batch, event)? {
                self.say_once(
                    batch,
                    format!(
                        "{path} is full, and the stream holds: deliver or remove what is in it"
                    ),
                );
                return Ok(false);
            }
            self.lock().of(batch).set_aside();
            warn!(
                tenant = %batch.origin.tenant, stream = %batch.origin.stream,
                "the pipeline refuses {} while it takes others; it is in {path}", name(event)
            );
        }
        Ok(true)
    }

    fn accept(&self, part: &Part, sent: Instant) {
        let events = part.batch.events.len() as u64;
        let mut shared = self.lock();
        let fortune = shared.of(&part.batch);
        fortune.accept(&part.trial, events, sent, Instant::now());
    }

    fn say_once(&self, batch: &Batch, text: String) {
        let Origin { tenant, stream, .. } = batch.origin;
        if self
            .lock()
            .repeats
            .is_due(format!("{tenant} {stream} {text}"))
        {
            error!(%tenant, %stream, "{text}");
        }
    }

    fn report(&self, batch: &Batch, error: &OutletError) {
        let text = error.to_string();
        // A pipeline that is away is so for every stream, and is told once for all of them.
        let key = match error.disposition() {
            Disposition::Resend => text.clone(),
            _ => format!("{} {} {text}", batch.origin.tenant, batch.origin.stream),
        };
        let due = self.lock().repeats.is_due(key);
        if due && error.disposition() != Disposition::Halt {
            warn!(
                tenant = %batch.origin.tenant, stream = %batch.origin.stream,
                "{text}; events that wait and are sent again: {}", batch.events.len()
            );
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What becomes of a part that was refused. A part of several is halved to find the record at
/// fault; a record alone is set aside only when the fault is provably its own.
fn fate(alone: bool, convicted: bool) -> Fate {
    match (alone, convicted) {
        (false, _) => Fate::Halve,
        (true, true) => Fate::SetAside,
        (true, false) => Fate::TryAgain,
    }
}

/// 1, 2, 4, ... seconds, [`LONGEST_WAIT`] at most.
fn wait(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(LONGEST_WAIT)
}

impl Shared {
    fn of(&mut self, batch: &Batch) -> &mut Fortune {
        let stream = (batch.origin.tenant, batch.origin.stream);
        self.streams.entry(stream).or_default()
    }
}

fn name(event: &Event) -> String {
    format!("the record with id hash {}", event.key.id.hex())
}

#[cfg(test)]
#[path = "delivery_tests.rs"]
mod tests;
