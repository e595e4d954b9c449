//! Reading the columns of a table on many cores.

use super::Table;
use super::derive::{Derivations, feed_derived};
use super::table::{Chunk, Chunks as TableChunks, Values};
use crate::drift::collect::{Collected, Collector, Exact};
use crate::drift::profile::{Chunks, Invalid, Kind, Plan, Profile};
use crate::error::{Error, Result};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was read: the columns of the plan, in its order.
pub struct Scanned {
    pub rows: u64,
    pub columns: Vec<Collected>,
}

impl Scanned {
    /// Errors: columns of which all values were kept.
    pub fn into_profile(self, plan: &Plan) -> Result<Profile, Invalid> {
        let profile = |column| match column {
            Collected::Profile(profile) => Ok(*profile),
            Collected::Exact(_) => Err(Invalid::new("all values were kept, and no profile made")),
        };
        plan.profile(self.rows, self.columns.into_iter().map(profile).collect::<Result<_, _>>()?)
    }
}

/// Reads the columns of a plan, of which those in `derived` are computed from others. Numbers and times are all kept where `is_exact`; otherwise, and of all other kinds, what
/// the plan's settings say. The result does not depend on the number of threads.
///
/// Errors: a file cannot be read, or the plan is out of bounds. Values never make an error.
pub fn scan(
    table: &Table,
    plan: &Plan,
    derived: &Derivations,
    is_exact: bool,
    threads: usize,
) -> Result<Scanned> {
    let sources = sources(plan, derived);
    let scan = Scan {
        plan,
        derived,
        is_exact,
        work: Mutex::new(Work {
            // Columns that can be read alone are: then only few are in memory at a time.
            at_once: if table.is_columnar() { 1 } else { sources.len().max(1) },
            all: sources.len(),
            table,
            chunks: table.chunks(),
            chunk: 0,
            first: 0,
            is_over: false,
        }),
        sources,
        done: Mutex::new(Done { rows: 0, columns: plan.columns.iter().map(|_| Chunks::default()).collect() }),
    };
    if threads <= 1 {
        scan.work()?;
    } else {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| scan.work())).collect();
            // All are waited for, whatever the first one says.
            let ends: Vec<Result<()>> =
                workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(panicked()))).collect();
            ends.into_iter().collect::<Result<()>>()
        })?;
    }
    scan.finish(table)
}

/// A column to read, and those of the plan that are made of it: itself, or derived ones that follow each other.
struct Source<'t> {
    name: &'t str,
    columns: Range<usize>,
    is_derived: bool,
}

fn sources<'t>(plan: &'t Plan, derived: &'t Derivations) -> Vec<Source<'t>> {
    let mut sources: Vec<Source<'t>> = vec![];
    for (index, column) in plan.columns.iter().enumerate() {
        let source = derived.get(&column.name).map(|derived| derived.source.as_str());
        match sources.last_mut() {
            Some(last) if last.is_derived && source == Some(last.name) => last.columns.end = index + 1,
            _ => sources.push(Source {
                name: source.unwrap_or(&column.name),
                columns: index..index + 1,
                is_derived: source.is_some(),
            }),
        }
    }
    sources
}

fn panicked() -> Error {
    Error::invalid("table_unreadable", "a file breaks the rules of its format")
        .hint("write the file anew, or leave it out")
}

fn refused(error: Invalid) -> Error {
    Error::invalid("table_columns", error.to_string())
}

struct Scan<'t> {
    plan: &'t Plan,
    derived: &'t Derivations,
    sources: Vec<Source<'t>>,
    is_exact: bool,
    work: Mutex<Work<'t>>,
    done: Mutex<Done>,
}

/// What is still to be read: all chunks for the first sources, then all for the next ones.
struct Work<'t> {
    table: &'t Table,
    /// So many sources at a time.
    at_once: usize,
    first: usize,
    all: usize,
    chunks: TableChunks<'t>,
    chunk: u64,
    is_over: bool,
}

struct Task<'t> {
    chunk: Chunk<'t>,
    number: u64,
    sources: Range<usize>,
}

