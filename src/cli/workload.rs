//! `gradus workload`: what is said of a workload.

use super::{
    argument,
    print::{Out, count, time},
};
use crate::{
    client::Client,
    error::{Kind, Result},
    model::{
        card::{Day, Part, Risk},
        name::Workload,
    },
    wire,
};
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub enum WorkloadVerb {
    /// Say who answers for a workload, what it is for, and when somebody looks at it again; what is not given stays
    Set(Set),
    /// Show what is said of a workload
    Show {
        /// The workload, NAMESPACE/NAME
        #[arg(value_parser = argument::<Workload>)]
        workload: Workload,
    },
    /// Give up the name of a workload whose versions are purged; nobody gets it again. What is in its stages goes with it,
    /// which takes two admins (exit code 4: waits for the other)
    Delete {
        /// The workload, NAMESPACE/NAME
        #[arg(value_parser = argument::<Workload>)]
        workload: Workload,
        /// Why
        #[arg(long, short)]
        message: String,
        /// Take the request back
        #[arg(long)]
        withdraw: bool,
    },
}

#[derive(Args)]
pub struct Set {
    /// The workload, NAMESPACE/NAME; it need not have a version yet
    #[arg(value_parser = argument::<Workload>)]
    workload: Workload,
    /// Who answers for it: a team or an address
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// What it is not to be used for, and where it is known to fail
    #[arg(long, value_name = "TEXT")]
    limits: Option<String>,
    /// low (a mistake is cheap and noticed), limited (people meet it, and are told what it is), high (it has a part in decisions
    /// about people, money or safety) or critical (the same, and harm is done before anybody can step in)
    #[arg(long, value_name = "CLASS", value_parser = argument::<Risk>)]
    risk: Option<Risk>,
    /// The last day, in UTC, on which somebody may look at it again, for example 2027-03-01
    #[arg(long, value_name = "YYYY-MM-DD", value_parser = argument::<Day>)]
    review: Option<Day>,
    /// Say no more of this: owner, purpose, limits, risk or review; may be given again
    #[arg(long, value_name = "PART", value_parser = argument::<Part>)]
    clear: Vec<Part>,
}

impl WorkloadVerb {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Set(set) => set.run(client, out).await,
            Self::Delete { workload, message, withdraw: true } => {
                super::purge::withdraw_deletion(client, &workload, &message, out).await
            }
            Self::Delete { workload, message, withdraw: false } => {
                super::purge::delete_workload(client, &workload, &message, out).await
            }
            Self::Show { workload } => {
                let card = client.card(&workload).await?;
                out.data(&card, |out| show(&card, out))?;
                if card.set_at.is_none() {
                    // Of a deleted one nothing can be said any more.
                    if let Err(error) = client.status(&workload).await
                        && error.kind == Kind::Gone
                    {
                        out.note(error.message);
                        return Ok(());
                    }
                    let set = out.command(&format!("workload set {workload} --owner NAME"));
                    out.note(format!("nothing is said of {workload} yet: {set}"));
                }
                Ok(())
            }
        }
    }
}

impl Set {
    async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let Self { workload, owner, purpose, limits, risk, review, clear } = self;
        let body = wire::SetCard { owner, purpose, limits, risk, review_on: review, clear };
        let set = client.set_card(&workload, &body).await?;
        out.data(&set, |out| {
            show(&set.card, out);
            for promoted in &set.promoted {
                out.line(format!(
                    "promoted {}:{} to {}",
                    promoted.workload, promoted.version, promoted.stage
                ));
            }
        })
    }
}

/// How the next review stands, in words.
pub(super) fn review(card: &wire::CardView) -> String {
    match (card.review_on, card.overdue_days) {
        (Some(day), Some(days)) => format!("review overdue since {day}, for {}", count(days, "day")),
        (Some(day), None) => format!("next review by {day}"),
        (None, _) => "no review set".to_owned(),
    }
}

fn show(card: &wire::CardView, out: &Out) {
    let field = |name: &str, value: Option<&str>| {
        let value = value.unwrap_or("-").replace('\n', &format!("\n{:11}", ""));
        out.line(format!("{name:10} {value}"));
    };
    field("workload", Some(card.workload.as_str()));
    field("owner", card.owner.as_deref());
    field("purpose", card.purpose.as_deref());
    field("limits", card.limits.as_deref());
    field("risk", card.risk.map(|risk| risk.name()));
    field("review", Some(&review(card)));
    if let (Some(at), Some(by)) = (card.set_at, &card.set_by) {
        field("set", Some(&format!("{} by {by}", time(at))));
    }
}
