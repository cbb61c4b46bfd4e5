//! What of one stream has been read, and when each piece is due again. Pure.
//!
//! This is the part of the ledger that outlives the process: [`Coverage::changes`] says what to
//! save, [`Coverage::restore`] takes it back.

mod backfill;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{read::Found, schedule::Schedule, settings::Settings};
use crate::{
    state::{Changes, Counts, Head, Lateness, Over, Slot},
    time::{Span, Spans},
};

/// One stream's coverage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    head: Head,
    slots: BTreeMap<DateTime<Utc>, Slot>,
    /// The slots in the order in which they are due.
    dues: BTreeSet<(DateTime<Utc>, DateTime<Utc>)>,
    changed: BTreeSet<DateTime<Utc>>,
    over: BTreeMap<DateTime<Utc>, Over>,
}

/// A read that is complete and acked.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'a> {
    /// When its first request was sent: what it proves, it proves of this moment.
    pub began: DateTime<Utc>,
    pub found: &'a Found,
    /// What other reads of the stream cover that are not acked yet. No slot closes under them: what
    /// is known of its ids is still needed.
    pub others: &'a [Span],
}

impl Coverage {
    /// A stream that was never read: everything from `start` before now is to be caught up.
    #[must_use]
    pub fn new(settings: &Settings, now: DateTime<Utc>) -> Self {
        let schedule = &settings.schedule;
        let origin = schedule.floor(now - settings.start.min(settings.retention));
        Self::restore((
            Head {
                slot_ms: schedule.slot().num_milliseconds(),
                origin,
                tail_from: origin,
                unread: Spans::default(),
                backfill: Spans::default(),
                before: Spans::default(),
                late: 0,
                unproven: 0,
                lateness: Lateness::default(),
                held_until: None,
            },
            BTreeMap::new(),
        ))
    }

