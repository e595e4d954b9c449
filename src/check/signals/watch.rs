//! From the signals asked for to columns.

use super::super::request::Request;
use super::super::sensitive::Sensitive;
use super::super::side::Source;
use super::{Recognised, Signals, concern, fields::fields, fit::misfits};
use crate::drift::compare::{Column, Finding, Options, Rules, Verdict};
use crate::drift::profile::{Kind, Profile};
use crate::drift::signals::{Derived, Preset, Role, Roles};
use crate::error::{Error, Result};
use crate::tables::Derivations;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Bytes of a column's name in a profile.
const MAX_NAME: usize = 512;

/// What signals make of the columns of all sides. Without signals nothing.
#[derive(Default)]
pub(in super::super) struct Watch {
    pub derivations: Derivations,
    /// Columns that are compared as they are.
    plain: BTreeMap<String, Kind>,
    pinned: BTreeSet<String>,
    /// Columns that tell how the service does.
    health: BTreeSet<String>,
    /// Columns that only others are made of, or that are no column to compare.
    hidden: BTreeSet<String>,
    outputs: BTreeSet<String>,
    pub vectors: Vec<String>,
    pub judge: Option<Judge>,
    /// Why columns of two versions cannot be compared.
    broken: BTreeMap<String, String>,
    recognised: Option<Recognised>,
}

/// Where the scores of a judge are.
pub(in super::super) struct Judge {
    pub score: String,
    pub id: Option<String>,
    pub anchor: String,
}

impl Watch {
    /// Errors: a role of no column, a schema that is none, or what reading gave.
    pub fn new(sources: &[&Source], request: &Request) -> Result<Self> {
        let sensitive = Sensitive::new(sources, request)?;
        let watch = match &request.signals {
            Some(signals) => Self::of_log(sources, request, signals, &sensitive)?,
            None => unasked(sources).map(|()| Self::default())?,
        };
        Ok(watch.hashing(&sensitive, sources, request)?.with_versions(sources))
    }

    /// Instead of columns that are not to be told, and of fields that would tell them, their hashes.
    fn hashing(mut self, sensitive: &Sensitive, sources: &[&Source], request: &Request) -> Result<Self> {
        let hashes = sensitive.hashes(&self.derivations, &self.outputs, sources, request)?;
        let is_told = |derived: &Derived| {
            sensitive.tells(&derived.name) || derived.signal.quotes() && sensitive.is_partly(&derived.source)
        };
        self.derivations.retain(|_, derived| !is_told(derived));
        self.hidden.extend(sensitive.columns.iter().cloned());
        self.derivations.extend(hashes);
        Ok(self)
    }

    /// Of the columns of a model's log.
    fn of_log(
        sources: &[&Source],
        request: &Request,
        signals: &Signals,
        sensitive: &Sensitive,
    ) -> Result<Self> {
        check_used(signals)?;
        let library = signals.library().map_err(|error| {
            Error::invalid("drift_output_schema", format!("the schema of outputs: {error}"))
                .hint("a JSON Schema that refers to nothing outside of itself")
        })?;
        // What is not to be told is taken for nothing.
        let untold = sensitive.without_role().map(|column| (column.as_str(), None));
        let said = signals.roles.iter().map(|(column, role)| (column.as_str(), *role));
        let given: Vec<(&str, Option<Role>)> = untold.chain(said).collect();
        let mut names: Vec<String> = vec![];
        let mut known = BTreeSet::new();
        for name in sources.iter().flat_map(|source| columns(source, &given)) {
            if known.insert(name.clone()) {
                names.push(name);
            }
        }
        request.check_known(signals.roles.keys(), &known)?;
        let of = |given: &[(&str, Option<Role>)]| Roles::of(names.iter().map(String::as_str), given);
        let misfits = misfits(&of(&given), &given, sources)?;
        let left = misfits.iter().map(|(column, _)| (column.as_str(), None));
        let roles = of(&left.chain(given.iter().copied()).collect::<Vec<_>>());
        let preset = Preset::new(signals.preset, &roles, &library);
        let mut watch = Self {
            plain: preset.plain.iter().map(|plain| (plain.name.clone(), plain.kind)).collect(),
            pinned: preset.plain.iter().filter(|it| it.is_pinned).map(|it| it.name.clone()).collect(),
            health: preset.plain.iter().filter(|it| it.role.is_health()).map(|it| it.name.clone()).collect(),
            vectors: preset.vectors.iter().filter(|name| request.wants(name)).cloned().collect(),
            judge: Judge::of(&roles).filter(|judge| request.wants(&judge.score)),
            recognised: Some(recognised(signals, &roles, &preset, &misfits)),
            ..Self::default()
        };
        let used = roles.columns.iter().filter(|(name, _)| !preset.unrecognised.contains(name));
        for (name, role) in used {
            if role.kind().is_none() {
                watch.hidden.insert(name.clone());
            }
            if *role == Role::Output {
                watch.outputs.insert(name.clone());
                let fields = fields(name, sources)?.into_iter();
                watch.derivations.extend(fields.map(|field| (field.name.clone(), field)));
            }
        }
        let derived = preset.derived.into_iter();
        watch.derivations.extend(derived.map(|derived| (derived.name.clone(), derived)));
        watch.derivations.retain(|name, _| name.len() <= MAX_NAME);
        watch.hide_members(&names, &roles);
        if let Some(recognised) = &mut watch.recognised {
            // Objects are no columns.
            let columns: HashSet<&str> = sources.iter().flat_map(|source| source.names()).collect();
            let is_column = |name: &String| columns.contains(name.as_str()) && !watch.hidden.contains(name);
            recognised.unrecognised.retain(is_column);
        }
        Ok(watch)
    }

