//! What the ledger goes by, as the configuration says.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::schedule::Schedule;
use crate::{config, stream::Bucket};

/// The ledger's intervals and limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub schedule: Schedule,
    /// How far back the first start reads.
    pub start: TimeDelta,
    pub poll: TimeDelta,
    pub idle_poll: TimeDelta,
    pub overlap: TimeDelta,
    pub snapshot: TimeDelta,
    pub unavailable_retry: TimeDelta,
    reports: (u32, TimeDelta),
    identity_protection: (u32, TimeDelta),
    security: (u32, TimeDelta),
}

impl Settings {
    #[must_use]
    pub fn new(collect: &config::Collect) -> Self {
        let seconds = |seconds: u32| TimeDelta::seconds(i64::from(seconds));
        let limit = |limit: config::Limit| {
            let per = TimeDelta::milliseconds(i64::from(limit.per_ms.get()));
            (limit.requests.get(), per)
        };
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
            poll: seconds(collect.poll_secs.get()),
            idle_poll: seconds(collect.idle_poll_secs.get()),
            overlap: seconds(collect.overlap_secs),
            snapshot: seconds(collect.snapshot_secs.get()),
            unavailable_retry: seconds(collect.unavailable_retry_secs.get()),
            reports: limit(collect.limits.reports),
            identity_protection: limit(collect.limits.identity_protection),
            security: limit(collect.limits.security),
        }
    }

    /// Requests, and the span in which they may be sent.
    #[must_use]
    pub fn limit(&self, bucket: Bucket) -> (u32, TimeDelta) {
        match bucket {
            Bucket::Reports => self.reports,
            Bucket::IdentityProtection => self.identity_protection,
            Bucket::Security => self.security,
        }
    }
}
