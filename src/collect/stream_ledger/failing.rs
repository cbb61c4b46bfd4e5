//! What becomes of a read when a page of it does not come. Pure.

use chrono::{DateTime, TimeDelta, Utc};

use super::StreamLedger;
use crate::{
    collect::{
        read::{Class, ReadId, Stage},
        settings::Settings,
    },
    graph::Disposition,
    stream::Kind,
};

/// Failures in a row after which a read is given up and its window comes up anew.
const ATTEMPTS: u32 = 6;
/// Pages that keep failing are asked for with no fewer rows than this.
const LEAST_ROWS: u32 = 50;

impl StreamLedger {
    /// A page did not come. Returns the reads that are given up.
    pub fn failed(
        &mut self,
        id: ReadId,
        disposition: Disposition,
        settings: &Settings,
        now: DateTime<Utc>,
    ) -> Vec<ReadId> {
        if let Some(read) = self.reads.get_mut(&id) {
            read.asking = false;
            if read.stage == Stage::GivenUp {
                self.leave(id);
                return vec![id];
            }
        }
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
                self.narrow(id);
                self.give_up(id, now)
            }
            Disposition::SmallerPages { max } => {
                let asked = self.reads.get(&id).map_or(0, |read| read.page_size);
                // Requests that were out together are refused together; one lesson is enough.
                if asked >= self.page_size {
                    let less = if max < asked { max } else { asked / 2 };
                    self.page_limit = less.max(1);
                    self.page_size = self.page_limit;
                }
                self.give_up(id, now)
            }
            Disposition::FilterRefused if self.stream.entry().kind == Kind::Versions => {
                self.whole = true;
                self.coverage.drop_backfill();
                self.next = now;
                self.give_up_all()
            }
            Disposition::Unavailable | Disposition::FilterRefused => {
                self.quiet_until = Some(now + settings.unavailable_retry);
                self.denied = true;
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
            self.narrow(id);
            let given_up = self.give_up(id, now);
            let quiet = self.quiet_until.unwrap_or(now);
            self.quiet_until = Some(quiet.max(now + told));
            return given_up;
        }
        read.stage = Stage::Ready(now + backoff(read.attempts).max(told));
        Vec::new()
    }

    /// The next read like this one reaches less far.
    fn narrow(&mut self, id: ReadId) {
        let narrowest = match self.reads.get(&id).map(|read| read.class) {
            Some(Class::Tail) => {
                self.tail_rows /= 2;
                self.tail_rows == 0
            }
            _ => {
                self.slice = (self.slice / 2).max(1);
                self.slice == 1
            }
        };
        // A page that is too much for Graph even so may come with fewer rows.
        if narrowest {
            self.page_size = (self.page_size / 2).max(LEAST_ROWS.min(self.page_size));
        }
    }

    fn give_up(&mut self, id: ReadId, now: DateTime<Utc>) -> Vec<ReadId> {
        let class = self.reads.get(&id).map(|read| read.class);
        if matches!(class, Some(Class::Tail | Class::Snapshot)) {
            self.next = self.next.min(now);
        }
        self.leave(id);
        self.given_up += 1;
        // The first time the window may come up at once; a stream that keeps failing waits longer.
        if self.given_up > 1 {
            self.quiet_until = Some(now + backoff(self.given_up));
        }
        vec![id]
    }

    /// Gives up every read that has pages to come.
    fn give_up_all(&mut self) -> Vec<ReadId> {
        let open = self.reads.iter().filter(|(_, read)| read.is_open());
        let open: Vec<ReadId> = open.map(|(id, _)| *id).collect();
        for id in &open {
            self.leave(*id);
        }
        open
    }

    /// A read that is given up stays until what its pages brought is acked.
    fn leave(&mut self, id: ReadId) {
        let Some(read) = self.reads.get_mut(&id) else {
            return;
        };
        read.stage = Stage::GivenUp;
        if read.is_over() {
            let found = std::mem::take(&mut read.found);
            self.reads.remove(&id);
            self.coverage.found(&self.schedule, &found);
        }
    }
}

/// 1, 2, 4, ... seconds, a minute at most.
fn backoff(failures: u32) -> TimeDelta {
    let seconds = 1_i64 << failures.saturating_sub(1).min(6);
    TimeDelta::seconds(seconds.min(60))
}
