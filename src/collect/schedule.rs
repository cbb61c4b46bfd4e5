//! When a slot is due to be read again. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::time::slot_of;

/// The length of a slot and the ages after its end at which it is read again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    slot: TimeDelta,
    ages: Vec<TimeDelta>,
}

impl Schedule {
    /// `ages` rise.
    #[must_use]
    pub fn new(slot: TimeDelta, ages: Vec<TimeDelta>) -> Self {
        Self { slot, ages }
    }

    /// How many ages there are.
    #[must_use]
    pub fn ages(&self) -> usize {
        self.ages.len()
    }

    /// The schedule without `dropped` of its ages: those go first that are farthest, in proportion,
    /// from every lateness in `near`, the earlier of two equals before the later. The last age, on
    /// which slots close, always stays.
    #[must_use]
    pub fn without(&self, dropped: usize, near: &[TimeDelta]) -> Self {
        let distance = |age: TimeDelta| {
            let log = |span: TimeDelta| (span.num_milliseconds().max(1) as f64).ln();
            near.iter()
                .map(|late| (log(age) - log(*late)).abs())
                .fold(f64::INFINITY, f64::min)
        };
        let mut first_to_go = self.ages.clone();
        first_to_go.pop();
        // A stable sort: among equals the order of age stays.
        first_to_go.sort_by(|a, b| distance(*b).total_cmp(&distance(*a)));
        first_to_go.truncate(dropped);
        let mut ages = self.ages.clone();
        ages.retain(|age| !first_to_go.contains(age));
        Self {
            slot: self.slot,
            ages,
        }
    }

    /// The start of the slot that a moment lies in.
    #[must_use]
    pub fn floor(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        slot_of(time, self.slot)
    }

    /// The end of the last slot that begins before a moment.
    #[must_use]
    pub fn ceil(&self, time: DateTime<Utc>) -> DateTime<Utc> {
        let start = self.floor(time);
        if start < time {
            start + self.slot
        } else {
            start
        }
    }

    /// The length of a slot.
    #[must_use]
    pub fn slot(&self) -> TimeDelta {
        self.slot
    }

    /// When the slot that starts at `start` is first due.
    #[must_use]
    pub fn first_due(&self, start: DateTime<Utc>) -> DateTime<Utc> {
        self.next_due(start, start).unwrap_or(start + self.slot)
    }

    /// When the slot is due after a read that began at `began`: one read serves every age before
    /// it. `None` when no age is left.
    #[must_use]
    pub fn next_due(&self, start: DateTime<Utc>, began: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.ages
            .iter()
            .map(|age| on_grid(start + self.slot + *age, *age))
            .find(|due| *due > began)
    }
}

/// Late reads fall due on a grid of a quarter of their age, two hours at most, so that
/// neighbouring slots share a query: half an hour for the age of 2 h, two hours for that of 24 h.
fn on_grid(due: DateTime<Utc>, age: TimeDelta) -> DateTime<Utc> {
    if age < TimeDelta::hours(1) {
        return due;
    }
    let grid = (age / 4).min(TimeDelta::hours(2));
    let floor = slot_of(due, grid);
    if floor == due { due } else { floor + grid }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule() -> Schedule {
        Schedule::new(
            TimeDelta::minutes(5),
            [1, 3, 45, 120, 1440].map(TimeDelta::minutes).into(),
        )
    }

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    #[test]
    fn a_slot_is_first_due_at_its_first_age() {
        assert_eq!(schedule().first_due(at("10:00:00")), at("10:06:00"));
    }

    #[test]
    fn one_read_serves_every_age_before_it() {
        let next = |began| schedule().next_due(at("10:00:00"), at(began));
        assert_eq!(next("10:05:59"), Some(at("10:06:00")));
        assert_eq!(next("10:06:00"), Some(at("10:08:00")));
        assert_eq!(next("10:30:00"), Some(at("10:50:00")));
    }

    #[test]
    fn late_ages_fall_on_a_grid_that_neighbours_share() {
        let due = |start| schedule().next_due(at(start), at("11:30:00"));
        assert_eq!(due("10:00:00"), Some(at("12:30:00")));
        assert_eq!(due("10:25:00"), Some(at("12:30:00")));
        let last = schedule().next_due(at("10:00:00"), at("13:00:00")).unwrap();
        assert_eq!(last.to_rfc3339(), "2026-11-23T12:00:00+00:00");
    }

    #[test]
    fn under_pressure_the_ages_nearest_the_measured_lateness_stay_longest() {
        let near = [3, 50].map(TimeDelta::minutes);
        let left = |dropped| {
            let schedule = schedule().without(dropped, &near);
            schedule
                .ages
                .iter()
                .map(TimeDelta::num_minutes)
                .collect::<Vec<_>>()
        };
        assert_eq!(left(0), [1, 3, 45, 120, 1440]);
        assert_eq!(left(1), [3, 45, 120, 1440]);
        assert_eq!(left(2), [3, 45, 1440]);
        assert_eq!(left(3), [3, 1440]);
        assert_eq!(left(9), [1440]);
    }

    #[test]
    fn where_nothing_was_measured_early_ages_go_first() {
        let left = schedule().without(2, &[]).ages;
        assert_eq!(left, [45, 120, 1440].map(TimeDelta::minutes));
    }

    #[test]
    fn after_the_last_age_nothing_is_due() {
        let began = at("10:00:00") + TimeDelta::days(2);
        assert_eq!(schedule().next_due(at("10:00:00"), began), None);
    }
}
