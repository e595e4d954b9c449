//! `gradus status`, `history`, `rollback`, `freeze`, `unfreeze`.

use super::{
    argument,
    audit::Proof,
    deployment::difference,
    print::{Out, time},
    promote::{gates, pending_line},
    workload::review,
};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{
        name::Workload,
        promotion::MoveKind,
        reference::{Reference, Selector},
        scope::Scope,
        stage::Stage,
        version::Version,
    },
    wire,
};
use chrono::{DateTime, Utc};
use clap::Args;

/// The stage a reference names.
pub(super) fn stage_of(reference: &Reference) -> Result<Stage> {
    match &reference.selector {
        Selector::Stage(stage) => Ok(stage.clone()),
        Selector::Alias(word) => word.as_str().parse(),
        _ => Err(Error::invalid("usage", format!("a stage is meant, not: {reference}"))
            .hint(format!("write it as {}:production", reference.workload))),
    }
}

#[derive(Args)]
pub struct Status {
    /// The workload, NAMESPACE/NAME
    #[arg(value_parser = argument::<Workload>)]
    workload: Workload,
}

impl Status {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let status = client.status(&self.workload).await?;
        out.data(&status, |out| {
            let row = |stage: &wire::StageView| match &stage.current {
                Some(step) => vec![
                    stage.stage.to_string(),
                    step.version.to_string(),
                    time(step.at),
                    step.by.to_string(),
                    notes(stage, step),
                ],
                None => vec![stage.stage.to_string(), "-".into(), String::new(), String::new(), frozen(stage)],
            };
            out.table(
                &["STAGE", "VERSION", "SINCE", "BY", ""],
                &status.stages.iter().map(row).collect::<Vec<_>>(),
            );
            if let Some(card) = &status.card {
                let owner = card.owner.as_ref().map(|owner| format!("owner {owner}"));
                let risk = card.risk.map(|risk| format!("risk {risk}"));
                let says: Vec<String> = [owner, risk, Some(review(card))].into_iter().flatten().collect();
                out.line(says.join("; "));
            }
            for stage in &status.stages {
                let differ: Vec<String> = stage.deployments.iter().filter_map(difference).collect();
                let more = stage.targets - stage.targets_running - differ.len() as i64;
                differ.into_iter().for_each(|line| out.line(line));
                if more > 0 {
                    out.line(format!("{}: and {more} targets more that do not run it", stage.stage));
                }
            }
            for step in &status.unratified {
                let reason = step.reason.clone().unwrap_or_default();
                out.line(format!(
                    "override: {} put {} into {} against its gates, and nobody else has ratified it: {reason}",
                    step.by, step.version, step.stage
                ));
                out.note(format!("next: {}", out.command(&format!("ratify {}:{}", status.workload, step.stage))));
            }
            status.pending.iter().for_each(|item| pending_line(item, out));
        })
    }
}

fn frozen(stage: &wire::StageView) -> String {
    let freeze = |freeze: &wire::FrozenView| match freeze.until {
        Some(until) => format!("frozen until {}: {}", time(until), freeze.reason),
        None => format!("frozen: {}", freeze.reason),
    };
    stage.freezes.iter().map(freeze).collect::<Vec<_>>().join("; ")
}

fn notes(stage: &wire::StageView, step: &wire::MoveView) -> String {
    let mut notes = Vec::new();
    match step.kind {
        MoveKind::Promoted => {}
        MoveKind::Overridden => notes.push("by override".to_owned()),
        MoveKind::RolledBack => notes.push(format!(
            "rolled back{}: {}",
            step.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default(),
            step.reason.clone().unwrap_or_default()
        )),
    }
    if stage.targets > 0 {
        notes.push(format!("on {} of {} targets", stage.targets_running, stage.targets));
    }
    if stage.yanked {
        notes.push("yanked since".to_owned());
    }
    notes.extend(stage.quarantined.iter().map(|quarantine| format!("in quarantine, by {quarantine}")));
    let frozen = frozen(stage);
    if !frozen.is_empty() {
        notes.push(frozen);
    }
    notes.join("; ")
}

