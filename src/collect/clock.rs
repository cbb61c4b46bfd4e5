//! What time it is.

use chrono::{DateTime, TimeDelta, Utc};

/// The seam to the clock.
pub trait Clock: Send + Sync {
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// The local clock's distance from Graph's, taken from the `Date` of its answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Correction(TimeDelta);

impl Correction {
    /// `Date` is in whole seconds and was written somewhere between request and answer: only a
    /// distance beyond this says anything.
    const BLUR: TimeDelta = TimeDelta::seconds(2);

    /// Takes note of an answer: asked for at local time `asked`, whole at local time `came`.
    #[must_use]
    pub fn observe(self, date: DateTime<Utc>, asked: DateTime<Utc>, came: DateTime<Utc>) -> Self {
        let fits = |distance: TimeDelta| {
            asked + distance - Self::BLUR <= date && date <= came + distance + Self::BLUR
        };
        if fits(self.0) {
            self
        } else if fits(TimeDelta::zero()) {
            Self::default()
        } else if date > came {
            Self(date - came)
        } else {
            Self(date - asked)
        }
    }

    /// Graph's time at local time `now`.
    #[must_use]
    pub fn apply(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.0
    }

    /// Whether two corrections say the same, but for what `Date` and the way leave open.
    #[must_use]
    pub fn agrees(self, other: Self) -> bool {
        (self.0 - other.0).abs() < TimeDelta::minutes(5)
    }

    /// How far Graph's clock is ahead.
    #[must_use]
    pub fn distance(self) -> TimeDelta {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn a_clock_that_is_right_within_the_blur_is_left_alone() {
        let correction = Correction::default().observe(at(99), at(100), at(100));
        assert_eq!(correction.distance(), TimeDelta::zero());
    }

    #[test]
    fn a_slow_answer_does_not_look_like_a_wrong_clock() {
        let correction = Correction::default().observe(at(100), at(100), at(130));
        assert_eq!(correction, Correction::default());
    }

    #[test]
    fn a_wrong_clock_is_corrected_and_put_back_when_it_is_mended() {
        let correction = Correction::default().observe(at(400), at(100), at(100));
        assert_eq!(correction.apply(at(100)), at(400));
        let steady = correction.observe(at(401), at(102), at(103));
        assert_eq!(steady, correction);
        let mended = correction.observe(at(500), at(500), at(501));
        assert_eq!(mended, Correction::default());
    }

    #[test]
    fn a_clock_that_is_ahead_is_corrected_too() {
        let correction = Correction::default().observe(at(100), at(7300), at(7301));
        assert_eq!(correction.apply(at(7300)), at(100));
    }
}
