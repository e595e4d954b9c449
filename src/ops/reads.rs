//! Who read what: resolves, pulls and renders of versions. Noted in memory and written down every second, so that reading
//! stays fast; not in the log, and forgotten after a time. What a process that is killed has not written down is lost.

use super::{Context, PAGE_MAX};
use crate::{
    config,
    db::{
        reads::{self, MissingRow, ReadRow},
        versions,
    },
    error::{Error, Result},
    model::{
        access::{Actor, Permission},
        digest::Digest,
        name::{Namespace, PrincipalName, Workload},
        read::How,
        version::Version,
    },
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    mem,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

pub use reads::Place;

/// Most different reads that wait to be written down: some tens of megabytes.
const WAITING_MAX: usize = 100_000;
/// Most times that reads are missing, told with a list.
const MISSING_MAX: i64 = 100;

/// What was read, and by whom. Reads of one minute that are the same in all of it are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    minute: i64,
    by: PrincipalName,
    workload: Workload,
    digest: Digest,
    /// As far as whoever answered knows it.
    version: Option<Version>,
    how: How,
    /// `None`: from this process.
    from: Option<IpAddr>,
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    first: DateTime<Utc>,
    last: DateTime<Utc>,
    times: u64,
}

impl Noted {
    fn add(&mut self, more: Self) {
        self.first = self.first.min(more.first);
        self.last = self.last.max(more.last);
        self.times += more.times;
    }
}

#[derive(Default)]
struct Table {
    noted: HashMap<Key, Noted>,
    /// What found no room, by namespace.
    missing: BTreeMap<Namespace, Noted>,
}

impl Table {
    /// Answers false if there is no room.
    fn add(&mut self, key: Key, noted: Noted, most: usize) -> bool {
        let is_full = self.noted.len() >= most;
        match self.noted.entry(key) {
            Entry::Occupied(mut there) => there.get_mut().add(noted),
            Entry::Vacant(place) if !is_full => {
                place.insert(noted);
            }
            Entry::Vacant(place) => {
                let namespace = place.key().workload.namespace();
                self.miss(namespace, noted);
                return false;
            }
        }
        true
    }

    fn miss(&mut self, namespace: Namespace, noted: Noted) {
        self.missing.entry(namespace).and_modify(|there| there.add(noted)).or_insert(noted);
    }

    fn is_empty(&self) -> bool {
        self.noted.is_empty() && self.missing.is_empty()
    }
}

/// What waits to be written down.
#[derive(Default)]
pub struct Reads {
    table: Mutex<Table>,
    /// One writes at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Reads {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is being written down; it goes back when that fails, or is given up in the middle.
struct Taken<'a> {
    cx: &'a Context,
    table: Table,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if self.table.is_empty() {
            return;
        }
        let table = mem::take(&mut self.table);
        let mut waiting = self.cx.reads.table();
        for (namespace, noted) in table.missing {
            waiting.miss(namespace, noted);
        }
        let mut lost = 0;
        for (key, noted) in table.noted {
            lost += if waiting.add(key, noted, WAITING_MAX) { 0 } else { noted.times };
        }
        drop(waiting);
        self.cx.metrics.reads_missing.inc_by(lost);
    }
}

/// A version that is being read.
pub struct Read<'a> {
    pub workload: &'a Workload,
    /// Of the version's manifest, or of the file.
    pub digest: &'a Digest,
    /// Where it is known.
    pub version: Option<&'a Version>,
    pub how: How,
}

/// Notes that somebody read a version. A manifest or a file that is of none is left out when it is written down.
pub fn note(cx: &Context, actor: &Actor, from: Option<IpAddr>, read: &Read<'_>) {
    if !cx.config.reads.enabled {
        return;
    }
    let now = cx.clock.now();
    let key = Key {
        minute: now.timestamp().div_euclid(60),
        by: actor.principal.clone(),
        workload: read.workload.clone(),
        digest: read.digest.clone(),
        version: read.version.cloned(),
        how: read.how,
        from,
    };
    if !cx.reads.table().add(key, Noted { first: now, last: now, times: 1 }, WAITING_MAX) {
        cx.metrics.reads_missing.inc();
    }
}

/// Writes down what was noted. What the database does not take waits, as far as there is room. Where its answer is lost, it
/// may have taken it: then reads are counted twice rather than not at all.
pub async fn flush(cx: &Context) -> Result<()> {
    let _turn = cx.reads.turn.lock().await;
    let table = mem::take(&mut *cx.reads.table());
    if table.is_empty() {
        return Ok(());
    }
    let mut taken = Taken { cx, table };
    write_down(cx, &taken.table).await?;
    taken.table = Table::default();
    Ok(())
}

async fn write_down(cx: &Context, table: &Table) -> Result<()> {
    let mut rows = rows(cx, table).await?;
    // Replicas that add to the same rows do so in the same order.
    rows.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    let mut tx = cx.db.write().await?;
    reads::add(&mut tx, &rows).await?;
    for (namespace, noted) in &table.missing {
        let row = MissingRow {
            id: cx.clock.id().simple().to_string(),
            namespace: namespace.clone(),
            at: noted.first,
            last_at: noted.last,
            times: noted.times,
        };
        reads::add_missing(&mut tx, &row).await?;
        tracing::warn!(%namespace, times = noted.times, from = %noted.first, to = %noted.last, "reads are missing in the access log");
    }
    tx.commit().await
}

