//! `gradus demo`: one workload climbs from a prompt to an adapter to weights, on the embedded default and through
//! the same router a server uses. Its sample files are part of the binary (made by `deploy/examples/make.py`).

use super::{
    Global, admin,
    connect::open_local,
    look,
    print::{Out, bytes, quoted},
    push::{collect, ensure_namespace},
};
use crate::{
    client::{Client, Digests, Progress, PullOutcome},
    config::{Config, local_user},
    error::{Error, Result},
    http,
    model::{
        name::{PrincipalName, Workload},
        reference::Reference,
        resolution::Target,
    },
    ops::start,
    wire,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

const WORKLOAD: &str = "acme/ticket-triage";
const INPUT: &str =
    r#"{"subject":"Invoice twice","body":"You charged me twice this month.","customer_tier":"team"}"#;
/// A base model pinned to a revision, as `--base` takes it. The registry records it; the demo runs no model.
const BASE: &str = "hf:acme/tiny-llama@4f2a9c1d7be3056c8a91f0d2e6b7c3845a1908fe";

/// The sample files, by their place below the demo's directory.
const FILES: [(&str, &[u8]); 8] = [
    ("contract.json", include_bytes!("../../deploy/examples/contract.json")),
    ("triage-1.prompt.yaml", include_bytes!("../../deploy/examples/prompts/triage-1.prompt.yaml")),
    ("triage-2.prompt.yaml", include_bytes!("../../deploy/examples/prompts/triage-2.prompt.yaml")),
    ("lora/adapter_config.json", include_bytes!("../../deploy/examples/lora/adapter_config.json")),
    (
        "lora/adapter_model.safetensors",
        include_bytes!("../../deploy/examples/lora/adapter_model.safetensors"),
    ),
    ("model/config.json", include_bytes!("../../deploy/examples/model/config.json")),
    ("model/tokenizer.json", include_bytes!("../../deploy/examples/model/tokenizer.json")),
    ("model/model.safetensors", include_bytes!("../../deploy/examples/model/model.safetensors")),
];

pub async fn run(global: &Global, out: &Out) -> Result<()> {
    let directory = global.data_dir.clone().unwrap_or_else(|| PathBuf::from("gradus-demo"));
    let files = directory.join("files");
    for (name, content) in FILES {
        let path = files.join(name);
        fs::create_dir_all(path.parent().unwrap_or(&files))?;
        fs::write(path, content)?;
    }
    let user = PrincipalName::local(&local_user());
    let local = open_local(&directory, Config::default(), Some(user.clone())).await?;
    start::ensure_local_user(&local.context, &user).await?;
    let demo = Demo { client: Client::local(http::router(local.context.clone())), files, out };
    let told = demo.tell(&directory).await;
    local.context.db.close().await;
    told
}

struct Demo<'a> {
    client: Client,
    files: PathBuf,
    out: &'a Out,
}

