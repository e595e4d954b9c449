//! An OCI upload session, step by step, on whichever replica; and what lies in the store.

use super::{Answer, Env};
use axum::body::Body;
use futures_util::{StreamExt as _, stream};
use gradus::model::digest::Digest;
use std::io;

/// An upload session of a repository, by its location.
#[derive(Clone)]
pub struct Session {
    pub at: String,
}

impl Session {
    pub async fn begin(env: &Env, repository: &str) -> Self {
        let answer = env.call("POST", &format!("/v2/{repository}/blobs/uploads/")).expect(202).await;
        Self { at: answer.header("location").to_owned() }
    }

    /// Sends a chunk that says where it starts.
    pub async fn chunk(&self, env: &Env, offset: usize, bytes: &[u8]) -> Answer {
        let range = format!("{offset}-{}", (offset + bytes.len()).saturating_sub(1));
        let call = env.call("PATCH", &self.at).header("content-range", &range);
        call.header("content-length", &bytes.len().to_string()).body(bytes.to_vec()).send().await
    }

    /// Sends bytes without saying how many or where.
    pub async fn stream(&self, env: &Env, body: Body) -> Answer {
        env.call("PATCH", &self.at).body(body).send().await
    }

    pub async fn finish(&self, env: &Env, digest: &Digest) -> Answer {
        self.finish_with(env, digest, Vec::new()).await
    }

    pub async fn finish_with(&self, env: &Env, digest: &Digest, bytes: Vec<u8>) -> Answer {
        env.call("PUT", &format!("{}?digest={digest}", self.at)).body(bytes).send().await
    }

    /// How many bytes the registry has, or `None` when it knows no such session.
    pub async fn received(&self, env: &Env) -> Option<usize> {
        let answer = env.get(&self.at).send().await;
        match answer.status.as_u16() {
            204 => Some(answer.header("gradus-received").parse().expect("a number")),
            404 => None,
            _ => panic!("{}", answer.text()),
        }
    }
}

/// A body of these pieces, and then its end.
pub fn streamed(bytes: &[u8], piece: usize) -> Body {
    let pieces: Vec<io::Result<Vec<u8>>> = bytes.chunks(piece).map(|piece| Ok(piece.to_vec())).collect();
    Body::from_stream(stream::iter(pieces))
}

/// A body that breaks off after these bytes.
pub fn cut_after(bytes: &[u8]) -> Body {
    let broken = Err(io::Error::new(io::ErrorKind::ConnectionReset, "the client has gone away"));
    Body::from_stream(stream::iter([Ok(bytes.to_vec()), broken]))
}

/// Objects in the default store: sizes of whole ones, and how many staged tails.
pub async fn objects(env: &Env) -> (Vec<u64>, usize) {
    let listed: Vec<_> =
        env.cx.stores.default_store().list().map(|object| object.expect("the store lists")).collect().await;
    let mut sizes: Vec<u64> =
        listed.iter().filter(|object| !object.is_tail).map(|object| object.size).collect();
    sizes.sort_unstable();
    (sizes, listed.iter().filter(|object| object.is_tail).count())
}

/// Runs a statement behind the registry's back, without the rules between tables; answers how many rows it touched.
pub async fn sql(env: &Env, statement: &str) -> u64 {
    use sqlx::{Connection as _, Executor as _};
    let statement = sqlx::AssertSqlSafe(statement.to_owned());
    let done = match &env.cx.config.database.url {
        Some(url) => {
            let mut connection = sqlx::PgConnection::connect(url).await.expect("the database answers");
            connection.execute("SET session_replication_role = replica").await.expect("a superuser");
            connection.execute(statement).await.map(|done| done.rows_affected())
        }
        None => {
            let file = env.directory.path().join("gradus.db");
            let options = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(file)
                .foreign_keys(false)
                .busy_timeout(std::time::Duration::from_secs(10));
            let mut connection =
                sqlx::SqliteConnection::connect_with(&options).await.expect("the database opens");
            connection.execute(statement).await.map(|done| done.rows_affected())
        }
    };
    done.expect("the statement runs")
}

/// The local file of a blob. Only on a local store.
pub fn object_file(env: &Env, size: u64) -> std::path::PathBuf {
    let fans = std::fs::read_dir(env.directory.path().join("blobs")).expect("the store's folder");
    let fans = fans.map(|fan| fan.expect("a folder").path()).filter(|fan| fan.is_dir());
    let files = fans.flat_map(|fan| std::fs::read_dir(fan).expect("a folder"));
    let mut of_size = files
        .map(|file| file.expect("a file").path())
        .filter(|file| std::fs::metadata(file).expect("a file").len() == size);
    of_size.next().unwrap_or_else(|| panic!("no object of {size} bytes"))
}
