//! When a delivery that failed is tried again: exponential, with jitter, over days.

use chrono::TimeDelta;

/// How patient the registry is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts of one delivery before it is given up.
    pub attempts: u32,
    pub first: TimeDelta,
    pub longest: TimeDelta,
}

impl Patience {
    /// How long to wait after so many failed attempts; `None`: it is given up. Each wait is four times the one before,
    /// up to the longest. `jitter` in [0, 1) takes away up to a fourth, so that what failed together does not come back
    /// together. A receiver's own `Retry-After` is honoured up to the longest wait.
    pub fn wait(&self, failed: u32, jitter: f64, retry_after: Option<TimeDelta>) -> Option<TimeDelta> {
        if failed >= self.attempts {
            return None;
        }
        let factor = 4i32.checked_pow(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let full = self.first.checked_mul(factor).unwrap_or(self.longest).min(self.longest);
        let millis = full.num_milliseconds() as f64 * (1.0 - jitter.clamp(0.0, 1.0) / 4.0);
        let own = TimeDelta::milliseconds(millis as i64);
        Some(own.max(retry_after.unwrap_or_default().min(self.longest)))
    }
}

/// What `Retry-After` says: seconds, or a date (RFC 9110, 10.2.3).
pub fn retry_after(text: &str, now: chrono::DateTime<chrono::Utc>) -> Option<TimeDelta> {
    if let Ok(seconds) = text.trim().parse::<u32>() {
        return Some(TimeDelta::seconds(seconds.into()));
    }
    let at = chrono::DateTime::parse_from_rfc2822(text.trim()).ok()?;
    Some((at.to_utc() - now).max(TimeDelta::zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience =
        Patience { attempts: 11, first: TimeDelta::seconds(5), longest: TimeDelta::hours(24) };

    #[test]
    fn waits_grow_over_days_and_end() {
        let waits: Vec<i64> =
            (1..=10).map(|failed| PATIENCE.wait(failed, 0.0, None).unwrap().num_seconds()).collect();
        assert_eq!(waits, [5, 20, 80, 320, 1280, 5120, 20480, 81920, 86400, 86400]);
        assert!(waits.iter().sum::<i64>() > 3 * 86400);
        assert_eq!(PATIENCE.wait(11, 0.0, None), None);
        assert_eq!(PATIENCE.wait(2, 0.999_999, None).unwrap().num_seconds(), 15);
        let patient = Patience { attempts: u32::MAX, ..PATIENCE };
        assert_eq!(patient.wait(4_000_000_000, 0.0, None), Some(TimeDelta::hours(24)));
    }

    #[test]
    fn the_receiver_may_ask_for_more() {
        let now = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(PATIENCE.wait(1, 0.0, retry_after("120", now)).unwrap().num_seconds(), 120);
        assert_eq!(PATIENCE.wait(2, 0.0, retry_after("1", now)).unwrap().num_seconds(), 20);
        assert_eq!(PATIENCE.wait(1, 0.0, retry_after("4000000000", now)).unwrap().num_hours(), 24);
        let date = retry_after("Fri, 02 Jan 2026 03:05:05 GMT", now);
        assert_eq!(date, Some(TimeDelta::seconds(60)));
        assert_eq!(retry_after("Thu, 01 Jan 2026 00:00:00 GMT", now), Some(TimeDelta::zero()));
        for bad in ["soon", "-1", "", "1.5"] {
            assert_eq!(retry_after(bad, now), None, "{bad}");
        }
    }
}
