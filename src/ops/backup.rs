//! Backups of a running registry: the facts of one moment, then the bytes they name. Garbage collection is held from the
//! beginning to the end, or until whoever takes the backup has not been heard of for a quarter of an hour.

use super::{Context, erase};
use crate::{
    blobs::{ByteStream, Hasher},
    db::{SCHEMA, backups, blobs, facts, log},
    error::{Error, Result},
    model::{
        access::Actor,
        backup::{End, FORMAT, Fact, Head, Line, signed_text},
        digest::{Algorithm, Digest},
        event::Change,
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::{StreamExt as _, stream};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// How long garbage collection waits for a backup that says nothing more.
const HELD: TimeDelta = TimeDelta::minutes(15);
/// Lines are sent in pieces of about this many bytes.
const PIECE: usize = 256 * 1024;
/// Pieces that wait to be taken.
const AHEAD: usize = 4;
/// Who takes nothing for so long is gone: the snapshot would keep the database from tidying up.
const STALL: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub struct Held {
    pub id: String,
    pub until: DateTime<Utc>,
}

fn lapsed(id: &str) -> Error {
    let id = crate::model::digest::shorten(id);
    Error::conflict("backup_lapsed", format!("the backup is held no more: {id}"))
        .hint("begin another one with: gradus backup --out DIR; what is in the folder is not fetched again")
}

/// Holds garbage collection. Whoever deletes bytes looks for this under the log's lock.
pub async fn begin(cx: &Context, actor: &Actor) -> Result<Held> {
    let (id, now) = (cx.clock.id().to_string(), cx.clock.now());
    let until = now + HELD;
    finish_purges(cx).await;
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    backups::insert(&mut tx, &id, actor.principal.as_str(), now, until).await?;
    log::append(&mut tx, now, &actor.principal, vec![Change::BackupBegun { backup: id.clone() }]).await?;
    tx.commit().await?;
    Ok(Held { id, until })
}

/// Holds it for longer.
pub async fn renew(cx: &Context, id: &str) -> Result<Held> {
    let now = cx.clock.now();
    let until = now + HELD;
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    if !backups::renew(&mut tx, id, now, until).await? {
        return Err(lapsed(id));
    }
    tx.commit().await?;
    Ok(Held { id: id.to_owned(), until })
}

/// Lets garbage collection go on. Saying it twice is fine.
pub async fn end(cx: &Context, id: &str) -> Result<()> {
    let mut tx = cx.db.write().await?;
    backups::end(&mut tx, id, cx.clock.now()).await?;
    tx.commit().await?;
    finish_purges(cx).await;
    Ok(())
}

/// What was purged while a backup was being taken is in no later one.
pub async fn finish_purges(cx: &Context) {
    match erase::finish(cx).await {
        Ok(()) => {}
        Err(error) if error.code == "backup_running" => {}
        Err(error) => tracing::warn!(%error, "purged bytes were not deleted yet"),
    }
}

/// Fails while a backup is being taken. In a transaction that deletes bytes or what names them, after [`log::lock`]: then
/// what it deletes is gone from the facts of every backup that begins later.
pub(super) async fn check_none(cx: &Context, tx: &mut crate::db::Tx) -> Result<()> {
    match backups::held(tx, cx.clock.now()).await? {
        None => Ok(()),
        Some(until) => {
            let until = until.format("%Y-%m-%d %H:%M:%SZ");
            Err(Error::unavailable(
                "backup_running",
                format!(
                    "a backup is being taken, and nothing is deleted meanwhile; it is held until {until}"
                ),
            )
            .hint("try again when it is done"))
        }
    }
}

/// The facts as lines, of one moment after the backup was begun.
pub async fn facts(cx: &Arc<Context>, id: &str) -> Result<ByteStream> {
    let mut tx = cx.db.snapshot().await?;
    if !backups::is_held(&mut tx, id, cx.clock.now()).await? {
        return Err(lapsed(id));
    }
    let key_id = log::key_id(&mut tx).await?.unwrap_or_default();
    let head = Head {
        format: FORMAT,
        id: id.to_owned(),
        gradus: env!("CARGO_PKG_VERSION").to_owned(),
        schema: SCHEMA,
        key_id,
        taken_at: cx.clock.now(),
    };
    let (pieces, taken) = mpsc::channel::<Result<Bytes>>(AHEAD);
    let cx = cx.clone();
    tokio::spawn(async move {
        let mut lines = Lines { piece: Vec::new(), hasher: Hasher::new(Algorithm::Sha256), facts: 0, pieces };
        if let Err(error) = write_all(&cx, &mut tx, head, &mut lines).await {
            let _ = tokio::time::timeout(STALL, lines.pieces.send(Err(error))).await;
        }
    });
    Ok(stream::unfold(taken, |mut taken| async { taken.recv().await.map(|piece| (piece, taken)) }).boxed())
}

async fn write_all(cx: &Context, tx: &mut crate::db::Tx, head: Head, lines: &mut Lines) -> Result<()> {
    lines.add(&Line::Backup(head)).await?;
    for name in facts::TABLES.iter().filter(|name| !facts::LEFT_OUT.contains(name)) {
        let Some(table) = facts::table(tx, name).await? else { continue };
        facts::read(tx, &table, lines).await?;
    }
    let digest = lines.digest();
    let signer = super::audit::signer(cx)?;
    let signature = BASE64.encode(signer.sign_text(&signed_text(&digest)));
    lines.add(&Line::End(End { facts: lines.facts, digest, signature })).await?;
    lines.flush().await
}

/// Lines on their way, hashed.
struct Lines {
    piece: Vec<u8>,
    hasher: Hasher,
    facts: u64,
    pieces: mpsc::Sender<Result<Bytes>>,
}

impl facts::Sink for Lines {
    async fn take(&mut self, table: &'static str, row: facts::Row) -> Result<()> {
        self.facts += 1;
        self.add(&Line::Fact(Fact { table: table.to_owned(), row })).await
    }
}

impl Lines {
    async fn add(&mut self, line: &Line) -> Result<()> {
        let before = self.piece.len();
        serde_json::to_writer(&mut self.piece, line).map_err(|source| {
            Error::internal("backup_encoding", "a fact could not be written as JSON").source(source)
        })?;
        self.piece.push(b'\n');
        self.hasher.update(&self.piece[before..]);
        if self.piece.len() >= PIECE { self.flush().await } else { Ok(()) }
    }

    fn digest(&self) -> Digest {
        self.hasher.digest()
    }

    async fn flush(&mut self) -> Result<()> {
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        let gone = || Error::unavailable("backup_stalled", "nobody takes the facts of the backup any more");
        match tokio::time::timeout(STALL, self.pieces.send(Ok(piece))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(gone()),
        }
    }
}

/// The bytes of a blob, and how many: whatever repositories it is in.
pub async fn blob(cx: &Context, id: &str, store: &str, digest: &Digest) -> Result<(u64, ByteStream)> {
    let mut tx = cx.db.read().await?;
    if !backups::is_held(&mut tx, id, cx.clock.now()).await? {
        return Err(lapsed(id));
    }
    let row = blobs::find(&mut tx, store, digest).await?;
    let row =
        row.ok_or_else(|| Error::not_found("blob_unknown", format!("no such blob in {store}: {digest}")))?;
    drop(tx);
    let bytes = cx.stores.get(store)?.read(row.key.parse()?, 0..row.size).await?;
    Ok((row.size, bytes))
}
