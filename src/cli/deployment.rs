//! `gradus deployment report` and `gradus where`.

use super::{
    argument,
    print::{Out, ago, quoted, time},
};
use crate::{
    client::Client,
    error::Result,
    model::{
        deployment::{Status, Target},
        reference::{Reference, Selector},
        stage::Stage,
    },
    wire,
};
use clap::{Args, Subcommand, ValueEnum};

#[derive(Subcommand)]
pub enum Deployment {
    /// Say what runs on a target, and how it fares (exit code 3: the stage was rolled back by it)
    Report(Report),
}

#[derive(Args)]
pub struct Report {
    /// The version that runs there. A stage stands for what it holds now: better name the version that was deployed
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// Where it runs, in your own words, for example eu-1
    #[arg(long, value_name = "NAME", value_parser = argument::<Target>)]
    target: Target,
    /// running, failed (it was to run and does not) or retired (nothing of the workload runs there any more)
    #[arg(long, value_parser = argument::<Status>)]
    status: Status,
    /// The stage the target follows, where the reference is not one
    #[arg(long, value_parser = argument::<Stage>)]
    stage: Option<Stage>,
    /// How it fares; without it what was said before holds
    #[arg(long, value_enum)]
    health: Option<Health>,
    /// Where a person sees more of it
    #[arg(long)]
    url: Option<String>,
    /// What there is to say about it
    #[arg(long, short, value_name = "TEXT")]
    message: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Health {
    Healthy,
    Unhealthy,
}

impl Deployment {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Report(report) => report.run(client, out).await,
        }
    }
}

impl Report {
    async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let version = match &self.reference.selector {
            Selector::Default => None,
            selector => Some(selector.to_string().trim_start_matches([':', '@']).to_owned()),
        };
        let body = wire::ReportDeployment {
            version,
            stage: self.stage,
            status: self.status,
            healthy: self.health.map(|health| matches!(health, Health::Healthy)),
            url: self.url,
            message: self.message,
        };
        let told = client.report_deployment(&self.reference.workload, &self.target, &body).await?;
        let it = &told.deployment;
        let name = format!("{}:{}", it.workload, it.version);
        out.data(&told, |out| {
            let health = match it.healthy {
                Some(true) => ", healthy",
                Some(false) if it.status == Status::Running => ", not healthy",
                _ => "",
            };
            let news = if told.changed { "" } else { "; nothing new in it" };
            out.line(format!("{name} on {}: {}{health}{news}", it.target, it.status));
            if let Some(difference) = difference(it) {
                out.line(difference);
            }
            if let Some(back) = &told.rolled_back {
                out.line(format!(
                    "rolled back {}:{} from {} to {}",
                    it.workload, back.stage, back.from, back.to
                ));
            }
            for promotion in &told.promoted {
                out.line(format!("promoted {}:{} to {}", it.workload, promotion.version, promotion.stage));
            }
        })?;
        if told.evidence_full {
            out.note(
                "not kept as evidence: as much is kept of how this version fares as is taken; gates say so",
            );
        }
        if told.rolled_back.is_some() {
            out.end_with(3);
        }
        Ok(())
    }
}

/// Where a target is not what its stage asks for, and for how long.
pub(super) fn difference(it: &wire::DeploymentView) -> Option<String> {
    let (since, desired, stage) = (it.differs_since?, it.desired.as_ref()?, it.stage.as_ref()?);
    let runs = it.running.as_ref().map(|running| format!("runs {}", running.version));
    let has = match (it.status, runs) {
        (Status::Failed, Some(runs)) => format!("failed to run {}, {runs}", it.version),
        (Status::Failed, None) => format!("failed to run {}", it.version),
        (_, runs) => runs.unwrap_or_else(|| format!("ran {}", it.version)),
    };
    let wanted = match desired.digest == it.digest {
        true => String::new(),
        false => format!("; {} is wanted", desired.version),
    };
    Some(format!("{}: {} {has}{wanted}, for {}", stage, it.target, ago(since)))
}

#[derive(Args)]
pub struct Where {
    /// A workload, the stage that targets follow, or a version they run
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// Also targets that do not run the workload any more
    #[arg(long)]
    retired: bool,
}

impl Where {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let items = client.deployments(&self.reference, self.retired).await?;
        let page = wire::Page { items, next: None };
        out.data(&page, |out| {
            if page.items.is_empty() {
                return;
            }
            let head = ["TARGET", "STAGE", "VERSION", "STATUS", "SINCE", "REPORTED", ""];
            out.table(&head, &page.items.iter().map(row).collect::<Vec<_>>());
        })?;
        if page.items.is_empty() {
            let reference = quoted(&self.reference.to_string());
            out.note(format!("no deployment of {} was reported", self.reference));
            out.note(format!(
                "next: {}",
                out.command(&format!(
                    "deployment report {reference} --stage STAGE --target NAME --status running"
                ))
            ));
        }
        Ok(())
    }
}

fn row(it: &wire::DeploymentView) -> Vec<String> {
    let other = it.running.as_ref().filter(|running| running.digest != it.digest);
    let other = other.map(|running| format!("{} runs there since {}", running.version, time(running.since)));
    let status = match it.healthy {
        Some(true) => format!("{}, healthy", it.status),
        Some(false) if it.status == Status::Running => format!("{}, not healthy", it.status),
        _ => it.status.to_string(),
    };
    let wanted = it
        .differs_since
        .zip(it.desired.as_ref())
        .map(|(since, desired)| format!("{} is wanted there, for {}", desired.version, ago(since)));
    let notes = [other, wanted, it.message.clone(), it.url.clone()];
    vec![
        it.target.to_string(),
        it.stage.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
        it.version.to_string(),
        status,
        time(it.since),
        time(it.reported_at),
        notes.into_iter().flatten().collect::<Vec<_>>().join("; "),
    ]
}
