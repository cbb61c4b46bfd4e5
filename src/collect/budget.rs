//! How many requests a bucket may send, and when the next. Pure.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::{read::Class, settings::Limit};

/// At most so many requests in any span of `per`, and none while Graph asks to wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    limit: Limit,
    /// The span that holds now: `limit.per` at first, longer after throttles, down to
    /// `limit.fastest` while there are none.
    per: TimeDelta,
    /// The moments of the latest requests, oldest first, `limit.requests` of them at most.
    sent: VecDeque<DateTime<Utc>>,
    held_until: Option<DateTime<Utc>>,
    /// Throttles in a row.
    throttles: u32,
    /// When a throttle last made the span longer, if any did.
    slowed: Option<DateTime<Utc>>,
    /// Answers since the span last changed.
    answers: u32,
    /// Requests so far, and those that were throttled.
    total: u64,
    throttled: u64,
    /// What those with a share have coming to them, in tenths of a request.
    reread_credit: u32,
    catch_up_credit: u32,
}

/// Of ten requests four are kept for re-reads and three for catching up, when they wait; polls that
/// come faster than the budget allows must not starve either.
const REREAD_SHARE: u32 = 4;
const CATCH_UP_SHARE: u32 = 3;
const WHOLE: u32 = 10;
/// The span grows to so many times the configured one at most.
const SLOWEST: i32 = 8;
/// Answers in a row after which the span shrinks by a tenth.
const EASE_AFTER: u32 = 20;

impl Budget {
    #[must_use]
    pub fn new(limit: Limit) -> Self {
        let limit = Limit {
            requests: limit.requests.max(1),
            ..limit
        };
        Self {
            limit,
            per: limit.per,
            sent: VecDeque::new(),
            held_until: None,
            throttles: 0,
            slowed: None,
            answers: 0,
            total: 0,
            throttled: 0,
            reread_credit: 0,
            catch_up_credit: 0,
        }
    }

    /// A budget that a process before this one may have spent up to this moment.
    #[must_use]
    pub fn resumed(limit: Limit, now: DateTime<Utc>) -> Self {
        let mut budget = Self::new(limit);
        budget.sent = std::iter::repeat_n(now, budget.requests()).collect();
        budget
    }

    fn requests(&self) -> usize {
        self.limit.requests as usize
    }

    /// The earliest moment at which a request may go out: `now`, or later.
    #[must_use]
    pub fn next(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let mut next = now;
        if self.sent.len() >= self.requests()
            && let Some(oldest) = self.sent.front()
        {
            next = next.max(*oldest + self.per);
        }
        if let Some(held) = self.held_until {
            next = next.max(held);
        }
        next
    }

    /// When the latest request was sent.
    #[must_use]
    pub fn latest(&self) -> Option<DateTime<Utc>> {
        self.sent.back().copied()
    }

    /// The share of the budget that was spent in the span up to `now`: 1 is all of it.
    #[must_use]
    pub fn used(&self, now: DateTime<Utc>) -> f64 {
        let since = now - self.per;
        let sent = self.sent.iter().filter(|sent| **sent > since).count();
        let sent = u32::try_from(sent).unwrap_or(u32::MAX);
        f64::from(sent) / f64::from(self.limit.requests)
    }

    /// Requests a second that may be sent as things stand.
    #[must_use]
    pub fn rate(&self) -> f64 {
        let seconds = self.per.as_seconds_f64();
        f64::from(self.limit.requests) / seconds.max(0.001)
    }

    /// Requests a second that are kept for catching up while it waits.
    #[must_use]
    pub fn catch_up_rate(&self) -> f64 {
        self.rate() * f64::from(CATCH_UP_SHARE) / f64::from(WHOLE)
    }

