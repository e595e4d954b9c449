//! Whom a namespace trusts without a token of ours: rules over the claims of an issuer's identity tokens, and the names
//! of the services they act as.

use super::{
    access::Role,
    digest::shorten,
    name::{Namespace, PrincipalName, SEGMENT_MAX},
};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const CLAIMS_MAX: usize = 20;
const NAME_MAX: usize = 100;
const VALUE_MAX: usize = 500;

/// Claims that every token of an issuer has, or no two: they say nothing of who it is.
const NOT_OF_WHO: [&str; 8] = ["iss", "aud", "exp", "nbf", "iat", "jti", "nonce", "auth_time"];

/// What claims must say. All must fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Conditions(BTreeMap<String, String>);

impl Conditions {
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub fn fit(&self, claims: &Map<String, Value>) -> bool {
        self.iter().all(|(name, wanted)| claims.get(name).is_some_and(|claim| fits(wanted, claim)))
    }

    /// Refuses conditions that do not say who, for an issuer whose claims do so under these names.
    pub fn require_one_of(&self, identifying: &[String]) -> Result<()> {
        if identifying.iter().any(|name| self.0.contains_key(name)) {
            return Ok(());
        }
        Err(Error::invalid(
            "claims_too_wide",
            "the rule would trust whoever the issuer knows: no claim of it says who",
        )
        .hint(format!("name one of: {}", identifying.join(", "))))
    }
}

/// Of a list one item must fit, such as one of somebody's groups.
fn fits(wanted: &str, claim: &Value) -> bool {
    match claim {
        Value::Array(items) => items.iter().any(|item| is_said(wanted, item)),
        one => is_said(wanted, one),
    }
}

/// Texts are equal, or begin with what stands before the `*` of `…/*`. Numbers and truth values are compared as JSON
/// writes them. Objects, and lists in lists, fit nothing.
fn is_said(wanted: &str, claim: &Value) -> bool {
    match (claim, wanted.strip_suffix('*').filter(|prefix| prefix.ends_with('/'))) {
        (Value::String(claim), Some(prefix)) => claim.len() > prefix.len() && claim.starts_with(prefix),
        (Value::String(claim), None) => claim == wanted,
        (Value::Bool(claim), None) => claim.to_string() == wanted,
        (Value::Number(claim), None) => claim.to_string() == wanted,
        _ => false,
    }
}

impl TryFrom<BTreeMap<String, String>> for Conditions {
    type Error = Error;

    fn try_from(claims: BTreeMap<String, String>) -> Result<Self> {
        let refuse = |why: String| {
            Err(Error::invalid("claims_invalid", why)
                .hint("for example: --claim repository=acme/triage --claim ref=refs/heads/main"))
        };
        if claims.is_empty() || claims.len() > CLAIMS_MAX {
            return refuse(format!("a rule names 1 to {CLAIMS_MAX} claims, not: {}", claims.len()));
        }
        for (name, value) in &claims {
            let is_text = |text: &str, max: usize| {
                !text.is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control)
            };
            if !is_text(name, NAME_MAX) || NOT_OF_WHO.contains(&name.as_str()) {
                return refuse(format!("not a claim that says who: {}", shorten(name)));
            }
            if !is_text(value, VALUE_MAX) {
                return refuse(format!(
                    "the value of a claim is empty, too long or has control characters: {}",
                    shorten(name)
                ));
            }
        }
        Ok(Self(claims))
    }
}

impl From<Conditions> for BTreeMap<String, String> {
    fn from(conditions: Conditions) -> Self {
        conditions.0
    }
}

/// The roles of a rule: at least one, in order, none of those that take a person.
pub fn check_roles(mut roles: Vec<Role>) -> Result<Vec<Role>> {
    roles.sort_unstable();
    roles.dedup();
    if let Some(role) = roles.iter().find(|role| matches!(role, Role::Admin | Role::Approver)) {
        return Err(Error::invalid(
            "trust_role_invalid",
            format!("a service does not get this role: {role}"),
        )
        .hint("roles of a rule are reader, contributor, releaser, deployer and auditor"));
    }
    if roles.is_empty() {
        return Err(Error::invalid("trust_role_invalid", "a rule gives at least one role")
            .hint("for example: --role contributor"));
    }
    Ok(roles)
}

