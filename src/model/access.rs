//! Who may do what: roles, what each allows, and the actor behind a call.

use super::name::{Namespace, PrincipalName};
use crate::error::{Error, Result};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

/// A role in a namespace. Roles add up; nobody has one by default.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees, resolves, pulls.
    Reader,
    /// Pushes, yanks, moves aliases.
    Contributor,
    /// Approves promotions. Never a service.
    Approver,
    /// Promotes and rolls back.
    Releaser,
    /// Reports what runs where, and how it fares: a cluster's agent or a CI system, which needs no more.
    Deployer,
    /// Reads the event log.
    Auditor,
    /// Everything, members included.
    Admin,
}

impl Role {
    pub const ALL: [Self; 7] = [
        Self::Reader,
        Self::Contributor,
        Self::Approver,
        Self::Releaser,
        Self::Deployer,
        Self::Auditor,
        Self::Admin,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Contributor => "contributor",
            Self::Approver => "approver",
            Self::Releaser => "releaser",
            Self::Deployer => "deployer",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }

    fn allows(self, permission: Permission) -> bool {
        match self {
            Self::Admin => true,
            Self::Contributor => {
                matches!(permission, Permission::Read | Permission::Write | Permission::Attest)
            }
            Self::Auditor => matches!(permission, Permission::Read | Permission::Audit),
            Self::Deployer => matches!(permission, Permission::Read | Permission::Report),
            Self::Releaser => {
                matches!(
                    permission,
                    Permission::Read | Permission::Attest | Permission::Release | Permission::Report
                )
            }
            Self::Approver => matches!(permission, Permission::Read | Permission::Attest),
            Self::Reader => permission == Permission::Read,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| {
            Error::invalid("role_invalid", format!("not a role: {}", super::digest::shorten(text)))
                .hint("roles are reader, contributor, approver, releaser, deployer, auditor and admin")
        })
    }
}

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    Read,
    /// Push, yank, alias, delete.
    Write,
    /// Attach evidence.
    Attest,
    /// Freeze and unfreeze. Who may promote and roll back, the policy says.
    Release,
    /// Report deployments.
    Report,
    /// Read the event log.
    Audit,
    /// Manage the members of a namespace, or with no namespace the whole registry.
    Administer,
}

/// What kind of principal: approvals need a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    Person,
    Service,
    Local,
}

impl PrincipalKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Service => "service",
            Self::Local => "local",
        }
    }
}

impl FromStr for PrincipalKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "person" => Ok(Self::Person),
            "service" => Ok(Self::Service),
            "local" => Ok(Self::Local),
            _ => Err(Error::invalid("principal_kind_invalid", format!("not a kind of user: {text}"))),
        }
    }
}

/// How somebody stands in a namespace at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub kind: PrincipalKind,
    /// None once they are disabled.
    pub roles: BTreeSet<Role>,
}

/// The namespace under which roles for the whole registry are stored. No namespace can have this name.
pub const EVERYWHERE: &str = "*";

/// What a token is narrowed to. Empty means: all that its principal has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Namespace>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
}

/// The principal behind a call, with the roles it has by membership and what its token lets through.
#[derive(Clone, Debug)]
pub struct Actor {
    pub principal: PrincipalName,
    pub kind: PrincipalKind,
    /// Roles by namespace; [`EVERYWHERE`] holds those for the whole registry.
    pub roles: BTreeMap<String, Vec<Role>>,
    pub scope: Scope,
    /// When the token behind this call stops working.
    pub expires_at: Option<DateTime<Utc>>,
    /// The rule of trust that gave the token, if one did. What is made with it ends with it.
    pub rule: Option<String>,
}

impl Actor {
    /// Somebody who may do everything: the local user on the own data directory.
    pub fn local_admin(principal: PrincipalName) -> Self {
        Self {
            principal,
            kind: PrincipalKind::Local,
            roles: [(EVERYWHERE.to_owned(), vec![Role::Admin])].into(),
            scope: Scope::default(),
            expires_at: None,
            rule: None,
        }
    }

    /// The roles that hold in `namespace`, after the token's scope.
    pub fn roles_in(&self, namespace: &Namespace) -> Vec<Role> {
        if !self.scope.namespaces.is_empty() && !self.scope.namespaces.contains(namespace) {
            return Vec::new();
        }
        let mut roles: Vec<Role> = [namespace.as_str(), EVERYWHERE]
            .into_iter()
            .filter_map(|key| self.roles.get(key))
            .flatten()
            .copied()
            .filter(|role| self.scope.roles.is_empty() || self.scope.roles.contains(role))
            .collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }

