//! How many requests a bucket may send, and when the next. Pure.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::read::Class;

/// At most `requests` in any span of `per`, and none while Graph asks to wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    requests: usize,
    per: TimeDelta,
    /// The moments of the latest requests, oldest first, `requests` of them at most.
    sent: VecDeque<DateTime<Utc>>,
    held_until: Option<DateTime<Utc>>,
    /// Throttles in a row.
    throttles: u32,
    /// Requests so far.
    total: u64,
    /// What those with a share have coming to them, in tenths of a request.
    reread_credit: u32,
    catch_up_credit: u32,
}

/// Of ten requests four are kept for re-reads and three for catching up, when they wait; polls that
/// come faster than the budget allows must not starve either.
const REREAD_SHARE: u32 = 4;
const CATCH_UP_SHARE: u32 = 3;
const WHOLE: u32 = 10;

impl Budget {
    #[must_use]
    pub fn new(requests: u32, per: TimeDelta) -> Self {
        Self {
            requests: requests.max(1) as usize,
            per,
            sent: VecDeque::new(),
            held_until: None,
            throttles: 0,
            total: 0,
            reread_credit: 0,
            catch_up_credit: 0,
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
    pub fn spend(&mut self, now: DateTime<Utc>, class: Class) {
        if self.sent.len() >= self.requests {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
        self.total += 1;
        // Shares that nobody claims do not pile up.
        let add = |credit: u32, share: u32, taken: bool| {
            let credit = (credit + share).min(2 * WHOLE);
            credit.saturating_sub(if taken { WHOLE } else { 0 })
        };
        self.reread_credit = add(self.reread_credit, REREAD_SHARE, class == Class::Reread);
        self.catch_up_credit = add(
            self.catch_up_credit,
            CATCH_UP_SHARE,
            class == Class::CatchUp,
        );
    }

    /// The number of the request that was sent last, from 1.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The place of a class in the order in which the budget is spent: what is owed to those with
    /// a share first, then fresh records, whole lists last.
    #[must_use]
    pub fn rank(&self, class: Class) -> u8 {
        match class {
            Class::Reread if self.reread_credit >= WHOLE => 0,
            Class::CatchUp if self.catch_up_credit >= WHOLE => 1,
            Class::Tail => 2,
            Class::CatchUp => 3,
            Class::Reread => 4,
            Class::Snapshot => 5,
        }
    }

    /// Graph throttles: nothing is sent for as long as it asks, and for longer each time in a row.
    pub fn throttled(&mut self, told: Option<TimeDelta>, now: DateTime<Utc>) {
        /// For a throttle that does not say how long: a whole span of the reports limit.
        const UNTOLD: TimeDelta = TimeDelta::seconds(10);
        let least = TimeDelta::seconds(1_i64 << self.throttles.min(6));
        self.throttles += 1;
        let until = now + told.unwrap_or(UNTOLD).max(least);
        self.held_until = Some(self.held_until.map_or(until, |held| held.max(until)));
    }

    /// Graph answered.
    pub fn answered(&mut self) {
        self.throttles = 0;
    }

    /// The clock was set back to `now`: what was sent later counts as sent now, and no hold lasts
    /// longer than any that Graph asks for.
    pub fn set_back(&mut self, now: DateTime<Utc>) {
        for sent in &mut self.sent {
            *sent = (*sent).min(now);
        }
        let longest = now + TimeDelta::hours(1);
        self.held_until = self.held_until.map(|held| held.min(longest));
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
            budget.spend(at(millis), Class::Tail);
        }
        assert_eq!(budget.next(at(50)), at(10_250));
    }

    #[test]
    fn a_throttle_lasts_and_a_shorter_one_does_not_lift_it() {
        let mut budget = reports();
        budget.throttled(Some(TimeDelta::seconds(5)), at(0));
        budget.throttled(Some(TimeDelta::zero()), at(0));
        assert_eq!(budget.next(at(1_000)), at(5_000));
        assert_eq!(budget.next(at(6_000)), at(6_000));
    }

    #[test]
    fn throttles_in_a_row_wait_longer_whatever_graph_asks_for() {
        let mut budget = reports();
        for _ in 0..5 {
            budget.throttled(Some(TimeDelta::zero()), at(0));
        }
        assert_eq!(budget.next(at(0)), at(16_000));
        budget.answered();
        budget.throttled(Some(TimeDelta::zero()), at(20_000));
        assert_eq!(budget.next(at(20_000)), at(21_000));
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing_for_longer_than_the_span() {
        let mut budget = reports();
        for _ in 0..5 {
            budget.spend(at(7_200_000), Class::Tail);
        }
        budget.set_back(at(0));
        assert_eq!(budget.next(at(0)), at(10_250));
    }

    #[test]
    fn when_all_wait_four_of_ten_are_re_reads_and_three_catch_up() {
        let mut budget = reports();
        let mut spent = [0; 3];
        let classes = [Class::Tail, Class::CatchUp, Class::Reread];
        for step in 0..100 {
            let class = classes
                .into_iter()
                .min_by_key(|class| budget.rank(*class))
                .unwrap();
            budget.spend(at(step), class);
            spent[classes.iter().position(|other| *other == class).unwrap()] += 1;
        }
        // The last shares of the two are on their way.
        assert_eq!(spent, [32, 29, 39]);
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
                budget.spend(now, Class::Tail);
                sent.push(now);
            }
            for window in sent.windows(requests as usize + 1) {
                let span = window[requests as usize] - window[0];
                prop_assert!(span >= TimeDelta::milliseconds(per), "{span}");
            }
        }
    }
}
