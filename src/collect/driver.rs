//! The driver: performs what one tenant's ledger decides.
//!
//! One loop owns everything; what takes time (a request, a delivery) runs beside it and comes back
//! as a [`Done`]. So nothing here is locked, and the ledger hears of things one after another.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, OptionFuture},
    stream::FuturesUnordered,
};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tracing::{debug, info, warn};
use url::Url;
use uuid::Uuid;

use super::{
    Clock, Ledger, Memory, Settings,
    clock::Correction,
    coverage::Coverage,
    ledger::{Action, Fetch, Input},
    memory::Share,
    pages::{Judged, Placed, judge_all, place},
    read::{Class, ReadId},
};
use crate::{
    graph::{Answer, Client, Disposition, GraphError, query},
    outlet::{Delivery, OutletError},
    record::{Batch, Key, Origin},
    state::{Counts, Saved, State, StateError, WriteFailed},
    stream::{Kind, Stream},
    telemetry::Repeats,
};

/// Bytes of one batch at most, unless a single event is larger.
const BATCH_BYTES: usize = 1 << 20;
/// Batches of one stream that are being delivered at once.
const BATCHES_IN_FLIGHT: usize = 4;
/// How long a stop waits for batches that are being delivered.
const DRAIN: Duration = Duration::from_secs(20);
/// How often a driver without memory for a page looks again.
const MEMORY_RETRY: Duration = Duration::from_millis(100);

