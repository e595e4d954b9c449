//! Handlers of `/v1`: read the request, call the verb, shape the answer.

pub mod access;
pub mod admin;
pub mod audit;
pub mod backups;
pub mod cards;
pub mod deployments;
pub mod dossier;
pub mod events;
pub mod evidence;
pub mod hooks;
pub mod lineage;
pub mod monitors;
pub mod policies;
pub mod quotas;
pub mod reads;
pub mod removal;
pub mod stages;
pub mod trust;
pub mod versions;
