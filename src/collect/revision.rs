//! Whether a record is new, revised or the same as before. Pure.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::record::{Hash, Known};

/// What a record read from Graph is, given what was delivered of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Never delivered.
    New(Known),
    /// Delivered with other content.
    Revised(Known),
    /// Delivered as it is.
    Unchanged,
    /// Other than what was delivered, but read no later than that: it may be the older of the two. A
    /// later read tells.
    Unsettled,
}

/// Judges a record. A content that differs from the latest delivered one is a new revision, also
/// when it returns to an older content: only the latest is compared.
///
/// `began` is when the read was begun that the record came with. Reads overlap, and a page shows
/// what was so at any moment since: a content seen before the latest delivered one is no revision.
#[must_use]
pub fn judge(
    latest: Option<&Known>,
    raw: &str,
    began: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Verdict {
    let raw_hash = Hash::of(raw.as_bytes());
    // An equal text needs no canonical form.
    if latest.is_some_and(|latest| latest.raw == raw_hash) {
        return Verdict::Unchanged;
    }
    let canonical = canonical_hash(raw);
    match latest {
        None => Verdict::New(Known {
            raw: raw_hash,
            canonical,
            revision: 0,
            first_seen: now,
            observed_ms: now.timestamp_millis(),
            seen_ms: now.timestamp_millis(),
        }),
        Some(latest) if latest.canonical == canonical => Verdict::Unchanged,
        Some(latest) if latest.observed_ms >= began.timestamp_millis() => Verdict::Unsettled,
        Some(latest) => Verdict::Revised(Known {
            raw: raw_hash,
            canonical,
            revision: latest.revision.saturating_add(1),
            first_seen: latest.first_seen,
            // The clock may have been set back; the order of a document's revisions may not.
            observed_ms: now
                .timestamp_millis()
                .max(latest.observed_ms.saturating_add(1)),
            seen_ms: now.timestamp_millis(),
        }),
    }
}

/// Hash of a record's canonical form: RFC 8785, without OData's own keys, which belong to the
/// answer and not to the record. What is no JSON is its own canonical form.
#[must_use]
pub fn canonical_hash(raw: &str) -> Hash {
    let canonical = serde_json::from_str::<Value>(raw)
        .ok()
        .and_then(|mut value| {
            drop_odata(&mut value);
            serde_json_canonicalizer::to_vec(&value).ok()
        });
    Hash::of(canonical.as_deref().unwrap_or(raw.as_bytes()))
}

fn drop_odata(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| !key.contains("@odata"));
            map.values_mut().for_each(drop_odata);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_odata),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn known(raw: &str) -> Known {
        match judge(None, raw, at(100), at(100)) {
            Verdict::New(known) => known,
            other => panic!("{other:?}"),
        }
    }

    fn revised(latest: &Known, raw: &str, now: DateTime<Utc>) -> Known {
        let began = at(latest.observed_ms / 1000 + 1);
        match judge(Some(latest), raw, began, now) {
            Verdict::Revised(known) => known,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_text_is_unchanged() {
        let first = known(r#"{"a":1}"#);
        assert_eq!(
            judge(Some(&first), r#"{"a":1}"#, at(200), at(200)),
            Verdict::Unchanged
        );
    }

    #[test]
    fn order_blanks_spelling_of_numbers_and_odata_keys_are_no_content() {
        let first = known(r#"{"a":1,"b":[{"c":"é"}]}"#);
        for same in [
            r#"{ "b": [ {"c":"\u00e9"} ], "a": 1.0 }"#,
            r##"{"@odata.etag":"x","a":1,"b":[{"c":"é","@odata.type":"#t","c@odata.type":"#s"}]}"##,
        ] {
            assert_eq!(
                judge(Some(&first), same, at(200), at(200)),
                Verdict::Unchanged,
                "{same}"
            );
        }
    }

    #[test]
    fn a_content_that_returns_is_a_revision_of_its_own() {
        let a = known(r#"{"a":1}"#);
        let b = revised(&a, r#"{"a":2}"#, at(200));
        let a_again = revised(&b, r#"{"a":1}"#, at(300));
        assert_eq!((a.revision, b.revision, a_again.revision), (0, 1, 2));
        assert_eq!(a_again.first_seen, at(100));
    }

    #[test]
    fn observed_rises_even_when_the_clock_is_set_back() {
        let first = known(r#"{"a":1}"#);
        let second = revised(&first, r#"{"a":2}"#, at(50));
        assert_eq!(second.observed_ms, 100_001);
    }

    #[test]
    fn a_page_of_a_read_begun_before_the_latest_was_seen_settles_nothing() {
        let first = known(r#"{"a":1}"#);
        let second = revised(&first, r#"{"a":2}"#, at(200));
        let stale = judge(Some(&second), r#"{"a":1}"#, at(199), at(201));
        assert_eq!(stale, Verdict::Unsettled);
        let fresh = judge(Some(&second), r#"{"a":1}"#, at(201), at(202));
        assert!(matches!(fresh, Verdict::Revised(_)), "{fresh:?}");
    }

    proptest! {
        #[test]
        fn there_is_a_revision_for_every_change_whatever_was_delivered_before(
            contents in proptest::collection::vec(0_u8..3, 1..40),
        ) {
            let text = |content: u8| format!(r#"{{"content":{content}}}"#);
            let mut latest = known(&text(contents[0]));
            let mut changes = 0;
            for (second, pair) in (101..).zip(contents.windows(2)) {
                match judge(Some(&latest), &text(pair[1]), at(second), at(second)) {
                    Verdict::Unchanged => prop_assert_eq!(pair[0], pair[1]),
                    Verdict::Revised(revised) => {
                        changes += 1;
                        prop_assert_ne!(pair[0], pair[1]);
                        prop_assert_eq!(revised.revision, changes);
                        prop_assert!(revised.observed_ms > latest.observed_ms);
                        latest = revised;
                    }
                    Verdict::New(_) | Verdict::Unsettled => prop_assert!(false, "{pair:?}"),
                }
            }
        }
    }

    #[test]
    fn what_is_no_json_is_compared_as_text() {
        let first = known("nonsense");
        assert_eq!(
            judge(Some(&first), "nonsense", at(200), at(200)),
            Verdict::Unchanged
        );
        assert_eq!(revised(&first, "other", at(200)).revision, 1);
    }
}
