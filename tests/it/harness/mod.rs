//! A registry for one test: its own database, its own corner of the store, a clock that stands still.
//!
//! `backends!` writes a test once and runs it on SQLite with local files and on PostgreSQL with S3;
//! `all_backends!` runs it on all four combinations, for what concerns bytes. PostgreSQL and Garage are started by
//! `tests/run`; without them the tests that need them say so and pass, unless `GRADUS_TEST_REQUIRE` is set.
#![allow(dead_code, clippy::print_stderr)]

mod call;
pub mod carry;
pub mod certificate;
pub mod files;
pub mod front;
pub mod govern;
pub mod home;
pub mod issuer;
pub mod monitor;
pub mod oci;
pub mod proxy;
pub mod receiver;
pub mod server;
pub mod session;

pub use call::{Answer, Call};

use gradus::{
    blobs::Stores,
    clock::Fixed,
    config::{self, Config},
    db::Db,
    http,
    model::access::{PrincipalKind, Role, Scope},
    ops::{Context, namespaces, restore, start, tokens, users},
};
use std::sync::Arc;

/// Which database and which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    SqliteLocal,
    SqliteS3,
    PostgresLocal,
    PostgresS3,
}

impl Backend {
    pub fn is_postgres(self) -> bool {
        matches!(self, Self::PostgresLocal | Self::PostgresS3)
    }

    pub fn is_s3(self) -> bool {
        matches!(self, Self::SqliteS3 | Self::PostgresS3)
    }

    /// Whether what it needs was started. Says so when not.
    pub fn is_there(self) -> bool {
        let missing = |name: &str| std::env::var(name).is_err();
        let lacks = (self.is_postgres() && missing("GRADUS_TEST_POSTGRES"))
            || (self.is_s3() && missing("GRADUS_TEST_S3_ENDPOINT"));
        assert!(!lacks || missing("GRADUS_TEST_REQUIRE"), "{self:?} is required and was not started");
        if lacks {
            skip(&format!("{self:?} was not started; use tests/run"));
        }
        !lacks
    }

    /// The configuration for a fresh database and a fresh corner of the store.
    pub async fn configuration(self) -> Config {
        // As `main` does: S3 over HTTP needs one too.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config::default();
        if self.is_postgres() {
            config.database.url = Some(fresh_database().await);
            config.database.connections = 8;
        }
        if self.is_s3() {
            config.stores = vec![s3_store("s3", &fresh_name())];
        }
        config.sources = vec![monitor::source(self)];
        config
    }
}

/// Says that a test did not run, and why.
pub fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// A name no other test has.
pub fn fresh_name() -> String {
    format!("it_{}", uuid::Uuid::now_v7().simple())
}

pub fn s3_store(name: &str, prefix: &str) -> config::Store {
    let options = [
        ("endpoint", variable("GRADUS_TEST_S3_ENDPOINT")),
        ("access_key_id", variable("GRADUS_TEST_S3_KEY")),
        ("secret_access_key", variable("GRADUS_TEST_S3_SECRET")),
    ];
    config::Store {
        name: name.into(),
        url: format!("s3://{}/{prefix}", variable("GRADUS_TEST_S3_BUCKET")),
        region: variable("GRADUS_TEST_S3_REGION"),
        options: options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        redirect_above: None,
    }
}

/// A new, empty database in the test cluster; its URL.
pub async fn fresh_database() -> String {
    use sqlx::{Connection as _, Executor as _};
    let base = variable("GRADUS_TEST_POSTGRES");
    let name = fresh_name();
    let mut connection = sqlx::PgConnection::connect(&base).await.expect("the test cluster answers");
    connection
        .execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await
        .expect("a database can be made");
    connection.close().await.expect("the connection ends");
    let (server, _) = base.rsplit_once('/').expect("the URL names a database");
    format!("{server}/{name}")
}

/// A registry without a socket: calls go to the router the server uses.
pub struct Env {
    pub backend: Backend,
    pub cx: Arc<Context>,
    pub clock: Arc<Fixed>,
    pub router: axum::Router,
    /// An admin of the whole registry.
    pub admin: String,
    pub directory: tempfile::TempDir,
    /// Where the database and the local store are, which replicas share.
    home: std::path::PathBuf,
}

impl Env {
    pub async fn new(backend: Backend) -> Self {
        Self::with(backend, |_| {}).await
    }

