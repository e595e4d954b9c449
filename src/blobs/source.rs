//! Data in buckets that are not the registry's own, read only: what drift checks look at.

use super::open::client_options;
use crate::error::{Error, Result};
use crate::tables::{Input, Pattern};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::{
    ObjectStore, ObjectStoreExt as _, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, path::Path,
};
use std::{collections::BTreeMap, io, sync::Arc, time::Duration};
use tokio::runtime::Handle;

/// A bucket, and how it is called in URLs: `s3://logs`.
#[derive(Clone)]
pub struct Bucket {
    objects: Arc<dyn ObjectStore>,
    url: String,
    silence: Duration,
}

impl Bucket {
    /// The URL of the bucket, and the rest of it. Errors: it names none.
    pub fn split(url: &str) -> Result<(&str, &str)> {
        let at = url.find("://").map(|at| at + 3).ok_or_else(|| refuse(url, "it is not a URL"))?;
        let end = url[at..].find('/').map_or(url.len(), |slash| at + slash);
        if end == at || url[at..end].contains(['*', '?']) {
            return Err(refuse(url, "it names no bucket"));
        }
        Ok((&url[..end], url[end..].trim_start_matches('/')))
    }

    /// Refuses what no object can be called, whatever stands for `*`.
    pub fn check(url: &str) -> Result<()> {
        let (_, path) = Self::split(url)?;
        if path.is_empty() || path.ends_with('/') {
            return Err(refuse(url, "it names no object"));
        }
        match Path::parse(path) {
            Ok(_) => Ok(()),
            Err(error) => Err(refuse(url, &error.to_string())),
        }
    }

    /// Opens the bucket that a URL names, and answers it with the rest of the URL. What the options do not say is taken from
    /// the usual environment variables. Errors: no such scheme, no bucket, an unknown option.
    pub fn open(url: &str, options: &BTreeMap<String, String>, silence: Duration) -> Result<(Self, String)> {
        let (start, path) = Self::split(url)?;
        let (scheme, bucket) = start.split_once("://").unwrap_or_default();
        let refuse = |why: String| refuse(url, &why);
        /// Applies the options by their names; an unknown name is refused.
        macro_rules! build {
            ($builder:expr) => {{
                let mut builder = $builder;
                for (name, value) in options {
                    let key = name.parse().map_err(|_| refuse(format!("no such option: {name}")))?;
                    builder = builder.with_config(key, value);
                }
                let client = client_options().with_read_timeout(silence);
                let retries =
                    RetryConfig { max_retries: 3, retry_timeout: silence, ..RetryConfig::default() };
                let built = builder.with_client_options(client).with_retry(retries).build();
                Arc::new(built.map_err(|error| refuse(error.to_string()))?)
            }};
        }
        let objects: Arc<dyn ObjectStore> = match scheme {
            "s3" => build!(AmazonS3Builder::from_env().with_bucket_name(bucket)),
            "gs" => build!(GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket)),
            "az" => build!(MicrosoftAzureBuilder::from_env().with_container_name(bucket)),
            other => return Err(refuse(format!("there is no scheme {other}"))),
        };
        Ok((Self { objects, url: format!("{scheme}://{bucket}"), silence }, path.to_owned()))
    }

    /// Why we may not look at something, if we may not. The errors of a listing do not tell that from what may pass.
    async fn refusal(&self, path: &Path) -> Option<object_store::Error> {
        use object_store::Error::{PermissionDenied, Unauthenticated};
        let refused =
            |error: &object_store::Error| matches!(error, PermissionDenied { .. } | Unauthenticated { .. });
        self.objects.head(path).await.err().filter(refused)
    }

    /// The objects that a pattern means, by name. Errors: none does, too many do, or the bucket does not answer.
    pub async fn find(&self, pattern: &str) -> Result<Vec<Arc<dyn Input>>> {
        let pattern = Pattern::new(pattern);
        let unavailable = |source: object_store::Error| match source {
            // Waiting does not help.
            object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
                Error::forbidden("source_denied", format!("{} does not let us read", self.url)).source(source)
            }
            _ => Error::unavailable("table_unavailable", format!("{} does not answer", self.url))
                .source(source),
        };
        let mut found = vec![];
        if pattern.is_plain() {
            let path = Path::parse(pattern.directory_and_name()).map_err(|_| pattern.nothing())?;
            match self.objects.head(&path).await {
                Ok(object) => found.push(object),
                Err(object_store::Error::NotFound { .. }) => return Err(pattern.nothing()),
                Err(error) => return Err(unavailable(error)),
            }
        } else {
            let directory = pattern.directory().trim_end_matches('/');
            let directory = Path::parse(directory).map_err(|_| pattern.nothing())?;
            let mut listed = self.objects.list(Some(&directory));
            loop {
                let object = match listed.try_next().await {
                    Ok(Some(object)) => object,
                    Ok(None) => break,
                    Err(error) => return Err(unavailable(self.refusal(&directory).await.unwrap_or(error))),
                };
                if pattern.matches(object.location.as_ref()) {
                    found.push(object);
                    pattern.check_count(found.len())?;
                }
            }
        }
        if found.is_empty() {
            return Err(pattern.nothing());
        }
        found.sort_by(|a, b| a.location.cmp(&b.location));
        let runtime = Handle::current();
        let input = |object: object_store::ObjectMeta| {
            let name = format!("{}/{}", self.url, object.location);
            let bucket = self.clone();
            Arc::new(Object {
                bucket,
                name,
                path: object.location,
                length: object.size,
                runtime: runtime.clone(),
            }) as Arc<dyn Input>
        };
        Ok(found.into_iter().map(input).collect())
    }
}

fn refuse(url: &str, why: &str) -> Error {
    Error::invalid("source_invalid", format!("data cannot be read from {url}: {why}"))
        .hint("s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH")
}

/// An object, read from threads that may block.
struct Object {
    bucket: Bucket,
    name: String,
    path: Path,
    length: u64,
    runtime: Handle,
}

impl Input for Object {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let range = offset..offset.saturating_add(length as u64);
        let read = self.bucket.objects.get_range(&self.path, range);
        let longest = self.bucket.silence + Duration::from_secs(length as u64 >> 20);
        let bytes = self.runtime.block_on(async { tokio::time::timeout(longest, read).await });
        let bytes = bytes.map_err(io::Error::from)?.map_err(io::Error::other)?;
        if bytes.len() == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
