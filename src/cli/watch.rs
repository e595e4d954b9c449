//! `gradus watch`: waits for what happens to a reference, and runs a command on each change.

mod state;

use super::{argument, log::line, oidc::Oidc, print::Out};
use crate::{
    client::{Client, Watching},
    error::{Error, Kind, Result},
    model::{
        digest::Digest,
        event::{Change, Event},
        reference::Reference,
        version::Version,
    },
};
use clap::Args;
use serde_json::json;
use state::{State, StateFile};
use std::{path::PathBuf, time::Duration};
use tokio::process::Command;

/// A watch lives as long as its token, unless it can get another.
const OF_TOKENS: &str = "A token that `login --oidc` stored lives minutes or hours. When it ends, the watch ends with exit \
    code 8. With --oidc the watch logs in by itself, and again whenever its token has ended: a job of GitHub Actions as long \
    as it runs, and --identity-file where the file is renewed, as Kubernetes does. GRADUS_ID_TOKEN cannot be renewed.";

#[derive(Args)]
#[command(after_help = OF_TOKENS)]
pub struct Watch {
    /// What to watch: NAMESPACE/NAME:STAGE runs on each move of the stage; with another tag, on each change of what it means.
    /// A workload that has no version yet is waited for
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// A shell command to run; GRADUS_VERSION, GRADUS_DIGEST, GRADUS_WORKLOAD, GRADUS_STAGE, GRADUS_KIND, GRADUS_POSITION
    /// and GRADUS_REFERENCE tell what has changed, and GRADUS_SERVER and GRADUS_TOKEN let it ask the same registry. Without it
    /// changes are printed
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Where to remember how far it has come [default: a file in the user's state folder for this server, reference
    /// and command]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// How often a command that fails is run again before it is left at that
    #[arg(long, default_value_t = 5, value_name = "TIMES")]
    retries: u32,
    /// End after the first change, with its command's exit code
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    oidc: Oidc,
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
    pub async fn run(self, client: &Client, plain_http: bool, out: &Out) -> Result<()> {
        let Some(server) = client.server().map(str::to_owned) else {
            return Err(Error::invalid(
                "watch_local",
                "there is nobody to wait for in a data directory of your own",
            )
            .hint("name the server: gradus --server URL watch …, or log in to it"));
        };
        let file = match &self.state {
            Some(path) => path.clone(),
            None => StateFile::default_path(&server, &self.reference, self.exec.as_deref())?,
        };
        let file = StateFile::take(file)?;
        let mut state = file.read()?;
        let mut client = client.clone();
        if self.oidc.oidc {
            client = self.log_in(&server, plain_http, out).await?;
        }
        let mut stage = None;
        let mut wait = Duration::from_secs(1);
        loop {
            let began = tokio::time::Instant::now();
            match self.round(&client, &mut stage, &mut state, &file, out).await {
                Ok(true) => return Ok(()),
                // The server has ended the stream, or the connection broke: on from where it was.
                Ok(false) => {}
                Err(error) if error.kind == Kind::Unavailable => out.note(format!("{error}; trying again")),
                Err(error) if error.kind == Kind::Unauthenticated && self.oidc.oidc => {
                    match self.log_in(&server, plain_http, out).await {
                        Ok(another) => client = another,
                        Err(error) if error.kind == Kind::Unavailable => {
                            out.note(format!("{error}; trying again"));
                        }
                        Err(error) => return Err(error),
                    }
                }
                Err(error) if error.kind == Kind::Unauthenticated && stage.is_some() => {
                    return Err(ended(error));
                }
                Err(error) if error.code == "cursor_ahead" => return Err(ahead(error, &file)),
                Err(error) => return Err(error),
            }
            if began.elapsed() > PATIENCE_MAX {
                wait = Duration::from_secs(1);
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(PATIENCE_MAX);
        }
    }

    async fn log_in(&self, server: &str, plain_http: bool, out: &Out) -> Result<Client> {
        let given = self.oidc.token(server, plain_http, out).await.map_err(|error| {
            let hint =
                "a watch logs in again whenever its token ends; see gradus watch --help for what lasts";
            if error.hint.is_none() { error.hint(hint) } else { error }
        })?;
        Client::remote(server, Some(given.token), plain_http)
    }

    /// Once it is known whether a stage is watched: follows one stream to its end. True: it is enough.
    async fn round(
        &self,
        client: &Client,
        stage: &mut Option<Option<String>>,
        state: &mut Option<State>,
        file: &StateFile,
        out: &Out,
    ) -> Result<bool> {
        if stage.is_none() {
            *stage = Some(self.stage(client, out).await?);
        }
        let stage = stage.as_ref().and_then(Option::as_deref);
        self.follow(client, stage, state, file, out).await
    }

    /// The stage that is watched, if the tag is one. A workload that has no version yet is waited for.
    async fn stage(&self, client: &Client, out: &Out) -> Result<Option<String>> {
        let workload = &self.reference.workload;
        let mut waiting: Option<Watching> = None;
        loop {
            match client.status(workload).await {
                Ok(status) => {
                    let tag = self.reference.selector.to_string();
                    let tag = tag.trim_start_matches(':');
                    return Ok(status
                        .stages
                        .iter()
                        .map(|stage| stage.stage.to_string())
                        .find(|it| it == tag));
                }
                Err(error) if error.code == "workload_unknown" => {}
                Err(error) => return Err(error),
            }
            match &mut waiting {
                None => {
                    // There is nothing to wait for in a namespace that is not there.
                    client.show_namespace(&workload.namespace()).await?;
                    out.note(format!("{workload} has no version yet; waiting for the first push"));
                    waiting = Some(client.watch(&self.of_workload(), None).await?);
                }
                Some(watching) => {
                    let ended = || Error::unavailable("stream_ended", "the server has ended the stream");
                    watching.next().await?.ok_or_else(ended)?;
                }
            }
        }
    }

    fn of_workload(&self) -> String {
        format!("&workload={}", self.reference.workload.as_str().replace('/', "%2F"))
    }

    /// Follows one stream to its end. True: it is enough.
    async fn follow(
        &self,
        client: &Client,
        stage: Option<&str>,
        state: &mut Option<State>,
        file: &StateFile,
        out: &Out,
    ) -> Result<bool> {
        let on = stage.map(|stage| format!("&on=promoted:{stage},rolled_back:{stage}")).unwrap_or_default();
        let cursor = state.as_ref().map(|state| state.cursor);
        let mut watching = client.watch(&format!("{}{on}", self.of_workload()), cursor).await?;
        if state.is_none() {
            // The first time: what is there now counts as a change. The stream has begun, so nothing falls between.
            let mut first = State { cursor: watching.position, digest: None };
            if let Some(turn) = self.resolve(client, stage, watching.position, None).await? {
                self.turn(client, &turn, &mut first, file, out).await?;
                *state = Some(first);
                if self.once {
                    return Ok(true);
                }
            } else {
                out.note(format!("{} means nothing yet; waiting", self.reference));
                file.write(&first)?;
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
                self.turn(client, &turn, state, file, out).await?;
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
    async fn turn(
        &self,
        client: &Client,
        turn: &Turn,
        state: &mut State,
        file: &StateFile,
        out: &Out,
    ) -> Result<()> {
        let Turn { kind, version, digest, position, event, .. } = turn;
        match &self.exec {
            None => {
                let data =
                    json!({ "kind": kind, "version": version, "digest": digest, "position": position });
                let text =
                    event.as_ref().map_or_else(|| format!("{} is {version} {digest}", self.reference), line);
                if out.json { out.line(data.to_string()) } else { out.line(text) }
            }
            Some(command) => self.exec(client, command, turn, out).await?,
        }
        state.digest = Some(digest.clone());
        file.write(state)
    }

    async fn exec(&self, client: &Client, command: &str, turn: &Turn, out: &Out) -> Result<()> {
        let mut wait = Duration::from_secs(1);
        for tried in 0..=self.retries {
            let status = Command::new("sh")
                .args(["-c", command])
                .envs(client.server().map(|server| ("GRADUS_SERVER", server)))
                .envs(client.token().map(|token| ("GRADUS_TOKEN", token)))
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

/// Who was let in before is not any more.
fn ended(error: Error) -> Error {
    Error::unauthenticated("watch_token_ended", format!("the token of this watch does not hold any more: {error}"))
        .hint("log in again and start it again, it goes on where it was; or let it log in itself: gradus watch … --oidc")
}

/// What is remembered is ahead of the log.
fn ahead(error: Error, file: &StateFile) -> Error {
    let path = file.path().display();
    Error::new(error.kind, error.code, format!("{error}, but this watch has read so far, says {path}")).hint(
        "was the registry restored from a backup, or made anew? Remove the file to begin anew (the command then runs \
         for what is there now), or name another with --state",
    )
}
