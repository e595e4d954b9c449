//! From two sources to a report.

use super::performance;
use super::report::{FORMAT, Report};
use super::request::Request;
use super::side::{Loaded, Source};
use super::signals::{self, Watch};
use crate::drift::compare::{Column, Finding, Rules};
use crate::drift::profile::{Invalid, Kind, Profile};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Compares the current side with the reference; labels of the current side may come from elsewhere.
///
/// Errors: options out of bounds, a column that was named and is nowhere, a side that cannot be read. What its columns
/// hold makes no error.
pub fn check(
    reference: &Source,
    current: &Source,
    labels: Option<&Source>,
    request: &Request,
) -> Result<Report> {
    request.rules.check().map_err(|error| Error::invalid("drift_options", error.to_string()))?;
    let looked = look([reference, current], request)?;
    // The digests of all that is read are only for the report, and take as long as much else.
    std::thread::scope(|scope| {
        let sources = [Some(reference), Some(current), labels].into_iter().flatten();
        sources.clone().for_each(|source| drop(scope.spawn(move || source.inputs())));
        let compared = compare([reference, current], labels, looked, request);
        sources.for_each(Source::stop);
        compared
    })
}

fn compare(
    [reference, current]: [&Source; 2],
    labels: Option<&Source>,
    mut looked: Looked,
    request: &Request,
) -> Result<Report> {
    let mut request = request.clone();
    if let Rules::Evidently07(evidently) = &mut request.rules {
        evidently.fractions.clone_from(&looked.fractions);
    }
    let examined = match &request.performance {
        Some(asked) => {
            performance::leave_data(&mut looked.kinds, asked, &[reference, current]);
            Some(performance::examine([reference, current], labels, asked, &request)?)
        }
        None => None,
    };
    let sides = [reference.load(&looked, &request)?, current.load(&looked, &request)?];
    let mut findings = examine(&looked, &sides, &request)?;
    findings.extend(examined.iter().flat_map(|examined| examined.findings.clone()));
    let watch = &looked.watch;
    let (vectors, mut notes) = signals::vectors([reference, current], watch, &request)?;
    findings.extend(vectors);
    let [r, c] = &sides;
    let mut run = request.rules.judge(findings, [r.rows, c.rows], &request.past_rows);
    let performance = examined.and_then(|examined| examined.conclude(&mut run));
    run.columns.iter_mut().for_each(|finding| watch.settle(finding));
    let (judge, note) = signals::judge([reference, current], watch)?;
    notes.extend(note);
    if let Some(judge) = &judge {
        signals::attribute(&mut run, watch, judge);
    }
    Ok(Report {
        format: FORMAT.to_owned(),
        reference: reference.report(r)?,
        current: current.report(c)?,
        run,
        performance,
        signals: watch.recognised(notes),
        judge,
    })
}

/// The profile of a table, whose labels may come from elsewhere. Errors: as for [`check`].
pub fn profile(source: &Source, labels: Option<&Source>, request: &Request) -> Result<Profile> {
    let mut looked = look([source], request)?;
    if let Some(asked) = &request.performance {
        performance::leave_data(&mut looked.kinds, asked, &[source]);
    }
    let profile = source.profile(&looked, request)?;
    let profile = signals::with_scores(source, &looked.watch, profile)?;
    let Some(asked) = &request.performance else { return Ok(profile) };
    let measures = performance::measure(source, labels, asked, request)?;
    let refused = |error: Invalid| Error::invalid("profile_invalid", error.to_string());
    profile.with_performance(Some(measures)).map_err(refused)
}

/// The columns to look at.
pub(super) struct Looked {
    pub kinds: BTreeMap<String, Kind>,
    /// Those whose numbers are not whole by their type on some side.
    fractions: BTreeSet<String>,
    pub watch: Watch,
}

/// A kind is that of a profile, or else of the first side that knows it; of what nobody knows, text. Evidently takes types
/// from the current side.
pub(super) fn look<const N: usize>(mut sources: [&Source; N], request: &Request) -> Result<Looked> {
    let mut names: BTreeSet<String> =
        sources.iter().flat_map(|source| source.names()).map(str::to_owned).collect();
    let watch = Watch::new(&sources, request)?;
    request.check_names(&names.iter().chain(watch.names()).cloned().collect())?;
    names.extend(watch.derivations.keys().cloned());
    if request.is_compat() {
        sources.reverse();
    }
    // The kinds of a profile are fixed.
    sources.sort_by_key(|source| source.as_profile().is_none());
    let inferred = sources.iter().map(|source| source.inferred(request)).collect::<Result<Vec<_>>>()?;
    let all =
        |name: &str| inferred.iter().filter_map(|columns| columns.get(name)).copied().collect::<Vec<_>>();
    let (mut kinds, mut fractions) = (BTreeMap::new(), BTreeSet::new());
    for name in names.into_iter().filter(|name| watch.wants(name, request)) {
        let inferred = all(&name);
        let seen = inferred.iter().find_map(|inferred| inferred.kind);
        if inferred.iter().any(|inferred| !inferred.is_whole) {
            fractions.insert(name.clone());
        }
        // A profile's kinds are fixed; those of a preset are not to be guessed.
        let fixed = sources[0].as_profile().is_some_and(|profile| profile.column(&name).is_some());
        let preset = watch.kind(&name).filter(|_| !fixed);
        // Whoever fixes bins says that it has numbers.
        let binned = request.bins(&name).map(|_| Kind::Numeric);
        let said = request.kinds.get(&name).copied();
        let kind = said.or(preset).or(binned).or(seen).unwrap_or(Kind::Text);
        kinds.insert(name, kind);
    }
    request.check_binned(&kinds, true)?;
    Ok(Looked { kinds, fractions, watch })
}

/// The columns on all cores.
fn examine(looked: &Looked, sides: &[Loaded<'_>; 2], request: &Request) -> Result<Vec<Finding>> {
    let names: Vec<&String> = looked.kinds.keys().collect();
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<Finding>> {
        let mut findings = vec![];
        while let Some(name) = names.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = examine_one(name, &looked.watch, sides, request);
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
        // All are waited for, whatever the first one says.
        let ends: Vec<_> =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(broken()))).collect();
        ends.into_iter().collect()
    });
    Ok(all?.into_iter().flatten().collect())
}

fn examine_one(
    name: &str,
    watch: &Watch,
    sides: &[Loaded<'_>; 2],
    request: &Request,
) -> Result<Option<Finding>> {
    let is_rowless = sides.iter().any(|side| side.rows == 0);
    let [r, c] = sides;
    let (reference, current) = (r.column(name)?, c.column(name)?);
    let times = |side: &Loaded<'_>| if side.is_ambiguous(name) { 2 } else { 1 };
    let reference = listed(reference.as_deref(), times(r));
    let current = listed(current.as_deref(), times(c));
    let mut found = request.rules.examine(&reference, &current, is_rowless);
    if let Some(finding) = &mut found {
        watch.mark(finding, [reference.first().copied(), current.first().copied()], &request.rules);
    }
    Ok(found)
}

fn listed(column: Option<&Column>, times: usize) -> Vec<&Column> {
    column.map_or(vec![], |column| vec![column; times])
}
