//! Drift: has what a model is given, or what it answers, changed? Pure: tables are described by [`profile`], and two
//! samples are compared by [`statistics`].

pub mod collect;
pub mod compare;
pub mod profile;
pub mod statistics;