    /// Counts a request that goes out now.
    pub fn spend(&mut self, now: DateTime<Utc>, class: Class) {
        if self.sent.len() >= self.requests() {
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

    /// Requests that Graph throttled.
    #[must_use]
    pub fn throttled_total(&self) -> u64 {
        self.throttled
    }

    /// The number of the request that was sent last, from 1.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The place of a class in the order in which the budget is spent: what is owed to those with
    /// a share first, then fresh records; whole lists and history last.
    #[must_use]
    pub fn rank(&self, class: Class) -> u8 {
        match class {
            Class::Reread if self.reread_credit >= WHOLE => 0,
            Class::CatchUp if self.catch_up_credit >= WHOLE => 1,
            Class::Tail => 2,
            Class::CatchUp => 3,
            Class::Reread => 4,
            Class::Snapshot => 5,
            Class::Backfill => 6,
        }
    }

    /// Graph throttles: nothing is sent for as long as it asks, and for longer each time in a row;
    /// and then at half the rate.
    pub fn throttled(&mut self, told: Option<TimeDelta>, now: DateTime<Utc>) {
        /// For a throttle that does not say how long: a whole span of the reports limit.
        const UNTOLD: TimeDelta = TimeDelta::seconds(10);
        let least = TimeDelta::seconds(1_i64 << self.throttles.min(6));
        self.throttles += 1;
        self.throttled += 1;
        self.answers = 0;
        // Requests that were out together are throttled together; that is one lesson, not many.
        if self.slowed.is_none_or(|slowed| slowed + self.per <= now) {
            self.per = (self.per * 2).min(self.limit.per * SLOWEST);
            self.slowed = Some(now);
        }
        let until = now + told.unwrap_or(UNTOLD).max(least);
        self.held_until = Some(self.held_until.map_or(until, |held| held.max(until)));
    }

    /// Until when nothing is sent since Graph asked to wait.
    #[must_use]
    pub fn held_until(&self) -> Option<DateTime<Utc>> {
        self.held_until
    }

    /// A process before this one was asked to wait until then.
    pub fn hold(&mut self, until: DateTime<Utc>) {
        self.held_until = self.held_until.max(Some(until));
    }

    /// Graph answered.
    pub fn answered(&mut self) {
        self.throttles = 0;
        self.answers += 1;
        if self.answers >= EASE_AFTER {
            self.answers = 0;
            self.per = (self.per * 9 / 10).max(self.limit.fastest);
        }
    }

    /// The clock that all these moments were read from was corrected: they move with it, since no
    /// time has passed.
    pub fn corrected(&mut self, by: TimeDelta) {
        for sent in &mut self.sent {
            *sent += by;
        }
        self.held_until = self.held_until.map(|held| held + by);
        self.slowed = self.slowed.map(|slowed| slowed + by);
    }

    /// The clock was set back to `now`: what was sent later counts as sent now, and no hold lasts
    /// longer than any that Graph asks for.
    pub fn set_back(&mut self, now: DateTime<Utc>) {
        for sent in &mut self.sent {
            *sent = (*sent).min(now);
        }
        let longest = now + TimeDelta::hours(1);
        self.held_until = self.held_until.map(|held| held.min(longest));
        self.slowed = self.slowed.map(|slowed| slowed.min(now));
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
        Budget::new(Limit::fixed(5, TimeDelta::milliseconds(10_250)))
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
    fn a_throttle_halves_the_rate_once_and_answers_bring_it_back() {
        let mut budget = reports();
        for _ in 0..5 {
            budget.throttled(Some(TimeDelta::seconds(1)), at(0));
        }
        let spans = |budget: &Budget| (5.0 / budget.rate() * 1000.0).round();
        assert_eq!(spans(&budget), 20_500.0);
        for _ in 0..20 {
            budget.answered();
        }
        assert_eq!(spans(&budget), 18_450.0);
        for _ in 0..200 {
            budget.answered();
        }
        assert_eq!(spans(&budget), 10_250.0);
    }

    #[test]
    fn a_corrected_clock_is_no_time_that_has_passed() {
        let mut budget = reports();
        for _ in 0..5 {
            budget.spend(at(0), Class::Tail);
        }
        budget.corrected(TimeDelta::seconds(30));
        assert_eq!(budget.next(at(30_000)), at(40_250));
    }

    #[test]
    fn a_limit_that_no_document_names_is_found_out() {
        let mut budget = Budget::new(Limit {
            requests: 1,
            per: TimeDelta::seconds(2),
            fastest: TimeDelta::milliseconds(500),
        });
        for _ in 0..1000 {
            budget.answered();
        }
        assert_eq!(budget.rate(), 2.0);
        for second in 0..20 {
            budget.throttled(Some(TimeDelta::zero()), at(second * 60_000));
        }
        assert_eq!(budget.rate(), 1.0 / 16.0);
    }

    #[test]
    fn after_a_restart_nothing_is_sent_before_the_span_has_passed() {
        let limit = Limit::fixed(5, TimeDelta::milliseconds(10_250));
        assert_eq!(Budget::resumed(limit, at(0)).next(at(0)), at(10_250));
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
            let mut budget = Budget::new(Limit::fixed(requests, TimeDelta::milliseconds(per)));
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
