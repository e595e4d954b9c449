//! What is said of workloads.

use super::{
    read,
    tx::{Tx, all, execute, optional},
};
use crate::{
    error::Result,
    model::{
        card::{Card, Day},
        name::{PrincipalName, Workload},
    },
};
use chrono::{DateTime, Utc};

#[derive(Clone, Debug)]
pub struct CardRow {
    pub workload: Workload,
    pub card: Card,
    pub set_at: DateTime<Utc>,
    pub set_by: PrincipalName,
    /// Of the event that tells of it.
    pub position: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    workload: String,
    owner: Option<String>,
    purpose: Option<String>,
    limits: Option<String>,
    risk: Option<String>,
    review_on: Option<String>,
    set_at: DateTime<Utc>,
    set_by: String,
    position: i64,
}

fn card(row: Row) -> Result<CardRow> {
    Ok(CardRow {
        workload: read("workload_cards", &row.workload)?,
        card: Card {
            owner: row.owner,
            purpose: row.purpose,
            limits: row.limits,
            risk: row.risk.map(|risk| read("workload_cards", &risk)).transpose()?,
            review_on: row.review_on.map(|day| read("workload_cards", &day)).transpose()?,
        },
        set_at: row.set_at,
        set_by: read("workload_cards", &row.set_by)?,
        position: row.position,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT workload, owner, purpose, limits, risk, review_on, set_at, set_by, position FROM workload_cards ",
            $rest
        )
    };
}

pub async fn find(tx: &mut Tx, workload: &Workload) -> Result<Option<CardRow>> {
    let row: Option<Row> = optional!(tx, select!("WHERE workload = $1"), workload.as_str());
    row.map(card).transpose()
}

/// Writes all that is said of a workload.
pub async fn save(tx: &mut Tx, row: &CardRow) -> Result<()> {
    let sql = "INSERT INTO workload_cards (workload, namespace, owner, purpose, limits, risk, review_on, set_at, set_by, position)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
               ON CONFLICT (workload) DO UPDATE SET owner = $3, purpose = $4, limits = $5, risk = $6, review_on = $7,
                   set_at = $8, set_by = $9, position = $10";
    let card = &row.card;
    execute!(
        tx,
        sql,
        row.workload.as_str(),
        row.workload.namespace().as_str(),
        card.owner.as_deref(),
        card.purpose.as_deref(),
        card.limits.as_deref(),
        card.risk.map(|risk| risk.name()),
        card.review_on.map(|day| day.to_string()),
        row.set_at,
        row.set_by.as_str(),
        row.position
    );
    Ok(())
}

/// Cards of the workloads from one name to another, with both.
pub async fn between(tx: &mut Tx, (first, last): (&str, &str)) -> Result<Vec<CardRow>> {
    let rows: Vec<Row> = all!(tx, select!("WHERE workload >= $1 AND workload <= $2"), first, last);
    rows.into_iter().map(card).collect()
}

/// Cards whose review was due before a day, where nobody was told of it.
pub async fn overdue(tx: &mut Tx, today: Day, limit: i64) -> Result<Vec<CardRow>> {
    let sql = select!(
        "WHERE review_on < $1 AND (told_overdue IS NULL OR told_overdue <> review_on)
         AND NOT EXISTS (SELECT 1 FROM repositories r WHERE r.name = workload AND r.deleted_at IS NOT NULL) ORDER BY review_on, workload LIMIT $2"
    );
    let rows: Vec<Row> = all!(tx, sql, today.to_string(), limit);
    rows.into_iter().map(card).collect()
}

/// Notes that a day that was set for a review is told of. Answers false if it was before, or is not the one any more.
pub async fn tell(tx: &mut Tx, workload: &Workload, day: Day) -> Result<bool> {
    let sql = "UPDATE workload_cards SET told_overdue = review_on WHERE workload = $1 AND review_on = $2
               AND (told_overdue IS NULL OR told_overdue <> review_on)";
    Ok(execute!(tx, sql, workload.as_str(), day.to_string()) == 1)
}
