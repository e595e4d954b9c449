//! The log's length as the version number of all facts.
//!
//! Every change appends an event in its own transaction, so an answer computed at length N is still right
//! while the length is N. That makes reads cheap without ever trusting a replica's memory: on SQLite, which
//! one process owns, the committing transaction tells the length; on PostgreSQL it is asked for each time,
//! and callers that ask while a question is under way share the next one.

use super::connect::{Db, Pool, acquire};
use crate::error::Result;
use sqlx::PgPool;
use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};
use tokio::sync::Mutex;

#[derive(Default)]
pub(super) struct Epoch {
    pub(super) known: Arc<AtomicI64>,
    /// Questions asked so far (begun), and the answer of the last one finished, or none when it failed.
    begun: AtomicU64,
    asking: Mutex<(u64, Option<i64>)>,
}

impl Db {
    /// The log's length now: at least every change acknowledged before this call is counted.
    pub async fn epoch(&self) -> Result<i64> {
        match &self.pool {
            Pool::Sqlite { .. } => Ok(self.epoch.known.load(Ordering::SeqCst)),
            Pool::Postgres(pool) => {
                // A question that began after this call did answers it, whoever asked.
                let before = self.epoch.begun.load(Ordering::SeqCst);
                let mut last = self.epoch.asking.lock().await;
                let (asked, answer) = *last;
                if asked > before {
                    // A failure is shared too: asked one by one, many callers would wait for very long.
                    return answer.ok_or_else(super::connect::silent);
                }
                let number = self.epoch.begun.fetch_add(1, Ordering::SeqCst) + 1;
                let answer = ask(pool).await;
                *last = (number, answer.as_ref().ok().copied());
                answer
            }
        }
    }
}

async fn ask(pool: &PgPool) -> Result<i64> {
    let mut connection = acquire(pool).await?;
    let question = sqlx::query_as("SELECT position FROM log_head WHERE id = 1");
    let (length,): (i64,) = question.fetch_one(&mut *connection).await?;
    Ok(length)
}
