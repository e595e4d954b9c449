//! `gradus promote`, `approve`, `reject`, `withdraw`, `ratify`, `pending`.

use super::{
    argument,
    audit::Proof,
    print::{Out, time},
    stages::stage_of,
};
use crate::{
    client::Client,
    error::{Error, Result},
    gates::{Outcome, Report},
    model::{
        name::Namespace,
        promotion::State,
        reference::{Reference, Selector},
        stage::Stage,
        version::Version,
    },
    wire,
};
use clap::Args;

/// Exit codes of a promotion that did not go through.
const REFUSED: u8 = 3;
const PENDING: u8 = 4;

/// A version and the stage it is to enter.
#[derive(Args)]
pub struct Where {
    /// The version, for example acme/ticket-triage:1.5.0
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// The stage, for example production
    #[arg(long, value_name = "STAGE", value_parser = argument::<Stage>)]
    to: Stage,
}

impl Where {
    /// The TAG of the version; a whole workload is not one.
    fn version(&self) -> Result<String> {
        if matches!(self.reference.selector, Selector::Default) {
            return Err(Error::invalid("usage", "say which version is meant")
                .hint(format!("for example {}:latest", self.reference.workload)));
        }
        Ok(self.reference.selector.to_string().trim_start_matches([':', '@']).to_owned())
    }
}

#[derive(Args)]
pub struct Promote {
    #[command(flatten)]
    place: Where,
    /// Only say what would happen
    #[arg(long)]
    dry_run: bool,
    /// Do it against the gates; takes an admin, and a message
    #[arg(long = "override", requires = "message")]
    overriding: bool,
    /// Why, for --override
    #[arg(long, short, requires = "overriding")]
    message: Option<String>,
    /// Refuse unless the stage holds this version now
    #[arg(long, value_name = "VERSION", value_parser = argument::<Version>)]
    expect: Option<Version>,
    #[command(flatten)]
    proof: Proof,
}

impl Promote {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let body = wire::Promote {
            version: self.place.version()?,
            dry_run: self.dry_run,
            overriding: self.message,
            expect: self.expect,
        };
        let promotion = client.promote(&self.place.reference.workload, &self.place.to, &body).await?;
        out.data(&promotion, |out| tell(&promotion, self.dry_run, out))?;
        self.proof.write(client, &promotion.workload, promotion.position, out).await?;
        match (promotion.overridden, promotion.report.outcome) {
            (true, _) | (_, Outcome::Pass) => {}
            (_, Outcome::Fail) => out.end_with(REFUSED),
            (_, Outcome::Wait) => out.end_with(PENDING),
        }
        Ok(())
    }
}

fn tell(promotion: &wire::PromotionView, dry_run: bool, out: &Out) {
    gates(&promotion.report, out);
    let wire::PromotionView { workload, version, stage, .. } = promotion;
    let was = promotion.from.as_ref().map(|from| format!(", before {from}")).unwrap_or_default();
    let line = match (dry_run, promotion.state, promotion.recorded) {
        (true, State::Promoted, _) if promotion.report.gates.is_empty() => {
            format!("{workload}:{version} is in {stage} already")
        }
        (true, State::Promoted, _) => format!("would promote {workload}:{version} to {stage}{was}"),
        (true, State::Pending, _) => format!("{workload}:{version} would wait for {stage}"),
        (true, ..) => format!("{workload}:{version} would be refused for {stage}"),
        (_, State::Promoted, false) => format!("{workload}:{version} is in {stage} already"),
        (_, State::Promoted, true) if promotion.overridden => {
            format!(
                "promoted {workload}:{version} to {stage} against its gates{was}; somebody else should ratify it"
            )
        }
        (_, State::Promoted, true) => format!("promoted {workload}:{version} to {stage}{was}"),
        (_, State::Pending, _) => format!(
            "pending: {workload}:{version} waits for {stage}, until {} at most",
            time(promotion.expires_at)
        ),
        _ => format!("refused: {workload}:{version} does not enter {stage}"),
    };
    out.line(line);
    if promotion.overridden {
        return;
    }
    for step in next_steps(&promotion.report) {
        let step = step.strip_prefix("gradus ").map_or_else(|| step.to_owned(), |verb| out.command(verb));
        out.note(format!("next: {step}"));
    }
}

