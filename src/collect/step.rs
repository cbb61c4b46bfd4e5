//! What the ledger is told, and what it says to do. Pure data.

use chrono::{DateTime, Utc};

use super::read::{Class, Found, ReadId};
use crate::{
    graph::{Disposition, Window},
    state::Changes,
    stream::Stream,
};

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Nothing but time.
    Tick,
    /// A page came; `more` says that another follows.
    Page { read: ReadId, more: bool },
    /// Every record of one page is acked; `found` says what was delivered.
    Acked { read: ReadId, found: Found },
    /// A page did not come.
    Failed {
        read: ReadId,
        disposition: Disposition,
    },
    /// Ask for nothing more.
    Stop,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send one request: the first page of a read, or the page after the last one that came.
    Fetch(Fetch),
    /// A read is over; its nextLink is of no more use.
    Forget(ReadId),
    /// Save what changed, after everything acked so far.
    Save(Stream, Changes),
    /// So many slots passed Graph's retention before they were closed: say so.
    Unproven(Stream, u64),
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fetch {
    pub read: ReadId,
    pub stream: Stream,
    pub class: Class,
    /// What the read covers; `None` for a stream that is read whole.
    pub window: Option<Window>,
    pub page_size: u32,
    /// Whether this is the read's first page.
    pub first: bool,
    /// Whether what it finds says how late records become visible.
    pub measures: bool,
    /// When the read began.
    pub began: DateTime<Utc>,
}

/// What follows from one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    pub actions: Vec<Action>,
    /// When to step again if nothing happens before; `None` when only an input can change things.
    pub wake: Option<DateTime<Utc>>,
}
