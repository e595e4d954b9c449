//! The calls of `/v1` about drift monitors, typed.

use super::{
    Call, Client,
    api::{escape, get},
};
use crate::{
    error::Result,
    model::{
        monitor::MonitorPath,
        name::{Namespace, Workload},
    },
    wire,
};
use axum::body::Body;
use chrono::{DateTime, SecondsFormat, Utc};
use http::Method;

fn path(monitor: &MonitorPath) -> String {
    format!("/v1/workloads/{}/monitors/{}", monitor.workload, monitor.name)
}

impl Client {
    pub async fn add_monitor(
        &self,
        workload: &Workload,
        new: &wire::NewMonitor,
    ) -> Result<wire::MonitorView> {
        let path = format!("/v1/workloads/{workload}/monitors");
        self.json(Call::new(Method::POST, path).json(new)?).await
    }

    pub async fn monitors(&self, workload: &Workload) -> Result<Vec<wire::MonitorView>> {
        self.pages(&format!("/v1/workloads/{workload}/monitors"), "", usize::MAX).await
    }

    pub async fn monitor(&self, monitor: &MonitorPath) -> Result<wire::MonitorView> {
        self.json(get(path(monitor))).await
    }

    pub async fn remove_monitor(&self, monitor: &MonitorPath) -> Result<()> {
        self.send(Call::new(Method::DELETE, path(monitor))).await.map(|_| ())
    }

    pub async fn mute_monitor(
        &self,
        monitor: &MonitorPath,
        body: &wire::MuteMonitor,
    ) -> Result<wire::MonitorView> {
        self.json(Call::new(Method::POST, format!("{}/mute", path(monitor))).json(body)?).await
    }

    pub async fn arm_monitor(&self, monitor: &MonitorPath) -> Result<wire::MonitorView> {
        self.json(Call::new(Method::POST, format!("{}/arm", path(monitor)))).await
    }

    /// Asks for runs: of the window that ends now, or of those within a time.
    pub async fn run_monitor(
        &self,
        monitor: &MonitorPath,
        body: &wire::RunMonitor,
    ) -> Result<Vec<wire::AskedView>> {
        let call = Call::new(Method::POST, format!("{}/runs", path(monitor))).json(body)?;
        self.json::<wire::Page<wire::AskedView>>(call).await.map(|page| page.items)
    }

    /// The key that a namespace's columns which are not to be told are hashed with.
    pub async fn drift_key(&self, namespace: &Namespace) -> Result<wire::DriftKey> {
        self.json(get(format!("/v1/namespaces/{namespace}/drift-key"))).await
    }

    /// Pushes the profile of the window of a run at some time.
    pub async fn push_profile(
        &self,
        monitor: &MonitorPath,
        at: Option<DateTime<Utc>>,
        profile: Vec<u8>,
    ) -> Result<wire::AskedView> {
        let at = at.map(|at| at.to_rfc3339_opts(SecondsFormat::Micros, true));
        let query = at.map(|at| format!("?at={}", escape(&at))).unwrap_or_default();
        let call = Call::new(Method::POST, format!("{}/profiles{query}", path(monitor)));
        self.json(call.body(Body::from(profile)).takes_long()).await
    }

    /// The newest runs, at most so many.
    pub async fn drift_runs(&self, monitor: &MonitorPath, most: usize) -> Result<Vec<wire::RunView>> {
        self.pages(&format!("{}/runs", path(monitor)), "", most).await
    }

    /// The run whose window ends then, or the newest that has ended, with its report.
    pub async fn drift_run(
        &self,
        monitor: &MonitorPath,
        end: Option<DateTime<Utc>>,
    ) -> Result<wire::RunDetails> {
        let end =
            end.map_or("newest".to_owned(), |end| escape(&end.to_rfc3339_opts(SecondsFormat::Micros, true)));
        self.json(get(format!("{}/runs/{end}", path(monitor)))).await
    }
}
