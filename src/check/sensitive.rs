//! Columns whose values are compared and not told.

use super::performance::Performance;
use super::request::Request;
use super::side::Source;
use super::signals::Signals;
use crate::drift::profile::{Kind, Profile};
use crate::drift::signals::Derived;
use crate::error::{Error, Result};
use crate::tables::Derivations;
use std::collections::{BTreeMap, BTreeSet};

/// What is not to be told: columns, objects with all that is in them, and fields of outputs.
#[derive(Default)]
pub(super) struct Sensitive {
    /// What somebody named, and what a profile has as hashes.
    named: BTreeSet<String>,
    /// The columns that are meant.
    pub columns: BTreeSet<String>,
}

impl Sensitive {
    /// Errors: a name that neither side knows, or that is also asked for as it is.
    pub fn new(sources: &[&Source], request: &Request) -> Result<Self> {
        check_sensitive(
            &request.sensitive,
            &request.kinds,
            request.signals.as_ref(),
            request.performance.as_ref(),
        )?;
        let hashed: BTreeSet<String> =
            sources.iter().filter_map(|source| source.as_profile()).flat_map(hashed).collect();
        let known: BTreeSet<String> = sources.iter().flat_map(|source| source.columns()).collect();
        let said = sources.iter().filter_map(|source| source.as_profile()).flat_map(Profile::sensitive);
        let said: BTreeSet<String> = said.cloned().collect();
        let within_known = |asked: &String| {
            let is_field = Derived::field(asked).is_some_and(|(source, _)| known.contains(&source));
            is_field || known.iter().chain(&hashed).any(|name| is_within(name, asked))
        };
        // An empty file has no columns, and tells nothing.
        let is_unknown =
            |asked: &&String| !known.is_empty() && !said.contains(*asked) && !within_known(asked);
        if let Some(unknown) = request.sensitive.iter().find(is_unknown) {
            return Err(Error::invalid("drift_column", format!("neither side has a column {unknown}")).hint(
                "name columns that are not to be told as the data have them, or fields as output:$.name",
            ));
        }
        let mut sensitive = Self { named: request.sensitive.clone(), columns: hashed.clone() };
        sensitive.named.extend(hashed.into_iter().chain(said));
        let plain = sources.iter().flat_map(|source| plain(source));
        let meant: Vec<String> = plain.filter(|name| sensitive.tells(name)).map(str::to_owned).collect();
        if let (Some(told), true) =
            (meant.first(), sources.iter().all(|source| source.as_profile().is_some()))
        {
            return Err(telling(format!("a profile tells {told}")));
        }
        sensitive.columns.extend(meant);
        Ok(sensitive)
    }

    /// Whether some of what is not to be told is a part of this column.
    pub fn is_partly(&self, column: &str) -> bool {
        self.named.iter().any(|name| is_within(name, column))
    }

    /// Whether a column of this name would tell something: it is one of these, in one, or made of one.
    pub fn tells(&self, column: &str) -> bool {
        self.named.iter().any(|name| is_within(column, name))
    }

    /// All that is taken for nothing where signals are looked for.
    pub fn without_role(&self) -> impl Iterator<Item = &String> {
        self.named.iter().chain(&self.columns)
    }

    /// The hashes that stand for columns and for fields that would be looked at. Errors: there is no key; or a field of something
    /// that is no output, and would be looked at as a whole.
    pub fn hashes(
        &self,
        derived: &Derivations,
        outputs: &BTreeSet<String>,
        sources: &[&Source],
        request: &Request,
    ) -> Result<Derivations> {
        // Profiles have their hashes.
        if sources.iter().all(|source| source.as_profile().is_some()) {
            return Ok(Derivations::new());
        }
        // Members of an output that is an object are its fields.
        let is_field = |column: &&String| !derived.values().any(|it| path(&it.name) == path(column));
        let mut names: BTreeSet<String> = self.columns.iter().filter(is_field).cloned().collect();
        let is_made_of_one = |it: &&Derived| self.tells(&it.name) && !self.columns.contains(&it.source);
        names.extend(derived.values().filter(is_made_of_one).map(|it| it.name.clone()));
        for asked in &self.named {
            let Some((source, field)) = Derived::field(asked) else { continue };
            if self.tells(&source) {
                continue;
            }
            if !outputs.contains(&source) {
                return Err(Error::invalid(
                    "drift_sensitive",
                    format!("{source} is not looked at by its fields"),
                )
                .hint(format!("name {source} itself, or take it for an output with --preset")));
            }
            let name = format!("{source}:{field}");
            if !names.iter().any(|known| is_within(known, &name)) {
                names.insert(name);
            }
        }
        let hashes = |name: &String| match &request.hash_key {
            Some(key) => Ok(Derived::hashed(name, key)),
            None => Err(Error::invalid("drift_key", format!("{name} is to be hashed, and there is no key"))
                .hint("gradus drift key NAMESPACE -o FILE, and --sensitive-key FILE")),
        };
        let hashes = names.iter().map(hashes).collect::<Result<Vec<_>>>()?;
        let tables = || sources.iter().filter(|source| source.as_profile().is_none());
        let is_there = |it: &&Derived| tables().any(|source| source.names().contains(&it.name.as_str()));
        if let Some(taken) = hashes.iter().find(is_there) {
            return Err(Error::invalid(
                "drift_sensitive",
                format!("the data have a column {} of their own", taken.name),
            )
            .hint("rename it, or leave it out of the data"));
        }
        Ok(hashes.into_iter().map(|derived| (derived.name.clone(), derived)).collect())
    }
}

