//! A home directory with a registry of its own, for the real binary in local mode.

use super::{
    files,
    server::{Cli, Done},
};
use std::path::PathBuf;

pub struct Home(pub tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The binary, working in this directory.
    pub fn cli(&self, arguments: &[&str]) -> Cli {
        let data = self.path("data");
        Cli::new(self.0.path(), arguments)
            .environment("GRADUS_DATA", data.to_str().expect("UTF-8"))
            .directory(self.0.path())
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        self.cli(arguments).run()
    }

    /// Runs a statement behind the registry's back.
    pub fn sql(&self, statement: &str) {
        let file = self.path("data/gradus.db");
        let work = async move {
            use sqlx::{Connection as _, Executor as _};
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).foreign_keys(false);
            let mut connection =
                sqlx::SqliteConnection::connect_with(&options).await.expect("the database opens");
            let statement = sqlx::AssertSqlSafe(statement.to_owned());
            connection.execute(statement).await.expect("the statement runs");
        };
        tokio::runtime::Runtime::new().expect("a runtime").block_on(work);
    }

    /// Pushes one of the examples.
    pub fn push(&self, what: &str) -> Done {
        self.run(&["push", files::example(what).to_str().expect("UTF-8"), "--to", "acme/x"])
    }
}
