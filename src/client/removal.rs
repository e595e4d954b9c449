//! The calls of `/v1` about holds, purges, retention and deleted names, typed.

use super::{
    Call, Client,
    api::{escape, get, tag},
};
use crate::{
    error::Result,
    model::{
        name::{Namespace, Workload},
        reference::Reference,
        removal::HoldScope,
    },
    wire,
};
use http::Method;

fn removal(reason: &str) -> wire::Removal {
    wire::Removal { reason: reason.to_owned() }
}

impl Client {
    pub async fn set_hold(&self, scope: &HoldScope, reason: &str) -> Result<wire::HoldView> {
        let new = wire::NewHold { scope: scope.to_string(), reason: reason.to_owned() };
        self.json(Call::new(Method::POST, "/v1/holds").json(&new)?).await
    }

    pub async fn clear_hold(
        &self,
        scope: &HoldScope,
        id: Option<String>,
        reason: &str,
    ) -> Result<wire::HoldView> {
        let body = wire::ClearHold { scope: scope.to_string(), id, reason: reason.to_owned() };
        self.json(Call::new(Method::POST, "/v1/holds/clear").json(&body)?).await
    }

    pub async fn list_holds(&self, scope: Option<&HoldScope>) -> Result<Vec<wire::HoldView>> {
        let scope = scope.map(|scope| format!("&scope={}", escape(&scope.to_string()))).unwrap_or_default();
        self.pages("/v1/holds", &scope, usize::MAX).await
    }

    pub async fn purge(&self, reference: &Reference, reason: &str) -> Result<wire::PurgeView> {
        let path = format!("/v1/workloads/{}/versions/{}/purge", reference.workload, tag(reference));
        self.json(Call::new(Method::POST, path).json(&removal(reason))?.takes_long()).await
    }

    pub async fn withdraw_purge(&self, reference: &Reference, reason: &str) -> Result<wire::PurgeView> {
        let path = format!("/v1/workloads/{}/versions/{}/purge/withdraw", reference.workload, tag(reference));
        self.json(Call::new(Method::POST, path).json(&removal(reason))?).await
    }

    pub async fn list_purges(&self, namespace: Option<&Namespace>) -> Result<Vec<wire::PurgeView>> {
        let namespace = namespace.map(|namespace| format!("&namespace={namespace}")).unwrap_or_default();
        self.pages("/v1/purges", &namespace, usize::MAX).await
    }

    pub async fn retention(&self, namespace: &Namespace) -> Result<wire::RetentionView> {
        self.json(get(format!("/v1/namespaces/{namespace}/retention"))).await
    }

    pub async fn set_retention(
        &self,
        namespace: &Namespace,
        rule: &wire::SetRetention,
    ) -> Result<wire::RetentionView> {
        let path = format!("/v1/namespaces/{namespace}/retention");
        self.json(Call::new(Method::PUT, path).json(rule)?).await
    }

    pub async fn remove_retention(&self, namespace: &Namespace) -> Result<()> {
        let path = format!("/v1/namespaces/{namespace}/retention");
        self.send(Call::new(Method::DELETE, path)).await.map(drop)
    }

    pub async fn run_retention(&self, namespace: &Namespace, delete: bool) -> Result<wire::RetentionRun> {
        let path = format!("/v1/namespaces/{namespace}/retention/run");
        self.json(Call::new(Method::POST, path).json(&wire::RunRetention { delete })?.takes_long()).await
    }

    pub async fn delete_workload(&self, workload: &Workload, reason: &str) -> Result<wire::DeletedView> {
        let path = format!("/v1/workloads/{workload}/delete");
        self.json(Call::new(Method::POST, path).json(&removal(reason))?.takes_long()).await
    }

    pub async fn withdraw_deletion(&self, workload: &Workload, reason: &str) -> Result<wire::DeletionView> {
        let path = format!("/v1/workloads/{workload}/delete/withdraw");
        self.json(Call::new(Method::POST, path).json(&removal(reason))?).await
    }

    pub async fn list_deletions(&self, namespace: Option<&Namespace>) -> Result<Vec<wire::DeletionView>> {
        let namespace = namespace.map(|namespace| format!("&namespace={namespace}")).unwrap_or_default();
        self.pages("/v1/deletions", &namespace, usize::MAX).await
    }

    pub async fn delete_namespace(&self, namespace: &Namespace, reason: &str) -> Result<()> {
        let path = format!("/v1/namespaces/{namespace}/delete");
        self.send(Call::new(Method::POST, path).json(&removal(reason))?).await.map(drop)
    }
}
