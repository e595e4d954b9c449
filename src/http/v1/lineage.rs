//! Lineage, finding versions by it, and quarantine.

use super::versions::reference;
use crate::{
    error::{Error, Result},
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, page},
    },
    model::{
        card::OWNER_MAX,
        digest::shorten,
        lineage::{Relation, RootKind, wanted},
        name::Workload,
        reference::Reference,
    },
    ops::{
        lineage::{self, DEPTH_MAX, Edge, Node, Tree, Version, find as ops_find},
        quarantine as ops_quarantine,
    },
    wire,
};
use axum::{
    Json,
    extract::{Path, State},
};
use std::collections::BTreeSet;

/// What versions are found by.
const ASKED: [(&str, Relation); 5] = [
    ("base", Relation::Base),
    ("dataset", Relation::Dataset),
    ("licence", Relation::Licence),
    ("flag", Relation::Flag),
    ("file", Relation::File),
];

fn found_view(found: Version) -> wire::FoundView {
    let Version { brief, stages, targets, .. } = found;
    wire::FoundView {
        workload: brief.key.0,
        version: brief.version,
        digest: brief.digest,
        tier: brief.tier,
        created_at: brief.created_at,
        yanked: brief.is_yanked && !brief.is_purged,
        purged: brief.is_purged,
        stages,
        targets,
    }
}

pub async fn find(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::FoundView>> {
    let (cursor, limit) = query.page()?;
    let given: Vec<(Relation, Option<String>)> =
        ASKED.iter().map(|(name, relation)| (*relation, query.take(name))).collect();
    let owner = query.take("owner");
    query.done()?;
    if owner.as_ref().is_some_and(|owner| owner.is_empty() || owner.len() > OWNER_MAX * 4) {
        return Err(Error::invalid("owner_invalid", "not an owner of workloads").into());
    }
    let mut asked = Vec::new();
    for (relation, value) in given {
        if let Some(value) = value {
            asked.push((relation, wanted(relation, &value)?));
        }
    }
    let found = ops_find::find(&app, &actor, asked, owner.as_deref(), &cursor, limit).await?;
    Ok(Json(wire::Page { items: found.versions.into_iter().map(found_view).collect(), next: found.next }))
}

fn tree_view(tree: Tree) -> wire::LineageTree {
    let workloads: BTreeSet<Workload> = tree
        .nodes
        .iter()
        .filter_map(|node| match node {
            Node::Version(version) => Some(version.brief.key.0.clone()),
            Node::Other { .. } => None,
        })
        .collect();
    let node = |node: Node| match node {
        Node::Version(mut version) => wire::LineageNode {
            name: format!("{}:{}", version.brief.key.0, version.brief.version),
            relation: None,
            digest: Some(version.brief.digest.to_string()),
            running_on: std::mem::take(&mut version.running_on),
            readers: std::mem::take(&mut version.readers),
            version: Some(found_view(version)),
        },
        Node::Other { relation, name, digest } => wire::LineageNode {
            name,
            relation: Some(relation),
            digest,
            version: None,
            running_on: Vec::new(),
            readers: Vec::new(),
        },
    };
    let edge = |Edge { from, to, relation }| wire::LineageEdge { from, to, relation };
    wire::LineageTree {
        versions: tree.nodes.iter().filter(|node| matches!(node, Node::Version(_))).count(),
        workloads: workloads.len(),
        nodes: tree.nodes.into_iter().map(node).collect(),
        edges: tree.edges.into_iter().map(edge).collect(),
        cut: tree.cut,
    }
}

fn depth(query: &mut Query) -> Result<usize> {
    let Some(text) = query.take("depth") else { return Ok(DEPTH_MAX) };
    text.parse().ok().filter(|depth| (1..=DEPTH_MAX).contains(depth)).ok_or_else(|| {
        Error::invalid("depth_invalid", format!("depth is 1 to {DEPTH_MAX}, not: {}", shorten(&text)))
    })
}

pub async fn of_version(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, tag)): Path<(String, String, String)>,
    mut query: Query,
) -> Answer<wire::LineageView> {
    let depth = depth(&mut query)?;
    let (up, down) = match query.take("direction").as_deref() {
        None => (true, true),
        Some("up") => (true, false),
        Some("down") => (false, true),
        Some(other) => {
            let why = format!("direction is up or down, not: {}", shorten(other));
            return Err(Error::invalid("query_invalid", why).into());
        }
    };
    query.done()?;
    let reference = reference(&namespace, &name, &tag)?;
    let trees = lineage::of_version(&app, &actor, &reference, (up, down), depth).await?;
    Ok(Json(wire::LineageView { up: trees.0.map(tree_view), down: trees.1.map(tree_view) }))
}

