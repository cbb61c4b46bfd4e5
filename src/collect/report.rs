//! What the ledger tells of a stream to those who ask. Pure.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Ledger, stream_ledger::StreamLedger};
use crate::{
    status::{BackfillStatus, BudgetStatus, Phase, Quantiles, StreamStatus},
    stream::{Bucket, Stream},
};

impl Ledger {
    /// Where a stream stands, as far as the ledger knows; `None` for one that it does not have.
    #[must_use]
    pub fn status(&self, tenant: Uuid, stream: Stream, now: DateTime<Utc>) -> Option<StreamStatus> {
        let ledger = self.stream(stream)?;
        let coverage = ledger.coverage();
        let head = coverage.head();
        let schedule = &self.settings().schedule;
        let by_time = !ledger.is_whole();
        let unread = head.unread.first().map(|span| span.from);
        let watermark = unread.map_or(head.tail_from, |unread| unread.min(head.tail_from));
        Some(StreamStatus {
            phase: phase(ledger),
            origin: Some(head.origin),
            read_to: if by_time {
                Some(head.tail_from)
            } else {
                ledger.whole_read()
            },
            watermark: by_time.then_some(watermark),
            closed_through: by_time.then(|| coverage.closed_through(schedule)),
            open_slots: coverage.slots().len() as u64,
            unproven_slots: head.unproven,
            late: head.late,
            lateness: Quantiles::of(&head.lateness),
            unread_secs: coverage.unread().num_seconds().unsigned_abs(),
            catch_up_secs: self.catch_up_secs(ledger),
            ages_given_up: ledger.ages_given_up() as u64,
            budget: self.budget_status(stream.entry().bucket, now),
            backfill: BackfillStatus::new(ledger.backfill_left(), ledger.backfilled()),
            ..StreamStatus::new(tenant, stream, now)
        })
    }

    fn budget_status(&self, bucket: Bucket, now: DateTime<Utc>) -> Option<BudgetStatus> {
        let budget = self.budget(bucket)?;
        Some(BudgetStatus {
            bucket,
            used: budget.used(now),
            requests_per_sec: budget.rate(),
            requests: budget.total(),
            throttled: budget.throttled_total(),
        })
    }

    /// The requests that catching up takes, at the share of the budget that it has, among the
    /// streams that share it.
    fn catch_up_secs(&self, ledger: &StreamLedger) -> Option<u64> {
        let requests = ledger.requests_to_catch_up(&self.settings().schedule);
        if requests == 0 {
            return None;
        }
        let bucket = ledger.stream().entry().bucket;
        let rate = self.budget(bucket)?.catch_up_rate();
        let others: u64 = Stream::ALL
            .into_iter()
            .filter(|other| other.entry().bucket == bucket)
            .filter_map(|other| self.stream(other))
            .map(|other| {
                other
                    .requests_to_catch_up(&self.settings().schedule)
                    .min(requests)
            })
            .sum();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let seconds = (others as f64 / rate).ceil() as u64;
        Some(seconds)
    }
}

fn phase(ledger: &StreamLedger) -> Phase {
    if ledger.is_denied() {
        Phase::Unavailable
    } else if ledger.coverage().head().unread.is_empty() {
        Phase::Collecting
    } else {
        Phase::CatchingUp
    }
}
