//! `gradus hook`.

use super::print::{Out, bytes, count, time};
use crate::{
    client::Client,
    error::{Error, Result},
    model::hook::{DeliveryState, HookState, Template},
    wire,
};
use clap::{Args, Subcommand};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Subcommand)]
pub enum Hook {
    /// Tell a system of what happens from now on
    Add(Add),
    /// List hooks
    List {
        /// Only of this scope: a namespace with its workloads, a workload, or '*' for those of the whole registry
        scope: Option<String>,
    },
    /// Show a hook and how it stands
    Show {
        /// The hook's id
        hook: String,
    },
    /// Send a test event and say what the receiver answers
    Test {
        /// The hook's id
        hook: String,
    },
    /// List what was sent, or show one delivery with each attempt
    Deliveries(Deliveries),
    /// Send an event once more, under the same id
    Replay(Replay),
    /// Let a hook wait; events go on to queue, each until it is hooks.keep_days old and is given up (see replay --dead)
    Pause {
        /// The hook's id
        hook: String,
        /// Why
        #[arg(short, long, value_name = "TEXT")]
        message: Option<String>,
    },
    /// Send again, what waits first
    Resume {
        /// The hook's id
        hook: String,
    },
    /// Give a hook another secret; the one before is valid for a while
    Rotate(Rotate),
    /// Take a hook away; what waits for it is not sent any more
    Rm {
        /// The hook's id
        hook: String,
    },
}

#[derive(Args)]
pub struct Add {
    /// Whose events: a namespace, a workload or '*'
    scope: String,
    /// Where to send: https://…, or tls://… and nats://… for NATS JetStream; plain text only to networks in hooks.allow.
    /// A path may be a secret: later only scheme, host, port and the first word of a longer path are shown
    #[arg(long)]
    url: String,
    /// Which events: kinds with commas between, each with a stage where it is about one; '*' is all
    #[arg(long, default_value = "promoted,rolled_back", value_name = "KIND[:STAGE],…")]
    on: String,
    /// In which form: cloudevents, github, gitlab or slack
    #[arg(long, default_value = "cloudevents", value_parser = super::argument::<Template>)]
    template: Template,
    /// A file with the secret that signs (whsec_…, or whsk_… for Ed25519); without it one is made and shown once
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Make an Ed25519 key, so that receivers hold nothing secret
    #[arg(long, conflicts_with = "secret_file")]
    ed25519: bool,
    /// A file with what the receiver knows us by: a token of GitHub, GitLab or NATS (also user:password)
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// GitLab: the branch or tag whose pipeline runs [default: main]
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// NATS: the subject, of a stream that takes it
    #[arg(long)]
    subject: Option<String>,
}

#[derive(Args)]
pub struct Deliveries {
    /// A hook's id, or of one delivery HOOK/POSITION
    which: String,
    /// Only pending, delivered or dead ones
    #[arg(long, value_parser = super::argument::<DeliveryState>)]
    state: Option<DeliveryState>,
    /// Most entries, up to 1000
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
    limit: i64,
}

#[derive(Args)]
pub struct Replay {
    /// HOOK/POSITION, or with --dead a hook's id
    which: String,
    /// All that was given up and is still kept
    #[arg(long)]
    dead: bool,
}

#[derive(Args)]
pub struct Rotate {
    /// The hook's id
    hook: String,
    /// A file with the new secret; without it one is made and shown once
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// How many hours the secret before is valid too
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(i64).range(0..=720))]
    keep_hours: i64,
}

impl Hook {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Add(add) => add.run(client, out).await,
            Self::List { scope } => list(client, scope.as_deref(), out).await,
            Self::Show { hook } => show(client, &hook, out).await,
            Self::Test { hook } => test(client, &hook, out).await,
            Self::Deliveries(deliveries) => deliveries.run(client, out).await,
            Self::Replay(replay) => replay.run(client, out).await,
            Self::Pause { hook, message } => {
                let body = wire::PauseHook { reason: message };
                let view: wire::HookView = client.on_hook(&hook, "pause", &body).await?;
                out.done(&view, format!("hook {hook} is paused; events go on to queue for it"))
            }
            Self::Resume { hook } => {
                let view: wire::HookView = client.on_hook(&hook, "resume", &json!({})).await?;
                out.done(&view, format!("hook {hook} is active"))
            }
            Self::Rotate(rotate) => rotate.run(client, out).await,
            Self::Rm { hook } => {
                client.remove_hook(&hook).await?;
                out.done(&json!({ "hook": hook, "removed": true }), format!("removed hook {hook}"))
            }
        }
    }
}

