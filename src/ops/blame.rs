//! When the end of the log does not fit its signature: the first entry that is not what it was. Goes row by row, and
//! computes the root wherever a checkpoint was kept.

use super::walk::Accepted;
use crate::{
    db::{Tx, audit, log},
    error::Result,
    model::{
        event::Event,
        merkle::{Frontier, TILE, leaf},
        note::{Kept, Signer},
    },
};

/// Entries read at a time.
const BATCH: u64 = 1024;

pub(super) async fn blame(
    tx: &mut Tx,
    signer: &Signer,
    accepted: &[Accepted],
    size: u64,
) -> Result<(u64, String)> {
    let found = go_through(tx, signer, accepted, size).await?;
    // An entry there is passed over where entries are read.
    Ok(fraction(tx).await?.filter(|fraction| fraction.0 <= found.0).unwrap_or(found))
}

/// An entry at a position that is no whole number: the first.
pub(super) async fn fraction(tx: &mut Tx) -> Result<Option<(u64, String)>> {
    let found = audit::fraction(tx).await?;
    let named = |(whole, at)| {
        let what = format!("an entry is kept at a position that is no whole number: {at}");
        (u64::try_from(whole).unwrap_or_default(), what)
    };
    Ok(found.map(named))
}

async fn go_through(tx: &mut Tx, signer: &Signer, accepted: &[Accepted], size: u64) -> Result<(u64, String)> {
    let mut tree = Frontier::default();
    let mut since = 0;
    // Until one that is not: see `Walk`.
    let mut are_bare = true;
    while tree.size() < size {
        let batch = log::entries(tx, tree.size(), (size - tree.size()).min(BATCH)).await?;
        for (position, bytes, checkpoint) in &batch {
            let expected = tree.size();
            if u64::try_from(*position) != Ok(expected) {
                return Ok((expected, "the entry is missing".to_owned()));
            }
            tree.push(leaf(bytes));
            if Event::from_bytes(bytes).is_err() {
                return Ok((expected, "the entry is no event".to_owned()));
            }
            // What was accepted is under the first checkpoint after it.
            let is_accepted = accepted.iter().any(|one| (one.from..one.to).contains(&expected));
            let first = accepted.iter().find(|one| one.to == expected).map_or(since, |one| one.to);
            if let Some(checkpoint) = checkpoint.as_deref().filter(|_| !is_accepted) {
                let fits = |kept: &Kept| {
                    let is_ours = signer.sealed(first, tree.size(), kept)
                        || (are_bare && signer.signed(tree.size(), kept));
                    is_ours && kept.root == tree.root()
                };
                let Some(kept) = Kept::read(checkpoint).filter(fits) else {
                    return suspect(tx, since, tree.size()).await;
                };
                are_bare &= kept.is_bare();
                since = tree.size();
            }
        }
        if batch.is_empty() {
            return Ok((tree.size(), format!("the entry is missing: the log's head says {size} entries")));
        }
    }
    if since < tree.size() {
        return Ok((since, "the entry was signed by nobody".to_owned()));
    }
    Ok((size, "the end of the log is not signed for the epoch it is in".to_owned()))
}

/// Of entries that were signed together, the first whose hash is not the one kept in the tiles.
async fn suspect(tx: &mut Tx, from: u64, to: u64) -> Result<(u64, String)> {
    for position in from..to {
        let tile = audit::raw_tile(tx, 0, position / TILE).await?;
        let at = usize::try_from(position % TILE * 32).unwrap_or_default();
        let kept = tile.as_deref().and_then(|tile| tile.get(at..at + 32));
        let now = log::leaves(tx, position, 1).await?;
        if kept.is_some_and(|kept| now.first().is_none_or(|now| now[..] != *kept)) {
            return Ok((position, "the entry was changed".to_owned()));
        }
    }
    Ok((from, "the entry, or its signature, was changed".to_owned()))
}