/// Why a driver ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    /// Nothing of this tenant can be read until its configuration is mended.
    #[error("tenant {tenant}: {error}; nothing of this tenant is collected")]
    Tenant { tenant: Uuid, error: GraphError },
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
        keys: Vec<Key>,
        outcome: Result<(), Halt>,
    },
    Saved(Result<(), WriteFailed>),
    /// There is a token, or a reason why not.
    Token(Result<Option<DateTime<Utc>>, GraphError>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PageId(u64);

/// A page that came and is not acked.
struct OpenPage {
    read: ReadId,
    stream: Stream,
    class: Class,
    /// Batches on their way.
    batches: usize,
    /// Records that wait for another revision of themselves to be acked.
    waiting: Vec<Placed>,
    found: BTreeMap<DateTime<Utc>, Counts>,
    _share: Share,
}

/// Where the driver stands with its token.
#[derive(Debug, Default)]
struct TokenState {
    asking: bool,
    failures: u32,
}

/// Collects one tenant.
pub struct Driver {
    tenant: Uuid,
    client: Arc<Client>,
    state: Arc<State>,
    delivery: Arc<Delivery>,
    clock: Arc<dyn Clock>,
    memory: Memory,
    token: TokenState,
    settings: Settings,
    /// Each stream as it was saved, until the ledger takes it over.
    saved: BTreeMap<Stream, Option<Coverage>>,
    ledger: Ledger,
    correction: Correction,
    /// Where the next page of each read in flight is.
    links: HashMap<ReadId, Url>,
    pages: HashMap<PageId, OpenPage>,
    next_page: u64,
    /// What is being delivered, by stream.
    on_their_way: BTreeMap<Stream, BTreeSet<Key>>,
    in_flight: BTreeMap<Stream, Arc<Semaphore>>,
    fetches: FuturesUnordered<BoxFuture<'static, Done>>,
    /// Deliveries and saves.
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    repeats: Repeats,
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
        let in_flight = parts
            .streams
            .iter()
            .map(|stream| (*stream, Arc::new(Semaphore::new(BATCHES_IN_FLIGHT))))
            .collect();
        Ok(Self {
            ledger: Ledger::new(parts.settings.clone(), BTreeMap::new(), parts.clock.now()),
            saved: streams,
            tenant: parts.tenant,
            client: parts.client,
            state: parts.state,
            delivery: parts.delivery,
            clock: parts.clock,
            memory: parts.memory,
            token: TokenState::default(),
            settings: parts.settings,
            correction: Correction::default(),
            links: HashMap::new(),
            pages: HashMap::new(),
            next_page: 0,
            on_their_way: BTreeMap::new(),
            in_flight,
            fetches: FuturesUnordered::new(),
            work: FuturesUnordered::new(),
            repeats: Repeats::default(),
        })
    }

    /// Collects until told to stop, then lets what is being delivered come to its end.
    ///
    /// # Errors
    /// [`Halt`] when it cannot go on.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), Halt> {
        // The first token tells Graph's time as well, and no window is planned before it is known.
        while !self.client.has_token() {
            let wait = token_wait(self.token.failures);
            let asked = self.clock.now();
            let client = Arc::clone(&self.client);
            let token = async move {
                sleep(wait).await;
                client.get_token().await
            };
            tokio::select! {
                () = told_to(&mut stop) => return Ok(()),
                outcome = token => {
                    if let Ok(Some(date)) = outcome {
                        self.observe_date(date, asked);
                    }
                    self.token(outcome.map(|_| ()))?;
                }
            }
        }
        let streams = std::mem::take(&mut self.saved);
        self.ledger = Ledger::new(self.settings.clone(), streams, self.now());
        for (stream, changes) in self.ledger.first_save() {
            self.state.save(self.tenant, stream, changes).await?;
        }
        let mut wake = self.take(Input::Tick);
        loop {
            let sleep: OptionFuture<_> = wake.map(sleep_until).into();
            let done = tokio::select! {
                () = told_to(&mut stop) => return self.drain().await,
                Some(done) = self.fetches.next() => self.done(done),
                Some(done) = self.work.next() => self.done(done),
                Some(()) = sleep => Ok(Some(Input::Tick)),
            };
            match done {
                Ok(Some(input)) => wake = self.take(input),
                Ok(None) => {}
                Err(halt) => {
                    // What is being delivered may still be acked; the first fault is the one to
                    // tell.
                    let _ = self.drain().await;
                    return Err(halt);
                }
            }
        }
    }

    /// Gives an input to the ledger and performs what it says, until it asks for nothing more.
    /// Returns when to come back if nothing happens before.
    fn take(&mut self, input: Input) -> Option<Instant> {
        let mut input = input;
        loop {
            let now = self.now();
            let room = self.room();
            let step = self.ledger.step(input, now, room.is_some());
            let mut room = room;
            let mut fetched = false;
            for action in step.actions {
                match action {
                    Action::Fetch(fetch) => {
                        if let Some(share) = room.take() {
                            self.fetch(fetch, share);
                            fetched = true;
                        }
                    }
                    Action::Forget(read) => {
                        self.links.remove(&read);
                    }
                    Action::Save(stream, changes) => {
                        let saved = self.state.save(self.tenant, stream, changes);
                        self.work.push(saved.map(Done::Saved).boxed());
                    }
                }
            }
            if !fetched {
                // Without room the ledger may be due already; memory is what is waited for.
                let blocked = room.is_none();
                return step.wake.map(|wake| self.instant(wake, now, blocked));
            }
            input = Input::Tick;
        }
    }

    /// What a request needs before it may be asked for: a token, and memory for its page.
    fn room(&mut self) -> Option<Share> {
        if self.client.has_token() {
            return self.memory.room();
        }
        if !self.token.asking {
            self.token.asking = true;
            let client = Arc::clone(&self.client);
            let wait = token_wait(self.token.failures);
            self.fetches.push(
                async move {
                    sleep(wait).await;
                    Done::Token(client.get_token().await)
                }
                .boxed(),
            );
        }
        None
    }

    fn now(&self) -> DateTime<Utc> {
        self.correction.apply(self.clock.now())
    }

    fn instant(&self, wake: DateTime<Utc>, now: DateTime<Utc>, blocked: bool) -> Instant {
        let wait = (wake - now).to_std().unwrap_or_default();
        let least = if blocked {
            MEMORY_RETRY
        } else {
            Duration::ZERO
        };
        Instant::now() + wait.max(least)
    }

    fn fetch(&mut self, fetch: Fetch, share: Share) {
        let url = match self.links.get(&fetch.read) {
            Some(next) => next.clone(),
            None => query::first_page(
                self.client.cloud(),
                fetch.stream,
                fetch.window.as_ref(),
                fetch.page_size,
            ),
        };
        let following = self.links.contains_key(&fetch.read);
        let client = Arc::clone(&self.client);
        let asked = self.clock.now();
        // A task of its own: splitting a page takes a while, and the loop must not wait for it.
        let task = tokio::spawn(async move { client.page(fetch.stream, &url, following).await });
        self.fetches.push(
            async move {
                let answer = task.await.unwrap_or_else(|error| Answer {
                    outcome: Err(GraphError::BrokenPage(format!(
                        "reading it failed: {error}"
                    ))),
                    date: None,
                });
                Done::Fetched {
                    fetch,
                    answer,
                    asked,
                    share,
                }
            }
            .boxed(),
        );
    }

    fn done(&mut self, done: Done) -> Result<Option<Input>, Halt> {
        match done {
            Done::Fetched {
                fetch,
                answer,
                asked,
                share,
            } => {
                if let Some(date) = answer.date {
                    self.observe_date(date, asked);
                }
                self.fetched(fetch, answer, share).map(Some)
            }
            Done::Delivered {
                page,
                keys,
                outcome,
            } => {
                outcome?;
                self.delivered(page, &keys)
            }
            Done::Saved(outcome) => {
                outcome?;
                Ok(None)
            }
            Done::Token(outcome) => self.token(outcome.map(|_| ())).map(Some),
        }
    }

    fn token(&mut self, outcome: Result<(), GraphError>) -> Result<Input, Halt> {
        self.token.asking = false;
        match outcome {
            Ok(()) => self.token.failures = 0,
            Err(error) if error.disposition() == Disposition::HaltTenant => {
                return Err(Halt::Tenant {
                    tenant: self.tenant,
                    error,
                });
            }
            Err(error) => {
                self.token.failures += 1;
                if self.repeats.is_due(error.to_string()) {
                    warn!(tenant = %self.tenant, "{error}; it is tried again");
                }
            }
        }
        Ok(Input::Tick)
    }

    fn fetched(&mut self, fetch: Fetch, answer: Answer, share: Share) -> Result<Input, Halt> {
        let page = match answer.outcome {
            Ok(page) => page,
            Err(error) => return self.failed(fetch, error),
        };
        let mut share = share;
        // The lines of the page's events take about as much again as the page.
        self.memory.fit(&mut share, page.bytes.saturating_mul(2));
        let more = page.next.is_some();
        match page.next {
            Some(next) => self.links.insert(fetch.read, next),
            None => self.links.remove(&fetch.read),
        };
        let placed = place(
            fetch.stream,
            &self.settings.schedule,
            fetch.window.as_ref(),
            page.records,
        );
        let id = PageId(self.next_page);
        self.next_page += 1;
        self.pages.insert(
            id,
            OpenPage {
                read: fetch.read,
                stream: fetch.stream,
                class: fetch.class,
                batches: 0,
                waiting: placed,
                found: BTreeMap::new(),
                _share: share,
            },
        );
        debug!(stream = %fetch.stream, class = ?fetch.class, more, "a page came");
        let input = Input::Page {
            read: fetch.read,
            more,
        };
        self.take(input);
        self.admit(id)?;
        Ok(self.acked(id).unwrap_or(Input::Tick))
    }

    fn observe_date(&mut self, date: DateTime<Utc>, asked: DateTime<Utc>) {
        let before = self.correction;
        self.correction = before.observe(date, asked, self.clock.now());
        if self.correction == before {
            return;
        }
        match self.correction.distance().num_seconds() {
            0 => info!(tenant = %self.tenant, "the local clock agrees with Graph's again"),
            behind @ 1.. => {
                warn!(tenant = %self.tenant, "the local clock is {behind} s behind Graph's; Graph's is used");
            }
            ahead => {
                warn!(tenant = %self.tenant, "the local clock is {} s ahead of Graph's; Graph's is used", -ahead);
            }
        }
    }

    fn failed(&mut self, fetch: Fetch, error: GraphError) -> Result<Input, Halt> {
        let disposition = error.disposition();
        if disposition == Disposition::HaltTenant {
            return Err(Halt::Tenant {
                tenant: self.tenant,
                error,
            });
        }
        if self.repeats.is_due(format!("{} {error}", fetch.stream)) {
            let then = match disposition {
                Disposition::Unavailable => {
                    let retry = self.settings.unavailable_retry.num_minutes();
                    format!(
                        "the stream is unavailable and tried again in {retry} min; the others go on"
                    )
                }
                Disposition::FilterRefused if fetch.stream.entry().kind == Kind::Versions => {
                    "the stream is read whole instead".into()
                }
                Disposition::FilterRefused => "the stream is unavailable; the others go on".into(),
                _ => "it is tried again".into(),
            };
            warn!(tenant = %self.tenant, stream = %fetch.stream, "{error}; {then}");
        }
        Ok(Input::Failed {
            read: fetch.read,
            disposition,
        })
    }

    /// Judges what waits of a page and sends what is to be delivered on its way.
    fn admit(&mut self, id: PageId) -> Result<(), Halt> {
        let now = self.now();
        let Some(page) = self.pages.get_mut(&id) else {
            return Ok(());
        };
        let stream = page.stream;
        let placed = std::mem::take(&mut page.waiting);
        let keys: Vec<Key> = placed.iter().map(|placed| placed.key).collect();
        let latest = self.state.known(self.tenant, stream, &keys)?;
        let origin = Origin {
            tenant: self.tenant,
            stream,
            cloud: self.client.cloud().name().into(),
        };
        let on_their_way = self.on_their_way.entry(stream).or_default();
        let Judged {
            events,
            found,
            waiting,
        } = judge_all(&origin, page.class, placed, &latest, on_their_way, now);
        on_their_way.extend(events.iter().map(|event| event.key));
        page.waiting = waiting;
        for (slot, counts) in found {
            page.found.entry(slot).or_default().add(counts);
        }
        let batches = Batch::cut(&origin, events, BATCH_BYTES);
        page.batches += batches.len();
        for batch in batches {
            self.deliver(id, batch);
        }
        Ok(())
    }

    fn deliver(&mut self, page: PageId, batch: Batch) {
        let stream = batch.origin.stream;
        let in_flight = self.in_flight.get(&stream).cloned();
        let delivery = Arc::clone(&self.delivery);
        let state = Arc::clone(&self.state);
        let tenant = self.tenant;
        let keys: Vec<Key> = batch.events.iter().map(|event| event.key).collect();
        let remember = batch
            .events
            .iter()
            .map(|event| (event.key, event.known))
            .collect();
        self.work.push(
            async move {
                let _turn = match &in_flight {
                    Some(in_flight) => in_flight.acquire().await.ok(),
                    None => None,
                };
                let outcome = match delivery.deliver(batch).await {
                    Ok(()) => state
                        .acked(tenant, stream, remember)
                        .await
                        .map_err(Halt::from),
                    Err(error) => Err(Halt::Outlet(error)),
                };
                Done::Delivered {
                    page,
                    keys,
                    outcome,
                }
            }
            .boxed(),
        );
    }

    fn delivered(&mut self, id: PageId, keys: &[Key]) -> Result<Option<Input>, Halt> {
        let Some(page) = self.pages.get_mut(&id) else {
            return Ok(None);
        };
        page.batches -= 1;
        let stream = page.stream;
        if let Some(on_their_way) = self.on_their_way.get_mut(&stream) {
            for key in keys {
                on_their_way.remove(key);
            }
        }
        let waiting: Vec<PageId> = self
            .pages
            .iter()
            .filter(|(_, page)| page.stream == stream && !page.waiting.is_empty())
            .map(|(id, _)| *id)
            .collect();
        for other in waiting {
            self.admit(other)?;
            if other != id
                && let Some(input) = self.acked(other)
            {
                self.take(input);
            }
        }
        // A tick, if nothing else: what was taken above may have changed when to wake.
        Ok(Some(self.acked(id).unwrap_or(Input::Tick)))
    }

    /// The page's ack, once nothing of it is on its way or waiting.
    fn acked(&mut self, id: PageId) -> Option<Input> {
        let page = self.pages.get(&id)?;
        if page.batches > 0 || !page.waiting.is_empty() {
            return None;
        }
        let page = self.pages.remove(&id)?;
        Some(Input::Acked {
            read: page.read,
            found: page.found,
        })
    }

    /// Asks for nothing more, waits for what is being delivered, and saves.
    async fn drain(mut self) -> Result<(), Halt> {
        self.fetches.clear();
        let now = self.now();
        let mut saves = self.save(Input::Stop, now);
        let deadline = Instant::now() + DRAIN;
        while !self.pages.is_empty() {
            let Ok(Some(done)) = timeout_at(deadline, self.work.next()).await else {
                info!(
                    tenant = %self.tenant,
                    "stopped with {} pages unacked; the next start delivers them",
                    self.pages.len()
                );
                break;
            };
            if let Some(input) = self.done(done)? {
                let now = self.now();
                saves.extend(self.save(input, now));
            }
        }
        for save in saves {
            save.await?;
        }
        Ok(())
    }

    /// Gives an input to a ledger that asks for nothing more, and saves what it says.
    fn save(
        &mut self,
        input: Input,
        now: DateTime<Utc>,
    ) -> Vec<impl Future<Output = Result<(), WriteFailed>> + use<>> {
        let step = self.ledger.step(input, now, false);
        step.actions
            .into_iter()
            .filter_map(|action| match action {
                Action::Save(stream, changes) => {
                    Some(self.state.save(self.tenant, stream, changes))
                }
                Action::Fetch(_) | Action::Forget(_) => None,
            })
            .collect()
    }
}

/// Waits until the driver is told to stop, or until whoever could tell it is gone.
async fn told_to(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
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
