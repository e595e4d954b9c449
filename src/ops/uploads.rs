//! Receiving bytes: sessions that any replica can go on with, and whole bodies in one go.
//!
//! A session's progress is in the database after every acknowledgement, and during a long one at intervals (see
//! `session`). Bytes become a blob only when their digest was verified.

use super::{
    Context,
    namespaces::{ensure_repository, refuse_deleted},
    purged, quotas,
    session::{Session, busy, taken_over},
    unknown_namespace,
};
use crate::{
    blobs::{ByteStream, Key, Resume, Store, Writer},
    db::{blobs, namespaces, uploads},
    error::{Error, Result},
    model::{
        digest::{Algorithm, Digest},
        name::Workload,
    },
};
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use std::{sync::Arc, time::Duration};
use uploads::UploadRow;

/// How long a server that stops waits for bodies that were cut.
const SETTLE: Duration = Duration::from_secs(5);

pub struct Begun {
    pub id: String,
}

/// Where an upload stands.
pub struct Status {
    pub received: u64,
    /// Of the bytes so far. For clients in the same process, which need not hash a second time.
    pub digest: Digest,
}

pub(super) fn unknown(id: &str) -> Error {
    Error::not_found("upload_unknown", format!("no such upload: {}", crate::model::digest::shorten(id)))
        .hint("it was finished, cancelled or has expired; start a new one")
}

/// The store a repository's bytes belong in, unless its name was given up.
pub(super) async fn store_of<'a>(cx: &'a Context, repository: &Workload) -> Result<&'a Arc<Store>> {
    let namespace = repository.namespace();
    let mut tx = cx.db.read().await?;
    let row = namespaces::find(&mut tx, &namespace).await?;
    refuse_deleted(repository, namespaces::deletion(&mut tx, repository).await?)?;
    drop(tx);
    cx.stores.get(&row.ok_or_else(|| unknown_namespace(&namespace))?.store)
}

/// Starts a session, unless there is no room for anything.
pub async fn begin(cx: &Context, repository: &Workload, algorithm: Algorithm) -> Result<Begun> {
    quotas::expect_bytes(cx, &repository.namespace(), 1).await?;
    open_session(cx, repository, algorithm).await
}

async fn open_session(cx: &Context, repository: &Workload, algorithm: Algorithm) -> Result<Begun> {
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
    ensure_repository(&mut tx, repository, cx.clock.now()).await?;
    uploads::insert(&mut tx, &row).await?;
    tx.commit().await?;
    Ok(Begun { id })
}

pub async fn status(cx: &Context, repository: &Workload, id: &str) -> Result<Status> {
    let row = uploads::find(&mut cx.db.read().await?, repository, id).await?.ok_or_else(|| unknown(id))?;
    let digest = crate::blobs::Hasher::resume(row.algorithm, &row.hash_state)?.digest();
    Ok(Status { received: row.received, digest })
}

/// Ends a session without a blob. Refused while somebody is writing to it.
pub async fn cancel(cx: &Context, repository: &Workload, id: &str) -> Result<()> {
    let mut tx = cx.db.write().await?;
    let row = uploads::find(&mut tx, repository, id).await?.ok_or_else(|| unknown(id))?;
    if !uploads::delete_unheld(&mut tx, id, cx.clock.now()).await? {
        return Err(busy());
    }
    tx.commit().await?;
    cx.stores.get(&row.store)?.abort(id.parse()?, row.multipart.as_deref()).await
}

/// Removes a session and its bytes, if still nobody has written to it since `before`, or is about to.
pub(super) async fn remove_idle(cx: &Context, row: &UploadRow, before: DateTime<Utc>) -> Result<bool> {
    let mut tx = cx.db.write().await?;
    let removed = uploads::delete_idle(&mut tx, &row.id, before, cx.clock.now()).await?;
    tx.commit().await?;
    if removed {
        cx.stores.get(&row.store)?.abort(row.id.parse()?, row.multipart.as_deref()).await?;
    }
    Ok(removed)
}

