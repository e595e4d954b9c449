//! The log for those who check it: signed checkpoints, tiles, proofs.

use super::Context;
use crate::{
    db::{Tx, log},
    error::{Error, Result},
    model::{
        event::Event,
        merkle::{self, Hash, Parts, TILE, TILE_LEVELS},
        name::Workload,
        note::{Checkpoint, Kept, Signer},
    },
};
use std::sync::Arc;

pub(super) fn signer(cx: &Context) -> Result<Arc<Signer>> {
    let missing = || Error::internal("signing_key", "the log has no signing key in this process");
    cx.db.signer().cloned().ok_or_else(missing)
}

/// The log's public key, for whoever keeps checkpoints, under the name of the epoch that it is in.
pub async fn key(cx: &Context) -> Result<String> {
    let head = log::stored_head(&mut cx.db.read().await?).await?;
    Ok(signer(cx)?.verifier(head.epoch).to_string())
}

async fn length(tx: &mut Tx) -> Result<u64> {
    Ok(log::stored_head(tx).await?.size)
}

/// The signed note of the log as it is now.
pub async fn checkpoint(cx: &Context) -> Result<String> {
    Ok(signed(cx, &mut cx.db.read().await?).await?.0)
}

/// The signed note, and the size it is of.
async fn signed(cx: &Context, tx: &mut Tx) -> Result<(String, u64)> {
    let log::Head { size, epoch, .. } = log::stored_head(tx).await?;
    let last = size.checked_sub(1).ok_or_else(empty)?;
    let entry = log::entries(tx, last, 1).await?.pop().and_then(|(_, _, checkpoint)| checkpoint);
    let kept = entry.as_deref().and_then(Kept::read).ok_or_else(|| {
        Error::corrupt("events", last, "the checkpoint of the log's last entry is missing")
            .hint("gradus audit verify names what is wrong")
    })?;
    let verifier = signer(cx)?.verifier(epoch);
    let checkpoint = Checkpoint { origin: verifier.name(), size, root: kept.root };
    Ok((verifier.note(&checkpoint, &kept.signature), size))
}

fn empty() -> Error {
    Error::not_found("log_empty", "the log has no entries yet")
}

/// `width` hashes of a tile of the tree as tlog-tiles cuts it; a full tile has 256.
pub async fn tile(cx: &Context, level: u32, number: u64, width: u64) -> Result<Vec<u8>> {
    let mut tx = cx.db.read().await?;
    let size = length(&mut tx).await?;
    let there = u32::checked_mul(level, 8).and_then(|bits| size.checked_shr(bits)).unwrap_or(0);
    let ends = number.checked_mul(TILE).and_then(|start| start.checked_add(width));
    if width == 0 || width > TILE || ends.is_none_or(|end| end > there) {
        return Err(Error::not_found("tile_unknown", "the log is not long enough for this tile"));
    }
    Ok(hashes(&mut tx, level, number, width, there).await?.concat())
}

/// `there`: how many hashes the tree has on this level. What is stored of a tile before it is full is none of ours.
async fn hashes(tx: &mut Tx, level: u32, number: u64, width: u64, there: u64) -> Result<Vec<Hash>> {
    if (number + 1) * TILE <= there {
        let mut tile = log::full_tile(tx, level, number).await?;
        tile.truncate(usize::try_from(width).unwrap_or(usize::MAX));
        return Ok(tile);
    }
    if level == 0 {
        return log::leaves(tx, number * TILE, width).await;
    }
    let mut roots = Vec::new();
    for below in number * TILE..number * TILE + width {
        roots.push(log::tile_root(&log::full_tile(tx, level - 1, below).await?));
    }
    Ok(roots)
}

/// A bundle of entries as tlog-tiles has it: each with its length before it, two bytes, big-endian.
pub async fn entries(cx: &Context, number: u64, width: u64) -> Result<Vec<u8>> {
    let first = number.checked_mul(TILE).filter(|_| (1..=TILE).contains(&width));
    let first =
        first.ok_or_else(|| Error::not_found("tile_unknown", "there is no such bundle of entries"))?;
    let entries = log::entries(&mut cx.db.read().await?, first, width).await?;
    if (entries.len() as u64) < width {
        return Err(Error::not_found("tile_unknown", "the log is not long enough for this bundle"));
    }
    let mut bundle = Vec::new();
    for (_, bytes, _) in entries {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        bundle.extend_from_slice(&length.to_be_bytes());
        bundle.extend_from_slice(&bytes);
    }
    Ok(bundle)
}

async fn prove(tx: &mut Tx, parts: &Parts, size: u64) -> Result<Vec<Hash>> {
    let mut proof = Vec::new();
    for part in parts {
        let mut roots = Vec::new();
        for subtree in part {
            let (level, number, range) = subtree.in_tile();
            let there = size.checked_shr(TILE_LEVELS * level).unwrap_or(0);
            let tile = hashes(tx, level, number, range.end as u64, there).await?;
            let within = tile.get(range).ok_or_else(|| {
                Error::corrupt("log_tiles", format!("{level}/{number}"), "the tile is too short")
            })?;
            roots.push(log::tile_root(within));
        }
        proof.push(merkle::join(&roots));
    }
    Ok(proof)
}

/// One entry with all that shows it to be in the log, in the format `c2sp.org/tlog-proof@v1`: for a reader who has
/// the log's key and nothing else.
pub struct Proof {
    pub entry: Vec<u8>,
    pub text: String,
}

/// The proof of an entry; `of`: only if it is about this workload.
pub async fn inclusion(cx: &Context, position: u64, of: Option<&Workload>) -> Result<Proof> {
    use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
    let mut tx = cx.db.read().await?;
    let (note, size) = signed(cx, &mut tx).await?;
    let unknown = || match of {
        Some(workload) => {
            Error::not_found("event_unknown", format!("no entry at {position} is about {workload}"))
                .hint(format!("gradus log {workload}"))
        }
        None => Error::not_found("event_unknown", format!("the log has no entry at: {position}"))
            .hint(format!("it has {size}, counted from 0")),
    };
    let parts = merkle::inclusion(position, size).ok_or_else(unknown)?;
    let (_, entry, _) = log::entries(&mut tx, position, 1).await?.pop().ok_or_else(unknown)?;
    if of.is_some() && Event::from_bytes(&entry)?.change.workload() != of {
        return Err(unknown());
    }
    let hashes = prove(&mut tx, &parts, size).await?;
    let mut text = format!("c2sp.org/tlog-proof@v1\nindex {position}\n");
    for hash in hashes {
        text.push_str(&BASE64.encode(hash));
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&note);
    Ok(Proof { entry, text })
}

/// The hashes that show the log of `old` entries to be the beginning of that of `new`.
pub async fn consistency(cx: &Context, old: u64, new: u64) -> Result<Vec<Hash>> {
    let mut tx = cx.db.read().await?;
    let size = length(&mut tx).await?;
    let parts = Some(new).filter(|new| *new <= size).and_then(|new| merkle::consistency(old, new));
    let parts = parts.ok_or_else(|| {
        Error::not_found(
            "event_unknown",
            format!("the log has {size} entries, which is fewer than asked for"),
        )
    })?;
    prove(&mut tx, &parts, size).await
}
