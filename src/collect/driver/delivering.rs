//! The driver towards the pipeline: what of a page is new leaves in batches, and a page is acked
//! once all of it is.

use std::sync::Arc;

use futures::FutureExt;

use super::{BATCH_BYTES, Done, Driver, Halt, PageId, in_flight_of_a_stream};
use crate::{
    collect::{
        ledger::Input,
        pages::{Reading, judge_all},
    },
    record::{Batch, Key, Origin},
};

impl Driver {
    /// Judges what waits of a page and sends what is to be delivered on its way.
    pub(super) fn admit(&mut self, id: PageId) -> Result<(), Halt> {
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
        let reading = Reading {
            measures: page.measures,
            first_only: self.settings.first_only.contains(&stream),
            began: page.began,
            schedule: &self.settings.schedule,
            now,
        };
        let on_their_way = self.on_their_way.entry(stream).or_default();
        let judged = judge_all(&origin, reading, placed, &latest, on_their_way);
        let events = judged.events;
        on_their_way.extend(events.iter().map(|event| (event.key, event.known.raw)));
        page.waiting = judged.waiting;
        page.depends.extend(judged.depends);
        page.found.add(&judged.found);
        if !judged.touched.is_empty() {
            let touched = self.state.seen(self.tenant, stream, judged.touched);
            self.work.push(touched.map(Done::Saved).boxed());
        }
        let batches = Batch::cut(&origin, events, BATCH_BYTES);
        page.batches += batches.len();
        // What is known already is held no more; only what waits needs the page's own text.
        let lines: usize = batches.iter().map(Batch::bytes).sum();
        page.settle();
        if page.waiting.is_empty()
            && let Some(share) = &mut page.share
        {
            self.memory.fit(share, lines);
        }
        for batch in batches {
            self.deliver(id, batch);
        }
        Ok(())
    }

    pub(super) fn deliver(&mut self, page: PageId, batch: Batch) {
        let stream = batch.origin.stream;
        let in_flight = self.in_flight.entry(stream);
        let in_flight = Arc::clone(in_flight.or_insert_with(in_flight_of_a_stream));
        let delivery = Arc::clone(&self.delivery);
        let state = Arc::clone(&self.state);
        let tenant = self.tenant;
        let events = batch
            .events
            .iter()
            .map(|event| (event.key, event.known.revision))
            .collect();
        // A part that is acked is remembered at once, whatever becomes of the rest.
        let note = move |part: &Batch| {
            let events = part.events.iter();
            let events = events.map(|event| (event.key, event.known)).collect();
            state.acked(tenant, stream, events).boxed()
        };
        self.work.push(
            async move {
                let outcome = delivery.deliver(batch, &in_flight, note).await;
                let outcome = outcome.map_err(Halt::Outlet);
                Done::Delivered {
                    page,
                    events,
                    outcome,
                }
            }
            .boxed(),
        );
    }

    pub(super) fn delivered(
        &mut self,
        id: PageId,
        events: &[(Key, u32)],
    ) -> Result<Option<Input>, Halt> {
        let now = self.now();
        let Some(page) = self.pages.get_mut(&id) else {
            return Ok(None);
        };
        page.batches -= 1;
        let stream = page.stream;
        self.told.acked(stream, events, now);
        if let Some(on_their_way) = self.on_their_way.get_mut(&stream) {
            for (key, _) in events {
                on_their_way.remove(key);
            }
        }
        page.settle();
        let mut others = Vec::new();
        for (other, page) in self
            .pages
            .iter_mut()
            .filter(|(_, page)| page.stream == stream)
        {
            let depended = page.depends.len();
            for (key, _) in events {
                page.depends.remove(key);
            }
            if page.depends.len() < depended || !page.waiting.is_empty() {
                others.push(*other);
            }
        }
        for other in others {
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
    pub(super) fn acked(&mut self, id: PageId) -> Option<Input> {
        let page = self.pages.get(&id)?;
        if !page.is_acked() {
            return None;
        }
        let page = self.pages.remove(&id)?;
        Some(Input::Acked {
            read: page.read,
            found: page.found,
        })
    }
}
