//! Sessions of uploads as the client sees them: begun, remembered for another time, or given up. What is given up is deleted,
//! since its bytes would take their room from others in the namespace's quota.

use super::{Call, Client, Digests, Progress};
use crate::{
    error::{Error, Kind, Result},
    model::name::Workload,
};
use futures_util::future::{BoxFuture, join_all};
use http::Method;
use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// From this size on a session is remembered beyond the command.
const REMEMBERED: u64 = 64 * 1024 * 1024;
/// How long deleting may take: what is left after all gives way by itself.
const LONGEST: Duration = Duration::from_secs(5);
/// How long to wait between two tries of it: the registry notices after us that we do not send any more.
const AGAIN: Duration = Duration::from_millis(200);

/// Sessions of one command that are not remembered, so that nobody could come back to them.
#[derive(Default)]
pub(super) struct Open(Mutex<BTreeSet<String>>);

impl Open {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is sent in a session.
pub(super) struct Sending<'a> {
    pub workload: &'a Workload,
    pub size: u64,
    /// The file it comes from, and where sessions of files are remembered.
    pub file: Option<(&'a Digests, PathBuf)>,
}

impl Sending<'_> {
    fn remembered(&self) -> Option<&(&Digests, PathBuf)> {
        self.file.as_ref().filter(|_| self.size >= REMEMBERED)
    }
}

impl Client {
    /// Sends by the session that an earlier command was stopped in, if the registry still has it and it still works, or by
    /// one of its own. `send` is given the session and how much of it is there.
    pub(super) async fn in_session<'a, T>(
        &self,
        sending: &Sending<'_>,
        open: &Open,
        progress: &Progress,
        send: impl Fn(String, u64) -> BoxFuture<'a, Result<T>>,
    ) -> Result<T> {
        let workload = sending.workload;
        let place = format!("{} {workload}", self.server().unwrap_or("local"));
        let path = |id: String| format!("/v2/{workload}/blobs/uploads/{id}");
        let note = |id: Option<&str>| match sending.remembered() {
            Some((digests, file)) => digests.set_unfinished(&place, file, id),
            None => false,
        };
        if let Some((digests, file)) = sending.remembered() {
            if let Some(outdated) = digests.outdated(&place, file) {
                // Another command may be sending its own file from that path: then the registry refuses this.
                let _ = self.send(Call::new(Method::DELETE, path(outdated))).await;
            }
            if let Some(earlier) = digests.unfinished(&place, file).map(path)
                && let Ok(received) = self.received(&earlier, u64::MAX).await
            {
                if received <= sending.size {
                    progress(received);
                    match send(earlier.clone(), received).await {
                        Ok(done) => {
                            note(None);
                            return Ok(done);
                        }
                        // What may pass is left for another time; what will not, a session of our own does without.
                        Err(error) if can_go_on(&error) => return Err(error),
                        // Another command is at it.
                        Err(error) if error.code == "upload_busy" => {}
                        Err(error) => {
                            note(None);
                            self.delete_session(&earlier).await;
                            if error.code == "file_changed" {
                                return Err(error);
                            }
                        }
                    }
                } else {
                    self.delete_session(&earlier).await;
                }
            }
        }
        let id = self.begin(workload).await?;
        let is_remembered = note(Some(&id));
        let session = path(id);
        if !is_remembered {
            open.lock().insert(session.clone());
        }
        let outcome = send(session.clone(), 0).await;
        if !is_remembered || !outcome.as_ref().is_err_and(can_go_on) {
            note(None);
            if outcome.is_err() {
                self.delete_session(&session).await;
            }
        }
        open.lock().remove(&session);
        outcome
    }

    /// Deletes what had been begun when something else failed.
    pub(super) async fn give_up(&self, open: Open) {
        let sessions = std::mem::take(&mut *open.lock());
        join_all(sessions.iter().map(|session| self.delete_session(session))).await;
    }

    /// Deletes a session that nobody else writes to.
    async fn delete_session(&self, session: &str) {
        let _ = tokio::time::timeout(LONGEST, async {
            while let Err(error) = self.send(Call::new(Method::DELETE, session)).await
                && error.code == "upload_busy"
            {
                tokio::time::sleep(AGAIN).await;
            }
        })
        .await;
    }
}

/// Whether a session that ended so can be gone on with another time: when the server or the line is there again, or has room
/// again, or with a token that is valid.
fn can_go_on(error: &Error) -> bool {
    matches!(error.kind, Kind::Unavailable | Kind::TooMany | Kind::Unauthenticated)
        || matches!(error.code, "quota_exceeded" | "body_incomplete")
}

#[cfg(test)]
mod tests {
    use super::{Error, Kind, can_go_on};

    #[test]
    fn what_may_pass_keeps_a_session() {
        let is_kept = |kind, code| can_go_on(&Error::new(kind, code, ""));
        assert!(is_kept(Kind::TooMany, "rate_limited") && is_kept(Kind::Unauthenticated, "token_expired"));
        assert!(is_kept(Kind::Invalid, "body_incomplete") && is_kept(Kind::Forbidden, "quota_exceeded"));
        assert!(!is_kept(Kind::Invalid, "digest_mismatch") && !is_kept(Kind::Forbidden, "forbidden"));
    }
}