#[derive(Args)]
pub struct History {
    /// The stage, for example acme/ticket-triage:production
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// Also what the gates said
    #[arg(long)]
    gates: bool,
    /// Most entries
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

impl History {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let stage = stage_of(&self.reference)?;
        let mut steps = client.history(&self.reference.workload, &stage, self.limit.max(1) + 1).await?;
        let is_more = steps.len() > self.limit;
        steps.truncate(self.limit);
        out.data(&steps, |out| {
            for step in &steps {
                out.line(line(step));
                if let Some(report) = step.report.as_ref().filter(|_| self.gates) {
                    gates(report, out);
                }
            }
        })?;
        if steps.is_empty() {
            out.note(format!("nothing has entered {}:{stage}", self.reference.workload));
        }
        if is_more {
            let more = self.limit.saturating_mul(10);
            out.note(format!(
                "there is more: {}",
                out.command(&format!("history {} --limit {more}", self.reference))
            ));
        }
        Ok(())
    }
}

fn line(step: &wire::MoveView) -> String {
    let from = step.from.as_ref().map(|from| format!(" from {from}")).unwrap_or_default();
    let what = match step.kind {
        MoveKind::Promoted => "promoted",
        MoveKind::Overridden => "promoted by override",
        MoveKind::RolledBack => "rolled back",
    };
    let reason = step.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let ratified = step.ratified_by.as_ref().map(|by| format!(" (ratified by {by})")).unwrap_or_default();
    format!(
        "{:>4}  {}  {}  {what} to {}{from}{reason}{ratified}",
        step.number,
        time(step.at),
        step.by,
        step.version
    )
}

#[derive(Args)]
pub struct Rollback {
    /// The stage, for example acme/ticket-triage:production
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// An earlier version; without it the previous good one
    #[arg(long, value_name = "VERSION", value_parser = argument::<Version>)]
    to: Option<Version>,
    /// Why
    #[arg(long, short)]
    message: String,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    proof: Proof,
}

impl Rollback {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let stage = stage_of(&self.reference)?;
        let body = wire::Rollback { to: self.to, reason: self.message, dry_run: self.dry_run };
        let done = client.rollback(&self.reference.workload, &stage, &body).await?;
        out.data(&done, |out| {
            let verb = if done.dry_run { "would roll back" } else { "rolled back" };
            out.line(format!("{verb} {}:{stage} from {} to {}", done.workload, done.from, done.to));
            let marked: Vec<String> = done.marked.iter().map(ToString::to_string).collect();
            out.note(format!("not to enter {stage} again without an override: {}", marked.join(", ")));
        })?;
        self.proof.write(client, &done.workload, done.position, out).await
    }
}

/// A scope, with a stage where one is meant: `acme`, `acme/ticket-triage` or `acme/ticket-triage:production`.
#[derive(Clone)]
pub struct Place {
    scope: Scope,
    stage: Option<Stage>,
}

fn place(text: &str) -> Result<Place, String> {
    let (scope, stage) = match text.split_once(':') {
        Some((scope, stage)) => (scope, Some(argument::<Stage>(stage)?)),
        None => (text, None),
    };
    Ok(Place { scope: argument::<Scope>(scope)?, stage })
}

#[derive(Args)]
pub struct Freeze {
    /// A workload, a namespace or '*', with :STAGE for one stage; without it every stage after the first, or the only one
    #[arg(value_parser = place, value_name = "SCOPE[:STAGE]")]
    place: Place,
    /// Why
    #[arg(long, short)]
    message: String,
    /// Until when, in UTC, for example 2027-01-02T00:00:00Z; without it until `unfreeze`
    #[arg(long, value_name = "TIME")]
    until: Option<DateTime<Utc>>,
}

impl Freeze {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let Place { scope, stage } = self.place;
        let body = wire::NewFreeze { stage, until: self.until, reason: self.message };
        let freeze = client.freeze(&scope, &body).await?;
        let stage = freeze
            .stage
            .as_ref()
            .map_or_else(|| "every stage after the first, or the only one,".to_owned(), ToString::to_string);
        let until = freeze.until.map(|until| format!(" until {}", time(until))).unwrap_or_default();
        out.done(&freeze, format!("froze {stage} of {}{until}; rolling back goes on", freeze.scope))
    }
}

#[derive(Args)]
pub struct Unfreeze {
    /// Where it was frozen: SCOPE or SCOPE:STAGE
    #[arg(value_parser = place, value_name = "SCOPE[:STAGE]")]
    place: Place,
}

impl Unfreeze {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let lifted = client.unfreeze(&self.place.scope, self.place.stage.as_ref()).await?;
        let line =
            |freeze: &wire::FreezeView| format!("lifted the freeze of {}: {}", freeze.scope, freeze.reason);
        out.done(&lifted, lifted.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}