/// The name of a service that rules of a namespace act as: `NAMESPACE__NAME`. NAME has no `__` of its own, so that a name
/// is of one namespace only, whatever the names of others.
pub fn service_name(namespace: &Namespace, name: &str) -> Result<PrincipalName> {
    let refuse = |why: &str| {
        Error::invalid("service_name_invalid", format!("{why}: {}", shorten(name)))
            .hint("name the service with: --as NAME, lower-case letters and digits joined by '-', '.' or '_'")
    };
    if name.contains("__") {
        return Err(refuse("the name of a rule's service has no '__' in it"));
    }
    if namespace.as_str().len() + 2 + name.len() > SEGMENT_MAX {
        let why =
            format!("{namespace}__{name} has more than {SEGMENT_MAX} characters, so this name is too long");
        return Err(refuse(&why));
    }
    format!("{namespace}__{name}").parse().map_err(|_| refuse("not a name for a rule's service"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn conditions(pairs: &[(&str, &str)]) -> Result<Conditions> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        pairs.collect::<BTreeMap<_, _>>().try_into()
    }

    #[test]
    fn all_claims_must_fit() {
        let claims = json!({
            "sub": "repo:acme/triage:ref:refs/heads/main", "repository": "acme/triage", "run": 7, "protected": true,
            "groups": ["acme/dev", "ops", 7, ["root"], { "name": "root" }], "kubernetes.io": { "namespace": "acme" }, "missing": null,
        });
        let fit = |pairs: &[(&str, &str)]| conditions(pairs).unwrap().fit(claims.as_object().unwrap());
        for good in [
            &[("repository", "acme/triage")][..],
            &[("repository", "acme/*")],
            &[("sub", "repo:acme/*"), ("repository", "acme/triage")],
            &[("sub", "repo:acme/triage:ref:refs/heads/*")],
            &[("run", "7"), ("protected", "true")],
            &[("groups", "ops")],
            &[("groups", "7")],
            &[("groups", "acme/*")],
        ] {
            assert!(fit(good), "{good:?}");
        }
        for bad in [
            &[("repository", "acme/triage2")][..],
            &[("repository", "acme/triag")],
            &[("repository", "Acme/triage")],
            &[("repository", "acme*")],
            &[("repository", "acme/tri*")],
            &[("repository", "*")],
            &[("repository", "/*")],
            &[("repository", "acme/triage/*")],
            &[("repository", "*/triage")],
            &[("repository", "a?me/triage")],
            &[("repository", "acme/triage"), ("ref", "refs/heads/main")],
            &[("run", "7.0")],
            &[("run", "/*")],
            &[("groups", "dev")],
            &[("groups", "acme/dev,ops")],
            &[("groups", "[\"ops\"]")],
            &[("groups", "root")],
            &[("kubernetes.io", "acme")],
            &[("missing", "null")],
        ] {
            assert!(!fit(bad), "{bad:?}");
        }
        // What a prefix leaves open is something.
        let empty = json!({ "repository": "acme/" });
        assert!(!conditions(&[("repository", "acme/*")]).unwrap().fit(empty.as_object().unwrap()));
    }

    /// Claims as the systems document them: what a job of `acme` has, a rule that fits it, and what nobody else's job may
    /// get by it.
    #[test]
    fn jobs_of_known_systems_are_told_apart() {
        let github = json!({
            "iss": "https://token.actions.githubusercontent.com", "aud": "https://models.example.org",
            "sub": "repo:acme/triage:environment:production", "repository": "acme/triage", "repository_id": "74",
            "repository_owner": "acme", "repository_owner_id": "65", "repository_visibility": "private",
            "environment": "production", "ref": "refs/heads/main", "ref_type": "branch", "ref_protected": "true",
            "sha": "0f5c", "head_ref": "", "base_ref": "", "actor": "ada", "actor_id": "12", "event_name": "push",
            "workflow": "release", "workflow_ref": "acme/triage/.github/workflows/release.yml@refs/heads/main",
            "job_workflow_ref": "acme/ci/.github/workflows/push.yml@refs/heads/main", "run_id": "30", "run_number": "10",
            "run_attempt": "2", "runner_environment": "github-hosted",
        });
        let gitlab = json!({
            "iss": "https://gitlab.example.org", "aud": "https://models.example.org",
            "sub": "project_path:acme/ml/triage:ref_type:branch:ref:main", "namespace_id": "72",
            "namespace_path": "acme/ml", "project_id": "20", "project_path": "acme/ml/triage", "user_id": "1",
            "user_login": "ada", "user_access_level": "maintainer", "groups_direct": ["acme/ml", "acme/leads"],
            "user_identities": [{ "provider": "github", "extern_uid": "2435223452345" }], "pipeline_id": "574",
            "pipeline_source": "push", "job_id": "302", "ref": "main", "ref_type": "branch",
            "ref_path": "refs/heads/main", "ref_protected": "true", "environment": "production",
            "environment_protected": "true", "deployment_tier": "production", "runner_id": 1,
            "runner_environment": "self-hosted", "sha": "714a",
        });
        let kubernetes = json!({
            "iss": "https://kubernetes.default.svc.cluster.local", "aud": ["https://models.example.org"],
            "sub": "system:serviceaccount:acme:deployer",
            "kubernetes.io": {
                "namespace": "acme", "node": { "name": "n1", "uid": "1" }, "pod": { "name": "p1", "uid": "2" },
                "serviceaccount": { "name": "deployer", "uid": "3" }, "warnafter": 1_718_000_000,
            },
        });
        for (claims, rule, [name, other]) in [
            (
                &github,
                &[("repository", "acme/triage"), ("ref", "refs/heads/main")][..],
                ["ref", "refs/heads/evil"],
            ),
            (&github, &[("repository_id", "74"), ("environment", "production")], ["repository_id", "75"]),
            (
                &github,
                &[("repository_owner_id", "65"), ("ref_protected", "true")],
                ["ref_protected", "false"],
            ),
            (
                &github,
                &[("sub", "repo:acme/triage:environment:production")],
                ["sub", "repo:acme/triage:pull_request"],
            ),
            (&github, &[("sub", "repo:acme/*")], ["sub", "repo:acme-evil/triage:environment:production"]),
            (
                &github,
                &[
                    ("repository_owner", "acme"),
                    ("job_workflow_ref", "acme/ci/.github/workflows/push.yml@refs/heads/*"),
                ],
                ["job_workflow_ref", "acme/ci/.github/workflows/push.yml@refs/pull/7/merge"],
            ),
            (
                &gitlab,
                &[("project_path", "acme/*"), ("ref_path", "refs/heads/main")],
                ["project_path", "acme2/ml/triage"],
            ),
            (&gitlab, &[("project_id", "20"), ("environment_protected", "true")], ["project_id", "200"]),
            (
                &gitlab,
                &[("namespace_path", "acme/ml"), ("groups_direct", "acme/leads")],
                ["groups_direct", "acme"],
            ),
            (&gitlab, &[("project_id", "20"), ("runner_id", "1")], ["runner_id", "11"]),
            (
                &kubernetes,
                &[("sub", "system:serviceaccount:acme:deployer")],
                ["sub", "system:serviceaccount:rival:deployer"],
            ),
        ] {
            let conditions = conditions(rule).unwrap();
            let mut claims = claims.as_object().unwrap().clone();
            assert!(conditions.fit(&claims), "{rule:?}");
            claims.insert(name.to_owned(), json!(other)).unwrap();
            assert!(!conditions.fit(&claims), "{rule:?} {name}={other}");
        }
    }

    #[test]
    fn a_rule_says_who() {
        assert_eq!(conditions(&[]).unwrap_err().code, "claims_invalid");
        for name in NOT_OF_WHO {
            assert_eq!(conditions(&[(name, "x")]).unwrap_err().code, "claims_invalid", "{name}");
        }
        let long = "x".repeat(501);
        for bad in [("", "x"), ("sub", ""), ("sub", "a\nb"), ("sub", &long), ("a\0", "x")] {
            assert_eq!(conditions(&[bad]).unwrap_err().code, "claims_invalid", "{bad:?}");
        }
        let identifying = ["sub".to_owned(), "repository".to_owned()];
        let branch = conditions(&[("ref", "refs/heads/main")]).unwrap();
        assert_eq!(branch.require_one_of(&identifying).unwrap_err().code, "claims_too_wide");
        assert!(conditions(&[("ref", "x"), ("sub", "y")]).unwrap().require_one_of(&identifying).is_ok());
    }

    #[test]
    fn services_never_approve_or_administer() {
        use Role::{Admin, Approver, Contributor, Reader};
        assert_eq!(check_roles(vec![Contributor, Reader, Contributor]).unwrap(), [Reader, Contributor]);
        for bad in [vec![], vec![Admin], vec![Reader, Approver]] {
            assert_eq!(check_roles(bad).unwrap_err().code, "trust_role_invalid");
        }
    }

    #[test]
    fn a_service_is_of_one_namespace() {
        let name = |namespace: &str, name: &str| service_name(&namespace.parse().unwrap(), name);
        assert_eq!(name("acme", "github").unwrap().as_str(), "acme__github");
        assert_eq!(name("a__b", "c").unwrap().as_str(), "a__b__c");
        for bad in ["b__c", "", "x/y", "X", "-x", "_x", "x_", "../x", &"x".repeat(60)] {
            assert_eq!(name("acme", bad).unwrap_err().code, "service_name_invalid", "{bad}");
        }
    }
}
