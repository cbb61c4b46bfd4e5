//! Instants as Graph writes them. Each log has a precision of its own.

use chrono::{DateTime, Datelike, Timelike, Utc};
use fastrand::Rng;

/// `2026-07-17T14:10:02Z`: sign-ins and provisioning.
pub fn whole_seconds(at: DateTime<Utc>) -> String {
    with_fraction(at, 1, 0)
}

/// `2026-07-17T13:48:10.9301252Z`, at some fraction of the second of `at`: audits and risk.
/// Trailing zeros are cut, so that the length varies.
pub fn seven_digits(at: DateTime<Utc>, rng: &mut Rng) -> String {
    with_fraction(at, 7, rng.u64(..10_000_000))
}

/// The same with six digits: most audits, and what products report to the alert service.
pub fn six_digits(at: DateTime<Utc>, rng: &mut Rng) -> String {
    with_fraction(at, 6, rng.u64(..1_000_000))
}

/// `.48Z`, `.6066667Z`: the alert service's own times fall on 300ths of a second.
pub fn three_hundredths(at: DateTime<Utc>, rng: &mut Rng) -> String {
    with_fraction(at, 7, (rng.u64(..300) * 10_000_000 + 150) / 300)
}

/// How the record's time is written, by the name that templates use.
pub fn precision(name: &str) -> Option<fn(DateTime<Utc>, &mut Rng) -> String> {
    match name {
        "at.seconds" => Some(|at, _| whole_seconds(at)),
        "at.seven" => Some(seven_digits),
        "at.six" => Some(six_digits),
        "at.300ths" => Some(three_hundredths),
        _ => None,
    }
}

fn with_fraction(at: DateTime<Utc>, digits: usize, fraction: u64) -> String {
    // The same as formatting with "%Y-%m-%dT%H:%M:%S", which costs several times as much.
    let (date, time) = (at.date_naive(), at.time());
    let second = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        date.year(),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    match format!("{fraction:0digits$}").trim_end_matches('0') {
        "" => format!("{second}Z"),
        fraction => format!("{second}.{fraction}Z"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> DateTime<Utc> {
        "2026-07-17T14:10:02.75Z".parse().unwrap()
    }

    #[test]
    fn whole_seconds_drop_the_fraction() {
        assert_eq!(whole_seconds(at()), "2026-07-17T14:10:02Z");
    }

    #[test]
    fn a_fraction_loses_its_trailing_zeros_and_stays_within_its_second() {
        assert_eq!(
            with_fraction(at(), 7, 9_301_250),
            "2026-07-17T14:10:02.930125Z"
        );
        assert_eq!(with_fraction(at(), 7, 42), "2026-07-17T14:10:02.0000042Z");
        assert_eq!(with_fraction(at(), 6, 0), "2026-07-17T14:10:02Z");
    }

    #[test]
    fn the_alert_services_fractions_are_300ths_of_a_second() {
        let mut rng = Rng::with_seed(7);
        for _ in 0..1000 {
            let text = three_hundredths(at(), &mut rng);
            let time: DateTime<Utc> = text.parse().unwrap();
            let ticks = i64::from(time.timestamp_subsec_nanos()) / 100 * 300;
            assert!((ticks + 150) % 10_000_000 <= 300, "{text}");
        }
    }
}
