//! Describing workloads. Admins do, as with policies: a gate asks for the card, and whoever could set it could let the gate pass,
//! or put off a review that is overdue.

use super::{
    Context, check_text, namespaces::refuse_deleted, promote::Promotion, settle::settle_workload, status,
    unknown_namespace,
};
use crate::{
    db::{
        cards::{self as rows, CardRow},
        log, namespaces, promotions, versions,
    },
    error::{Error, Result},
    model::{
        access::Actor,
        card::{Card, Day, OWNER_MAX, Part, Risk, TEXT_MAX},
        event::Change,
        name::{PrincipalName, Workload},
    },
};
use chrono::{DateTime, TimeDelta, Utc};

pub use rows::CardRow as Described;

/// The farthest that a review may be put off.
const REVIEW_MAX: TimeDelta = TimeDelta::days(3660);
/// Reviews that are told of in one transaction.
const TOLD_AT_ONCE: i64 = 100;

/// What is to be said otherwise; what is not given stays.
#[derive(Debug, Default)]
pub struct Changes {
    pub owner: Option<String>,
    pub purpose: Option<String>,
    pub limits: Option<String>,
    pub risk: Option<Risk>,
    pub review_on: Option<Day>,
    /// What is not to be said any more.
    pub clear: Vec<Part>,
}

impl Changes {
    fn sets(&self, part: Part) -> bool {
        let set = Card {
            owner: self.owner.clone(),
            purpose: self.purpose.clone(),
            limits: self.limits.clone(),
            risk: self.risk,
            review_on: self.review_on,
        };
        set.has(part)
    }

    fn check(&mut self, now: DateTime<Utc>) -> Result<()> {
        if self.clear.is_empty() && !Part::ALL.into_iter().any(|part| self.sets(part)) {
            return Err(Error::invalid(
                "card_unchanged",
                "nothing is given that could be said of the workload",
            )
            .hint("give at least one of --owner, --purpose, --limits, --risk, --review and --clear"));
        }
        if let Some(part) = self.clear.iter().find(|part| self.sets(**part)) {
            return Err(Error::invalid(
                "card_contradiction",
                format!("{part} is to be set and to be cleared"),
            )
            .hint("leave one of the two out"));
        }
        let texts = [
            (Part::Owner, &mut self.owner, OWNER_MAX),
            (Part::Purpose, &mut self.purpose, TEXT_MAX),
            (Part::Limits, &mut self.limits, TEXT_MAX),
        ];
        for (part, text, max) in texts {
            if let Some(text) = text {
                *text = checked(part, text, max)?;
            }
        }
        let today = Day::of(now);
        if let Some(day) = self.review_on {
            let wrong = if day.days_after(today) < 0 {
                Some("it would be overdue already")
            } else if day > Day::of(now + REVIEW_MAX) {
                Some("it is more than ten years away")
            } else {
                None
            };
            if let Some(why) = wrong {
                return Err(Error::invalid(
                    "review_day",
                    format!("no day for the next review, {why}: {day}"),
                )
                .hint(format!("a day from {today} on, for example --review {}", Day::of(now + YEAR))));
            }
        }
        Ok(())
    }

    fn apply(self, card: &mut Card) {
        for part in self.clear {
            card.clear(part);
        }
        let Self { owner, purpose, limits, risk, review_on, .. } = self;
        card.owner = owner.or(card.owner.take());
        card.purpose = purpose.or(card.purpose.take());
        card.limits = limits.or(card.limits.take());
        card.risk = risk.or(card.risk);
        card.review_on = review_on.or(card.review_on);
    }
}

const YEAR: TimeDelta = TimeDelta::days(365);

/// A text without white space around it. An owner is one line.
fn checked(part: Part, text: &str, max: usize) -> Result<String> {
    check_text(part.name(), text, max)?;
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::invalid("text_empty", format!("the {part} says nothing"))
            .hint(format!("to take it away: --clear {part}")));
    }
    if part == Part::Owner && text.contains('\n') {
        return Err(Error::invalid("text_invalid", "the owner has more than one line")
            .hint("the name of a team, or an address"));
    }
    Ok(text.to_owned())
}

/// What a workload's card says, and the promotions that went through by it.
pub struct Set {
    pub row: CardRow,
    pub promoted: Vec<Promotion>,
}

