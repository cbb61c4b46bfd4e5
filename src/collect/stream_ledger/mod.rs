//! One stream's part of the ledger: its coverage, its reads in flight, and what it would ask for
//! next. Pure.

mod asking;
mod failing;
mod finishing;
mod pressure;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use self::pressure::Pressure;
use super::{
    coverage::Coverage,
    read::{Class, Read, ReadId, Stage},
    schedule::Schedule,
    settings::Settings,
};
use crate::{
    state::Changes,
    stream::{Kind, Stream},
    time::{Span, Spans},
};

/// How long ids are kept for streams whose records are known by id alone: a month, and the week to
/// within which it is known when they were last seen.
const KEEP_IDS: TimeDelta = TimeDelta::days(37);

/// One stream of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamLedger {
    stream: Stream,
    coverage: Coverage,
    /// The ages that slots are read at, as many as the budget goes round for.
    schedule: Schedule,
    pressure: Pressure,
    reads: BTreeMap<ReadId, Read>,
    /// When the next tail read, or the next read of the whole list, is due.
    next: DateTime<Utc>,
    /// Tail reads in a row that found nothing new.
    empty: u32,
    /// Whether a tail read was finished since the start.
    caught_on: bool,
    /// Rows that a tail read may expect beyond the newest.
    tail_rows: u32,
    /// Where the next tail read may start, by the latest of which every page came. It is not saved:
    /// what is not acked is read again after a restart.
    tail_came: Option<DateTime<Utc>>,
    /// Slots from here on are served by tail reads.
    served_from: DateTime<Utc>,
    /// Slots that one read of the past may cover.
    slice: u32,
    /// Rows that a page is asked for, and the most that Graph gives.
    page_size: u32,
    page_limit: u32,
    /// Reads in a row that were given up.
    given_up: u32,
    /// Nothing is asked for before this moment.
    quiet_until: Option<DateTime<Utc>>,
    /// Whether Graph denied the stream when it last answered.
    denied: bool,
    /// When the last read of the whole list that was finished began.
    whole_read: Option<DateTime<Utc>>,
    /// Pages that the latest read of the past took.
    pages_of_a_slice: u32,
    /// Whether the stream is read whole: by its kind, or because Graph refused its filter.
    whole: bool,
    saved: DateTime<Utc>,
    /// When ids were last dropped that were not seen for long.
    forgot: DateTime<Utc>,
    /// Records that backfills delivered since the start.
    backfilled: u64,
    /// Where only history is read: what was asked for.
    only: Option<Span>,
    /// The number of the last request of each class.
    turns: BTreeMap<Class, u64>,
}

impl StreamLedger {
    #[must_use]
    pub fn new(
        stream: Stream,
        coverage: Coverage,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            stream,
            coverage,
            schedule: settings.schedule.clone(),
            pressure: Pressure::new(now),
            reads: BTreeMap::new(),
            next: now,
            empty: 0,
            caught_on: false,
            tail_rows: stream.entry().page_limit,
            tail_came: None,
            served_from: now,
            slice: 12,
            page_size: stream.entry().page_limit,
            page_limit: stream.entry().page_limit,
            given_up: 0,
            quiet_until: None,
            denied: false,
            whole_read: None,
            pages_of_a_slice: 1,
            whole: stream.entry().kind == Kind::Snapshot,
            saved: now,
            forgot: now - TimeDelta::days(1),
            backfilled: 0,
            only: None,
            turns: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn stream(&self) -> Stream {
        self.stream
    }

    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Whether the stream is read whole.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// Whether Graph denies the stream.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.denied
    }

    /// When the whole list was last read.
    #[must_use]
    pub fn whole_read(&self) -> Option<DateTime<Utc>> {
        self.whole_read
    }

    /// Requests that it takes to read what is unread, as the latest reads of the past went.
    #[must_use]
    pub fn requests_to_catch_up(&self, schedule: &Schedule) -> u64 {
        let unread = self.coverage.unread().num_milliseconds().unsigned_abs();
        let slot = schedule.slot().num_milliseconds().unsigned_abs().max(1);
        let slices = unread.div_ceil(slot).div_ceil(self.slice.into());
        slices * u64::from(self.pages_of_a_slice)
    }

