//! From a page's records to events: which of them are new, and which must wait.
//!
//! Nothing here asks the network or the disk. What the state file knows of the page's ids is handed
//! in, so every rule can be tried by itself.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    read::Found,
    revision::{Verdict, canonical_hash, judge},
    schedule::Schedule,
};
use crate::{
    graph::Window,
    record::{Event, Hash, Key, Known, Origin, Record},
    stream::{Kind, Stream},
};

/// A record with its place: what is known of it is found under `key`, what it adds to is `slot`.
#[derive(Clone, Debug)]
pub struct Placed {
    pub record: Record,
    pub id: String,
    pub key: Key,
    pub slot: DateTime<Utc>,
}

/// Places a page's records. Rows beyond the window are left out: they belong to a window of their
/// own, and the query asked for them only because no end of it relies on an exclusive bound.
#[must_use]
pub fn place(
    stream: Stream,
    schedule: &Schedule,
    window: Option<&Window>,
    records: Vec<Record>,
) -> Vec<Placed> {
    let by_slot = stream.entry().kind == Kind::Events;
    records
        .into_iter()
        .filter(|record| match (window, record.time()) {
            (Some(window), Some(time)) => window.contains(time),
            _ => true,
        })
        .map(|record| {
            let id = match record.id() {
                Some(id) => id.to_owned(),
                None => canonical_hash(record.raw()).hex(),
            };
            let slot = match (window, record.time()) {
                (Some(_), Some(time)) => schedule.floor(time),
                (Some(window), None) => schedule.floor(window.from),
                (None, _) => DateTime::UNIX_EPOCH,
            };
            let key = Key {
                slot: if by_slot { slot } else { DateTime::UNIX_EPOCH },
                id: Hash::of(id.as_bytes()),
            };
            Placed {
                record,
                id,
                key,
                slot,
            }
        })
        .collect()
}

/// What becomes of placed records.
#[derive(Debug, Default)]
pub struct Judged {
    /// To be delivered, at most one for each record.
    pub events: Vec<Event>,
    /// What `events` are.
    pub found: Found,
    /// Must wait: an earlier revision of the same record is on its way.
    pub waiting: Vec<Placed>,
    /// The same as these are on their way already; acked with them.
    pub depends: BTreeSet<Key>,
    /// Unchanged, and not known to have been seen for a while: to be remembered as seen now.
    pub touched: Vec<(Key, Known)>,
}

/// What is on its way: the text's hash of the revision that is being delivered.
pub type OnTheirWay = BTreeMap<Key, Hash>;

/// How records came: what decides how they are counted.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Whether what is found says how late records become visible.
    pub measures: bool,
    /// Whether a record is delivered as it was first seen, and never again.
    pub first_only: bool,
    pub schedule: &'a Schedule,
    /// When the read began.
    pub began: DateTime<Utc>,
    pub now: DateTime<Utc>,
}

impl Reading<'_> {
    /// A record is late when its slot was due for its first re-read already, and was read before.
    fn is_late(&self, slot: DateTime<Utc>) -> bool {
        self.measures && slot != DateTime::UNIX_EPOCH && self.now >= self.schedule.first_due(slot)
    }

    fn count_new(&self, placed: &Placed, found: &mut Found) {
        let counts = found.slots.entry(placed.slot).or_default();
        counts.records += 1;
        counts.late += u64::from(self.is_late(placed.slot));
        if self.measures
            && let Some(time) = placed.record.time()
        {
            found.lateness.add(self.now - time);
        }
    }
}

/// What is known by id alone is remembered as seen again after this time.
const SEEN_AGAIN: TimeDelta = TimeDelta::days(7);

