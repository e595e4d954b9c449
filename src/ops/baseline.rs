//! What the tables that follow from the log said when its damage was accepted. Entries may have been lost then, so that
//! nobody can tell what must have been before; what came after is compared with this and with what is told later.

use crate::{
    db::{
        Tx, cards,
        told::{self, Member, Unmoved},
    },
    error::Result,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Baseline {
    /// Rows of versions, moves, evidence and policies.
    pub counts: [u64; 4],
    /// Versions whose content was taken away.
    pub purged: u64,
    pub members: BTreeSet<Member>,
    /// What stands of quarantines and holds: the id, and what it says.
    pub standing: Vec<(String, String)>,
    /// Cards that no entry tells of: workload and position.
    pub cards: BTreeSet<(String, i64)>,
    /// Stages that did not hold what their last move brought there.
    pub stages: BTreeSet<Unmoved>,
    /// Entries that tell otherwise than the tables.
    pub otherwise: BTreeSet<u64>,
}

impl Baseline {
    /// As the tables are now, of before entry `size`. Nothing else is committed meanwhile.
    pub async fn of(tx: &mut Tx, size: u64, otherwise: BTreeSet<u64>) -> Result<Self> {
        Ok(Self {
            counts: told::counts(tx, size).await?,
            purged: told::count_purged(tx).await?,
            members: told::members(tx).await?.into_iter().collect(),
            standing: told::standing(tx).await?,
            cards: cards::untold(tx, i64::try_from(size).unwrap_or(i64::MAX)).await?.into_iter().collect(),
            stages: told::stages_without_move(tx).await?.into_iter().collect(),
            otherwise,
        })
    }
}