    /// A stream as it was saved.
    #[must_use]
    pub fn restore((head, slots): (Head, BTreeMap<DateTime<Utc>, Slot>)) -> Self {
        Self {
            head,
            dues: slots
                .iter()
                .map(|(start, slot)| (slot.due, *start))
                .collect(),
            slots,
            changed: BTreeSet::new(),
            over: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    #[must_use]
    pub fn slots(&self) -> &BTreeMap<DateTime<Utc>, Slot> {
        &self.slots
    }

    /// Everything before this moment, back to the origin, is closed, or unproven for good.
    #[must_use]
    pub fn closed_through(&self, schedule: &Schedule) -> DateTime<Utc> {
        let open = self.slots.range(self.head.origin..).next();
        let open = open.map(|(start, _)| *start);
        let unread = self.head.unread.first().map(|span| span.from);
        let tail = schedule.floor(self.head.tail_from);
        [open, unread]
            .into_iter()
            .flatten()
            .fold(tail, DateTime::min)
    }

    /// Where a tail read that begins now starts. It reaches back two slots at most; what lies
    /// between is left to catching up.
    pub fn begin_tail(&mut self, schedule: &Schedule, now: DateTime<Utc>) -> DateTime<Utc> {
        let limit = schedule.floor(now) - schedule.slot() * 2;
        if self.head.tail_from < limit {
            self.head.unread.add(Span {
                from: schedule.floor(self.head.tail_from),
                to: limit,
            });
            self.head.tail_from = limit;
        }
        self.head.tail_from
    }

    /// How far back a tail read from `from` may start so that it serves re-reads as well: over open
    /// slots without a gap, as long as the rows to expect stay within `rows`.
    #[must_use]
    pub fn reach(
        &self,
        schedule: &Schedule,
        from: DateTime<Utc>,
        rows: u64,
        in_flight: &[Span],
    ) -> DateTime<Utc> {
        let mut start = schedule.floor(from);
        let newest = self.slots.range(start + schedule.slot()..);
        let mut expected: u64 = newest.map(|(_, slot)| slot.counts.records).sum();
        let mut reach = from;
        // Beyond what is unread nothing is known of the rows to expect.
        let limit = self.head.unread.last().map(|span| span.to);
        while let Some(slot) = self.slots.get(&start) {
            expected += slot.counts.records;
            let free = !in_flight.iter().any(|span| span.contains(start));
            if expected > rows || limit.is_some_and(|limit| start < limit) || !free {
                break;
            }
            reach = start;
            start -= schedule.slot();
        }
        reach
    }

    /// Graph asks to wait until then.
    pub fn hold(&mut self, until: DateTime<Utc>) {
        self.head.held_until = Some(until);
    }

    /// The clock was set back to `now`: the tail must not wait for it to come round again.
    pub fn set_back(&mut self, settings: &Settings, now: DateTime<Utc>) {
        let from = now - settings.overlap;
        self.head.tail_from = self.head.tail_from.min(from.max(self.head.origin));
    }

    /// A tail read from `from` is complete and acked.
    pub fn tail_read(
        &mut self,
        settings: &Settings,
        schedule: &Schedule,
        from: DateTime<Utc>,
        read: Finished<'_>,
    ) {
        let began = read.began;
        // A later tail may come first; what the one before it covers is unread until it comes too.
        self.head.unread.add(Span {
            from: schedule.floor(self.head.tail_from),
            to: schedule.floor(from),
        });
        self.head.tail_from = self.head.tail_from.max(began - settings.overlap);
        self.found(schedule, read.found);
        let mut start = schedule.floor(from);
        let last = schedule.floor(began);
        while start <= last {
            self.open(schedule, start);
            // A slot that the read saw only in part, or that had not ended, was not read as one.
            if from <= start && start + schedule.slot() <= began {
                let once_more = read.found.reopens(start);
                self.covered(schedule, start, once_more, read);
            }
            start += schedule.slot();
        }
    }

    /// A read of whole slots is complete and acked.
    pub fn slots_read(&mut self, schedule: &Schedule, span: Span, read: Finished<'_>) {
        self.found(schedule, read.found);
        // What has to be read once more is read as one: slots that closed between them would cut
        // it into a request each.
        let once_more = read.found.any() || !read.found.unsettled.is_empty();
        let mut start = span.from;
        while start < span.to {
            self.open(schedule, start);
            self.covered(schedule, start, once_more, read);
            start += schedule.slot();
        }
    }

    /// What acked pages delivered, whatever becomes of their read.
    pub fn found(&mut self, schedule: &Schedule, found: &Found) {
        self.head.lateness.merge(&found.lateness);
        for (start, counts) in &found.slots {
            self.head.late += counts.late;
            // A list that is read whole has no slots.
            if *start == DateTime::UNIX_EPOCH || !counts.any() {
                continue;
            }
            self.open(schedule, *start);
            if let Some(slot) = self.slots.get_mut(start) {
                slot.counts.add(*counts);
                self.changed.insert(*start);
            }
        }
    }

    fn open(&mut self, schedule: &Schedule, start: DateTime<Utc>) {
        if !self.slots.contains_key(&start) {
            let slot = Slot {
                due: schedule.first_due(start),
                counts: Counts::default(),
            };
            self.dues.insert((slot.due, start));
            self.slots.insert(start, slot);
            self.changed.insert(start);
        }
    }

    /// Sets when the slot is due after a read of all of it, or closes it: on a read begun after its
    /// last age that found nothing new. A slot that the tail still reaches stays open, since what is
    /// known of its records goes with it.
    fn covered(
        &mut self,
        schedule: &Schedule,
        start: DateTime<Utc>,
        once_more: bool,
        read: Finished<'_>,
    ) {
        let end = start + schedule.slot();
        let slot = Span {
            from: start,
            to: end,
        };
        self.head.unread.remove(slot);
        if start < self.head.origin {
            self.head.backfill.remove(slot);
            self.head.before.add(slot);
        }
        let reached =
            self.head.tail_from < end || read.others.iter().any(|other| other.contains(start));
        match schedule.next_due(start, read.began) {
            Some(due) => self.set_due(start, due),
            None if once_more || reached => {
                self.set_due(start, read.began + schedule.slot() * 2);
            }
            None => {
                if let Some(counts) = self.remove(start) {
                    self.over.insert(start, Over::Closed(counts));
                }
            }
        }
    }

    fn set_due(&mut self, start: DateTime<Utc>, due: DateTime<Utc>) {
        if let Some(slot) = self.slots.get_mut(&start)
            && slot.due != due
        {
            self.dues.remove(&(slot.due, start));
            self.dues.insert((due, start));
            slot.due = due;
            self.changed.insert(start);
        }
    }

    fn remove(&mut self, start: DateTime<Utc>) -> Option<Counts> {
        let slot = self.slots.remove(&start)?;
        self.dues.remove(&(slot.due, start));
        self.changed.remove(&start);
        Some(slot.counts)
    }

    /// Gives up what Graph no longer keeps: slots before `cutoff` that are open or unread are
    /// unproven for good. Says how many there were.
    pub fn give_up(&mut self, schedule: &Schedule, cutoff: DateTime<Utc>) -> u64 {
        let mut lost = BTreeMap::new();
        while let Some((start, _)) = self.slots.first_key_value()
            && *start + schedule.slot() <= cutoff
        {
            let start = *start;
            lost.insert(start, self.remove(start).unwrap_or_default());
        }
        for spans in [&mut self.head.unread, &mut self.head.backfill] {
            while let Some(span) = spans.first()
                && span.from + schedule.slot() <= cutoff
            {
                let slot = Span {
                    from: span.from,
                    to: (span.from + schedule.slot()).min(span.to),
                };
                spans.remove(slot);
                lost.entry(slot.from).or_default();
            }
        }
        let count = lost.len() as u64;
        self.head.unproven += count;
        let lost = lost.into_iter();
        self.over
            .extend(lost.map(|(start, counts)| (start, Over::Unproven(counts))));
        count
    }

    /// The latest stretch to catch up that no read in flight covers, `slice` slots at most.
    #[must_use]
    pub fn next_unread(&self, schedule: &Schedule, slice: u32, in_flight: &[Span]) -> Option<Span> {
        if self.head.unread.is_empty() {
            return None;
        }
        let mut free = self.head.unread.clone();
        for span in in_flight {
            free.remove(*span);
        }
        let last = free.last()?;
        let length = schedule.slot() * i32::try_from(slice).unwrap_or(i32::MAX);
        Some(Span {
            from: last.from.max(last.to - length),
            to: last.to,
        })
    }

    /// The slot to re-read next that satisfies `fits` and that no read in flight covers, and when
    /// it is due: the one that is due first.
    #[must_use]
    pub fn next_due(
        &self,
        in_flight: &[Span],
        fits: impl Fn(DateTime<Utc>) -> bool,
    ) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let free = |start| !in_flight.iter().any(|span| span.contains(start));
        let mut dues = self.dues.iter();
        dues.find(|(_, start)| fits(*start) && free(*start))
            .copied()
    }

    /// A slot with the neighbours that are due by `now` as well, `slice` slots at most.
    #[must_use]
    pub fn with_neighbours(
        &self,
        schedule: &Schedule,
        start: DateTime<Utc>,
        now: DateTime<Utc>,
        slice: u32,
        in_flight: &[Span],
    ) -> Span {
        let mut span = Span {
            from: start,
            to: start + schedule.slot(),
        };
        let joins = |start: DateTime<Utc>| {
            self.slots.get(&start).is_some_and(|slot| slot.due <= now)
                && !in_flight.iter().any(|span| span.contains(start))
        };
        let mut length = 1;
        while length < slice && joins(span.to) {
            span.to += schedule.slot();
            length += 1;
        }
        while length < slice && joins(span.from - schedule.slot()) {
            span.from -= schedule.slot();
            length += 1;
        }
        span
    }

    /// Time that is to be caught up, all told.
    #[must_use]
    pub fn unread(&self) -> TimeDelta {
        self.head.unread.length()
    }

    /// What to save since the last call.
    pub fn changes(&mut self, forget_before: Option<DateTime<Utc>>) -> Changes {
        self.join_before();
        Changes {
            head: self.head.clone(),
            slots: std::mem::take(&mut self.changed)
                .into_iter()
                .filter_map(|start| Some((start, *self.slots.get(&start)?)))
                .collect(),
            over: std::mem::take(&mut self.over).into_iter().collect(),
            forget_before,
        }
    }
}

#[cfg(test)]
mod tests;
