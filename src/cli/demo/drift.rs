//! The demo's end: data shift, a monitor notices, and the stage moves back by itself.

use super::{
    people::{self, Push},
    story::Story,
};
use crate::{
    check::{Request, Source, html, profile},
    client::Client,
    error::{Error, Result},
    model::{
        evidence::EvidenceKind,
        monitor::{MonitorPath, Spec},
        name::Workload,
        reference::Reference,
    },
    tables::LocalFile,
    wire,
};
use serde_json::json;
use std::{fs, path::Path, sync::Arc, time::Duration};

const WORKLOAD: &str = "acme/employment";
const MONITOR: &str = "hourly";

impl Story<'_> {
    pub(super) async fn watch(&self) -> Result<()> {
        self.say(format!(
            "   {WORKLOAD} tells from answers to a census whether somebody works. The data are real."
        ));
        let census = self.files.join("census");
        for (number, year, why) in
            [(1, "2017", "made for"), (2, "2015", "made anew from an old extract, for")]
        {
            let what = format!("employment-{number}.prompt.yaml");
            let push = Push { what: &what, with_contract: false, with_base: false, with_dataset: false };
            let (pushed, _) = people::push(&self.people.dana, WORKLOAD, &self.files, &push).await?;
            let version = pushed.version.version.to_string();
            let reference: Reference = format!("{WORKLOAD}:{version}").parse()?;
            let profile = describe(census.join(format!("{year}.csv.gz"))).await?;
            let kind = Some(EvidenceKind::DriftBaseline);
            self.people.dana.attach(&reference, kind, None, profile).await?;
            people::promote(&self.people.rhea, WORKLOAD, &version, "production").await?;
            self.say(format!(
                "   dana pushed {WORKLOAD}:{version}, {why} answers like those of {year}; rhea promoted it"
            ));
        }
        let (workload, monitor): (Workload, MonitorPath) =
            (WORKLOAD.parse()?, format!("{WORKLOAD}/{MONITOR}").parse()?);
        let new = wire::NewMonitor {
            name: monitor.name.clone(),
            stage: "production".parse()?,
            spec: spec(&self.files.join("logs"))?,
        };
        self.people.rhea.add_monitor(&workload, &new).await?;
        self.say(format!(
            "   rhea added monitor {monitor}: each hour against the version's baseline; on drift: rollback"
        ));
        self.clock.catch_up();
        let logs = self.files.join("logs");
        fs::create_dir_all(&logs)?;
        fs::copy(census.join("2018.csv.gz"), logs.join("answers.csv.gz"))?;
        let run = run(&self.people.rhea, &monitor).await?;
        let verdict = run.run.verdict.map(|verdict| verdict.name()).unwrap_or_default();
        self.say(format!(
            "   three hours later answers of 2018 come in: {verdict}, {}",
            run.run.reason.as_deref().unwrap_or_default().trim_end_matches('.')
        ));
        if let Some(text) = &run.run.followed {
            self.say(format!("   and by itself {text}"));
        }
        if let Some(report) = &run.report {
            let page = self.files.with_file_name("drift.html");
            fs::write(&page, html::page(report, &format!("Drift of {monitor}"), &[])?)?;
            self.say(format!("   the report is evidence about the version, and a page: {}", page.display()));
        }
        Ok(())
    }
}

/// Any drift counts here: a shift of what is asked is what there is to show.
fn spec(logs: &Path) -> Result<Spec> {
    let spec = json!({
        "every": "0 * * * *",
        "source": logs.join("*.csv.gz"),
        "window": "1h",
        "reference": "baseline",
        "on_drift": "rollback",
        "rollback_on": ["data"],
    });
    serde_json::from_value(spec)
        .map_err(|source| Error::internal("demo_monitor", "the demo's monitor cannot be read").source(source))
}

/// The profile of a table.
async fn describe(file: std::path::PathBuf) -> Result<Vec<u8>> {
    crate::cli::drift::blocking(move || {
        let input = Arc::new(LocalFile::open(&file)?);
        let profile = profile(&Source::open(vec![input], None, 1)?, None, &Request::default())?;
        profile.to_bytes().map_err(|error| Error::internal("demo_profile", error.to_string()))
    })
    .await
}

/// Runs the monitor now, and waits for it.
async fn run(client: &Client, monitor: &MonitorPath) -> Result<wire::RunDetails> {
    client.run_monitor(monitor, &wire::RunMonitor::default()).await?;
    for _ in 0..600 {
        match client.drift_run(monitor, None).await {
            Ok(run) => return Ok(run),
            Err(error) if error.code == "run_unknown" => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => return Err(error),
        }
    }
    Err(Error::unavailable("run_slow", "the monitor's run has not ended within a minute"))
}
