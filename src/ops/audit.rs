//! Showing that the log is what it was: signed checkpoints, proofs, and the whole log gone through.

use super::Context;
use crate::{
    db::{Tx, log},
    error::{Error, Result},
    model::{
        event::Event,
        merkle::{self, Frontier, Hash, Parts, TILE},
        note::{Checkpoint, Verifier},
    },
};

/// Events read at a time.
const BATCH: u64 = 4096;

fn verifier(cx: &Context) -> Result<Verifier> {
    let signer = cx
        .db
        .signer()
        .ok_or_else(|| Error::internal("signing_key", "the log has no signing key in this process"))?;
    Ok(signer.verifier())
}

/// The log's public key, for whoever keeps checkpoints.
pub fn key(cx: &Context) -> Result<String> {
    Ok(verifier(cx)?.to_string())
}

async fn length(tx: &mut Tx) -> Result<u64> {
    let length = log::length(tx).await?.unwrap_or(0);
    u64::try_from(length).map_err(|_| Error::corrupt("log_head", 1, "the length is negative"))
}

fn unsigned(position: u64) -> Error {
    Error::corrupt("events", position, "the checkpoint of the log's last entry is missing")
}

/// The root and signature stored with an entry.
fn stored(checkpoint: &[u8]) -> Option<(Hash, [u8; 64])> {
    let (root, signature) = checkpoint.split_at_checked(32)?;
    Some((root.try_into().ok()?, signature.try_into().ok()?))
}

/// The signed note of the log as it is now.
pub async fn checkpoint(cx: &Context) -> Result<String> {
    let verifier = verifier(cx)?;
    let mut tx = cx.db.read().await?;
    let size = length(&mut tx).await?;
    let last = size.checked_sub(1).ok_or_else(empty)?;
    let entry = log::entries(&mut tx, last, 1).await?.pop().and_then(|(_, _, checkpoint)| checkpoint);
    let (root, signature) = entry.as_deref().and_then(stored).ok_or_else(|| unsigned(last))?;
    let origin = cx.db.signer().map(|signer| signer.name().to_owned()).unwrap_or_default();
    Ok(verifier.note(&Checkpoint { origin, size, root }, &signature))
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
    Ok(hashes(&mut tx, level, number, width).await?.concat())
}

