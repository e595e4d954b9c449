//! Finding versions by what they are made of, over all namespaces that the caller may read.

use super::{
    index,
    nodes::{Version, briefs, fill_in},
};
use crate::{
    db::{
        Tx,
        lineage::{self as rows, Key, OTHERS_MAX},
    },
    error::{Error, Result},
    model::{access::Actor, lineage::Relation, name::Workload},
    ops::Context,
};
use std::collections::BTreeSet;

/// Rows of the index that one page looks at, and ranges of it that it begins: then it says where to go on, whatever it has
/// found. So a page takes as long as any other, however much there is and however little of it fits.
const LOOKED_AT_MAX: i64 = 5_000;
const RANGES_MAX: usize = 100;
/// Rows that are read at a time where only some of them fit.
const WINDOW: i64 = 1_000;
/// How far it is counted which of several things is the rarest.
const COUNTED_MAX: i64 = 1_000;

/// One page: versions by workload and number, and where to go on.
pub struct Found {
    pub versions: Vec<Version>,
    pub next: Option<String>,
}

/// Versions that have all of what is wanted; with `owner`, of workloads that somebody answers for.
pub async fn find(
    cx: &Context,
    actor: &Actor,
    mut wanted: Vec<(Relation, String)>,
    owner: Option<&str>,
    cursor: &str,
    limit: i64,
) -> Result<Found> {
    if (wanted.is_empty() && owner.is_none()) || wanted.len() > OTHERS_MAX + 1 {
        return Err(Error::invalid("find_nothing", "say what the versions have").hint(
            "gradus find --base MODEL, --dataset NAME, --licence ID, --flag FLAG, --file DIGEST or --owner NAME; several: all must hold",
        ));
    }
    let from = read_cursor(cursor)?;
    index::require_whole(cx).await?;
    let mut tx = cx.db.read().await?;
    if let Some(owner) = owner {
        return owned(&mut tx, actor, &wanted, owner, from, usize::try_from(limit).unwrap_or(0)).await;
    }
    if wanted.len() > 1 {
        let mut counted = Vec::with_capacity(wanted.len());
        for (relation, value) in wanted {
            let count = rows::count(&mut tx, relation, &value, COUNTED_MAX).await?;
            counted.push((count, relation, value));
        }
        counted.sort();
        wanted = counted.into_iter().map(|(_, relation, value)| (relation, value)).collect();
    }
    let places = actor.readable().map(Places::new);
    let (mut keys, mut at, mut is_end) = (Vec::new(), from, false);
    let (mut looked_at, mut ranges) = (0, 0);
    let limit = usize::try_from(limit).unwrap_or(0);
    while keys.len() < limit && looked_at < LOOKED_AT_MAX && ranges < RANGES_MAX && !is_end {
        if let Some(places) = &places {
            match places.from(&at) {
                Some(next) => at = next,
                None => {
                    is_end = true;
                    break;
                }
            }
        }
        // One more than fits says whether there is a next page.
        let left = i64::try_from(limit - keys.len() + 1).unwrap_or(i64::MAX);
        let window = if wanted.len() > 1 { WINDOW } else { left };
        let found = rows::window(&mut tx, &wanted, (&at.0, at.1), window).await?;
        (looked_at, ranges) = (looked_at + window, ranges + 1);
        is_end = i64::try_from(found.len()).unwrap_or(0) < window;
        for (key, fits) in found {
            if keys.len() == limit {
                is_end = false;
                break;
            }
            at = (key.0.to_string(), key.1);
            match places.as_ref().is_none_or(|places| places.has(&key.0)) {
                true if fits => keys.push(key),
                true => {}
                false => {
                    // What comes next in a namespace that may be read is sought, and not come to row by row.
                    is_end = false;
                    break;
                }
            }
        }
    }
    let mut versions: Vec<Version> = briefs(&mut tx, &keys).await?.into_iter().map(Version::from).collect();
    fill_in(&mut tx, &mut versions.iter_mut().collect::<Vec<_>>(), false).await?;
    // A page must not end with the name of what may not be read.
    let next = match (is_end, &places) {
        (true, _) => None,
        (false, Some(places)) => places.from(&at),
        (false, None) => Some(at),
    };
    Ok(Found { versions, next: next.map(|(workload, sequence)| format!("{workload}:{sequence}")) })
}

