//! The calls of `/v1` about what is said of workloads, and the inventory, typed.

use super::{Call, Client, api::get};
use crate::{
    error::Result,
    model::name::{Namespace, Workload},
    wire,
};
use http::Method;

impl Client {
    pub async fn card(&self, workload: &Workload) -> Result<wire::CardView> {
        self.json(get(format!("/v1/workloads/{workload}/card"))).await
    }

    pub async fn set_card(&self, workload: &Workload, body: &wire::SetCard) -> Result<wire::CardSetView> {
        self.json(Call::new(Method::PATCH, format!("/v1/workloads/{workload}/card")).json(body)?).await
    }

    /// Every workload the caller may see, or those of a namespace.
    pub async fn inventory(&self, namespace: Option<&Namespace>) -> Result<Vec<wire::InventoryView>> {
        let query = namespace.map(|namespace| format!("&namespace={namespace}")).unwrap_or_default();
        self.pages("/v1/inventory", &query, usize::MAX).await
    }
}
