//! Pieces of time: slots, spans and sets of spans. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// The start of the slot that a moment lies in. Slots are counted from the Unix epoch.
#[must_use]
pub fn slot_of(time: DateTime<Utc>, slot: TimeDelta) -> DateTime<Utc> {
    let millis = slot.num_milliseconds().max(1);
    let start = time.timestamp_millis().div_euclid(millis) * millis;
    DateTime::from_timestamp_millis(start).unwrap_or(time)
}

/// A stretch of time: `from` belongs to it, `to` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Span {
    /// Whether a moment lies in it.
    #[must_use]
    pub fn contains(&self, time: DateTime<Utc>) -> bool {
        self.from <= time && time < self.to
    }
}

/// A set of moments, as sorted spans that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// Adds a span; an empty one adds nothing.
    pub fn add(&mut self, span: Span) {
        if span.from >= span.to {
            return;
        }
        let mut joined = span;
        self.0.retain(|other| {
            let apart = other.to < joined.from || joined.to < other.from;
            if !apart {
                joined.from = joined.from.min(other.from);
                joined.to = joined.to.max(other.to);
            }
            apart
        });
        let place = self.0.partition_point(|other| other.from < joined.from);
        self.0.insert(place, joined);
    }

    /// Takes a span out; an empty one takes nothing.
    pub fn remove(&mut self, span: Span) {
        if span.from >= span.to {
            return;
        }
        self.0 = self
            .0
            .iter()
            .flat_map(|other| {
                [
                    Span {
                        from: other.from,
                        to: other.to.min(span.from),
                    },
                    Span {
                        from: other.from.max(span.to),
                        to: other.to,
                    },
                ]
            })
            .filter(|rest| rest.from < rest.to)
            .collect();
    }

    /// The latest span, if there is any.
    #[must_use]
    pub fn last(&self) -> Option<Span> {
        self.0.last().copied()
    }

    /// Whether a moment lies in one of the spans.
    #[must_use]
    pub fn contains(&self, time: DateTime<Utc>) -> bool {
        self.0.iter().any(|span| span.contains(time))
    }

    /// The earliest span, if there is any.
    #[must_use]
    pub fn first(&self) -> Option<Span> {
        self.0.first().copied()
    }

    /// Each span, the earliest first.
    pub fn iter(&self) -> impl Iterator<Item = Span> + '_ {
        self.0.iter().copied()
    }

    /// The length of all spans together.
    #[must_use]
    pub fn length(&self) -> TimeDelta {
        self.0.iter().map(|span| span.to - span.from).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn span(from: i64, to: i64) -> Span {
        let at = |second| DateTime::from_timestamp(second, 0).unwrap();
        Span {
            from: at(from),
            to: at(to),
        }
    }

    #[test]
    fn touching_spans_become_one() {
        let mut spans = Spans::default();
        spans.add(span(0, 10));
        spans.add(span(20, 30));
        spans.add(span(10, 20));
        assert_eq!(spans.0, [span(0, 30)]);
    }

    #[test]
    fn a_hole_leaves_both_ends() {
        let mut spans = Spans::default();
        spans.add(span(0, 30));
        spans.remove(span(10, 20));
        assert_eq!(spans.0, [span(0, 10), span(20, 30)]);
    }

    #[test]
    fn slots_are_counted_from_the_epoch() {
        let slot = slot_of(
            "2026-11-22T10:07:59.9Z".parse().unwrap(),
            TimeDelta::minutes(5),
        );
        assert_eq!(slot.to_rfc3339(), "2026-11-22T10:05:00+00:00");
        let slot = slot_of(
            "1969-12-31T23:59:59Z".parse().unwrap(),
            TimeDelta::minutes(5),
        );
        assert_eq!(slot.to_rfc3339(), "1969-12-31T23:55:00+00:00");
    }

    proptest! {
        #[test]
        fn the_set_holds_what_was_added_and_not_removed(
            steps in proptest::collection::vec((any::<bool>(), 0_i64..40, 0_i64..12), 0..40)
        ) {
            let mut spans = Spans::default();
            let mut model = [false; 60];
            for (add, from, length) in steps {
                let piece = span(from, from + length);
                if add { spans.add(piece) } else { spans.remove(piece) }
                let from = usize::try_from(from).unwrap();
                let to = from + usize::try_from(length).unwrap();
                model[from..to].fill(add);
            }
            for (second, expected) in model.iter().enumerate() {
                let moment = span(i64::try_from(second).unwrap(), 0).from;
                let held = spans.0.iter().any(|s| s.from <= moment && moment < s.to);
                prop_assert_eq!(held, *expected);
            }
            for pair in spans.0.windows(2) {
                prop_assert!(pair[0].to < pair[1].from);
            }
        }
    }
}
