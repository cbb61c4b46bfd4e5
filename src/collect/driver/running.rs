//! The driver's loop: it gives the ledger what happened, performs what that says, and waits.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{FutureExt, StreamExt, future::OptionFuture};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tracing::error;

use super::{Done, Driver, Halt, token_wait};
use crate::{
    collect::{
        Ledger,
        ledger::{Action, Input},
        memory::Share,
    },
    stream::Stream,
};

/// A stream whose sinks are at fault holds no more than one in so many parts of the memory.
const STREAMS_IN_MEMORY: usize = 4;
/// How often a driver without memory for a page looks again.
const MEMORY_RETRY: Duration = Duration::from_millis(100);

impl Driver {
    /// Collects until told to stop, then lets what is being delivered come to its end.
    ///
    /// # Errors
    /// [`Halt`] when it cannot go on.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Halt> {
        // The first token tells Graph's time as well, and no window is planned before it is known.
        while !self.client.has_token() {
            self.put_up();
            let wait = token_wait(self.token.failures);
            let asked = self.local_now();
            let client = Arc::clone(&self.client);
            let token = async move {
                sleep(wait).await;
                client.get_token().await
            };
            tokio::select! {
                () = told_to(&mut stop) => return Ok(()),
                outcome = token => {
                    if let Ok(Some(date)) = outcome {
                        self.observe_date(date, asked);
                    }
                    self.token(outcome.map(|_| ()))?;
                }
            }
        }
        let streams = std::mem::take(&mut self.saved);
        self.ledger = Ledger::new(self.settings.clone(), streams, self.now());
        for (stream, changes) in self.ledger.first_save() {
            self.state.save(self.tenant, stream, changes).await?;
        }
        let mut wake = self.take(Input::Tick);
        loop {
            self.put_up();
            let sleep: OptionFuture<_> = wake.map(sleep_until).into();
            // What was acked comes first: it makes room for what is fetched. The order is always
            // the same, so that a simulation can be played again.
            let done = tokio::select! {
                biased;
                () = told_to(&mut stop) => return self.drain().await,
                Some(done) = self.work.next() => self.done(done),
                Some(done) = self.fetches.next() => self.done(done),
                () = sleep_until(self.told.next) => {
                    self.tell();
                    Ok(None)
                }
                Some(order) = self.orders.recv() => {
                    self.order(order);
                    Ok(Some(Input::Tick))
                }
                // The board is written as the loop comes round.
                () = sleep_until(self.told.put_up_next) => Ok(None),
                Some(()) = sleep => Ok(Some(Input::Tick)),
            };
            match done {
                Ok(Some(input)) => wake = self.take(input),
                Ok(None) => {}
                Err(halt) => {
                    // What is being delivered may still be acked; the first fault is the one to
                    // tell.
                    let _ = self.drain().await;
                    return Err(halt);
                }
            }
        }
    }

    /// Gives an input to the ledger and performs what it says, until it asks for nothing more.
    /// Returns when to come back if nothing happens before.
    pub(super) fn take(&mut self, input: Input) -> Option<Instant> {
        let mut input = input;
        loop {
            let now = self.now();
            let room = self.room();
            self.ledger.hold(self.full());
            let step = self.ledger.step(input, now, room.is_some());
            let mut room = room;
            let mut fetched = false;
            for action in step.actions {
                match action {
                    Action::Fetch(fetch) => {
                        if let Some(share) = room.take() {
                            self.fetch(fetch, share);
                            fetched = true;
                        }
                    }
                    Action::Forget(read) => {
                        self.links.remove(&read);
                    }
                    Action::Save(stream, changes) => {
                        let saved = self.state.save(self.tenant, stream, changes);
                        self.work.push(saved.map(Done::Saved).boxed());
                    }
                    Action::Unproven(stream, slots) => self.unproven(stream, slots),
                }
            }
            if !fetched {
                // Without room the ledger may be due already; memory is what is waited for.
                let blocked = room.is_none();
                return step.wake.map(|wake| self.instant(wake, now, blocked));
            }
            input = Input::Tick;
        }
    }

    fn unproven(&self, stream: Stream, slots: u64) {
        error!(
            tenant = %self.tenant, %stream, slots,
            "{slots} slots passed Graph's retention before all their reads were made; records of \
             theirs that came late may be missing"
        );
    }

    /// Streams whose unacked pages hold more than their part of the memory.
    fn full(&self) -> BTreeSet<Stream> {
        let mut held = BTreeMap::<Stream, usize>::new();
        for page in self.pages.values() {
            let bytes = page.share.as_ref().map_or(0, Share::bytes);
            *held.entry(page.stream).or_default() += bytes;
        }
        let most = self.memory.total_bytes() / STREAMS_IN_MEMORY;
        let held = held.into_iter().filter(|(_, bytes)| *bytes > most);
        held.map(|(stream, _)| stream).collect()
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.correction.apply(self.local_now())
    }

    pub(super) fn local_now(&self) -> DateTime<Utc> {
        let (began, at) = self.began;
        began + TimeDelta::from_std(at.elapsed()).unwrap_or_default()
    }

    fn instant(&self, wake: DateTime<Utc>, now: DateTime<Utc>, blocked: bool) -> Instant {
        let wait = (wake - now).to_std().unwrap_or_default();
        let least = if blocked {
            MEMORY_RETRY
        } else {
            Duration::ZERO
        };
        Instant::now() + wait.max(least)
    }

    pub(super) fn done(&mut self, done: Done) -> Result<Option<Input>, Halt> {
        match done {
            Done::Fetched {
                fetch,
                answer,
                asked,
                share,
            } => {
                if let Some(date) = answer.date {
                    self.observe_date(date, asked);
                }
                self.fetched(fetch, answer, share).map(Some)
            }
            Done::Delivered {
                page,
                events,
                outcome,
            } => {
                outcome?;
                self.delivered(page, &events)
            }
            Done::Saved(outcome) => {
                outcome?;
                Ok(None)
            }
            Done::Told(outcome) => {
                self.told.telling = false;
                outcome.map_err(Halt::Outlet)?;
                Ok(None)
            }
            Done::Token(outcome) => self.token(outcome.map(|_| ())).map(Some),
        }
    }
}

/// Waits until the driver is told to stop, or until whoever could tell it is gone.
async fn told_to(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
