//! Drift monitors: data for them, and time that passes.

use super::{Answer, Backend, Env, fresh_name, govern::W, variable};
use gradus::{
    check::{self, Request},
    config::DataSource,
    ops::monitors::{tick, work},
    tables::LocalFile,
};
use object_store::{ObjectStoreExt as _, aws::AmazonS3Builder};
use serde_json::{Value, json};
use std::{fmt::Write as _, time::Duration};

/// What all namespaces may read; on a backend without buckets there is nothing.
pub fn source(backend: Backend) -> DataSource {
    let known = |name: &str| if backend.is_s3() { variable(name) } else { String::new() };
    let bucket = if backend.is_s3() { variable("GRADUS_TEST_S3_BUCKET") } else { "nowhere".to_owned() };
    let options = [
        ("endpoint", known("GRADUS_TEST_S3_ENDPOINT")),
        ("access_key_id", known("GRADUS_TEST_S3_KEY")),
        ("secret_access_key", known("GRADUS_TEST_S3_SECRET")),
        ("region", known("GRADUS_TEST_S3_REGION")),
    ];
    let options = options.into_iter().filter(|(_, value)| !value.is_empty());
    DataSource {
        name: "data".into(),
        url: format!("s3://{bucket}/data-{}", fresh_name()),
        namespaces: ["*".to_owned()].into(),
        options: options.map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

/// Puts an object into a source.
pub async fn put(source: &DataSource, name: &str, content: impl Into<Vec<u8>>) {
    let (bucket, prefix) = source.url.trim_start_matches("s3://").split_once('/').expect("a prefix");
    let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_allow_http(true);
    for (name, value) in &source.options {
        builder = builder.with_config(name.parse().expect("an option"), value);
    }
    let path = format!("{prefix}/{name}").as_str().into();
    let content: Vec<u8> = content.into();
    builder.build().expect("a bucket").put(&path, content.into()).await.expect("an object");
}

/// A table whose amounts are moved.
pub fn table(rows: u64, moved: f64) -> String {
    let mut text = String::from("amount,region\n");
    for row in 0..rows {
        let random = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let amount = (random % 1_000) as f64 / 10.0 + moved;
        let _ = writeln!(text, "{amount},{}", ["north", "south", "west"][(random % 3) as usize]);
    }
    text
}

/// Adds a monitor and asks for a run of it; when its window ends.
pub async fn asked(env: &Env, workload: &str) -> String {
    let path = format!("/v1/workloads/{workload}/monitors");
    let source = format!("{}/dt={{date}}/*.csv", env.cx.config.sources[0].url);
    let spec = json!({ "every": "0 6 * * *", "source": source, "window": "1d", "reference": "baseline" });
    let body = json!({ "name": "nightly", "stage": "production", "spec": spec });
    env.call("POST", &path).json(body).expect(201).await;
    let run = env.call("POST", &format!("{path}/nightly/runs")).json(json!({})).expect(200).await.value();
    run["items"][0]["window"]["end"].as_str().expect("a window").to_owned()
}

impl Env {
    /// Where monitors may read.
    pub fn data(&self) -> String {
        match self.backend.is_s3() {
            true => self.cx.config.sources[0].url.clone(),
            false => self.directory.path().join("logs").display().to_string(),
        }
    }

    pub async fn put_data(&self, name: &str, text: impl Into<Vec<u8>>) {
        let text: Vec<u8> = text.into();
        if !self.backend.is_s3() {
            let path = self.directory.path().join("logs").join(name);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            return std::fs::write(path, text).expect("a file");
        }
        put(&self.cx.config.sources[0], name, text).await;
    }

    /// Puts the data of a day.
    pub async fn put_day(&self, day: &str, rows: u64, moved: f64) {
        self.put_data(&format!("dt={day}/part.csv"), table(rows, moved)).await;
    }

    pub async fn add_monitor(&self, name: &str, more: Value) -> Answer {
        let source = format!("{}/dt={{date}}/*.csv", self.data());
        let mut spec =
            json!({ "every": "0 6 * * *", "source": source, "window": "1d", "reference": "baseline" });
        for (name, value) in more.as_object().expect("an object") {
            spec[name] = value.clone();
        }
        let body = json!({ "name": name, "stage": "production", "spec": spec });
        self.call("POST", &format!("/v1/workloads/{W}/monitors")).json(body).send().await
    }

    /// Runs of a monitor, newest window first.
    pub async fn runs(&self, monitor: &str) -> Vec<Value> {
        let path = format!("/v1/workloads/{W}/monitors/{monitor}/runs");
        self.get(&path).expect(200).await.value()["items"].as_array().expect("runs").clone()
    }

    /// What the newest run says: its verdict, what it meant, and what followed.
    pub async fn newest(&self, monitor: &str) -> (String, String, String) {
        let run = &self.runs(monitor).await[0];
        let text = |name: &str| run[name].as_str().unwrap_or_default().to_owned();
        (text("verdict"), text("alert"), text("followed"))
    }

    /// Lets what is due be made. Answers how many runs.
    pub async fn make_runs(&self) -> usize {
        while tick::tick(&self.cx).await.expect("what is due is queued") > 0 {}
        let mut count = 0;
        while work::work(&self.cx).await.expect("a run is made") {
            count += 1;
        }
        count
    }

    /// Lets a day pass, and what is due then be made.
    pub async fn next_day(&self) -> usize {
        self.clock.advance(Duration::from_secs(24 * 3600));
        self.make_runs().await
    }

    /// Attaches a profile of a table to a version.
    pub async fn baseline(&self, version: &str, rows: u64, moved: f64) {
        let profile = profile(&table(rows, moved));
        self.root().attach_text(version, &profile).await;
    }
}

/// The profile of a table.
pub fn profile(text: &str) -> String {
    profile_by(text, &Request::default())
}

pub fn profile_by(text: &str, request: &Request) -> String {
    let file = tempfile::Builder::new().suffix(".csv").tempfile().expect("a file");
    std::fs::write(file.path(), text).expect("a file");
    let input = std::sync::Arc::new(LocalFile::open(file.path()).expect("a file"));
    let source = check::Source::open(vec![input], None, 1).expect("a table");
    let profile = check::profile(&source, None, request).expect("a profile");
    String::from_utf8(profile.to_bytes().expect("bytes")).expect("text")
}
