//! From a page's records to events: which of them are new, and which must wait.
//!
//! Nothing here asks the network or the disk. What the state file knows of the page's ids is handed
//! in, so every rule can be tried by itself.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{
    read::Class,
    revision::{Verdict, canonical_hash, judge},
    schedule::Schedule,
};
use crate::{
    graph::Window,
    record::{Event, Hash, Key, Known, Origin, Record},
    state::Counts,
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
    /// What `events` are, by slot.
    pub found: BTreeMap<DateTime<Utc>, Counts>,
    /// Must wait: an earlier revision of the same record is on its way.
    pub waiting: Vec<Placed>,
}

/// Judges placed records against what is known of them (`latest`, in their order).
#[must_use]
pub fn judge_all(
    origin: &Origin,
    class: Class,
    placed: Vec<Placed>,
    latest: &[Option<Known>],
    on_their_way: &BTreeSet<Key>,
    now: DateTime<Utc>,
) -> Judged {
    let mut judged = Judged::default();
    let mut here = BTreeSet::new();
    for (placed, latest) in placed.into_iter().zip(latest) {
        if on_their_way.contains(&placed.key) || here.contains(&placed.key) {
            judged.waiting.push(placed);
            continue;
        }
        let counts = judged.found.entry(placed.slot).or_default();
        let known = match judge(latest.as_ref(), placed.record.raw(), now) {
            Verdict::Unchanged => continue,
            Verdict::New(known) => {
                counts.records += 1;
                counts.late += u64::from(class == Class::Reread);
                known
            }
            Verdict::Revised(known) => {
                counts.revised += 1;
                known
            }
        };
        // Text and numbers always have a JSON form; see `Event::new`.
        if let Ok(event) = Event::new(origin, &placed.record, &placed.id, placed.key, known) {
            here.insert(placed.key);
            judged.events.push(event);
        }
    }
    judged
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
        let judged = judge_all(
            &origin(),
            Class::Reread,
            placed(Stream::SignIns, records),
            &[None, None, None],
            &BTreeSet::new(),
            at("10:10:00"),
        );
        assert_eq!((judged.events.len(), judged.waiting.len()), (2, 1));
        let counts = judged.found[&at("10:00:00")];
        assert_eq!((counts.records, counts.late, counts.revised), (2, 2, 0));
    }

    #[test]
    fn what_is_on_its_way_is_waited_for() {
        let placed = placed(
            Stream::SignIns,
            vec![record(Some("a"), Some("10:01:00"), "{}")],
        );
        let on_their_way = BTreeSet::from([placed[0].key]);
        let judged = judge_all(
            &origin(),
            Class::Tail,
            placed,
            &[None],
            &on_their_way,
            at("10:10:00"),
        );
        assert_eq!((judged.events.len(), judged.waiting.len()), (0, 1));
    }
}
