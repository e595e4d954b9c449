//! `gradus list`, `show`, `diff`, `resolve`.

use super::{
    argument,
    print::{Out, bytes, time},
};
use crate::{
    client::Client,
    error::{Error, Result},
    kinds::Inspection,
    model::{
        kind::Tier,
        name::{Namespace, Workload},
        reference::Reference,
        resolution::{Resolution, Target},
    },
    wire,
};
use clap::Args;

/// Most entries of one list.
const LIMIT_MAX: usize = 1_000_000;

#[derive(Args)]
pub struct List {
    /// A workload (its versions), a namespace (its workloads), or nothing (all you may see)
    #[arg(value_name = "WORKLOAD|NAMESPACE")]
    of: Option<String>,
    /// Only versions of this tier
    #[arg(long, value_parser = argument::<Tier>)]
    tier: Option<Tier>,
    /// Only yanked versions, or only others
    #[arg(long, value_name = "BOOL")]
    yanked: Option<bool>,
    /// Most entries
    #[arg(long, default_value_t = 100, value_parser = limit)]
    limit: usize,
}

pub(super) fn limit(text: &str) -> Result<usize, String> {
    let limit = text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
    limit.ok_or_else(|| format!("a number from 1 to {LIMIT_MAX} is needed"))
}

/// Cuts a list to what was asked for; answers whether something was cut off.
pub(super) fn cut<T>(list: &mut Vec<T>, limit: usize) -> bool {
    let is_more = list.len() > limit;
    list.truncate(limit);
    is_more
}

impl List {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let Some(of) = self.of.as_deref().filter(|of| of.contains('/')) else {
            let namespace = self.of.as_deref().map(str::parse::<Namespace>).transpose()?;
            return self.workloads(client, out, namespace.as_ref()).await;
        };
        let workload: Workload = of.parse()?;
        let mut query = String::new();
        if let Some(tier) = self.tier {
            query.push_str(&format!("&tier={tier}"));
        }
        if let Some(yanked) = self.yanked {
            query.push_str(&format!("&yanked={yanked}"));
        }
        let mut versions = client.list_versions(&workload, &query, self.limit + 1).await?;
        let is_more = cut(&mut versions, self.limit);
        out.data(&versions, |out| {
            let row = |version: &wire::VersionView| {
                let state = match (&version.purged, &version.yanked) {
                    (Some(purged), _) => format!("purged: {}", purged.reason),
                    (None, Some(reason)) => format!("yanked: {reason}"),
                    (None, None) => String::new(),
                };
                vec![
                    version.version.to_string(),
                    version.tier.to_string(),
                    version.kind.to_string(),
                    version.digest.short().to_owned(),
                    time(version.created_at),
                    version.created_by.to_string(),
                    state,
                ]
            };
            out.table(
                &["VERSION", "TIER", "KIND", "DIGEST", "PUSHED", "BY", ""],
                &versions.iter().map(row).collect::<Vec<_>>(),
            );
        })?;
        self.say_if_more(is_more, "versions", out);
        Ok(())
    }

    fn say_if_more(&self, is_more: bool, what: &str, out: &Out) {
        if !is_more {
            return;
        }
        let more = self.limit.saturating_mul(10).min(LIMIT_MAX);
        let mut words = vec!["list".to_owned()];
        words.extend(self.of.clone());
        words.extend(self.tier.map(|tier| format!("--tier {tier}")));
        words.extend(self.yanked.map(|yanked| format!("--yanked {yanked}")));
        words.push(format!("--limit {more}"));
        out.note(format!("there are more {what}: {}", out.command(&words.join(" "))));
    }

    async fn workloads(&self, client: &Client, out: &Out, namespace: Option<&Namespace>) -> Result<()> {
        if self.tier.is_some() || self.yanked.is_some() {
            return Err(Error::invalid("usage", "--tier and --yanked select versions of one workload")
                .hint(out.command("list NAMESPACE/NAME --tier prompt")));
        }
        let mut workloads = client.list_workloads(namespace).await?;
        let is_more = cut(&mut workloads, self.limit);
        out.data(&workloads, |out| {
            let row = |item: &wire::WorkloadView| vec![item.workload.to_string(), item.versions.to_string()];
            out.table(&["WORKLOAD", "VERSIONS"], &workloads.iter().map(row).collect::<Vec<_>>());
        })?;
        self.say_if_more(is_more, "workloads", out);
        Ok(())
    }
}

#[derive(Args)]
pub struct Show {
    /// For example acme/ticket-triage:1.4.0
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
}

impl Show {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let shown = client.show(&self.reference).await?;
        out.data(&shown, |out| show(&shown, out))
    }
}