    /// With a changed configuration.
    pub async fn with(backend: Backend, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = backend.configuration().await;
        change(&mut config);
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(Fixed::new());
        let cx = open(&config, directory.path(), clock.clone()).await;
        let admin = start::bootstrap(&cx).await.expect("bootstrap").expect("the registry is new");
        let router = http::router(cx.clone());
        let home = directory.path().to_owned();
        Self { backend, cx, clock, router, admin, directory, home }
    }

    /// Another replica on the same database and store, with its own memory.
    pub async fn replica(&self) -> Self {
        self.replica_with(self.clock.clone()).await
    }

    /// One whose clock is its own.
    pub async fn replica_with_clock(&self, clock: Fixed) -> Self {
        self.replica_with(Arc::new(clock)).await
    }

    /// One in local mode, where monitors may read local files, unless there are buckets to read.
    pub async fn with_data(&self) -> Self {
        if self.backend.is_s3() {
            return self.replica().await;
        }
        let user = gradus::model::name::PrincipalName::local("tester");
        let cx = open_as(&self.cx.config, &self.home, self.clock.clone(), Some(user)).await;
        self.sharing(cx, self.clock.clone())
    }

    fn sharing(&self, cx: Arc<Context>, clock: Arc<Fixed>) -> Self {
        let router = http::router(cx.clone());
        let directory = tempfile::tempdir().expect("a directory");
        let (admin, home) = (self.admin.clone(), self.home.clone());
        Self { backend: self.backend, cx, clock, router, admin, directory, home }
    }

    async fn replica_with(&self, clock: Arc<Fixed>) -> Self {
        let cx = open(&self.cx.config, &self.home, clock.clone()).await;
        self.sharing(cx, clock)
    }

    /// What a backup of this registry becomes on these backends, with the same secret and tokens.
    pub async fn restored(
        &self,
        backend: Backend,
        folder: &std::path::Path,
        choices: &restore::Choices,
    ) -> gradus::error::Result<Self> {
        let config = backend.configuration().await;
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::copy(self.home.join("secret"), directory.path().join("secret")).expect("the secret");
        let secret = start::Secret::load(&config, directory.path(), false)?;
        let source = restore::Source::read(folder, None, &secret.id(), &secret.signer()?)?;
        let db = database(&config, directory.path(), source.head.schema).await;
        let silence = std::time::Duration::from_secs(config.limits.store_seconds);
        let stores = Stores::open(&config.stores, silence, directory.path())?;
        let outcome = restore::restore(&db, &stores, &secret.id(), source, choices, |_| {}).await;
        let is_empty = start::is_new(&db).await?;
        db.close().await;
        if outcome.is_err() {
            use futures_util::StreamExt as _;
            assert!(is_empty, "a restore that failed leaves no registry");
            for store in stores.all() {
                assert_eq!(store.list().count().await, 0, "a restore that failed leaves no objects");
            }
        }
        outcome?;
        let clock = self.clock.clone();
        let cx = open(&config, directory.path(), clock.clone()).await;
        let (router, home) = (http::router(cx.clone()), directory.path().to_owned());
        Ok(Self { backend, cx, clock, router, admin: self.admin.clone(), directory, home })
    }

    /// Where the database and the local store are.
    pub fn home(&self) -> &std::path::Path {
        &self.home
    }

    /// The registry's database, opened once more.
    pub async fn database(&self) -> Db {
        database(&self.cx.config, &self.home, gradus::db::SCHEMA).await
    }

    fn registry_admin(&self) -> gradus::model::access::Actor {
        gradus::model::access::Actor::local_admin("admin".parse().expect("a name"))
    }

    pub async fn namespace(&self, name: &str) {
        namespaces::create(&self.cx, &self.registry_admin(), name.parse().expect("a name"), None)
            .await
            .expect("a namespace");
    }

    /// A person with a role in a namespace (`*`: everywhere); their token.
    pub async fn person(&self, name: &str, namespace: &str, role: Role) -> String {
        let user = name.parse().expect("a name");
        let _ = users::add(&self.cx, &self.registry_admin(), user, PrincipalKind::Person).await;
        let place = namespaces::Place::parse(namespace).expect("a place");
        let user = name.parse().expect("a name");
        namespaces::add_member(&self.cx, &self.registry_admin(), &place, &user, role).await.expect("a role");
        self.token(name, Scope::default()).await
    }