/// Appends a body, of `length` bytes where that is known, to a session. `offset`, where given, must be where the session
/// stands.
pub async fn append(
    cx: &Arc<Context>,
    repository: &Workload,
    id: &str,
    offset: Option<u64>,
    length: Option<u64>,
    body: ByteStream,
) -> Result<Status> {
    let session = Session::open(cx, repository, id, offset).await?;
    // In a task of its own: when the client goes away the handler is dropped, but what arrived is kept.
    let work = cx.receiving.spawn(async move {
        let (mut session, mut writer) = session;
        let outcome = session.receive(&mut writer, None, length, body).await;
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
    length: Option<u64>,
    body: ByteStream,
) -> Result<()> {
    if let Err(error) = purged::refuse_blob(&mut cx.db.read().await?, repository, digest).await {
        linger(body);
        // Its bytes are not to lie about either.
        if error.code == "content_purged"
            && let Err(kept) = cancel(cx, repository, id).await
            && kept.code != "upload_busy"
        {
            return Err(kept);
        }
        return Err(error);
    }
    let session = Session::open(cx, repository, id, offset).await?;
    let (repository, digest) = (repository.clone(), digest.clone());
    let work = cx.receiving.spawn(async move {
        let (mut session, mut writer) = session;
        if let Err(error) = session.receive(&mut writer, Some(&digest), length, body).await {
            let saved = session.save(&mut writer).await;
            let closed = writer.close().await;
            session.release().await;
            return saved.and(closed).and(Err(error));
        }
        session.complete(writer, &repository, &digest).await
    });
    work.await.map_err(stopped)?
}

/// Bodies below this size, which is that of a part, are received without a session's row.
const SMALL: u64 = 8 * 1024 * 1024;

/// Receives a whole body of `length` bytes, where that is known.
pub async fn put(
    cx: &Arc<Context>,
    repository: &Workload,
    digest: &Digest,
    length: Option<u64>,
    body: ByteStream,
) -> Result<()> {
    if let Err(error) = purged::refuse_blob(&mut cx.db.read().await?, repository, digest).await {
        linger(body);
        return Err(error);
    }
    if let Some(size) = length
        && let Err(error) = quotas::expect_blob(cx, repository, Some(digest), size, 0).await
    {
        linger(body);
        return Err(error);
    }
    if length.is_some_and(|length| length < SMALL) {
        return put_at_once(cx, repository, digest, body).await;
    }
    // What takes long needs a row, or garbage collection might take its object for a lost one.
    let begun = open_session(cx, repository, digest.algorithm()).await?;
    let (cx, repository, digest) = (cx.clone(), repository.clone(), digest.clone());
    let work = tokio::spawn(async move {
        let outcome = finish(&cx, &repository, &begun.id, Some(0), &digest, length, body).await;
        // Nobody knows the session's id, so nobody could go on with it.
        if outcome.is_err()
            && let Err(error) = cancel(&cx, &repository, &begun.id).await
            && error.code != "upload_unknown"
        {
            tracing::warn!(upload = begun.id, %error, "a failed upload was not removed; garbage collection will");
        }
        outcome
    });
    work.await.map_err(stopped)?
}

async fn put_at_once(
    cx: &Arc<Context>,
    repository: &Workload,
    digest: &Digest,
    body: ByteStream,
) -> Result<()> {
    let store = store_of(cx, repository).await?.clone();
    let (repository, digest, own) = (repository.clone(), digest.clone(), cx.clone());
    let work = cx.receiving.spawn(async move {
        let key = Key::new(own.clock.id());
        let mut writer = store.writer(key, Resume::new(digest.algorithm())).await?;
        let outcome =
            receive_all(&own, &mut writer, body).await.and_then(|()| verify(&writer.digest(), &digest));
        let size = writer.received();
        match outcome {
            Ok(()) => {
                writer.finish().await?;
                let made = make_visible(&own, &store, &repository, &digest, key, size, None).await;
                if made.as_ref().is_err_and(|error| matches!(error.code, quotas::EXCEEDED | "content_purged"))
                {
                    // Somebody else was first to use the room that there was, or to purge it.
                    store.delete(key).await?;
                }
                made
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
    put_at_once(cx, repository, &digest, body).await?;
    Ok(digest)
}

/// Waits until what was being received when the server stopped is kept, but not on a store that hangs.
pub async fn settle(cx: &Context) {
    cx.receiving.close();
    let _ = tokio::time::timeout(SETTLE, cx.receiving.wait()).await;
}

fn stopped(error: tokio::task::JoinError) -> Error {
    Error::internal("upload_stopped", "receiving the upload has stopped").source(error)
}

pub(super) fn verify(found: &Digest, expected: &Digest) -> Result<()> {
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

/// How long the rest of a refused body is let come.
const LINGER: Duration = Duration::from_secs(5);

/// Lets a refused body come for a moment and forgets it: who is cut off while sending may not see why.
pub(super) fn linger(mut body: ByteStream) {
    tokio::spawn(tokio::time::timeout(LINGER, async move { while let Some(Ok(_)) = body.next().await {} }));
}

/// The next bytes of a body; fails when none come for too long.
pub(super) async fn next(cx: &Context, body: &mut ByteStream) -> Result<Option<bytes::Bytes>> {
    let idle = Duration::from_secs(cx.config.limits.idle_seconds);
    match tokio::time::timeout(idle, body.next()).await {
        Ok(bytes) => bytes.transpose(),
        Err(_) => Err(Error::unavailable("upload_idle", "no bytes came for too long, the upload was cut")
            .hint("ask where the upload stands and go on from there")),
    }
}

/// Makes a finished object the blob of its digest (`session`: its id and who holds its lease), or drops it if the store has one already.
pub(super) async fn make_visible(
    cx: &Context,
    store: &Store,
    repository: &Workload,
    digest: &Digest,
    key: Key,
    size: u64,
    session: Option<(&str, &str)>,
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
    ensure_repository(&mut tx, repository, now).await?;
    if let Some((id, holder)) = session
        && !uploads::delete_held(&mut tx, id, holder).await?
    {
        // Whoever took over may have written to the object since its digest was checked.
        return Err(if uploads::exists(&mut tx, id).await? { taken_over() } else { unknown(id) });
    }
    purged::refuse_blob(&mut tx, repository, digest).await?;
    quotas::admit_blob(&mut tx, repository, digest, size).await?;
    let mut surplus = None;
    if !blobs::insert(&mut tx, &row, now).await? {
        // The same bytes are there: ours are surplus, unless they heal a rotten copy.
        surplus = match blobs::replace_quarantined(&mut tx, &row).await? {
            Some(rotten) => Some(rotten.parse()?),
            // Rebuilding the map may have found our object before us.
            None if blobs::find_by_key(&mut tx, &row.key).await?.is_some() => None,
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
