//! The driver towards those who watch: where its streams stand, on the board and in the pipeline.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::FutureExt;
use tokio::time::Instant;

use super::{Done, Driver, Parts};
use crate::{
    record::Key,
    state::{StateError, Totals},
    status::{Board, Phase, StreamStatus},
    stream::Stream,
    telemetry::event::status_batch,
};

/// How often the board is written at most.
const PUT_UP_EVERY: Duration = Duration::from_secs(1);
/// A moment that does not come.
const NEVER: Duration = Duration::from_secs(10 * 365 * 86_400);

/// What the driver knows of its streams beside the ledger.
pub(super) struct Told {
    board: Arc<Board>,
    every: Option<Duration>,
    /// When it is told next.
    pub next: Instant,
    /// Whether the last is still on its way.
    pub telling: bool,
    put_up: Option<Instant>,
    /// When the board is written next, since something has happened since it was.
    pub put_up_next: Instant,
    streams: BTreeMap<Stream, OfStream>,
}

#[derive(Default)]
struct OfStream {
    totals: Totals,
    last_acked: Option<DateTime<Utc>>,
    problem: Option<String>,
}

impl Told {
    pub fn new(parts: &Parts) -> Result<Self, StateError> {
        let streams = parts.streams.iter().map(|stream| {
            let of_stream = OfStream {
                totals: parts.state.totals(parts.tenant, *stream)?,
                ..OfStream::default()
            };
            Ok((*stream, of_stream))
        });
        Ok(Self {
            board: Arc::clone(&parts.board),
            every: parts.tell_every,
            next: Instant::now() + parts.tell_every.unwrap_or(NEVER),
            telling: false,
            put_up: None,
            put_up_next: Instant::now() + NEVER,
            streams: streams.collect::<Result<_, StateError>>()?,
        })
    }

    pub fn acked(&mut self, stream: Stream, events: &[(Key, u32)], now: DateTime<Utc>) {
        let of_stream = self.streams.entry(stream).or_default();
        of_stream.last_acked = Some(now);
        for (_, revision) in events {
            of_stream.totals.add(*revision);
        }
    }

    /// Graph gave a page.
    pub fn well(&mut self, stream: Stream) {
        self.streams.entry(stream).or_default().problem = None;
    }

    /// There is no token, or there is one again.
    pub fn all(&mut self, problem: Option<String>) {
        for of_stream in self.streams.values_mut() {
            of_stream.problem.clone_from(&problem);
        }
    }

    /// Graph denies the stream.
    pub fn ill(&mut self, stream: Stream, problem: String) {
        self.streams.entry(stream).or_default().problem = Some(problem);
    }
}

impl Driver {
    /// Puts up where the streams stand, unless that was done a moment ago.
    pub(super) fn put_up(&mut self) {
        let now = Instant::now();
        let last = self.told.put_up.filter(|last| now - *last < PUT_UP_EVERY);
        if let Some(last) = last {
            self.told.put_up_next = last + PUT_UP_EVERY;
            return;
        }
        self.told.put_up_next = now + NEVER;
        self.told.put_up = Some(now);
        for status in self.statuses() {
            self.told.board.put(status);
        }
    }

    /// Puts up where the streams stand at once.
    pub(super) fn put_up_now(&mut self) {
        self.told.put_up = None;
        self.put_up();
    }

    fn statuses(&self) -> Vec<StreamStatus> {
        let now = self.now();
        let status = |(stream, told): (&Stream, &OfStream)| {
            let status = self.ledger.status(self.tenant, *stream, now);
            let status = status.unwrap_or_else(|| StreamStatus {
                phase: Phase::Starting,
                ..StreamStatus::new(self.tenant, *stream, now)
            });
            let letters = self.delivery.dead_letters();
            StreamStatus {
                records: told.totals.records,
                revised: told.totals.revised,
                dead_letters: letters.of(self.tenant, *stream),
                last_acked: told.last_acked,
                problem: told.problem.clone(),
                ..status
            }
        };
        self.told.streams.iter().map(status).collect()
    }

    /// Tells the pipeline where the streams stand, unless it has not taken the last yet.
    pub(super) fn tell(&mut self) {
        self.told.next = Instant::now() + self.told.every.unwrap_or(NEVER);
        if self.told.telling {
            return;
        }
        self.told.telling = true;
        let cloud: Arc<str> = self.client.cloud().name().into();
        let statuses = self.statuses();
        let delivery = Arc::clone(&self.delivery);
        let tell = async move {
            for status in &statuses {
                // Text and numbers always have a JSON form.
                if let Ok(batch) = status_batch(&cloud, status) {
                    delivery.tell(&batch).await?;
                }
            }
            Ok(())
        };
        self.work.push(tell.map(Done::Told).boxed());
    }
}
