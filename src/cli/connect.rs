//! Opening the registry a command works on: a server, or the data directory through the same router in-process.

use super::Global;
use crate::{
    blobs::Stores,
    client::Client,
    clock::{Clock, System},
    config::{Config, hooks_allow_from_environment, local_user},
    db::{Db, SCHEMA},
    error::{Error, Result},
    http,
    jobs::{
        deliver::{self, Deliveries},
        drift::{self, Runs},
        reads::{self, Keeper},
    },
    model::name::PrincipalName,
    ops::{Context, claim, reads as ops_reads, settle, start},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// How long a second process waits for the data directory.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// How long a command without a server goes on for the sake of hooks. What is not told then, the next command tells.
const DELIVERY_WAIT: Duration = Duration::from_secs(10);

/// The database of a data directory.
pub const DATABASE: &str = "gradus.db";

pub struct Registry {
    pub client: Client,
    local: Option<(Local, Deliveries, Runs, Keeper)>,
}

/// A data directory in use by this process.
pub struct Local {
    pub context: Arc<Context>,
    _lock: Option<Lock>,
}

impl Registry {
    pub async fn close(self) {
        if let Some((local, deliveries, runs, keeper)) = self.local {
            if let Err(error) = deliveries.settle(DELIVERY_WAIT).await {
                tracing::error!(?error, "hooks were not told yet");
            }
            deliveries.close(DELIVERY_WAIT).await;
            runs.close(DELIVERY_WAIT).await;
            keeper.close(DELIVERY_WAIT).await;
            // Without a server nobody else does.
            if let Err(error) = ops_reads::prune(&local.context).await {
                tracing::error!(?error, "old reads were not forgotten");
            }
            local.context.db.close().await;
        }
    }
}

/// What `login` stored.
#[derive(Serialize, Deserialize)]
pub struct Stored {
    pub server: String,
    pub token: String,
}

pub fn login_file() -> Result<PathBuf> {
    Config::default_config_dir().map(|directory| directory.join("login.toml"))
}

fn stored_login() -> Result<Option<Stored>> {
    let Ok(file) = login_file() else { return Ok(None) };
    let Ok(text) = fs::read_to_string(&file) else { return Ok(None) };
    toml::from_str(&text).map(Some).map_err(|source| {
        Error::invalid("login_invalid", format!("what login stored cannot be read: {}", file.display()))
            .source(source)
            .hint("log in again with: gradus login SERVER")
    })
}

/// The server that is named, or that `login` stored; `None` where a data directory is meant.
pub fn remote(global: &Global) -> Result<Option<Client>> {
    if global.data_dir.is_some() {
        return Ok(None);
    }
    if let Some(server) = &global.server {
        return Client::remote(server, global.token.clone().or(stored_token(server)?), global.plain_http)
            .map(Some);
    }
    let Some(login) = stored_login()? else { return Ok(None) };
    let token = global.token.clone().unwrap_or(login.token);
    Client::remote(&login.server, Some(token), global.plain_http).map(Some)
}

/// The token that `login` stored for a server. It belongs to that one, and is not shown to another.
pub fn stored_token(server: &str) -> Result<Option<String>> {
    let stored = stored_login()?.filter(|login| login.server == server.trim_end_matches('/'));
    Ok(stored.map(|login| login.token))
}

pub async fn open(global: &Global) -> Result<Registry> {
    if let Some(client) = remote(global)? {
        return Ok(Registry { client, local: None });
    }
    let data_dir = match &global.data_dir {
        Some(directory) => directory.clone(),
        None => Config::default_data_dir()?,
    };
    let user = PrincipalName::local(&local_user());
    let config = load_config(global)?;
    let local = open_local(&data_dir, config, Some(user.clone())).await?;
    start::ensure_local_user(&local.context, &user).await?;
    // Without a server nobody else looks at what waits.
    settle::settle_due(&local.context).await?;
    let deliveries = deliver::start(&local.context)?;
    let runs = drift::start(&local.context, true);
    let keeper = reads::start(&local.context);
    let client = Client::local(http::router(local.context.clone()));
    Ok(Registry { client, local: Some((local, deliveries, runs, keeper)) })
}

pub fn load_config(global: &Global) -> Result<Config> {
    let mut config = global.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
    config.hooks.allow.extend(hooks_allow_from_environment()?);
    Ok(config)
}

/// Opens the database and the stores below a data directory, and checks the secret.
pub async fn open_local(data_dir: &Path, config: Config, local: Option<PrincipalName>) -> Result<Local> {
    open_local_at(data_dir, config, local, Arc::new(System)).await
}

/// The same by a clock of its own.
pub async fn open_local_at(
    data_dir: &Path,
    config: Config,
    local: Option<PrincipalName>,
    clock: Arc<dyn Clock>,
) -> Result<Local> {
    make_data_dir(data_dir)?;
    let lock = lock(data_dir, &config).await?;
    let db = open_database(data_dir, &config, SCHEMA).await?;
    let secret = start::Secret::load(&config, data_dir, start::is_new(&db).await?)?;
    start::check_secret(&db, &secret).await?;
    start::release_leases(&db, clock.now()).await?;
    let silence = Duration::from_secs(config.limits.store_seconds);
    let stores = Stores::open(&config.stores, silence, data_dir)?;
    claim::claim(&db, &stores).await?;
    let context = Context::new(db, stores, clock, config, local);
    Ok(Local { context, _lock: lock })
}

pub fn make_data_dir(data_dir: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(|source| {
        Error::unavailable(
            "data_dir_unusable",
            format!("the data directory cannot be made: {}", data_dir.display()),
        )
        .source(source)
    })
}

/// The right to a data directory whose database is a file.
pub async fn lock(data_dir: &Path, config: &Config) -> Result<Option<Lock>> {
    match config.database.url {
        Some(_) => Ok(None),
        None => Lock::take(data_dir).await.map(Some),
    }
}

/// Opens the database, brought up to a schema. A file's directory is locked.
pub async fn open_database(data_dir: &Path, config: &Config, schema: i64) -> Result<Db> {
    match &config.database.url {
        Some(url) => Db::postgres_at(url, config.database.connections, schema).await,
        None => {
            let file = data_dir.join(DATABASE);
            make_private(&file)?;
            Db::sqlite_at(&file, schema).await
        }
    }
}

/// SQLite makes its files with the mode of the database, so that one is made first, for its owner only.
fn make_private(file: &Path) -> Result<()> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    Ok(())
}

/// The right to a data directory: one process at a time, so that it may trust its memory of it.
pub struct Lock {
    _file: File,
}

impl Lock {
    async fn take(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join("lock");
        let mut file =
            OpenOptions::new().create(true).read(true).write(true).truncate(false).mode(0o600).open(&path)?;
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if waited < LOCK_WAIT => {
                    let step = Duration::from_millis(50);
                    tokio::time::sleep(step).await;
                    waited += step;
                }
                Err(TryLockError::WouldBlock) => {
                    let mut holder = String::new();
                    let _ = file.read_to_string(&mut holder);
                    return Err(Error::unavailable(
                        "data_dir_in_use",
                        format!(
                            "the data directory is in use by process {}: {}",
                            holder.trim(),
                            data_dir.display()
                        ),
                    )
                    .hint("if that is a server, name it: GRADUS_SERVER=http://HOST:PORT"));
                }
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}