#[derive(Default)]
struct Done {
    rows: u64,
    columns: Vec<Chunks<Collected>>,
}

impl<'t> Work<'t> {
    fn next(&mut self) -> Result<Option<Task<'t>>> {
        while !self.is_over {
            let sources = self.first..(self.first + self.at_once).min(self.all);
            if let Some(chunk) = self.chunks.next()? {
                let number = self.chunk;
                self.chunk += 1;
                return Ok(Some(Task { chunk, number, sources }));
            }
            (self.first, self.chunk) = (sources.end, 0);
            self.is_over = self.first >= self.all;
            self.chunks = self.table.chunks();
        }
        Ok(None)
    }
}

impl<'t> Scan<'t> {
    fn work(&self) -> Result<()> {
        let worked = || -> Result<()> {
            while let Some(task) = self.next()? {
                let (rows, parts) = self.read(&task)?;
                let mut done = lock(&self.done);
                done.rows += if task.sources.start == 0 { rows } else { 0 };
                let columns =
                    self.sources[task.sources.clone()].iter().flat_map(|source| source.columns.clone());
                for (column, part) in columns.zip(parts) {
                    done.columns[column].add(task.number, part, Collected::merge).map_err(refused)?;
                }
            }
            Ok(())
        };
        let worked = worked();
        if worked.is_err() {
            lock(&self.work).is_over = true;
        }
        worked
    }

    fn next(&self) -> Result<Option<Task<'t>>> {
        lock(&self.work).next()
    }

    /// The columns of a chunk.
    fn read(&self, task: &Task<'_>) -> Result<(u64, Vec<Collected>)> {
        let sources = &self.sources[task.sources.clone()];
        let names: Vec<&str> = sources.iter().map(|source| source.name).collect();
        let collectors = |source: &Source<'_>| {
            source.columns.clone().map(|column| self.collector(task.number, column)).collect()
        };
        let mut collectors: Vec<Vec<Collector>> = sources.iter().map(collectors).collect::<Result<_>>()?;
        let mut rows = 0;
        task.chunk.read(&names, &mut |count, values| {
            rows += count;
            for ((values, source), collectors) in values.iter().zip(sources).zip(&mut collectors) {
                self.feed(values, source, collectors).map_err(refused)?;
            }
            Ok(())
        })?;
        let parts = collectors.into_iter().flatten().map(|collector| collector.finish(rows).map_err(refused));
        Ok((rows, parts.collect::<Result<_>>()?))
    }

    fn feed(
        &self,
        values: &Values<'_>,
        source: &Source<'_>,
        collectors: &mut [Collector],
    ) -> Result<(), Invalid> {
        let columns = &self.plan.columns[source.columns.clone()];
        if source.is_derived {
            let derived = columns.iter().zip(collectors).filter_map(|(column, collector)| {
                Some((self.derived.get(&column.name)?, column.kind, collector))
            });
            return feed_derived(values, &mut derived.collect::<Vec<_>>());
        }
        columns.iter().zip(collectors).try_for_each(|(column, collector)| values.feed(column.kind, collector))
    }

    fn collector(&self, chunk: u64, column: usize) -> Result<Collector> {
        let plan = &self.plan.columns[column];
        if self.is_exact && matches!(plan.kind, Kind::Numeric | Kind::Time) {
            return Ok(Collector::Exact(Exact::new(&plan.name, plan.kind)));
        }
        self.plan.builder(chunk, column).map(|builder| Collector::Sketch(Box::new(builder))).map_err(refused)
    }

    fn finish(&self, table: &Table) -> Result<Scanned> {
        let Done { rows, columns } = std::mem::take(&mut *lock(&self.done));
        let column = |(index, parts): (usize, Chunks<Collected>)| match parts.finish().map_err(refused)? {
            Some(column) => Ok(column),
            // A table without any rows.
            None => self.collector(0, index)?.finish(0).map_err(refused),
        };
        let columns = columns.into_iter().enumerate().map(column).collect::<Result<_>>()?;
        Ok(Scanned { rows: table.rows().unwrap_or(rows), columns })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
