//! One drift check: two sides are read, compared and reported on.
//!
//! A side is a [`Table`](crate::tables::Table) or a profile that was made of one before. Where a table fits, all its
//! numbers are used, and otherwise a sketch of them; the report says which. Columns of Parquet that are used whole are
//! read, compared and forgotten one after the other, so that a wide table needs no more memory than a narrow one.
//!
//! Blocking: call it where blocking is allowed.

mod calibrate;
mod digest;
pub mod html;
mod performance;
mod report;
mod request;
mod run;
mod sensitive;
mod side;
mod signals;
#[cfg(test)]
mod tests;

pub use calibrate::{Calibration, ColumnCalibration, FoundChange, Null, Windows, calibrate};
pub use performance::{Answered, LabelsReport, Performance, PerformanceReport, Probability};
pub use report::{FORMAT, Input, Report, SideReport};
pub use request::Request;
pub use run::{check, profile};
pub use sensitive::{check_sensitive, check_untold};
pub use side::Source;
pub use signals::{Recognised, Signals, role};
