//! Principals (people, services, the local user) and their roles.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        access::{Actor, Person, PrincipalKind, Role},
        name::{Namespace, PrincipalName},
    },
};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};

pub struct PrincipalRow {
    pub name: PrincipalName,
    pub kind: PrincipalKind,
    pub disabled: bool,
    pub created_at: DateTime<Utc>,
}

type Row = (String, String, bool, DateTime<Utc>);

fn principal((name, kind, disabled, created_at): Row) -> Result<PrincipalRow> {
    Ok(PrincipalRow {
        name: read("principals", &name)?,
        kind: read("principals", &kind)?,
        disabled,
        created_at,
    })
}

pub async fn find(tx: &mut Tx, name: &PrincipalName) -> Result<Option<PrincipalRow>> {
    let sql = "SELECT name, kind, disabled, created_at FROM principals WHERE name = $1";
    let row: Option<Row> = optional!(tx, sql, name.as_str());
    row.map(principal).transpose()
}

/// Answers false if the name is taken.
pub async fn insert(tx: &mut Tx, row: &PrincipalRow) -> Result<bool> {
    let sql = "INSERT INTO principals (name, kind, disabled, created_at) VALUES ($1, $2, $3, $4)
               ON CONFLICT (name) DO NOTHING";
    Ok(execute!(tx, sql, row.name.as_str(), row.kind.name(), row.disabled, row.created_at) == 1)
}

/// Answers false if there is nobody of that name, or they are disabled already.
pub async fn disable(tx: &mut Tx, name: &PrincipalName) -> Result<bool> {
    let sql = "UPDATE principals SET disabled = TRUE WHERE name = $1 AND NOT disabled";
    Ok(execute!(tx, sql, name.as_str()) == 1)
}

pub async fn list(tx: &mut Tx, after: &str, limit: i64) -> Result<Vec<PrincipalRow>> {
    let sql =
        "SELECT name, kind, disabled, created_at FROM principals WHERE name > $1 ORDER BY name LIMIT $2";
    let rows: Vec<Row> = all!(tx, sql, after, limit);
    rows.into_iter().map(principal).collect()
}

/// How many people and services there are; users of local mode have no tokens and do not count.
pub async fn count(tx: &mut Tx) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM principals WHERE kind <> $1";
    let row: Option<(i64,)> = optional!(tx, sql, PrincipalKind::Local.name());
    Ok(row.map_or(0, |(count,)| count))
}

/// All roles of a principal, by namespace.
pub async fn roles(tx: &mut Tx, name: &PrincipalName) -> Result<BTreeMap<String, Vec<Role>>> {
    let sql = "SELECT namespace, role FROM members WHERE principal = $1";
    let rows: Vec<(String, String)> = all!(tx, sql, name.as_str());
    let mut roles: BTreeMap<String, Vec<Role>> = BTreeMap::new();
    for (namespace, role) in rows {
        roles.entry(namespace).or_default().push(read("members", &role)?);
    }
    Ok(roles)
}

/// Roles as they are now, of those asked for that there are. The user of local mode is an admin.
pub async fn standing(
    tx: &mut Tx,
    namespace: &Namespace,
    names: &BTreeSet<PrincipalName>,
) -> Result<BTreeMap<PrincipalName, Person>> {
    let sql = "SELECT p.kind, p.disabled, m.role FROM principals p LEFT JOIN members m
               ON m.principal = p.name AND m.namespace IN ($2, '*') WHERE p.name = $1";
    let mut people = BTreeMap::new();
    for name in names {
        let rows: Vec<(String, bool, Option<String>)> = all!(tx, sql, name.as_str(), namespace.as_str());
        let Some((kind, disabled, _)) = rows.first() else { continue };
        let (kind, disabled) = (read("principals", kind)?, *disabled);
        let mut person = Person { kind, roles: BTreeSet::new() };
        if !disabled {
            for role in rows.iter().filter_map(|(_, _, role)| role.as_deref()) {
                person.roles.insert(read("members", role)?);
            }
            if kind == PrincipalKind::Local {
                person.roles.insert(Role::Admin);
            }
        }
        people.insert(name.clone(), person);
    }
    Ok(people)
}

/// The roles by which somebody may act in a namespace at this moment: those they have, as far as their token lets them
/// through.
pub async fn now_in(tx: &mut Tx, actor: &Actor, namespace: &Namespace) -> Result<BTreeSet<Role>> {
    let mut people = standing(tx, namespace, &[actor.principal.clone()].into()).await?;
    let through = actor.roles_in(namespace);
    Ok(match people.remove(&actor.principal) {
        Some(person) => through.into_iter().filter(|role| person.roles.contains(role)).collect(),
        // Nobody the database knows: the scheduler.
        None => through.into_iter().collect(),
    })
}

/// Answers false if the role was there already.
pub async fn add_member(tx: &mut Tx, namespace: &str, principal: &PrincipalName, role: Role) -> Result<bool> {
    let sql = "INSERT INTO members (namespace, principal, role) VALUES ($1, $2, $3)
               ON CONFLICT (namespace, principal, role) DO NOTHING";
    Ok(execute!(tx, sql, namespace, principal.as_str(), role.name()) == 1)
}

/// Answers false if there was no such role.
pub async fn remove_member(
    tx: &mut Tx,
    namespace: &str,
    principal: &PrincipalName,
    role: Role,
) -> Result<bool> {
    let sql = "DELETE FROM members WHERE namespace = $1 AND principal = $2 AND role = $3";
    Ok(execute!(tx, sql, namespace, principal.as_str(), role.name()) == 1)
}

/// Members of a namespace after the key (principal, role), in order.
pub async fn list_members(
    tx: &mut Tx,
    namespace: &str,
    after: (&str, &str),
    limit: i64,
) -> Result<Vec<(PrincipalName, Role)>> {
    let sql = "SELECT principal, role FROM members
               WHERE namespace = $1 AND (principal > $2 OR (principal = $2 AND role > $3))
               ORDER BY principal, role LIMIT $4";
    let rows: Vec<(String, String)> = all!(tx, sql, namespace, after.0, after.1, limit);
    rows.into_iter().map(|(name, role)| Ok((read("members", &name)?, read("members", &role)?))).collect()
}

/// How many enabled principals hold a role in a namespace key.
pub async fn count_holders(tx: &mut Tx, namespace: &str, role: Role) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM members m JOIN principals p ON p.name = m.principal
               WHERE m.namespace = $1 AND m.role = $2 AND NOT p.disabled";
    let row: Option<(i64,)> = optional!(tx, sql, namespace, role.name());
    Ok(row.map_or(0, |(count,)| count))
}
