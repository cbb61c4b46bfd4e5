//! Delivers a batch until every event of it is acked or set aside.
//!
//! A refusal does not say who is at fault: a sink that has lost its credentials and a record that
//! no index takes look the same. So a refused batch is halved, ever more slowly while nothing is
//! accepted, until the records at fault are alone. A record alone is convicted, and set aside, when it
//! was refused for long enough, others of its stream were accepted since, and either that happened
//! between refusals of the record alone, or nothing else of its stream is being refused. Where a
//! refused part was accepted later as it was, the sink is the one at fault, and it takes more.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};
use uuid::Uuid;

use super::{DeadLetters, Disposition, Outlet, OutletError};
use crate::{
    record::{Batch, Event, Origin},
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

/// How a stream fares with the pipeline.
#[derive(Default)]
struct Fortune {
    /// When the latest of what the pipeline accepted of it was sent: what it accepts late says
    /// nothing of how it fares now.
    accepted: Option<Instant>,
    /// When it last accepted what it had refused before.
    pardoned: Option<Instant>,
    /// Parts of it that are being refused as they are.
    refused: u32,
    /// Records that were accepted or set aside.
    settled: u64,
    /// What `settled` was when each of the latest records was set aside, oldest first.
    set_aside: VecDeque<u64>,
}

impl Fortune {
    /// Records among which so many may be set aside.
    const AMONG: u64 = 10_000;
    const SET_ASIDE: usize = 100;

    /// Whether one more record may be set aside: when more than one in a hundred is refused, the
    /// fault is not the records'.
    fn may_set_aside(&mut self) -> bool {
        let oldest = self.settled.saturating_sub(Self::AMONG);
        while self.set_aside.front().is_some_and(|at| *at < oldest) {
            self.set_aside.pop_front();
        }
        self.set_aside.len() < Self::SET_ASIDE
    }

    fn set_aside(&mut self) {
        self.settled += 1;
        self.set_aside.push_back(self.settled);
    }
}

/// Refusals of a record alone, with others accepted between them, that convict it.
const CONVICTING: u32 = 3;
/// The same while the pipeline is known to refuse what it takes later, or refuses many at once.
const CONVICTING_IN_DOUBT: u32 = 10;
/// Refusals alone that convict a record when nothing else of its stream is being refused.
const CONVICTING_WHEN_THE_ONLY_ONE: u32 = 5;
/// Records refused at once beyond which it is hardly theirs.
const MANY: u32 = 3;
/// How long the pipeline is in doubt once it took what it had refused.
const DOUBT: Duration = Duration::from_secs(3600);

/// A part of a batch.
struct Part {
    batch: Batch,
    /// When it, or the whole it was part of, was first refused.
    first_refused: Option<Instant>,
    /// When it was last refused as it is.
    last_refused: Option<Instant>,
    /// How often it was refused as it is.
    refusals: u32,
    /// Those of them before which others were accepted since the one before.
    witnessed: u32,
}

impl Part {
    fn new(batch: Batch) -> Self {
        Self {
            batch,
            first_refused: None,
            last_refused: None,
            refusals: 0,
            witnessed: 0,
        }
    }

    /// A piece of this part, with what befell the whole.
    fn piece(&self, batch: Batch) -> Self {
        Self {
            first_refused: self.first_refused,
            ..Self::new(batch)
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

    /// Delivers a batch, however long that takes.
    ///
    /// # Errors
    /// [`OutletError`] when nothing more can be delivered.
    pub async fn deliver(&self, batch: Batch) -> Result<(), OutletError> {
        let mut parts = VecDeque::from([Part::new(batch)]);
        let mut failures = 0;
        while let Some(part) = parts.pop_front() {
            let sent = Instant::now();
            let Err(error) = self.outlet.deliver(&part.batch).await else {
                self.accept(&part, sent);
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
                    None => self.refused(part, &mut parts, &mut failures).await?,
                },
                Disposition::Refused => self.refused(part, &mut parts, &mut failures).await?,
            }
        }
        Ok(())
    }

    async fn refused(
        &self,
        part: Part,
        parts: &mut VecDeque<Part>,
        failures: &mut u32,
    ) -> Result<(), OutletError> {
        let mut part = part;
        let first = *part.first_refused.get_or_insert_with(Instant::now);
        let witnessed = part
            .last_refused
            .is_some_and(|last| self.accepted_since(&part.batch, last));
        part.witnessed += u32::from(witnessed);
        part.last_refused = Some(Instant::now());
        let halves = part.batch.halves();
        part.refusals += 1;
        if part.refusals == 1 && halves.is_none() {
            self.lock().of(&part.batch).refused += 1;
        }
        let convicted = first.elapsed() >= self.refused_for && self.convicted(&part, first);
        match (fate(halves.is_none(), convicted), halves) {
            (Fate::Halve, Some(halves)) => {
                parts.extend(halves.map(|batch| part.piece(batch)));
            }
            (Fate::SetAside, _) if self.set_aside(&part.batch)? => {
                self.lock().of(&part.batch).refused -= 1;
                return Ok(());
            }
            _ => parts.push_back(part),
        }
        *failures += 1;
        sleep(wait(*failures)).await;
        Ok(())
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
        let mut shared = self.lock();
        let fortune = shared.of(&part.batch);
        fortune.accepted = fortune.accepted.max(Some(sent));
        fortune.settled += part.batch.events.len() as u64;
        if part.refusals > 0 {
            fortune.pardoned = Some(Instant::now());
            fortune.refused -= 1;
        }
    }

    /// Whether what befell a record that was first refused at `first` proves that the fault is its
    /// own.
    fn convicted(&self, part: &Part, first: Instant) -> bool {
        let mut shared = self.lock();
        let fortune = shared.of(&part.batch);
        let pardoned = fortune.pardoned;
        let doubt =
            pardoned.is_some_and(|pardoned| pardoned.elapsed() < DOUBT) || fortune.refused > MANY;
        let accepted = fortune.accepted.is_some_and(|accepted| accepted > first);
        let the_only_one = accepted
            && !doubt
            && fortune.refused == 1
            && part.refusals >= CONVICTING_WHEN_THE_ONLY_ONE;
        let needed = if doubt {
            CONVICTING_IN_DOUBT
        } else {
            CONVICTING
        };
        the_only_one || part.witnessed >= needed
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

    fn accepted_since(&self, batch: &Batch, moment: Instant) -> bool {
        let accepted = self.lock().of(batch).accepted;
        accepted.is_some_and(|accepted| accepted > moment)
    }

    fn report(&self, batch: &Batch, error: &OutletError) {
        let text = error.to_string();
        let due = self.lock().repeats.is_due(format!(
            "{} {} {text}",
            batch.origin.tenant, batch.origin.stream
        ));
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
