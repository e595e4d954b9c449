//! What goes by a rule and why, what stays, and letting it go.

use super::{refuse_service, show};
use crate::{
    db::{
        log, namespaces,
        retention::{self, RuleRow},
    },
    error::{Error, Kind, Result},
    model::{
        access::{Actor, EVERYWHERE},
        digest::Digest,
        name::{Namespace, Workload},
        reference::Selector,
        removal::Authority,
        version::Version,
    },
    ops::{
        Context, PAGE_MAX,
        along::Along,
        erase::{Done, Kept, erase},
        resolve,
        take_away::{Decision, take_away},
        two_admins::check_still_admin,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeMap;

/// Most versions that an answer names.
const NAMED_MAX: usize = 1000;

/// Content that goes, or would go.
#[derive(Debug)]
pub struct Going {
    pub workload: Workload,
    /// All numbers of it, highest first.
    pub versions: Vec<Version>,
    pub digest: Digest,
    /// Of the youngest of them.
    pub created_at: DateTime<Utc>,
}

#[derive(Debug)]
pub struct Report {
    pub rule: RuleRow,
    /// False for a dry run: nothing was changed.
    pub deleted: bool,
    /// At most a thousand of them.
    pub going: Vec<Going>,
    /// Versions that go, also those that are not named.
    pub count: u64,
    /// Versions that stay, by why.
    pub kept: BTreeMap<String, u64>,
    /// Of the objects that were deleted at once.
    pub bytes: u64,
    /// Files of what went that stay, as others use them. At most a thousand.
    pub files: BTreeMap<Digest, Kept>,
    /// What went wrong after something was done, for people. At most a thousand.
    pub notes: Vec<String>,
    pub failed: Vec<Failed>,
}

/// What could not be looked at, or let go.
#[derive(Debug)]
pub struct Failed {
    /// A workload, or a namespace whose workloads could not be listed.
    pub scope: String,
    /// How many versions stay that would go.
    pub versions: u64,
    /// What went wrong first.
    pub error: Error,
}

impl Failed {
    fn new(scope: impl ToString, error: Error) -> Self {
        Self { scope: scope.to_string(), versions: 0, error }
    }
}

/// Says what would go by the namespace's rule; with `delete`, lets it go. What goes wrong in one workload keeps nothing
/// in others, and is told of with what was done.
pub async fn run(cx: &Context, actor: &Actor, namespace: &Namespace, delete: bool) -> Result<Report> {
    if delete {
        refuse_service(actor)?;
    }
    let mut report = Report {
        rule: show(cx, namespace).await?,
        deleted: delete,
        going: Vec::new(),
        count: 0,
        kept: BTreeMap::new(),
        bytes: 0,
        files: BTreeMap::new(),
        notes: Vec::new(),
        failed: Vec::new(),
    };
    let mut after = String::new();
    loop {
        let page = match workloads(cx, namespace, &after).await {
            Ok(page) => page,
            Err(error) => {
                report.failed.push(Failed::new(namespace, error));
                return Ok(report);
            }
        };
        let Some((last, _)) = page.last() else { return Ok(report) };
        after = last.to_string();
        for (workload, _) in page {
            if let Some(failed) = run_in(cx, actor, &workload, &mut report).await {
                tracing::warn!(%workload, error = %failed.error, "retention of a workload has failed");
                report.failed.push(failed);
            }
        }
    }
}

async fn workloads(cx: &Context, namespace: &Namespace, after: &str) -> Result<Vec<(Workload, i64)>> {
    namespaces::list_workloads(&mut cx.db.read().await?, Some(namespace), after, PAGE_MAX).await
}

/// Each content goes whole, or stays whole.
async fn run_in(cx: &Context, actor: &Actor, workload: &Workload, report: &mut Report) -> Option<Failed> {
    let all = match sort(cx, workload, report).await {
        Ok(all) => all,
        Err(error) => return Some(Failed::new(workload, error)),
    };
    let mut failed: Option<Failed> = None;
    for going in all {
        let versions = going.versions.len() as u64;
        let error = match &failed {
            // Whoever does not answer is not asked once for each of thousands.
            Some(before) if before.error.kind == Kind::Unavailable => None,
            _ => match take(cx, actor, going, report).await {
                Ok(()) => continue,
                Err(error) => Some(error),
            },
        };
        *report.kept.entry("failed".to_owned()).or_default() += versions;
        match (&mut failed, error) {
            (Some(failed), _) => failed.versions += versions,
            (None, Some(error)) => failed = Some(Failed { versions, ..Failed::new(workload, error) }),
            (None, None) => {}
        }
    }
    failed
}

/// What a run in all namespaces came to.
#[derive(Debug, Default)]
pub struct Total {
    pub versions: u64,
    pub bytes: u64,
    pub failed: Vec<Failed>,
}

/// Lets go in all namespaces that have a rule.
pub async fn run_all(cx: &Context, actor: &Actor) -> Total {
    let (mut after, mut total) = (String::new(), Total::default());
    loop {
        let page = match rules(cx, &after).await {
            Ok(page) => page,
            Err(error) => {
                total.failed.push(Failed::new(EVERYWHERE, error));
                return total;
            }
        };
        let Some(last) = page.last() else { return total };
        after = last.namespace.to_string();
        for rule in page {
            match run(cx, actor, &rule.namespace, true).await {
                Ok(report) => {
                    total.versions += report.count;
                    total.bytes += report.bytes;
                    total.failed.extend(report.failed);
                }
                // Taken away at the same moment.
                Err(error) if error.code == "retention_unknown" => {}
                Err(error) => total.failed.push(Failed::new(rule.namespace, error)),
            }
        }
    }
}

async fn rules(cx: &Context, after: &str) -> Result<Vec<RuleRow>> {
    retention::list(&mut cx.db.read().await?, after, PAGE_MAX).await
}

/// Tells what of a workload goes; counts what stays.
async fn sort(cx: &Context, workload: &Workload, report: &mut Report) -> Result<Vec<Going>> {
    let before = cx.clock.now() - TimeDelta::days(report.rule.older_than_days);
    let keep = usize::try_from(report.rule.keep_newest).unwrap_or(usize::MAX);
    let mut tx = cx.db.read().await?;
    let mut all = Vec::new();
    let mut reasons: BTreeMap<Digest, String> = BTreeMap::new();
    let mut for_all = None;
    for (why, digest) in retention::kept(&mut tx, workload, None).await? {
        match digest {
            Some(digest) => drop(reasons.entry(digest).or_insert(why)),
            None => for_all = Some(why),
        }
    }
    loop {
        let below = all.last().map(|one: &retention::Candidate| &one.version);
        let page = retention::candidates(&mut tx, workload, below, PAGE_MAX).await?;
        if page.is_empty() {
            break;
        }
        all.extend(page);
    }
    drop(tx);
    // What keeps one number of some content keeps it under all of them.
    for (index, one) in all.iter().enumerate() {
        let why = match () {
            () if index < keep => "newest",
            () if one.created_at >= before => "young",
            () => continue,
        };
        reasons.entry(one.digest.clone()).or_insert_with(|| why.to_owned());
    }
    let mut going: BTreeMap<Digest, Going> = BTreeMap::new();
    for retention::Candidate { version, digest, created_at } in all {
        if let Some(why) = for_all.as_ref().or_else(|| reasons.get(&digest)) {
            *report.kept.entry(why.clone()).or_default() += 1;
            continue;
        }
        let one = going.entry(digest.clone()).or_insert_with(|| Going {
            workload: workload.clone(),
            versions: Vec::new(),
            digest,
            created_at,
        });
        one.versions.push(version);
        one.created_at = one.created_at.max(created_at);
    }
    let mut going: Vec<Going> = going.into_values().collect();
    going.sort_by(|a, b| a.versions.cmp(&b.versions));
    Ok(going)
}

/// Lets content go, unless it came to be used meanwhile.
async fn take(cx: &Context, actor: &Actor, going: Going, report: &mut Report) -> Result<()> {
    if report.deleted {
        match let_go(cx, actor, &going, &report.rule).await? {
            Ok(done) => report.note(done),
            Err(why) => {
                *report.kept.entry(why).or_default() += going.versions.len() as u64;
                return Ok(());
            }
        }
    }
    report.count += going.versions.len() as u64;
    if report.going.len() < NAMED_MAX {
        report.going.push(going);
    }
    Ok(())
}

impl Report {
    fn note(&mut self, done: Done) {
        self.bytes += done.bytes;
        let room = NAMED_MAX.saturating_sub(self.notes.len());
        self.notes.extend(done.notes.into_iter().take(room));
        for deleted in &done.deleted {
            self.files.remove(deleted);
        }
        for kept in done.kept {
            if self.files.len() < NAMED_MAX {
                self.files.insert(kept.digest.clone(), kept);
            }
        }
    }
}

/// Purges by the rule, in a transaction that looks again. `Err`: why it stays.
async fn let_go(cx: &Context, actor: &Actor, going: &Going, rule: &RuleRow) -> Result<Result<Done, String>> {
    let workload = &going.workload;
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, workload).await?;
    log::lock(&mut tx).await?;
    check_still_admin(&mut tx, actor, &rule.namespace).await?;
    if let Some((why, _)) = retention::kept(&mut tx, workload, Some(&going.digest)).await?.pop() {
        return Ok(Err(why));
    }
    let now_holds = retention::find(&mut tx, &rule.namespace).await?;
    let is_same = now_holds.is_some_and(|now| {
        (now.keep_newest, now.older_than_days) == (rule.keep_newest, rule.older_than_days)
    });
    if !is_same {
        return Ok(Err("rule_changed".to_owned()));
    }
    let selector = Selector::Digest(going.digest.clone());
    let row = match resolve::find(cx, &mut tx, workload, &selector).await {
        Ok(row) => row,
        Err(error) if error.code == "version_purged" => return Ok(Err("purged".to_owned())),
        Err(error) => return Err(error),
    };
    // Somebody may have pushed the content once more, under another number, or purged what was newer.
    if row.created_at > going.created_at {
        return Ok(Err("young".to_owned()));
    }
    if let Some(highest) = going.versions.first()
        && retention::count_above(&mut tx, workload, highest, rule.keep_newest).await? < rule.keep_newest
    {
        return Ok(Err("newest".to_owned()));
    }
    let reason = format!(
        "retention of {}: never promoted, older than {} days, not among the newest {}",
        rule.namespace, rule.older_than_days, rule.keep_newest
    );
    let now = cx.clock.now();
    let authority = Authority::Retention;
    let decision = Decision { reason: &reason, authority, requested_by: None, confirmed: None, at: now };
    let (changes, gone) = take_away(&mut tx, actor, &row, Along::default(), &decision).await?;
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    Ok(Ok(erase(cx, actor, workload, gone).await))
}
