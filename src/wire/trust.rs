//! Trusted issuers, rules of trust, and what is given for an identity token.

use crate::model::{
    access::{PrincipalKind, Role, Scope},
    name::{Namespace, PrincipalName},
    trust::Conditions,
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A provider of OpenID Connect whose identity tokens count here.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct IssuerView {
    pub name: String,
    /// `iss` of its tokens. Its discovery document is below it.
    pub url: String,
    /// Whom the token of a job must be made out to.
    pub audience: String,
    /// The public client that people log in by. `null`: they do not, by this issuer.
    pub client_id: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTrust {
    /// A configured issuer by its name.
    pub issuer: String,
    /// What claims must say, all of them: the text itself, or its beginning and `/*`. Of a list one item must.
    pub claims: BTreeMap<String, String>,
    /// reader, contributor, releaser, deployer or auditor.
    pub roles: Vec<Role>,
    /// What the service is called behind the namespace's name and `__`; without it as the issuer.
    #[serde(default)]
    pub service: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TrustView {
    pub id: String,
    pub namespace: Namespace,
    pub issuer: String,
    pub issuer_url: String,
    pub claims: Conditions,
    pub roles: Vec<Role>,
    /// The service that identities act as.
    pub principal: PrincipalName,
    pub created_at: DateTime<Utc>,
    pub created_by: PrincipalName,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// An identity token: a JWT of a trusted issuer.
    pub token: String,
    /// Where a job wants to act. A person may do without.
    #[serde(default)]
    pub namespace: Option<Namespace>,
    /// The id of a rule, where several fit.
    #[serde(default)]
    pub rule: Option<String>,
}

#[derive(Serialize, Deserialize, JsonSchema)]
pub struct Exchanged {
    /// A token of this registry. It is shown here and never again.
    pub token: String,
    pub expires_at: DateTime<Utc>,
    pub principal: PrincipalName,
    pub kind: PrincipalKind,
    pub scope: Scope,
    /// Who said who it is, and what they call them.
    pub issuer: String,
    pub subject: String,
}
