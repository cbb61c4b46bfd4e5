//! A read: one query with all its pages, from the first request to the last ack. Pure data.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::schedule::Schedule;

use crate::{
    graph::Window,
    state::{Counts, Lateness},
    stream::Stream,
    time::Span,
};

/// Names a read for as long as the process lives.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ReadId(u64);

impl ReadId {
    #[must_use]
    pub fn following(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Why a window is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Class {
    /// The newest records.
    Tail,
    /// What a first start or a stop left unread.
    CatchUp,
    /// A slot that has reached an age.
    Reread,
    /// A whole list of states.
    Snapshot,
    /// History that was asked for.
    Backfill,
}

/// Where a read stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The next page may be asked for from this moment on.
    Ready(DateTime<Utc>),
    /// A request is out.
    Fetching,
    /// Every page came.
    Complete,
    /// Given up. What its pages hold is still delivered, and its slots stay open until it is acked.
    GivenUp,
}

/// What pages delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// By slot; under the Unix epoch for a list that is read whole.
    pub slots: BTreeMap<DateTime<Utc>, Counts>,
    pub lateness: Lateness,
    /// Slots of records of which only a later read can tell whether they are revised.
    pub unsettled: BTreeSet<DateTime<Utc>>,
}

impl Found {
    pub fn add(&mut self, other: &Self) {
        for (slot, counts) in &other.slots {
            self.slots.entry(*slot).or_default().add(*counts);
        }
        self.lateness.merge(&other.lateness);
        self.unsettled.extend(&other.unsettled);
    }

    /// Whether there was anything to deliver.
    #[must_use]
    pub fn any(&self) -> bool {
        self.slots.values().any(|counts| counts.any())
    }

    /// Whether a slot must be read once more before it can close.
    #[must_use]
    pub fn reopens(&self, start: DateTime<Utc>) -> bool {
        self.slots.get(&start).is_some_and(|counts| counts.any()) || self.unsettled.contains(&start)
    }
}

/// A read in flight.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Read {
    pub class: Class,
    /// `None` for a list that is read whole.
    pub window: Option<Window>,
    /// When its first request was sent: what it proves, it proves of this moment.
    pub began: DateTime<Utc>,
    pub stage: Stage,
    /// When its latest page came.
    pub came: DateTime<Utc>,
    /// Pages that came.
    pub pages: u32,
    /// Pages that came and are not acked.
    pub unacked: u32,
    /// What its acked pages delivered.
    pub found: Found,
    /// Failures in a row of the page being asked for.
    pub attempts: u32,
    /// Whether a request is out.
    pub asking: bool,
    /// Rows that its pages are asked for.
    pub page_size: u32,
    /// Whether what it finds says how late records become visible: it reads what was read before,
    /// in time.
    pub measures: bool,
}

impl Read {
    /// A read whose first request goes out now.
    #[must_use]
    pub fn begin(class: Class, window: Option<Window>, page_size: u32, now: DateTime<Utc>) -> Self {
        Self {
            class,
            window,
            began: now,
            came: now,
            stage: Stage::Fetching,
            pages: 0,
            unacked: 0,
            found: Found::default(),
            attempts: 0,
            asking: true,
            page_size,
            measures: false,
        }
    }

    /// Whether there are pages to come.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Ready(_) | Stage::Fetching)
    }

    /// Whether nothing of it is left to come or to be acked.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.is_open() && !self.asking && self.unacked == 0
    }

    /// The slots that it may touch. While pages of a tail are to come, there is no end to them.
    #[must_use]
    pub fn span(&self, schedule: &Schedule) -> Option<Span> {
        let window = self.window?;
        Some(Span {
            from: schedule.floor(window.from),
            to: match window.to {
                Some(to) => to,
                None if self.is_open() => DateTime::<Utc>::MAX_UTC,
                None => schedule.floor(self.came) + schedule.slot(),
            },
        })
    }
}

/// A request that could be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub stream: Stream,
    pub class: Class,
    /// From when on.
    pub ready: DateTime<Utc>,
    /// When the stream last had a request of this class: who waited longest comes first.
    pub turn: u64,
    pub what: What,
}

/// What a candidate would ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// The next page of a read in flight.
    NextPage(ReadId),
    /// A new read; the tail's window is only known when it begins.
    Tail,
    Slots(Span),
    Whole,
}
