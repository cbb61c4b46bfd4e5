//! What is saved of a stream's coverage. The ledger works with these; here they only have a shape.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Lateness;
use crate::time::Spans;

/// A stream's place in its own time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The length of a slot, in milliseconds: what is saved is saved by slot.
    pub slot_ms: i64,
    /// What lies before was read for those alone who asked for it: `backfill`, `before`.
    pub origin: DateTime<Utc>,
    /// Where the next tail read starts. Everything from `origin` to here has been read at least
    /// once, but for `unread`.
    pub tail_from: DateTime<Utc>,
    /// What a first start or a stop left unread; whole slots.
    pub unread: Spans,
    /// What a backfill is to read yet, before `origin`; whole slots.
    #[serde(default)]
    pub backfill: Spans,
    /// What backfills have read, before `origin` and apart from it.
    #[serde(default)]
    pub before: Spans,
    /// Records delivered since `origin` that only a re-read found.
    pub late: u64,
    /// Slots that passed Graph's retention before they were closed.
    pub unproven: u64,
    /// How late records became visible.
    pub lateness: Lateness,
    /// Until when Graph asked to wait when it last throttled the stream.
    pub held_until: Option<DateTime<Utc>>,
}

/// A slot that has been read and is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// When it is to be read again.
    pub due: DateTime<Utc>,
    pub counts: Counts,
}

/// What reads found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Records delivered, whenever they came.
    pub records: u64,
    /// Those of them that only a re-read found.
    pub late: u64,
    /// Revisions delivered beyond the first.
    pub revised: u64,
}

impl Counts {
    pub fn add(&mut self, other: Self) {
        self.records += other.records;
        self.late += other.late;
        self.revised += other.revised;
    }

    /// Whether there was anything to deliver.
    #[must_use]
    pub fn any(self) -> bool {
        self.records + self.revised > 0
    }
}

/// What was delivered of a stream in all, counted as it was acked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub records: u64,
    /// Revisions beyond the first.
    pub revised: u64,
}

impl Totals {
    /// Counts one more event of the given revision.
    pub fn add(&mut self, revision: u32) {
        match revision {
            0 => self.records += 1,
            _ => self.revised += 1,
        }
    }
}

/// What to save of a stream since the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    pub head: Head,
    /// Slots that are new or changed.
    pub slots: Vec<(DateTime<Utc>, Slot)>,
    /// Slots that are over. What was known of their ids is not needed any more.
    pub over: Vec<(DateTime<Utc>, Over)>,
    /// Ids that are kept for the stream and not by slot, and were not seen since, are dropped.
    pub forget_before: Option<DateTime<Utc>>,
}

/// How a slot came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Over {
    /// Read after its last age, with nothing new: a proof of what was found in it. Where ids are
    /// kept by slot the proof counts those and not what is given here, which a crash can shorten.
    Closed(Counts),
    /// It passed Graph's retention first. What was found in it was delivered; that it was all is
    /// not known.
    Unproven(Counts),
}

/// What became of the slots of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// Slots that closed.
    pub slots: u64,
    /// Slots that did not, in time.
    pub unproven: u64,
    /// What was found in all of them.
    pub counts: Counts,
}

impl Over {
    /// What was found in the slot.
    #[must_use]
    pub fn counts(&self) -> Counts {
        match self {
            Self::Closed(counts) | Self::Unproven(counts) => *counts,
        }
    }

    /// The same end, with what was found in truth.
    #[must_use]
    pub fn with(self, counts: Counts) -> Self {
        match self {
            Self::Closed(_) => Self::Closed(counts),
            Self::Unproven(_) => Self::Unproven(counts),
        }
    }
}

impl Proof {
    /// Counts one more slot.
    pub fn add(&mut self, over: Over) {
        match over {
            Over::Closed(counts) => {
                self.slots += 1;
                self.counts.add(counts);
            }
            Over::Unproven(counts) => {
                self.unproven += 1;
                self.counts.add(counts);
            }
        }
    }
}
