//! The ledger: what has been read of each stream, what is due, and what to ask for next. Pure.
//!
//! `step(input, now)` changes the state and says what to do. There is no I/O, no clock and no
//! randomness inside, so days of a tenant can be played in moments. It holds no record ids: whether
//! a record is new is for the driver to find out, with [`super::revision`] and the state file.
//!
//! | input | then |
//! |---|---|
//! | a page came | the next page is asked for in its turn, if there is one |
//! | a page's records are acked | once every page of the read came and is acked, the read counts |
//! | a page failed | again, later, narrower, or not at all: [`Disposition`] |
//!
//! A read that ends in any other way counts for nothing, and what it covered is simply still due.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    budget::Budget,
    coverage::Coverage,
    read::{Found, ReadId},
    settings::Settings,
    stream_ledger::StreamLedger,
};
use crate::{
    graph::Disposition,
    state::Changes,
    stream::{Bucket, Stream},
    time::Span,
};

pub use super::step::{Action, Fetch, Input, Step};

/// The ledger of one tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    settings: Settings,
    streams: BTreeMap<Stream, StreamLedger>,
    budgets: BTreeMap<Bucket, Budget>,
    /// Which stream each read in flight belongs to.
    reads: BTreeMap<ReadId, Stream>,
    next_read: ReadId,
    /// Streams that hold so much memory that they are asked for nothing.
    full: BTreeSet<Stream>,
    /// The latest step.
    latest: DateTime<Utc>,
    stopping: bool,
}

impl Ledger {
    /// A ledger over the given streams: as they were saved, or new where nothing was.
    #[must_use]
    pub fn new(
        settings: Settings,
        streams: BTreeMap<Stream, Option<Coverage>>,
        now: DateTime<Utc>,
    ) -> Self {
        // A process before this one may have spent the budget up to this moment.
        let resumed = streams.values().any(Option::is_some);
        let mut budgets: BTreeMap<Bucket, Budget> = streams
            .keys()
            .map(|stream| {
                let bucket = stream.entry().bucket;
                let limit = settings.limit(bucket);
                let budget = match resumed {
                    true => Budget::resumed(limit, now),
                    false => Budget::new(limit),
                };
                (bucket, budget)
            })
            .collect();
        for (stream, saved) in &streams {
            let held = saved.as_ref().and_then(|saved| saved.head().held_until);
            if let Some(until) = held
                && let Some(budget) = budgets.get_mut(&stream.entry().bucket)
            {
                budget.hold(until.min(now + TimeDelta::hours(1)));
            }
        }
        let streams = streams
            .into_iter()
            .map(|(stream, saved)| {
                let mut coverage = saved.unwrap_or_else(|| Coverage::new(&settings, now));
                if coverage.head().tail_from > now {
                    coverage.set_back(&settings, now);
                }
                (stream, StreamLedger::new(stream, coverage, &settings, now))
            })
            .collect();
        Self {
            settings,
            streams,
            budgets,
            reads: BTreeMap::new(),
            next_read: ReadId::default(),
            full: BTreeSet::new(),
            latest: now,
            stopping: false,
        }
    }

    /// What to save before the first request: where each stream starts is a promise from then on.
    pub fn first_save(&mut self) -> Vec<(Stream, Changes)> {
        let streams = self.streams.iter_mut();
        streams
            .filter(|(_, ledger)| ledger.is_saved(&self.settings))
            .map(|(stream, ledger)| (*stream, ledger.changes(self.latest)))
            .collect()
    }

    /// The stream's own part, for those who report on it.
    #[must_use]
    pub fn stream(&self, stream: Stream) -> Option<&StreamLedger> {
        self.streams.get(&stream)
    }

    /// Takes an input and says what to do. At most one request is asked for in one step, and none
    /// without `room`: whether there is memory for a page is the driver's to know.
    pub fn step(&mut self, input: Input, now: DateTime<Utc>, room: bool) -> Step {
        if now < self.latest {
            self.set_back(now);
        }
        self.latest = now;
        let mut step = Step::default();
        match input {
            Input::Tick => {}
            Input::Page { read, more } => {
                self.page(read, more, now);
                // Only now: an answer has just told Graph's time, and no wrong clock of ours may
                // give up what is not lost.
                self.give_up_old(now, &mut step.actions);
            }
            Input::Acked { read, found } => self.acked(read, &found, now, &mut step.actions),
            Input::Failed { read, disposition } => {
                self.failed(read, disposition, now, &mut step.actions);
            }
            Input::Stop => self.stop(now, &mut step.actions),
        }
        if !self.stopping {
            if room && let Some(fetch) = self.next_fetch(now) {
                step.actions.push(Action::Fetch(fetch));
            }
            step.wake = self.wake(now);
        }
        step
    }

    /// Which streams are asked for nothing until told otherwise, since what they hold is not acked:
    /// they must not take the memory of others.
    pub fn hold(&mut self, full: BTreeSet<Stream>) {
        self.full = full;
    }

    /// Asks for history of a stream: what of `span` was never read. Returns how much that is, and
    /// what to save for it.
    pub fn ask_for(&mut self, stream: Stream, span: Span) -> Option<(TimeDelta, Changes)> {
        let now = self.latest;
        let ledger = self.streams.get_mut(&stream)?;
        let asked = ledger.ask_for(span, &self.settings, now);
        Some((asked, ledger.changes(now)))
    }

    /// The clock was corrected by so much: for the budget no time has passed.
    pub fn corrected(&mut self, by: TimeDelta) {
        for budget in self.budgets.values_mut() {
            budget.corrected(by);
        }
    }

