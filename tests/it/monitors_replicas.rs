//! Three servers of one registry on PostgreSQL and Garage, one of which is killed while runs are made.

use crate::harness::{
    Backend, files,
    monitor::{put, source, table},
    server::{Cli, Done, Setup},
};
use serde_json::Value;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// A lease lasts ninety seconds.
const PATIENCE: Duration = Duration::from_secs(240);
const DAYS: usize = 20;

struct Caller<'a> {
    home: &'a Path,
    url: &'a str,
    token: &'a str,
}

impl Caller<'_> {
    fn run(&self, arguments: &[&str]) -> Done {
        let cli = Cli::new(self.home, arguments).directory(self.home);
        cli.environment("GRADUS_SERVER", self.url).environment("GRADUS_TOKEN", self.token).run()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.run(&[arguments, &["--json"]].concat()).expect(0).stdout).expect("JSON")
    }

    /// Runs of a monitor, and whether all have ended.
    fn runs(&self, monitor: &str) -> (Vec<Value>, bool) {
        let page = self.json(&["drift", "runs", &format!("acme/x/{monitor}"), "--limit", "100"]);
        let runs = page["items"].as_array().expect("runs").clone();
        let is_over = runs.iter().all(|run| run["state"] == "done" || run["state"] == "failed");
        (runs, is_over)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_checked_once_by_whichever_lives() {
    let backend = Backend::PostgresS3;
    if !backend.is_there() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let data = source(backend);
    let setup = Setup::with(backend, directory.path(), |config| config.sources = vec![data.clone()]).await;
    let first = setup.start();
    let token = first.bootstrap_token().expect("a token");
    let (second, third) = (setup.beside(), setup.beside());
    let (killed, _third) = (second.start(), third.start());
    let days: Vec<String> = (1..=DAYS).map(|day| format!("2026-01-{day:02}")).collect();
    for day in &days {
        put(&data, &format!("dt={day}/part.csv"), table(2_000, 0.0)).await;
    }

    let at = Caller { home: directory.path(), url: &first.url, token: &token };
    at.run(&["namespace", "create", "acme"]).expect(0);
    let prompt = files::example("prompts/triage-1.prompt.yaml");
    let contract = files::example("contract.json");
    let (prompt, contract) = (prompt.to_str().unwrap(), contract.to_str().unwrap());
    at.run(&["push", "prompt", prompt, "--to", "acme/x", "--contract", contract]).expect(0);
    at.run(&["promote", "acme/x:1.0.0", "--to", "production"]).expect(0);
    std::fs::write(directory.path().join("train.csv"), table(3_000, 0.0)).unwrap();
    at.run(&["drift", "baseline", "acme/x:1.0.0", "--data", "train.csv"]).expect(0);
    let place = format!("{}/dt={{date}}/*.csv", data.url);
    for (name, every) in [("daily", "0 6 * * *"), ("minutely", "* * * * *")] {
        let on = ["--on", "acme/x:production", "--every", every, "--source", &place];
        at.run(&[&["drift", "monitor", "add", name], &on[..]].concat()).expect(0);
    }
    let elsewhere =
        ["--on", "acme/x:production", "--every", "0 6 * * *", "--source", "s3://elsewhere/{date}"];
    let refused = at.run(&[&["drift", "monitor", "add", "other"], &elsewhere[..]].concat()).expect(8);
    assert!(refused.stderr.contains("[source_not_granted]"), "{}", refused.stderr);

    let within = ["--from", "2026-01-01", "--to", "2026-01-21", "--no-wait"];
    at.run(&[&["drift", "backfill", "acme/x/daily"], &within[..]].concat()).expect(0);
    std::thread::sleep(Duration::from_millis(300));
    killed.kill();

    let deadline = Instant::now() + PATIENCE;
    let (daily, minutely) = loop {
        let ((daily, a), (minutely, b)) = (at.runs("daily"), at.runs("minutely"));
        if a && b && !minutely.is_empty() {
            break (daily, minutely);
        }
        assert!(Instant::now() < deadline, "they have not ended: {daily:?} {minutely:?}");
        std::thread::sleep(Duration::from_secs(1));
    };
    let verdicts: Vec<&str> = daily.iter().map(|run| run["verdict"].as_str().unwrap_or_default()).collect();
    assert_eq!(verdicts, ["OK"; DAYS]);
    // All minutes of today have one window, that of yesterday, of which there are no data.
    assert_eq!((minutely.len(), minutely[0]["verdict"].as_str()), (1, Some("NO_DATA")), "{minutely:?}");
    let log = at.json(&["log", "acme/x", "--kind", "evidence_attached", "--limit", "1000"]);
    let events = log["items"].as_array().or_else(|| log.as_array()).expect("events");
    let reports = events.iter().filter(|event| event["data"]["about"] == "drift_report").count();
    assert_eq!(reports, DAYS, "reported once");
}
