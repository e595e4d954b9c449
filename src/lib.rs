//! Gradus: a model-lifecycle registry. The folders are layers; ARCHITECTURE.md is the map.

pub mod error;
pub mod kinds;
pub mod model;
