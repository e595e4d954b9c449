//! What the log tells of quarantines and holds that stand: the tables that gates and removals read must say the same.

use crate::model::event::{Change, Quarantined};
use std::collections::{BTreeMap, BTreeSet};

/// By id: the entry that set it, and what it says, as `db::told::standing` reads it.
#[derive(Default)]
pub(super) struct Standing(BTreeMap<String, (u64, String)>);

impl Standing {
    /// What stood when an entry was made, by id.
    pub fn at(position: u64, rows: impl Iterator<Item = (String, String)>) -> Self {
        Self(rows.map(|(id, says)| (id, (position, says))).collect())
    }

    pub fn follow(&mut self, position: u64, change: &Change) {
        match change {
            Change::QuarantineSet(of) => {
                // Namespaces are told of what was set for all after it was told itself, under its id.
                self.0.entry(of.quarantine.clone()).or_insert_with(|| (position, quarantine(of)));
            }
            Change::HoldSet { scope, hold, reason } => {
                let namespace = scope.split('/').next().unwrap_or_default();
                self.0.insert(hold.clone(), (position, format!("hold {namespace} {scope} {reason}")));
            }
            other => {
                touched(other).map(|id| self.0.remove(id));
            }
        }
    }

    /// The first that is not as it was told: where it was, or at `size` what nobody told of. What was set or cleared later is
    /// passed over.
    pub fn differs(
        mut self,
        rows: Vec<(String, String)>,
        later: &BTreeSet<String>,
        size: u64,
    ) -> Option<(u64, String)> {
        let mut bad = Vec::new();
        for (id, says) in rows.into_iter().filter(|(id, _)| !later.contains(id)) {
            match self.0.remove(&id) {
                Some((_, told)) if told == says => {}
                Some((position, _)) => {
                    bad.push((position, format!("what the entry set is not what it tells: {id}")));
                }
                None => bad.push((size, format!("there is what no entry tells of: {says}"))),
            }
        }
        let gone = self.0.into_iter().filter(|(id, _)| !later.contains(id));
        bad.extend(gone.map(|(id, (position, _))| {
            (position, format!("what the entry set does not stand, and no entry cleared it: {id}"))
        }));
        bad.into_iter().min()
    }
}

fn quarantine(of: &Quarantined) -> String {
    let workload = of.workload.as_ref().map(ToString::to_string).unwrap_or_default();
    let version = of.version.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("quarantine {} {} {} {workload}:{version} {}", of.scope, of.root.name(), of.value, of.reason)
}

/// The id of the quarantine or hold that an event sets or clears.
pub(super) fn touched(change: &Change) -> Option<&String> {
    match change {
        Change::QuarantineSet(of) | Change::QuarantineCleared(of) => Some(&of.quarantine),
        Change::HoldSet { hold, .. } | Change::HoldCleared { hold, .. } => Some(hold),
        _ => None,
    }
}
