//! What the ledger goes by, as the configuration says.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use crate::{
    config,
    stream::{Bucket, Stream},
};

/// The ledger's intervals and limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub schedule: Schedule,
    /// How far back the first start reads.
    pub start: TimeDelta,
    /// How long Graph keeps records.
    pub retention: TimeDelta,
    pub poll: TimeDelta,
    pub idle_poll: TimeDelta,
    pub overlap: TimeDelta,
    pub snapshot: TimeDelta,
    pub unavailable_retry: TimeDelta,
    /// Whether nothing is read but history that was asked for.
    pub only_backfill: bool,
    /// Streams of which only the first revision of a record is delivered.
    pub first_only: BTreeSet<Stream>,
    reports: Limit,
    identity_protection: Limit,
    security: Limit,
}

/// A bucket's limit: so many requests in any span of `per`. The span grows when Graph throttles
/// all the same, and shrinks again down to `fastest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    pub requests: u32,
    pub per: TimeDelta,
    pub fastest: TimeDelta,
}

impl Limit {
    /// A limit that holds as it is.
    #[must_use]
    pub fn fixed(requests: u32, per: TimeDelta) -> Self {
        Self {
            requests,
            per,
            fastest: per,
        }
    }
}

impl Settings {
    #[must_use]
    pub fn new(collect: &config::Collect) -> Self {
        let seconds = |seconds: u32| TimeDelta::seconds(i64::from(seconds));
        let limit = |limit: config::Limit| {
            let per = TimeDelta::milliseconds(i64::from(limit.per_ms.get()));
            Limit::fixed(limit.requests.get(), per)
        };
        let security = limit(collect.limits.security);
        Self {
            schedule: Schedule::new(
                seconds(collect.slot_secs.get()),
                collect
                    .reread_ages_secs
                    .iter()
                    .copied()
                    .map(seconds)
                    .collect(),
            ),
            start: seconds(collect.start_secs),
            retention: seconds(collect.retention_secs.get()),
            poll: seconds(collect.poll_secs.get()),
            idle_poll: seconds(collect.idle_poll_secs.get()),
            overlap: seconds(collect.overlap_secs),
            snapshot: seconds(collect.snapshot_secs.get()),
            unavailable_retry: seconds(collect.unavailable_retry_secs.get()),
            only_backfill: false,
            first_only: collect
                .revisions
                .iter()
                .filter(|(_, revisions)| **revisions == config::Revisions::Ignore)
                .map(|(stream, _)| *stream)
                .collect(),
            reports: limit(collect.limits.reports),
            identity_protection: limit(collect.limits.identity_protection),
            // No document names its limit: it starts cautiously and finds out.
            security: Limit {
                fastest: security.per / 4,
                ..security
            },
        }
    }

    /// The same, for reading nothing but history that is asked for.
    #[must_use]
    pub fn for_history(self) -> Self {
        Self {
            only_backfill: true,
            ..self
        }
    }

    /// How many requests a bucket may send.
    #[must_use]
    pub fn limit(&self, bucket: Bucket) -> Limit {
        match bucket {
            Bucket::Reports => self.reports,
            Bucket::IdentityProtection => self.identity_protection,
            Bucket::Security => self.security,
        }
    }
}
