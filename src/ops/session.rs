//! One writer's turn at an upload: the lease, the progress, the end.

use super::{
    Context, quotas,
    uploads::{linger, make_visible, next, unknown, verify},
};
use crate::{
    blobs::{ByteStream, Checkpoint, Key, Resume, Store, Writer},
    db::uploads::{self, Progress},
    error::{Error, Kind, Result},
    model::{
        digest::{Algorithm, Digest},
        name::Workload,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use std::sync::Arc;

/// Bytes after which progress is made durable inside one long request.
const CHECKPOINT: u64 = 256 * 1024 * 1024;
/// How long a writer may be silent before another may take over.
const LEASE: TimeDelta = TimeDelta::seconds(90);

/// The right to write to one upload, for a while.
pub(super) struct Session {
    cx: Arc<Context>,
    store: Arc<Store>,
    repository: Workload,
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
    pub(super) async fn open(
        cx: &Arc<Context>,
        repository: &Workload,
        id: &str,
        offset: Option<u64>,
    ) -> Result<(Self, Writer)> {
        let holder = cx.clock.id().to_string();
        let now = cx.clock.now();
        let mut tx = cx.db.write().await?;
        // The lease first: it locks the row, so that what is read next is where the last writer left it.
        let leased = uploads::lease(&mut tx, id, &holder, now, now + LEASE).await?;
        let row = uploads::find(&mut tx, repository, id).await?.ok_or_else(|| unknown(id))?;
        if !leased {
            return Err(busy());
        }
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
        let parts = uploads::parts(&mut tx, id).await?;
        tx.commit().await?;

        let store = cx.stores.get(&row.store)?.clone();
        let key: Key = id.parse()?;
        let session = Self {
            cx: cx.clone(),
            store: store.clone(),
            repository: repository.clone(),
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

    /// Receives a body, of `length` bytes where that is known, if the namespace has room for what the upload has then.
    pub(super) async fn receive(
        &mut self,
        writer: &mut Writer,
        digest: Option<&Digest>,
        length: Option<u64>,
        mut body: ByteStream,
    ) -> Result<()> {
        // Without a length it is asked as the bytes come; what is there has its room.
        let mut room = writer.received();
        if let Some(length) = length {
            room = match self.room(digest, room.saturating_add(length)).await {
                Ok(room) => room,
                Err(error) => {
                    linger(body);
                    return Err(error);
                }
            };
        }
        while let Some(bytes) = next(&self.cx, &mut body).await? {
            let size = writer.received().saturating_add(bytes.len() as u64);
            if size > room {
                room = match self.room(digest, size).await {
                    Ok(room) => room,
                    Err(error) => {
                        linger(body);
                        return Err(error);
                    }
                };
            }
            self.cx.metrics.bytes_received.inc_by(bytes.len() as u64);
            writer.write(bytes).await?;
            if self.multipart.is_none() && writer.multipart().is_some() {
                self.note_multipart(writer).await?;
            }
            let overdue = self.cx.clock.now() - self.saved_at > LEASE / 3;
            if overdue || writer.received() - self.saved >= CHECKPOINT {
                self.save(writer).await?;
            }
        }
        Ok(())
    }

    /// Up to which size the upload may grow; refuses `size` if that is more.
    async fn room(&self, digest: Option<&Digest>, size: u64) -> Result<u64> {
        // What only ends need not wait for others: it makes room for them if it is refused.
        let own = if size > self.saved { self.saved } else { u64::MAX };
        quotas::expect_blob(&self.cx, &self.repository, digest, size, own).await
    }

    async fn note_multipart(&mut self, writer: &Writer) -> Result<()> {
        let Some(multipart) = writer.multipart() else { return Ok(()) };
        let mut tx = self.cx.db.write().await?;
        if !uploads::set_multipart(&mut tx, &self.id, &self.holder, multipart).await? {
            return Err(taken_over());
        }
        tx.commit().await?;
        self.multipart = Some(multipart.to_owned());
        Ok(())
    }

    /// Makes durable what was received and records it.
    pub(super) async fn save(&mut self, writer: &mut Writer) -> Result<()> {
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
            return Err(taken_over());
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
    pub(super) async fn complete(self, writer: Writer, repository: &Workload, digest: &Digest) -> Result<()> {
        let outcome = tokio::select! {
            outcome = self.conclude(writer, repository, digest) => outcome,
            lost = self.keep_lease() => Err(lost),
        };
        if outcome.is_err() {
            self.release().await;
        }
        outcome
    }

    /// Renews the lease for as long as the end takes; returns only when it is lost.
    async fn keep_lease(&self) -> Error {
        loop {
            tokio::time::sleep(LEASE.to_std().unwrap_or_default() / 3).await;
            let renewed = async {
                let mut tx = self.cx.db.write().await?;
                let until = self.cx.clock.now() + LEASE;
                let renewed = uploads::renew(&mut tx, &self.id, &self.holder, until).await?;
                let is_there = renewed || uploads::exists(&mut tx, &self.id).await?;
                tx.commit().await.map(|()| (renewed, is_there))
            };
            match renewed.await {
                Ok((true, _)) => {}
                Ok((false, true)) => return taken_over(),
                // The upload became a blob; what is left to do needs no lease.
                Ok((false, false)) => std::future::pending().await,
                Err(error) => {
                    tracing::warn!(upload = %self.id, %error, "a lease was not renewed; trying again")
                }
            }
        }
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
        let session = Some((self.id.as_str(), self.holder.as_str()));
        let made = make_visible(&self.cx, &self.store, repository, digest, self.key, size, session).await;
        if let Err(error) = made {
            // Purged while it was uploaded, or its name given up: nobody comes back for it.
            if error.kind == Kind::Gone {
                self.discard().await?;
            }
            return Err(error);
        }
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
        if !uploads::delete_held(&mut tx, &self.id, &self.holder).await? {
            return Ok(()); // somebody else's by now
        }
        tx.commit().await?;
        self.store.abort(self.key, self.multipart.as_deref()).await
    }

    pub(super) async fn release(&self) {
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

pub(super) fn busy() -> Error {
    Error::conflict("upload_busy", "somebody else is writing to this upload")
        .hint("wait until they are done, then ask where the upload stands")
}

pub(super) fn taken_over() -> Error {
    Error::conflict("upload_busy", "somebody else has taken over this upload")
}
