//! What is said of workloads, and the inventory.

use super::{stages::promotion_view, versions::workload};
use crate::{
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, page},
    },
    model::name::{Namespace, Workload},
    ops::{
        cards,
        inventory::{self as ops_inventory, InUse, Item},
    },
    wire,
};
use axum::{
    Json,
    extract::{Path, State},
};
use chrono::{DateTime, Utc};

type OfWorkload = Path<(String, String)>;

pub(super) fn card_view(
    workload: Workload,
    row: Option<cards::Described>,
    now: DateTime<Utc>,
) -> wire::CardView {
    let overdue_days = row.as_ref().and_then(|row| row.card.overdue_days(now));
    let (card, set_at, set_by) = match row {
        Some(row) => (row.card, Some(row.set_at), Some(row.set_by)),
        None => Default::default(),
    };
    wire::CardView {
        workload,
        owner: card.owner,
        purpose: card.purpose,
        limits: card.limits,
        risk: card.risk,
        review_on: card.review_on,
        overdue_days,
        set_at,
        set_by,
    }
}

pub async fn show(State(app): State<App>, Path((namespace, name)): OfWorkload) -> Answer<wire::CardView> {
    let workload = workload(&namespace, &name)?;
    let row = cards::show(&app, &workload).await?;
    Ok(Json(card_view(workload, row, app.clock.now())))
}

pub async fn set(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name)): OfWorkload,
    JsonBody(body): JsonBody<wire::SetCard>,
) -> Answer<wire::CardSetView> {
    let workload = workload(&namespace, &name)?;
    let wire::SetCard { owner, purpose, limits, risk, review_on, clear } = body;
    let changes = cards::Changes { owner, purpose, limits, risk, review_on, clear };
    let set = cards::set(&app, &actor, &workload, changes).await?;
    Ok(Json(wire::CardSetView {
        card: card_view(workload, Some(set.row), app.clock.now()),
        promoted: set.promoted.into_iter().map(promotion_view).collect(),
    }))
}

fn in_use_view(current: InUse) -> wire::InUseView {
    let InUse { held, base, licence, approvers, quarantined } = current;
    wire::InUseView {
        version: held.version,
        digest: held.digest,
        tier: held.tier,
        kind: held.kind,
        base,
        licence,
        since: held.at,
        by: held.by,
        how: held.how,
        reason: held.reason,
        ratified_by: held.ratified_by,
        approvers,
        yanked: held.is_yanked,
        quarantined,
    }
}

fn inventory_view(item: Item, now: DateTime<Utc>) -> wire::InventoryView {
    let frozen = |freeze: crate::gates::Freeze| wire::FrozenView {
        from: freeze.from,
        until: freeze.until,
        reason: freeze.reason,
    };
    wire::InventoryView {
        card: card_view(item.workload, item.card, now),
        versions: item.versions,
        newest: item.newest,
        stage: item.stage,
        current: item.current.map(in_use_view),
        stages: item.others.into_iter().map(|(stage, version)| wire::HeldView { stage, version }).collect(),
        pending: item.pending,
        unratified: item.unratified,
        targets: item.targets.all,
        targets_running: item.targets.running,
        targets_unhealthy: item.targets.unhealthy,
        targets_drifted: item.targets.drifted,
        monitors: item.monitors,
        drifting: item.drifting,
        freezes: item.freezes.into_iter().map(frozen).collect(),
    }
}

pub async fn inventory(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::InventoryView>> {
    let (cursor, limit) = query.page()?;
    let namespace: Option<Namespace> = query.parse("namespace")?;
    query.done()?;
    let items = ops_inventory::inventory(&app, &actor, namespace.as_ref(), &cursor, limit + 1).await?;
    let now = app.clock.now();
    Ok(Json(page(items, limit, |item| item.workload.to_string(), |item| inventory_view(item, now))))
}
