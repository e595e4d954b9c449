//! Time and ids. The only place that reads the clock or makes an id; everything else is handed one.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// Where now and new ids come from.
pub trait Clock: Send + Sync {
    /// The time in UTC, in whole microseconds: what PostgreSQL stores is what was written.
    fn now(&self) -> DateTime<Utc>;
    /// A new id that sorts by time (UUIDv7).
    fn id(&self) -> Uuid;
}

pub struct System;

impl Clock for System {
    fn now(&self) -> DateTime<Utc> {
        let now = Utc::now();
        now.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(now)
    }

    fn id(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// One that is behind, until it is told that time has passed. For what is shown of a longer time.
pub struct Behind {
    by: AtomicU64,
}

impl Behind {
    pub fn new(seconds: u64) -> Self {
        Self { by: AtomicU64::new(seconds) }
    }

    /// It is as late as it is.
    pub fn catch_up(&self) {
        self.by.store(0, Ordering::SeqCst);
    }
}

impl Clock for Behind {
    fn now(&self) -> DateTime<Utc> {
        let by = i64::try_from(self.by.load(Ordering::SeqCst)).unwrap_or(0);
        System.now() - TimeDelta::seconds(by)
    }

    fn id(&self) -> Uuid {
        System.id()
    }
}

/// A clock that stands still until told otherwise, and ids that count. For tests.
pub struct Fixed {
    micros: AtomicU64,
    ids: AtomicU64,
}

impl Fixed {
    /// Starts at 2026-01-02T03:04:05Z.
    #[expect(clippy::new_without_default, reason = "a clock with a hidden default time would surprise")]
    pub fn new() -> Self {
        Self { micros: AtomicU64::new(1_767_323_045_000_000), ids: AtomicU64::new(0) }
    }

    pub fn advance(&self, by: std::time::Duration) {
        self.micros.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

impl Clock for Fixed {
    fn now(&self) -> DateTime<Utc> {
        let micros = i64::try_from(self.micros.load(Ordering::SeqCst)).unwrap_or(i64::MAX);
        DateTime::from_timestamp_micros(micros).unwrap_or(DateTime::UNIX_EPOCH)
    }

    fn id(&self) -> Uuid {
        let micros = self.micros.load(Ordering::SeqCst);
        let count = self.ids.fetch_add(1, Ordering::SeqCst);
        let mut counter = [0; 10];
        counter[2..].copy_from_slice(&count.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(micros / 1000, &counter).into_uuid()
    }
}
