//! Opening a database by URL, its migrations, and beginning transactions.

use super::{
    epoch::Epoch,
    outbox::Remembered,
    schema::{POSTGRES, SCHEMA, SQLITE, migrations},
    tx::{Handle, Inner, Tx},
};
use crate::{
    error::{Error, Result},
    model::{note::Signer, seal::Sealer},
};
use sqlx::{
    PgPool, Postgres, SqlitePool,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    path::Path,
    str::FromStr as _,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::sync::watch;

pub(super) enum Pool {
    /// One writer: SQLite has one anyway, and a queue in front of it is fairer than its busy loop.
    Sqlite {
        write: SqlitePool,
        read: SqlitePool,
    },
    Postgres(PgPool),
}

pub struct Db {
    pub(super) pool: Pool,
    pub(super) epoch: Epoch,
    /// Tells whoever waits that this process has appended to the log.
    pub(super) grown: Arc<watch::Sender<i64>>,
    pub(super) hooks: Arc<Remembered>,
    /// Signs the log; set once the secret was checked.
    signer: OnceLock<Arc<Signer>>,
    /// Seals what must be kept and not be read; set with the signer.
    sealer: OnceLock<Arc<Sealer>>,
}

const ACQUIRE: Duration = Duration::from_secs(10);
const RECENT: Duration = Duration::from_secs(5);

impl Db {
    /// Opens the SQLite file, creating it if missing, and brings its schema up to date.
    pub async fn sqlite(file: &Path) -> Result<Self> {
        Self::sqlite_at(file, SCHEMA).await
    }

    /// The same up to an earlier schema, to restore a backup of that.
    pub async fn sqlite_at(file: &Path, schema: i64) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: NORMAL may lose an acknowledged commit when the power goes.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
            .pragma("cache_size", "-8192")
            .pragma("trusted_schema", "OFF");
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_with(options.clone())
            .await?;
        migrations(SQLITE, schema).run(&write).await.map_err(migration_failed)?;
        let read = SqlitePoolOptions::new()
            .max_connections(4)
            .min_connections(1)
            .test_before_acquire(false)
            .acquire_timeout(ACQUIRE)
            .connect_with(options.read_only(true))
            .await?;
        Self::ready(Pool::Sqlite { write, read }).await
    }

    /// Connects to PostgreSQL and brings its schema up to date.
    pub async fn postgres(url: &str, connections: u32) -> Result<Self> {
        Self::postgres_at(url, connections, SCHEMA).await
    }

    /// The same up to an earlier schema, to restore a backup of that.
    pub async fn postgres_at(url: &str, connections: u32, schema: i64) -> Result<Self> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|source| {
                Error::invalid("config_invalid", "the database URL cannot be read").source(source)
            })?
            .application_name("gradus")
            // An acknowledged change is on disk, whatever the server's default says.
            .options([("synchronous_commit", "on"), ("default_transaction_isolation", "read committed")]);
        let place = format!("{}:{}", options.get_host(), options.get_port());
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE)
            // A connection that was in use a moment ago is not asked again whether it lives.
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    Ok(meta.idle_for < RECENT || sqlx::Connection::ping(connection).await.is_ok())
                })
            })
            .connect_with(options)
            .await
            .map_err(|error| unreachable(&place, error))?;
        migrations(POSTGRES, schema).run(&pool).await.map_err(migration_failed)?;
        Self::ready(Pool::Postgres(pool)).await
    }

    async fn ready(pool: Pool) -> Result<Self> {
        let db = Self {
            pool,
            epoch: Epoch::default(),
            grown: Arc::new(watch::channel(0).0),
            hooks: Arc::default(),
            signer: OnceLock::new(),
            sealer: OnceLock::new(),
        };
        let mut tx = db.read().await?;
        let length = super::log::length(&mut tx).await?.unwrap_or(0);
        db.epoch.known.store(length, std::sync::atomic::Ordering::SeqCst);
        Ok(db)
    }

    /// For reading, statement by statement: each sees what was committed before it.
    pub async fn read(&self) -> Result<Tx> {
        let inner = match &self.pool {
            Pool::Sqlite { read, .. } => Inner::Sqlite(Handle::Connection(read.acquire().await?)),
            Pool::Postgres(pool) => Inner::Postgres(Handle::Connection(acquire(pool).await?)),
        };
        Ok(Tx::new(inner, self))
    }

    /// A transaction for writing. On SQLite it takes the write lock at once: a transaction that reads first
    /// and then writes would fail when another wrote in between.
    pub async fn write(&self) -> Result<Tx> {
        let inner = match &self.pool {
            Pool::Sqlite { write, .. } => {
                Inner::Sqlite(Handle::Transaction(write.begin_with("BEGIN IMMEDIATE").await?))
            }
            Pool::Postgres(pool) => {
                let transaction = pool.begin().await.map_err(|error| unconnected(pool, error))?;
                Inner::Postgres(Handle::Transaction(transaction))
            }
        };
        Ok(Tx::new(inner, self))
    }

    /// Lets the log be signed and secrets be sealed from now on.
    pub fn use_keys(&self, signer: Signer, sealer: Sealer) {
        let _ = self.signer.set(Arc::new(signer));
        let _ = self.sealer.set(Arc::new(sealer));
    }

    /// Changes whenever this process has appended to the log. Other replicas' entries have to be asked for.
    pub fn grown(&self) -> watch::Receiver<i64> {
        self.grown.subscribe()
    }

    /// What seals secrets.
    pub fn sealer(&self) -> Result<&Sealer> {
        let unchecked = || Error::internal("seal_key", "the registry's secret was not checked yet");
        self.sealer.get().map(|sealer| &**sealer).ok_or_else(unchecked)
    }

    /// The log's key; `None` before the secret was checked.
    pub fn signer(&self) -> Option<&Arc<Signer>> {
        self.signer.get()
    }

    pub fn is_sqlite(&self) -> bool {
        matches!(self.pool, Pool::Sqlite { .. })
    }

    /// Ends all connections; on SQLite this also folds the write-ahead log into the file.
    pub async fn close(&self) {
        match &self.pool {
            Pool::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

/// Why a server does not let us in at all. Names where it is, for whoever starts the registry.
pub(super) fn unreachable(place: &str, error: sqlx::Error) -> Error {
    if let sqlx::Error::Database(refusal) = &error
        && let Some(code) = refusal.code()
        && (code.starts_with("28") || code == "3D000")
    {
        let message = format!("the database at {place} refuses the registry: {}", refusal.message());
        return Error::invalid("database_refused", message)
            .source(error)
            .hint("check user, password and name of the database in [database] url");
    }
    // While nobody listens, sqlx tries again until the time is up.
    let timed_out = matches!(error, sqlx::Error::PoolTimedOut);
    let error = Error::from(error);
    if timed_out || error.code == "database_unavailable" {
        return Error::unavailable("database_unavailable", format!("the database does not answer: {place}"))
            .source(error)
            .hint("is it running, and is [database] url right?");
    }
    error
}

/// A connection of the pool.
pub(super) async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>> {
    pool.acquire().await.map_err(|error| unconnected(pool, error))
}

/// Why a pool gives no connection. With room for another one, it was the server that gave none.
fn unconnected(pool: &PgPool, error: sqlx::Error) -> Error {
    let has_room = pool.size() < pool.options().get_max_connections();
    if matches!(error, sqlx::Error::PoolTimedOut) && has_room {
        return silent().source(error);
    }
    error.into()
}

pub(super) fn silent() -> Error {
    Error::unavailable("database_unavailable", "the database does not answer")
}

fn migration_failed(source: sqlx::migrate::MigrateError) -> Error {
    use sqlx::migrate::MigrateError::{VersionMismatch, VersionMissing};
    match source {
        VersionMissing(version) | VersionMismatch(version) => Error::invalid(
            "schema_unknown",
            format!("the database's schema is not one this version of gradus knows, at migration: {version}"),
        )
        .hint("the database was used by another version; run that one, or restore a backup"),
        sqlx::migrate::MigrateError::Execute(error) => error.into(),
        other => Error::internal("migration_failed", "the database's schema could not be brought up to date")
            .source(other),
    }
}
