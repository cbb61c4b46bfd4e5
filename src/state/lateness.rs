//! How late a stream's records become visible, as measured. Pure.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// Upper end of the first bucket; each further one ends at √2 times the one before.
const FIRST_MS: f64 = 250.0;
/// The last bucket ends at some three days.
const BUCKETS: usize = 41;
/// Records after which the older half of what was measured fades: lateness changes.
const FADE_AT: u64 = 200_000;

/// A histogram of lateness: first seen minus event time, of records that a read of the newest or a
/// re-read found. What a catch-up finds was there all along and says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lateness(Vec<u64>);

impl Lateness {
    /// Counts one record. A negative lateness (a clock that is wrong) counts as none.
    pub fn add(&mut self, late: TimeDelta) {
        self.add_to(bucket(late), 1);
    }

    /// Counts what another histogram holds as well.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in other.0.iter().enumerate() {
            self.add_to(bucket, *count);
        }
        if self.total() > FADE_AT {
            self.0.iter_mut().for_each(|count| *count /= 2);
        }
    }

    fn add_to(&mut self, bucket: usize, count: u64) {
        if self.0.len() <= bucket {
            self.0.resize(bucket + 1, 0);
        }
        self.0[bucket] += count;
    }

    /// Records measured, faded ones left out.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The lateness that so many of a thousand records do not exceed, rounded up to the end of its
    /// bucket; `None` before anything was measured.
    #[must_use]
    pub fn quantile(&self, thousandths: u64) -> Option<TimeDelta> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = (total * thousandths).div_ceil(1000).max(1);
        let mut below = 0;
        for (bucket, count) in self.0.iter().enumerate() {
            below += count;
            if below >= rank {
                return Some(end(bucket));
            }
        }
        None
    }
}

fn bucket(late: TimeDelta) -> usize {
    (0..BUCKETS - 1)
        .find(|bucket| late <= end(*bucket))
        .unwrap_or(BUCKETS - 1)
}

fn end(bucket: usize) -> TimeDelta {
    let power = i32::try_from(bucket).unwrap_or(i32::MAX);
    let millis = FIRST_MS * std::f64::consts::SQRT_2.powi(power);
    // The last bucket is far below what an i64 holds.
    #[expect(clippy::cast_possible_truncation)]
    TimeDelta::milliseconds(millis.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seconds: &[i64]) -> Lateness {
        let mut lateness = Lateness::default();
        for second in seconds {
            lateness.add(TimeDelta::seconds(*second));
        }
        lateness
    }

    #[test]
    fn a_quantile_is_the_end_of_the_bucket_that_holds_it() {
        let mut seconds = vec![60; 900];
        seconds.extend([600; 99]);
        seconds.push(80_000);
        let lateness = of(&seconds);
        let second = |thousandths| lateness.quantile(thousandths).unwrap().num_seconds();
        assert_eq!((second(500), second(900)), (64, 64));
        assert_eq!((second(990), second(999), second(1000)), (724, 724, 92_681));
    }

    #[test]
    fn nothing_measured_has_no_quantile() {
        assert_eq!(Lateness::default().quantile(500), None);
    }

    #[test]
    fn what_was_measured_long_ago_fades() {
        let mut lateness = Lateness::default();
        for _ in 0..10 {
            lateness.merge(&of(&[4000; 50_000]));
        }
        for _ in 0..10 {
            lateness.merge(&of(&[60; 50_000]));
        }
        assert!(lateness.total() <= 250_000);
        assert_eq!(lateness.quantile(900).unwrap().num_seconds(), 64);
    }

    #[test]
    fn a_record_from_the_future_or_from_last_year_is_counted_too() {
        let lateness = of(&[-60, 365 * 86_400]);
        assert_eq!(lateness.total(), 2);
    }
}