    /// Members of an output that is an object are its fields, unless they are something of their own, such as the model.
    fn hide_members(&mut self, names: &[String], roles: &Roles) {
        let is_plain = |name: &str| roles.unrecognised.iter().any(|other| other == name);
        let is_member = |name: &str| {
            self.outputs
                .iter()
                .any(|output| name.strip_prefix(output.as_str()).is_some_and(|rest| rest.starts_with('.')))
        };
        let members: Vec<String> =
            names.iter().filter(|name| is_member(name) && is_plain(name)).cloned().collect();
        self.hidden.extend(members);
    }

    /// Finds columns that the sides derived by different lists.
    fn with_versions(mut self, sources: &[&Source]) -> Self {
        let mut by: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for source in sources {
            let own = match source.as_profile() {
                Some(profile) => profile.derivations().clone(),
                None => self.versions(source),
            };
            for (column, version) in own {
                let versions = by.entry(column).or_default();
                if !versions.contains(&version) {
                    versions.push(version);
                }
            }
        }
        if let Some(recognised) = &mut self.recognised {
            recognised.lexicons.extend(by.values().flatten().cloned());
        }
        for (column, versions) in by.into_iter().filter(|(_, versions)| versions.len() > 1) {
            let why = format!(
                "The sides were derived by different lists or keys, by which values differ though nothing drifted: {}.",
                versions.join(" and ")
            );
            self.broken.insert(column, why);
        }
        self
    }

    /// What the columns of a table are derived by, where that has a version.
    pub fn versions(&self, source: &Source) -> BTreeMap<String, String> {
        let derived = self.derivations.values().filter(|derived| source.derives(derived));
        derived
            .filter_map(|derived| Some((derived.name.clone(), derived.signal.version()?.to_owned())))
            .collect()
    }

    /// The column that this one is derived from, or itself.
    pub fn source<'a>(&'a self, name: &'a str) -> &'a str {
        self.derivations.get(name).map_or(name, |derived| &derived.source)
    }

    /// The kind of a column as the preset has it.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        let derived = self.derivations.get(name).map(|derived| derived.signal.kind());
        derived.or_else(|| self.plain.get(name).copied())
    }

    /// Whether the column is compared.
    pub fn wants(&self, name: &str, request: &Request) -> bool {
        match self.derivations.get(name) {
            None => request.wants(name) && !self.hidden.contains(name),
            Some(derived) => {
                let source = &derived.source;
                let is_asked =
                    request.only.is_empty() || request.only.contains(source) || request.only.contains(name);
                is_asked && !request.ignored.contains(source) && !request.ignored.contains(name)
            }
        }
    }

    /// For the report, with what could not be done.
    pub fn recognised(&self, notes: Vec<String>) -> Option<Recognised> {
        let mut recognised = self.recognised.clone();
        recognised.iter_mut().for_each(|recognised| recognised.notes.extend_from_slice(&notes));
        recognised
    }

    /// Names that people may say, besides those of columns.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.derivations.keys().chain(&self.hidden)
    }

    /// Before it is judged: sets what is special about a column that was examined.
    pub fn mark(&self, finding: &mut Finding, sides: [Option<&Column>; 2], rules: &Rules) {
        if let Some(why) = self.broken.get(&finding.column) {
            finding.tests.clear();
            finding.verdict = Verdict::Invalid;
            finding.reason.clone_from(why);
            return;
        }
        let usual = Options::default();
        let options = if let Rules::Sound(options) = rules { options } else { &usual };
        if let ([Some(reference), Some(current)], Some(derived)) = (sides, self.of_output(&finding.column)) {
            finding.concern = concern::concern(derived.signal.name(), reference, current, options.alpha);
        }
        if let ([Some(reference), Some(current)], true) = (sides, self.health.contains(&finding.column)) {
            finding.concern = concern::health(reference, current, options);
        }
        if matches!(rules, Rules::Sound(_)) {
            if self.pinned.contains(&finding.column) {
                finding.pin(options);
            }
            if self.of_output(&finding.column).is_some_and(|derived| concern::is_rule(derived.signal.name()))
            {
                finding.pin_rule(options);
            }
        }
    }

    /// After it was judged.
    pub fn settle(&self, finding: &mut Finding) {
        if self.of_output(&finding.column).is_some() || self.health.contains(&finding.column) {
            concern::settle(finding);
        }
        if self.pinned.contains(&finding.column) {
            finding.explain_pin();
        }
    }

    fn of_output(&self, column: &str) -> Option<&Derived> {
        self.derivations.get(column).filter(|derived| self.outputs.contains(&derived.source))
    }
}

