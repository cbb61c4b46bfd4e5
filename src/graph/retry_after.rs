//! The forms of `Retry-After` that Graph sends.

use std::time::{Duration, SystemTime};

/// How long a reply asks to wait.
///
/// Graph's documentation showed a decimal (`2.128`) for years and an integer now; a date is what
/// HTTP allows (RFC 9110, 10.2.3). A date is measured from the reply's own `Date`, so that a wrong
/// local clock does not matter. `None` when there is no header or it says nothing usable.
#[must_use]
pub fn retry_after(value: Option<&str>, date: Option<SystemTime>) -> Option<Duration> {
    /// No reply is believed for longer than this.
    const LONGEST: Duration = Duration::from_secs(60 * 60);
    let value = value?.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => {
            Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64()))
        }
        Ok(_) => return None,
        Err(_) => {
            let until = httpdate::parse_http_date(value).ok()?;
            let now = date.unwrap_or_else(SystemTime::now);
            until.duration_since(now).unwrap_or_default()
        }
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(value: &str) -> Option<Duration> {
        let date = httpdate::parse_http_date("Sun, 22 Nov 2026 10:00:00 GMT").ok();
        retry_after(Some(value), date)
    }

    #[test]
    fn every_form_is_understood() {
        assert_eq!(wait("10"), Some(Duration::from_secs(10)));
        assert_eq!(wait("2.128"), Some(Duration::from_millis(2128)));
        assert_eq!(
            wait("Sun, 22 Nov 2026 10:00:07 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(retry_after(None, None), None);
    }

    #[test]
    fn nonsense_is_no_wait_and_a_past_date_none_at_all() {
        for nonsense in ["", "soon", "-3", "NaN", "inf"] {
            assert_eq!(wait(nonsense), None, "{nonsense}");
        }
        assert_eq!(wait("Sun, 22 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn no_reply_is_believed_for_more_than_an_hour() {
        assert_eq!(wait("1e300"), Some(Duration::from_secs(3600)));
        assert_eq!(
            wait("Sun, 29 Nov 2026 10:00:00 GMT"),
            Some(Duration::from_secs(3600))
        );
    }
}
