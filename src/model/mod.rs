//! Values and rules. Sync, no input or output.

pub mod digest;
pub mod json;
pub mod kind;
