//! Monitors: when data are checked for drift, which data, and when somebody is told. Pure: the clock is given.

pub mod alert;
pub mod due;
pub mod run;
pub mod schedule;
pub mod spec;
pub mod template;
pub mod window;

pub use alert::{Alert, Hygiene, Told};
pub use due::{Due, Misfire, due};
pub use run::{Cause, RunState};
pub use schedule::Schedule;
pub use spec::{Compared, MonitorName, MonitorPath, OnDrift, Plan, SPEC_MAX, Spec};
pub use template::Template;
pub use window::{Length, Window, midnight};
