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
    /// `Date` is in whole seconds and was written before the answer travelled: only a distance
    /// beyond this says anything.
    const BLUR: TimeDelta = TimeDelta::seconds(2);

    /// Takes note of an answer that came at local time `now`.
    #[must_use]
    pub fn observe(self, date: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let distance = date - now;
        if (distance - self.0).abs() > Self::BLUR {
            if distance.abs() > Self::BLUR {
                Self(distance)
            } else {
                Self::default()
            }
        } else {
            self
        }
    }

    /// Graph's time at local time `now`.
    #[must_use]
    pub fn apply(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + self.0
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
        let correction = Correction::default().observe(at(99), at(100));
        assert_eq!(correction.distance(), TimeDelta::zero());
    }

    #[test]
    fn a_wrong_clock_is_corrected_and_put_back_when_it_is_mended() {
        let correction = Correction::default().observe(at(400), at(100));
        assert_eq!(correction.apply(at(100)), at(400));
        let steady = correction.observe(at(401), at(102));
        assert_eq!(steady, correction);
        let mended = correction.observe(at(500), at(500));
        assert_eq!(mended, Correction::default());
    }
}
