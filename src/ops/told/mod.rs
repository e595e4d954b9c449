//! Whether the tables that follow from the log are what it tells: versions, moves of stages, evidence, policies, roles, cards of
//! workloads, quarantines and holds.
//! Whoever changes one of them behind the registry's back changes what it answers.

mod baseline;
mod rows;
mod standing;

pub(super) use baseline::Baseline;

use super::{take_away::read_list, verify::Forgiven};
use crate::{
    db::{
        Tx, cards, evidence,
        told::{self, AT_ONCE, Member},
    },
    error::Result,
    model::{
        card::Card,
        digest::Digest,
        event::{Change, time_text},
        name::Workload,
    },
};
use baseline::absent;
use chrono::{DateTime, Utc};
use standing::Standing;
use std::{collections::BTreeSet, ops::Range};

#[derive(Default)]
pub(super) struct Told {
    /// The last entry that accepted damage, and what the tables said then; `None`: it was not noted.
    accepted: Option<(u64, Option<Baseline>)>,
    /// Entries of which nothing was noted when they were accepted.
    unknown: Range<u64>,
    /// Of versions, moves, evidence and policies.
    counts: [u64; 4],
    /// Of versions whose content was taken away.
    purged: u64,
    /// Versions that were yanked.
    yanked: BTreeSet<(String, String)>,
    members: BTreeSet<Member>,
    standing: Standing,
    /// What is not as it was told: the first place.
    bad: Option<(u64, String)>,
    /// Entries that tell otherwise than the tables, and what the tables say.
    otherwise: BTreeSet<(u64, String)>,
}

struct ToldVersion {
    position: u64,
    key: (String, String),
    digest: String,
    document: Option<Digest>,
    yanked: bool,
    purged: bool,
}

struct ToldMove {
    position: u64,
    at: DateTime<Utc>,
    key: (String, String, i64),
    version: String,
    digest: String,
}

struct ToldEvidence {
    position: u64,
    key: (String, String),
    subject: String,
    said: Option<Digest>,
}

impl Told {
    /// For comparing from what the tables said when damage was last accepted.
    pub fn new(forgiven: &Forgiven) -> Self {
        let accepted = forgiven.accepted.clone();
        let unknown = match (&accepted, forgiven.ranges.iter().max_by_key(|range| range.to)) {
            (Some((to, None)), Some(range)) if range.to == *to => range.from..range.to,
            _ => 0..0,
        };
        Self { accepted, unknown, ..Self::default() }
    }

    /// What entries tell otherwise than the tables.
    pub fn otherwise(self) -> BTreeSet<(u64, String)> {
        self.otherwise
    }

    /// That an entry is not what the tables say, which is `now`.
    fn tells_otherwise(&mut self, position: u64, what: String, now: String) {
        let is_accepted = match &self.accepted {
            Some((to, Some(baseline))) => position < *to && baseline.tells_otherwise(position, &now),
            _ => self.unknown.contains(&position),
        };
        self.otherwise.insert((position, now));
        if !is_accepted {
            self.is_bad(position, what);
        }
    }

    fn is_bad(&mut self, position: u64, what: String) {
        if self.bad.as_ref().is_none_or(|(before, _)| position < *before) {
            self.bad = Some((position, what));
        }
    }

