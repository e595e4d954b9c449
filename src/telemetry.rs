//! Logs and metrics. Neither ever carries a token, a secret or a file's content.

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use std::{io::IsTerminal as _, sync::Arc};

/// Starts logging to stderr: readable lines on a terminal, JSON elsewhere or with `--log-json`.
pub fn start(json: bool, default_level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("GRADUS_LOG")
        // The scheduler logs each of its own failures, which are told as errors of ours.
        .unwrap_or_else(|_| {
            tracing_subscriber::EnvFilter::new(format!("{default_level},tokio_cron_scheduler=off"))
        });
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let lines = lines.with_ansi(std::io::stderr().is_terminal());
    // A second start (tests in one process) keeps the first.
    let _ = if json { lines.json().flatten_event(true).try_init() } else { lines.compact().try_init() };
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// The operation id of the route, or `none`.
    pub operation: &'static str,
    pub status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// Of an attempt: `delivered` or `failed`; of a delivery that is given up besides: `dead`.
    pub outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct DriftRunLabels {
    /// The verdict as in the report, or `failed`.
    pub outcome: &'static str,
}

/// What the registry counts. Labels are operation names and numbers, never names of tenants.
pub struct Metrics {
    registry: Registry,
    pub requests: Family<RequestLabels, Counter>,
    pub request_seconds: Histogram,
    pub requests_under_way: Gauge,
    pub bytes_received: Counter,
    pub bytes_sent: Arc<Counter>,
    pub versions_created: Counter,
    pub panics: Counter,
    pub deliveries: Family<DeliveryLabels, Counter>,
    pub delivery_seconds: Histogram,
    pub deliveries_pending: Gauge,
    pub hooks_paused: Gauge,
    pub watchers: Gauge,
    pub drift_runs: Family<DriftRunLabels, Counter>,
    pub drift_run_seconds: Histogram,
    pub drift_runs_waiting: Gauge,
    pub reads_missing: Counter,
    pub rate_limited: Counter,
}

impl Metrics {
    #[expect(clippy::new_without_default, reason = "making it registers metrics, which a default should not")]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("gradus");
        let requests = Family::<RequestLabels, Counter>::default();
        let buckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
        let request_seconds = Histogram::new(buckets);
        let requests_under_way = Gauge::default();
        let (bytes_received, bytes_sent) = (Counter::default(), Counter::default());
        let (versions_created, panics) = (Counter::default(), Counter::default());
        registry.register("requests", "Requests answered, by operation and status", requests.clone());
        registry.register(
            "request_seconds",
            "Time until the answer's head, in seconds",
            request_seconds.clone(),
        );
        registry.register("requests_under_way", "Requests not answered yet", requests_under_way.clone());
        registry.register("received_bytes", "Bytes of blobs received", bytes_received.clone());
        registry.register("sent_bytes", "Bytes of blobs sent", bytes_sent.clone());
        registry.register("versions_created", "Versions made", versions_created.clone());
        registry.register("panics", "Bugs that ended a request", panics.clone());
        let deliveries = Family::<DeliveryLabels, Counter>::default();
        let delivery_seconds = Histogram::new(buckets);
        let (deliveries_pending, hooks_paused, watchers) =
            (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register("deliveries", "Attempts to deliver to hooks, by outcome", deliveries.clone());
        registry.register("delivery_seconds", "Time of one attempt, in seconds", delivery_seconds.clone());
        registry.register(
            "deliveries_pending",
            "Deliveries to be made, of all replicas",
            deliveries_pending.clone(),
        );
        registry.register("hooks_paused", "Hooks that are paused or disabled", hooks_paused.clone());
        registry.register("watchers", "Streams of the log under way", watchers.clone());
        let drift_runs = Family::<DriftRunLabels, Counter>::default();
        let drift_run_seconds = Histogram::new([0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0]);
        let drift_runs_waiting = Gauge::default();
        registry.register("drift_runs", "Runs of drift monitors made, by verdict", drift_runs.clone());
        registry.register("drift_run_seconds", "Time of one run, in seconds", drift_run_seconds.clone());
        registry.register(
            "drift_runs_waiting",
            "Runs to be made, of all replicas",
            drift_runs_waiting.clone(),
        );
        let (reads_missing, rate_limited) = (Counter::default(), Counter::default());
        registry.register(
            "rate_limited",
            "Requests refused because their sender asks too often, or for too much at a time",
            rate_limited.clone(),
        );
        registry.register(
            "reads_missing",
            "Reads that could not be kept for the access log",
            reads_missing.clone(),
        );
        Self {
            registry,
            requests,
            request_seconds,
            requests_under_way,
            bytes_received,
            bytes_sent: Arc::new(bytes_sent),
            versions_created,
            panics,
            deliveries,
            delivery_seconds,
            deliveries_pending,
            hooks_paused,
            watchers,
            drift_runs,
            drift_run_seconds,
            drift_runs_waiting,
            reads_missing,
            rate_limited,
        }
    }

    /// All metrics in the OpenMetrics text format.
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}
