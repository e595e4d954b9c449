//! Drift: has what a model is given, or what it answers, changed? Pure: tables are described by [`profile`], texts by
//! their [`signals`], two samples are compared by [`statistics`], and answers with what they should have been by
//! [`performance`].

pub mod collect;
pub mod compare;
pub mod performance;
pub mod profile;
pub mod signals;
pub mod statistics;