fn show(shown: &wire::ShowView, out: &Out) {
    let version = &shown.version;
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            out.line(format!("{name:14} {value}"));
        }
    };
    field("version", format!("{}:{}", version.workload, version.version));
    field("digest", version.digest.to_string());
    field("tier", format!("{} ({})", version.tier, version.kind));
    field("pushed", format!("{} by {}", time(version.created_at), version.created_by));
    field("also known as", format!("number {}, revision {}", version.sequence, version.revision));
    field("aliases", shown.aliases.join(", "));
    match &version.purged {
        Some(purged) => field("purged", format!("{} by {}: {}", time(purged.at), purged.by, purged.reason)),
        None => field("yanked", version.yanked.clone().unwrap_or_default()),
    }
    for quarantine in &shown.quarantined {
        field("quarantine", quarantine.to_string());
    }
    field("contract", version.contract_digest.to_string());
    if let Some(document) = &shown.document {
        field("target", target(&document.invoke.target));
        let prompt = document.invoke.prompt_file.as_ref();
        field("prompt", prompt.map(|file| file.path.to_string()).unwrap_or_default());
        field("base", document.lineage.base.clone().unwrap_or_default());
        for dataset in &document.lineage.datasets {
            field("dataset", format!("{} {}", dataset.name, dataset.digest));
        }
    }
    inspection(&shown.inspection, &mut field);
    for file in &shown.files {
        field("file", format!("{} {} {}", file.digest.short(), bytes(file.size), file.path));
    }
}

fn inspection(found: &Inspection, field: &mut impl FnMut(&str, String)) {
    field(
        "safety",
        serde_json::to_value(found.safety)
            .ok()
            .and_then(|value| value.as_str().map(str::to_owned))
            .unwrap_or_default(),
    );
    field("architecture", found.architecture.clone().unwrap_or_default());
    let dtypes: Vec<String> = found.dtypes.iter().map(|(dtype, count)| format!("{count} {dtype}")).collect();
    if let Some(parameters) = found.parameters {
        field("parameters", format!("{parameters} ({})", dtypes.join(", ")));
    }
    if let Some(adapter) = &found.adapter {
        let rank = adapter.rank.map(|rank| format!(", rank {rank}")).unwrap_or_default();
        let method = adapter.method.as_deref().unwrap_or("unknown method");
        field("adapter", format!("{method}{rank}, on {}", adapter.target_modules.join(", ")));
    }
    for note in found.notes() {
        field("finding", note);
    }
}

fn target(target: &Target) -> String {
    match target {
        Target::Hosted { models } if models.is_empty() => "any hosted model".into(),
        Target::Hosted { models } => format!("a hosted model: {}", models.join(", ")),
        Target::Vendor { vendor, model } => format!("{model} at {vendor}"),
        Target::Adapter { base, artifact } => {
            format!("{} with the adapter {artifact}", base.as_deref().unwrap_or("an unnamed base"))
        }
        Target::Weights { artifact } => format!("the weights {artifact}"),
    }
}

#[derive(Args)]
pub struct DiffVerb {
    /// From this version
    #[arg(value_parser = argument::<Reference>)]
    from: Reference,
    /// to this one
    #[arg(value_parser = argument::<Reference>)]
    to: Reference,
}

impl DiffVerb {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let diff = client.diff(&self.from, &self.to).await?;
        out.data(&diff, |out| {
            let (from, to) = (&diff.from, &diff.to);
            out.line(format!("{}:{} -> {}:{}", from.workload, from.version, to.workload, to.version));
            if from.tier != to.tier {
                out.line(format!("tier      {} -> {}", from.tier, to.tier));
            }
            let change = serde_json::to_value(diff.contract.change).unwrap_or_default();
            out.line(format!("contract  {}", change.as_str().unwrap_or("equal")));
            for entry in &diff.contract.entries {
                out.line(format!("  {} {}: {}", entry.side, entry.path, entry.reason));
            }
            for file in &diff.added {
                out.line(format!("+ {} {}", file.path, bytes(file.size)));
            }
            for file in &diff.removed {
                out.line(format!("- {} {}", file.path, bytes(file.size)));
            }
            for file in &diff.changed {
                let (before, after) = (&file.before, &file.after);
                out.line(format!("~ {} {} -> {}", before.path, before.digest.short(), after.digest.short()));
            }
        })
    }
}

#[derive(Args)]
pub struct Resolve {
    /// For example acme/ticket-triage:production
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
}

impl Resolve {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let resolved = client.resolve(&self.reference).await?;
        for warning in &resolved.warnings {
            out.note(format!("warning: {warning}"));
        }
        out.data(&resolved, |out| out.line(line(&resolved)))
    }
}

pub(super) fn line(resolved: &Resolution) -> String {
    let version = format!("{}:{} {} {}", resolved.workload, resolved.version, resolved.digest, resolved.tier);
    match &resolved.document.invoke.target {
        // The artifact is what the line has named already.
        Target::Weights { .. } => version,
        Target::Adapter { base, .. } => {
            format!("{version} on {}", base.as_deref().unwrap_or("an unnamed base"))
        }
        other => format!("{version}: {}", target(other)),
    }
}
