//! The calls of `/v1` about hooks, typed.

use super::{
    Call, Client,
    api::{escape, get},
};
use crate::{
    error::Result,
    wire::{self, Page},
};
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

impl Client {
    pub async fn add_hook(&self, new: &wire::NewHook) -> Result<wire::HookAdded> {
        self.json(Call::new(Method::POST, "/v1/hooks").json(new)?).await
    }

    pub async fn list_hooks(&self, scope: Option<&str>) -> Result<Vec<wire::HookView>> {
        let scope = scope.map(|scope| format!("&scope={}", escape(scope))).unwrap_or_default();
        self.pages("/v1/hooks", &scope, usize::MAX).await
    }

    pub async fn show_hook(&self, hook: &str) -> Result<wire::HookDetails> {
        self.json(get(format!("/v1/hooks/{}", escape(hook)))).await
    }

    pub async fn remove_hook(&self, hook: &str) -> Result<()> {
        self.send(Call::new(Method::DELETE, format!("/v1/hooks/{}", escape(hook)))).await.map(|_| ())
    }

    /// `pause`, `resume`, `test`, `rotate`.
    pub async fn on_hook<T: DeserializeOwned>(
        &self,
        hook: &str,
        verb: &str,
        body: &impl Serialize,
    ) -> Result<T> {
        let path = format!("/v1/hooks/{}/{verb}", escape(hook));
        self.json(Call::new(Method::POST, path).json(body)?).await
    }

    pub async fn deliveries(
        &self,
        hook: &str,
        state: Option<&str>,
        cursor: &str,
        limit: i64,
    ) -> Result<Page<wire::DeliveryView>> {
        let state = state.map(|state| format!("&state={state}")).unwrap_or_default();
        let hook = escape(hook);
        let path = format!("/v1/hooks/{hook}/deliveries?limit={limit}&cursor={}{state}", escape(cursor));
        self.json(get(path)).await
    }

    pub async fn delivery(&self, hook: &str, position: i64) -> Result<wire::DeliveryDetails> {
        self.json(get(format!("/v1/hooks/{}/deliveries/{position}", escape(hook)))).await
    }

    pub async fn replay(&self, hook: &str, position: i64) -> Result<wire::Replayed> {
        let path = format!("/v1/hooks/{}/deliveries/{position}/replay", escape(hook));
        self.json(Call::new(Method::POST, path)).await
    }
}