/// What was read of versions, as it is kept.
async fn rows(cx: &Context, table: &Table) -> Result<Vec<ReadRow>> {
    let mut tx = cx.db.read().await?;
    // `None`: of no version. The inner one: of several.
    let mut of: HashMap<(&Workload, &Digest, How), Option<Option<Version>>> = HashMap::new();
    let mut rows = Vec::with_capacity(table.noted.len());
    for (key, noted) in &table.noted {
        let version = match of.get(&(&key.workload, &key.digest, key.how)) {
            _ if key.version.is_some() => Some(key.version.clone()),
            Some(known) => known.clone(),
            None => {
                let found = match key.how {
                    How::Blob => match reads::versions_with(&mut tx, &key.workload, &key.digest).await? {
                        versions if versions.is_empty() => None,
                        mut versions => Some(if versions.len() == 1 { versions.pop() } else { None }),
                    },
                    _ => versions::of_manifest(&mut tx, &key.workload, &key.digest).await?.map(Some),
                };
                of.insert((&key.workload, &key.digest, key.how), found.clone());
                found
            }
        };
        if let Some(version) = version {
            rows.push(row(key, version, noted));
        }
    }
    Ok(rows)
}

fn row(key: &Key, version: Option<Version>, noted: &Noted) -> ReadRow {
    let address = key.from.map_or_else(|| "local".to_owned(), |address| address.to_string());
    let shown = key.version.as_ref().map(ToString::to_string).unwrap_or_default();
    let Key { minute, by, workload, digest, how, .. } = key;
    let identity = format!("{minute} {by} {workload} {shown} {digest} {how} {address}");
    ReadRow {
        id: Digest::sha256(identity.as_bytes()).hex()[..32].to_owned(),
        at: noted.first,
        last_at: noted.last,
        times: noted.times,
        principal: by.clone(),
        workload: workload.clone(),
        version,
        digest: digest.clone(),
        how: *how,
        address,
    }
}

/// Which reads to list.
#[derive(Default)]
pub struct Filter {
    pub namespace: Option<Namespace>,
    pub workload: Option<Workload>,
    pub by: Option<PrincipalName>,
    pub digest: Option<Digest>,
    pub since: Option<DateTime<Utc>>,
    pub until: Option<DateTime<Utc>>,
    /// The last of the page before: its time and its id.
    pub after: Option<(DateTime<Utc>, String)>,
}

pub struct Listed {
    pub rows: Vec<ReadRow>,
    /// When reads are missing, in the same time.
    pub missing: Vec<MissingRow>,
}

/// Reads, newest first. For auditors and admins of the namespace, and without one for those of the whole registry.
pub async fn list(cx: &Context, actor: &Actor, filter: &Filter, limit: i64) -> Result<Listed> {
    let namespace = filter.namespace.clone().or_else(|| filter.workload.as_ref().map(Workload::namespace));
    if filter.workload.as_ref().map(Workload::namespace).is_some_and(|of| Some(of) != namespace) {
        return Err(Error::invalid("query_invalid", "the workload is of another namespace"));
    }
    match &namespace {
        Some(namespace) => actor.require(Permission::Audit, namespace)?,
        None => actor.require_everywhere(Permission::Audit).map_err(|error| {
            error.hint(
                "name a namespace in which you are auditor or admin: gradus log --reads NAMESPACE; \
                 reads of the whole registry need one of these roles for all namespaces ('*')",
            )
        })?,
    }
    // What was read here is there too; what others have not written down yet, is not.
    if let Err(error) = flush(cx).await {
        tracing::warn!(?error, "reads are not written down yet");
    }
    let since = filter.since.unwrap_or(DateTime::UNIX_EPOCH);
    // Clocks of replicas differ a little.
    let until = filter.until.unwrap_or_else(|| cx.clock.now() + TimeDelta::days(1));
    let place = match (&filter.workload, &namespace) {
        (Some(workload), _) => Place::Workload(workload),
        (None, Some(namespace)) => Place::Namespace(namespace),
        (None, None) => Place::Everywhere,
    };
    let after = filter.after.as_ref().map_or((until, ""), |(at, id)| (*at, id.as_str()));
    let (by, digest) = (filter.by.as_ref(), filter.digest.as_ref());
    let mut tx = cx.db.read().await?;
    let rows = reads::list(&mut tx, &reads::Filter { place, by, digest, since, until, after }, limit).await?;
    let missing = reads::missing(&mut tx, namespace.as_ref(), since, until, MISSING_MAX).await?;
    Ok(Listed { rows, missing })
}

/// Forgets what was read long ago. Answers how many rows.
pub async fn prune(cx: &Context) -> Result<u64> {
    let config::Reads { keep_days, .. } = cx.config.reads;
    let before = cx.clock.now() - TimeDelta::days(i64::from(keep_days));
    let mut all = 0;
    loop {
        let mut tx = cx.db.write().await?;
        let gone = reads::prune(&mut tx, before, PAGE_MAX).await?;
        tx.commit().await?;
        all += gone;
        if gone == 0 {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key {
            minute: 0,
            by: "ada".parse().unwrap(),
            workload: format!("acme/{name}").parse().unwrap(),
            digest: Digest::sha256(b"x"),
            version: None,
            how: How::Blob,
            from: None,
        }
    }

    #[test]
    fn what_finds_no_room_is_counted_as_missing() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let noted = |seconds| Noted { first: at(seconds), last: at(seconds), times: 1 };
        let mut table = Table::default();
        assert!(table.add(key("a"), noted(5), 2) && table.add(key("b"), noted(6), 2));
        assert!(!table.add(key("c"), noted(7), 2) && !table.add(key("d"), noted(9), 2));
        // What is there already goes on being counted.
        assert!(table.add(key("a"), noted(8), 2) && table.add(key("a"), noted(4), 2));
        let a = table.noted[&key("a")];
        assert_eq!((a.first, a.last, a.times), (at(4), at(8), 3));
        let missing = table.missing[&"acme".parse::<Namespace>().unwrap()];
        assert_eq!((missing.first, missing.last, missing.times), (at(7), at(9), 2));
    }
}
