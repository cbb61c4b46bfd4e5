//! What is saved of a stream's coverage. The ledger works with these; here they only have a shape.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::time::Spans;

/// A stream's place in its own time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The length of a slot, in milliseconds: what is saved is saved by slot.
    pub slot_ms: i64,
    /// What lies before was never asked for.
    pub origin: DateTime<Utc>,
    /// Where the next tail read starts. Everything from `origin` to here has been read at least
    /// once, but for `unread`.
    pub tail_from: DateTime<Utc>,
    /// What a first start or a stop left unread; whole slots.
    pub unread: Spans,
}

/// A slot that has been read and is not closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// When it is to be read again.
    pub due: DateTime<Utc>,
    pub counts: Counts,
}

/// What the reads of a slot found.
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

/// What to save of a stream since the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    pub head: Head,
    /// Slots that are new or changed.
    pub slots: Vec<(DateTime<Utc>, Slot)>,
    /// Slots that closed, with what was found in them: a proof. What was known of their ids is
    /// not needed any more.
    pub closed: Vec<(DateTime<Utc>, Counts)>,
}
