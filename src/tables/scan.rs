//! Reading the columns of a table on many cores.

use super::Table;
use super::table::{Chunk, Chunks as TableChunks};
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

/// Reads the columns of a plan. Numbers and times are all kept where `is_exact`; otherwise, and of all other kinds, what
/// the plan's settings say. The result does not depend on the number of threads.
///
/// Errors: a file cannot be read, or the plan is out of bounds. Values never make an error.
pub fn scan(table: &Table, plan: &Plan, is_exact: bool, threads: usize) -> Result<Scanned> {
    let scan = Scan {
        plan,
        is_exact,
        work: Mutex::new(Work {
            // Columns that can be read alone are: then only few are in memory at a time.
            columns: if table.is_columnar() { 1 } else { plan.columns.len().max(1) },
            table,
            chunks: table.chunks(),
            chunk: 0,
            first: 0,
            is_over: false,
        }),
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

fn panicked() -> Error {
    Error::invalid("table_unreadable", "a file breaks the rules of its format")
        .hint("write the file anew, or leave it out")
}

fn refused(error: Invalid) -> Error {
    Error::invalid("table_columns", error.to_string())
}

struct Scan<'t> {
    plan: &'t Plan,
    is_exact: bool,
    work: Mutex<Work<'t>>,
    done: Mutex<Done>,
}

/// What is still to be read: all chunks for the first columns, then all for the next ones.
struct Work<'t> {
    table: &'t Table,
    /// So many at a time.
    columns: usize,
    first: usize,
    chunks: TableChunks<'t>,
    chunk: u64,
    is_over: bool,
}

struct Task<'t> {
    chunk: Chunk<'t>,
    number: u64,
    columns: Range<usize>,
}

#[derive(Default)]
struct Done {
    rows: u64,
    columns: Vec<Chunks<Collected>>,
}

impl<'t> Work<'t> {
    fn next(&mut self, all: usize) -> Result<Option<Task<'t>>> {
        while !self.is_over {
            let columns = self.first..(self.first + self.columns).min(all);
            if let Some(chunk) = self.chunks.next()? {
                let number = self.chunk;
                self.chunk += 1;
                return Ok(Some(Task { chunk, number, columns }));
            }
            (self.first, self.chunk) = (columns.end, 0);
            self.is_over = self.first >= all;
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
                done.rows += if task.columns.start == 0 { rows } else { 0 };
                for (column, part) in task.columns.clone().zip(parts) {
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
        lock(&self.work).next(self.plan.columns.len())
    }

    /// The columns of a chunk.
    fn read(&self, task: &Task<'_>) -> Result<(u64, Vec<Collected>)> {
        let columns = &self.plan.columns[task.columns.clone()];
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        let mut collectors = task
            .columns
            .clone()
            .map(|column| self.collector(task.number, column))
            .collect::<Result<Vec<_>>>()?;
        let mut rows = 0;
        task.chunk.read(&names, &mut |count, values| {
            rows += count;
            for ((values, column), collector) in values.iter().zip(columns).zip(&mut collectors) {
                values.feed(column.kind, collector).map_err(refused)?;
            }
            Ok(())
        })?;
        let parts = collectors.into_iter().map(|collector| collector.finish(rows).map_err(refused));
        Ok((rows, parts.collect::<Result<_>>()?))
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
