//! The calls of `/v1` about deployments, typed.

use super::{Call, Client, api::tag};
use crate::{
    error::Result,
    model::{
        deployment::Target,
        name::Workload,
        reference::{Reference, Selector},
    },
    wire,
};
use http::Method;

impl Client {
    pub async fn report_deployment(
        &self,
        workload: &Workload,
        target: &Target,
        body: &wire::ReportDeployment,
    ) -> Result<wire::ReportedView> {
        let path = format!("/v1/workloads/{workload}/deployments/{target}");
        self.json(Call::new(Method::PUT, path).json(body)?).await
    }

    /// The targets of a workload, or only those that a stage or a version of it has.
    pub async fn deployments(
        &self,
        reference: &Reference,
        retired: bool,
    ) -> Result<Vec<wire::DeploymentView>> {
        let of = match &reference.selector {
            Selector::Default => String::new(),
            _ => format!("&of={}", tag(reference)),
        };
        let path = format!("/v1/workloads/{}/deployments", reference.workload);
        self.pages(&path, &format!("{of}&retired={retired}"), usize::MAX).await
    }
}
