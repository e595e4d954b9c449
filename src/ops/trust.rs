//! Rules by which a namespace trusts identities of other systems: added, listed, taken away.

use super::{Context, namespaces, users};
use crate::{
    config::Issuer,
    db::{Tx, log, principals, promotions, tokens, trust},
    error::{Error, Result},
    model::{
        access::{Actor, PrincipalKind, Role},
        digest::shorten,
        event::Change,
        name::{Namespace, PrincipalName},
        trust::{Conditions, check_roles, service_name},
    },
};
use std::collections::BTreeSet;

pub use trust::TrustRow;

/// Most rules of a namespace: each login goes through all of them.
pub const RULES_MAX: i64 = 100;

pub struct NewTrust {
    pub issuer: String,
    pub claims: Conditions,
    pub roles: Vec<Role>,
    /// What the service is called behind the namespace's name. Without it as the issuer.
    pub service: Option<String>,
}

/// A configured issuer by its name.
fn issuer<'a>(cx: &'a Context, name: &str) -> Result<&'a Issuer> {
    cx.config.issuers.iter().find(|issuer| issuer.name == name).ok_or_else(|| {
        let names: Vec<&str> = cx.config.issuers.iter().map(|issuer| issuer.name.as_str()).collect();
        let hint = if names.is_empty() {
            "none is configured; whoever runs the registry adds it under [[issuers]]".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        };
        Error::invalid("issuer_unknown", format!("no such issuer: {}", shorten(name))).hint(hint)
    })
}

/// Adds a rule, and the service it acts as with its roles. The same again answers the one there is, and false.
pub async fn add(
    cx: &Context,
    actor: &Actor,
    namespace: &Namespace,
    new: NewTrust,
) -> Result<(TrustRow, bool)> {
    let issuer = issuer(cx, &new.issuer)?;
    new.claims.require_one_of(&issuer.identifying)?;
    let roles = check_roles(new.roles)?;
    let service = service_name(namespace, new.service.as_deref().unwrap_or(&issuer.name))?;
    namespaces::show(cx, namespace).await?;
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    let there = trust::list(&mut tx, namespace, "", RULES_MAX).await?;
    let same = |row: &&TrustRow| {
        row.issuer_url == issuer.url
            && row.claims == new.claims
            && row.roles == roles
            && row.principal == service
    };
    if let Some(row) = there.iter().find(same) {
        return Ok((row.clone(), false));
    }
    if there.len() as i64 >= RULES_MAX {
        return Err(Error::conflict(
            "trust_full",
            format!("{namespace} has {RULES_MAX} rules, and more may not be"),
        )
        .hint(format!("take one away: gradus trust list {namespace}")));
    }
    let mut changes = Vec::new();
    own_service(cx, &mut tx, namespace, &service, &mut changes).await?;
    for role in &roles {
        if principals::add_member(&mut tx, namespace.as_str(), &service, *role).await? {
            changes.push(Change::MemberAdded {
                namespace: namespace.to_string(),
                principal: service.clone(),
                role: *role,
            });
        }
    }
    let row = TrustRow {
        id: cx.clock.id().simple().to_string(),
        namespace: namespace.clone(),
        issuer: issuer.name.clone(),
        issuer_url: issuer.url.clone(),
        claims: new.claims,
        roles,
        principal: service,
        created_at: cx.clock.now(),
        created_by: actor.principal.clone(),
    };
    trust::insert(&mut tx, &row).await?;
    promotions::stir(&mut tx, namespace.as_str(), cx.clock.now()).await?;
    changes.push(Change::TrustAdded {
        namespace: namespace.clone(),
        rule: row.id.clone(),
        issuer: row.issuer.clone(),
        issuer_url: row.issuer_url.clone(),
        claims: row.claims.clone(),
        roles: row.roles.clone(),
        principal: row.principal.clone(),
    });
    log::append(&mut tx, cx.clock.now(), &actor.principal, changes).await?;
    tx.commit().await?;
    Ok((row, true))
}

/// Makes the service, or makes sure that it is one of this namespace's rules. Another user of that name is not taken over.
async fn own_service(
    cx: &Context,
    tx: &mut Tx,
    namespace: &Namespace,
    service: &PrincipalName,
    changes: &mut Vec<Change>,
) -> Result<()> {
    let kind = PrincipalKind::Service;
    let row =
        principals::PrincipalRow { name: service.clone(), kind, disabled: false, created_at: cx.clock.now() };
    if principals::insert(tx, &row).await? {
        changes.push(Change::UserAdded { user: service.clone(), kind });
        return Ok(());
    }
    let there = principals::find(tx, service).await?.ok_or_else(|| users::unknown(service))?;
    if there.kind != kind || !trust::has_made(tx, namespace, service).await? {
        return Err(Error::conflict("user_exists", format!("the name is taken by somebody else: {service}"))
            .hint("give the service another name: --as NAME"));
    }
    if there.disabled {
        return Err(Error::conflict("user_disabled", format!("the service was disabled: {service}"))
            .hint("give the service another name: --as NAME"));
    }
    Ok(())
}

/// Takes a rule away, at once: its tokens end, and its service loses what roles no other rule gives.
pub async fn remove(cx: &Context, actor: &Actor, namespace: &Namespace, id: &str) -> Result<()> {
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    let row = trust::find(&mut tx, namespace, id).await?.ok_or_else(|| {
        Error::not_found("trust_unknown", format!("{namespace} has no such rule: {}", shorten(id)))
            .hint(format!("list them with: gradus trust list {namespace}"))
    })?;
    trust::remove(&mut tx, id, now).await?;
    tokens::revoke_of_rule(&mut tx, id, now).await?;
    let mut changes = vec![Change::TrustRemoved {
        namespace: namespace.clone(),
        rule: row.id.clone(),
        principal: row.principal.clone(),
    }];
    let left = trust::list(&mut tx, namespace, "", RULES_MAX).await?;
    let kept: BTreeSet<Role> = left
        .into_iter()
        .filter(|other| other.principal == row.principal)
        .flat_map(|other| other.roles)
        .collect();
    for role in row.roles.into_iter().filter(|role| !kept.contains(role)) {
        if principals::remove_member(&mut tx, namespace.as_str(), &row.principal, role).await? {
            changes.push(Change::MemberRemoved {
                namespace: namespace.to_string(),
                principal: row.principal.clone(),
                role,
            });
        }
    }
    promotions::stir(&mut tx, namespace.as_str(), now).await?;
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await
}

pub async fn list(cx: &Context, namespace: &Namespace, after: &str, limit: i64) -> Result<Vec<TrustRow>> {
    namespaces::show(cx, namespace).await?;
    trust::list(&mut cx.db.read().await?, namespace, after, limit).await
}
