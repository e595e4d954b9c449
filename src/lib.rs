//! Gradus: a model-lifecycle registry. The folders are layers; ARCHITECTURE.md is the map.

pub mod blobs;
pub mod check;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod db;
pub mod dossier;
pub mod drift;
pub mod error;
pub mod evidence;
pub mod gates;
pub mod hooks;
pub mod http;
pub mod identity;
pub mod jobs;
pub mod kinds;
pub mod model;
pub mod ops;
pub mod signing;
pub mod tables;
pub mod telemetry;
pub mod wire;
