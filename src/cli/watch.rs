//! `gradus watch`: waits for what happens to a reference, and runs a command on each change.

use super::{argument, log::line, print::Out};
use crate::{
    client::Client,
    config::Config,
    error::{Error, Kind, Result},
    model::{
        digest::Digest,
        event::{Change, Event},
        reference::Reference,
        version::Version,
    },
};
use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{io::Write as _, path::PathBuf, time::Duration};
use tokio::process::Command;

#[derive(Args)]
pub struct Watch {
    /// What to watch: NAMESPACE/NAME:STAGE runs on each move of the stage; with another tag, on each change of what it means
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// A shell command to run; GRADUS_VERSION, GRADUS_DIGEST, GRADUS_WORKLOAD, GRADUS_STAGE, GRADUS_KIND, GRADUS_POSITION
    /// and GRADUS_REFERENCE tell what has changed. Without it changes are printed
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Where to remember how far it has come [default: a file in the user's state folder for this server and reference]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// How often a command that fails is run again before it is left at that
    #[arg(long, default_value_t = 5, value_name = "TIMES")]
    retries: u32,
    /// End after the first change, with its command's exit code
    #[arg(long)]
    once: bool,
}

/// What is remembered between runs.
#[derive(Default, Serialize, Deserialize)]
struct State {
    /// Where the log is read from next.
    cursor: i64,
    /// What the last command was run for.
    digest: Option<Digest>,
}

/// What has become of the reference.
struct Turn {
    kind: String,
    version: Version,
    digest: Digest,
    /// The stage that is watched, or that the event is about.
    stage: Option<String>,
    position: i64,
    /// The event, where there was one.
    event: Option<Event>,
}

const PATIENCE_MAX: Duration = Duration::from_secs(60);

impl Watch {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let Some(server) = client.server().map(str::to_owned) else {
            return Err(Error::invalid(
                "watch_local",
                "there is nobody to wait for in a data directory of your own",
            )
            .hint("name the server: gradus --server URL watch …, or log in to it"));
        };
        let file = self.state_file(&server)?;
        let mut state = read(&file)?;
        let stage = self.stage(client).await?;
        let mut wait = Duration::from_secs(1);
        loop {
            let began = tokio::time::Instant::now();
            match self.follow(client, stage.as_deref(), &mut state, &file, out).await {
                Ok(true) => return Ok(()),
                // The server has ended the stream, or the connection broke: on from where it was.
                Ok(false) => {}
                Err(error) if error.kind == Kind::Unavailable => out.note(format!("{error}; trying again")),
                Err(error) => return Err(error),
            }
            if began.elapsed() > PATIENCE_MAX {
                wait = Duration::from_secs(1);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(PATIENCE_MAX);
        }
    }

    /// The stage that is watched, if the tag is one.
    async fn stage(&self, client: &Client) -> Result<Option<String>> {
        let status = client.status(&self.reference.workload).await?;
        let tag = self.reference.selector.to_string();
        let tag = tag.trim_start_matches(':');
        Ok(status.stages.iter().map(|stage| stage.stage.to_string()).find(|stage| stage == tag))
    }