/// Judges placed records against what is known of them (`latest`, in their order).
#[must_use]
pub fn judge_all(
    origin: &Origin,
    reading: Reading<'_>,
    placed: Vec<Placed>,
    latest: &[Option<Known>],
    on_their_way: &OnTheirWay,
) -> Judged {
    let now = reading.now;
    let mut judged = Judged::default();
    let mut here = OnTheirWay::new();
    for (placed, latest) in placed.into_iter().zip(latest) {
        if let Some(raw) = here.get(&placed.key).or(on_their_way.get(&placed.key)) {
            let same = reading.first_only || *raw == Hash::of(placed.record.raw().as_bytes());
            if !same {
                judged.waiting.push(placed);
            } else if !here.contains_key(&placed.key) {
                judged.depends.insert(placed.key);
            }
            continue;
        }
        if reading.first_only
            && let Some(known) = latest
        {
            judged.touched.extend(touch(placed.key, *known, now));
            continue;
        }
        let known = match judge(latest.as_ref(), placed.record.raw(), reading.began, now) {
            Verdict::Unchanged => {
                judged
                    .touched
                    .extend(latest.and_then(|known| touch(placed.key, known, now)));
                continue;
            }
            Verdict::Unsettled => {
                judged.found.unsettled.insert(placed.slot);
                continue;
            }
            Verdict::New(known) => {
                reading.count_new(&placed, &mut judged.found);
                known
            }
            Verdict::Revised(known) => {
                judged.found.slots.entry(placed.slot).or_default().revised += 1;
                known
            }
        };
        // Text and numbers always have a JSON form; see `Event::new`.
        if let Ok(event) = Event::new(origin, &placed.record, &placed.id, placed.key, known) {
            here.insert(placed.key, known.raw);
            judged.events.push(event);
        }
    }
    judged
}

