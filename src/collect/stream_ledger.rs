//! One stream's part of the ledger: its coverage, its reads in flight, and what it would ask for
//! next. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{
    coverage::Coverage,
    ledger::Fetch,
    read::{Candidate, Class, Read, ReadId, Stage, What},
    settings::Settings,
};
use crate::{
    graph::{Disposition, Window},
    state::Changes,
    stream::{Kind, Stream},
    time::Span,
};

/// Reads besides the tail that one stream may have in flight.
const HISTORY_READS: usize = 2;
/// Failures in a row after which a read is given up and its window comes up anew.
const ATTEMPTS: u32 = 6;
/// How long empty reads may go unsaved.
const SAVE_EVERY: TimeDelta = TimeDelta::seconds(60);

/// One stream of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamLedger {
    stream: Stream,
    coverage: Coverage,
    reads: BTreeMap<ReadId, Read>,
    /// When the next tail read, or the next read of the whole list, is due.
    next: DateTime<Utc>,
    /// Tail reads in a row that found nothing new.
    empty: u32,
    /// Slots that one read of the past may cover.
    slice: u32,
    page_size: u32,
    /// Reads in a row that were given up.
    given_up: u32,
    /// Nothing is asked for before this moment.
    quiet_until: Option<DateTime<Utc>>,
    /// Whether the stream is read whole: by its kind, or because Graph refused its filter.
    whole: bool,
    saved: DateTime<Utc>,
    /// The number of the last request of each class.
    turns: BTreeMap<Class, u64>,
}

