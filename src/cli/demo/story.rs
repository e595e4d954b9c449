//! What happens in the demo, step by step.

use super::{
    INPUT, WORKLOAD, files,
    people::{self, People, Push, approve, attach, promote, push, reference},
};
use crate::{
    cli::{
        log, look,
        print::{Out, bytes},
    },
    client::{Client, PullOutcome},
    clock::{Behind, Clock as _},
    error::{Error, Result},
    gates::Outcome,
    model::{
        card::{Day, Risk},
        evidence::EvidenceKind,
        name::Workload,
        promotion::State,
        reference::Reference,
        resolution::Target,
        stage::Stage,
    },
    signing, wire,
};
use chrono::TimeDelta;
use std::{path::PathBuf, sync::Arc};

pub struct Story<'a> {
    pub people: People,
    pub admin: Client,
    pub files: PathBuf,
    pub pulled: PathBuf,
    /// How the registry is called by hand.
    pub command: String,
    pub clock: Arc<Behind>,
    pub out: &'a Out,
}

impl Story<'_> {
    pub(super) fn say(&self, text: impl AsRef<str>) {
        self.out.line(text);
    }

    fn step(&self, number: u32, what: &str) {
        self.say("");
        self.say(format!("{number}. {what}"));
    }

    pub async fn tell(&self) -> Result<()> {
        self.step(
            1,
            "A prompt, with a contract: the JSON Schemas of what goes in and out. It moves at once.",
        );
        let first = self.push("triage-1.prompt.yaml", true, false, false).await?;
        self.evaluate(&first, 10).await?;
        self.promote(&first, "production").await?;
        self.consume().await?;

        self.step(
            2,
            "An edit of the prompt. Measured on the same tickets, it is not worse, so it may follow.",
        );
        let second = self.push("triage-2.prompt.yaml", true, false, false).await?;
        self.evaluate(&second, 12).await?;
        self.promote(&second, "production").await?;
        self.consume().await?;

        self.step(
            3,
            "A fine-tune of a pinned base model. Of an adapter more is asked: what was it trained on?",
        );
        let silent = self.push("lora", false, true, false).await?;
        self.promote(&silent, "staging").await?;
        self.say(
            "   So dana pushes it with its dataset, and it climbs as far as somebody has to look at it.",
        );
        let adapter = self.push("lora", false, true, true).await?;
        self.promote(&adapter, "staging").await?;
        self.evaluate(&adapter, 20).await?;
        self.promote(&adapter, "production").await?;
        self.approve(&self.people.eli, "eli", &adapter).await?;
        self.consume().await?;

        self.step(4, "Own weights. Signed, with provenance and a model card; somebody answers for the workload; two people approve, and a day in staging.");
        self.describe().await?;
        let weights = self.push("model", false, false, true).await?;
        self.vouch(&weights).await?;
        self.promote(&weights, "staging").await?;
        self.evaluate(&weights, 25).await?;
        self.promote(&weights, "production").await?;
        self.approve(&self.people.eli, "eli", &weights).await?;
        self.approve(&self.people.rhea, "rhea", &weights).await?;

        self.step(5, "The adapter turns out badly. Back to the previous good version, in one command.");
        self.roll_back().await?;
        self.consume().await?;

        self.step(6, "Pull the weights into a directory; every file is checked against its digest.");
        self.pull(&weights).await?;

        self.step(7, "A monitor. What comes in is not any more what a version was made for; the stage moves back by itself.");
        self.watch().await?;

        self.step(8, "The history: every change is one entry of a signed, append-only log.");
        let query = format!("&workload={}", WORKLOAD.replace('/', "%2F"));
        for event in self.admin.events(&query, 0, 100).await? {
            self.say(log::line(&event));
        }
        let report = self.admin.verify_log(&wire::VerifyLog::default()).await?;
        let is_whole = if report.first_bad.is_none() { "is what it was" } else { "was changed" };
        self.say(format!("   the log of {} entries {is_whole}", report.size));
        self.say("");
        self.say("Next, look at where the workload stands, and what waits:");
        self.say(format!("  {} status {WORKLOAD}", self.command));
        Ok(())
    }

    /// Dana pushes. Answers the version's number.
    async fn push(
        &self,
        what: &str,
        with_contract: bool,
        with_base: bool,
        with_dataset: bool,
    ) -> Result<String> {
        let wanted = Push { what, with_contract, with_base, with_dataset };
        let (pushed, moved) = push(&self.people.dana, WORKLOAD, &self.files, &wanted).await?;
        let version = &pushed.version;
        self.say(format!(
            "   dana pushed {WORKLOAD}:{} ({}, {} sent, {})",
            version.version,
            version.kind,
            bytes(moved),
            version.digest.short()
        ));
        for note in &pushed.notes {
            self.say(format!("   {note}"));
        }
        if let Some(parameters) = pushed.inspection.parameters {
            self.say(
                format!(
                    "   found by the registry itself: {parameters} parameters, {:?}",
                    pushed.inspection.safety
                )
                .to_lowercase(),
            );
        }
        Ok(version.version.to_string())
    }

    async fn evaluate(&self, version: &str, miss: usize) -> Result<()> {
        let attached = attach(&self.people.rhea, version, files::evaluation(miss)).await?;
        for one in &attached.evidence {
            self.say(format!(
                "   rhea attached {} to {version}",
                crate::cli::evidence::describe(&one.evidence)
            ));
        }
        Ok(())
    }

    /// Rhea promotes; says how it went, and what does not pass yet.
    async fn promote(&self, version: &str, stage: &str) -> Result<()> {
        let promotion = promote(&self.people.rhea, WORKLOAD, version, stage).await?;
        let how = match promotion.state {
            State::Promoted => "promoted",
            State::Pending => "pending",
            _ => "refused",
        };
        self.say(format!(
            "   rhea asked for {version} in {stage}: {how}, by {} gates",
            promotion.report.gates.len()
        ));
        for gate in promotion.report.gates.iter().filter(|gate| gate.outcome != Outcome::Pass) {
            let mark = if gate.outcome == Outcome::Fail { "FAIL" } else { "wait" };
            self.say(format!("     {mark}  {}: {}", gate.gate, gate.reason));
        }
        Ok(())
    }

    async fn approve(&self, client: &Client, who: &str, version: &str) -> Result<()> {
        let decided = approve(client, version, "production", "read the results").await?;
        let then = match decided.promoted.first() {
            Some(promoted) => format!("which completed it: {version} is in {}", promoted.stage),
            None => "and it waits on".to_owned(),
        };
        self.say(format!("   {who} approved {version} for production, {then}"));
        Ok(())
    }

    /// Who answers for the workload, what it is for, and when somebody looks at it again.
    async fn describe(&self) -> Result<()> {
        let workload: Workload = WORKLOAD.parse()?;
        let text = |text: &str| Some(text.to_owned());
        let body = wire::SetCard {
            owner: text("support tools"),
            purpose: text("Sorts support tickets by topic and urgency, for people who answer them."),
            limits: text("English tickets only. It answers nobody by itself."),
            risk: Some(Risk::Limited),
            review_on: Some(Day::of(self.clock.now() + TimeDelta::days(365))),
            clear: Vec::new(),
        };
        let set = self.admin.set_card(&workload, &body).await?;
        let (owner, risk) = (set.card.owner.unwrap_or_default(), set.card.risk.unwrap_or(Risk::Limited));
        let day = set.card.review_on.map(|day| day.to_string()).unwrap_or_default();
        self.say(format!(
            "   the admin described {workload}: owner {owner}, risk {risk}, next review by {day}"
        ));
        Ok(())
    }

    /// What weights need beside measurements: who signed them, how they were made, what they are for.
    async fn vouch(&self, version: &str) -> Result<()> {
        let client = &self.people.rhea;
        let (shown, exact) = (client.show(&reference(version)?).await?, reference(version)?);
        let (_, key) = signing::PrivateKey::generate()?;
        let resources: Vec<_> = shown.files.iter().map(signing::Resource::from).collect();
        let statement = signing::statement(WORKLOAD, &resources)?;
        let bundle = signing::sign(&statement, &key, None)?;
        let kind = Some(EvidenceKind::Signature);
        let signed = client.attach(&exact, kind, Some(&key.public_pem()), bundle).await?;
        let made = attach(client, version, files::provenance(shown.version.digest.as_str())).await?;
        let card = attach(client, version, files::CARD.to_vec()).await?;
        for one in signed.evidence.iter().chain(&made.evidence).chain(&card.evidence) {
            self.say(format!(
                "   rhea attached {} to {version}",
                crate::cli::evidence::describe(&one.evidence)
            ));
        }
        Ok(())
    }

    async fn roll_back(&self) -> Result<()> {
        let (workload, stage): (Workload, Stage) = (WORKLOAD.parse()?, "production".parse()?);
        let body = wire::Rollback { to: None, reason: "refusals doubled".into(), dry_run: false };
        let done = self.people.rhea.rollback(&workload, &stage, &body).await?;
        self.say(format!(
            "   rhea rolled production back from {} to {}: refusals doubled",
            done.from, done.to
        ));
        Ok(())
    }

    /// The consumer. It is not changed by any climb: it resolves a range, looks at what to invoke, renders.
    async fn consume(&self) -> Result<()> {
        let reference: Reference = format!("{WORKLOAD}:^1").parse()?;
        let resolved = self.admin.resolve(&reference).await?;
        let input = serde_json::from_str(INPUT)
            .map_err(|source| Error::internal("demo_input", "the demo's input is not JSON").source(source))?;
        let rendered = self.admin.render(&reference, &wire::Render { input, model: None }).await?;
        let runs = match &resolved.document.invoke.target {
            Target::Hosted { models } => format!("any hosted model ({})", models.join(", ")),
            Target::Vendor { model, .. } => model.clone(),
            Target::Adapter { base, .. } => format!("{} + adapter", base.as_deref().unwrap_or("base model")),
            Target::Weights { .. } => "the weights themselves".to_owned(),
        };
        self.say(format!(
            "   consumer: {WORKLOAD}:^1 is {} ({}), to be run on {runs}",
            resolved.version, resolved.tier
        ));
        let last = rendered.messages.last();
        let last = last.map(|message| message.content.trim().replace('\n', " ")).unwrap_or_default();
        self.say(format!("   consumer: {} messages, the last: {last}", rendered.messages.len()));
        Ok(())
    }

    async fn pull(&self, version: &str) -> Result<()> {
        let resolved = self.admin.resolve(&people::reference(version)?).await?;
        let files = self.admin.files(&resolved).await?;
        let workload: Workload = WORKLOAD.parse()?;
        let pulled = self.admin.pull(&workload, files, &self.pulled, true, Arc::new(|_| {})).await?;
        for file in &pulled {
            let what = if file.outcome == PullOutcome::Fetched {
                "fetched and verified"
            } else {
                "there and verified"
            };
            let place = self.pulled.join(file.file.path.as_str());
            self.say(format!("   {what}: {} {}", place.display(), file.file.digest.short()));
        }
        self.say(format!("   {}", look::line(&resolved).chars().take(110).collect::<String>()));
        Ok(())
    }
}
