//! Quotas, and who read what.

use super::{
    Call, Client,
    api::{escape, get},
};
use crate::{error::Result, model::name::Namespace, wire};
use http::Method;

impl Client {
    pub async fn quota(&self, namespace: &Namespace) -> Result<wire::QuotaView> {
        self.json(get(format!("/v1/quotas/{namespace}"))).await
    }

    pub async fn list_quotas(&self) -> Result<Vec<wire::QuotaView>> {
        self.pages("/v1/quotas", "", usize::MAX).await
    }

    pub async fn set_quota(&self, namespace: &Namespace, quota: &wire::SetQuota) -> Result<wire::QuotaView> {
        self.json(Call::new(Method::PUT, format!("/v1/quotas/{namespace}")).json(quota)?).await
    }

    pub async fn remove_quota(&self, namespace: &Namespace) -> Result<()> {
        self.send(Call::new(Method::DELETE, format!("/v1/quotas/{namespace}"))).await.map(drop)
    }

    /// Reads, newest first, up to `most`; whether there are more is told by `next`.
    pub async fn reads(&self, query: &str, most: usize) -> Result<wire::ReadsView> {
        let mut all: Option<wire::ReadsView> = None;
        loop {
            let so_far = all.as_ref().map_or(0, |all| all.items.len());
            let cursor = all.as_ref().and_then(|all| all.next.as_deref());
            let cursor = cursor.map(|cursor| format!("&cursor={}", escape(cursor))).unwrap_or_default();
            let limit = (most - so_far).min(1000);
            let page: wire::ReadsView =
                self.json(get(format!("/v1/reads?limit={limit}{query}{cursor}"))).await?;
            let next = page.next.clone();
            let found = match all {
                None => page,
                Some(mut all) => {
                    all.items.extend(page.items);
                    all.next = page.next;
                    all
                }
            };
            if next.is_none() || found.items.len() >= most {
                return Ok(found);
            }
            all = Some(found);
        }
    }
}
