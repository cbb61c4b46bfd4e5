//! Under pressure: which ages a stream is read at when the budget does not go round for all. Pure.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::StreamLedger;
use crate::collect::{
    read::{Read, Stage},
    settings::Settings,
};

/// How many ages are given up, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Pressure {
    dropped: usize,
    changed: DateTime<Utc>,
}

impl Pressure {
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            dropped: 0,
            changed: now,
        }
    }

    pub fn dropped(&self) -> usize {
        self.dropped
    }

    pub fn set_back(&mut self, now: DateTime<Utc>) {
        self.changed = self.changed.min(now);
    }
}

impl StreamLedger {
    /// A tail read begins. Where no re-read waits, ages come back: a stream that has turned quiet may
    /// need no re-read by itself that could tell.
    pub(super) fn relax(&mut self, settings: &Settings, now: DateTime<Utc>) {
        let origin = self.coverage.head().origin;
        let waits = self
            .coverage
            .next_due(&[], |start| origin <= start && start < self.served_from);
        if self.pressure.dropped > 0 && waits.is_none_or(|(due, _)| due >= now) {
            self.feel(now, settings, now);
        }
    }

    /// A re-read that was due at `due` begins now. One that comes a slot too late says that there
    /// are more ages than the budget goes round for, and one is given up; one that comes in time,
    /// long after, brings one back. Each change is given time to show.
    ///
    /// While reads wait for acks it is the pipeline that makes them late, and nothing is learned.
    pub(super) fn feel(&mut self, due: DateTime<Utc>, settings: &Settings, now: DateTime<Utc>) {
        let waits = |read: &Read| read.stage == Stage::Complete;
        if self.reads.values().any(waits) {
            return;
        }
        let slot = self.schedule.slot();
        let since = now - self.pressure.changed;
        let overdue = now - due;
        let most = settings.schedule.ages().saturating_sub(1);
        let dropped = self.pressure.dropped;
        self.pressure.dropped = if overdue > slot && since > slot {
            (dropped + 1).min(most)
        } else if overdue < slot / 4 && since > slot * 12 {
            dropped.saturating_sub(1)
        } else {
            return;
        };
        self.pressure.changed = now;
        if self.pressure.dropped == dropped {
            return;
        }
        let lateness = &self.coverage.head().lateness;
        let near: Vec<_> = [900, 990]
            .into_iter()
            .filter_map(|thousandths| lateness.quantile(thousandths))
            .collect();
        self.schedule = settings.schedule.without(self.pressure.dropped, &near);
    }
}
