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
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Baseline {
    /// Rows of versions, moves, evidence and policies.
    pub counts: [u64; 4],
    /// Versions whose content was taken away.
    pub purged: u64,
    /// Versions that are yanked and not purged.
    pub yanked: BTreeSet<(String, String)>,
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
    /// Where it says that its entry is.
    position: i64,
    /// Of a version: the resolution that it answers, unless it was purged.
    document: Option<Digest>,
}

impl Baseline {
    /// As the tables are now. Nothing else is committed meanwhile.
    pub async fn of(tx: &mut Tx, otherwise: BTreeSet<(u64, String)>) -> Result<Self> {
        Ok(Self {
            counts: told::counts(tx).await?,
            purged: told::count_purged(tx).await?,
            yanked: told::yanked(tx).await?.into_iter().collect(),
            members: told::members(tx).await?.into_iter().collect(),
            standing: told::standing(tx).await?,
            untold: untold(tx).await?.into_iter().collect(),
            stages: told::stages_without_move(tx).await?.into_iter().collect(),
            otherwise,
        })
    }

    /// Whether an entry told otherwise in this way. Where there was nothing, what came is told by an entry of its own, as it is
    /// that a version was purged.
    pub fn tells_otherwise(&self, position: u64, now: &str) -> bool {
        let then = self.otherwise.range((position, String::new())..(position + 1, String::new()));
        let is_same = |was: &str| {
            was == now || was == ABSENT || was.strip_prefix(now).is_some_and(|more| more.starts_with(' '))
        };
        then.into_iter().any(|(_, was)| is_same(was))
    }

    /// Whether a row that no entry tells of was there like this.
    pub fn has(&self, row: &Untold) -> bool {
        self.untold.contains(row) || self.untold.iter().any(|one| one.is_still(row))
    }

    /// The first row that no entry told of and that is not among these any more. A card may have been said anew. Those of an
    /// end that was lost are no longer listed once the log has grown over them.
    pub fn lacks<'a>(&'a self, rows: &[Untold], accepted_at: u64) -> Option<&'a Untold> {
        let stays = |one: &&Untold| {
            one.table != "workload_cards" && u64::try_from(one.position).is_ok_and(|at| at < accepted_at)
        };
        let now: BTreeMap<_, _> = rows.iter().map(|row| ((&row.table, &row.key), row)).collect();
        let is_there = |one: &&Untold| now.get(&(&one.table, &one.key)).is_some_and(|row| one.is_still(row));
        self.untold.iter().filter(stays).find(|one| !is_there(one))
    }
}

impl Untold {
    /// That a version was purged later is told by an entry of its own.
    fn is_still(&self, now: &Self) -> bool {
        (&self.table, &self.key, &self.says, self.position) == (&now.table, &now.key, &now.says, now.position)
            && (now.document.is_none() || self.document == now.document)
    }
}

/// What is said of a row that is not there.
const ABSENT: &str = "absent";

pub(super) fn absent() -> String {
    ABSENT.to_owned()
}

/// Rows that no entry tells of: where each says it was told of, there is none of its kind.
pub(super) async fn untold(tx: &mut Tx) -> Result<Vec<Untold>> {
    let rows = told::untold(tx).await?;
    Ok(rows
        .into_iter()
        .map(|(table, key, says, position, document)| Untold {
            table,
            key,
            says,
            position,
            document: document.map(|text| Digest::sha256(text.as_bytes())),
        })
        .collect())
}
