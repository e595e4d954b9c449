//! Facts: SQL and rows, on SQLite or PostgreSQL from one text. The only importer of sqlx.
//!
//! A function here takes an open transaction, runs one statement or a few, and knows no rules: it
//! answers `None` or a count, and ops decides what that means. See `mod tx` for how one body runs on both.

mod connect;
mod epoch;
mod outbox;
mod schema;
mod tx;

pub mod audit;
pub mod backups;
pub mod blobs;
pub mod cards;
pub mod deliveries;
pub mod deployments;
pub mod documents;
pub mod drift_runs;
pub mod evidence;
pub mod facts;
pub mod garbage;
pub mod holds;
pub mod hooks;
pub mod inventory;
pub mod lineage;
pub mod log;
pub mod look;
pub mod manifests;
pub mod monitors;
pub mod namespaces;
pub mod policies;
pub mod principals;
pub mod promotions;
pub mod purges;
pub mod quarantines;
pub mod quotas;
pub mod reads;
pub mod retention;
pub mod stages;
pub mod tags;
pub mod tokens;
pub mod told;
pub mod trust;
pub mod uploads;
pub mod versions;

pub use connect::Db;
pub use schema::SCHEMA;
pub use tx::Tx;

use crate::error::{Error, Result};

/// Reads a text column into its type; a row that does not parse contradicts the registry's own rules.
fn read<T: std::str::FromStr>(table: &'static str, text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::corrupt(table, text, "the value cannot be read"))
}

/// Sizes are `u64` in the program and BIGINT in SQL.
fn to_sql(size: u64) -> Result<i64> {
    i64::try_from(size).map_err(|_| Error::invalid("size_invalid", format!("too large a size: {size}")))
}

fn from_sql(size: i64) -> u64 {
    u64::try_from(size).unwrap_or(0)
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        let busy =
            |source| Self::unavailable("database_busy", "the database is busy, try again").source(source);
        let down =
            |source| Self::unavailable("database_unavailable", "the database does not answer").source(source);
        match &source {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => down(source),
            // What a connection that was cut in the middle of an exchange leaves behind.
            sqlx::Error::Protocol(_) | sqlx::Error::BeginFailed => down(source),
            sqlx::Error::PoolTimedOut => busy(source),
            sqlx::Error::Database(error) => match error.code().as_deref() {
                // SQLite: BUSY and LOCKED with their extended forms; FULL. PostgreSQL: serialization, deadlock,
                // lock not available, shutting down or starting, too many connections, disk full.
                Some("5" | "6" | "261" | "517" | "262" | "773") => busy(source),
                // With its rows checked in the transaction, a missing one was deleted by another: foreign key.
                Some("40001" | "40P01" | "55P03" | "23503") => busy(source),
                // PostgreSQL: text with a NUL. No name of ours has one.
                Some("22021") => {
                    Self::invalid("text_invalid", "the text has a character that cannot be stored")
                        .source(source)
                }
                // SQLite: FULL, and no room for the shared memory of the write-ahead log; PostgreSQL: disk full.
                Some("13" | "4874" | "53100") => {
                    Self::unavailable("disk_full", "no space left for the database").source(source)
                }
                Some("57P01" | "57P02" | "57P03" | "53300") => down(source),
                Some("11" | "26") => {
                    Self::integrity("database_corrupt", "the database file is damaged, or is no database")
                        .hint("restore it from a backup")
                        .source(source)
                }
                _ => Self::internal("database", "the database refused a statement").source(source),
            },
            _ => Self::internal("database", "the database answered something unexpected").source(source),
        }
    }
}
