//! History: what lies before a stream's origin and is asked for after the fact. Pure.
//!
//! What the source has read by itself is never read again here: what is known of its records went
//! when its slots closed, and they would be delivered twice.

use chrono::{DateTime, TimeDelta, Utc};

use super::Coverage;
use crate::{
    collect::schedule::Schedule,
    time::{Span, Spans},
};

impl Coverage {
    /// Asks for what of `span` was never read and lies before the origin, in whole slots. Returns
    /// what is to be read of it now, what was asked for before included.
    pub fn ask_for(&mut self, schedule: &Schedule, span: Span) -> Spans {
        let mut asked = Spans::default();
        asked.add(Span {
            from: schedule.floor(span.from),
            to: schedule.ceil(span.to).min(self.head.origin),
        });
        for read in self.head.before.iter() {
            asked.remove(read);
        }
        for piece in asked.iter() {
            self.head.backfill.add(piece);
        }
        asked
    }

    /// What is unread since the origin and lies in `span`, in whole slots. It is the source's to
    /// catch up, and read for who asks for history while no source runs.
    #[must_use]
    pub fn unread_within(&self, schedule: &Schedule, span: Span) -> Spans {
        let mut within = Spans::default();
        for unread in self.head.unread.iter() {
            within.add(Span {
                from: unread.from.max(schedule.floor(span.from)),
                to: unread.to.min(schedule.ceil(span.to)),
            });
        }
        within
    }

    /// The earliest stretch of history to read that no read in flight covers, `slice` slots at
    /// most: what Graph forgets first comes first. `also` is what is asked for besides.
    #[must_use]
    pub fn next_backfill(
        &self,
        schedule: &Schedule,
        also: &Spans,
        slice: u32,
        in_flight: &[Span],
    ) -> Option<Span> {
        let mut free = self.head.backfill.clone();
        for span in also.iter() {
            free.add(span);
        }
        for span in in_flight {
            free.remove(*span);
        }
        let first = free.first()?;
        let length = schedule.slot() * i32::try_from(slice).unwrap_or(i32::MAX);
        Some(Span {
            from: first.from,
            to: first.to.min(first.from + length),
        })
    }

    /// Nothing of it can be read: Graph refuses the stream's filter.
    pub fn drop_backfill(&mut self) {
        self.head.backfill = Spans::default();
    }

    /// History that is to be read, all told.
    #[must_use]
    pub fn backfill_left(&self) -> TimeDelta {
        self.head.backfill.length()
    }

    /// Whatever is open or to be read before this moment is the oldest there is.
    #[must_use]
    pub fn oldest(&self, schedule: &Schedule) -> DateTime<Utc> {
        let open = self.slots.keys().next().copied();
        let backfill = self.head.backfill.first().map(|span| span.from);
        [open, backfill]
            .into_iter()
            .flatten()
            .fold(self.closed_through(schedule), DateTime::min)
    }

    /// Whether any of it is to be read, or to be read once more.
    #[must_use]
    pub fn has_history(&self) -> bool {
        !self.head.backfill.is_empty() || self.slots.range(..self.head.origin).next().is_some()
    }

    /// History that reaches up to the origin and is closed joins what the source has read by
    /// itself.
    pub(super) fn join_before(&mut self) {
        while let Some(last) = self.head.before.last()
            && last.to == self.head.origin
            && self.slots.range(last.from..last.to).next().is_none()
        {
            self.head.before.remove(last);
            self.head.origin = last.from;
        }
    }
}

#[cfg(test)]
#[path = "backfill_tests.rs"]
mod tests;
