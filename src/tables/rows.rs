//! Reading a few columns of a table together, row by row.

use super::Table;
use super::cell::Cell;
use super::columnar::cells;
use super::table::{Chunk, Chunks as TableChunks, Values};
use crate::drift::profile::{Chunks, Invalid};
use crate::error::{Error, Result};
use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The cells of one column in some rows.
pub type Cells<'a> = Cow<'a, [Cell<'a>]>;

/// What is made of the rows of a chunk, and of two chunks that follow each other.
pub trait Fold: Sync {
    type Made: Send;
    /// Begins the chunk of this number.
    fn begin(&self, chunk: u64) -> Self::Made;
    /// Takes some rows: for each column as many cells as there are rows. A column that a file lacks is missing in them.
    fn add(&self, made: &mut Self::Made, columns: &[Cells<'_>]) -> Result<()>;
    /// Errors: both together are too much.
    fn merge(&self, made: Self::Made, next: Self::Made) -> Result<Self::Made, Invalid>;
}

/// Folds the rows of a table, some thousands at a time, chunks at once on many threads. They are merged in their order:
/// the result does not depend on the number of threads. Absent if there are no chunks.
///
/// Errors: a file cannot be read, or what `add` and `merge` refuse.
pub fn fold<F: Fold>(table: &Table, names: &[&str], threads: usize, fold: &F) -> Result<Option<F::Made>> {
    let work = Mutex::new(Work { chunks: table.chunks(), number: 0, is_over: false });
    let done = Mutex::new(Chunks::default());
    let read = |chunk: &Chunk<'_>, number: u64| -> Result<F::Made> {
        let mut made = fold.begin(number);
        chunk.read(names, &mut |rows, values| {
            let columns: Vec<Cells<'_>> = values.iter().map(|values| all(values, rows)).collect();
            fold.add(&mut made, &columns)
        })?;
        Ok(made)
    };
    let worker = || -> Result<()> {
        let worked = || -> Result<()> {
            while let Some((chunk, number)) = lock(&work).next()? {
                let made = read(&chunk, number)?;
                lock(&done).add(number, made, |a, b| fold.merge(a, b)).map_err(refused)?;
            }
            Ok(())
        };
        let worked = worked();
        if worked.is_err() {
            lock(&work).is_over = true;
        }
        worked
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
        // All are waited for, whatever the first one says.
        let ends: Vec<Result<()>> =
            workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err(broken()))).collect();
        ends.into_iter().collect::<Result<()>>()
    })?;
    done.into_inner().unwrap_or_else(PoisonError::into_inner).finish().map_err(refused)
}

struct Work<'t> {
    chunks: TableChunks<'t>,
    number: u64,
    is_over: bool,
}

impl<'t> Work<'t> {
    fn next(&mut self) -> Result<Option<(Chunk<'t>, u64)>> {
        let chunk = if self.is_over { None } else { self.chunks.next()? };
        self.is_over = chunk.is_none();
        let number = self.number;
        self.number += 1;
        Ok(chunk.map(|chunk| (chunk, number)))
    }
}

fn all<'a>(values: &'a Values<'a>, rows: u64) -> Cells<'a> {
    match values {
        Values::Absent => Cow::Owned(vec![Cell::Missing; rows as usize]),
        Values::Array(array) => Cow::Owned(cells(array)),
        Values::Cells(cells) => Cow::Borrowed(cells),
    }
}

fn refused(error: Invalid) -> Error {
    Error::invalid("table_rows", error.to_string())
}

fn broken() -> Error {
    Error::invalid("table_unreadable", "a file breaks the rules of its format")
        .hint("write the file anew, or leave it out")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{Input, LocalFile};
    use super::*;
    use std::sync::Arc;

    /// Puts rows one after the other.
    struct Lines;

    impl Fold for Lines {
        type Made = Vec<String>;

        fn begin(&self, _: u64) -> Vec<String> {
            vec![]
        }

        fn add(&self, made: &mut Vec<String>, columns: &[Cells<'_>]) -> Result<()> {
            for row in 0..columns[0].len() {
                let cells = columns.iter().map(|cells| cells[row].label().unwrap_or("-".into()));
                made.push(cells.collect::<Vec<_>>().join(" "));
            }
            Ok(())
        }

        fn merge(&self, mut made: Vec<String>, next: Vec<String>) -> Result<Vec<String>, Invalid> {
            made.extend(next);
            Ok(made)
        }
    }

    #[test]
    fn cells_of_a_row_stay_together_and_rows_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| -> Arc<dyn Input> {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Arc::new(LocalFile::open(&path).unwrap())
        };
        // Several chunks in the first file, and a column less in the second one.
        let padding = "x".repeat(300);
        let rows: String = (0..30_000).map(|row| format!("{row},{padding},{}\n", row * 2)).collect();
        let files = vec![write("a.csv", &format!("a,text,b\n{rows}")), write("b.csv", "b\n7\n8\n")];
        let table = Table::open(files, None).unwrap();
        let read = |threads| fold(&table, &["b", "a"], threads, &Lines).unwrap().unwrap();
        let one = read(1);
        assert_eq!(
            (one.len(), &*one[1], &*one[29_999], &*one[30_001]),
            (30_002, "2 1", "59998 29999", "8 -")
        );
        assert!(one == read(4));
        let empty = Table::open(vec![write("e.csv", "a,b\n")], None).unwrap();
        assert!(fold(&empty, &["b", "a"], 2, &Lines).unwrap().is_none_or(|rows| rows.is_empty()));
    }
}
