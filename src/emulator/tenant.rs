//! What the emulated tenant holds: records, when each becomes visible, and what Graph makes of
//! them later.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::Value;

use super::records::{self, Made};
use crate::stream::Stream;

/// One record with all its versions, oldest first; there is at least one.
#[derive(Clone, Debug)]
pub struct Stored {
    pub id: String,
    pub versions: Vec<Version>,
}

/// A record's content from one moment on.
#[derive(Clone, Debug)]
pub struct Version {
    pub visible_at: DateTime<Utc>,
    /// The stream's time property as it stands in `text`.
    pub time: DateTime<Utc>,
    pub text: String,
}

impl Stored {
    /// The version that Graph shows at a moment, with its number.
    #[must_use]
    pub fn at(&self, now: DateTime<Utc>) -> Option<(usize, &Version)> {
        self.versions
            .iter()
            .enumerate()
            .rev()
            .find(|(_, version)| version.visible_at <= now)
    }
}

/// How a tenant is peopled.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Records in all; each stream has some.
    pub records: usize,
    /// How far back the oldest happened.
    pub history: TimeDelta,
    /// Records become visible, and are revised, over this time after the start.
    pub live: TimeDelta,
    pub seed: u64,
}

/// The records of a tenant.
#[derive(Debug, Default)]
pub struct Tenant {
    streams: BTreeMap<Stream, Vec<Stored>>,
    ordinal: u64,
}

/// Of a hundred records, how many each stream has; what a mid-size organisation shows.
const SHARES: [(Stream, usize); 11] = [
    (Stream::SignInsNonInteractive, 40),
    (Stream::SignIns, 20),
    (Stream::SignInsServicePrincipal, 14),
    (Stream::DirectoryAudits, 12),
    (Stream::SignInsManagedIdentity, 7),
    (Stream::Provisioning, 3),
    (Stream::RiskDetections, 1),
    (Stream::SecurityAlerts, 1),
    (Stream::RiskyUsers, 1),
    (Stream::ServicePrincipalRiskDetections, 1),
    (Stream::RiskyServicePrincipals, 1),
];

impl Tenant {
    /// A tenant as planned: most of its records happened and were completed before `now`; one in
    /// twenty is late, and a third of those are revised after they were first shown.
    #[must_use]
    pub fn peopled(plan: &Plan, now: DateTime<Utc>) -> Self {
        let mut rng = fastrand::Rng::with_seed(plan.seed);
        let mut tenant = Self::default();
        let mut left = plan.records;
        for (stream, mut made) in records::founding() {
            if left > 0 {
                let at = now - TimeDelta::minutes(10);
                made.text = dated(stream, &made.text, at);
                tenant.add(stream, made, now);
                left -= 1;
            }
        }
        for index in 0..left {
            let stream = share(&mut rng, index);
            if index % 20 == 19 {
                tenant.add_live(&mut rng, stream, plan, now);
            } else {
                let age = plan.history.num_milliseconds().max(1);
                let at = now - TimeDelta::milliseconds(rng.i64(30_000.min(age - 1)..age));
                tenant.happen(&mut rng, stream, at, now);
            }
        }
        tenant
    }

    /// A record happens at `at` and becomes visible at `visible_at`.
    pub fn happen(
        &mut self,
        rng: &mut fastrand::Rng,
        stream: Stream,
        at: DateTime<Utc>,
        visible_at: DateTime<Utc>,
    ) {
        self.ordinal += 1;
        let made = records::make(rng, stream, at, self.ordinal);
        self.add(stream, made, visible_at);
    }

    /// Adds a record with all that becomes of it.
    pub fn put(&mut self, stream: Stream, stored: Stored) {
        self.streams.entry(stream).or_default().push(stored);
    }

    /// The latest record of a stream is revised at `at`, if Graph revises that stream at all.
    pub fn revise(&mut self, rng: &mut fastrand::Rng, stream: Stream, at: DateTime<Utc>) {
        let latest = self
            .streams
            .get_mut(&stream)
            .and_then(|list| list.last_mut());
        if let Some(stored) = latest
            && let Some(version) = stored.versions.last()
            && let Some(text) = records::revise(rng, stream, &version.text, at)
        {
            let time = time_of(stream, &text).unwrap_or(version.time);
            stored.versions.push(Version {
                visible_at: at,
                time,
                text,
            });
        }
    }

