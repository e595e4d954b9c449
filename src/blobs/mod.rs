//! Bytes: named stores of objects, by key. The only importer of object_store.
//!
//! A key is an upload's id, so it is new each time and an object is never overwritten; which digest lies
//! under which key is a fact for SQL. Nothing here knows digests, repositories or access.

mod hash;
mod local;
mod open;
mod remote;
mod source;
mod writer;

pub use hash::Hasher;
pub use open::Stores;
pub use source::Bucket;
pub use writer::{Checkpoint, Resume, Writer};

use crate::error::{Error, Result};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use std::{fmt, ops::Range, str::FromStr, time::Duration};
use uuid::Uuid;

pub type ByteStream = BoxStream<'static, Result<Bytes>>;

/// The name of an object: the id of the upload that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(Uuid);

impl Key {
    pub fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// `blobs/3f/0190…-…3f`: the last two digits spread the objects over folders.
    fn path(self) -> object_store::path::Path {
        let id = self.0.to_string();
        let fan = id.get(34..).unwrap_or_default();
        object_store::path::Path::from(format!("blobs/{fan}/{id}"))
    }

    /// Where a remote store keeps received bytes that are too few for a part: `tails/0190…-…3f/RECEIVED`. Each
    /// offset has its own, so that a writer who was overtaken cannot overwrite what another acknowledged.
    fn tail_path(self, received: u64) -> object_store::path::Path {
        object_store::path::Path::from(format!("{}/{received}", self.tails()))
    }

    fn tails(self) -> object_store::path::Path {
        object_store::path::Path::from(format!("tails/{}", self.0))
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::try_parse(text).map(Self).map_err(|_| Error::not_found("upload_unknown", "no such upload"))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// An object as a store lists it.
pub struct Listed {
    pub key: Key,
    pub size: u64,
    pub modified: chrono::DateTime<chrono::Utc>,
    /// A staged tail, not an object of its own.
    pub is_tail: bool,
}

/// One named place for objects.
pub struct Store {
    pub name: String,
    pub region: String,
    /// Downloads of at least this many bytes may be redirected to the store itself.
    pub redirect_above: Option<u64>,
    backend: Backend,
}

enum Backend {
    Local(local::Local),
    Remote(remote::Remote),
}

impl Store {
    /// Starts or goes on with writing an object.
    pub async fn writer(&self, key: Key, resume: Resume) -> Result<Writer> {
        match &self.backend {
            Backend::Local(local) => Writer::local(local, key, resume).await,
            Backend::Remote(remote) => Writer::remote(remote.clone(), key, resume).await,
        }
    }

    /// The bytes of `range`, as a stream.
    pub async fn read(&self, key: Key, range: Range<u64>) -> Result<ByteStream> {
        if range.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        match &self.backend {
            Backend::Local(local) => {
                // Found out now, it is an integrity error; in the middle of an answer it would look like a cut line.
                match local.size(key).await? {
                    None => Err(lost("object_missing")),
                    Some(size) if size < range.end => Err(lost("object_truncated")),
                    Some(_) => Ok(local.read(key, range)),
                }
            }
            Backend::Remote(remote) => remote.read(key, range).await,
        }
    }

    /// The bytes of a small range at once.
    pub async fn read_whole(&self, key: Key, range: Range<u64>) -> Result<Bytes> {
        let mut stream = self.read(key, range).await?;
        let first = stream.next().await.transpose()?.unwrap_or_default();
        let Some(second) = stream.next().await.transpose()? else { return Ok(first) };
        let mut whole = bytes::BytesMut::from(&first[..]);
        whole.extend_from_slice(&second);
        while let Some(more) = stream.next().await.transpose()? {
            whole.extend_from_slice(&more);
        }
        Ok(whole.freeze())
    }

    /// The object's size, or `None` if there is no such object.
    pub async fn size(&self, key: Key) -> Result<Option<u64>> {
        match &self.backend {
            Backend::Local(local) => local.size(key).await,
            Backend::Remote(remote) => remote.size(key).await,
        }
    }

    /// Deletes the object and what was staged for it. Nothing there is fine.
    pub async fn delete(&self, key: Key) -> Result<()> {
        match &self.backend {
            Backend::Local(local) => local.delete(key).await,
            Backend::Remote(remote) => remote.delete(key).await,
        }
    }

    /// Deletes the tail that was staged at an offset and is recorded no more.
    pub async fn delete_tail(&self, key: Key, received: u64) -> Result<()> {
        match &self.backend {
            Backend::Local(_) => Ok(()),
            Backend::Remote(remote) => remote.delete_tail(key, received).await,
        }
    }

    /// Deletes all that was staged for an object.
    pub async fn delete_tails(&self, key: Key) -> Result<()> {
        match &self.backend {
            Backend::Local(_) => Ok(()),
            Backend::Remote(remote) => remote.delete_tails(key).await,
        }
    }

    /// Gives up a multipart upload, so that the store forgets its parts.
    pub async fn abort(&self, key: Key, multipart: Option<&str>) -> Result<()> {
        if let (Backend::Remote(remote), Some(multipart)) = (&self.backend, multipart) {
            remote.abort(key, multipart).await?;
        }
        self.delete(key).await
    }

    /// All objects, in no order.
    pub fn list(&self) -> BoxStream<'static, Result<Listed>> {
        match &self.backend {
            Backend::Local(local) => local.list(),
            Backend::Remote(remote) => remote.list(),
        }
    }

    /// A URL that lets its holder read the object for a while, where the backend can make one.
    pub async fn presign(&self, key: Key, expires_in: Duration) -> Result<Option<String>> {
        match &self.backend {
            Backend::Local(_) => Ok(None),
            Backend::Remote(remote) => remote.presign(key, expires_in).await.map(Some),
        }
    }

    /// The id of the registry the store belongs to, if it was marked.
    pub async fn owner(&self) -> Result<Option<String>> {
        let bytes = match &self.backend {
            Backend::Local(local) => local.read_owner().await?,
            Backend::Remote(remote) => remote.read_owner().await?,
        };
        let owner = bytes.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
        Ok(owner.filter(|owner| !owner.is_empty()))
    }

    /// Marks the store as a registry's.
    pub async fn set_owner(&self, id: &str) -> Result<()> {
        let bytes = Bytes::from(format!("{id}\n"));
        match &self.backend {
            Backend::Local(local) => local.write_owner(&bytes),
            Backend::Remote(remote) => remote.write_owner(bytes).await,
        }
    }

    /// Fails unless the store can be reached.
    pub async fn check(&self) -> Result<()> {
        match &self.backend {
            Backend::Local(local) => local.check(),
            Backend::Remote(remote) => remote.check().await,
        }
    }
}

/// The name of the object that says whose the store is.
const OWNER: &str = "registry";

fn lost(code: &'static str) -> Error {
    Error::integrity(code, "the store has lost the bytes of a blob, or some of them")
        .hint("push the file again: that heals it")
}

impl From<object_store::Error> for Error {
    fn from(source: object_store::Error) -> Self {
        match &source {
            object_store::Error::NotFound { .. } => lost("object_missing").source(source),
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Self::unavailable("store_refused", "the store refuses the registry's credentials")
                    .source(source)
            }
            _ => Self::unavailable("store_unavailable", "the store does not answer as it should, try again")
                .source(source),
        }
    }
}