    pub fn may(&self, permission: Permission, namespace: &Namespace) -> bool {
        self.roles_in(namespace).into_iter().any(|role| role.allows(permission))
    }

    /// The namespaces that may be read; `None`: all there are.
    pub fn readable(&self) -> Option<BTreeSet<Namespace>> {
        if self.may_everywhere(Permission::Read) {
            return None;
        }
        let named = self.roles.keys().filter_map(|name| name.parse().ok());
        let all: BTreeSet<Namespace> = named.chain(self.scope.namespaces.iter().cloned()).collect();
        Some(all.into_iter().filter(|namespace| self.may(Permission::Read, namespace)).collect())
    }

    /// Whether the actor may act on the registry as a whole. A token narrowed to namespaces never may.
    pub fn may_everywhere(&self, permission: Permission) -> bool {
        let everywhere = self.roles.get(EVERYWHERE).map_or(&[][..], Vec::as_slice);
        self.scope.namespaces.is_empty()
            && everywhere
                .iter()
                .filter(|role| self.scope.roles.is_empty() || self.scope.roles.contains(role))
                .any(|role| role.allows(permission))
    }

    /// Refuses unless allowed. One answer for "no such namespace" and "not yours", so that a stranger
    /// learns nothing.
    pub fn require(&self, permission: Permission, namespace: &Namespace) -> Result<()> {
        if self.may(permission, namespace) {
            return Ok(());
        }
        let needed = match permission {
            Permission::Read => "a role in it",
            Permission::Write => "the role contributor or admin",
            Permission::Attest => "the role contributor, approver, releaser or admin",
            Permission::Release => "the role releaser or admin",
            Permission::Report => "the role deployer, releaser or admin",
            Permission::Audit => "the role auditor or admin",
            Permission::Administer => "the role admin",
        };
        Err(Error::forbidden(
            "forbidden",
            format!(
                "{} may not do this in namespace {namespace}, or there is no such namespace",
                self.principal
            ),
        )
        .hint(format!(
            "this needs {needed}; an admin can grant it: gradus member add {namespace} {} ROLE",
            self.principal
        )))
    }

    pub fn require_everywhere(&self, permission: Permission) -> Result<()> {
        if self.may_everywhere(permission) {
            return Ok(());
        }
        let needed = if permission == Permission::Audit { "auditor or admin" } else { "admin" };
        Err(Error::forbidden(
            "forbidden",
            format!("{} may not do this for the whole registry", self.principal),
        )
        .hint(format!(
            "this needs the role {needed} for all namespaces ('*') and a token not narrowed to some"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(roles: &[(&str, Role)], scope: Scope) -> Actor {
        let mut by_namespace: BTreeMap<String, Vec<Role>> = BTreeMap::new();
        for (namespace, role) in roles {
            by_namespace.entry((*namespace).to_owned()).or_default().push(*role);
        }
        Actor {
            principal: "ada".parse().unwrap(),
            kind: PrincipalKind::Person,
            roles: by_namespace,
            scope,
            expires_at: None,
            rule: None,
        }
    }

    #[test]
    fn nothing_by_default_and_scopes_only_narrow() {
        let acme: Namespace = "acme".parse().unwrap();
        let other: Namespace = "other".parse().unwrap();
        let nobody = actor(&[], Scope::default());
        assert!(!nobody.may(Permission::Read, &acme));

        let pusher = actor(&[("acme", Role::Contributor)], Scope::default());
        assert!(pusher.may(Permission::Write, &acme) && !pusher.may(Permission::Audit, &acme));
        assert!(!pusher.may(Permission::Read, &other) && !pusher.may_everywhere(Permission::Read));

        let admin = actor(&[("*", Role::Admin)], Scope { namespaces: vec![acme.clone()], roles: vec![] });
        assert!(admin.may(Permission::Administer, &acme));
        assert!(!admin.may(Permission::Read, &other) && !admin.may_everywhere(Permission::Read));

        let narrowed =
            actor(&[("acme", Role::Contributor)], Scope { namespaces: vec![], roles: vec![Role::Admin] });
        assert!(!narrowed.may(Permission::Read, &acme), "a scope never adds a role");
    }
}
