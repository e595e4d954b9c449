//! Monitors: when data are checked for drift, which data, and when somebody is told. Pure: the clock is given.

pub mod alert;
pub mod due;
pub mod schedule;
pub mod template;
pub mod window;

pub use alert::{Alert, Hygiene};
pub use due::{Due, Misfire, due};
pub use schedule::Schedule;
pub use template::Template;
pub use window::{Length, Window};