impl StreamLedger {
    #[must_use]
    pub fn new(stream: Stream, coverage: Coverage, now: DateTime<Utc>) -> Self {
        Self {
            stream,
            coverage,
            reads: BTreeMap::new(),
            next: now,
            empty: 0,
            slice: 12,
            page_size: stream.entry().page_limit,
            given_up: 0,
            quiet_until: None,
            whole: stream.entry().kind == Kind::Snapshot,
            saved: now,
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
            Some(candidate(read.class, ready, What::NextPage(*id)))
        });
        let idle = |class| !self.reads.values().any(|read| read.class == class);
        let newest = if self.whole {
            idle(Class::Snapshot).then(|| candidate(Class::Snapshot, self.next, What::Whole))
        } else {
            idle(Class::Tail).then(|| candidate(Class::Tail, self.next, What::Tail))
        };
        let past = self
            .past(settings, now)
            .map(move |(class, ready, span)| candidate(class, ready, What::Slots(span)));
        pages.chain(newest).chain(past)
    }

    /// What of the past could be read: the next stretch to catch up, the next re-read.
    fn past(
        &self,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = (Class, DateTime<Utc>, Span)> + use<> {
        let in_flight = self.spans_in_flight();
        let room = !self.whole && in_flight.len() < HISTORY_READS;
        let schedule = &settings.schedule;
        let catch_up = room
            .then(|| self.coverage.next_unread(schedule, self.slice, &in_flight))
            .flatten()
            .map(|span| (Class::CatchUp, now, span));
        let reread = room
            .then(|| {
                self.coverage
                    .next_reread(schedule, now, self.slice, &in_flight)
            })
            .flatten()
            .map(|(due, span)| (Class::Reread, due, span));
        catch_up.into_iter().chain(reread)
    }

    fn spans_in_flight(&self) -> Vec<Span> {
        self.reads
            .values()
            .filter(|read| matches!(read.class, Class::CatchUp | Class::Reread))
            .filter_map(|read| span(read.window?))
            .collect()
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
        let window = match candidate.what {
            What::NextPage(id) => {
                if let Some(read) = self.reads.get_mut(&id) {
                    read.stage = Stage::Fetching;
                    return Fetch {
                        read: id,
                        stream: self.stream,
                        class: read.class,
                        window: read.window,
                        page_size: self.page_size,
                        first: read.pages == 0,
                    };
                }
                None
            }
            What::Whole => None,
            What::Tail => Some(Window {
                from: self.coverage.begin_tail(&settings.schedule, now),
                to: None,
            }),
            What::Slots(span) => Some(Window {
                from: span.from,
                to: Some(span.to),
            }),
        };
        self.reads.insert(
            id,
            Read {
                class: candidate.class,
                window,
                began: now,
                stage: Stage::Fetching,
                pages: 0,
                unacked: 0,
                found: BTreeMap::new(),
                attempts: 0,
            },
        );
        Fetch {
            read: id,
            stream: self.stream,
            class: candidate.class,
            window,
            page_size: self.page_size,
            first: true,
        }
    }

    /// The clock was set back to `now`.
    pub fn set_back(&mut self, settings: &Settings, now: DateTime<Utc>) {
        self.next = self.next.min(now);
        self.saved = self.saved.min(now);
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

    pub fn read_mut(&mut self, id: ReadId) -> Option<&mut Read> {
        self.reads.get_mut(&id)
    }

    /// A read is complete and acked: it counts. Says whether it is time to save.
    pub fn finish(&mut self, id: ReadId, settings: &Settings, now: DateTime<Utc>) -> bool {
        let Some(read) = self.reads.remove(&id) else {
            return false;
        };
        let delivered = read.found.values().any(|counts| counts.any());
        self.given_up = 0;
        match (read.class, read.window) {
            (Class::Tail, Some(window)) => {
                self.coverage
                    .tail_read(settings, window.from, read.began, &read.found);
                self.empty = if delivered { 0 } else { self.empty + 1 };
                self.next = read.began + self.poll(settings);
            }
            (Class::CatchUp | Class::Reread, Some(window)) => {
                if let Some(span) = span(window) {
                    self.coverage
                        .slots_read(settings, span, read.began, &read.found);
                }
                self.fit_slice(read.pages);
            }
            _ => self.next = read.began + settings.snapshot,
        }
        let save = delivered || now - self.saved >= SAVE_EVERY;
        if save {
            self.saved = now;
        }
        save && !self.whole
    }

    /// A poll stretches while it finds nothing new.
    fn poll(&self, settings: &Settings) -> TimeDelta {
        let doublings = 1_i32 << self.empty.min(10);
        (settings.poll * doublings).min(settings.idle_poll)
    }

    /// Fits the reach of the next read of the past to what this one took: a page or so is best.
    fn fit_slice(&mut self, pages: u32) {
        const A_MONTH_OF_FIVE_MINUTES: u32 = 30 * 24 * 12;
        match pages {
            0 | 1 => self.slice = (self.slice * 2).min(A_MONTH_OF_FIVE_MINUTES),
            2..=10 => {}
            _ => self.slice = (self.slice / 2).max(1),
        }
    }

    /// A page did not come. Returns the reads that are given up.
    pub fn failed(
        &mut self,
        id: ReadId,
        disposition: Disposition,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Vec<ReadId> {
        match disposition {
            Disposition::Retry { after } => {
                let told = after.and_then(|after| TimeDelta::from_std(after).ok());
                self.retry(id, told.unwrap_or_default(), now)
            }
            // The bucket waits; the page is next in line.
            Disposition::Throttle { .. } => {
                if let Some(read) = self.reads.get_mut(&id) {
                    read.stage = Stage::Ready(now);
                }
                Vec::new()
            }
            Disposition::RestartWindow => {
                self.slice = (self.slice / 2).max(1);
                self.give_up(id, now)
            }
            Disposition::SmallerPages { max } => {
                self.page_size = if max < self.page_size {
                    max.max(1)
                } else {
                    (self.page_size / 2).max(1)
                };
                self.give_up(id, now)
            }
            Disposition::FilterRefused if self.stream.entry().kind == Kind::Versions => {
                self.whole = true;
                self.next = now;
                self.give_up_all()
            }
            Disposition::Unavailable | Disposition::FilterRefused => {
                self.quiet_until = Some(now + settings.unavailable_retry);
                self.give_up_all()
            }
            Disposition::HaltTenant => self.give_up_all(),
        }
    }

    fn retry(&mut self, id: ReadId, told: TimeDelta, now: DateTime<Utc>) -> Vec<ReadId> {
        let Some(read) = self.reads.get_mut(&id) else {
            return Vec::new();
        };
        read.attempts += 1;
        if read.attempts >= ATTEMPTS {
            self.slice = (self.slice / 2).max(1);
            let given_up = self.give_up(id, now);
            let quiet = self.quiet_until.unwrap_or(now);
            self.quiet_until = Some(quiet.max(now + told));
            return given_up;
        }
        read.stage = Stage::Ready(now + backoff(read.attempts).max(told));
        Vec::new()
    }

    fn give_up(&mut self, id: ReadId, now: DateTime<Utc>) -> Vec<ReadId> {
        self.reads.remove(&id);
        self.given_up += 1;
        // The first time the window may come up at once; a stream that keeps failing waits longer.
        if self.given_up > 1 {
            self.quiet_until = Some(now + backoff(self.given_up));
        }
        vec![id]
    }

    fn give_up_all(&mut self) -> Vec<ReadId> {
        std::mem::take(&mut self.reads).into_keys().collect()
    }

    /// What to save since the last time.
    pub fn changes(&mut self) -> Changes {
        self.coverage.changes()
    }
}

/// 1, 2, 4, ... seconds, a minute at most.
fn backoff(failures: u32) -> TimeDelta {
    let seconds = 1_i64 << failures.saturating_sub(1).min(6);
    TimeDelta::seconds(seconds.min(60))
}

fn span(window: Window) -> Option<Span> {
    Some(Span {
        from: window.from,
        to: window.to?,
    })
}
