//! What of one stream has been read, and when each piece is due again. Pure.
//!
//! This is the part of the ledger that outlives the process: [`Coverage::changes`] says what to
//! save, [`Coverage::restore`] takes it back.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{schedule::Schedule, settings::Settings};
use crate::{
    state::{Changes, Counts, Head, Slot},
    time::{Span, Spans},
};

/// One stream's coverage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    head: Head,
    slots: BTreeMap<DateTime<Utc>, Slot>,
    changed: BTreeSet<DateTime<Utc>>,
    closed: BTreeMap<DateTime<Utc>, Counts>,
}

impl Coverage {
    /// A stream that was never read: everything from `start` before now is to be caught up.
    #[must_use]
    pub fn new(settings: &Settings, now: DateTime<Utc>) -> Self {
        let schedule = &settings.schedule;
        let origin = schedule.floor(now - settings.start);
        Self {
            head: Head {
                slot_ms: schedule.slot().num_milliseconds(),
                origin,
                tail_from: origin,
                unread: Spans::default(),
            },
            slots: BTreeMap::new(),
            changed: BTreeSet::new(),
            closed: BTreeMap::new(),
        }
    }

    /// A stream as it was saved.
    #[must_use]
    pub fn restore((head, slots): (Head, BTreeMap<DateTime<Utc>, Slot>)) -> Self {
        Self {
            head,
            slots,
            changed: BTreeSet::new(),
            closed: BTreeMap::new(),
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

    /// The clock was set back to `now`: the tail must not wait for it to come round again.
    pub fn set_back(&mut self, settings: &Settings, now: DateTime<Utc>) {
        let from = now - settings.overlap;
        self.head.tail_from = self.head.tail_from.min(from.max(self.head.origin));
    }

    /// A tail read from `from`, begun at `began`, is complete and acked.
    pub fn tail_read(
        &mut self,
        settings: &Settings,
        from: DateTime<Utc>,
        began: DateTime<Utc>,
        found: &BTreeMap<DateTime<Utc>, Counts>,
    ) {
        let schedule = &settings.schedule;
        self.head.tail_from = self.head.tail_from.max(began - settings.overlap);
        let mut start = schedule.floor(from);
        let last = schedule.floor(began);
        while start <= last {
            let counts = found.get(&start).copied().unwrap_or_default();
            self.note(schedule, start, counts);
            // A slot that the read saw only in part, or that had not ended, was not read as one.
            if from <= start && start + schedule.slot() <= began {
                self.covered(settings, start, began, counts.any());
            }
            start += schedule.slot();
        }
    }

    /// A read of whole slots, begun at `began`, is complete and acked.
    pub fn slots_read(
        &mut self,
        settings: &Settings,
        span: Span,
        began: DateTime<Utc>,
        found: &BTreeMap<DateTime<Utc>, Counts>,
    ) {
        let schedule = &settings.schedule;
        self.head.unread.remove(span);
        // What has to be read once more is read as one: slots that closed between them would cut
        // it into a request each.
        let once_more = found.values().any(|counts| counts.any());
        let mut start = span.from;
        while start < span.to {
            let counts = found.get(&start).copied().unwrap_or_default();
            self.note(schedule, start, counts);
            self.covered(settings, start, began, once_more);
            start += schedule.slot();
        }
    }

    fn note(&mut self, schedule: &Schedule, start: DateTime<Utc>, counts: Counts) {
        let slot = self.slots.entry(start).or_insert_with(|| Slot {
            due: schedule.first_due(start),
            counts: Counts::default(),
        });
        slot.counts.add(counts);
        self.changed.insert(start);
    }

    /// Sets when the slot is due after a read that began at `began`, or closes it: on a read begun
    /// after its last age that found nothing new. A slot that the tail still reaches stays open,
    /// since what is known of its records goes with it.
    fn covered(
        &mut self,
        settings: &Settings,
        start: DateTime<Utc>,
        began: DateTime<Utc>,
        once_more: bool,
    ) {
        let Some(slot) = self.slots.get_mut(&start) else {
            return;
        };
        let end = start + settings.schedule.slot();
        match settings.schedule.next_due(start, began) {
            Some(due) => slot.due = due,
            None if once_more || self.head.tail_from < end => {
                slot.due = began + settings.schedule.slot() * 2;
            }
            None => {
                let counts = slot.counts;
                self.slots.remove(&start);
                self.changed.remove(&start);
                self.closed.insert(start, counts);
            }
        }
    }

    /// The latest stretch to catch up that no read in flight covers, `slice` slots at most.
    #[must_use]
    pub fn next_unread(&self, schedule: &Schedule, slice: u32, in_flight: &[Span]) -> Option<Span> {
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

    /// The re-read to make next, and when it is due: the slot that is due first, with the
    /// neighbours that are due with it, `slice` slots at most.
    #[must_use]
    pub fn next_reread(
        &self,
        schedule: &Schedule,
        now: DateTime<Utc>,
        slice: u32,
        in_flight: &[Span],
    ) -> Option<(DateTime<Utc>, Span)> {
        let free = |start: DateTime<Utc>| {
            !in_flight
                .iter()
                .any(|span| span.from <= start && start < span.to)
        };
        let (first, slot) = self
            .slots
            .iter()
            .filter(|(start, _)| free(**start))
            .min_by_key(|(_, slot)| slot.due)?;
        let mut span = Span {
            from: *first,
            to: *first + schedule.slot(),
        };
        let joins = |start: DateTime<Utc>| {
            free(start) && self.slots.get(&start).is_some_and(|slot| slot.due <= now)
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
        Some((slot.due, span))
    }

    /// Whether there is anything to save.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.changed.is_empty() || !self.closed.is_empty()
    }

    /// What to save since the last call.
    pub fn changes(&mut self) -> Changes {
        Changes {
            head: self.head.clone(),
            slots: std::mem::take(&mut self.changed)
                .into_iter()
                .filter_map(|start| Some((start, *self.slots.get(&start)?)))
                .collect(),
            closed: std::mem::take(&mut self.closed).into_iter().collect(),
        }
    }
}
