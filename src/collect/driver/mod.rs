//! The driver: performs what one tenant's ledger decides.
//!
//! One loop owns everything; what takes time (a request, a delivery) runs beside it and comes back
//! as a [`Done`]. So nothing here is locked, and the ledger hears of things one after another.

mod asking;
mod delivering;
mod ordering;
mod running;
mod stopping;
mod telling;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};
use url::Url;
use uuid::Uuid;

use self::telling::Told;
use super::{
    Clock, Ledger, Memory, Settings,
    clock::Correction,
    coverage::Coverage,
    ledger::Fetch,
    memory::Share,
    pages::{OnTheirWay, Placed},
    read::{Found, ReadId},
};
use crate::{
    control::Order,
    graph::{Answer, Client, GraphError},
    outlet::{Delivery, OutletError},
    record::Key,
    state::{Saved, State, StateError, WriteFailed},
    status::Board,
    stream::Stream,
    telemetry::Repeats,
};

/// Bytes of one batch at most, unless a single event is larger.
const BATCH_BYTES: usize = 1 << 20;
/// Batches of one stream that are being delivered at once.
const BATCHES_IN_FLIGHT: usize = 4;

/// Why a driver ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// Nothing of this tenant can be read until its configuration is mended.
    #[error("tenant {tenant}: {error}; nothing of this tenant is collected")]
    Tenant {
        tenant: Uuid,
        error: GraphError,
        /// Whether the tenant let the app in before, in this process.
        worked: bool,
    },
    /// Nothing can be delivered until the outlet or its peer is mended.
    #[error("{0}")]
    Outlet(OutletError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error("{0}")]
    Write(#[from] WriteFailed),
}

/// Something that was begun and is over.
enum Done {
    Fetched {
        fetch: Fetch,
        answer: Answer,
        asked: DateTime<Utc>,
        share: Share,
    },
    Delivered {
        page: PageId,
        /// What was delivered, with the revisions' numbers.
        events: Vec<(Key, u32)>,
        outcome: Result<(), Halt>,
    },
    Saved(Result<(), WriteFailed>),
    /// Where the streams stand is told, or nothing more can be delivered.
    Told(Result<(), OutletError>),
    /// There is a token, or a reason why not.
    Token(Result<Option<DateTime<Utc>>, GraphError>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PageId(u64);

/// A page that came and is not acked.
struct OpenPage {
    read: ReadId,
    stream: Stream,
    /// Batches on their way.
    batches: usize,
    /// Records that wait for another revision of themselves to be acked.
    waiting: Vec<Placed>,
    /// The same as these are being delivered for other pages.
    depends: BTreeSet<Key>,
    found: Found,
    measures: bool,
    /// When its read began.
    began: DateTime<Utc>,
    /// Memory for its records and their lines, as long as there are any.
    share: Option<Share>,
}

impl OpenPage {
    /// Gives back the memory once nothing of the page is held any more.
    fn settle(&mut self) {
        if self.batches == 0 && self.waiting.is_empty() {
            self.share = None;
        }
    }

    fn is_acked(&self) -> bool {
        self.batches == 0 && self.waiting.is_empty() && self.depends.is_empty()
    }
}

/// Where the driver stands with its token.
#[derive(Debug, Default)]
struct TokenState {
    /// Whether there ever was one.
    had: bool,
    asking: bool,
    failures: u32,
}

/// Collects one tenant.
pub struct Driver {
    tenant: Uuid,
    client: Arc<Client>,
    state: Arc<State>,
    delivery: Arc<Delivery>,
    /// What the local clock said at the start, and when that was: a clock that is set while the
    /// source runs changes nothing.
    began: (DateTime<Utc>, Instant),
    memory: Memory,
    token: TokenState,
    settings: Settings,
    /// Each stream as it was saved, until the ledger takes it over.
    saved: BTreeMap<Stream, Option<Coverage>>,
    ledger: Ledger,
    correction: Correction,
    /// Whether Graph has told its time.
    dated: bool,
    /// A leap of Graph's clock that one answer told of.
    doubted: Option<Correction>,
    /// Where the next page of each read in flight is.
    links: BTreeMap<ReadId, Url>,
    pages: BTreeMap<PageId, OpenPage>,
    next_page: u64,
    /// What is being delivered, by stream.
    on_their_way: BTreeMap<Stream, OnTheirWay>,
    in_flight: BTreeMap<Stream, Arc<Semaphore>>,
    fetches: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Deliveries and saves.
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    repeats: Repeats,
    told: Told,
    /// History that others ask for.
    orders: mpsc::Receiver<Order>,
}

/// What a driver works with.
pub struct Parts {
    pub tenant: Uuid,
    pub streams: Vec<Stream>,
    pub client: Arc<Client>,
    pub state: Arc<State>,
    pub delivery: Arc<Delivery>,
    pub clock: Arc<dyn Clock>,
    pub memory: Memory,
    pub settings: Settings,
    /// Where the driver puts up how its streams stand.
    pub board: Arc<Board>,
    /// How often that goes into the pipeline as well; `None` for never.
    pub tell_every: Option<Duration>,
    /// Where orders for history come from.
    pub orders: mpsc::Receiver<Order>,
}

impl Driver {
    /// A driver that goes on where the state file says.
    ///
    /// # Errors
    /// [`StateError`] when the state cannot be read.
    pub fn new(parts: Parts) -> Result<Self, StateError> {
        let streams = parts
            .streams
            .iter()
            .map(|stream| {
                let saved = parts.state.coverage(parts.tenant, *stream)?;
                check_slots(saved.as_ref(), &parts.settings)?;
                Ok((*stream, saved.map(Coverage::restore)))
            })
            .collect::<Result<BTreeMap<_, _>, StateError>>()?;
        let told = Told::new(&parts)?;
        Ok(Self {
            ledger: Ledger::new(parts.settings.clone(), BTreeMap::new(), parts.clock.now()),
            saved: streams,
            tenant: parts.tenant,
            client: parts.client,
            state: parts.state,
            delivery: parts.delivery,
            began: (parts.clock.now(), Instant::now()),
            memory: parts.memory,
            token: TokenState::default(),
            settings: parts.settings,
            correction: Correction::default(),
            dated: false,
            doubted: None,
            links: BTreeMap::new(),
            pages: BTreeMap::new(),
            next_page: 0,
            on_their_way: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            fetches: FuturesUnordered::new(),
            work: FuturesUnordered::new(),
            repeats: Repeats::default(),
            told,
            orders: parts.orders,
        })
    }
}

fn in_flight_of_a_stream() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(BATCHES_IN_FLIGHT))
}

/// What was saved by slot can only be read with slots of the same length.
fn check_slots(saved: Option<&Saved>, settings: &Settings) -> Result<(), StateError> {
    let is = settings.schedule.slot().num_milliseconds();
    match saved {
        Some((head, _)) if head.slot_ms != is => Err(StateError::OtherSlots {
            was: head.slot_ms / 1000,
            is: is / 1000,
        }),
        _ => Ok(()),
    }
}

/// How long to wait before asking for a token again: none at first, then 1, 2, 4, ... seconds, a
/// minute at most.
fn token_wait(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        _ => Duration::from_secs(1 << (failures - 1).min(6)).min(Duration::from_secs(60)),
    }
}
