//! Columns whose values are compared and not told.

use super::request::Request;
use super::side::Source;
use crate::drift::signals::Derived;
use crate::error::{Error, Result};
use crate::tables::Derivations;
use std::collections::BTreeSet;

/// Those asked for, each member of an object that was asked for, and those that a profile has as hashes.
///
/// Errors: one that neither side has, or one that is also asked for as it is.
pub(super) fn sensitive(sources: &[&Source], request: &Request) -> Result<BTreeSet<String>> {
    let names: BTreeSet<&str> = sources.iter().flat_map(|source| source.names()).collect();
    let columns: BTreeSet<String> = sources.iter().flat_map(|source| source.columns()).collect();
    let hashed = sources.iter().filter_map(|source| source.as_profile()).flat_map(|profile| {
        profile.derivations().keys().filter_map(|name| Derived::hashes_of(name)).map(str::to_owned)
    });
    let mut found: BTreeSet<String> = hashed.collect();
    for asked in &request.sensitive {
        let is_meant = |name: &&&str| **name == asked || is_member(name, asked);
        let meant: Vec<String> = names.iter().filter(is_meant).map(|name| (*name).to_owned()).collect();
        let field = Derived::field(asked).filter(|(source, _)| columns.contains(source));
        let field = field.map(|(source, field)| format!("{source}:{field}"));
        if meant.is_empty() && field.is_none() && !found.contains(asked) {
            return Err(Error::invalid("drift_column", format!("neither side has a column {asked}")).hint(
                "name columns that are not to be told as the data have them, or fields as output:$.name",
            ));
        }
        found.extend(meant.into_iter().chain(field));
    }
    check_unused(&found, request).map(|()| found)
}

/// What is asked for as it is would be told.
fn check_unused(sensitive: &BTreeSet<String>, request: &Request) -> Result<()> {
    let refused = |name: &str, why: &str| {
        Err(Error::invalid("drift_sensitive", format!("{name} is not to be told, and {why}"))
            .hint("only ids may be both; leave out one of the two"))
    };
    if let Some(name) = request.kinds.keys().find(|name| sensitive.contains(*name)) {
        return refused(name, "its hashes are categories, whatever its type");
    }
    let roles = request.signals.iter().flat_map(|signals| &signals.roles);
    if let Some((name, _)) =
        roles.filter(|(_, role)| role.is_some()).find(|(name, _)| sensitive.contains(*name))
    {
        return refused(name, "what it holds in a log is looked at as it is");
    }
    let told = request.performance.iter().flat_map(|asked| asked.told());
    match told.into_iter().find(|name| sensitive.contains(*name)) {
        Some(name) => refused(name, "classes and answers are named in a report of performance"),
        None => Ok(()),
    }
}

/// The hashes of columns. Errors: there is no key.
pub(super) fn derivations(
    sensitive: &BTreeSet<String>,
    sources: &[&Source],
    request: &Request,
) -> Result<Derivations> {
    let is_read = sources.iter().any(|source| source.as_profile().is_none());
    let derived = |name: &String| match &request.hash_key {
        Some(key) => Ok(Derived::hashed(name, key)),
        None => Err(Error::invalid("drift_key", format!("{name} is to be hashed, and there is no key"))
            .hint("gradus drift key NAMESPACE -o FILE, and --sensitive-key FILE")),
    };
    // A profile has its hashes.
    let names = sensitive.iter().filter(|_| is_read);
    Ok(names
        .map(derived)
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .map(|derived| (derived.name.clone(), derived))
        .collect())
}

/// Whether a column, or a field of a text, is within an object or a text of this name.
fn is_member(name: &str, outer: &str) -> bool {
    name.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
}

/// Whether a column that was computed tells values of one that is not to be told: itself, a field of it, or the field that a
/// member of an output is.
pub(super) fn tells(derived: &Derived, sensitive: &BTreeSet<String>) -> bool {
    let as_member = derived.name.replacen(":$.", ".", 1);
    sensitive.iter().any(|name| {
        derived.source == *name
            || derived.name == *name
            || as_member == *name
            || is_member(&derived.name, name)
            || is_member(&as_member, name)
    })
}
