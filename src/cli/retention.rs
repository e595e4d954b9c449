//! `gradus retention`.

use super::{
    argument,
    print::{Out, bytes, count, time},
    purge::tell_kept,
};
use crate::{client::Client, error::Result, model::name::Namespace, wire};
use clap::Subcommand;
use serde_json::json;

#[derive(Subcommand)]
pub enum Retention {
    /// Let versions that were never promoted go by age: gradus retention set acme --older-than 90d --keep 10
    Set {
        /// The namespace
        #[arg(value_parser = argument::<Namespace>)]
        namespace: Namespace,
        /// Those older than this many days, for example 90d
        #[arg(long, value_name = "DAYS", value_parser = days)]
        older_than: i64,
        /// But for the newest of each workload
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(0..=1_000_000))]
        keep: i64,
    },
    /// Show the rule of a namespace
    Show {
        /// The namespace
        #[arg(value_parser = argument::<Namespace>)]
        namespace: Namespace,
    },
    /// Take the rule away
    Rm {
        /// The namespace
        #[arg(value_parser = argument::<Namespace>)]
        namespace: Namespace,
    },
    /// Say what would go and why, or with --delete let it go
    Run {
        /// The namespace
        #[arg(value_parser = argument::<Namespace>)]
        namespace: Namespace,
        /// Purge it; without it nothing is changed
        #[arg(long)]
        delete: bool,
    },
}

/// How a run ends in which something went wrong; the rest is done.
const FAILED: u8 = 1;

fn days(text: &str) -> Result<i64, String> {
    let days = text.strip_suffix('d').unwrap_or(text).parse().ok().filter(|days| (1..=36_500).contains(days));
    days.ok_or_else(|| "a number of days from 1 to 36500 is needed, for example 90d".to_owned())
}

fn rule(view: &wire::RetentionView) -> String {
    format!(
        "{}: what was never promoted goes after {}, but for the newest {} of each workload (set {} by {})",
        view.namespace,
        count(view.older_than_days, "day"),
        view.keep_newest,
        time(view.set_at),
        view.set_by
    )
}

impl Retention {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Set { namespace, older_than, keep } => {
                let body = wire::SetRetention { older_than_days: older_than, keep_newest: keep };
                let view = client.set_retention(&namespace, &body).await?;
                out.data(&view, |out| out.line(rule(&view)))?;
                out.note(format!(
                    "see what would go: {}",
                    out.command(&format!("retention run {namespace}"))
                ));
                Ok(())
            }
            Self::Show { namespace } => {
                let view = client.retention(&namespace).await?;
                out.data(&view, |out| out.line(rule(&view)))
            }
            Self::Rm { namespace } => {
                client.remove_retention(&namespace).await?;
                let data = json!({ "namespace": namespace, "removed": true });
                out.done(&data, format!("no rule of retention holds in {namespace} any more"))
            }
            Self::Run { namespace, delete } => {
                let run = client.run_retention(&namespace, delete).await?;
                out.data(&run, |out| tell(&run, out))?;
                run.notes.iter().for_each(|note| out.note(note));
                for wire::RetentionFailed { scope, versions, code, message } in &run.failed {
                    let left = count(*versions, "version");
                    out.note(format!("failed in {scope}, {left} left: {message} ({code})"));
                }
                if !run.failed.is_empty() {
                    out.end_with(FAILED);
                }
                if !run.deleted {
                    out.note("nothing was changed");
                    if run.versions > 0 {
                        let next = out.command(&format!("retention run {namespace} --delete"));
                        out.note(format!("next: {next}"));
                    }
                }
                Ok(())
            }
        }
    }
}

fn tell(run: &wire::RetentionRun, out: &Out) {
    let verb = if run.deleted { "purged" } else { "would purge" };
    for going in &run.going {
        let versions: Vec<String> = going.versions.iter().map(ToString::to_string).collect();
        out.line(format!(
            "{verb} {}:{}  {}  never promoted, pushed {}",
            going.workload,
            versions.join(", "),
            going.digest.short(),
            time(going.created_at)
        ));
    }
    let named: usize = run.going.iter().map(|going| going.versions.len()).sum();
    if (named as u64) < run.versions {
        out.line(format!("and {} more", run.versions - named as u64));
    }
    let freed = if run.deleted { format!(", {}", bytes(run.bytes)) } else { String::new() };
    out.line(format!("{verb} {}{freed}", count(run.versions, "version")));
    for (why, number) in &run.kept {
        out.line(format!("stay  {number}  {}", reason(why)));
    }
    tell_kept(&run.files, out);
}

/// Why versions stay, for people.
fn reason(why: &str) -> &str {
    match why {
        "newest" => "among the newest of their workload",
        "young" => "not old enough",
        "promoted" => "were promoted, or may have been",
        "in_stage" => "are in a stage",
        "aliased" => "have an alias",
        "listed" => "are listed by an OCI index",
        "held" => "are under hold",
        "pending" => "wait to enter a stage",
        "running" => "run somewhere",
        "purged" => "somebody else purged at the same moment",
        "failed" => "could not be taken away",
        "rule_changed" => "the rule was changed at the same moment",
        other => other,
    }
}
