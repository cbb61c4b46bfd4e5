//! Graph's side: what happens in the tenant, and the way to it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use fastrand::Rng;
use http::{Request, Response};
use tokio::time::{Instant, sleep};
use url::Url;
use vector_entra_id::{
    collect::Clock,
    emulator::{Service, Stored, Tenant, Version},
    graph::{Transport, TransportError},
    stream::{Bucket, Kind, Stream},
    time::slot_of,
};

use super::plan::Plan;
use crate::common::app;

pub const GRAPH: &str = "https://graph.simulated.invalid/";

/// Time as it passes in the simulation, and the local clock, which may be wrong.
#[derive(Debug)]
pub struct SimulatedClock {
    start: DateTime<Utc>,
    began: Instant,
    wrong_by_ms: AtomicI64,
}

impl SimulatedClock {
    pub fn new(start: DateTime<Utc>) -> Self {
        Self {
            start,
            began: Instant::now(),
            wrong_by_ms: AtomicI64::new(0),
        }
    }

    pub fn true_now(&self) -> DateTime<Utc> {
        self.start + TimeDelta::from_std(self.began.elapsed()).unwrap()
    }

    pub fn jump(&self, wrong_by: TimeDelta) {
        self.wrong_by_ms
            .store(wrong_by.num_milliseconds(), Ordering::Relaxed);
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> DateTime<Utc> {
        self.true_now() + TimeDelta::milliseconds(self.wrong_by_ms.load(Ordering::Relaxed))
    }
}

/// The tenant, and the network to it.
#[derive(Debug)]
pub struct World {
    pub clock: Arc<SimulatedClock>,
    inner: Mutex<Inner>,
}

struct Inner {
    service: Service,
    rng: Rng,
    /// The moments at which requests came, by bucket.
    requests: BTreeMap<Bucket, Vec<DateTime<Utc>>>,
    faults: f64,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Inner")
    }
}

impl World {
    pub fn new(plan: &Plan, clock: Arc<SimulatedClock>) -> Self {
        let mut rng = Rng::with_seed(plan.seed ^ 0x6a09_e667);
        let mut tenant = Tenant::default();
        for stream in &plan.streams {
            for number in 0..plan.records {
                tenant.put(*stream, happen(&mut rng, plan, *stream, number));
            }
        }
        let mut service = Service::new(app(), tenant, Url::parse(GRAPH).unwrap(), rng.u64(..));
        service.faults.rate = plan.graph_faults;
        Self {
            clock,
            inner: Mutex::new(Inner {
                service,
                rng,
                requests: BTreeMap::new(),
                faults: plan.graph_faults,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn records(&self, stream: Stream) -> Vec<Stored> {
        self.lock().service.tenant.records(stream).to_vec()
    }

    /// When requests came, by bucket.
    pub fn requests(&self) -> BTreeMap<Bucket, Vec<DateTime<Utc>>> {
        self.lock().requests.clone()
    }

    /// From now on nothing goes wrong.
    pub fn be_well(&self) {
        let mut inner = self.lock();
        inner.faults = 0.0;
        inner.service.faults.rate = 0.0;
    }
}

fn bucket(path: &str) -> Option<Bucket> {
    Stream::ALL
        .into_iter()
        .map(Stream::entry)
        .find(|entry| path.ends_with(entry.path))
        .map(|entry| entry.bucket)
}

#[async_trait]
impl Transport for World {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let host = || "graph.simulated.invalid".to_owned();
        let (reply, there, back, fault) = {
            let mut inner = self.lock();
            let there = inner.rng.u64(1..20);
            let slow = inner.rng.u8(..20) == 0;
            let back = inner.rng.u64(if slow { 1_000..30_000 } else { 20..600 });
            let faults = inner.faults / 3.0;
            let fault = inner.rng.f64() < faults;
            let now = self.clock.true_now();
            if let Some(bucket) = bucket(request.uri().path()) {
                inner.requests.entry(bucket).or_default().push(now);
            }
            let reply = inner.service.handle(&request, now);
            (reply, there, back, fault)
        };
        sleep(Duration::from_millis(there)).await;
        if fault {
            let after = Duration::from_secs(180);
            if back % 2 == 0 {
                sleep(after).await;
                return Err(TransportError::TimedOut {
                    host: host(),
                    after,
                });
            }
            let reason = "reset".into();
            return Err(TransportError::Broken {
                host: host(),
                reason,
            });
        }
        sleep(Duration::from_millis(back) + reply.delay).await;
        Ok(reply.response)
    }
}

/// One record with all that becomes of it.
fn happen(rng: &mut Rng, plan: &Plan, stream: Stream, number: usize) -> Stored {
    let before = i64::from(plan.collect.start_secs).min(7200);
    let mut second = rng.i64(-before..plan.lively.num_seconds());
    if rng.u32(..100) < plan.bursts {
        second -= second.rem_euclid(1800);
    }
    let at = plan.start + TimeDelta::seconds(second);
    let at = match stream {
        Stream::DirectoryAudits | Stream::RiskDetections => {
            at + TimeDelta::nanoseconds(rng.i64(0..10_000_000) * 100)
        }
        _ => at,
    };
    let id = format!("{stream}-{number}");
    let visible = visible(rng, plan, at);
    let mut versions = vec![version(stream, &id, at, at, visible, 0)];
    let mut revised = rng.u32(..100) < plan.revised;
    while revised && versions.len() < 4 {
        let last = versions.last().unwrap();
        let changed = last.visible_at + TimeDelta::seconds(rng.i64(1..5400));
        // A record that comes back to an older content is revised once more.
        let content = if rng.bool() {
            versions.len()
        } else {
            versions.len() % 2
        };
        let moves = stream.entry().kind != Kind::Events;
        let time = if moves { changed } else { at };
        let shown = if moves {
            visible_after(rng, changed)
        } else {
            changed
        };
        if shown > end_of_schedule(plan, time) {
            break;
        }
        versions.push(version(stream, &id, at, time, shown, content));
        revised = rng.bool();
    }
    Stored { id, versions }
}

fn end_of_schedule(plan: &Plan, time: DateTime<Utc>) -> DateTime<Utc> {
    slot_of(time, plan.slot()) + plan.slot() + plan.last_age()
}

/// Mostly within minutes, some within the hour, a few as late as the schedule goes.
fn visible(rng: &mut Rng, plan: &Plan, at: DateTime<Utc>) -> DateTime<Utc> {
    let most = end_of_schedule(plan, at) - at;
    let late = match rng.u8(..100) {
        0..80 => rng.i64(0..300_000),
        80..95 => rng.i64(0..3_600_000),
        _ => rng.i64(0..most.num_milliseconds()),
    };
    at + TimeDelta::milliseconds(late).min(most)
}

fn visible_after(rng: &mut Rng, changed: DateTime<Utc>) -> DateTime<Utc> {
    changed + TimeDelta::milliseconds(rng.i64(0..60_000))
}

fn version(
    stream: Stream,
    id: &str,
    at: DateTime<Utc>,
    time: DateTime<Utc>,
    visible_at: DateTime<Utc>,
    content: usize,
) -> Version {
    let property = stream.entry().time_property;
    let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    let at = at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    Version {
        visible_at,
        time,
        text: format!(
            r#"{{"id":"{id}","{property}":"{text}","happened":"{at}","content":{content}}}"#
        ),
    }
}
