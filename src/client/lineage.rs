//! The calls of `/v1` about lineage, finding by it, and quarantine, typed.

use super::{
    Call, Client,
    api::{escape, get, tag},
};
use crate::{
    error::Result,
    model::reference::Reference,
    wire::{self, Page},
};
use http::Method;

/// Query parameters, escaped.
fn query(parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    given.map(|(name, value)| format!("&{name}={}", escape(value))).collect()
}

impl Client {
    /// Versions that have all of what is given, up to `most`.
    pub async fn find(&self, asked: &[(&str, Option<String>)], most: usize) -> Result<Vec<wire::FoundView>> {
        self.pages("/v1/find", &query(asked), most).await
    }

    pub async fn lineage(
        &self,
        reference: &Reference,
        direction: Option<&str>,
        depth: usize,
    ) -> Result<wire::LineageView> {
        let reference = self.concrete(reference).await?;
        let path = format!("/v1/workloads/{}/versions/{}/lineage", reference.workload, tag(&reference));
        let direction = query(&[("direction", direction.map(str::to_owned))]);
        self.json(get(format!("{path}?depth={depth}{direction}"))).await
    }

    /// What is made of something that is no version.
    pub async fn lineage_of(
        &self,
        asked: &[(&str, Option<String>)],
        depth: usize,
    ) -> Result<wire::LineageView> {
        self.json(get(format!("/v1/lineage?depth={depth}{}", query(asked)))).await
    }

    pub async fn set_quarantine(&self, body: &wire::QuarantineOf) -> Result<wire::QuarantineView> {
        self.json(Call::new(Method::POST, "/v1/quarantines").json(body)?).await
    }

    pub async fn clear_quarantine(&self, body: &wire::QuarantineOf) -> Result<Vec<wire::QuarantineView>> {
        let page: Page<wire::QuarantineView> =
            self.json(Call::new(Method::POST, "/v1/quarantines/clear").json(body)?).await?;
        Ok(page.items)
    }

    pub async fn quarantines(&self, cleared: bool) -> Result<Vec<wire::QuarantineView>> {
        self.pages("/v1/quarantines", &format!("&cleared={cleared}"), usize::MAX).await
    }
}