/// Refuses to ask for something as it is that is not to be told.
pub fn check_sensitive(
    sensitive: &BTreeSet<String>,
    kinds: &BTreeMap<String, Kind>,
    signals: Option<&Signals>,
    performance: Option<&Performance>,
) -> Result<()> {
    let found = |name: &&String| sensitive.iter().any(|asked| is_within(name, asked));
    let refused = |name: &str, why: &str| {
        Err(Error::invalid("drift_sensitive", format!("{name} is not to be told, and {why}"))
            .hint("only ids may be both; leave out one of the two"))
    };
    if let Some(name) = kinds.keys().find(found) {
        return refused(name, "its hashes are categories, whatever its type");
    }
    let roles = signals.into_iter().flat_map(|signals| &signals.roles);
    if let Some(name) = roles.filter(|(_, role)| role.is_some()).map(|(name, _)| name).find(found) {
        return refused(name, "what it holds in a log is looked at as it is");
    }
    match performance.into_iter().flat_map(Performance::told).find(found) {
        Some(name) => refused(name, "classes and answers are named in a report of performance"),
        None => Ok(()),
    }
}

/// Refuses a profile that tells what is not to be told, or was made without knowing that it is.
pub fn check_untold(profile: &Profile, sensitive: &BTreeSet<String>) -> Result<()> {
    let measured = profile.performance().into_iter().flat_map(|it| it.target.iter().chain(&it.prediction));
    let mut told = unhashed(profile).chain(measured.map(String::as_str));
    if let Some(column) = told.find(|column| sensitive.iter().any(|asked| is_within(column, asked))) {
        return Err(telling(format!("the profile tells {column}")));
    }
    let hashed = hashed(profile);
    let is_known = |asked: &String| {
        profile.sensitive().iter().any(|said| is_within(asked, said))
            || hashed.iter().any(|name| is_within(name, asked))
    };
    match sensitive.iter().find(|asked| !is_known(asked)) {
        Some(asked) => Err(telling(format!("the profile was made without keeping {asked} back"))),
        None => Ok(()),
    }
}

fn telling(message: String) -> Error {
    Error::invalid("drift_sensitive", message)
        .hint("make it anew: gradus drift profile --sensitive NAMES --sensitive-key FILE")
}

/// The columns whose hashes a profile has.
fn hashed(profile: &Profile) -> BTreeSet<String> {
    profile.derivations().keys().filter_map(|name| Derived::hashes_of(name)).map(str::to_owned).collect()
}

fn unhashed(profile: &Profile) -> impl Iterator<Item = &str> {
    let names = profile.columns().iter().map(|column| column.name());
    names.filter(|name| !(profile.derivations().contains_key(*name) && Derived::hashes_of(name).is_some()))
}

/// The columns of a source that are no hashes.
fn plain(source: &Source) -> Vec<&str> {
    source.as_profile().map_or_else(|| source.names(), |profile| unhashed(profile).collect())
}

/// Whether something is, or is part of or made of, what another name means: `customer.email`, `customer:language` and
/// `output:$.customer` are of `customer`, `customer` and `output.customer`.
fn is_within(name: &str, asked: &str) -> bool {
    let (name, asked) = (path(name), path(asked));
    name.strip_prefix(&asked).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ':', '[']))
}

/// A field as a member of an object is called.
fn path(name: &str) -> String {
    match Derived::field(name) {
        Some((source, field)) => {
            let keys = field.keys().iter().map(|key| key.trim());
            std::iter::once(source.as_str()).chain(keys).collect::<Vec<_>>().join(".")
        }
        None => name.trim().to_owned(),
    }
}
