//! The calls of `/v1` about evidence, policies, promotions and stages, typed.

use super::{
    Call, Client,
    api::{escape, get, tag},
};
use crate::{
    dossier::Format,
    error::{Error, Result},
    model::{
        evidence::{Evidence, EvidenceKind},
        name::{Namespace, Workload},
        reference::Reference,
        scope::Scope,
        stage::Stage,
    },
    wire::{self, Page},
};
use axum::body::Body;
use http::{Method, header};
use serde::{Serialize, de::DeserializeOwned};

impl Client {
    /// A verb on a stage: `promote`, `approve`, `reject`, `withdraw`, `ratify`, `rollback`.
    async fn on_stage<T: DeserializeOwned>(
        &self,
        workload: &Workload,
        stage: &Stage,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let path = format!("/v1/workloads/{workload}/stages/{stage}/{verb}");
        self.json(Call::new(Method::POST, path).json(body)?).await
    }

    pub async fn promote(
        &self,
        workload: &Workload,
        stage: &Stage,
        body: &wire::Promote,
    ) -> Result<wire::PromotionView> {
        self.on_stage(workload, stage, "promote", body).await
    }

    pub async fn approve(
        &self,
        workload: &Workload,
        stage: &Stage,
        body: &wire::Decide,
    ) -> Result<wire::DecidedView> {
        self.on_stage(workload, stage, "approve", body).await
    }

    pub async fn reject(
        &self,
        workload: &Workload,
        stage: &Stage,
        body: &wire::Decide,
    ) -> Result<wire::DecidedView> {
        self.on_stage(workload, stage, "reject", body).await
    }

    pub async fn withdraw(
        &self,
        workload: &Workload,
        stage: &Stage,
        body: &wire::Decide,
    ) -> Result<wire::PromotionView> {
        self.on_stage(workload, stage, "withdraw", body).await
    }

    pub async fn ratify(&self, workload: &Workload, stage: &Stage) -> Result<Vec<wire::MoveView>> {
        let path = format!("/v1/workloads/{workload}/stages/{stage}/ratify");
        let page: Page<wire::MoveView> = self.json(Call::new(Method::POST, path)).await?;
        Ok(page.items)
    }

    pub async fn rollback(
        &self,
        workload: &Workload,
        stage: &Stage,
        body: &wire::Rollback,
    ) -> Result<wire::RolledBackView> {
        self.on_stage(workload, stage, "rollback", body).await
    }

    pub async fn status(&self, workload: &Workload) -> Result<wire::StatusView> {
        self.json(get(format!("/v1/workloads/{workload}/status"))).await
    }

    /// The newest moves of a stage, up to `most`.
    pub async fn history(
        &self,
        workload: &Workload,
        stage: &Stage,
        most: usize,
    ) -> Result<Vec<wire::MoveView>> {
        self.pages(&format!("/v1/workloads/{workload}/stages/{stage}/history"), "", most).await
    }

    pub async fn promotion(&self, workload: &Workload, id: &str) -> Result<wire::PromotionView> {
        self.json(get(format!("/v1/workloads/{workload}/promotions/{}", escape(id)))).await
    }

    pub async fn pending(&self, namespace: Option<&Namespace>, mine: bool) -> Result<Vec<wire::PendingView>> {
        let namespace = namespace.map(|namespace| format!("&namespace={namespace}")).unwrap_or_default();
        self.pages("/v1/pending", &format!("{namespace}&mine={mine}"), usize::MAX).await
    }

    /// Attaches a file as evidence.
    pub async fn attach(
        &self,
        reference: &Reference,
        kind: Option<EvidenceKind>,
        public_key: Option<&str>,
        bytes: Vec<u8>,
    ) -> Result<wire::AttachedView> {
        let reference = self.concrete(reference).await?;
        let mut query = Vec::new();
        query.extend(kind.map(|kind| format!("kind={kind}")));
        query.extend(public_key.map(|key| format!("public_key={}", escape(key))));
        let path = format!(
            "/v1/workloads/{}/versions/{}/evidence?{}",
            reference.workload,
            tag(&reference),
            query.join("&")
        );
        let call = Call::new(Method::POST, path.trim_end_matches('?'))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(Body::from(bytes));
        self.json(call).await
    }

    pub async fn evidence(&self, reference: &Reference) -> Result<Vec<Evidence>> {
        let reference = self.concrete(reference).await?;
        let path = format!("/v1/workloads/{}/versions/{}/evidence", reference.workload, tag(&reference));
        let page: Page<Evidence> = self.json(get(path)).await?;
        Ok(page.items)
    }

    /// What the registry knows of a version, as a document.
    pub async fn dossier(&self, reference: &Reference, format: Format) -> Result<String> {
        let reference = self.concrete(reference).await?;
        let (workload, tag) = (&reference.workload, tag(&reference));
        let path = format!("/v1/workloads/{workload}/versions/{tag}/dossier?format={format}");
        let bytes = self.send(get(path)).await?.bytes().await?;
        String::from_utf8(bytes).map_err(|source| {
            Error::unavailable("answer_invalid", "the server's answer is not text").source(source)
        })
    }

    pub async fn gates(&self) -> Result<Vec<wire::GateView>> {
        let page: Page<wire::GateView> = self.json(get("/v1/gates")).await?;
        Ok(page.items)
    }

    pub async fn policy(&self, scope: &Scope) -> Result<wire::PolicyView> {
        self.json(get(policy_path(scope))).await
    }

    pub async fn apply_policy(&self, scope: &Scope, text: Vec<u8>) -> Result<wire::PolicyApplied> {
        self.json(Call::new(Method::PUT, policy_path(scope)).body(Body::from(text))).await
    }

    pub async fn remove_policy(&self, scope: &Scope) -> Result<()> {
        self.send(Call::new(Method::DELETE, policy_path(scope))).await.map(drop)
    }

    pub async fn test_policy(&self, scope: &Scope, text: Vec<u8>) -> Result<Vec<wire::PolicyTested>> {
        let path = format!("{}/test", policy_path(scope));
        let page: Page<wire::PolicyTested> =
            self.json(Call::new(Method::POST, path).body(Body::from(text))).await?;
        Ok(page.items)
    }

    pub async fn freeze(&self, scope: &Scope, body: &wire::NewFreeze) -> Result<wire::FreezeView> {
        self.json(Call::new(Method::POST, freeze_path(scope)).json(body)?).await
    }

    pub async fn unfreeze(&self, scope: &Scope, stage: Option<&Stage>) -> Result<Vec<wire::FreezeView>> {
        let query = stage.map(|stage| format!("?stage={stage}")).unwrap_or_default();
        let call = Call::new(Method::DELETE, format!("{}{query}", freeze_path(scope)));
        let page: Page<wire::FreezeView> = self.json(call).await?;
        Ok(page.items)
    }
}

fn policy_path(scope: &Scope) -> String {
    match scope {
        Scope::Workload(workload) => format!("/v1/workloads/{workload}/policy"),
        other => format!("/v1/policies/{}", escape(&other.to_string())),
    }
}

fn freeze_path(scope: &Scope) -> String {
    match scope {
        Scope::Workload(workload) => format!("/v1/freezes/{workload}"),
        other => format!("/v1/freezes/{}", escape(&other.to_string())),
    }
}