/// A line for each gate.
pub(super) fn gates(report: &Report, out: &Out) {
    let width = report.gates.iter().map(|gate| gate.gate.len()).max().unwrap_or(0);
    for gate in &report.gates {
        let mark = match gate.outcome {
            Outcome::Pass => "pass",
            Outcome::Wait => "wait",
            Outcome::Fail => "FAIL",
        };
        out.line(format!("  {mark}  {:width$}  {}", gate.gate, gate.reason));
    }
}

fn next_steps(report: &Report) -> Vec<&str> {
    let mut steps: Vec<&str> = Vec::new();
    for gate in report.gates.iter().filter(|gate| gate.outcome != Outcome::Pass) {
        let step = gate.next.as_deref().unwrap_or_default();
        if !step.is_empty() && !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

#[derive(Args)]
pub struct Decide {
    #[command(flatten)]
    place: Where,
    /// Why
    #[arg(long, short)]
    message: Option<String>,
    #[command(flatten)]
    proof: Proof,
}

/// Which word was said.
#[derive(Clone, Copy)]
pub enum Word {
    Approve,
    Reject,
    Withdraw,
}

impl Decide {
    pub async fn run(self, word: Word, client: &Client, out: &Out) -> Result<()> {
        let body = wire::Decide { version: self.place.version()?, message: self.message.unwrap_or_default() };
        let (workload, stage) = (&self.place.reference.workload, &self.place.to);
        if matches!(word, Word::Reject) && body.message.trim().is_empty() {
            return Err(Error::invalid("usage", "a rejection needs a reason").hint("give it with: -m \"…\""));
        }
        let (decided, verb) = match word {
            Word::Approve => (client.approve(workload, stage, &body).await?, "approved"),
            Word::Reject => (client.reject(workload, stage, &body).await?, "rejected"),
            Word::Withdraw => {
                let withdrawn = client.withdraw(workload, stage, &body).await?;
                let line = format!("withdrew {workload}:{} from its way to {stage}", withdrawn.version);
                out.done(&withdrawn, line)?;
                return self.proof.write(client, workload, withdrawn.position, out).await;
            }
        };
        let already = if decided.created { "" } else { " already" };
        out.data(&decided, |out| {
            out.line(format!("{verb}{already}: {workload}:{} for {stage}", decided.version));
            for promoted in &decided.promoted {
                out.line(format!("promoted {workload}:{} to {}", promoted.version, promoted.stage));
            }
        })?;
        self.proof.write(client, workload, decided.position, out).await
    }
}

#[derive(Args)]
pub struct Ratify {
    /// The stage, for example acme/ticket-triage:production
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
}

impl Ratify {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let stage = stage_of(&self.reference)?;
        let steps = client.ratify(&self.reference.workload, &stage).await?;
        let line = |step: &wire::MoveView| {
            let reason = step.reason.clone().unwrap_or_default();
            format!("ratified {} in {}, promoted by {}: {reason}", step.version, step.stage, step.by)
        };
        out.data(&steps, |out| steps.iter().for_each(|step| out.line(line(step))))
    }
}

#[derive(Args)]
pub struct Pending {
    /// Only of this namespace
    #[arg(long, value_parser = argument::<Namespace>)]
    namespace: Option<Namespace>,
    /// Everything that waits, not only what waits for you
    #[arg(long)]
    all: bool,
}

impl Pending {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let pending = client.pending(self.namespace.as_ref(), !self.all).await?;
        out.data(&pending, |out| {
            for item in &pending {
                pending_line(item, out);
            }
        })?;
        if pending.is_empty() {
            out.note(match self.all {
                true => "nothing waits",
                false => "nothing waits for you; see everything that waits with --all",
            });
        }
        Ok(())
    }
}

/// A pending promotion: what, and what it waits for.
pub(super) fn pending_line(item: &wire::PendingView, out: &Out) {
    let wire::PromotionView { workload, version, stage, requested_by, expires_at, report, .. } =
        &item.promotion;
    out.line(format!(
        "{workload}:{version} waits for {stage}, asked for by {requested_by}, until {} at most",
        time(*expires_at)
    ));
    for gate in report.gates.iter().filter(|gate| gate.outcome != Outcome::Pass) {
        let mark = if gate.outcome == Outcome::Fail { "FAIL" } else { "wait" };
        out.line(format!("  {mark}  {}: {}", gate.gate, gate.reason));
    }
    if item.for_you {
        out.note(format!(
            "next: {}",
            out.command(&format!("approve {workload}:{version} --to {stage} -m WHY"))
        ));
    }
}