    /// The clock was set back: nothing may wait for a moment that is far away now.
    fn set_back(&mut self, now: DateTime<Utc>) {
        for budget in self.budgets.values_mut() {
            budget.set_back(now);
        }
        for stream in self.streams.values_mut() {
            stream.set_back(&self.settings, now);
        }
    }

    /// Gives up what Graph no longer keeps.
    fn give_up_old(&mut self, now: DateTime<Utc>, actions: &mut Vec<Action>) {
        let settings = &self.settings;
        let streams = self.streams.iter_mut();
        for (stream, ledger) in streams.filter(|(_, ledger)| ledger.is_saved(settings)) {
            let slots = ledger.give_up_old(&self.settings, now);
            if slots > 0 {
                actions.push(Action::Unproven(*stream, slots));
                actions.push(Action::Save(*stream, ledger.changes(now)));
            }
        }
    }

    fn page(&mut self, id: ReadId, more: bool, now: DateTime<Utc>) {
        if let Some(stream) = self.reads.get(&id)
            && let Some(budget) = self.budgets.get_mut(&stream.entry().bucket)
        {
            budget.answered();
        }
        if let Some(stream) = self.reads.get(&id)
            && let Some(ledger) = self.streams.get_mut(stream)
        {
            ledger.came(id, more, &self.settings, now);
        }
    }

    fn acked(&mut self, id: ReadId, found: &Found, now: DateTime<Utc>, actions: &mut Vec<Action>) {
        let Some(stream) = self.reads.get(&id).copied() else {
            return;
        };
        let Some(ledger) = self.streams.get_mut(&stream) else {
            return;
        };
        let (over, save) = ledger.acked(id, found, &self.settings, now);
        if over {
            self.reads.remove(&id);
            actions.push(Action::Forget(id));
        }
        if save {
            actions.push(Action::Save(stream, ledger.changes(now)));
        }
    }

    fn failed(
        &mut self,
        id: ReadId,
        disposition: Disposition,
        now: DateTime<Utc>,
        actions: &mut Vec<Action>,
    ) {
        let Some(stream) = self.reads.get(&id).copied() else {
            return;
        };
        let Some(ledger) = self.streams.get_mut(&stream) else {
            return;
        };
        let given_up = ledger.failed(id, disposition, &self.settings, now);
        for read in given_up {
            if !ledger.has(read) {
                self.reads.remove(&read);
            }
            actions.push(Action::Forget(read));
        }
        if let Disposition::Throttle { after } = disposition
            && let Some(budget) = self.budgets.get_mut(&stream.entry().bucket)
        {
            let told = after.and_then(|after| TimeDelta::from_std(after).ok());
            budget.throttled(told, now);
            // A process that follows this one must wait as well.
            if let Some(until) = budget.held_until() {
                ledger.hold(until);
                actions.push(Action::Save(stream, ledger.changes(now)));
            }
        }
        if disposition == Disposition::HaltTenant {
            self.stopping = true;
        }
    }

    fn stop(&mut self, now: DateTime<Utc>, actions: &mut Vec<Action>) {
        self.stopping = true;
        for (stream, ledger) in &mut self.streams {
            if ledger.is_saved(&self.settings) {
                actions.push(Action::Save(*stream, ledger.changes(now)));
            }
        }
    }

    /// The one request to send now, if the budget allows any.
    fn next_fetch(&mut self, now: DateTime<Utc>) -> Option<Fetch> {
        // Who has waited longest comes first: what is short may be memory, which all share.
        let mut buckets: Vec<_> = self.budgets.iter_mut().collect();
        buckets.sort_by_key(|(_, budget)| budget.latest());
        for (bucket, budget) in buckets {
            if budget.next(now) > now {
                continue;
            }
            let best = self
                .streams
                .values()
                .filter(|ledger| ledger.stream().entry().bucket == *bucket)
                .filter(|ledger| !self.full.contains(&ledger.stream()))
                .flat_map(|ledger| ledger.candidates(&self.settings, now))
                .filter(|candidate| candidate.ready <= now)
                .min_by_key(|candidate| {
                    let rank = budget.rank(candidate.class);
                    (rank, candidate.turn, candidate.ready)
                });
            let Some(best) = best else {
                continue;
            };
            let Some(ledger) = self.streams.get_mut(&best.stream) else {
                continue;
            };
            let next = self.next_read;
            budget.spend(now, best.class);
            let fetch = ledger.start(best, budget.total(), next, &self.settings, now);
            if fetch.first {
                self.reads.insert(fetch.read, best.stream);
                self.next_read = next.following();
            }
            return Some(fetch);
        }
        None
    }

    /// What the ledger goes by.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A bucket's budget, for those who report on it.
    #[must_use]
    pub fn budget(&self, bucket: Bucket) -> Option<&Budget> {
        self.budgets.get(&bucket)
    }

    /// The earliest moment at which a request could go out.
    fn wake(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.streams
            .values()
            .filter(|ledger| !self.full.contains(&ledger.stream()))
            .flat_map(|ledger| {
                let free = self
                    .budgets
                    .get(&ledger.stream().entry().bucket)
                    .map_or(now, |budget| budget.next(now));
                ledger
                    .candidates(&self.settings, now)
                    .map(move |candidate| candidate.ready.max(free))
            })
            .min()
    }
}

#[cfg(test)]
#[path = "ledger_test_support.rs"]
mod support;

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "ledger_load_tests.rs"]
mod load;

#[cfg(test)]
#[path = "ledger_property_tests.rs"]
mod properties;
