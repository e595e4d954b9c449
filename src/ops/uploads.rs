//! Receiving bytes: sessions that any replica can go on with, and whole bodies in one go.
//!
//! A session's progress is in the database after every acknowledgement and at least every
//! `CHECKPOINT` bytes and a third of a `LEASE`. Bytes become a blob only when their digest was verified.

use super::{Context, unknown_namespace};
use crate::{
    blobs::{ByteStream, Checkpoint, Key, Resume, Store, Writer},
    db::{blobs, namespaces, uploads},
    error::{Error, Kind, Result},
    model::{
        digest::{Algorithm, Digest},
        name::Workload,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt as _;
use std::{sync::Arc, time::Duration};
use uploads::{Progress, UploadRow};

/// Bytes after which progress is made durable inside one long request.
const CHECKPOINT: u64 = 256 * 1024 * 1024;
/// How long a writer may be silent before another may take over.
const LEASE: TimeDelta = TimeDelta::seconds(90);

pub struct Begun {
    pub id: String,
}

/// Where an upload stands.
pub struct Status {
    pub received: u64,
    /// Of the bytes so far. For clients in the same process, which need not hash a second time.
    pub digest: Digest,
}

fn unknown(id: &str) -> Error {
    Error::not_found("upload_unknown", format!("no such upload: {}", crate::model::digest::shorten(id)))
        .hint("it was finished, cancelled or has expired; start a new one")
}

/// The store a repository's bytes belong in.
pub(super) async fn store_of<'a>(cx: &'a Context, repository: &Workload) -> Result<&'a Arc<Store>> {
    let namespace = repository.namespace();
    let row = namespaces::find(&mut cx.db.read().await?, &namespace).await?;
    cx.stores.get(&row.ok_or_else(|| unknown_namespace(&namespace))?.store)
}

/// Starts a session.
pub async fn begin(cx: &Context, repository: &Workload, algorithm: Algorithm) -> Result<Begun> {
    let store = store_of(cx, repository).await?;
    let id = cx.clock.id().to_string();
    let row = UploadRow {
        id: id.clone(),
        repository: repository.clone(),
        store: store.name.clone(),
        algorithm,
        received: 0,
        hash_state: crate::blobs::Hasher::new(algorithm).state(),
        multipart: None,
        tail: 0,
        updated_at: cx.clock.now(),
    };
    let mut tx = cx.db.write().await?;
    namespaces::ensure_repository(&mut tx, repository, cx.clock.now()).await?;
    uploads::insert(&mut tx, &row).await?;
    tx.commit().await?;
    Ok(Begun { id })
}

pub async fn status(cx: &Context, repository: &Workload, id: &str) -> Result<Status> {
    let row = uploads::find(&mut cx.db.read().await?, repository, id).await?.ok_or_else(|| unknown(id))?;
    let digest = crate::blobs::Hasher::resume(row.algorithm, &row.hash_state)?.digest();
    Ok(Status { received: row.received, digest })
}

/// Ends a session without a blob.
pub async fn cancel(cx: &Context, repository: &Workload, id: &str) -> Result<()> {
    let mut tx = cx.db.write().await?;
    let row = uploads::find(&mut tx, repository, id).await?.ok_or_else(|| unknown(id))?;
    uploads::delete(&mut tx, id).await?;
    tx.commit().await?;
    cx.stores.get(&row.store)?.abort(id.parse()?, row.multipart.as_deref()).await
}

/// Appends a body to a session. `offset`, where given, must be where the session stands.
pub async fn append(
    cx: &Arc<Context>,
    repository: &Workload,
    id: &str,
    offset: Option<u64>,
    body: ByteStream,
) -> Result<Status> {
    let session = Session::open(cx, repository, id, offset).await?;
    // In a task of its own: when the client goes away the handler is dropped, but what arrived is kept.
    let work = tokio::spawn(async move {
        let (mut session, mut writer) = session;
        let outcome = session.receive(&mut writer, body).await;
        let saved = session.save(&mut writer).await;
        let digest = writer.digest();
        let received = writer.received();
        let closed = writer.close().await;
        session.release().await;
        outcome.and(saved).and(closed).map(|()| Status { received, digest })
    });
    work.await.map_err(stopped)?
}

/// Appends a last body, verifies the digest and makes the blob visible in the repository.
pub async fn finish(
    cx: &Arc<Context>,
    repository: &Workload,
    id: &str,
    offset: Option<u64>,
    digest: &Digest,
    body: ByteStream,
) -> Result<()> {
    let session = Session::open(cx, repository, id, offset).await?;
    let (repository, digest) = (repository.clone(), digest.clone());
    let work = tokio::spawn(async move {
        let (mut session, mut writer) = session;
        if let Err(error) = session.receive(&mut writer, body).await {
            let saved = session.save(&mut writer).await;
            let closed = writer.close().await;
            session.release().await;
            return saved.and(closed).and(Err(error));
        }
        session.complete(writer, &repository, &digest).await
    });
    work.await.map_err(stopped)?
}