pub async fn of_other(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::LineageView> {
    let depth = depth(&mut query)?;
    let given = [
        (RootKind::Base, query.take("base")),
        (RootKind::Dataset, query.take("dataset")),
        (RootKind::File, query.take("file")),
    ];
    query.done()?;
    let mut given = given.into_iter().filter_map(|(kind, value)| Some((kind, value?)));
    let (Some((kind, value)), None) = (given.next(), given.next()) else {
        return Err(Error::invalid("lineage_of", "one thing is needed that versions are made of")
            .hint("gradus lineage REF, or one of --base MODEL, --dataset NAME, --file DIGEST")
            .into());
    };
    let tree = lineage::of_other(&app, &actor, kind, &value, depth).await?;
    Ok(Json(wire::LineageView { up: None, down: Some(tree_view(tree)) }))
}

fn quarantine_view(row: ops_quarantine::QuarantineRow) -> wire::QuarantineView {
    wire::QuarantineView {
        id: row.id,
        scope: row.scope,
        root: row.root.kind,
        value: row.root.value,
        reference: row.named.map(|(workload, version)| format!("{workload}:{version}")),
        reason: row.reason,
        at: row.set_at,
        by: row.set_by,
        hits: None,
        alike: None,
        more: false,
        cleared_at: row.cleared_at,
        cleared_by: row.cleared_by,
        cleared_because: row.cleared_because,
    }
}

fn meant(body: &wire::QuarantineOf) -> Result<ops_quarantine::Of> {
    let named =
        [(RootKind::Base, &body.base), (RootKind::Dataset, &body.dataset), (RootKind::File, &body.file)];
    let mut named = named.into_iter().filter_map(|(kind, value)| Some((kind, value.clone()?)));
    match (&body.reference, named.next(), named.next()) {
        (Some(reference), None, None) => Ok(ops_quarantine::Of::Version(reference.parse::<Reference>()?)),
        (None, Some((kind, value)), None) => Ok(ops_quarantine::Of::Named(kind, value)),
        _ => Err(Error::invalid("quarantine_of", "say what is meant: one thing")
            .hint("a version's reference, or one of --base MODEL, --dataset NAME, --file DIGEST")),
    }
}

pub async fn quarantine(
    State(app): State<App>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<wire::QuarantineOf>,
) -> Answer<wire::QuarantineView> {
    let set = ops_quarantine::set(&app, &actor, &meant(&body)?, &body.reason).await?;
    let counts = wire::QuarantineView {
        hits: Some(set.hits),
        alike: Some(set.alike),
        more: set.more,
        ..quarantine_view(set.row)
    };
    Ok(Json(counts))
}

pub async fn clear(
    State(app): State<App>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<wire::QuarantineOf>,
) -> Answer<wire::Page<wire::QuarantineView>> {
    let cleared = ops_quarantine::clear(&app, &actor, &meant(&body)?, &body.reason).await?;
    Ok(Json(wire::Page { items: cleared.into_iter().map(quarantine_view).collect(), next: None }))
}

pub async fn quarantines(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::QuarantineView>> {
    let (cursor, limit) = query.page()?;
    let cleared = query.flag("cleared")?.unwrap_or(false);
    query.done()?;
    let rows = ops_quarantine::list(&app, &actor, cleared, &cursor, limit + 1).await?;
    Ok(Json(page(rows, limit, |row| row.id.clone(), quarantine_view)))
}