async fn hashes(tx: &mut Tx, level: u32, number: u64, width: u64) -> Result<Vec<Hash>> {
    if let Some(mut tile) = log::tile(tx, level, number).await? {
        tile.truncate(usize::try_from(width).unwrap_or(usize::MAX));
        return Ok(tile);
    }
    if level == 0 {
        return log::leaves(tx, number * TILE, width).await;
    }
    let mut roots = Vec::new();
    for below in number * TILE..number * TILE + width {
        let tile = log::tile(tx, level - 1, below).await?;
        let tile = tile.ok_or_else(|| Error::corrupt("log_tiles", below, "a full tile is missing"))?;
        roots.push(log::tile_root(&tile));
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

async fn prove(tx: &mut Tx, parts: &Parts) -> Result<Vec<Hash>> {
    let mut proof = Vec::new();
    for part in parts {
        let mut roots = Vec::new();
        for subtree in part {
            let (level, number, range) = subtree.in_tile();
            let tile = hashes(tx, level, number, range.end as u64).await?;
            let within = tile.get(range).unwrap_or_default();
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

pub async fn inclusion(cx: &Context, position: u64) -> Result<Proof> {
    use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
    let note = checkpoint(cx).await?;
    let size = verifier(cx)?.open(&note)?.size;
    let parts = merkle::inclusion(position, size).ok_or_else(|| {
        Error::not_found("event_unknown", format!("the log has no entry at: {position}"))
            .hint(format!("it has {size}, counted from 0"))
    })?;
    let mut tx = cx.db.read().await?;
    let (_, entry, _) = log::entries(&mut tx, position, 1).await?.pop().ok_or_else(empty)?;
    let hashes = prove(&mut tx, &parts).await?;
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
    prove(&mut tx, &parts).await
}

/// What going through the whole log found.
#[derive(Debug)]
pub struct Report {
    pub size: u64,
    pub root: Hash,
    /// The first entry that is not what it was, and what is wrong with it.
    pub first_bad: Option<(u64, String)>,
}

/// Goes through every entry: positions without gaps, bytes as they were hashed, the root as it was signed, and the
/// `known` checkpoint, which somebody kept elsewhere, a state that the log has been in.
pub async fn verify(cx: &Context, known: Option<&str>) -> Result<Report> {
    let verifier = verifier(cx)?;
    let known = known.map(|note| verifier.open(note)).transpose()?;
    let mut tx = cx.db.read().await?;
    let size = length(&mut tx).await?;
    let mut walk = Walk { tree: Frontier::default(), missing: None, differs: None, last: None, known };
    while walk.missing.is_none() {
        // What is appended meanwhile is for the next time.
        let rest = size.saturating_sub(walk.tree.size()).min(BATCH);
        let batch = log::entries(&mut tx, walk.tree.size(), rest).await?;
        if batch.is_empty() {
            break;
        }
        for (position, bytes, checkpoint) in &batch {
            walk.step(*position, bytes, checkpoint.as_deref());
            if walk.missing.is_some() {
                break;
            }
        }
    }
    let end = walk.tree.size();
    let is_signed = walk.missing.is_none() && end == size && walk.signed_end(&verifier);
    let first_bad = match (is_signed, walk.differs.take()) {
        (true, None) if walk.saw_known() => None,
        // Signed, and yet another history than the one somebody keeps a checkpoint of.
        (true, Some(differs)) => Some(differs),
        // The root is only compared at the end; where it went wrong, the checkpoints on the way tell.
        _ => Some(blame(&mut tx, &verifier, &walk, size).await?),
    };
    Ok(Report { size: end, root: walk.tree.root(), first_bad })
}

struct Walk {
    tree: Frontier,
    /// The position where no entry is.
    missing: Option<u64>,
    /// Where the root was not that of the kept checkpoint.
    differs: Option<(u64, String)>,
    /// The checkpoint of the last entry.
    last: Option<Vec<u8>>,
    known: Option<Checkpoint>,
}

impl Walk {
    fn step(&mut self, position: i64, bytes: &[u8], checkpoint: Option<&[u8]>) {
        let expected = self.tree.size();
        if u64::try_from(position).ok() != Some(expected) {
            self.missing = Some(expected);
            return;
        }
        self.tree.push(merkle::leaf(bytes));
        self.last = checkpoint.map(<[u8]>::to_vec);
        // Signatures but the last are not checked on the way, which would take far longer than all the hashing.
        let root = checkpoint.map(|checkpoint| checkpoint.get(..32));
        if root.is_some_and(|root| root != Some(&self.tree.root()[..])) && self.differs.is_none() {
            self.differs =
                Some((expected, "the checkpoint kept with this entry is not the root up to it".to_owned()));
        }
        if let Some(known) = &self.known
            && known.size == self.tree.size()
        {
            if known.root != self.tree.root() {
                let what = "the log up to here is signed, and not what the kept checkpoint says it was";
                self.differs = Some((expected, what.to_owned()));
            }
            self.known = None;
        }
    }

    fn signed_end(&self, verifier: &Verifier) -> bool {
        self.tree.size() == 0 || signs(verifier, &self.tree, self.last.as_deref())
    }

    /// A kept checkpoint of more entries than there are was never come to.
    fn saw_known(&self) -> bool {
        self.known.as_ref().is_none_or(|known| known.size == 0)
    }
}

fn signs(verifier: &Verifier, tree: &Frontier, checkpoint: Option<&[u8]>) -> bool {
    let Some((root, signature)) = checkpoint.and_then(stored) else { return false };
    let said = Checkpoint { origin: verifier.name().to_owned(), size: tree.size(), root };
    root == tree.root() && verifier.accepts(&said, &signature)
}

/// Finds the first entry that no longer fits what was signed.
async fn blame(tx: &mut Tx, verifier: &Verifier, walk: &Walk, size: u64) -> Result<(u64, String)> {
    let mut tree = Frontier::default();
    let mut since = 0;
    let end = walk.missing.unwrap_or(size);
    while tree.size() < end {
        let batch = log::entries(tx, tree.size(), (end - tree.size()).min(BATCH)).await?;
        for (position, bytes, checkpoint) in &batch {
            tree.push(merkle::leaf(bytes));
            if let Some(checkpoint) = checkpoint {
                if !signs(verifier, &tree, Some(checkpoint)) {
                    return suspect(tx, since, tree.size()).await;
                }
                since = tree.size();
            }
            if Event::from_bytes(bytes).is_err() {
                return Ok((u64::try_from(*position).unwrap_or(since), "the entry is no event".to_owned()));
            }
        }
        if batch.is_empty() {
            break;
        }
    }
    if let Some(missing) = walk.missing {
        return Ok((missing, "the entry is missing".to_owned()));
    }
    if since < tree.size() {
        return Ok((since, "the entry was signed by nobody".to_owned()));
    }
    let what = match &walk.known {
        Some(known) => format!("the log ends here; the kept checkpoint has {} entries", known.size),
        None => format!("the log ends here; its head says {size} entries"),
    };
    Ok((tree.size(), what))
}

/// Of the entries that were signed together, the first whose hash is not the one kept in the tiles.
async fn suspect(tx: &mut Tx, from: u64, to: u64) -> Result<(u64, String)> {
    for position in from..to {
        let kept = log::tile(tx, 0, position / TILE).await?;
        let kept = kept.and_then(|tile| tile.get(usize::try_from(position % TILE).ok()?).copied());
        let now = log::leaves(tx, position, 1).await?;
        if kept.is_some_and(|kept| now.first() != Some(&kept)) {
            return Ok((position, "the entry was changed".to_owned()));
        }
    }
    Ok((from, "the entry, or its signature, was changed".to_owned()))
}