impl Demo<'_> {
    fn say(&self, text: impl AsRef<str>) {
        self.out.line(text);
    }

    async fn tell(&self, directory: &Path) -> Result<()> {
        let workload: Workload = WORKLOAD.parse()?;
        self.say(format!(
            "Gradus demo: the workload {WORKLOAD} sorts support tickets. Its data is in {}.",
            directory.display()
        ));
        ensure_namespace(&self.client, &workload, self.out).await?;

        self.step(
            1,
            "A prompt. It comes with a contract: the JSON Schemas of what goes in and what comes out.",
        );
        self.push(&workload, "triage-1.prompt.yaml", true, None).await?;
        self.consume().await?;

        self.step(
            2,
            "An edit of the prompt. Semver speaks of the contract: it stays the same, so this is a patch.",
        );
        self.push(&workload, "triage-2.prompt.yaml", true, None).await?;
        self.consume().await?;

        self.step(3, "A fine-tune: a LoRA adapter on a pinned base model, under the same contract.");
        self.push(&workload, "lora", false, Some(BASE)).await?;
        self.consume().await?;

        self.step(4, "Own weights. Still the same contract, still the same consumer.");
        self.push(&workload, "model", false, None).await?;
        self.consume().await?;

        self.step(5, "Pull the weights into a directory; every file is checked against its digest.");
        self.pull(&workload, &directory.join("pulled")).await?;

        self.step(6, "The history: every change is one entry of an append-only log.");
        for event in
            self.client.events(&format!("&workload={}", WORKLOAD.replace('/', "%2F")), 0, 100).await?
        {
            self.say(admin::line(&event));
        }
        self.say("");
        self.say("Next, look at what the registry found in the weights:");
        let (program, directory) = (quoted(&own_name()), quoted(&directory.display().to_string()));
        self.say(format!("  {program} --data-dir {directory} show {WORKLOAD}:latest"));
        Ok(())
    }

    fn step(&self, number: u32, what: &str) {
        self.say("");
        self.say(format!("{number}. {what}"));
    }

    async fn push(
        &self,
        workload: &Workload,
        name: &str,
        with_contract: bool,
        base: Option<&str>,
    ) -> Result<()> {
        let files = collect(&self.files.join(name))?;
        let quiet: Progress = Arc::new(|_| {});
        let sent = self.client.upload(workload, files, &Digests::open(None), quiet).await?;
        let moved: u64 = sent.iter().filter(|file| file.sent).map(|file| file.file.size).sum();
        let contract = match with_contract {
            true => Some(super::push::read_contract(&self.files.join("contract.json"))?),
            false => None,
        };
        let new = wire::NewVersion {
            tier: None,
            files: sent.into_iter().map(|sent| sent.file).collect(),
            contract,
            prompt: None,
            base: base.map(str::to_owned),
            datasets: Vec::new(),
            version: None,
            bump: None,
        };
        let pushed = self.client.create_version(workload, &new).await?;
        let version = &pushed.version;
        let what = if pushed.created { "pushed" } else { "nothing new, this content is already" };
        self.say(format!(
            "   {what} {WORKLOAD}:{} ({}, {} sent, {})",
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
                    "   found by the registry itself: {parameters} parameters, safety {:?}",
                    pushed.inspection.safety
                )
                .to_lowercase(),
            );
        }
        Ok(())
    }

    /// The consumer. It is not changed by any climb: it resolves a range, looks at what to invoke, renders.
    async fn consume(&self) -> Result<()> {
        let reference: Reference = format!("{WORKLOAD}:^1").parse()?;
        let resolved = self.client.resolve(&reference).await?;
        let input = serde_json::from_str(INPUT)
            .map_err(|source| Error::internal("demo_input", "the demo's input is not JSON").source(source))?;
        let rendered = self.client.render(&reference, &wire::Render { input, model: None }).await?;
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
        let last = rendered
            .messages
            .last()
            .map(|message| message.content.trim().replace('\n', " "))
            .unwrap_or_default();
        self.say(format!("   consumer: {} messages, the last: {}", rendered.messages.len(), last));
        Ok(())
    }

    async fn pull(&self, workload: &Workload, to: &Path) -> Result<()> {
        let resolved = self.client.resolve(&format!("{WORKLOAD}:^1").parse()?).await?;
        let files = self.client.files(&resolved).await?;
        let pulled = self.client.pull(workload, files, to, true, Arc::new(|_| {})).await?;
        for file in &pulled {
            let what = if file.outcome == PullOutcome::Fetched {
                "fetched and verified"
            } else {
                "there and verified"
            };
            self.say(format!(
                "   {what}: {} {}",
                to.join(file.file.path.as_str()).display(),
                file.file.digest.short()
            ));
        }
        self.say(format!("   {}", look::line(&resolved).chars().take(110).collect::<String>()));
        Ok(())
    }
}

/// How this program can be called again from here.
fn own_name() -> String {
    let Ok(program) = std::env::current_exe() else { return "gradus".to_owned() };
    let here = std::env::current_dir().unwrap_or_default();
    match program.strip_prefix(&here) {
        // A shell looks for a bare name elsewhere.
        Ok(name) if name.components().count() == 1 => format!("./{}", name.display()),
        Ok(below) => below.display().to_string(),
        Err(_) => program.display().to_string(),
    }
}