/// The same workload by workload, of those that somebody answers for.
async fn owned(
    tx: &mut Tx,
    actor: &Actor,
    wanted: rows::Wanted<'_>,
    owner: &str,
    mut at: (String, i64),
    limit: usize,
) -> Result<Found> {
    let may_see = sight(actor);
    let workloads = rows::owned_by(tx, owner, &at.0, RANGES_MAX as i64).await?;
    let mut is_end = workloads.len() < RANGES_MAX;
    let (mut keys, mut looked_at) = (Vec::new(), 0);
    for workload in workloads {
        if keys.len() > limit || looked_at >= LOOKED_AT_MAX {
            is_end = false;
            break;
        }
        if workload.as_str() != at.0 {
            at = (workload.to_string(), 0);
        }
        if !may_see(&(workload.clone(), 0)) {
            continue;
        }
        let left = i64::try_from(limit - keys.len() + 1).unwrap_or(i64::MAX);
        if wanted.is_empty() {
            let numbers = rows::numbers(tx, &workload, at.1, left).await?;
            looked_at += i64::try_from(numbers.len()).unwrap_or(left).max(1);
            at.1 = numbers.last().map_or(at.1, |(sequence, _)| *sequence);
            keys.extend(numbers.into_iter().map(|(sequence, _)| (workload.clone(), sequence)));
        } else {
            let window = if wanted.len() > 1 { WINDOW } else { left };
            loop {
                let found = rows::window(tx, wanted, (&at.0, at.1), window).await?;
                looked_at += i64::try_from(found.len()).unwrap_or(window).max(1);
                let ours = found.iter().take_while(|(key, _)| key.0 == workload);
                let (count, last) = ours.clone().fold((0, at.1), |(count, _), (key, _)| (count + 1, key.1));
                keys.extend(ours.filter(|(_, fits)| *fits).map(|(key, _)| key.clone()));
                at.1 = last;
                if count < window || keys.len() > limit || looked_at >= LOOKED_AT_MAX {
                    is_end &= count < window;
                    break;
                }
            }
        }
    }
    if keys.len() > limit {
        keys.truncate(limit);
        is_end = false;
        if let Some((workload, sequence)) = keys.last() {
            at = (workload.to_string(), *sequence);
        }
    }
    let mut versions: Vec<Version> = briefs(tx, &keys).await?.into_iter().map(Version::from).collect();
    fill_in(tx, &mut versions.iter_mut().collect::<Vec<_>>(), false).await?;
    // A page must not end with the name of what may not be read.
    let hides = at.0.parse().is_ok_and(|workload| !may_see(&(workload, 0)));
    let next = match (is_end, actor.readable().filter(|_| hides)) {
        (true, _) => None,
        (false, Some(namespaces)) => Places::new(namespaces).from(&at),
        (false, None) => Some(at),
    };
    Ok(Found { versions, next: next.map(|(workload, sequence)| format!("{workload}:{sequence}")) })
}

fn read_cursor(cursor: &str) -> Result<(String, i64)> {
    if cursor.is_empty() {
        return Ok((String::new(), 0));
    }
    let read = cursor.rsplit_once(':').and_then(|(workload, sequence)| {
        // What a page ended with: a workload, or where one would begin.
        let is_name = workload.parse::<Workload>().is_ok()
            || workload.strip_suffix('/').is_some_and(|name| format!("{name}/a").parse::<Workload>().is_ok());
        Some((is_name.then(|| workload.to_owned())?, sequence.parse().ok().filter(|number| *number >= 0)?))
    });
    read.ok_or_else(|| Error::invalid("cursor_invalid", "the cursor is not that of a page before"))
}

/// The namespaces that may be read, by what the names of their workloads begin with, in the order of these.
struct Places(BTreeSet<String>);

impl Places {
    fn new(namespaces: BTreeSet<crate::model::name::Namespace>) -> Self {
        Self(namespaces.into_iter().map(|namespace| format!("{namespace}/")).collect())
    }

    fn has(&self, workload: &Workload) -> bool {
        self.0.contains(&format!("{}/", workload.namespace()))
    }

    /// The first place from there on that may be read.
    fn from(&self, at: &(String, i64)) -> Option<(String, i64)> {
        let namespace = at.0.find('/').map_or("", |end| &at.0[..=end]);
        if self.0.contains(namespace) {
            return Some(at.clone());
        }
        self.0.range(namespace.to_owned()..).next().map(|place| (place.clone(), 0))
    }
}

/// Whether a caller may see a version.
pub(in crate::ops) fn sight(actor: &Actor) -> impl Fn(&Key) -> bool + Send + Sync + use<> {
    let namespaces = actor.readable();
    move |(workload, _): &Key| {
        namespaces.as_ref().is_none_or(|namespaces| namespaces.contains(&workload.namespace()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_read_is_skipped_to_the_next_that_may() {
        let names = ["acme", "acme-eu", "zeta"].map(|name| name.parse().unwrap());
        let places = Places::new(names.into());
        let from = |workload: &str, sequence| places.from(&(workload.to_owned(), sequence));
        assert_eq!(from("", 0), Some(("acme-eu/".into(), 0)), "in the order of whole names");
        assert_eq!(from("acme-eu/x", 7), Some(("acme-eu/x".into(), 7)));
        assert_eq!(from("acme-us/x", 7), Some(("acme/".into(), 0)));
        assert_eq!(from("beta/x", 7), Some(("zeta/".into(), 0)));
        assert_eq!(from("zulu/x", 7), None);
        assert_eq!(Places::new(BTreeSet::new()).from(&(String::new(), 0)), None);
    }

    #[test]
    fn cursors_are_those_of_pages() {
        assert_eq!(read_cursor("acme/x:7").unwrap(), ("acme/x".into(), 7));
        assert_eq!(read_cursor("acme/:0").unwrap(), ("acme/".into(), 0));
        for bad in ["x", "acme/x", "acme/x:-1", "../x:1", "acme/x:y", ":1"] {
            assert_eq!(read_cursor(bad).unwrap_err().code, "cursor_invalid", "{bad}");
        }
    }
}