/// A secret from a file: never on the command line, where others could read it.
fn secret(file: Option<&Path>) -> Result<Option<String>> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(file).map_err(|source| {
        Error::invalid("file_unreadable", format!("cannot read {}", file.display())).source(source)
    })?;
    Ok(Some(text.trim().to_owned()))
}

impl Add {
    async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let new = wire::NewHook {
            scope: self.scope,
            url: self.url,
            on: self.on,
            template: Some(self.template),
            secret: secret(self.secret_file.as_deref())?,
            asymmetric: self.ed25519,
            token: secret(self.token_file.as_deref())?,
            git_ref: self.git_ref,
            subject: self.subject,
        };
        let was_given = new.secret.is_some();
        let added = client.add_hook(&new).await?;
        let hook = &added.hook;
        out.note(format!("hook {} on {}: {} goes to {}", hook.id, hook.scope, hook.on, hook.to));
        if let Some(key) = added.verify_by.as_ref().filter(|key| !was_given || key.starts_with("whpk_")) {
            let once = if key.starts_with("whpk_") { "" } else { "; it is shown only now" };
            out.note(format!("receivers verify by{once}:\n  {key}"));
        }
        out.note(format!("next: {}", out.command(&format!("hook test {}", hook.id))));
        if out.json { out.data(&added, |_| {}) } else { out.data(&added, |out| out.line(&hook.id)) }
    }
}

fn state(view: &wire::HookView) -> String {
    match (view.state, view.failing_since) {
        (HookState::Active, Some(since)) => format!("failing since {}", time(since)),
        (state, _) => state.to_string(),
    }
}

async fn list(client: &Client, scope: Option<&str>, out: &Out) -> Result<()> {
    let list = client.list_hooks(scope).await?;
    let row = |view: &wire::HookView| {
        vec![view.id.clone(), view.scope.clone(), view.on.clone(), view.to.clone(), state(view)]
    };
    out.data(&list, |out| {
        out.table(&["HOOK", "SCOPE", "ON", "TO", "STATE"], &list.iter().map(row).collect::<Vec<_>>());
    })
}

async fn show(client: &Client, id: &str, out: &Out) -> Result<()> {
    let details = client.show_hook(id).await?;
    out.data(&details, |out| {
        let hook = &details.hook;
        out.line(format!("{} on {}, {}", hook.id, hook.scope, state(hook)));
        out.line(format!("to {} as {}: {}", hook.to, details.template, hook.on));
        if let Some(reason) = &hook.reason {
            out.line(format!("because: {reason}"));
        }
        out.line(format!("{} to be sent", count(u64::try_from(details.pending).unwrap_or(0), "event")));
        if let Some(dead) = u64::try_from(details.dead).ok().filter(|dead| *dead > 0) {
            let replay = out.command(&format!("hook replay --dead {}", hook.id));
            out.line(format!("{} given up; once more: {replay}", count(dead, "event")));
        }
        for key in &details.public_keys {
            out.line(format!("verified by {key}"));
        }
        if let Some(until) = details.rotating_until {
            out.line(format!("the secret before is valid until {}", time(until)));
        }
        out.line(format!("added {} by {}", time(hook.created_at), hook.created_by));
    })
}

/// Longer than an attempt takes.
const TEST_WAIT: Duration = Duration::from_secs(60);