    /// Follows one stream to its end. True: it is enough.
    async fn follow(
        &self,
        client: &Client,
        stage: Option<&str>,
        state: &mut Option<State>,
        file: &PathBuf,
        out: &Out,
    ) -> Result<bool> {
        let workload = self.reference.workload.as_str().replace('/', "%2F");
        let on = stage.map(|stage| format!("&on=promoted:{stage},rolled_back:{stage}")).unwrap_or_default();
        let cursor = state.as_ref().map(|state| state.cursor);
        let mut watching = client.watch(&format!("&workload={workload}{on}"), cursor).await?;
        if state.is_none() {
            // The first time: what is there now counts as a change. The stream has begun, so nothing falls between.
            let mut first = State { cursor: watching.position, digest: None };
            if let Some(turn) = self.resolve(client, stage, watching.position, None).await? {
                self.turn(&turn, &mut first, file, out).await?;
                *state = Some(first);
                if self.once {
                    return Ok(true);
                }
            } else {
                out.note(format!("{} means nothing yet; waiting", self.reference));
                write(file, &first)?;
                *state = Some(first);
            }
        }
        let state = state.get_or_insert_default();
        while let Some(event) = watching.next().await? {
            let position = event.position;
            let turn = match stage {
                Some(_) => of_stage(event),
                None => self
                    .resolve(client, None, position, Some(event))
                    .await?
                    .filter(|turn| Some(&turn.digest) != state.digest.as_ref()),
            };
            state.cursor = position + 1;
            if let Some(turn) = turn {
                self.turn(&turn, state, file, out).await?;
                if self.once {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// What the reference means now; `None` if nothing.
    async fn resolve(
        &self,
        client: &Client,
        stage: Option<&str>,
        position: i64,
        event: Option<Event>,
    ) -> Result<Option<Turn>> {
        let resolved = match client.resolve(&self.reference).await {
            Ok(resolved) => resolved,
            Err(error) if error.kind == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let kind = event.as_ref().map_or("current", |event| event.change.kind()).to_owned();
        let about = event.as_ref().and_then(|event| event.change.stage()).map(ToString::to_string);
        let stage = stage.map(str::to_owned).or(about);
        Ok(Some(Turn { kind, version: resolved.version, digest: resolved.digest, stage, position, event }))
    }

    /// Tells of a change or runs the command, and remembers that it is done.
    async fn turn(&self, turn: &Turn, state: &mut State, file: &PathBuf, out: &Out) -> Result<()> {
        let Turn { kind, version, digest, position, event, .. } = turn;
        match &self.exec {
            None => {
                let data =
                    json!({ "kind": kind, "version": version, "digest": digest, "position": position });
                let text =
                    event.as_ref().map_or_else(|| format!("{} is {version} {digest}", self.reference), line);
                if out.json { out.line(data.to_string()) } else { out.line(text) }
            }
            Some(command) => self.exec(command, turn, out).await?,
        }
        state.digest = Some(digest.clone());
        write(file, state)
    }

    async fn exec(&self, command: &str, turn: &Turn, out: &Out) -> Result<()> {
        let mut wait = Duration::from_secs(1);
        for tried in 0..=self.retries {
            let status = Command::new("sh")
                .args(["-c", command])
                .env("GRADUS_REFERENCE", self.reference.to_string())
                .env("GRADUS_WORKLOAD", self.reference.workload.as_str())
                .env("GRADUS_STAGE", turn.stage.as_deref().unwrap_or_default())
                .env("GRADUS_VERSION", turn.version.to_string())
                .env("GRADUS_DIGEST", turn.digest.to_string())
                .env("GRADUS_KIND", &turn.kind)
                .env("GRADUS_POSITION", turn.position.to_string())
                .status()
                .await
                .map_err(|source| {
                    Error::unavailable("exec_failed", "the command cannot be run").source(source)
                })?;
            if status.success() {
                return Ok(());
            }
            let of = format!("the command for {} {}", self.reference, turn.version);
            let how = status
                .code()
                .map_or_else(|| "was ended by a signal".to_owned(), |code| format!("ended with {code}"));
            if self.once || tried == self.retries {
                out.note(format!("{of} {how}, and is left at that"));
                out.end_with(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
                return Ok(());
            }
            out.note(format!("{of} {how}; again in {} s", wait.as_secs()));
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(PATIENCE_MAX);
        }
        Ok(())
    }

    fn state_file(&self, server: &str) -> Result<PathBuf> {
        if let Some(file) = &self.state {
            return Ok(file.clone());
        }
        let name = Digest::sha256(format!("{server} {}", self.reference).as_bytes());
        Ok(Config::default_state_dir()?.join("watch").join(format!("{}.json", &name.hex()[..32])))
    }
}

/// A move of a stage.
fn of_stage(event: Event) -> Option<Turn> {
    let kind = event.change.kind().to_owned();
    let stage = event.change.stage().map(ToString::to_string);
    let (version, digest) = match &event.change {
        Change::Promoted { version, digest, .. } | Change::RolledBack { version, digest, .. } => {
            (version.clone(), digest.clone())
        }
        _ => return None,
    };
    Some(Turn { kind, version, digest, stage, position: event.position, event: Some(event) })
}

fn read(file: &PathBuf) -> Result<Option<State>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    serde_json::from_str(&text).map(Some).map_err(|source| {
        Error::invalid("state_invalid", format!("what was remembered cannot be read: {}", file.display()))
            .source(source)
            .hint("remove the file to begin anew: the command then runs for what is there now")
    })
}

/// Whole or not at all.
fn write(file: &PathBuf, state: &State) -> Result<()> {
    if let Some(directory) = file.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let text = serde_json::to_string(state)
        .map_err(|source| Error::internal("state_encoding", "the state cannot be written").source(source))?;
    let scratch = file.with_extension("new");
    let mut handle = std::fs::File::create(&scratch)?;
    handle.write_all(text.as_bytes())?;
    handle.sync_all()?;
    std::fs::rename(scratch, file)?;
    Ok(())
}
