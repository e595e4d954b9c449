//! Rows of the tables against all that was told: none that no entry tells of, none that is not there any more.

use super::{
    Told,
    baseline::{Baseline, untold},
    standing::touched,
};
use crate::{
    db::{
        Tx, log,
        told::{self, Member},
    },
    error::Result,
    model::event::{Change, Event},
};
use std::collections::BTreeSet;

const TABLES: [&str; 4] = ["versions", "moves", "evidence", "policies"];

/// Which of the tables has a row of an entry.
pub(super) fn table(change: &Change) -> Option<usize> {
    match change {
        Change::Pushed { .. } => Some(0),
        Change::Promoted { .. } | Change::RolledBack { .. } => Some(1),
        Change::EvidenceAttached { .. } | Change::Approved { .. } | Change::Rejected { .. } => Some(2),
        Change::PolicyApplied { .. } => Some(3),
        _ => None,
    }
}

impl Told {
    /// What was read first was all told of by the end of the log as it is read last, so that nothing is missed between.
    pub(super) async fn check_rows(
        &mut self,
        tx: &mut Tx,
        size: u64,
        (at, accepted): (u64, &Baseline),
    ) -> Result<()> {
        let there = told::counts(tx).await?;
        let purged = told::count_purged(tx).await?;
        let yanked = told::yanked(tx).await?;
        let standing = told::standing(tx).await?;
        let now: BTreeSet<Member> = told::members(tx).await?.into_iter().collect();
        let later = later(tx, size).await?;
        for (number, table) in TABLES.into_iter().enumerate() {
            let (there, told) = (there[number], self.counts[number]);
            if let Some(more @ 1..) = there.checked_sub(told.saturating_add(later.counts[number])) {
                self.is_bad(size, format!("the table {table} has {more} rows that no entry tells of"));
            }
            if let Some(less @ 1..) = told.checked_sub(there) {
                self.is_bad(size, format!("the table {table} lacks {less} rows that it had"));
            }
        }
        if let Some(more @ 1..) = purged.checked_sub(self.purged.saturating_add(later.purged)) {
            self.is_bad(size, format!("{more} versions are purged, which no entry tells of"));
        }
        let is_told = |key: &(String, String)| self.yanked.contains(key) || later.yanked.contains(key);
        if let Some((workload, version)) = yanked.into_iter().find(|key| !is_told(key)) {
            self.is_bad(size, format!("{workload}:{version} is yanked, which no entry tells of"));
        }
        let untold = untold(tx).await?;
        if let Some(row) = untold.iter().find(|row| !accepted.has(row)) {
            self.is_bad(size, format!("no entry tells of this row of the table {}: {}", row.table, row.key));
        }
        if let Some(row) = accepted.lacks(&untold, at) {
            let what =
                format!("a row is not what it was when damage was accepted, {}: {}", row.table, row.key);
            self.is_bad(size, what);
        }
        let stages = told::stages_without_move(tx).await?;
        if let Some((workload, stage, ..)) = stages.into_iter().find(|stage| !accepted.stages.contains(stage))
        {
            self.is_bad(size, format!("{workload}:{stage} does not hold what its last move brought there"));
        }
        let other = now.symmetric_difference(&self.members);
        if let Some((namespace, who, role)) = other.clone().find(|member| !later.members.contains(*member)) {
            let what = match now.contains(&(namespace.clone(), who.clone(), role.clone())) {
                true => format!("{who} has the role {role} in {namespace}, which no entry tells of"),
                false => format!("{who} has not the role {role} in {namespace}, which entries tell of"),
            };
            self.is_bad(size, what);
        }
        let told = std::mem::take(&mut self.standing);
        if let Some((position, what)) = told.differs(standing, &later.touched, size) {
            self.is_bad(position, what);
        }
        Ok(())
    }
}

/// What was done while the log was gone through.
#[derive(Default)]
struct Later {
    /// Rows of the tables.
    counts: [u64; 4],
    /// Roles that were given or taken.
    members: BTreeSet<Member>,
    /// Versions that were yanked.
    yanked: BTreeSet<(String, String)>,
    /// Versions whose content was taken away.
    purged: u64,
    /// Quarantines and holds that were set or cleared.
    touched: BTreeSet<String>,
}

async fn later(tx: &mut Tx, size: u64) -> Result<Later> {
    let (mut at, mut later) = (size, Later::default());
    loop {
        let entries = log::entries(tx, at, 1000).await?;
        let Some((last, ..)) = entries.last() else { return Ok(later) };
        at = u64::try_from(*last).unwrap_or(u64::MAX).saturating_add(1);
        for (_, bytes, _) in entries {
            let Ok(event) = Event::from_bytes(&bytes) else { continue };
            later.touched.extend(touched(&event.change).cloned());
            if let Some(table) = table(&event.change) {
                later.counts[table] += 1;
            }
            match event.change {
                Change::MemberAdded { namespace, principal, role }
                | Change::MemberRemoved { namespace, principal, role } => {
                    later.members.insert((namespace, principal.to_string(), role.name().to_owned()));
                }
                Change::Yanked { workload, version, .. } => {
                    later.yanked.insert((workload.to_string(), version.to_string()));
                }
                Change::Purged { versions, .. } => later.purged += versions.len() as u64,
                _ => {}
            }
        }
    }
}
