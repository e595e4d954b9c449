//! How much one principal may ask for, whatever tokens it uses, so that one that runs away leaves room for others. In the
//! memory of this process: each replica counts for itself.

use crate::{
    config,
    error::{Error, Kind, Result},
    model::name::PrincipalName,
};
use chrono::{DateTime, Utc};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Principals that are remembered before those who are idle are forgotten.
const MANY: usize = 1024;

pub struct Rates {
    /// Requests in a second; 0: as many as come.
    per_second: f64,
    burst: f64,
    /// Requests under way; 0: as many as come.
    at_once: usize,
    table: Mutex<Table>,
}

struct Table {
    shares: HashMap<PrincipalName, Share>,
    /// How many there may be before idle ones are looked for.
    many: usize,
}

#[derive(Clone, Copy)]
struct Share {
    /// Requests that may come at once now.
    left: f64,
    at: DateTime<Utc>,
    under_way: usize,
}

impl Rates {
    /// `None`: nothing is limited.
    pub fn new(limits: &config::Limits) -> Option<Arc<Self>> {
        let config::Limits { requests_per_second, burst, concurrent_per_principal: at_once, .. } = *limits;
        if requests_per_second == 0 && at_once == 0 {
            return None;
        }
        let burst = if burst == 0 { requests_per_second } else { burst };
        let table = Mutex::new(Table { shares: HashMap::new(), many: MANY });
        let (per_second, burst) = (requests_per_second.into(), burst.into());
        Some(Arc::new(Self { per_second, burst, at_once, table }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a request in. Keep what it answers for as long as the request is under way; one that `waits` takes no place.
    pub fn admit(
        self: &Arc<Self>,
        who: &PrincipalName,
        now: DateTime<Utc>,
        waits: bool,
    ) -> Result<Option<Turn>> {
        let takes_place = self.at_once > 0 && !waits;
        let mut table = self.table();
        if table.shares.len() >= table.many {
            table.shares.retain(|_, share| share.under_way > 0 || self.left(share, now) < self.burst);
            table.many = MANY.max(table.shares.len() * 2);
        }
        let fresh = Share { left: self.burst, at: now, under_way: 0 };
        let share = match table.shares.get_mut(who) {
            Some(share) => share,
            None => table.shares.entry(who.clone()).or_insert(fresh),
        };
        if takes_place && share.under_way >= self.at_once {
            let many = format!("{who} has {} requests under way, and more may not be", self.at_once);
            return Err(too_many(many, 1.0));
        }
        if self.per_second > 0.0 {
            let left = self.left(share, now);
            // A little less than one is one: it is reckoned in fractions.
            if left < 0.999_999 {
                let many = format!("{who} may send {} requests in a second", self.per_second);
                return Err(too_many(many, (1.0 - left) / self.per_second));
            }
            share.left = left - 1.0;
            share.at = share.at.max(now);
        }
        if !takes_place {
            return Ok(None);
        }
        share.under_way += 1;
        Ok(Some(Turn { rates: self.clone(), who: who.clone() }))
    }

    fn left(&self, share: &Share, now: DateTime<Utc>) -> f64 {
        // A clock that was put back gives nothing.
        let micros = (now - share.at).num_microseconds().unwrap_or(i64::MAX).max(0);
        #[expect(clippy::cast_precision_loss, reason = "a share is full long before")]
        let more = micros as f64 / 1e6 * self.per_second;
        (share.left + more).min(self.burst)
    }
}

fn too_many(message: String, seconds: f64) -> Error {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
    let seconds = seconds.ceil().max(1.0) as u64;
    Error::new(Kind::TooMany, "rate_limited", message)
        .hint("wait as long as Retry-After says; whoever runs the registry sets this under [limits]")
        .details(serde_json::json!({ "retry_after_seconds": seconds }))
}

/// A request that is under way.
pub struct Turn {
    rates: Arc<Rates>,
    who: PrincipalName,
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(share) = self.rates.table().shares.get_mut(&self.who) {
            share.under_way = share.under_way.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    fn rates(requests_per_second: u32, burst: u32, concurrent_per_principal: usize) -> Arc<Rates> {
        let limits =
            config::Limits { requests_per_second, burst, concurrent_per_principal, ..Default::default() };
        Rates::new(&limits).unwrap()
    }

    fn wait(refused: Result<Option<Turn>>) -> u64 {
        let error = refused.err().unwrap();
        assert_eq!((error.code, error.kind), ("rate_limited", Kind::TooMany));
        error.details.unwrap()["retry_after_seconds"].as_u64().unwrap()
    }

    #[test]
    fn a_share_is_used_up_and_comes_back() {
        assert!(Rates::new(&config::Limits::default()).is_none());
        let rates = rates(2, 4, 0);
        let (ada, bob) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let mut now = DateTime::UNIX_EPOCH;
        for _ in 0..4 {
            assert!(rates.admit(&ada, now, false).unwrap().is_none());
        }
        assert_eq!(wait(rates.admit(&ada, now, false)), 1);
        assert!(rates.admit(&bob, now, false).is_ok(), "others have their own");
        now += TimeDelta::milliseconds(500);
        assert!(rates.admit(&ada, now, false).is_ok());
        assert!(rates.admit(&ada, now, false).is_err());
        // A clock that was put back takes nothing and gives nothing.
        assert!(rates.admit(&ada, now - TimeDelta::hours(1), false).is_err());
        now += TimeDelta::hours(1);
        let let_in = (0..100).filter(|_| rates.admit(&ada, now, false).is_ok()).count();
        assert_eq!(let_in, 4, "no more than the burst is saved up");
    }

    #[test]
    fn requests_under_way_are_counted_until_they_end() {
        let rates = rates(0, 0, 2);
        let (ada, bob) = ("ada".parse().unwrap(), "bob".parse().unwrap());
        let now = DateTime::UNIX_EPOCH;
        let first = rates.admit(&ada, now, false).unwrap();
        let _second = rates.admit(&ada, now, false).unwrap();
        assert_eq!(wait(rates.admit(&ada, now, false)), 1);
        assert!(rates.admit(&ada, now, true).unwrap().is_none(), "who watches takes no place");
        assert!(rates.admit(&bob, now, false).is_ok());
        drop(first);
        assert!(rates.admit(&ada, now, false).is_ok());
    }

    #[test]
    fn who_is_idle_is_forgotten() {
        let rates = rates(1, 1, 1);
        let busy = rates.admit(&"busy".parse().unwrap(), DateTime::UNIX_EPOCH, false).unwrap();
        for number in 0..10 * MANY {
            let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(i64::try_from(number).unwrap());
            rates.admit(&format!("user{number}").parse().unwrap(), now, false).unwrap();
        }
        assert!(rates.table().shares.len() <= MANY, "{}", rates.table().shares.len());
        assert_eq!(rates.table().shares[&"busy".parse().unwrap()].under_way, 1);
        drop(busy);
    }
}