    fn add_live(
        &mut self,
        rng: &mut fastrand::Rng,
        stream: Stream,
        plan: &Plan,
        now: DateTime<Utc>,
    ) {
        let live = plan.live.num_milliseconds().max(2);
        let visible_at = now + TimeDelta::milliseconds(rng.i64(0..live / 2));
        let at = visible_at - TimeDelta::milliseconds(rng.i64(500..20_000));
        self.happen(rng, stream, at, visible_at);
        if rng.u8(..3) == 0 {
            self.revise(rng, stream, visible_at + TimeDelta::milliseconds(live / 2));
        }
    }

    fn add(&mut self, stream: Stream, made: Made, visible_at: DateTime<Utc>) {
        let time = time_of(stream, &made.text).unwrap_or(visible_at);
        let stored = Stored {
            id: made.id,
            versions: vec![Version {
                visible_at,
                time,
                text: made.text,
            }],
        };
        self.put(stream, stored);
    }

    /// The stream's records.
    #[must_use]
    pub fn records(&self, stream: Stream) -> &[Stored] {
        self.streams.get(&stream).map_or(&[], Vec::as_slice)
    }

    /// When the last thing that is planned has happened.
    #[must_use]
    pub fn settled_at(&self) -> Option<DateTime<Utc>> {
        self.streams
            .values()
            .flatten()
            .filter_map(|stored| Some(stored.versions.last()?.visible_at))
            .max()
    }
}

/// The first records go round the streams, so that each has one; the rest by share.
fn share(rng: &mut fastrand::Rng, index: usize) -> Stream {
    if let Some((stream, _)) = SHARES.get(index) {
        return *stream;
    }
    let all: usize = SHARES.iter().map(|(_, share)| share).sum();
    let mut drawn = rng.usize(..all);
    for (stream, share) in SHARES {
        if drawn < share {
            return stream;
        }
        drawn -= share;
    }
    Stream::SignIns
}

/// The stream's time property in a record's text.
#[must_use]
pub fn time_of(stream: Stream, text: &str) -> Option<DateTime<Utc>> {
    time_in(stream.entry().time_property, text)
}

/// A time property in a record's text.
#[must_use]
pub fn time_in(property: &str, text: &str) -> Option<DateTime<Utc>> {
    let record: Value = serde_json::from_str(text).ok()?;
    let time = record[property].as_str()?;
    Some(DateTime::parse_from_rfc3339(time).ok()?.to_utc())
}

/// A record with another time. The founding document's two records happened years ago, beyond
/// every retention; all else about them stays, to the letter.
fn dated(stream: Stream, text: &str, at: DateTime<Utc>) -> String {
    let property = format!("\"{}\":\"", stream.entry().time_property);
    let time = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    match text.split_once(&property) {
        Some((before, rest)) => match rest.split_once('"') {
            Some((_, after)) => format!("{before}{property}{time}\"{after}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(records: usize) -> Plan {
        Plan {
            records,
            history: TimeDelta::hours(24),
            live: TimeDelta::seconds(6),
            seed: 1,
        }
    }

    fn now() -> DateTime<Utc> {
        "2026-11-22T10:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_tenant_holds_as_many_records_as_planned_in_every_stream() {
        let tenant = Tenant::peopled(&plan(500), now());
        let counts = Stream::ALL.map(|stream| tenant.records(stream).len());
        assert_eq!(counts.iter().sum::<usize>(), 500);
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }

    #[test]
    fn the_same_seed_gives_the_same_tenant() {
        let texts = |tenant: &Tenant| {
            let records = tenant.records(Stream::SignIns).iter();
            let texts = records.map(|stored| stored.versions[0].text.clone());
            texts.collect::<Vec<String>>()
        };
        let [first, second] = [0, 1].map(|_| texts(&Tenant::peopled(&plan(200), now())));
        assert_eq!(first, second);
    }

    #[test]
    fn some_records_are_late_and_some_are_revised() {
        let tenant = Tenant::peopled(&plan(2000), now());
        let all = || {
            Stream::ALL
                .into_iter()
                .flat_map(|stream| tenant.records(stream))
        };
        assert!(all().any(|stored| stored.at(now()).is_none()));
        let later = now() + TimeDelta::minutes(1);
        assert!(all().any(|stored| stored.at(later).unwrap().0 > 0));
        assert!(tenant.settled_at().unwrap() < later);
    }
}
