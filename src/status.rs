//! Where the collection of each stream stands, for those who ask: the `status` command, metrics,
//! and the source's own events in the pipeline.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    state::{Lateness, Saved, Totals},
    stream::{Bucket, Stream},
    time::slot_of,
};

/// What a stream's collection is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// No process collects it.
    #[default]
    Stopped,
    /// There is no token yet.
    Starting,
    /// New records are read as they appear.
    Collecting,
    /// So are they, and time that was left unread is being read.
    CatchingUp,
    /// Graph denies the stream; it is asked again from time to time.
    Unavailable,
    /// Nothing of the tenant is collected until its configuration is mended.
    Halted,
}

/// The lateness that so many records do not exceed, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    pub p50_secs: f64,
    pub p99_secs: f64,
    #[serde(rename = "p99_9_secs")]
    pub p999_secs: f64,
}

impl Quantiles {
    /// Those of a histogram; `None` before anything was measured.
    #[must_use]
    pub fn of(lateness: &Lateness) -> Option<Self> {
        let seconds = |thousandths| Some(lateness.quantile(thousandths)?.as_seconds_f64());
        Some(Self {
            p50_secs: seconds(500)?,
            p99_secs: seconds(990)?,
            p999_secs: seconds(999)?,
        })
    }
}

/// How a throttle bucket's budget is spent. Streams of one bucket share it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BudgetStatus {
    pub bucket: Bucket,
    /// The share that was spent in the latest span: 1 is all of it.
    pub used: f64,
    /// Requests a second that may be sent as things stand.
    pub requests_per_sec: f64,
    /// Requests since the process started.
    pub requests: u64,
    /// Those that Graph throttled.
    pub throttled: u64,
}

/// How a backfill goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillStatus {
    /// History that is to be read yet, in seconds.
    pub left_secs: u64,
    /// Records that it delivered since the process started.
    pub records: u64,
}

impl BackfillStatus {
    /// `None` where there is, and was, nothing to do.
    #[must_use]
    pub fn new(left: TimeDelta, records: u64) -> Option<Self> {
        let left_secs = left.num_seconds().unsigned_abs();
        (left_secs > 0 || records > 0).then_some(Self { left_secs, records })
    }
}

/// Where one stream stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamStatus {
    pub tenant_id: Uuid,
    pub stream: Stream,
    pub phase: Phase,
    /// When all this was so.
    pub observed: DateTime<Utc>,
    /// The source reads from here on by itself.
    pub origin: Option<DateTime<Utc>>,
    /// The newest records are read up to here. For a list that is read whole: when it was last read.
    pub read_to: Option<DateTime<Utc>>,
    /// Everything from the origin to here was read at least once.
    pub watermark: Option<DateTime<Utc>>,
    /// Everything from the origin to here is proven, or unproven for good.
    pub closed_through: Option<DateTime<Utc>>,
    /// Slots that are still read again.
    pub open_slots: u64,
    /// Slots that passed Graph's retention before they were closed.
    pub unproven_slots: u64,
    /// Records delivered.
    pub records: u64,
    /// Those of them that became visible after their slot's first re-read was due.
    pub late: u64,
    /// Revisions delivered beyond the first.
    pub revised: u64,
    /// Records set aside.
    pub dead_letters: u64,
    pub lateness: Option<Quantiles>,
    /// Time that is to be caught up, in seconds.
    pub unread_secs: u64,
    /// How long that will take, in seconds, as things stand.
    pub catch_up_secs: Option<u64>,
    /// Ages at which slots are not read for now, since the budget does not go round.
    pub ages_given_up: u64,
    /// When the pipeline last acked something.
    pub last_acked: Option<DateTime<Utc>>,
    /// Why the stream is unavailable or halted.
    pub problem: Option<String>,
    pub budget: Option<BudgetStatus>,
    /// History that is being read, or was since the process started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backfill: Option<BackfillStatus>,
}

impl StreamStatus {
    /// A stream of which nothing is known.
    #[must_use]
    pub fn new(tenant_id: Uuid, stream: Stream, observed: DateTime<Utc>) -> Self {
        Self {
            tenant_id,
            stream,
            phase: Phase::Stopped,
            observed,
            origin: None,
            read_to: None,
            watermark: None,
            closed_through: None,
            open_slots: 0,
            unproven_slots: 0,
            records: 0,
            late: 0,
            revised: 0,
            dead_letters: 0,
            lateness: None,
            unread_secs: 0,
            catch_up_secs: None,
            ages_given_up: 0,
            last_acked: None,
            problem: None,
            budget: None,
            backfill: None,
        }
    }