/// Says something of a workload, which need not have a version yet. The same again changes nothing.
pub async fn set(cx: &Context, actor: &Actor, workload: &Workload, mut changes: Changes) -> Result<Set> {
    let now = cx.clock.now();
    changes.check(now)?;
    let mut tx = cx.db.write().await?;
    let namespace = workload.namespace();
    if namespaces::find(&mut tx, &namespace).await?.is_none() {
        return Err(unknown_namespace(&namespace));
    }
    namespaces::lock_repository(&mut tx, workload).await?;
    refuse_deleted(workload, namespaces::deletion(&mut tx, workload).await?)?;
    let (position, _) = log::lock(&mut tx).await?;
    let there = rows::find(&mut tx, workload).await?;
    let mut card = there.as_ref().map(|row| row.card.clone()).unwrap_or_default();
    changes.apply(&mut card);
    if let Some(row) = there.filter(|row| row.card == card) {
        return Ok(Set { row, promoted: Vec::new() });
    }
    let row =
        CardRow { workload: workload.clone(), card, set_at: now, set_by: actor.principal.clone(), position };
    rows::save(&mut tx, &row).await?;
    // What waits for it may pass now.
    promotions::stir(&mut tx, workload.as_str(), now).await?;
    let Card { owner, purpose, limits, risk, review_on } = row.card.clone();
    let change =
        Change::WorkloadDescribed { workload: workload.clone(), owner, purpose, limits, risk, review_on };
    log::append(&mut tx, now, &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok(Set { row, promoted: settle_workload(cx, workload).await })
}

/// What is said of a workload; `None`: nothing yet.
pub async fn show(cx: &Context, workload: &Workload) -> Result<Option<CardRow>> {
    let mut tx = cx.db.read().await?;
    let row = rows::find(&mut tx, workload).await?;
    if row.is_none() && !versions::any(&mut tx, workload).await? {
        return Err(status::unknown_workload(workload));
    }
    Ok(row)
}

/// Tells of reviews that are overdue, once for each day that was set. Any number of replicas may: whoever notes it first has told.
/// Answers how many there were.
pub async fn tell_overdue(cx: &Context) -> Result<usize> {
    let mut told = 0;
    loop {
        let now = cx.clock.now();
        let due = rows::overdue(&mut cx.db.read().await?, Day::of(now), TOLD_AT_ONCE).await?;
        if due.is_empty() {
            return Ok(told);
        }
        let mut tx = cx.db.write().await?;
        log::lock(&mut tx).await?;
        let mut changes = Vec::new();
        for CardRow { workload, card, .. } in due {
            if let Some(review_on) = card.review_on
                && rows::tell(&mut tx, &workload, review_on).await?
            {
                changes.push(Change::ReviewOverdue { workload, review_on, owner: card.owner });
            }
        }
        if changes.is_empty() {
            return Ok(told);
        }
        told += changes.len();
        log::append(&mut tx, now, &PrincipalName::local("scheduler"), changes).await?;
        tx.commit().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let owner = |text: &str| Changes { owner: Some(text.into()), ..Changes::default() };
        let purpose = |text: String| Changes { purpose: Some(text), ..Changes::default() };
        let review = |day: &str| Changes { review_on: Some(day.parse().unwrap()), ..Changes::default() };
        let both = Changes { clear: vec![Part::Owner], ..owner("a") };
        for (mut changes, code) in [
            (Changes::default(), "card_unchanged"),
            (owner(""), "text_empty"),
            (owner(" \n "), "text_empty"),
            (owner("a\nb"), "text_invalid"),
            (owner("a\u{7}"), "text_invalid"),
            (owner("a\0"), "text_invalid"),
            (owner("a\tb"), "text_invalid"),
            (owner(&"a".repeat(OWNER_MAX + 1)), "text_invalid"),
            (purpose("\u{20ac}".repeat(TEXT_MAX + 1)), "text_invalid"),
            (both, "card_contradiction"),
            (review("2026-02-28"), "review_day"),
            (review("2036-12-31"), "review_day"),
        ] {
            assert_eq!(changes.check(now()).unwrap_err().code, code, "{changes:?}");
        }
        for mut changes in [owner("a"), purpose("a\nb".into()), review("2026-03-01"), review("2036-01-01")] {
            changes.check(now()).unwrap();
        }
        let mut spaced = owner("  triage team \n");
        spaced.check(now()).unwrap();
        assert_eq!(spaced.owner.unwrap(), "triage team");
    }

    #[test]
    fn what_is_not_given_stays() {
        let mut card = Card { owner: Some("a".into()), risk: Some(Risk::High), ..Card::default() };
        Changes { limits: Some("b".into()), clear: vec![Part::Risk], ..Changes::default() }.apply(&mut card);
        assert_eq!(card, Card { owner: Some("a".into()), limits: Some("b".into()), ..Card::default() });
    }

    /// Whatever is allowed fits into an event.
    #[test]
    fn the_longest_card_fits_into_an_event() {
        let longest = |count: usize| Some("\u{10ffff}".repeat(count));
        let change = Change::WorkloadDescribed {
            workload: format!("{0}/{0}", "a".repeat(64)).parse().unwrap(),
            owner: longest(OWNER_MAX),
            purpose: longest(TEXT_MAX),
            limits: longest(TEXT_MAX),
            risk: Some(Risk::Critical),
            review_on: Some(Day::of(now())),
        };
        let event =
            crate::model::event::Event { position: i64::MAX, at: now(), actor: "a".parse().unwrap(), change };
        event.to_bytes().unwrap();
    }
}
