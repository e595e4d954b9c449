//! `gradus find`.

use super::{
    look::{cut, limit},
    print::{Out, count, time},
};
use crate::{
    client::Client,
    error::{Error, Result},
    wire,
};
use clap::Args;

/// What versions are made of, or have.
#[derive(Args)]
pub struct Find {
    /// The base model: as versions name it, with or without the revision, or a digest
    #[arg(long, value_name = "MODEL|DIGEST")]
    base: Option<String>,
    /// A dataset they were trained on
    #[arg(long, value_name = "NAME|DIGEST")]
    dataset: Option<String>,
    /// The licence, for example apache-2.0
    #[arg(long, value_name = "SPDX-ID")]
    licence: Option<String>,
    /// What was noticed in the files: unsafe, pickle, keras, python or unverified
    #[arg(long, value_name = "FLAG")]
    flag: Option<String>,
    /// A file they have
    #[arg(long, value_name = "DIGEST")]
    file: Option<String>,
    /// Who answers for the workload, as `gradus workload set --owner` said
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Most entries
    #[arg(long, default_value_t = 100, value_parser = limit)]
    limit: usize,
}

impl Find {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let asked = [
            ("base", self.base),
            ("dataset", self.dataset),
            ("licence", self.licence),
            ("flag", self.flag),
            ("file", self.file),
            ("owner", self.owner),
        ];
        if asked.iter().all(|(_, value)| value.is_none()) {
            return Err(Error::invalid("usage", "say what the versions have").hint(
                out.command(
                    "find --base MODEL, --dataset NAME, --licence ID, --flag FLAG, --file DIGEST or --owner NAME; several: all must hold",
                ),
            ));
        }
        let mut found = client.find(&asked, self.limit + 1).await?;
        let is_more = cut(&mut found, self.limit);
        out.data(&found, |out| {
            let rows: Vec<Vec<String>> = found.iter().map(row).collect();
            out.table(&["VERSION", "TIER", "DIGEST", "PUSHED", "STAGES", "TARGETS", ""], &rows);
        })?;
        if found.is_empty() {
            out.note("no version that you may read has that");
        }
        if is_more {
            let more = self.limit.saturating_mul(10);
            out.note(format!("there is more than {}: say --limit {more}", count(self.limit, "version")));
        }
        Ok(())
    }
}

fn row(found: &wire::FoundView) -> Vec<String> {
    let stages: Vec<&str> = found.stages.iter().map(|stage| stage.as_str()).collect();
    vec![
        format!("{}:{}", found.workload, found.version),
        found.tier.to_string(),
        found.digest.short().to_owned(),
        time(found.created_at),
        if stages.is_empty() { "-".to_owned() } else { stages.join(", ") },
        found.targets.to_string(),
        match (found.purged, found.yanked) {
            (true, _) => "purged".to_owned(),
            (false, true) => "yanked".to_owned(),
            (false, false) => String::new(),
        },
    ]
}
