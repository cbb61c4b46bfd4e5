//! What a stream would ask for next, and the request that comes of it. Pure.

use chrono::{DateTime, Utc};

use super::StreamLedger;
use crate::{
    collect::{
        ledger::Fetch,
        read::{Candidate, Class, Read, ReadId, Stage, What},
        settings::Settings,
    },
    graph::Window,
    time::Span,
};

/// Reads of the past that one stream may have open. Pages of one read come one after another, so
/// it takes some five at once to use the budget at page latencies of ten seconds.
const OPEN_READS: usize = 6;
/// Reads whose pages all came and that wait for acks; beyond it the stream asks for nothing new.
const UNACKED_READS: usize = 64;
/// The same for history alone, so that a slow pipeline has room for what is new.
const UNACKED_HISTORY: usize = 12;

impl StreamLedger {
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
        let newest = if settings.only_backfill {
            None
        } else if self.whole {
            (room && idle(Class::Snapshot))
                .then(|| candidate(Class::Snapshot, self.next, What::Whole))
        } else {
            (room && idle(Class::Tail)).then(|| candidate(Class::Tail, self.next, What::Tail))
        };
        let by_time = room && !self.whole;
        let past = (by_time && !settings.only_backfill).then(|| self.past(settings, now));
        let history = (by_time && self.has_history()).then(|| self.history(now));
        let past = past
            .into_iter()
            .flatten()
            .chain(history.into_iter().flatten());
        let past = past.map(move |(class, ready, span)| candidate(class, ready, What::Slots(span)));
        pages.chain(newest).chain(past)
    }

    /// Whether anything was asked for that is not read and closed. Most streams have nothing, and
    /// this is looked at in every step.
    fn has_history(&self) -> bool {
        self.only.is_some() || self.coverage.has_history()
    }

    /// What of the history that was asked for could be read: the next stretch, and slots of it that
    /// are read once more.
    fn history(
        &self,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = (Class, DateTime<Utc>, Span)> + use<> {
        let reads = || {
            let reads = self.reads.values();
            reads.filter(|read| read.class == Class::Backfill)
        };
        let open = reads().filter(|read| read.is_open()).count();
        let mut found = Vec::new();
        if open < OPEN_READS && reads().count() < UNACKED_HISTORY {
            let in_flight = self.in_flight();
            let schedule = &self.schedule;
            let besides = self.asked_besides();
            let next = self
                .coverage
                .next_backfill(schedule, &besides, self.slice, &in_flight);
            found.extend(next.map(|span| (now, span)));
            let origin = self.coverage.head().origin;
            let due = self.coverage.next_due(&in_flight, |start| start < origin);
            found.extend(due.map(|(due, start)| {
                let slice = self.slice;
                let coverage = &self.coverage;
                (
                    due,
                    coverage.with_neighbours(schedule, start, now, slice, &in_flight),
                )
            }));
        }
        found
            .into_iter()
            .map(|(ready, span)| (Class::Backfill, ready, span))
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
            let origin = self.coverage.head().origin;
            let by_itself = self.coverage.next_due(&in_flight, |start| {
                origin <= start && start < self.served_from
            });
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
    pub(super) fn in_flight(&self) -> Vec<Span> {
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
}
