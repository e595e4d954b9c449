//! What `gradus watch` remembers between runs, in a file that one of them has at a time.

use crate::{
    config::Config,
    error::{Error, Result},
    model::{digest::Digest, reference::Reference},
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

#[derive(Default, Serialize, Deserialize)]
pub struct State {
    /// Where the log is read from next.
    pub cursor: i64,
    /// What the last command was run for.
    pub digest: Option<Digest>,
}

/// The file, for as long as this process has it.
pub struct StateFile {
    path: PathBuf,
    _lock: File,
}

impl StateFile {
    /// Two watches of one reference that run different commands have a file each: what one has done, the other has not.
    pub fn default_path(server: &str, reference: &Reference, command: Option<&str>) -> Result<PathBuf> {
        let name = format!("{server} {reference}\n{}", command.unwrap_or_default());
        let name = Digest::sha256(name.as_bytes());
        Ok(Config::default_state_dir()?.join("watch").join(format!("{}.json", &name.hex()[..32])))
    }

    /// Takes the file. The lock has a file of its own, since the state's is replaced at each change.
    pub fn take(path: PathBuf) -> Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|error| of_file(error, &path))?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .open(beside(&path, "lock"))
            .map_err(|error| of_file(error, &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Error::conflict(
                "watch_running",
                format!("another watch is running by the same state file: {}", path.display()),
            )
            .hint("end that one, or give this one a file of its own: --state FILE")),
            Err(TryLockError::Error(error)) => Err(of_file(error, &path)),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn read(&self) -> Result<Option<State>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(of_file(error, &self.path)),
        };
        serde_json::from_str(&text).map(Some).map_err(|source| {
            let file = self.path.display();
            Error::invalid("state_invalid", format!("what was remembered cannot be read: {file}"))
                .source(source)
                .hint("remove the file to begin anew: the command then runs for what is there now")
        })
    }

    /// Whole or not at all.
    pub fn write(&self, state: &State) -> Result<()> {
        let text = serde_json::to_string(state).map_err(|source| {
            Error::internal("state_encoding", "the state cannot be written").source(source)
        })?;
        let scratch = beside(&self.path, "new");
        let write = || {
            let mut handle = File::create(&scratch)?;
            handle.write_all(text.as_bytes())?;
            handle.sync_all()?;
            fs::rename(&scratch, &self.path)
        };
        write().map_err(|error| of_file(error, &self.path))
    }
}

/// A file next to another, and of no third one.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn of_file(error: std::io::Error, path: &Path) -> Error {
    Error::invalid(
        "state_file",
        format!("what a watch remembers cannot be kept in {}: {error}", path.display()),
    )
    .hint("name another file with --state")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_differ_by_their_ending_are_taken_apart() {
        let folder = tempfile::tempdir().unwrap();
        let take = |name: &str| StateFile::take(folder.path().join(name));
        let first = take("triage.eu").unwrap();
        let _second = take("triage.us").unwrap();
        assert_eq!(take("triage.eu").err().map(|error| error.code), Some("watch_running"));
        first.write(&State { cursor: 7, digest: None }).unwrap();
        assert_eq!(first.read().unwrap().map(|state| state.cursor), Some(7));
        let error = take("triage.eu/below").err().unwrap();
        assert_eq!(error.code, "state_file");
        assert!(error.to_string().contains("triage.eu/below"), "{error}");
    }
}