    pub async fn token(&self, user: &str, scope: Scope) -> String {
        let new = tokens::NewToken {
            user: Some(user.parse().expect("a name")),
            label: "test".into(),
            scope,
            days: 30,
        };
        tokens::create(&self.cx, &self.registry_admin(), new).await.expect("a token").0
    }

    /// A call as the admin.
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        Call::new(&self.router, method, path).token(&self.admin)
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        self.call("GET", path)
    }

    /// A typed client of this registry, as the CLI uses it (local mode acts as an admin).
    pub async fn client(&self) -> gradus::client::Client {
        let user = gradus::model::name::PrincipalName::local("tester");
        let mut config = self.cx.config.clone();
        config.listen = self.cx.config.listen;
        let cx = open_as(&config, &self.home, self.clock.clone(), Some(user.clone())).await;
        start::ensure_local_user(&cx, &user).await.expect("the local user");
        gradus::client::Client::local(http::router(cx))
    }
}

async fn open(config: &Config, directory: &std::path::Path, clock: Arc<Fixed>) -> Arc<Context> {
    open_as(config, directory, clock, None).await
}

async fn open_as(
    config: &Config,
    directory: &std::path::Path,
    clock: Arc<Fixed>,
    local: Option<gradus::model::name::PrincipalName>,
) -> Arc<Context> {
    let db = database(config, directory, gradus::db::SCHEMA).await;
    let secret = start::Secret::load(config, directory, true).expect("a secret");
    start::check_secret(&db, &secret).await.expect("the secret fits");
    let silence = std::time::Duration::from_secs(config.limits.store_seconds);
    let stores = Stores::open(&config.stores, silence, directory).expect("the stores open");
    gradus::ops::claim::claim(&db, &stores).await.expect("the stores are ours");
    Context::new(db, stores, clock, config.clone(), local)
}

async fn database(config: &Config, directory: &std::path::Path, schema: i64) -> Db {
    let db = match &config.database.url {
        Some(url) => Db::postgres_at(url, config.database.connections, schema).await,
        None => Db::sqlite_at(&directory.join("gradus.db"), schema).await,
    };
    db.expect("the database opens")
}

/// Runs a test on some backends: `backends! { async fn name(env: Env) { … } }`.
macro_rules! backends {
    ($($(#[$meta:meta])* async fn $name:ident($env:ident: Env) $body:block)*) => {
        $crate::harness::on_backends! { [SqliteLocal PostgresS3] $($(#[$meta])* async fn $name($env: Env) $body)* }
    };
}
pub(crate) use backends;

/// Runs a test on every combination of database and store.
macro_rules! all_backends {
    ($($(#[$meta:meta])* async fn $name:ident($env:ident: Env) $body:block)*) => {
        $crate::harness::on_backends! {
            [SqliteLocal SqliteS3 PostgresLocal PostgresS3] $($(#[$meta])* async fn $name($env: Env) $body)*
        }
    };
}
pub(crate) use all_backends;

macro_rules! on_backends {
    ([$($backend:ident)*]) => {};
    ([$($backend:ident)*] $(#[$meta:meta])* async fn $name:ident($env:ident: Env) $body:block $($rest:tt)*) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn body($env: $crate::harness::Env) $body

            $crate::harness::one_backend! { $($backend)* }
        }
        $crate::harness::on_backends! { [$($backend)*] $($rest)* }
    };
}
pub(crate) use on_backends;

macro_rules! one_backend {
    () => {};
    (SqliteLocal $($rest:ident)*) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn sqlite_local() { body($crate::harness::Env::new($crate::harness::Backend::SqliteLocal).await).await }
        $crate::harness::one_backend! { $($rest)* }
    };
    ($backend:ident $($rest:ident)*) => {
        $crate::harness::named_backend! { $backend }
        $crate::harness::one_backend! { $($rest)* }
    };
}
pub(crate) use one_backend;

macro_rules! named_backend {
    (SqliteS3) => {
        $crate::harness::optional_backend! { sqlite_s3 SqliteS3 }
    };
    (PostgresLocal) => {
        $crate::harness::optional_backend! { postgres_local PostgresLocal }
    };
    (PostgresS3) => {
        $crate::harness::optional_backend! { postgres_s3 PostgresS3 }
    };
}
pub(crate) use named_backend;

macro_rules! optional_backend {
    ($name:ident $backend:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            if $crate::harness::Backend::$backend.is_there() {
                body($crate::harness::Env::new($crate::harness::Backend::$backend).await).await
            }
        }
    };
}
pub(crate) use optional_backend;