    /// A stream as the state file has it, while no process collects it.
    #[must_use]
    pub fn saved(
        tenant_id: Uuid,
        stream: Stream,
        saved: Option<&Saved>,
        totals: Totals,
        observed: DateTime<Utc>,
    ) -> Self {
        let status = Self {
            records: totals.records,
            revised: totals.revised,
            ..Self::new(tenant_id, stream, observed)
        };
        let Some((head, slots)) = saved else {
            return status;
        };
        let slot = TimeDelta::milliseconds(head.slot_ms);
        let unread = head.unread.first().map(|span| span.from);
        let open = slots.range(head.origin..).next().map(|(start, _)| *start);
        let earliest = |moments: [Option<DateTime<Utc>>; 2], last| {
            moments.into_iter().flatten().fold(last, DateTime::min)
        };
        let tail = slot_of(head.tail_from, slot);
        let by_time = !slots.is_empty() || head.tail_from > head.origin;
        Self {
            origin: Some(head.origin),
            read_to: by_time.then_some(head.tail_from),
            watermark: by_time.then(|| earliest([unread, None], head.tail_from)),
            closed_through: by_time.then(|| earliest([unread, open], tail)),
            open_slots: slots.len() as u64,
            unproven_slots: head.unproven,
            late: head.late,
            lateness: Quantiles::of(&head.lateness),
            unread_secs: head.unread.length().num_seconds().unsigned_abs(),
            backfill: BackfillStatus::new(head.backfill.length(), 0),
            ..status
        }
    }

    /// One line for a person.
    #[must_use]
    pub fn summary(&self) -> String {
        let phase = match self.phase {
            Phase::Stopped => "stopped",
            Phase::Starting => "starting",
            Phase::Collecting => "collecting",
            Phase::CatchingUp => "catching up",
            Phase::Unavailable => "unavailable",
            Phase::Halted => "halted",
        };
        let time = |time: Option<DateTime<Utc>>| {
            time.map_or_else(|| "never".into(), |time| time.format("%FT%TZ").to_string())
        };
        format!(
            "{}: {phase}; read up to {}, closed through {}; {} records, {} late, {} revised, \
             {} dead letters, {} slots unproven",
            self.stream,
            time(self.read_to),
            time(self.closed_through),
            self.records,
            self.late,
            self.revised,
            self.dead_letters,
            self.unproven_slots,
        )
    }
}

/// When what a tenant's app proves itself with expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    pub tenant_id: Uuid,
    /// What expires, as it is called in the configuration.
    pub credential: &'static str,
    pub expires: DateTime<Utc>,
}

impl Expiry {
    /// What to say of it, if it is less than `within` away.
    #[must_use]
    pub fn warning(&self, now: DateTime<Utc>, within: TimeDelta) -> Option<String> {
        let left = self.expires - now;
        if left > within {
            return None;
        }
        let Self { credential, .. } = self;
        let on = self.expires.format("%F");
        let what = match left.num_days() {
            _ if left < TimeDelta::zero() => format!("the {credential} expired on {on}"),
            0 => format!("the {credential} expires within a day, on {on}"),
            1 => format!("the {credential} expires in 1 day, on {on}"),
            days => format!("the {credential} expires in {days} days, on {on}"),
        };
        Some(format!("{what}; make a new one and put it in its place"))
    }
}

/// Where all streams of a process stand. Drivers write it, whoever asks reads it.
#[derive(Debug, Default)]
pub struct Board {
    streams: Mutex<BTreeMap<(Uuid, Stream), StreamStatus>>,
    expiries: Mutex<BTreeMap<Uuid, Expiry>>,
}

impl Board {
    /// Puts up a stream's status in place of its last one.
    pub fn put(&self, status: StreamStatus) {
        self.lock()
            .insert((status.tenant_id, status.stream), status);
    }

    /// Nothing of a tenant is collected any more.
    pub fn halted(&self, tenant_id: Uuid, problem: &str) {
        for status in self.lock().values_mut() {
            if status.tenant_id == tenant_id {
                status.phase = Phase::Halted;
                status.problem = Some(problem.to_owned());
            }
        }
    }

    /// Nothing is collected any more.
    pub fn all_halted(&self, problem: &str) {
        for status in self.lock().values_mut() {
            status.phase = Phase::Halted;
            status.problem = Some(problem.to_owned());
        }
    }

    /// Every stream, by tenant.
    #[must_use]
    pub fn all(&self) -> Vec<StreamStatus> {
        self.lock().values().cloned().collect()
    }

    /// Puts up when a tenant's credential expires.
    pub fn put_expiry(&self, expiry: Expiry) {
        lock(&self.expiries).insert(expiry.tenant_id, expiry);
    }

    /// When each tenant's credential expires, as far as that is known.
    #[must_use]
    pub fn expiries(&self) -> Vec<Expiry> {
        lock(&self.expiries).values().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Uuid, Stream), StreamStatus>> {
        lock(&self.streams)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole after every step, so a panic elsewhere leaves it so.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_warned_of_from_so_many_days_before_it_on() {
        let expiry = Expiry {
            tenant_id: Uuid::nil(),
            credential: "certificate",
            expires: "2027-05-01T00:00:00Z".parse().unwrap(),
        };
        let says = |now: &str| expiry.warning(now.parse().unwrap(), TimeDelta::days(30));
        let rest = "; make a new one and put it in its place";
        assert_eq!(says("2027-03-31T00:00:00Z"), None);
        for (now, text) in [
            (
                "2027-04-01T00:00:00Z",
                "the certificate expires in 30 days, on 2027-05-01",
            ),
            (
                "2027-04-29T12:00:00Z",
                "the certificate expires in 1 day, on 2027-05-01",
            ),
            (
                "2027-04-30T12:00:00Z",
                "the certificate expires within a day, on 2027-05-01",
            ),
            (
                "2027-05-01T00:00:01Z",
                "the certificate expired on 2027-05-01",
            ),
        ] {
            assert_eq!(says(now), Some(format!("{text}{rest}")));
        }
    }
}
