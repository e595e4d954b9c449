//! Texts that are named by their digest.

use super::tx::{Tx, execute, optional};
use crate::{
    error::{Error, Result},
    model::digest::Digest,
};

/// Keeps a text; the same text is kept once. Answers its digest.
pub async fn keep(tx: &mut Tx, bytes: &[u8]) -> Result<Digest> {
    let digest = Digest::sha256(bytes);
    let sql = "INSERT INTO documents (digest, bytes) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";
    execute!(tx, sql, digest.as_str(), bytes);
    Ok(digest)
}

pub async fn read(tx: &mut Tx, digest: &Digest) -> Result<Vec<u8>> {
    let row: Option<(Vec<u8>,)> =
        optional!(tx, "SELECT bytes FROM documents WHERE digest = $1", digest.as_str());
    row.map(|(bytes,)| bytes).ok_or_else(|| Error::corrupt("documents", digest, "the document is missing"))
}