async fn test(client: &Client, id: &str, out: &Out) -> Result<()> {
    let tested: wire::HookTested = client.on_hook(id, "test", &json!({})).await?;
    let delivery = async {
        loop {
            let details = client.delivery(id, tested.position).await?;
            if details.delivery.state != DeliveryState::Pending {
                return Ok::<_, Error>(details);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let see = out.command(&format!("hook deliveries {id}/{}", tested.position));
    let details = tokio::time::timeout(TEST_WAIT, delivery).await.map_err(|_| {
        Error::unavailable("hook_test_pending", format!("the test is still to be sent: {id}"))
            .hint(format!("is a server running? look later with: {see}"))
    })??;
    let last = details.tries.last();
    let why = last.and_then(|last| last.error.clone());
    out.data(&details, |out| last.into_iter().for_each(|last| out.line(attempt(last))))?;
    match why {
        None => Ok(()),
        Some(why) => Err(Error::unavailable(
            "hook_test_failed",
            format!("the test was not delivered: {why}"),
        )
        .hint(format!(
            "mend the receiver (or hooks.allow, where its address was refused) and test again; see {see}"
        ))),
    }
}

fn attempt(view: &wire::AttemptView) -> String {
    let status = view.status.map(|status| format!("  {status}")).unwrap_or_default();
    let answer = view
        .answer_bytes
        .map(|size| format!(", answered {}", bytes(size.unsigned_abs())))
        .unwrap_or_default();
    let came = view.error.clone().unwrap_or_else(|| "delivered".to_owned());
    format!(
        "{:>3}  {}{status}  {} ms  sent {}{answer}  {came}",
        view.number,
        time(view.at),
        view.millis,
        bytes(view.request_bytes.unsigned_abs())
    )
}

/// `HOOK/POSITION`.
fn one(which: &str) -> Option<(&str, i64)> {
    let (hook, position) = which.split_once('/')?;
    Some((hook, position.parse().ok()?))
}

impl Deliveries {
    async fn run(self, client: &Client, out: &Out) -> Result<()> {
        if let Some((hook, position)) = one(&self.which) {
            let details = client.delivery(hook, position).await?;
            return out.data(&details, |out| {
                out.line(line(&details.delivery));
                for view in &details.tries {
                    out.line(attempt(view));
                    for text in view.answer.iter().flat_map(|answer| answer.lines()) {
                        out.line(format!("       | {text}"));
                    }
                }
            });
        }
        let page =
            client.deliveries(&self.which, self.state.map(DeliveryState::name), "", self.limit).await?;
        out.data(&page.items, |out| page.items.iter().for_each(|view| out.line(line(view))))?;
        if page.next.is_some() {
            out.note("there are more; see up to 1000 with --limit");
        }
        Ok(())
    }
}

fn line(view: &wire::DeliveryView) -> String {
    let about = view.workload.as_deref().unwrap_or("-");
    let tries = count(view.attempts.unsigned_abs(), "attempt");
    format!(
        "{}/{}  {}  {} {about}  {}, {tries}",
        view.hook,
        view.position,
        time(view.queued_at),
        view.kind,
        view.state
    )
}

impl Replay {
    async fn run(self, client: &Client, out: &Out) -> Result<()> {
        if self.dead {
            // All are listed before the first is sent: one that dies again is not sent again.
            let (mut dead, mut cursor) = (Vec::new(), Some(String::new()));
            while let Some(at) = cursor {
                let page =
                    client.deliveries(&self.which, Some(DeliveryState::Dead.name()), &at, 1000).await?;
                dead.extend(page.items);
                cursor = page.next;
            }
            let mut replayed: Vec<wire::Replayed> = Vec::new();
            for view in dead.iter().rev() {
                replayed.push(client.replay(&self.which, view.position).await?);
            }
            let sentence = format!("{} will be sent once more", count(replayed.len() as u64, "event"));
            out.done(&replayed, sentence)?;
            note_waits(replayed.last(), out);
            return Ok(());
        }
        let Some((hook, position)) = one(&self.which) else {
            return Err(Error::invalid("usage", format!("not a delivery: {}", self.which)).hint(
                "a delivery is HOOK/POSITION, as gradus hook deliveries HOOK lists them; or --dead HOOK",
            ));
        };
        let view = client.replay(hook, position).await?;
        out.done(&view, format!("event {position} will be sent to hook {hook} once more"))?;
        note_waits(Some(&view), out);
        Ok(())
    }
}

/// Says that what was replayed waits, where it does.
fn note_waits(replayed: Option<&wire::Replayed>, out: &Out) {
    if let Some(waits) = replayed.and_then(|replayed| replayed.waits.as_ref()) {
        out.note(format!("not yet: {waits}"));
    }
}

impl Rotate {
    async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let body = wire::RotateHook {
            secret: secret(self.secret_file.as_deref())?,
            keep_hours: Some(self.keep_hours),
        };
        let rotated: wire::HookRotated = client.on_hook(&self.hook, "rotate", &body).await?;
        out.note(format!(
            "hook {} signs by a new secret; by the one before too until {}",
            self.hook,
            time(rotated.until)
        ));
        if self.secret_file.is_none() {
            out.note(format!("receivers verify by:\n  {}", rotated.verify_by));
        }
        out.data(&rotated, |_| {})
    }
}
