//! What a read comes to once its pages are acked. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use super::StreamLedger;
use crate::collect::{
    coverage::Finished,
    read::{Class, Found, Read, ReadId, Stage},
    settings::Settings,
};

/// How long empty reads may go unsaved.
const SAVE_EVERY: TimeDelta = TimeDelta::seconds(60);
/// Slots that one read of the past may cover: 30 days of 5 minutes.
const LONGEST_SLICE: u32 = 30 * 24 * 12;

impl StreamLedger {
    /// The records of one page are acked. Says whether the read is over, and whether it is time to
    /// save.
    pub fn acked(
        &mut self,
        id: ReadId,
        found: &Found,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> (bool, bool) {
        let Some(read) = self.reads.get_mut(&id) else {
            return (true, false);
        };
        read.unacked = read.unacked.saturating_sub(1);
        read.found.add(found);
        if !read.is_over() {
            return (false, false);
        }
        let Some(read) = self.reads.remove(&id) else {
            return (false, false);
        };
        let delivered = read.found.any();
        if read.class == Class::Backfill {
            self.backfilled += read
                .found
                .slots
                .values()
                .map(|counts| counts.records)
                .sum::<u64>();
        }
        if read.stage == Stage::GivenUp {
            self.coverage.found(&self.schedule, &read.found);
        } else {
            self.finish(&read, settings);
        }
        let save = delivered || now - self.saved >= SAVE_EVERY;
        if save {
            self.saved = now;
        }
        (true, save)
    }

    /// A read is complete and acked: it counts.
    fn finish(&mut self, read: &Read, settings: &Settings) {
        let others = self.in_flight();
        let finished = Finished {
            began: read.began,
            found: &read.found,
            others: &others,
        };
        self.given_up = 0;
        self.page_size = self.page_size.saturating_mul(2).min(self.page_limit);
        match (read.class, read.window) {
            (Class::Tail, Some(window)) => {
                self.coverage
                    .tail_read(settings, &self.schedule, window.from, finished);
                self.caught_on = true;
                self.tail_rows = self.tail_rows.saturating_mul(2).max(1);
                if read.found.any() {
                    self.empty = 0;
                    self.next = self.next.min(read.began + settings.poll);
                } else {
                    self.empty = self.empty.saturating_add(1);
                }
            }
            (Class::CatchUp | Class::Reread | Class::Backfill, Some(_)) => {
                if let Some(span) = read.span(&self.schedule) {
                    self.coverage.slots_read(&self.schedule, span, finished);
                }
                self.fit_slice(read.pages);
            }
            _ => {
                self.coverage.found(&self.schedule, &read.found);
                self.whole_read = Some(read.began);
            }
        }
    }

    /// Fits the reach of the next read of the past to what this one took: a page or some are best.
    fn fit_slice(&mut self, pages: u32) {
        self.pages_of_a_slice = pages.max(1);
        match pages {
            0 | 1 => self.slice = (self.slice * 4).min(LONGEST_SLICE),
            2..=10 => {}
            _ => self.slice = (self.slice / 2).max(1),
        }
    }
}