    /// Takes what entries tell, in their order.
    pub async fn take(&mut self, tx: &mut Tx, entries: Vec<(u64, DateTime<Utc>, Change)>) -> Result<()> {
        let (mut versions, mut moves, mut said) = (Vec::new(), Vec::new(), Vec::new());
        for (position, at, change) in entries {
            if let Some(table) = rows::table(&change) {
                self.counts[table] = self.counts[table].saturating_add(1);
            }
            match change {
                Change::Pushed { workload, version, digest, document, .. } => {
                    let key = (workload.to_string(), version.to_string());
                    versions.push(ToldVersion {
                        position,
                        key,
                        digest: digest.to_string(),
                        document,
                        yanked: false,
                        purged: false,
                    });
                }
                Change::Yanked { workload, version, digest, .. } => {
                    let key = (workload.to_string(), version.to_string());
                    self.yanked.insert(key.clone());
                    let digest = digest.to_string();
                    let (document, yanked, purged) = (None, true, false);
                    versions.push(ToldVersion { position, key, digest, document, yanked, purged });
                }
                Change::Purged { workload, versions: gone, digest, files, .. } => {
                    if let Some(files) = files {
                        self.check_files(tx, position, &workload, &files).await?;
                    }
                    self.purged += gone.len() as u64;
                    for version in gone {
                        let key = (workload.to_string(), version.to_string());
                        let (digest, document) = (digest.to_string(), None);
                        let told =
                            ToldVersion { position, key, digest, document, yanked: true, purged: true };
                        versions.push(told);
                    }
                }
                Change::Promoted { workload, stage, number, version, digest, .. }
                | Change::RolledBack { workload, stage, number, version, digest, .. } => {
                    let key = (workload.to_string(), stage.to_string(), number);
                    let (version, digest) = (version.to_string(), digest.to_string());
                    moves.push(ToldMove { position, at, key, version, digest });
                }
                Change::EvidenceAttached { workload, subject, evidence, said: digest, .. }
                | Change::Approved { workload, digest: subject, evidence, said: digest, .. }
                | Change::Rejected { workload, digest: subject, evidence, said: digest, .. } => {
                    let key = (workload.to_string(), evidence.to_string());
                    said.push(ToldEvidence { position, key, subject: subject.to_string(), said: digest });
                }
                Change::PolicyApplied { scope, number, policy } => {
                    let stored = told::policy(tx, &scope, number).await?;
                    if stored != Some(policy.map(|policy| policy.to_string())) {
                        let what = format!("policy {number} of {scope} is not what the entry tells");
                        let now = stored.map(Option::unwrap_or_default).unwrap_or_else(absent);
                        self.tells_otherwise(position, what, now);
                    }
                }
                Change::WorkloadDescribed { workload, owner, purpose, limits, risk, review_on } => {
                    let card = Card { owner, purpose, limits, risk, review_on };
                    self.check_card(tx, position, &workload, &card).await?;
                }
                Change::LogRecovered { damage: Some(_), .. } => self.begin_anew(position),
                other => {
                    follow(&mut self.members, &other);
                    self.standing.follow(position, &other);
                }
            }
        }
        self.check_versions(tx, &versions).await?;
        self.check_moves(tx, &moves).await?;
        self.check_evidence(tx, &said).await
    }

    /// Damage was accepted with this entry: all before it is as the tables were then.
    fn begin_anew(&mut self, position: u64) {
        if let Some((to, Some(baseline))) = &self.accepted
            && *to == position
        {
            self.counts = baseline.counts;
            self.purged = baseline.purged;
            self.yanked = baseline.yanked.clone();
            self.members = baseline.members.clone();
            self.standing = Standing::at(position, baseline.standing.iter().cloned());
        }
    }

    /// Files that a purge took are not taken in again.
    async fn check_files(
        &mut self,
        tx: &mut Tx,
        position: u64,
        workload: &Workload,
        list: &Digest,
    ) -> Result<()> {
        // A list that is missing or was changed is told of as every document is.
        let Ok(files) = read_list(tx, list).await else { return Ok(()) };
        let keys: Vec<_> = files.iter().map(|file| (workload.to_string(), file.to_string())).collect();
        for some in keys.chunks(AT_ONCE) {
            let rows = told::purged_blobs(tx, some).await?;
            for (_, file) in some.iter().filter(|key| !rows.contains(key)) {
                let what =
                    format!("the file {file} of {workload} is not refused any more, which the entry tells");
                self.tells_otherwise(position, what, file.clone());
            }
        }
        Ok(())
    }

    /// Only the last word on a workload is kept.
    async fn check_card(
        &mut self,
        tx: &mut Tx,
        position: u64,
        workload: &Workload,
        card: &Card,
    ) -> Result<()> {
        let at = i64::try_from(position).unwrap_or(i64::MAX);
        let row = cards::find(tx, workload).await?;
        let is_last = row.as_ref().is_some_and(|row| row.position == at);
        if !row.as_ref().is_some_and(|row| row.position > at || is_last && row.card == *card) {
            let what = format!("the card of {workload} is not what the entry tells");
            let now = row.map(|row| {
                let card = serde_json::to_string(&row.card).unwrap_or_default();
                format!("{} {card}", row.position)
            });
            let now = now.unwrap_or_else(absent);
            self.tells_otherwise(position, what, now);
        }
        Ok(())
    }

