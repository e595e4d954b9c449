//! From two sources to a report.

use super::report::{FORMAT, Report};
use super::request::Request;
use super::side::{Loaded, Source};
use crate::drift::compare::{Column, Finding};
use crate::drift::profile::{Kind, Profile};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Compares the current side with the reference.
///
/// Errors: options out of bounds, a column that was named and is nowhere, a side that cannot be read. What its columns
/// hold makes no error.
pub fn check(reference: &Source, current: &Source, request: &Request) -> Result<Report> {
    request.rules.check().map_err(|error| Error::invalid("drift_options", error.to_string()))?;
    let kinds = kinds([reference, current], request)?;
    let sides = [reference.load(&kinds, request)?, current.load(&kinds, request)?];
    let findings = examine(&kinds.into_keys().collect::<Vec<_>>(), &sides, request)?;
    let [r, c] = &sides;
    Ok(Report {
        format: FORMAT.to_owned(),
        reference: reference.report(r),
        current: current.report(c),
        run: request.rules.judge(findings, [r.rows, c.rows], &request.past_rows),
    })
}

/// The profile of a table. Errors: as for [`check`].
pub fn profile(source: &Source, request: &Request) -> Result<Profile> {
    source.profile(&kinds([source], request)?, request)
}

/// The columns to look at. A kind is that of the first side that knows it; of what nobody knows, text.
fn kinds<const N: usize>(sources: [&Source; N], request: &Request) -> Result<BTreeMap<String, Kind>> {
    let names: BTreeSet<String> =
        sources.iter().flat_map(|source| source.names()).map(str::to_owned).collect();
    request.check_names(&names)?;
    let known = sources.iter().map(|source| source.kinds(request)).collect::<Result<Vec<_>>>()?;
    let kind = |name: &String| {
        let inferred = known.iter().find_map(|kinds| kinds.get(name.as_str()).copied().flatten());
        request.kinds.get(name).copied().or(inferred).unwrap_or(Kind::Text)
    };
    let wanted = names.into_iter().filter(|name| request.wants(name));
    Ok(wanted
        .map(|name| {
            let kind = kind(&name);
            (name, kind)
        })
        .collect())
}

/// The columns on all cores.
fn examine(names: &[String], sides: &[Loaded<'_>; 2], request: &Request) -> Result<Vec<Finding>> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<Finding>> {
        let mut findings = vec![];
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = examine_one(name, sides, request);
            if found.is_err() {
                next.store(names.len(), Ordering::Relaxed);
            }
            findings.extend(found?);
        }
        Ok(findings)
    };
    let all: Result<Vec<Vec<Finding>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..request.threads.max(1)).map(|_| scope.spawn(work)).collect();
        let broken = || Error::invalid("table_unreadable", "a file breaks the rules of its format");
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(broken()))).collect()
    });
    Ok(all?.into_iter().flatten().collect())
}

fn examine_one(name: &str, sides: &[Loaded<'_>; 2], request: &Request) -> Result<Option<Finding>> {
    let is_rowless = sides.iter().any(|side| side.rows == 0);
    let [r, c] = sides;
    let (reference, current) = (r.column(name)?, c.column(name)?);
    let times = |side: &Loaded<'_>| if side.is_ambiguous(name) { 2 } else { 1 };
    let reference = listed(reference.as_deref(), times(r));
    let current = listed(current.as_deref(), times(c));
    Ok(request.rules.examine(&reference, &current, is_rowless))
}

fn listed(column: Option<&Column>, times: usize) -> Vec<&Column> {
    column.map_or(vec![], |column| vec![column; times])
}