    /// Asks for history: what of `span` was never read. Returns how much that is. Where a source
    /// runs, what is unread since the origin is caught up by it; else it is asked for as well.
    pub fn ask_for(&mut self, span: Span, settings: &Settings, now: DateTime<Utc>) -> TimeDelta {
        if self.whole {
            return TimeDelta::zero();
        }
        let asked = self.coverage.ask_for(&self.schedule, span).length();
        if !settings.only_backfill {
            return asked;
        }
        self.coverage.begin_tail(&self.schedule, now);
        self.only = Some(span);
        asked + self.asked_besides().length()
    }

    /// What is asked for of what is unread since the origin.
    fn asked_besides(&self) -> Spans {
        let within = |span| self.coverage.unread_within(&self.schedule, span);
        self.only.map(within).unwrap_or_default()
    }

    /// What was asked for and is not read yet.
    #[must_use]
    pub fn backfill_left(&self) -> TimeDelta {
        self.coverage.backfill_left() + self.asked_besides().length()
    }

    /// Whether its state is to be saved: where only history is read, that of other streams is not
    /// touched.
    #[must_use]
    pub fn is_saved(&self, settings: &Settings) -> bool {
        !settings.only_backfill || self.only.is_some()
    }

    /// Records that backfills delivered since the start.
    #[must_use]
    pub fn backfilled(&self) -> u64 {
        self.backfilled
    }

    /// Ages that are given up for now, since the budget does not go round.
    #[must_use]
    pub fn ages_given_up(&self) -> usize {
        self.pressure.dropped()
    }

    /// The clock was set back to `now`.
    pub fn set_back(&mut self, settings: &Settings, now: DateTime<Utc>) {
        self.next = self.next.min(now);
        self.saved = self.saved.min(now);
        self.forgot = self.forgot.min(now);
        self.served_from = self.served_from.min(now);
        self.tail_came = None;
        self.pressure.set_back(now);
        let longest = now + settings.unavailable_retry;
        self.quiet_until = self.quiet_until.map(|until| until.min(longest));
        for read in self.reads.values_mut() {
            read.began = read.began.min(now);
            if let Stage::Ready(ready) = read.stage {
                read.stage = Stage::Ready(ready.min(now));
            }
        }
        self.coverage.set_back(settings, now);
    }

    /// Graph asks the stream's bucket to wait until then.
    pub fn hold(&mut self, until: DateTime<Utc>) {
        self.coverage.hold(until);
    }

    /// Whether a read is not over.
    #[must_use]
    pub fn has(&self, id: ReadId) -> bool {
        self.reads.contains_key(&id)
    }

    /// A page came; `more` says that another follows.
    pub fn came(&mut self, id: ReadId, more: bool, settings: &Settings, now: DateTime<Utc>) {
        self.denied = false;
        let Some(read) = self.reads.get_mut(&id) else {
            return;
        };
        read.asking = false;
        read.came = now;
        read.pages += 1;
        read.unacked += 1;
        read.attempts = 0;
        if read.stage == Stage::GivenUp {
            return;
        }
        read.stage = if more {
            Stage::Ready(now)
        } else {
            Stage::Complete
        };
        if !more && read.class == Class::Tail {
            self.tail_came = self.tail_came.max(Some(read.began - settings.overlap));
        }
    }

    /// A poll stretches while it finds nothing new.
    fn poll(&self, settings: &Settings) -> TimeDelta {
        let doublings = 1_i32 << self.empty.min(10);
        (settings.poll * doublings).min(settings.idle_poll)
    }

    /// Gives up what Graph no longer keeps. Says how many slots that were.
    pub fn give_up_old(&mut self, settings: &Settings, now: DateTime<Utc>) -> u64 {
        let cutoff = self.schedule.floor(now - settings.retention);
        if self.coverage.oldest(&self.schedule) >= cutoff {
            return 0;
        }
        // What a read in flight covers waits for it.
        let in_flight = self.in_flight().iter().map(|span| span.from).min();
        let cutoff = in_flight.map_or(cutoff, |from| cutoff.min(from));
        self.coverage.give_up(&self.schedule, cutoff)
    }

    /// What to save since the last time.
    pub fn changes(&mut self, now: DateTime<Utc>) -> Changes {
        let by_id = self.whole || self.stream.entry().kind != Kind::Events;
        // Only once this process has read the stream: a stop may have been long.
        let read = self.caught_on || self.whole_read.is_some();
        let forget = by_id && read && now - self.forgot >= TimeDelta::days(1);
        if forget {
            self.forgot = now;
        }
        self.coverage.changes(forget.then(|| now - KEEP_IDS))
    }
}
