//! A look at a database from outside: nothing is made, nothing brought up to date.

use super::{
    connect::unreachable,
    schema::{SCHEMA, SCHEMA_OF_SQLITE},
};
use crate::error::{Error, Result};
use chrono::{DateTime, Utc};
use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use std::{path::Path, str::FromStr as _, time::Duration};

const STORES: &str = "SELECT DISTINCT store FROM namespaces ORDER BY store";
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub struct Look {
    /// The last migration, if there was any.
    pub schema: Option<i64>,
    /// The last that this program knows.
    pub known: i64,
    /// Of the secret that the registry was started with, if there is a registry.
    pub key_id: Option<String>,
    /// Of the database server.
    pub version: String,
    /// By the server's clock, where it has its own.
    pub clock: Option<DateTime<Utc>>,
    /// Names of stores that namespaces are in.
    pub stores: Vec<String>,
    /// What a check of the file found wrong, in the database's words.
    pub damage: Option<String>,
}

/// A SQLite file; `None` if there is none. `check`: go through all of it.
pub async fn sqlite(file: &Path, check: bool) -> Result<Option<Look>> {
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.len() > 0 => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // A resting database has no write-ahead log, and looking must not make one.
    let rests = !file.with_extension("db-wal").exists();
    let options = SqliteConnectOptions::new().filename(file).read_only(true).immutable(rests);
    let mut connection: SqliteConnection = options.busy_timeout(PATIENCE).connect().await?;
    let (version,): (String,) = sqlx::query_as("SELECT sqlite_version()").fetch_one(&mut connection).await?;
    let mut look = Look { version: format!("SQLite {version}"), known: SCHEMA_OF_SQLITE, ..Look::default() };
    if check {
        let (found,): (String,) = sqlx::query_as("PRAGMA quick_check(1)").fetch_one(&mut connection).await?;
        look.damage = (found != "ok").then_some(found);
    }
    let sql = "SELECT name FROM sqlite_master WHERE name IN ('_sqlx_migrations', 'log_head')";
    let tables: Vec<(String,)> = sqlx::query_as(sql).fetch_all(&mut connection).await?;
    let has = |table: &str| tables.iter().any(|(name,)| name == table);
    if has("_sqlx_migrations") {
        (look.schema,) =
            sqlx::query_as("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(&mut connection).await?;
    }
    if has("log_head") {
        let row: Option<(String,)> =
            sqlx::query_as("SELECT key_id FROM log_head").fetch_optional(&mut connection).await?;
        look.key_id = row.map(|(key_id,)| key_id);
        let stores: Vec<(String,)> = sqlx::query_as(STORES).fetch_all(&mut connection).await?;
        look.stores = stores.into_iter().map(|(name,)| name).collect();
    }
    connection.close().await?;
    Ok(Some(look))
}

/// A database on a PostgreSQL server.
pub async fn postgres(url: &str) -> Result<Look> {
    let options = PgConnectOptions::from_str(url).map_err(|source| {
        Error::invalid("config_invalid", "the database URL cannot be read").source(source)
    })?;
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let silent = || {
        Error::unavailable("database_unavailable", format!("the database does not answer: {place}"))
            .hint("is it running, and is [database] url right?")
    };
    let look = async {
        let mut connection: PgConnection =
            options.application_name("gradus").connect().await.map_err(|error| unreachable(&place, error))?;
        let sql = "SELECT current_setting('server_version'), now(),
                          to_regclass('_sqlx_migrations') IS NOT NULL, to_regclass('log_head') IS NOT NULL";
        let (version, clock, has_migrations, has_log): (String, DateTime<Utc>, bool, bool) =
            sqlx::query_as(sql).fetch_one(&mut connection).await?;
        let mut look = Look {
            version: format!("PostgreSQL {version}"),
            known: SCHEMA,
            clock: Some(clock),
            ..Look::default()
        };
        if has_migrations {
            (look.schema,) = sqlx::query_as("SELECT MAX(version) FROM _sqlx_migrations")
                .fetch_one(&mut connection)
                .await?;
        }
        if has_log {
            let row: Option<(String,)> =
                sqlx::query_as("SELECT key_id FROM log_head").fetch_optional(&mut connection).await?;
            look.key_id = row.map(|(key_id,)| key_id);
            let stores: Vec<(String,)> = sqlx::query_as(STORES).fetch_all(&mut connection).await?;
            look.stores = stores.into_iter().map(|(name,)| name).collect();
        }
        connection.close().await?;
        Ok(look)
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| Err(silent()))
}