impl Judge {
    /// The columns of a profile that keep the scores of anchors, and all others.
    pub fn kept(&self) -> [String; 2] {
        ["anchors", "others"].map(|whose| format!("{}:{whose}", self.score))
    }

    /// Without scores or anchors there is nothing to tell apart.
    fn of(roles: &Roles) -> Option<Self> {
        let column = |role| roles.column(role).map(str::to_owned);
        Some(Self {
            score: column(Role::JudgeScore)?,
            id: column(Role::JudgeId),
            anchor: column(Role::Anchor)?,
        })
    }
}

/// The columns of a source, those that others lie in, and those that a profile's were derived from.
fn columns(source: &Source, given: &[(&str, Option<Role>)]) -> Vec<String> {
    let Some(profile) = source.as_profile() else { return source.columns() };
    let source_of = |name: &str| {
        let cut = name.find(":$").or_else(|| name.rfind(':'))?;
        let source = &name[..cut];
        let said = given.iter().find(|(column, _)| *column == source).map(|(_, role)| *role);
        let role = said.unwrap_or_else(|| Role::of(source));
        // Of what is compared as it is nothing is derived, but for this one.
        role.filter(|role| role.kind().is_none() || *role == Role::BaseDigest).map(|_| source.to_owned())
    };
    let names = profile.columns().iter().map(|column| column.name());
    names.map(|name| source_of(name).unwrap_or_else(|| name.to_owned())).collect()
}

fn recognised(signals: &Signals, roles: &Roles, preset: &Preset, misfits: &[(String, Role)]) -> Recognised {
    let left = |(column, role): &(String, Role)| {
        format!(
            "{column} was left as it is: it is called like a {}, and its values are none.",
            role.name().replace('_', " ")
        )
    };
    let used = roles.columns.iter().filter(|(name, _)| !preset.unrecognised.contains(name));
    Recognised {
        preset: signals.preset,
        roles: used.cloned().collect(),
        lexicons: BTreeSet::new(),
        unrecognised: preset.unrecognised.clone(),
        absent: preset.absent.clone(),
        notes: misfits.iter().map(left).collect(),
    }
}

/// Refuses what the preset has no use for: it would do nothing, and nobody would see.
fn check_used(signals: &Signals) -> Result<()> {
    let used = signals.preset.roles();
    let refused = |what: String| {
        let message = format!("the preset {} does not use {what}", signals.preset.name());
        Err(Error::invalid("drift_preset", message)
            .hint("base_digest and win are of the preset adapter, vector is of weights"))
    };
    if signals.base.is_some() && !used.contains(&Role::BaseDigest) {
        return refused("the digest of a base model".to_owned());
    }
    let unused = signals
        .roles
        .iter()
        .find_map(|(column, role)| Some((column, role.filter(|role| !used.contains(role))?)));
    match unused {
        Some((column, role)) => refused(format!("{}, which {column} was said to be", role.name())),
        None => Ok(()),
    }
}

/// Refuses a profile with signals beside a table of which none were asked for.
fn unasked(sources: &[&Source]) -> Result<()> {
    let profiles = || sources.iter().filter_map(|source| source.as_profile());
    let is_mixed = profiles().count() < sources.len();
    let has_signals =
        |profile: &Profile| profile.derivations().keys().any(|name| Derived::hashes_of(name).is_none());
    if is_mixed && profiles().any(has_signals) {
        let message = "the profile has signals of texts, and none of the data are asked for";
        return Err(Error::invalid("drift_preset", message)
            .hint("say with --preset what the profile was made with: prompt, adapter or weights"));
    }
    Ok(())
}
