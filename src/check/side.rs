//! One side of a check, read as far as it has to be.

use super::digest::{digests, seed};
use super::report::{Input, SideReport};
use super::request::Request;
use super::run::Looked;
use super::signals::is_kept;
use crate::drift::compare::{Column, Side, Vectors};
use crate::drift::profile::{ColumnPlan, ColumnProfile, Kind, Plan, Profile, Seed, Settings};
use crate::drift::signals::Derived;
use crate::drift::statistics::random::SplitMix;
use crate::error::{Error, Result};
use crate::tables::{
    Cell, Derivations, Format, Inferred, Table, each_row, first_cells, infer, scan, texts, vectors,
};
use crate::{drift::collect::Collected, tables};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A table whose files say that it has at most so many rows is used whole.
const EXACT_ROWS: u64 = 2 << 20;
/// And so is one of so many bytes, if its files do not say how many rows they have.
const EXACT_BYTES: u64 = 64 << 20;
/// Of columns derived from texts so many numbers are kept, and otherwise a sketch of them.
const EXACT_DERIVED: u64 = 16 << 20;
/// The longest profile that is read.
const PROFILE_MAX: u64 = 64 << 20;

/// Where a side comes from.
pub struct Source {
    files: Vec<Arc<dyn tables::Input>>,
    /// What the files are, once somebody has asked.
    inputs: Mutex<Option<Vec<Input>>>,
    is_stopped: AtomicBool,
    seed: Seed,
    content: Content,
    threads: usize,
}

enum Content {
    Table(Table),
    Profile(Box<Profile>),
}

impl Source {
    /// Opens files, which are a profile if there is one and it looks like one. Errors: those of
    /// [`Table::open`], or a profile that is none.
    pub fn open(files: Vec<Arc<dyn tables::Input>>, format: Option<Format>, threads: usize) -> Result<Self> {
        let seed = seed(&files, threads)?;
        let content = match files.as_slice() {
            [file] if format.is_none() && is_profile(&**file) => {
                Content::Profile(Box::new(profile(&**file)?))
            }
            _ => Content::Table(Table::open(files.clone(), format)?),
        };
        let (inputs, is_stopped) = (Mutex::default(), AtomicBool::new(false));
        Ok(Self { files, inputs, is_stopped, seed, content, threads })
    }

    /// What is drawn at random is drawn from here.
    pub(super) fn seed(&self) -> Seed {
        self.seed
    }

    pub fn of_profile(inputs: Vec<Input>, profile: Profile) -> Self {
        let (seed, content) = (profile.seed(), Content::Profile(Box::new(profile)));
        let (inputs, is_stopped) = (Mutex::new(Some(inputs)), AtomicBool::new(false));
        Self { files: vec![], inputs, is_stopped, seed, content, threads: 1 }
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

    /// Whoever reads the files to their ends need not go on.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    /// What its files are: they are read to their ends when this is first asked. Errors: they cannot be read.
    pub(super) fn inputs(&self) -> Result<Vec<Input>> {
        let mut known = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inputs) = &*known {
            return Ok(inputs.clone());
        }
        let digests = digests(&self.files, self.threads, &self.is_stopped)?;
        let named = self.files.iter().zip(digests).map(|(file, sha256)| Input {
            name: file.name().to_owned(),
            bytes: file.len(),
            sha256,
        });
        Ok(known.insert(named.collect()).clone())
    }

    pub fn names(&self) -> Vec<&str> {
        match &self.content {
            Content::Table(table) => table.names().iter().map(String::as_str).collect(),
            Content::Profile(profile) => data_of(profile).map(ColumnProfile::name).collect(),
        }
    }

    /// Its columns, and those of a table that others lie in.
    pub(super) fn columns(&self) -> Vec<String> {
        let mut names: Vec<String> = self.names().into_iter().map(str::to_owned).collect();
        if let Content::Table(table) = &self.content {
            names.extend(table.outers());
        }
        names
    }

    /// Whether a column is computed here: its source is there, and it is not there itself.
    pub(super) fn derives(&self, derived: &Derived) -> bool {
        self.as_profile().is_none()
            && !self.names().contains(&derived.name.as_str())
            && self.columns().contains(&derived.source)
    }

