//! The driver towards Graph: what a request needs, the request, and what came of it.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::{Done, Driver, Halt, OpenPage, PageId, token_wait};
use crate::{
    collect::{
        ledger::{Fetch, Input},
        memory::Share,
        pages::place,
        read::Found,
    },
    graph::{Answer, Disposition, GraphError, query},
    stream::Kind,
};

/// A correction of the clock beyond this takes two answers.
const LEAP: TimeDelta = TimeDelta::minutes(5);

impl Driver {
    /// What a request needs before it may be asked for: a token, and memory for its page.
    pub(super) fn room(&mut self) -> Option<Share> {
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

    pub(super) fn fetch(&mut self, fetch: Fetch, share: Share) {
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
        let asked = self.local_now();
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

    pub(super) fn token(&mut self, outcome: Result<(), GraphError>) -> Result<Input, Halt> {
        self.token.asking = false;
        match outcome {
            Ok(()) => {
                self.token.had = true;
                if self.token.failures > 0 {
                    self.told.all(None);
                }
                self.token.failures = 0;
            }
            Err(error) if error.disposition() == Disposition::HaltTenant => {
                return Err(self.kept_out(error));
            }
            Err(error) => {
                self.token.failures += 1;
                self.told.all(Some(error.to_string()));
                if self.repeats.is_due(error.to_string()) {
                    warn!(tenant = %self.tenant, "{error}; it is tried again");
                }
            }
        }
        Ok(Input::Tick)
    }

    fn kept_out(&self, error: GraphError) -> Halt {
        Halt::Tenant {
            tenant: self.tenant,
            error,
            worked: self.token.had,
        }
    }

    pub(super) fn fetched(
        &mut self,
        fetch: Fetch,
        answer: Answer,
        share: Share,
    ) -> Result<Input, Halt> {
        let page = match answer.outcome {
            Ok(page) => {
                self.told.well(fetch.stream);
                page
            }
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
                batches: 0,
                waiting: placed,
                depends: BTreeSet::new(),
                found: Found::default(),
                measures: fetch.measures,
                began: fetch.began,
                share: Some(share),
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

    pub(super) fn observe_date(&mut self, date: DateTime<Utc>, asked: DateTime<Utc>) {
        let before = self.correction;
        let observed = before.observe(date, asked, self.local_now());
        let told = std::mem::replace(&mut self.dated, true);
        if observed == before {
            self.doubted = None;
            return;
        }
        // A leap is believed when a second answer says the same: what it closes stays closed.
        let leap = (observed.distance() - before.distance()).abs() > LEAP;
        if told && leap && !self.doubted.is_some_and(|doubted| doubted.agrees(observed)) {
            self.doubted = Some(observed);
            return;
        }
        self.doubted = None;
        self.correction = observed;
        self.ledger
            .corrected(self.correction.distance() - before.distance());
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

    pub(super) fn failed(&mut self, fetch: Fetch, error: GraphError) -> Result<Input, Halt> {
        let disposition = error.disposition();
        if disposition == Disposition::HaltTenant {
            return Err(self.kept_out(error));
        }
        if matches!(
            disposition,
            Disposition::Unavailable | Disposition::FilterRefused
        ) {
            self.told.ill(fetch.stream, error.to_string());
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
}
