//! From a stream and a window to the URL of the first page.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Cloud;
use crate::stream::{Operators, Stream};

/// The piece of a stream's time that one query covers: `from` belongs to it, `to` does not.
/// Without `to` it has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Window {
    pub from: DateTime<Utc>,
    pub to: Option<DateTime<Utc>>,
}

impl Window {
    /// Whether a moment lies in the window.
    #[must_use]
    pub fn contains(&self, time: DateTime<Utc>) -> bool {
        self.from <= time && self.to.is_none_or(|to| time < to)
    }
}

/// The URL of the first page. `window` is `None` for a stream that is read whole.
///
/// Both ends asked for are inclusive or lie outside the window, whichever operators the stream
/// has, so that no record at an end depends on an exclusive bound; rows beyond the window are for
/// the reader to leave to their own window. No `$orderby`: Graph documents it for some streams
/// only, and the ledger needs no order.
#[must_use]
pub fn first_page(cloud: &Cloud, stream: Stream, window: Option<&Window>, page_size: u32) -> Url {
    let entry = stream.entry();
    let mut clauses: Vec<String> = entry.filter.iter().map(|clause| (*clause).into()).collect();
    if let Some(window) = window {
        clauses.extend(bounds(entry.time_property, entry.operators, window));
    }
    let mut url = cloud.graph().clone();
    url.set_path(&format!(
        "{}/{}/{}",
        url.path().trim_end_matches('/'),
        entry.version.as_str(),
        entry.path
    ));
    // Written by hand: form encoding would turn blanks into plus signs, which OData keeps.
    let mut query = format!("$top={page_size}");
    if !clauses.is_empty() {
        query.push_str("&$filter=");
        query.push_str(&clauses.join(" and ").replace(' ', "%20"));
    }
    url.set_query(Some(&query));
    url
}

fn bounds(property: &str, operators: Operators, window: &Window) -> Vec<String> {
    let text = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let second = TimeDelta::seconds(1);
    match operators {
        Operators::GeLe => [
            Some(format!("{property} ge {}", text(window.from))),
            window
                .to
                .map(|to| format!("{property} le {}", text(to + ceil(to)))),
        ],
        Operators::GtLt => [
            Some(format!("{property} gt {}", text(window.from - second))),
            window
                .to
                .map(|to| format!("{property} lt {}", text(to + second))),
        ],
    }
    .into_iter()
    .flatten()
    .collect()
}

/// What a moment lacks to a whole second: a bound is written in whole seconds and must not fall
/// short of the window's end.
fn ceil(time: DateTime<Utc>) -> TimeDelta {
    match time.timestamp_subsec_nanos() {
        0 => TimeDelta::zero(),
        nanos => TimeDelta::nanoseconds(1_000_000_000 - i64::from(nanos)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn window(from: &str, to: Option<&str>) -> Window {
        Window {
            from: from.parse().unwrap(),
            to: to.map(|to| to.parse().unwrap()),
        }
    }

    fn url(stream: Stream, window: Option<Window>) -> String {
        let cloud = Cloud::national("global").unwrap();
        first_page(&cloud, stream, window.as_ref(), 500).into()
    }

    #[test]
    fn both_ends_of_a_ge_le_window_are_asked_for() {
        assert_eq!(
            url(
                Stream::DirectoryAudits,
                Some(window("2026-11-22T10:00:00Z", Some("2026-11-22T10:05:00Z")))
            ),
            "https://graph.microsoft.com/v1.0/auditLogs/directoryAudits?$top=500\
             &$filter=activityDateTime%20ge%202026-11-22T10:00:00Z\
             %20and%20activityDateTime%20le%202026-11-22T10:05:00Z"
        );
    }

    #[test]
    fn a_gt_lt_window_reaches_a_second_beyond_both_ends() {
        assert_eq!(
            url(
                Stream::Provisioning,
                Some(window("2026-11-22T10:00:00Z", Some("2026-11-22T10:05:00Z")))
            ),
            "https://graph.microsoft.com/v1.0/auditLogs/provisioning?$top=500\
             &$filter=activityDateTime%20gt%202026-11-22T09:59:59Z\
             %20and%20activityDateTime%20lt%202026-11-22T10:05:01Z"
        );
    }

    #[test]
    fn a_tail_has_no_upper_bound_and_a_sign_in_type_its_clause() {
        assert_eq!(
            url(
                Stream::SignInsServicePrincipal,
                Some(window("2026-11-22T10:00:00.7Z", None))
            ),
            "https://graph.microsoft.com/beta/auditLogs/signIns?$top=500\
             &$filter=signInEventTypes/any(t:%20t%20eq%20%27servicePrincipal%27)\
             %20and%20createdDateTime%20ge%202026-11-22T10:00:00Z"
        );
    }

    #[test]
    fn a_snapshot_has_no_filter() {
        assert_eq!(
            url(Stream::RiskyUsers, None),
            "https://graph.microsoft.com/v1.0/identityProtection/riskyUsers?$top=500"
        );
    }

    #[test]
    fn an_end_within_a_second_is_rounded_outwards() {
        let bounds = bounds(
            "t",
            Operators::GeLe,
            &window("2026-11-22T10:00:00.9Z", Some("2026-11-22T10:05:00.1Z")),
        );
        assert_eq!(
            bounds,
            ["t ge 2026-11-22T10:00:00Z", "t le 2026-11-22T10:05:01Z"]
        );
    }

    /// Whether Graph answers a query of these clauses with a record of this time.
    fn asked_for(clauses: &[String], time: DateTime<Utc>) -> bool {
        clauses.iter().all(|clause| {
            let [_, operator, bound] = clause.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{clause}");
            };
            let bound: DateTime<Utc> = bound.parse().unwrap();
            match operator {
                "ge" => time >= bound,
                "le" => time <= bound,
                "gt" => time > bound,
                "lt" => time < bound,
                _ => panic!("{clause}"),
            }
        })
    }

    fn tenths_of_microseconds(count: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::nanoseconds(count * 100)
    }

    proptest! {
        #[test]
        fn windows_that_meet_leave_no_gap_and_each_time_belongs_to_one(
            ends in proptest::collection::btree_set(0_i64..200_000_000, 3),
            at in 0_i64..200_000_000,
            inclusive in any::<bool>(),
        ) {
            let operators = if inclusive { Operators::GeLe } else { Operators::GtLt };
            let ends: Vec<DateTime<Utc>> = ends.into_iter().map(tenths_of_microseconds).collect();
            let at = tenths_of_microseconds(at);
            let mut owners = 0;
            for pair in ends.windows(2) {
                let window = Window { from: pair[0], to: Some(pair[1]) };
                let asked = asked_for(&bounds("t", operators, &window), at);
                if window.contains(at) {
                    owners += 1;
                    prop_assert!(asked, "{at} of {window:?} is not asked for");
                }
                // What is asked for beyond the window is less than two seconds away.
                let near = TimeDelta::seconds(2);
                let far = at < window.from - near || at > pair[1] + near;
                prop_assert!(!(asked && far), "{at} is asked for by {window:?}");
            }
            let within = ends[0] <= at && at < ends[2];
            prop_assert_eq!(owners, i32::from(within));
        }
    }
}
