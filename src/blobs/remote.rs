//! Objects in a bucket (S3, Google Cloud Storage, Azure), written by multipart upload.

use super::{ByteStream, Key, Listed, OWNER, lost};
use crate::error::{Error, Result};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    GetOptions, GetRange, MultipartId, ObjectStore, ObjectStoreExt as _,
    multipart::{MultipartStore, PartId},
    path::Path,
    signer::Signer,
};
use std::{ops::Range, sync::Arc, time::Duration};

/// Bytes a second that a bucket takes or gives at least.
const SLOWEST: u64 = 1024 * 1024;

#[derive(Clone)]
pub(super) struct Remote {
    objects: Arc<dyn ObjectStore>,
    /// The same bucket, to send many bytes to.
    sender: Arc<dyn ObjectStore>,
    parts: Arc<dyn MultipartStore>,
    signer: Arc<dyn Signer>,
    prefix: Path,
    silence: Duration,
}

impl Remote {
    pub(super) fn new<B: ObjectStore + MultipartStore + Signer>(
        reader: B,
        sender: B,
        prefix: Path,
        silence: Duration,
    ) -> Self {
        let (reader, sender) = (Arc::new(reader), Arc::new(sender));
        Self {
            objects: reader.clone(),
            sender: sender.clone(),
            parts: sender,
            signer: reader,
            prefix,
            silence,
        }
    }

    /// Waits for an answer, but not for ever: longer only for more bytes.
    async fn within<T>(&self, bytes: u64, answer: impl Future<Output = T>) -> Result<T> {
        let longest = self.silence + Duration::from_secs(bytes / SLOWEST);
        tokio::time::timeout(longest, answer).await.map_err(|slow| {
            Error::unavailable("store_unavailable", "the store does not answer, try again").source(slow)
        })
    }

    fn below(&self, path: &Path) -> Path {
        self.prefix.parts().chain(path.parts()).collect()
    }

    fn object(&self, key: Key) -> Path {
        self.below(&key.path())
    }

    fn tail(&self, key: Key, received: u64) -> Path {
        self.below(&key.tail_path(received))
    }

    pub(super) async fn check(&self) -> Result<()> {
        let ready = self.below(&Path::from("ready"));
        match self.within(0, self.objects.head(&ready)).await? {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn read(&self, key: Key, range: Range<u64>) -> Result<ByteStream> {
        let end = range.end;
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let object = self.object(key);
        let result = match self.within(0, self.objects.get_opts(&object, options)).await? {
            Ok(result) => result,
            // A range outside the object is refused like a failure; ask which of the two it is.
            Err(error) => match self.size(key).await {
                Ok(Some(size)) if size < end => return Err(lost("object_truncated").source(error)),
                _ => return Err(error.into()),
            },
        };
        if result.meta.size < end {
            return Err(lost("object_truncated"));
        }
        Ok(result.into_stream().map_err(Error::from).boxed())
    }

    pub(super) async fn size(&self, key: Key) -> Result<Option<u64>> {
        match self.within(0, self.objects.head(&self.object(key))).await? {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn read_owner(&self) -> Result<Option<Bytes>> {
        let owner = self.below(&Path::from(OWNER));
        match self.within(0, self.objects.get(&owner)).await? {
            Ok(found) => Ok(Some(self.within(0, found.bytes()).await??)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn write_owner(&self, bytes: Bytes) -> Result<()> {
        let owner = self.below(&Path::from(OWNER));
        self.within(0, self.objects.put(&owner, bytes.into())).await??;
        Ok(())
    }

    pub(super) async fn delete(&self, key: Key) -> Result<()> {
        self.delete_path(&self.object(key)).await?;
        self.delete_tails(key).await
    }

    pub(super) async fn delete_tail(&self, key: Key, received: u64) -> Result<()> {
        self.delete_path(&self.tail(key, received)).await
    }

    pub(super) async fn delete_tails(&self, key: Key) -> Result<()> {
        let mut tails = self.objects.list(Some(&self.below(&key.tails())));
        while let Some(tail) = tails.next().await {
            self.delete_path(&tail?.location).await?;
        }
        Ok(())
    }

    async fn delete_path(&self, path: &Path) -> Result<()> {
        match self.within(0, self.objects.delete(path)).await? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn abort(&self, key: Key, multipart: &str) -> Result<()> {
        let (object, multipart) = (self.object(key), multipart.to_owned());
        match self.within(0, self.parts.abort_multipart(&object, &multipart)).await? {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn list(&self) -> BoxStream<'static, Result<Listed>> {
        let folder = |name: &str| self.below(&Path::from(name));
        let listing = |prefix: Path, is_tail: bool| {
            self.objects.list(Some(&prefix)).map(move |item| {
                let item = item?;
                // A tail is named by its offset, in a folder named by the key.
                let name = item.location.parts().rev().nth(usize::from(is_tail));
                let key = name.and_then(|name| name.as_ref().parse().ok());
                Ok::<_, Error>(key.map(|key| Listed {
                    key,
                    size: item.size,
                    modified: item.last_modified,
                    is_tail,
                }))
            })
        };
        listing(folder("blobs"), false)
            .chain(listing(folder("tails"), true))
            .filter_map(|item| async move { item.transpose() })
            .boxed()
    }

    pub(super) async fn presign(&self, key: Key, expires_in: Duration) -> Result<String> {
        let url = self.signer.signed_url(http::Method::GET, &self.object(key), expires_in).await?;
        Ok(url.to_string())
    }

    pub(super) async fn put(&self, key: Key, bytes: Bytes) -> Result<()> {
        let object = self.object(key);
        self.within(bytes.len() as u64, self.sender.put(&object, bytes.into())).await??;
        Ok(())
    }

    pub(super) async fn put_tail(&self, key: Key, received: u64, bytes: Bytes) -> Result<()> {
        let tail = self.tail(key, received);
        self.within(bytes.len() as u64, self.sender.put(&tail, bytes.into())).await??;
        Ok(())
    }

    pub(super) async fn read_tail(&self, key: Key, received: u64) -> Result<Bytes> {
        let result = self.within(0, self.objects.get(&self.tail(key, received))).await??;
        let (size, stream) = (result.meta.size, result.into_stream());
        let pieces: Vec<Bytes> = self.within(size, stream.try_collect()).await??;
        Ok(pieces.concat().into())
    }

    pub(super) async fn begin(&self, key: Key) -> Result<MultipartId> {
        Ok(self.within(0, self.parts.create_multipart(&self.object(key))).await??)
    }

    pub(super) async fn put_part(
        &self,
        key: Key,
        multipart: &MultipartId,
        number: usize,
        bytes: Bytes,
    ) -> Result<String> {
        let (object, size) = (self.object(key), bytes.len() as u64);
        let sending = self.parts.put_part(&object, multipart, number, bytes.into());
        let part = self.within(size, sending).await??;
        Ok(part.content_id)
    }

    /// Puts the parts together, to an object of that size.
    pub(super) async fn complete(
        &self,
        key: Key,
        multipart: &MultipartId,
        parts: Vec<String>,
        size: u64,
    ) -> Result<()> {
        let parts = parts.into_iter().map(|content_id| PartId { content_id }).collect();
        let object = self.object(key);
        self.within(size, self.parts.complete_multipart(&object, multipart, parts)).await??;
        Ok(())
    }
}
