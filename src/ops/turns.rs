//! Attempts to move a workload's stages take turns within a process, so that they do not make each other judge again.
//! What makes them safe is the transaction that moves the stage; this only saves work.

use crate::model::name::Workload;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use tokio::sync::{Mutex, MutexGuard};

/// Workloads share a few places.
pub(crate) struct Turns([Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl Turns {
    pub(super) async fn take(&self, workload: &Workload) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        workload.hash(&mut hasher);
        self.0[usize::try_from(hasher.finish() % 64).unwrap_or(0)].lock().await
    }
}
