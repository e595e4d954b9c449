//! `gradus policy`.

use super::{
    argument,
    print::{Out, count, time},
    promote::gates,
};
use crate::{
    client::Client,
    error::{Error, Result},
    gates::{BUILT_IN, QuarantineRule},
    model::scope::Scope,
    wire,
};
use clap::Subcommand;
use serde_json::{Value, json};

#[derive(Subcommand)]
pub enum Policy {
    /// Show what holds for a workload or a namespace, as YAML
    Show {
        /// A workload, a namespace, or '*' for the registry
        #[arg(value_parser = argument::<Scope>)]
        scope: Scope,
        /// Only what was applied to it itself
        #[arg(long)]
        own: bool,
    },
    /// Say what a policy would have made of the promotions so far
    Test {
        /// The policy file, or the name of a built-in one: default, solo
        file: String,
        /// The scope it would be applied to: a workload, a namespace, or '*'
        #[arg(long, value_parser = argument::<Scope>)]
        to: Scope,
    },
    /// Apply a policy to a workload, a namespace or the registry
    Apply {
        /// The policy file, or the name of a built-in one: default, solo
        file: String,
        /// The scope: a workload, a namespace, or '*'
        #[arg(long, value_parser = argument::<Scope>)]
        to: Scope,
    },
    /// Take a scope's own policy away, so that what is above it holds
    Rm {
        /// A workload, a namespace, or '*'
        #[arg(value_parser = argument::<Scope>)]
        scope: Scope,
    },
    /// List all gates with their parameters
    Gates,
}

impl Policy {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Show { scope, own } => {
                let policy = client.policy(&scope).await?;
                out.data(&policy, |out| if own { show_own(&policy, out) } else { show(&policy, out) })
            }
            Self::Apply { file, to } => {
                let applied = client.apply_policy(&to, read(&file)?).await?;
                let what = if applied.changed { "applied" } else { "it holds already:" };
                out.done(&applied, format!("{what} policy {} to {}", applied.digest.short(), applied.scope))
            }
            Self::Rm { scope } => {
                client.remove_policy(&scope).await?;
                out.done(
                    &json!({ "scope": scope.to_string(), "removed": true }),
                    format!("{scope} has no policy of its own any more"),
                )
            }
            Self::Test { file, to } => {
                let tested = client.test_policy(&to, read(&file)?).await?;
                out.data(&tested, |out| tell(&tested, out))
            }
            Self::Gates => {
                let gates = client.gates().await?;
                out.data(&gates, |out| gates.iter().for_each(|gate| describe(gate, out)))
            }
        }
    }
}

/// The text of a policy: a file's, or a built-in one's by its name.
fn read(file: &str) -> Result<Vec<u8>> {
    if let Some((_, text)) = BUILT_IN.iter().find(|(name, _)| *name == file) {
        return Ok(text.as_bytes().to_vec());
    }
    std::fs::read(file).map_err(|source| {
        Error::not_found("file_not_found", format!("the policy cannot be read: {file}"))
            .source(source)
            .hint("give a file, or the name of a built-in policy: default, solo")
    })
}

fn show_own(policy: &wire::PolicyView, out: &Out) {
    for applied in &policy.applied {
        let what = applied.digest.as_ref().map_or("taken away", |digest| digest.short());
        out.note(format!("{:>4}  {}  {}  {what}", applied.number, time(applied.at), applied.by));
    }
    match &policy.text {
        Some(text) => out.line(text.trim_end()),
        None => out.note(format!("{} has no policy of its own", policy.scope)),
    }
}

/// What holds, as a policy file that would say all of it.
fn show(policy: &wire::PolicyView, out: &Out) {
    for level in &policy.levels {
        out.line(format!("# {} {}", level.scope, level.digest));
    }
    let mut whole = json!({
        "gradus": "policy/v1", "stages": policy.stages, "pending_days": policy.pending_days,
        "rollback": policy.rollback, "rules": policy.rules,
    });
    if let Some(stage) = &policy.ranges_from {
        whole["ranges_from"] = json!(stage);
    }
    if policy.quarantine != QuarantineRule::default() {
        whole["quarantine"] = json!(policy.quarantine);
    }
    if !policy.freezes.is_empty() {
        whole["freezes"] = json!(policy.freezes);
    }
    match serde_norway::to_string(&whole) {
        Ok(text) => out.line(text.trim_end()),
        Err(_) => out.line(whole.to_string()),
    }
}

fn tell(tested: &[wire::PolicyTested], out: &Out) {
    let word = |report: &crate::gates::Report| {
        serde_json::to_value(report.outcome)
            .ok()
            .and_then(|word| word.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    for one in tested.iter().filter(|one| one.changed) {
        let now = one.now.as_ref().map_or_else(|| "no rule".to_owned(), word);
        out.line(format!(
            "{}  {}:{} to {}: {} -> {now}",
            time(one.requested_at),
            one.workload,
            one.version,
            one.stage,
            word(&one.then)
        ));
        if let Some(report) = &one.now {
            gates(report, out);
        }
    }
    let changed = tested.iter().filter(|one| one.changed).count();
    out.note(format!("{} judged anew, {changed} with another outcome", count(tested.len(), "promotion")));
}

fn describe(gate: &wire::GateView, out: &Out) {
    let asks = gate.asks_for.map(|kind| format!(" Asks for evidence: {kind}.")).unwrap_or_default();
    out.line(&gate.name);
    out.line(format!("    {}{asks}", gate.summary));
    let required: Vec<&str> =
        gate.parameters["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, schema) in gate.parameters["properties"].as_object().into_iter().flatten() {
        let need = if required.contains(&name.as_str()) { " (needed)" } else { "" };
        let default = match &schema["default"] {
            Value::Null => String::new(),
            default => format!(" [default {default}]"),
        };
        let what = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
        out.line(format!("      {name}{need}: {what}{default}"));
    }
}
