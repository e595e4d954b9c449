//! One side of a check, read as far as it has to be.

use super::digest::{digests, seed};
use super::report::{Input, SideReport};
use super::request::Request;
use crate::drift::compare::{Column, Side};
use crate::drift::profile::{ColumnPlan, Kind, Plan, Profile, Seed, Settings};
use crate::error::{Error, Result};
use crate::tables::{Format, Inferred, Table, infer, scan};
use crate::{drift::collect::Collected, tables};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A table whose files say that it has at most so many rows is used whole.
const EXACT_ROWS: u64 = 2 << 20;
/// And so is one of so many bytes, if its files do not say how many rows they have.
const EXACT_BYTES: u64 = 64 << 20;
/// The longest profile that is read.
const PROFILE_MAX: u64 = 64 << 20;

/// Where a side comes from.
pub struct Source {
    inputs: Vec<Input>,
    seed: Seed,
    content: Content,
}

enum Content {
    Table(Table),
    Profile(Box<Profile>),
}

impl Source {
    /// Opens files, which are a profile if there is one and it looks like one. Errors: those of
    /// [`Table::open`], or a profile that is none.
    pub fn open(files: Vec<Arc<dyn tables::Input>>, format: Option<Format>, threads: usize) -> Result<Self> {
        let digests = digests(&files, threads)?;
        let seed = seed(&digests);
        let named = files.iter().zip(digests).map(|(file, sha256)| Input {
            name: file.name().to_owned(),
            bytes: file.len(),
            sha256,
        });
        let inputs = named.collect();
        let content = match files.as_slice() {
            [file] if format.is_none() && is_profile(&**file) => {
                Content::Profile(Box::new(profile(&**file)?))
            }
            _ => Content::Table(Table::open(files, format)?),
        };
        Ok(Self { inputs, seed, content })
    }

    /// What is drawn at random is drawn from here.
    pub(super) fn seed(&self) -> Seed {
        self.seed
    }

    pub fn of_profile(inputs: Vec<Input>, profile: Profile) -> Self {
        Self { inputs, seed: profile.seed(), content: Content::Profile(Box::new(profile)) }
    }

    /// The profile that it is, if it is one.
    pub fn as_profile(&self) -> Option<&Profile> {
        match &self.content {
            Content::Profile(profile) => Some(profile),
            Content::Table(_) => None,
        }
    }

    /// The table that it is, if it is one.
    pub(super) fn table(&self) -> Option<&Table> {
        match &self.content {
            Content::Table(table) => Some(table),
            Content::Profile(_) => None,
        }
    }

    pub(super) fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    pub fn names(&self) -> Vec<&str> {
        match &self.content {
            Content::Table(table) => table.names().iter().map(String::as_str).collect(),
            Content::Profile(profile) => profile.columns().iter().map(|column| column.name()).collect(),
        }
    }

    /// What its columns look like.
    pub(super) fn inferred(&self, request: &Request) -> Result<HashMap<&str, Inferred>> {
        let inferred = match &self.content {
            Content::Table(table) => guarded(|| infer(table, request.inference()))?,
            Content::Profile(profile) => {
                let kinds = profile.columns().iter().map(|column| Some(column.kind()));
                kinds.map(|kind| Inferred { kind, is_whole: false }).collect()
            }
        };
        Ok(self.names().into_iter().zip(inferred).collect())
    }

