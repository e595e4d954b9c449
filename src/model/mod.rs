//! Values and rules. Sync, no input or output.

pub mod access;
pub mod artifact;
pub mod contract;
pub mod deployment;
pub mod digest;
pub mod entry;
pub mod event;
pub mod evidence;
pub mod hook;
pub mod json;
pub mod kind;
pub mod manifest;
pub mod merkle;
pub mod name;
pub mod note;
pub mod path;
pub mod promotion;
pub mod range;
pub mod reference;
pub mod resolution;
pub mod scope;
pub mod seal;
pub mod stage;
pub mod version;
pub mod yaml;
