//! Tables: rows and columns in files, wherever they lie, read in bounded memory on all cores.
//!
//! A [`Table`] is one or more files of one format, in order. It is read in chunks, which depend on the files alone and
//! never on the number of cores: a row group of Parquet, a batch of Arrow IPC, a few megabytes of CSV or NDJSON. What
//! a column's values are is decided once ([`infer()`]) and imposed on all chunks; a value that is something else is
//! counted and never ends the reading.
//!
//! Blocking: call it where blocking is allowed.

mod cell;
mod columnar;
mod csv;
mod derive;
mod format;
mod infer;
mod input;
mod ipc;
mod ndjson;
mod nested;
mod parquet;
mod pattern;
mod records;
mod rows;
mod scan;
mod table;
#[cfg(test)]
mod tests;
mod walk;

pub use cell::Cell;
pub use derive::Derivations;
pub use format::Format;
pub use infer::{Inferred, Rules, infer, infer_some};
pub use input::{Input, LocalFile};
pub use pattern::Pattern;
pub use rows::{Cells, Fold, fold};
pub use scan::{Scanned, scan};
pub use table::Table;
pub use walk::{each_row, first_cells, texts, vectors};