    /// Reads what is to be in memory, with columns of these kinds.
    pub(super) fn load(&self, kinds: &BTreeMap<String, Kind>, request: &Request) -> Result<Loaded<'_>> {
        let (rows, is_exact, columns) = match &self.content {
            Content::Profile(profile) => {
                let side = Side::from(&**profile);
                let is_exact = side.columns.iter().all(Column::is_exact);
                let wanted = side.columns.into_iter().filter(|column| kinds.contains_key(&column.name));
                let columns = wanted.map(|column| (column.name.clone(), column)).collect();
                (side.rows, is_exact, Columns::InMemory(columns))
            }
            Content::Table(table) => {
                let is_exact = request.is_compat()
                    || table.rows().map_or(table.bytes() <= EXACT_BYTES, |rows| rows <= EXACT_ROWS);
                let plan = self.plan(table, kinds, request.is_compat());
                match table.rows() {
                    Some(rows) if is_exact && table.is_columnar() => {
                        (rows, is_exact, Columns::Apart(table, plan))
                    }
                    _ => {
                        let scanned = scan(table, &plan, is_exact, request.threads)?;
                        let columns = scanned.columns.into_iter().map(Collected::into_column);
                        let columns = columns.map(|column| (column.name.clone(), column)).collect();
                        (scanned.rows, is_exact, Columns::InMemory(columns))
                    }
                }
            }
        };
        let ambiguous = match &self.content {
            Content::Table(table) => {
                self.names().into_iter().filter(|name| table.is_ambiguous(name)).collect()
            }
            Content::Profile(_) => HashSet::new(),
        };
        Ok(Loaded { rows, is_exact, ambiguous, columns })
    }

    /// A profile of a table. Errors: the table cannot be read, or it is a profile already.
    pub(super) fn profile(&self, kinds: &BTreeMap<String, Kind>, request: &Request) -> Result<Profile> {
        let Content::Table(table) = &self.content else {
            return Err(Error::invalid("profile_of_profile", "it is a profile already")
                .hint("merge profiles with: gradus drift merge"));
        };
        if let Some(name) = kinds.keys().find(|name| table.is_ambiguous(name)) {
            let message = format!("there are two columns of the name {name}");
            return Err(
                Error::invalid("table_columns", message).hint("leave them out with --ignore, or rename one")
            );
        }
        let plan = self.plan(table, kinds, false);
        let refused =
            |error: crate::drift::profile::Invalid| Error::invalid("profile_invalid", error.to_string());
        scan(table, &plan, false, request.threads)?.into_profile(&plan).map_err(refused)
    }

    fn plan(&self, table: &Table, kinds: &BTreeMap<String, Kind>, is_compat: bool) -> Plan {
        let named = table.names().iter().filter_map(|name| Some((name, *kinds.get(name)?)));
        let columns: Vec<ColumnPlan> =
            named.map(|(name, kind)| ColumnPlan { name: name.clone(), kind, bins: None }).collect();
        let mut settings = Settings::for_columns(columns.len());
        if is_compat {
            // Its scores are of all categories.
            settings.categories = 65_536;
        }
        Plan { seed: self.seed, settings, columns }
    }

    pub(super) fn report(&self, loaded: &Loaded<'_>) -> SideReport {
        SideReport {
            inputs: self.inputs.clone(),
            rows: loaded.rows,
            exact: loaded.is_exact,
            profile: matches!(self.content, Content::Profile(_)),
        }
    }
}

/// The readers of formats panic on some bytes that no writer makes.
pub(super) fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(Error::invalid("table_unreadable", "a file breaks the rules of its format")
            .hint("write the file anew, or leave it out"))
    })
}

/// Profiles begin with the name of their format.
fn is_profile(file: &dyn tables::Input) -> bool {
    let start = file.read_at(0, file.len().min(64) as usize).unwrap_or_default();
    let text = String::from_utf8_lossy(&start).replace(' ', "");
    file.name().ends_with(".profile") || text.contains("\"format\":\"drift-profile")
}

fn profile(file: &dyn tables::Input) -> Result<Profile> {
    let name = file.name();
    if file.len() > PROFILE_MAX {
        let message = format!("{name} is a profile of more than {} MiB", PROFILE_MAX >> 20);
        return Err(Error::too_large("profile_too_large", message).hint("profile fewer columns"));
    }
    let bytes = file
        .read_at(0, file.len() as usize)
        .map_err(|error| Error::unavailable("table_unavailable", format!("cannot read {name}: {error}")))?;
    Profile::parse(&bytes).map_err(|error| {
        Error::invalid("profile_invalid", format!("{name} is no profile: {error}"))
            .hint("make it anew: gradus drift profile")
    })
}

/// A side that columns can be had of.
pub(super) struct Loaded<'s> {
    pub rows: u64,
    pub is_exact: bool,
    ambiguous: HashSet<&'s str>,
    columns: Columns<'s>,
}

enum Columns<'s> {
    InMemory(HashMap<String, Column>),
    /// Each is read when it is asked for.
    Apart(&'s Table, Plan),
}

impl Loaded<'_> {
    /// Errors: it cannot be read.
    pub fn column(&self, name: &str) -> Result<Option<Cow<'_, Column>>> {
        let (table, plan) = match &self.columns {
            Columns::InMemory(columns) => return Ok(columns.get(name).map(Cow::Borrowed)),
            Columns::Apart(table, plan) => (table, plan),
        };
        let Some(column) = plan.columns.iter().find(|column| column.name == name) else { return Ok(None) };
        let plan = Plan { columns: vec![column.clone()], ..plan.clone() };
        let mut scanned = scan(table, &plan, true, 1)?;
        Ok(scanned.columns.pop().map(|column| Cow::Owned(column.into_column())))
    }

    /// Whether there are two columns of this name.
    pub fn is_ambiguous(&self, name: &str) -> bool {
        self.ambiguous.contains(name)
    }
}