    async fn check_versions(&mut self, tx: &mut Tx, told: &[ToldVersion]) -> Result<()> {
        for some in told.chunks(AT_ONCE) {
            let keys: Vec<_> = some.iter().map(|one| one.key.clone()).collect();
            let rows = told::versions(tx, &keys).await?;
            for one in some {
                let row = rows.iter().find(|row| (&row.0, &row.1) == (&one.key.0, &one.key.1));
                let fits = row.is_some_and(|(_, _, digest, document, yanked, purged)| {
                    *digest == one.digest
                        && (*yanked || !one.yanked)
                        && (*purged || !one.purged)
                        && one.document.as_ref().is_none_or(|said| match purged {
                            // That it was is told by an entry of its own, which is counted.
                            true => document.is_empty(),
                            false => Digest::sha256(document.as_bytes()) == *said,
                        })
                });
                if !fits {
                    let (workload, version) = &one.key;
                    let what = format!("version {workload}:{version} is not what the entry tells");
                    // What it said before it was purged is known no more.
                    let now = row.map(|(_, _, digest, document, _, purged)| match purged {
                        true => digest.clone(),
                        false => format!("{digest} {}", Digest::sha256(document.as_bytes())),
                    });
                    self.tells_otherwise(one.position, what, now.unwrap_or_else(absent));
                }
            }
        }
        Ok(())
    }

    async fn check_moves(&mut self, tx: &mut Tx, told: &[ToldMove]) -> Result<()> {
        for some in told.chunks(AT_ONCE) {
            let keys: Vec<_> = some.iter().map(|one| one.key.clone()).collect();
            let rows = told::moves(tx, &keys).await?;
            for one in some {
                let (workload, stage, number) = &one.key;
                let row = rows.iter().find(|row| (&row.0, &row.1, &row.2) == (workload, stage, number));
                let fits = row.is_some_and(|(.., version, digest, position, at)| {
                    (version, digest) == (&one.version, &one.digest)
                        && u64::try_from(*position) == Ok(one.position)
                        && at.timestamp_micros() == one.at.timestamp_micros()
                });
                if !fits {
                    let what = format!("move {number} of {workload}:{stage} is not what the entry tells");
                    let now = row.map(|(.., version, digest, position, at)| {
                        format!("{version} {digest} {position} {}", time_text(at))
                    });
                    let now = now.unwrap_or_else(absent);
                    self.tells_otherwise(one.position, what, now);
                }
            }
        }
        Ok(())
    }

    async fn check_evidence(&mut self, tx: &mut Tx, told: &[ToldEvidence]) -> Result<()> {
        for some in told.chunks(AT_ONCE) {
            let keys: Vec<_> = some.iter().map(|one| one.key.clone()).collect();
            let rows = told::evidence(tx, &keys).await?;
            for one in some {
                let row = rows.iter().find(|row| (&row.0, &row.1) == (&one.key.0, &one.key.1));
                let said = match row {
                    Some((repository, digest, _, statement, has_examples)) => {
                        let examples = match has_examples {
                            true => told::examples(tx, repository, digest).await?,
                            false => None,
                        };
                        Some(evidence::said(statement, examples.as_deref()))
                    }
                    None => None,
                };
                let is_same = row.is_some_and(|row| row.2 == one.subject);
                if !is_same || one.said.as_ref().is_some_and(|told| said.as_ref() != Some(told)) {
                    let what = format!("evidence {} is not what the entry tells", one.key.1);
                    let now = row.zip(said).map(|(row, said)| format!("{} {said}", row.2));
                    self.tells_otherwise(one.position, what, now.unwrap_or_else(absent));
                }
            }
        }
        Ok(())
    }

    /// What is in the tables and was told by no entry before `size`.
    pub async fn end(mut self, tx: &mut Tx, size: u64) -> Result<Option<(u64, String)>> {
        match self.accepted.take() {
            // What lost entries told of cannot be told from what nobody told of.
            Some((_, None)) => {}
            Some((at, Some(accepted))) => self.check_rows(tx, size, (at, &accepted)).await?,
            None => self.check_rows(tx, size, (0, &Baseline::default())).await?,
        }
        Ok(self.bad)
    }
}

/// Follows an event that gives or takes a role.
fn follow(members: &mut BTreeSet<Member>, change: &Change) {
    match change {
        Change::MemberAdded { namespace, principal, role } => {
            members.insert((namespace.clone(), principal.to_string(), role.name().to_owned()));
        }
        Change::MemberRemoved { namespace, principal, role } => {
            members.remove(&(namespace.clone(), principal.to_string(), role.name().to_owned()));
        }
        _ => {}
    }
}
