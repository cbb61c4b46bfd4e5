//! How many requests a bucket may send, and when the next. Pure.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// At most `requests` in any span of `per`, and none while Graph asks to wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    requests: usize,
    per: TimeDelta,
    /// The moments of the latest requests, oldest first, `requests` of them at most.
    sent: VecDeque<DateTime<Utc>>,
    held_until: Option<DateTime<Utc>>,
    /// What re-reads have coming to them; see [`Budget::owes_a_reread`].
    owed: u32,
}

/// Two of five requests are kept for re-reads: each other request adds two shares, each re-read
/// takes three.
const OTHER_ADDS: u32 = 2;
const REREAD_TAKES: u32 = 3;

impl Budget {
    #[must_use]
    pub fn new(requests: u32, per: TimeDelta) -> Self {
        Self {
            requests: requests.max(1) as usize,
            per,
            sent: VecDeque::new(),
            held_until: None,
            owed: 0,
        }
    }

    /// The earliest moment at which a request may go out: `now`, or later.
    #[must_use]
    pub fn next(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let mut next = now;
        if self.sent.len() >= self.requests
            && let Some(oldest) = self.sent.front()
        {
            next = next.max(*oldest + self.per);
        }
        if let Some(held) = self.held_until {
            next = next.max(held);
        }
        next
    }

    /// Counts a request that goes out now.
    pub fn spend(&mut self, now: DateTime<Utc>, reread: bool) {
        if self.sent.len() >= self.requests {
            self.sent.pop_front();
        }
        // A clock that was set back must not open the gate: what was sent later than now counts
        // as sent now.
        for sent in &mut self.sent {
            *sent = (*sent).min(now);
        }
        self.sent.push_back(now);
        self.owed = if reread {
            self.owed.saturating_sub(REREAD_TAKES)
        } else {
            // Shares that nobody claims do not pile up.
            (self.owed + OTHER_ADDS).min(2 * REREAD_TAKES)
        };
    }

    /// Whether a waiting re-read comes before everything else.
    #[must_use]
    pub fn owes_a_reread(&self) -> bool {
        self.owed >= REREAD_TAKES
    }

    /// Sends nothing before `until`: Graph throttled.
    pub fn hold(&mut self, until: DateTime<Utc>) {
        self.held_until = Some(self.held_until.map_or(until, |held| held.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).unwrap()
    }

    fn reports() -> Budget {
        Budget::new(5, TimeDelta::milliseconds(10_250))
    }

    #[test]
    fn the_sixth_request_waits_for_the_first_to_leave_the_span() {
        let mut budget = reports();
        for millis in [0, 10, 20, 30, 40] {
            assert_eq!(budget.next(at(millis)), at(millis));
            budget.spend(at(millis), false);
        }
        assert_eq!(budget.next(at(50)), at(10_250));
    }

    #[test]
    fn a_hold_lasts_and_a_shorter_one_does_not_lift_it() {
        let mut budget = reports();
        budget.hold(at(5_000));
        budget.hold(at(2_000));
        assert_eq!(budget.next(at(1_000)), at(5_000));
        assert_eq!(budget.next(at(6_000)), at(6_000));
    }

    #[test]
    fn two_of_five_requests_are_re_reads_when_both_wait() {
        let mut budget = reports();
        let kinds: Vec<bool> = (0..50)
            .map(|step| {
                let reread = budget.owes_a_reread();
                budget.spend(at(step), reread);
                reread
            })
            .collect();
        assert_eq!(kinds.iter().filter(|reread| **reread).count(), 20);
    }

    proptest! {
        #[test]
        fn no_span_ever_holds_more_than_its_limit(
            waits in proptest::collection::vec(0_i64..5_000, 1..200),
            requests in 1_u32..8,
            per in 1_i64..20_000,
        ) {
            let mut budget = Budget::new(requests, TimeDelta::milliseconds(per));
            let mut now = at(0);
            let mut sent: Vec<DateTime<Utc>> = Vec::new();
            for wait in waits {
                now = budget.next(now + TimeDelta::milliseconds(wait));
                budget.spend(now, false);
                sent.push(now);
            }
            for window in sent.windows(requests as usize + 1) {
                let span = window[requests as usize] - window[0];
                prop_assert!(span >= TimeDelta::milliseconds(per), "{span}");
            }
        }
    }
}
