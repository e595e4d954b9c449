//! The facts of a backup as they come: how many they are, and the blobs they name.

use crate::{
    blobs::Hasher,
    error::{Error, Result},
    model::{
        backup::{Head, LINE_MAX, Line},
        digest::{Algorithm, Digest},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// A blob as the facts name it: how large, and the stores that have it.
pub(super) struct Wanted {
    pub size: u64,
    pub stores: Vec<String>,
}

/// Reads lines as they come.
#[derive(Default)]
pub(super) struct Facts {
    rest: Vec<u8>,
    pub head: Option<Head>,
    pub count: u64,
    pub wanted: BTreeMap<Digest, Wanted>,
    /// What the registry has set aside.
    pub rotten: BTreeSet<Digest>,
    hasher: Option<Hasher>,
    pub is_whole: bool,
}

impl Facts {
    pub fn take(&mut self, mut piece: &[u8]) -> Result<()> {
        while let Some(end) = piece.iter().position(|byte| *byte == b'\n') {
            let (line, more) = piece.split_at(end + 1);
            piece = more;
            if self.rest.is_empty() {
                self.line(line)?;
            } else {
                self.rest.extend_from_slice(line);
                let whole = std::mem::take(&mut self.rest);
                self.line(&whole)?;
            }
        }
        self.rest.extend_from_slice(piece);
        if self.rest.len() > LINE_MAX { Err(unknown_line()) } else { Ok(()) }
    }

    fn line(&mut self, bytes: &[u8]) -> Result<()> {
        let line: Line = serde_json::from_slice(bytes).map_err(|error| unknown_line().source(error))?;
        if let Line::End(end) = &line {
            let digest = self.hasher.as_ref().map(Hasher::digest);
            self.is_whole = digest.as_ref() == Some(&end.digest) && end.facts == self.count;
            return Ok(());
        }
        self.hasher.get_or_insert_with(|| Hasher::new(Algorithm::Sha256)).update(bytes);
        match line {
            Line::Backup(head) => self.head = Some(head),
            Line::Fact(fact) => {
                self.count += 1;
                if fact.table == "blobs" {
                    let text = |name: &str| fact.row.get(name).and_then(serde_json::Value::as_str);
                    let size = fact.row.get("size").and_then(serde_json::Value::as_u64);
                    let (Some(store), Some(digest), Some(size)) = (text("store"), text("digest"), size)
                    else {
                        return Err(unknown_line());
                    };
                    let digest = digest.parse()?;
                    if text("quarantined_at").is_some() {
                        self.rotten.insert(digest);
                        return Ok(());
                    }
                    let wanted = self.wanted.entry(digest);
                    let wanted = wanted.or_insert_with(|| Wanted { size, stores: Vec::new() });
                    wanted.stores.push(store.to_owned());
                }
            }
            Line::End(_) => {}
        }
        Ok(())
    }
}

fn unknown_line() -> Error {
    Error::unavailable("answer_invalid", "the server's facts are not what this client knows")
        .hint("are the server and this client of the same version?")
}
