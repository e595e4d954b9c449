//! The keys of issuers: fetched when they are needed, kept for a while, fetched again when a token names one that is not
//! among them. Each process has its own.

mod fetch;

use super::Context;
use crate::{
    config::Issuer,
    error::Result,
    identity::{Algorithm, KeySet},
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// How long keys are taken as they are where the issuer says nothing, and the bounds of what it may say.
const KEPT: TimeDelta = TimeDelta::minutes(10);
const KEPT_LEAST: TimeDelta = TimeDelta::minutes(1);
const KEPT_MOST: TimeDelta = TimeDelta::hours(24);
/// How long keys are used that could not be fetched again.
const STALE_MOST: TimeDelta = TimeDelta::hours(24);
/// The least time between two questions for a key that is not there, and after one that was not answered.
const PAUSE: TimeDelta = TimeDelta::seconds(30);
const PAUSE_FAILED: TimeDelta = TimeDelta::seconds(5);

/// What is known of all issuers, by their URL.
#[derive(Default)]
pub struct Issuers(Mutex<HashMap<String, Arc<Known>>>);

/// What is known of one.
#[derive(Default)]
struct Known {
    state: Mutex<State>,
    /// Held while its keys are fetched, so that one request does and the others wait.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct State {
    keys: Option<Arc<KeySet>>,
    fetched_at: DateTime<Utc>,
    fresh_until: DateTime<Utc>,
    asked_at: Option<DateTime<Utc>>,
    has_failed: bool,
}

impl Known {
    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

impl State {
    fn has(&self, key: Option<&str>, algorithm: Algorithm) -> bool {
        self.keys.as_ref().is_some_and(|keys| keys.fitting(key, algorithm).next().is_some())
    }

    /// Whether what is kept can be used as it is: it is fresh and has the key.
    fn is_enough(&self, now: DateTime<Utc>, key: Option<&str>, algorithm: Algorithm) -> bool {
        now < self.fresh_until && self.has(key, algorithm)
    }

    fn may_ask(&self, now: DateTime<Utc>) -> bool {
        // Fresh keys without the one that is asked for: whoever makes up names of keys must not make us ask all the time.
        let pause = if now < self.fresh_until { PAUSE } else { PAUSE_FAILED };
        let is_due = |asked: DateTime<Utc>| now >= asked + pause || now < asked;
        self.asked_at.is_none_or(is_due)
    }

    /// What there is to use now, if anything.
    fn usable(&self, now: DateTime<Utc>) -> Option<Arc<KeySet>> {
        self.keys.clone().filter(|_| now < self.fresh_until.max(self.fetched_at + STALE_MOST))
    }
}

impl Issuers {
    fn known(&self, url: &str) -> Arc<Known> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(url.to_owned()).or_default().clone()
    }
}

/// The keys of an issuer, with the one that is asked for if the issuer has it.
pub async fn keys(
    cx: &Context,
    issuer: &Issuer,
    key: Option<&str>,
    algorithm: Algorithm,
) -> Result<Arc<KeySet>> {
    let known = cx.issuers.known(&issuer.url);
    let now = cx.clock.now();
    let state = known.state();
    if let Some(keys) = state.keys.as_ref().filter(|_| state.is_enough(now, key, algorithm)) {
        return Ok(keys.clone());
    }
    let _turn = known.fetching.lock().await;
    // Somebody may have fetched them in the meantime.
    let now = cx.clock.now();
    let mut state = known.state();
    if !state.is_enough(now, key, algorithm) && state.may_ask(now) {
        state.asked_at = Some(now);
        match fetch::keys(issuer).await {
            Ok((keys, max_age)) => {
                tracing::info!(issuer = issuer.name, keys = keys.len(), "fetched the keys of an issuer");
                let kept = max_age.unwrap_or(KEPT).clamp(KEPT_LEAST, KEPT_MOST);
                state.keys = Some(Arc::new(keys));
                (state.fetched_at, state.fresh_until, state.has_failed) = (now, now + kept, false);
            }
            Err(error) => {
                tracing::warn!(issuer = issuer.name, code = error.code, error = ?error, "no keys of an issuer");
                state.has_failed = true;
                known.set(state.clone());
                return state.usable(now).filter(|_| state.has(key, algorithm)).ok_or(error);
            }
        }
        known.set(state.clone());
    }
    match state.usable(now) {
        Some(keys) if !state.has_failed || state.has(key, algorithm) => Ok(keys),
        _ => Err(fetch::unreachable(issuer)),
    }
}