/// Receives a whole body without a session.
pub async fn put(cx: &Arc<Context>, repository: &Workload, digest: &Digest, body: ByteStream) -> Result<()> {
    let store = store_of(cx, repository).await?.clone();
    let (cx, repository, digest) = (cx.clone(), repository.clone(), digest.clone());
    let work = tokio::spawn(async move {
        let key = Key::new(cx.clock.id());
        let mut writer = store.writer(key, Resume::new(digest.algorithm())).await?;
        let outcome =
            receive_all(&cx, &mut writer, body).await.and_then(|()| verify(&writer.digest(), &digest));
        let size = writer.received();
        match outcome {
            Ok(()) => {
                writer.finish().await?;
                make_visible(&cx, &store, &repository, &digest, key, size, None).await
            }
            Err(error) => {
                let _ = writer.close().await;
                store.delete(key).await?;
                Err(error)
            }
        }
    });
    work.await.map_err(stopped)?
}

/// Puts bytes the registry made itself (configs, contracts), unless the repository has them.
pub(super) async fn put_own(cx: &Arc<Context>, repository: &Workload, bytes: Vec<u8>) -> Result<Digest> {
    let digest = Digest::sha256(&bytes);
    if super::blobs::stat(cx, repository, &digest).await.is_ok() {
        return Ok(digest);
    }
    let body = futures_util::stream::once(async { Ok(bytes.into()) }).boxed();
    put(cx, repository, &digest, body).await?;
    Ok(digest)
}

fn stopped(error: tokio::task::JoinError) -> Error {
    Error::internal("upload_stopped", "receiving the upload has stopped").source(error)
}

fn verify(found: &Digest, expected: &Digest) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(Error::invalid(
        "digest_mismatch",
        format!("the bytes received have the digest {found}, not: {expected}"),
    )
    .hint("nothing was kept; read the file again and start over"))
}

async fn receive_all(cx: &Context, writer: &mut Writer, mut body: ByteStream) -> Result<()> {
    while let Some(bytes) = next(cx, &mut body).await? {
        cx.metrics.bytes_received.inc_by(bytes.len() as u64);
        writer.write(bytes).await?;
    }
    Ok(())
}

/// The next bytes of a body; fails when none come for too long.
async fn next(cx: &Context, body: &mut ByteStream) -> Result<Option<bytes::Bytes>> {
    let idle = Duration::from_secs(cx.config.limits.idle_seconds);
    match tokio::time::timeout(idle, body.next()).await {
        Ok(bytes) => bytes.transpose(),
        Err(_) => Err(Error::unavailable("upload_idle", "no bytes came for too long, the upload was cut")
            .hint("ask where the upload stands and go on from there")),
    }
}

/// Makes a finished object the blob of its digest, or drops it if the store has one already.
async fn make_visible(
    cx: &Context,
    store: &Store,
    repository: &Workload,
    digest: &Digest,
    key: Key,
    size: u64,
    session: Option<&str>,
) -> Result<()> {
    let row = blobs::BlobRow {
        store: store.name.clone(),
        digest: digest.clone(),
        key: key.to_string(),
        size,
        quarantined_at: None,
    };
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    namespaces::ensure_repository(&mut tx, repository, now).await?;
    if let Some(id) = session
        && !uploads::delete(&mut tx, id).await?
    {
        return Err(unknown(id));
    }
    let mut surplus = None;
    if !blobs::insert(&mut tx, &row, now).await? {
        // The same bytes are there: ours are surplus, unless they heal a rotten copy.
        surplus = match blobs::replace_quarantined(&mut tx, &row).await? {
            Some(rotten) => Some(rotten.parse()?),
            None => Some(key),
        };
    }
    if !blobs::link(&mut tx, repository, &store.name, digest, now).await? {
        return Err(Error::unavailable(
            "database_busy",
            "the blob was collected at the same moment, try again",
        ));
    }
    tx.commit().await?;
    if let Some(surplus) = surplus
        && let Err(error) = store.delete(surplus).await
    {
        tracing::warn!(%surplus, %error, "a surplus object was not deleted; garbage collection will");
    }
    Ok(())
}

/// The right to write to one upload, for a while.
struct Session {
    cx: Arc<Context>,
    store: Arc<Store>,
    id: String,
    key: Key,
    holder: String,
    algorithm: Algorithm,
    /// The multipart upload, once one is begun.
    multipart: Option<String>,
    saved: u64,
    saved_at: DateTime<Utc>,
}

