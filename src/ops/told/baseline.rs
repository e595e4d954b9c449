//! What the tables that follow from the log said when its damage was accepted. Entries may have been lost then, so that
//! nobody can tell what must have been before; what comes after is compared with this and with what is told later.

use crate::{
    db::{
        Tx,
        told::{self, Member, Unmoved},
    },
    error::Result,
    model::digest::Digest,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Baseline {
    /// Rows of versions, moves, evidence and policies.
    pub counts: [u64; 4],
    /// Versions whose content was taken away.
    pub purged: u64,
    pub members: BTreeSet<Member>,
    /// What stands of quarantines and holds: the id, and what it says.
    pub standing: Vec<(String, String)>,
    /// Rows that no entry tells of.
    pub untold: BTreeSet<Untold>,
    /// Stages that did not hold what their last move brought there.
    pub stages: BTreeSet<Unmoved>,
    /// Entries that tell otherwise than the tables, and what the tables say instead.
    pub otherwise: BTreeSet<(u64, String)>,
}

/// A row of a table that follows from the log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Untold {
    pub table: String,
    pub key: String,
    says: String,
    /// Of a version: the resolution that it answers, unless it was purged.
    document: Option<Digest>,
}

impl Baseline {
    /// As the tables are now. Nothing else is committed meanwhile.
    pub async fn of(tx: &mut Tx, otherwise: BTreeSet<(u64, String)>) -> Result<Self> {
        Ok(Self {
            counts: told::counts(tx).await?,
            purged: told::count_purged(tx).await?,
            members: told::members(tx).await?.into_iter().collect(),
            standing: told::standing(tx).await?,
            untold: untold(tx).await?.into_iter().collect(),
            stages: told::stages_without_move(tx).await?.into_iter().collect(),
            otherwise,
        })
    }

    /// Whether a row that no entry tells of was there like this. That it was purged later is told by an entry of its own.
    pub fn has(&self, row: &Untold) -> bool {
        let same = |one: &Untold| {
            (&one.table, &one.key, &one.says) == (&row.table, &row.key, &row.says)
                && (row.document.is_none() || one.document == row.document)
        };
        self.untold.contains(row) || self.untold.iter().any(same)
    }
}

/// Rows that no entry tells of: where each says it was told of, there is none of its kind.
pub(super) async fn untold(tx: &mut Tx) -> Result<Vec<Untold>> {
    let rows = told::untold(tx).await?;
    Ok(rows
        .into_iter()
        .map(|(table, key, says, document)| Untold {
            table,
            key,
            says,
            document: document.map(|text| Digest::sha256(text.as_bytes())),
        })
        .collect())
}
