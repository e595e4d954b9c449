//! Going on with a log that is not the one somebody kept a checkpoint of, or that was damaged: an admin accepts it, and
//! a new epoch begins with an entry that says so.

use super::{
    Context,
    audit::signer,
    blame::fraction,
    named::Named,
    promote::check_reason,
    told::{Baseline, Told},
    verify::{Damage, Examined, examine, go_through, lost},
    walk::{Accepted, Walk},
};
use crate::{
    db::{Tx, audit, documents, log},
    error::{Error, Result},
    model::{
        access::Actor,
        event::{Change, Event, LogDamage, LogState},
        note::{Checkpoint, Signer},
    },
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use std::sync::Arc;

/// The epoch that was begun.
#[derive(Debug)]
pub struct Recovered {
    pub epoch: u64,
    /// Of the entry that begins it.
    pub position: u64,
    /// Events that were known of and are not there; `None`: the log went another way, and nobody can tell how many.
    pub gap: Option<u64>,
    pub damage: Option<LogDamage>,
}

/// Begins a new epoch of the log. Nothing else is committed meanwhile.
pub async fn recover(
    cx: &Context,
    actor: &Actor,
    checkpoint: &str,
    reason: &str,
    accept_damage: bool,
) -> Result<Recovered> {
    check_reason(reason)?;
    let signer = signer(cx)?;
    let known = signer.verifier(1).open(checkpoint)?;
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    let now = cx.clock.now();
    let found = examine(&mut tx, &mut [], &signer, Some(known.clone())).await?;
    check(&found, &known, accept_damage)?;
    let before = found.recoveries.last().map_or(1, |recovery| recovery.epoch);
    let epoch = known.epoch().max(before).max(found.head.epoch) + 1;
    let lost = |position: u64| Event {
        position: i64::try_from(position).unwrap_or(i64::MAX),
        at: now,
        actor: actor.principal.clone(),
        change: Change::EntryLost { epoch },
    };
    let (tree, latest, damage) = match &found.damage {
        None => (found.tree, found.latest, None),
        Some((position, what)) => {
            let from = reach(*position, &found.forgiven.ranges);
            let (walk, damage) = repair(&mut tx, &signer, from, what, &found, lost).await?;
            (walk.tree(), walk.latest(), Some(damage))
        }
    };
    // By what the entries say: what the head says of the time may be wrong too.
    let at = latest.map_or(now, |latest| latest.max(now));
    audit::put_head(&mut tx, tree.size(), tree.to_bytes(), epoch, at).await?;
    let state = |epoch, size, root| LogState { epoch, size, root: BASE64.encode(root) };
    // A log that is longer without being the one that was known left it somewhere before.
    let gap = known.size.checked_sub(tree.size()).filter(|gap| *gap > 0);
    let change = Change::LogRecovered {
        epoch,
        known: state(known.epoch(), known.size, known.root),
        found: state(before, tree.size(), tree.root()),
        gap,
        damage: damage.clone(),
        reason: reason.to_owned(),
    };
    log::append(&mut tx, at, &actor.principal, vec![change]).await?;
    tx.commit().await?;
    Ok(Recovered { epoch, position: tree.size(), gap, damage })
}

fn check(found: &Examined, known: &Checkpoint, accept_damage: bool) -> Result<()> {
    if let Some((position, what)) = &found.damage {
        if accept_damage {
            return Ok(());
        }
        return Err(Error::conflict(
            "log_damaged",
            format!("the log itself is damaged, from entry {position} on: {what}"),
        )
        .hint("restore a backup whose log verifies; if there is none, go on with: gradus audit recover --accept-damage"));
    }
    let nothing = |why: &str| {
        Err(Error::conflict("nothing_to_recover", format!("there is nothing to recover: {why}"))
            .hint("gradus audit verify"))
    };
    match &found.differs {
        None => nothing("the log has been in the state of this checkpoint"),
        Some(_) if found.recoveries.iter().any(|one| one.gives_up(known)) => {
            nothing("a later epoch has given that state up")
        }
        Some(_) => Ok(()),
    }
}

/// Where the accepted range begins: before any accepted one that it meets.
fn reach(position: u64, accepted: &[Accepted]) -> u64 {
    let met = accepted.iter().filter(|one| one.to > position).map(|one| one.from);
    met.chain([position]).min().unwrap_or(position)
}

/// How far beyond the end that the head names entries are taken for the log's.
const BEYOND_MAX: u64 = 10_000;

/// Makes a tree of what there is: an entry in each place, tiles and edge over them. Says what was accepted by that.
async fn repair(
    tx: &mut Tx,
    signer: &Arc<Signer>,
    from: u64,
    what: &str,
    found: &Examined,
    filler: impl Fn(u64) -> Event,
) -> Result<(Walk, LogDamage)> {
    let refuse = |why: String| {
        Error::conflict("log_unreadable", why).hint(
            "mend the table events from a backup or an export; the log could not be read with it as it is",
        )
    };
    let (least, most) = audit::ends(tx).await?.unwrap_or((0, -1));
    if least < 0 {
        return Err(refuse(format!("an entry has a position before the first: {least}")));
    }
    let size = found.head.size.max(u64::try_from(most).map_or(0, |most| most.saturating_add(1)));
    if size - found.head.size > BEYOND_MAX {
        return Err(refuse(format!("an entry is far beyond the end of {} entries: {most}", found.head.size)));
    }
    if let Some((_, what)) = fraction(tx).await? {
        return Err(refuse(what));
    }
    let missing = fill(tx, size, filler).await?;
    audit::drop_tiles(tx).await?;
    let range = Accepted { from, to: size, kept: None };
    let walk = go_through(tx, &mut [], Walk::rebuilding(signer.clone(), range), size, None).await?;
    if let Some(position) = walk.unreadable {
        return Err(refuse(format!("the entry is no event: {position}")));
    }
    if walk.is_cut {
        return Err(refuse(format!("the entry is not there: {}", walk.size())));
    }
    // Once more, now that there is an entry in each place: what they tell otherwise than the tables and which documents are
    // lost, with all that was accepted before. Nobody writes as long as that takes.
    let (mut named, mut told) = (Named::default(), Told::default());
    let range = Accepted { from, to: size, kept: None };
    let again = Walk::new(signer.clone(), None, vec![range], std::iter::empty());
    go_through(tx, &mut [], again, size, Some((&mut named, &mut told))).await?;
    let damage = Damage {
        from,
        found: what.to_owned(),
        kept: walk.kept_hash(),
        missing,
        documents: lost(tx, named, size).await?,
        tables: Some(Baseline::of(tx, told.otherwise()).await?),
    };
    let bytes = serde_json::to_vec(&damage).map_err(|source| {
        Error::internal("damage_encoding", "what was damaged could not be written").source(source)
    })?;
    let document = documents::keep(tx, &bytes).await?;
    Ok((walk, LogDamage { position: from, found: what.to_owned(), document }))
}

/// Puts an entry into every place that has none: positions have no gaps. Answers how many.
async fn fill(tx: &mut Tx, size: u64, lost: impl Fn(u64) -> Event) -> Result<u64> {
    let (mut at, mut missing) = (0, 0);
    while at < size {
        let batch = log::entries(tx, at, audit::BATCH.min(size - at)).await?;
        let mut there = batch.iter().map(|(position, ..)| u64::try_from(*position).unwrap_or(0));
        let end = batch.last().map_or(size, |(position, ..)| u64::try_from(*position).unwrap_or(0) + 1);
        let mut next = there.next();
        for position in at..end {
            if next == Some(position) {
                next = there.next();
                continue;
            }
            audit::put_entry(tx, position, &lost(position).to_bytes()?, "entry_lost").await?;
            missing += 1;
        }
        at = end;
    }
    Ok(missing)
}