impl Session {
    async fn open(
        cx: &Arc<Context>,
        repository: &Workload,
        id: &str,
        offset: Option<u64>,
    ) -> Result<(Self, Writer)> {
        let holder = cx.clock.id().to_string();
        let now = cx.clock.now();
        let mut tx = cx.db.write().await?;
        let row = uploads::find(&mut tx, repository, id).await?.ok_or_else(|| unknown(id))?;
        if offset.is_some_and(|offset| offset != row.received) {
            return Err(Error::new(
                Kind::Range,
                "upload_offset",
                format!(
                    "the upload stands at {}, the request starts at: {}",
                    row.received,
                    offset.unwrap_or(0)
                ),
            )
            .hint("ask where the upload stands and go on from there")
            .details(serde_json::json!({ "received": row.received })));
        }
        if !uploads::lease(&mut tx, id, &holder, now, now + LEASE).await? {
            return Err(Error::conflict("upload_busy", "somebody else is writing to this upload")
                .hint("wait until they are done, then ask where the upload stands"));
        }
        let parts = uploads::parts(&mut tx, id).await?;
        tx.commit().await?;

        let store = cx.stores.get(&row.store)?.clone();
        let key: Key = id.parse()?;
        let session = Self {
            cx: cx.clone(),
            store: store.clone(),
            id: id.to_owned(),
            key,
            holder,
            algorithm: row.algorithm,
            multipart: row.multipart.clone(),
            saved: row.received,
            saved_at: now,
        };
        let resume = Resume {
            algorithm: row.algorithm,
            received: row.received,
            hash_state: row.hash_state,
            multipart: row.multipart,
            parts,
            tail: row.tail,
        };
        match store.writer(key, resume).await {
            Ok(writer) => Ok((session, writer)),
            Err(error) => {
                session.release().await;
                Err(error)
            }
        }
    }

    async fn receive(&mut self, writer: &mut Writer, mut body: ByteStream) -> Result<()> {
        while let Some(bytes) = next(&self.cx, &mut body).await? {
            self.cx.metrics.bytes_received.inc_by(bytes.len() as u64);
            writer.write(bytes).await?;
            let overdue = self.cx.clock.now() - self.saved_at > LEASE / 3;
            if overdue || writer.received() - self.saved >= CHECKPOINT {
                self.save(writer).await?;
            }
        }
        Ok(())
    }

    /// Makes durable what was received and records it.
    async fn save(&mut self, writer: &mut Writer) -> Result<()> {
        if writer.received() == self.saved {
            return Ok(());
        }
        let Checkpoint { received, hash_state, multipart, tail, parts } = writer.checkpoint().await?;
        let now = self.cx.clock.now();
        let progress = Progress {
            received,
            hash_state: &hash_state,
            multipart: multipart.as_deref(),
            tail,
            parts: &parts,
        };
        let mut tx = self.cx.db.write().await?;
        if !uploads::advance(&mut tx, &self.id, &self.holder, &progress, now, now + LEASE).await? {
            return Err(Error::conflict("upload_busy", "somebody else has taken over this upload"));
        }
        tx.commit().await?;
        // The tail before is recorded no more; what is left behind goes with the session.
        if self.saved > 0
            && let Err(error) = self.store.delete_tail(self.key, self.saved).await
        {
            tracing::warn!(key = %self.key, %error, "a staged tail was not deleted");
        }
        self.multipart = multipart;
        self.saved = received;
        self.saved_at = now;
        Ok(())
    }

    /// Ends the session; when that fails, the session lives and the last request can be repeated.
    async fn complete(self, writer: Writer, repository: &Workload, digest: &Digest) -> Result<()> {
        let outcome = self.conclude(writer, repository, digest).await;
        if outcome.is_err() {
            self.release().await;
        }
        outcome
    }

    async fn conclude(&self, writer: Writer, repository: &Workload, digest: &Digest) -> Result<()> {
        let size = writer.received();
        if digest.algorithm() == self.algorithm {
            if let Err(error) = verify(&writer.digest(), digest) {
                let _ = writer.close().await;
                self.discard().await?;
                return Err(error);
            }
            writer.finish().await?;
        } else {
            // The digest came last and by another algorithm than was hashed: read the object back.
            writer.finish().await?;
            let stored = super::scrub::hash_object(&self.store, self.key, size, digest.algorithm()).await?;
            if let Err(error) = verify(&stored, digest) {
                self.discard().await?;
                return Err(error);
            }
        }
        make_visible(&self.cx, &self.store, repository, digest, self.key, size, Some(&self.id)).await?;
        // Staged only when an earlier request ended between two parts; what is left behind, gc sweeps.
        if self.saved > 0
            && let Err(error) = self.store.delete_tails(self.key).await
        {
            tracing::warn!(key = %self.key, %error, "a staged tail was not deleted; garbage collection will");
        }
        Ok(())
    }

    async fn discard(&self) -> Result<()> {
        let mut tx = self.cx.db.write().await?;
        uploads::delete(&mut tx, &self.id).await?;
        tx.commit().await?;
        self.store.abort(self.key, self.multipart.as_deref()).await
    }

    async fn release(&self) {
        let released = async {
            let mut tx = self.cx.db.write().await?;
            uploads::release(&mut tx, &self.id, &self.holder).await?;
            tx.commit().await
        };
        if let Err(error) = released.await {
            tracing::warn!(upload = %self.id, %error, "an upload was not released; its lease will run out");
        }
    }
}