fn touch(key: Key, known: Known, now: DateTime<Utc>) -> Option<(Key, Known)> {
    let by_id = key.slot == DateTime::UNIX_EPOCH;
    let seen_ms = now.timestamp_millis();
    (by_id && seen_ms - known.seen_ms >= SEEN_AGAIN.num_milliseconds())
        .then_some((key, Known { seen_ms, ..known }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    fn schedule() -> Schedule {
        Schedule::new(TimeDelta::minutes(5), vec![TimeDelta::minutes(1)])
    }

    fn record(id: Option<&str>, time: Option<&str>, raw: &str) -> Record {
        Record::new(
            &Arc::new(raw.to_owned()),
            raw,
            id.map(Into::into),
            time.map(at),
        )
    }

    fn window() -> Window {
        Window {
            from: at("10:00:00"),
            to: Some(at("10:05:00")),
        }
    }

    fn origin() -> Origin {
        Origin {
            tenant: Uuid::nil(),
            stream: Stream::SignIns,
            cloud: "global".into(),
        }
    }

    fn placed(stream: Stream, records: Vec<Record>) -> Vec<Placed> {
        place(stream, &schedule(), Some(&window()), records)
    }

    #[test]
    fn rows_beyond_the_window_are_left_to_their_own() {
        let records = ["09:59:59", "10:00:00", "10:04:59.9999999", "10:05:00"]
            .map(|time| record(Some(time), Some(time), "{}"));
        let placed = placed(Stream::SignIns, records.into());
        let ids: Vec<&str> = placed.iter().map(|placed| placed.id.as_str()).collect();
        assert_eq!(ids, ["10:00:00", "10:04:59.9999999"]);
    }

    #[test]
    fn a_record_without_time_belongs_to_the_window_s_slot() {
        let placed = placed(Stream::SignIns, vec![record(Some("a"), None, "{}")]);
        assert_eq!(placed[0].slot, at("10:00:00"));
    }

    #[test]
    fn records_without_id_are_never_merged_unless_they_are_the_same() {
        let raws = [r#"{"a":1}"#, r#"{"a":2}"#, r#"{ "a": 1 }"#];
        let placed = placed(
            Stream::SignIns,
            raws.map(|raw| record(None, Some("10:01:00"), raw)).into(),
        );
        assert_ne!(placed[0].key, placed[1].key);
        assert_eq!(placed[0].key, placed[2].key);
    }

    #[test]
    fn what_changes_over_time_is_known_by_id_alone() {
        let records = vec![record(Some("a"), Some("10:01:00"), "{}")];
        let placed = placed(Stream::RiskDetections, records);
        assert_eq!(placed[0].key.slot, DateTime::UNIX_EPOCH);
        assert_eq!(placed[0].slot, at("10:00:00"));
    }

    #[test]
    fn a_second_revision_in_one_page_waits_for_the_first() {
        let records = vec![
            record(Some("a"), Some("10:01:00"), r#"{"v":1}"#),
            record(Some("a"), Some("10:01:00"), r#"{"v":2}"#),
            record(Some("b"), Some("10:01:00"), r#"{"v":1}"#),
        ];
        let judged = judge_here(placed(Stream::SignIns, records), &OnTheirWay::new());
        assert_eq!((judged.events.len(), judged.waiting.len()), (2, 1));
        let counts = judged.found.slots[&at("10:00:00")];
        assert_eq!((counts.records, counts.late, counts.revised), (2, 2, 0));
    }

    /// Judges records that nothing was delivered of, read again at 10:10.
    fn judge_here(placed: Vec<Placed>, on_their_way: &OnTheirWay) -> Judged {
        let latest = vec![None; placed.len()];
        let schedule = schedule();
        let reading = Reading {
            measures: true,
            first_only: false,
            schedule: &schedule,
            began: at("10:09:00"),
            now: at("10:10:00"),
        };
        judge_all(&origin(), reading, placed, &latest, on_their_way)
    }

    #[test]
    fn another_revision_waits_for_the_one_on_its_way_and_the_same_is_acked_with_it() {
        let placed = |raw| {
            let records = vec![record(Some("a"), Some("10:01:00"), raw)];
            placed(Stream::SignIns, records)
        };
        let same = placed("{}");
        let on_their_way = OnTheirWay::from([(same[0].key, Hash::of(b"{}"))]);
        let key = same[0].key;
        let same = judge_here(same, &on_their_way);
        assert_eq!((same.events.len(), same.waiting.len()), (0, 0));
        assert_eq!(same.depends, BTreeSet::from([key]));
        let other = judge_here(placed(r#"{"v":2}"#), &on_their_way);
        assert_eq!((other.events.len(), other.waiting.len()), (0, 1));
        assert!(other.depends.is_empty());
    }

    #[test]
    fn where_revisions_are_ignored_a_record_is_delivered_as_it_was_first_seen() {
        let placed = || {
            let records = vec![
                record(Some("a"), Some("10:01:00"), r#"{"v":1}"#),
                record(Some("a"), Some("10:01:00"), r#"{"v":2}"#),
            ];
            placed(Stream::SignIns, records)
        };
        let schedule = schedule();
        let reading = Reading {
            measures: true,
            first_only: true,
            schedule: &schedule,
            began: at("10:09:00"),
            now: at("10:10:00"),
        };
        let none = OnTheirWay::new();
        let first = judge_all(&origin(), reading, placed(), &[None, None], &none);
        assert_eq!((first.events.len(), first.waiting.len()), (1, 0));
        let known = Some(first.events[0].known);
        let later = Reading {
            began: at("10:19:00"),
            now: at("10:20:00"),
            ..reading
        };
        let again = judge_all(&origin(), later, placed(), &[known, known], &none);
        assert_eq!((again.events.len(), again.waiting.len()), (0, 0));
    }

    #[test]
    fn the_lateness_of_what_is_new_is_measured() {
        let records = vec![record(Some("a"), Some("10:01:00"), "{}")];
        let judged = judge_here(placed(Stream::SignIns, records), &OnTheirWay::new());
        // Nine minutes, in the bucket that ends at 724 s.
        let p50 = judged.found.lateness.quantile(500).unwrap();
        assert_eq!(p50.num_seconds(), 724);
    }

    #[test]
    fn what_is_known_by_id_is_remembered_as_seen_once_a_week() {
        let touched = |days: i64| {
            let key = Key {
                slot: DateTime::UNIX_EPOCH,
                id: Hash(1),
            };
            let now = at("10:10:00");
            let known = Known {
                raw: Hash(0),
                canonical: Hash(0),
                revision: 0,
                first_seen: now,
                observed_ms: 0,
                seen_ms: (now - TimeDelta::days(days)).timestamp_millis(),
            };
            touch(key, known, now).is_some()
        };
        assert!(!touched(6));
        assert!(touched(7));
    }
}