    /// The first texts of a column of a table: so many at most, and about so many bytes.
    pub(super) fn texts(&self, column: &str, most: usize, bytes: usize) -> Result<Vec<String>> {
        match &self.content {
            Content::Table(table) => guarded(|| texts(table, column, most, bytes)),
            Content::Profile(_) => Ok(vec![]),
        }
    }

    /// So many vectors of a table's column, drawn at random; nothing if there is no such column.
    pub(super) fn vectors(&self, column: &str, most: usize) -> Result<Option<Vectors>> {
        match &self.content {
            Content::Table(table) if self.columns().iter().any(|name| name == column) => {
                let draw = |row| SplitMix(self.seed.0 ^ row).bits();
                guarded(|| vectors(table, column, most, draw)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The values of the first rows of a table, each with the place of its column.
    pub(super) fn first_cells(
        &self,
        columns: &[&str],
        most: u64,
        look: &mut dyn FnMut(usize, &Cell<'_>),
    ) -> Result<()> {
        match &self.content {
            Content::Table(table) if !columns.is_empty() => {
                guarded(|| first_cells(table, columns, most, look))
            }
            _ => Ok(()),
        }
    }

    /// The rows of a table.
    pub(super) fn each_row(&self, columns: &[&str], look: &mut dyn FnMut(u64, &[Cell<'_>])) -> Result<()> {
        match &self.content {
            Content::Table(table) => guarded(|| each_row(table, columns, look)),
            Content::Profile(_) => Ok(()),
        }
    }

    /// What its columns look like.
    pub(super) fn inferred(&self, request: &Request) -> Result<HashMap<&str, Inferred>> {
        let inferred = match &self.content {
            Content::Table(table) => guarded(|| infer(table, request.inference()))?,
            Content::Profile(profile) => {
                let kinds = data_of(profile).map(|column| Some(column.kind()));
                kinds.map(|kind| Inferred { kind, is_whole: false }).collect()
            }
        };
        Ok(self.names().into_iter().zip(inferred).collect())
    }

    /// Reads what is to be in memory, with columns of these kinds.
    pub(super) fn load(&self, looked: &Looked, request: &Request) -> Result<Loaded<'_>> {
        let kinds = &looked.kinds;
        let (rows, is_exact, columns, apart) = match &self.content {
            Content::Profile(profile) => {
                let side = Side::from(&**profile);
                let is_exact = side.columns.iter().all(Column::is_exact);
                let wanted = side.columns.into_iter().filter(|column| kinds.contains_key(&column.name));
                let columns = wanted.map(|column| (column.name.clone(), column)).collect();
                (side.rows, is_exact, columns, None)
            }
            Content::Table(table) => {
                let is_exact = request.is_compat()
                    || table.rows().map_or(table.bytes() <= EXACT_BYTES, |rows| rows <= EXACT_ROWS);
                let derived = self.derived(looked);
                let scanned = |plan: &Plan, is_exact| -> Result<(u64, HashMap<String, Column>)> {
                    let scanned = scan(table, plan, &derived, is_exact, request.threads)?;
                    let columns = scanned.columns.into_iter().map(Collected::into_column);
                    Ok((scanned.rows, columns.map(|column| (column.name.clone(), column)).collect()))
                };
                match table.rows() {
                    Some(rows) if is_exact && table.is_columnar() => {
                        let apart = Some((table, self.plan(table.names(), looked, request)));
                        let is_exact = rows.saturating_mul(derived.len() as u64) <= EXACT_DERIVED;
                        let columns = if derived.is_empty() {
                            HashMap::new()
                        } else {
                            scanned(&self.plan(derived.keys(), looked, request), is_exact)?.1
                        };
                        (rows, is_exact, columns, apart)
                    }
                    _ => {
                        let names = table.names().iter().chain(derived.keys());
                        let plan = self.plan(names, looked, request);
                        let (rows, columns) = scanned(&plan, is_exact)?;
                        (rows, is_exact, columns, None)
                    }
                }
            }
        };
        let ambiguous = match &self.content {
            Content::Table(table) => {
                let names = kinds.keys().filter(|name| table.is_ambiguous(looked.watch.source(name)));
                names.cloned().collect()
            }
            Content::Profile(_) => HashSet::new(),
        };
        Ok(Loaded { rows, is_exact, ambiguous, columns, apart })
    }

    /// A profile of a table. Errors: the table cannot be read, or it is a profile already.
    pub(super) fn profile(&self, looked: &Looked, request: &Request) -> Result<Profile> {
        let Content::Table(table) = &self.content else {
            return Err(Error::invalid("profile_of_profile", "it is a profile already")
                .hint("merge profiles with: gradus drift merge"));
        };
        if let Some(name) = looked.kinds.keys().find(|name| table.is_ambiguous(looked.watch.source(name))) {
            let message = format!("there are two columns of the name {name}");
            return Err(
                Error::invalid("table_columns", message).hint("leave them out with --ignore, or rename one")
            );
        }
        let derived = self.derived(looked);
        let plan = self.plan(table.names().iter().chain(derived.keys()), looked, request);
        let refused =
            |error: crate::drift::profile::Invalid| Error::invalid("profile_invalid", error.to_string());
        let profile = scan(table, &plan, &derived, false, request.threads)?.into_profile(&plan);
        if let Ok(profile) = &profile {
            request.check_bins(profile)?;
        }
        let mut versions = looked.watch.versions(self);
        versions.retain(|column, _| looked.kinds.contains_key(column));
        let profile = profile.and_then(|profile| profile.with_derivations(versions));
        profile.and_then(|profile| profile.with_sensitive(request.sensitive.clone())).map_err(refused)
    }

    /// The columns to compute here.
    fn derived(&self, looked: &Looked) -> Derivations {
        let watched = looked.watch.derivations.iter();
        let wanted =
            watched.filter(|(name, derived)| looked.kinds.contains_key(*name) && self.derives(derived));
        wanted.map(|(name, derived)| (name.clone(), derived.clone())).collect()
    }

    fn plan<'n>(
        &self,
        names: impl IntoIterator<Item = &'n String>,
        looked: &Looked,
        request: &Request,
    ) -> Plan {
        let named = names.into_iter().filter_map(|name| Some((name, *looked.kinds.get(name)?)));
        // Of what has no numbers the comparison says so.
        let bins = |name: &str, kind| request.bins(name).filter(|_| kind == Kind::Numeric).cloned();
        let columns: Vec<ColumnPlan> = named
            .map(|(name, kind)| ColumnPlan { name: name.clone(), kind, bins: bins(name, kind) })
            .collect();
        let rows = self.table().and_then(Table::rows).unwrap_or(0);
        let mut settings = Settings::for_columns(columns.len()).for_rows(rows);
        if request.is_compat() {
            // Its scores are of all categories.
            settings.categories = 65_536;
        }
        Plan { seed: self.seed, settings, columns }
    }

    /// Errors: as for [`Self::inputs`].
    pub(super) fn report(&self, loaded: &Loaded<'_>) -> Result<SideReport> {
        Ok(SideReport {
            inputs: self.inputs()?,
            rows: loaded.rows,
            exact: loaded.is_exact,
            profile: matches!(self.content, Content::Profile(_)),
        })
    }
}

/// The columns of a profile that are data.
fn data_of(profile: &Profile) -> impl Iterator<Item = &ColumnProfile> {
    profile.columns().iter().filter(|column| !is_kept(profile, column.name()))
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
    ambiguous: HashSet<String>,
    /// Those in memory.
    columns: HashMap<String, Column>,
    /// The others, each of which is read when it is asked for.
    apart: Option<(&'s Table, Plan)>,
}

impl Loaded<'_> {
    /// Errors: it cannot be read.
    pub fn column(&self, name: &str) -> Result<Option<Cow<'_, Column>>> {
        if let Some(column) = self.columns.get(name) {
            return Ok(Some(Cow::Borrowed(column)));
        }
        let Some((table, plan)) = &self.apart else { return Ok(None) };
        let Some(column) = plan.columns.iter().find(|column| column.name == name) else { return Ok(None) };
        let plan = Plan { columns: vec![column.clone()], ..plan.clone() };
        let mut scanned = scan(table, &plan, &Derivations::new(), true, 1)?;
        Ok(scanned.columns.pop().map(|column| Cow::Owned(column.into_column())))
    }

    /// Whether there are two columns of this name.
    pub fn is_ambiguous(&self, name: &str) -> bool {
        self.ambiguous.contains(name)
    }
}
