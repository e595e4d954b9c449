//! Typed calls to a registry: over HTTP, or in-process to the same router. The CLI's only door.

mod api;
mod backups;
mod cards;
pub mod carry;
mod deployments;
mod digests;
mod governance;
mod hashing;
mod hooks;
mod limits;
mod lineage;
mod monitors;
pub mod oidc;
mod patience;
mod pull;
mod removal;
mod sessions;
mod transport;
mod upload;
mod watch;

pub use backups::{Backup, Taking};
pub use digests::Digests;
pub use hashing::hash_file;
pub use pull::{Contents, PullOutcome, Pulled};
pub use transport::{Call, Client, Reply};
pub use upload::{Sent, Upload};
pub use watch::Watching;

/// Told how many bytes have moved, for progress bars.
pub type Progress = std::sync::Arc<dyn Fn(u64) + Send + Sync>;
