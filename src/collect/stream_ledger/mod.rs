//! One stream's part of the ledger: its coverage, its reads in flight, and what it would ask for
//! next. Pure.

mod failing;
mod finishing;
mod pressure;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use self::pressure::Pressure;
use super::{
    coverage::Coverage,
    ledger::Fetch,
    read::{Candidate, Class, Read, ReadId, Stage, What},
    schedule::Schedule,
    settings::Settings,
};
use crate::{
    graph::Window,
    state::Changes,
    stream::{Kind, Stream},
    time::Span,
};

/// Reads of the past that one stream may have open. Pages of one read come one after another, so
/// it takes some five at once to use the budget at page latencies of ten seconds.
const OPEN_READS: usize = 6;
/// Reads whose pages all came and that wait for acks; beyond it the stream asks for nothing new.
const UNACKED_READS: usize = 64;
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

    /// Ages that are given up for now, since the budget does not go round.
    #[must_use]
    pub fn ages_given_up(&self) -> usize {
        self.pressure.dropped()
    }

    /// Everything the stream would ask for, each with the moment from which on it may.
    pub fn candidates<'a>(
        &'a self,
        settings: &'a Settings,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = Candidate> + 'a {
        let quiet = self.quiet_until.unwrap_or(now);
        let candidate = move |class, ready: DateTime<Utc>, what| Candidate {
            stream: self.stream,
            class,
            ready: ready.max(quiet),
            turn: self.turns.get(&class).copied().unwrap_or_default(),
            what,
        };
        let pages = self.reads.iter().filter_map(move |(id, read)| {
            let Stage::Ready(ready) = read.stage else {
                return None;
            };
            // A read that goes on is not kept waiting by others that fail: its page token expires.
            let page = candidate(read.class, ready, What::NextPage(*id));
            Some(Candidate { ready, ..page })
        });
        let room = self.reads.len() < UNACKED_READS;
        let idle = |class| {
            !self
                .reads
                .values()
                .any(|read| read.class == class && read.is_open())
        };
        let newest = if self.whole {
            (room && idle(Class::Snapshot))
                .then(|| candidate(Class::Snapshot, self.next, What::Whole))
        } else {
            (room && idle(Class::Tail)).then(|| candidate(Class::Tail, self.next, What::Tail))
        };
        let past = (room && !self.whole)
            .then(|| self.past(settings, now))
            .into_iter()
            .flatten()
            .map(move |(class, ready, span)| candidate(class, ready, What::Slots(span)));
        pages.chain(newest).chain(past)
    }

    /// What of the past could be read: the next stretch to catch up, the next re-read.
    fn past(
        &self,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = (Class, DateTime<Utc>, Span)> + use<> {
        let past = |read: &&Read| matches!(read.class, Class::CatchUp | Class::Reread);
        let open = self
            .reads
            .values()
            .filter(past)
            .filter(|read| read.is_open());
        let in_flight = self.in_flight();
        let mut found = Vec::new();
        if open.count() < OPEN_READS {
            let unread = self
                .coverage
                .next_unread(&self.schedule, self.slice, &in_flight);
            found.extend(unread.map(|span| (Class::CatchUp, now, span)));
            let reread = |ready, start| {
                let span = self.coverage.with_neighbours(
                    &self.schedule,
                    start,
                    now,
                    self.slice,
                    &in_flight,
                );
                (Class::Reread, ready, span)
            };
            let by_itself = self
                .coverage
                .next_due(&in_flight, |start| start < self.served_from);
            found.extend(by_itself.map(|(due, start)| reread(due, start)));
            // What the tail serves is read by itself only when the tail fails to.
            let served = self
                .coverage
                .next_due(&in_flight, |start| start >= self.served_from);
            found.extend(served.map(|(due, start)| reread(due + settings.idle_poll * 2, start)));
        }
        found.into_iter()
    }

    /// What reads touch that are not over.
    fn in_flight(&self) -> Vec<Span> {
        let reads = self.reads.values();
        reads.filter_map(|read| read.span(&self.schedule)).collect()
    }

    /// Turns a candidate into a request that goes out now, the `turn`th of its bucket. `id` is for a
    /// new read.
    pub fn start(
        &mut self,
        candidate: Candidate,
        turn: u64,
        id: ReadId,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Fetch {
        self.turns.insert(candidate.class, turn);
        let mut measures = false;
        let window = match candidate.what {
            What::NextPage(id) => {
                if let Some(read) = self.reads.get_mut(&id) {
                    read.stage = Stage::Fetching;
                    read.asking = true;
                    return Fetch {
                        read: id,
                        stream: self.stream,
                        class: read.class,
                        window: read.window,
                        page_size: read.page_size,
                        first: read.pages == 0,
                        measures: read.measures,
                        began: read.began,
                    };
                }
                None
            }
            What::Whole => {
                self.next = now + settings.snapshot;
                None
            }
            What::Tail => {
                measures = self.caught_on;
                self.next = now + self.poll(settings);
                Some(self.begin_tail(settings, now))
            }
            What::Slots(span) => {
                if candidate.class == Class::Reread {
                    measures = candidate.ready + self.schedule.slot() >= now;
                    self.feel(candidate.ready, settings, now);
                }
                Some(Window {
                    from: span.from,
                    to: Some(span.to),
                })
            }
        };
        let read = Read {
            measures,
            ..Read::begin(candidate.class, window, self.page_size, now)
        };
        self.reads.insert(id, read);
        Fetch {
            read: id,
            stream: self.stream,
            class: candidate.class,
            window,
            page_size: self.page_size,
            first: true,
            measures,
            began: now,
        }
    }

    fn begin_tail(&mut self, settings: &Settings, now: DateTime<Utc>) -> Window {
        let from = self.coverage.begin_tail(&self.schedule, now);
        let from = self.tail_came.map_or(from, |came| came.max(from));
        self.relax(settings, now);
        // A page with some room for what is new.
        let rows = self.tail_rows.min(self.page_size / 4 * 3);
        let in_flight = self.in_flight();
        let from = self
            .coverage
            .reach(&self.schedule, from, rows.into(), &in_flight);
        self.served_from = from;
        Window { from, to: None }
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
        if self.coverage.closed_through(&self.schedule) >= cutoff {
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
