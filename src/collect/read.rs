//! A read: one query with all its pages, from the first request to the last ack. Pure data.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{graph::Window, state::Counts, stream::Stream, time::Span};

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
    /// Pages that came.
    pub pages: u32,
    /// Pages that came and are not acked.
    pub unacked: u32,
    /// What its acked pages delivered, by slot.
    pub found: BTreeMap<DateTime<Utc>, Counts>,
    /// Failures in a row of the page being asked for.
    pub attempts: u32,
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
