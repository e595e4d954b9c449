//! The log as a transparency log: checkpoint and tiles as C2SP's `tlog-tiles` names them, proofs, verification.

use crate::{
    error::{Error, Result},
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query},
        error::Problem,
    },
    model::{event::LogDamage, merkle::TILE, name::Workload},
    ops::{audit, recover as ops_recover, verify as ops_verify},
    wire,
};
use axum::{
    Json,
    extract::{Path, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};

fn text(text: String, cache: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, cache)], text)
        .into_response()
}

pub async fn checkpoint(State(app): State<App>) -> Result<Response, Problem> {
    Ok(text(audit::checkpoint(&app).await?, "no-cache"))
}

pub async fn key(State(app): State<App>) -> Result<Response, Problem> {
    Ok(text(format!("{}\n", audit::key(&app).await?), "private, max-age=3600"))
}

/// `LEVEL/NUMBER[.p/WIDTH]` or `entries/NUMBER[.p/WIDTH]`, the number in groups of three digits: `x001/x234/067`.
struct Tile {
    /// `None`: the entries themselves.
    level: Option<u32>,
    number: u64,
    width: u64,
}

fn parse(path: &str) -> Option<Tile> {
    let (level, rest) = path.split_once('/')?;
    let level = match level {
        "entries" => None,
        digits => Some(digits.parse().ok().filter(|level| *level < 64)?),
    };
    let (number, width) = match rest.split_once(".p/") {
        Some((number, width)) => (number, width.parse().ok().filter(|width| (1..TILE).contains(width))?),
        None => (rest, TILE),
    };
    let groups: Vec<&str> = number.split('/').collect();
    let (last, before) = groups.split_last()?;
    let mut digits = String::new();
    for group in before.iter().map(|group| group.strip_prefix('x')).chain([Some(*last)]) {
        let group = group.filter(|group| group.len() == 3 && group.bytes().all(|b| b.is_ascii_digit()))?;
        digits.push_str(group);
    }
    Some(Tile { level, number: digits.parse().ok()?, width })
}

pub async fn tile(State(app): State<App>, Path(path): Path<String>) -> Result<Response, Problem> {
    let tile = parse(&path).ok_or_else(|| {
        Error::not_found("tile_unknown", "not the path of a tile")
            .hint("as in C2SP tlog-tiles: LEVEL/x001/234 or entries/x001/234, .p/WIDTH for a part")
    })?;
    let bytes = match tile.level {
        Some(level) => audit::tile(&app, level, tile.number, tile.width).await?,
        None => audit::entries(&app, tile.number, tile.width).await?,
    };
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CACHE_CONTROL, "private, max-age=31536000, immutable"),
    ];
    Ok((headers, bytes).into_response())
}

pub async fn proof(State(app): State<App>, Path(position): Path<String>) -> Answer<wire::LogProof> {
    proof_of(&app, &position, None).await
}

/// The proof of what was done to a workload, for whoever may read it.
pub async fn workload_proof(
    State(app): State<App>,
    Path((namespace, name, position)): Path<(String, String, String)>,
) -> Answer<wire::LogProof> {
    proof_of(&app, &position, Some(&super::versions::workload(&namespace, &name)?)).await
}

async fn proof_of(app: &App, position: &str, of: Option<&Workload>) -> Answer<wire::LogProof> {
    let position = position
        .parse()
        .map_err(|_| Error::invalid("position_invalid", "a position in the log is a number, from 0"))?;
    let proof = audit::inclusion(app, position, of).await?;
    let entry = String::from_utf8_lossy(&proof.entry).into_owned();
    Ok(Json(wire::LogProof { position, entry, proof: proof.text }))
}

pub async fn consistency(State(app): State<App>, mut query: Query) -> Answer<wire::LogConsistency> {
    let (from, to) = (query.take("from"), query.take("to"));
    query.done()?;
    let size = |text: Option<String>| {
        let size = text.as_deref().map(str::parse::<u64>);
        size.and_then(Result::ok).ok_or_else(|| {
            Error::invalid("size_invalid", "from and to are sizes of the log").hint("?from=OLD&to=NEW")
        })
    };
    let (from, to) = (size(from)?, size(to)?);
    let hashes = audit::consistency(&app, from, to).await?;
    Ok(Json(wire::LogConsistency { hashes: hashes.iter().map(|hash| BASE64.encode(hash)).collect() }))
}

pub async fn verify(
    State(app): State<App>,
    JsonBody(body): JsonBody<wire::VerifyLog>,
) -> Answer<wire::LogReport> {
    let report = ops_verify::verify(&app, body.checkpoint.as_deref()).await?;
    let first_bad = report.first_bad.map(|(position, reason)| wire::BadEntry { position, reason });
    let epochs = report.epochs.into_iter().map(epoch_view).collect();
    Ok(Json(wire::LogReport { size: report.size, root: BASE64.encode(report.root), epochs, first_bad }))
}

fn damage_view(damage: LogDamage) -> wire::BadEntry {
    wire::BadEntry { position: damage.position, reason: damage.found }
}

fn epoch_view(recovery: ops_verify::Recovery) -> wire::LogEpoch {
    wire::LogEpoch {
        epoch: recovery.epoch,
        first: recovery.position,
        by: recovery.event.actor,
        at: recovery.event.at,
        reason: recovery.reason,
        known: recovery.known,
        gap: recovery.gap,
        damage: recovery.damage.map(damage_view),
    }
}

pub async fn recover(
    State(app): State<App>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<wire::RecoverLog>,
) -> Answer<wire::LogRecovered> {
    let done = ops_recover::recover(&app, &actor, &body.checkpoint, &body.reason, body.accept_damage).await?;
    Ok(Json(wire::LogRecovered {
        epoch: done.epoch,
        position: done.position,
        gap: done.gap,
        damage: done.damage.map(damage_view),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_named_as_the_specification_names_them() {
        let read = |path: &str| parse(path).map(|tile| (tile.level, tile.number, tile.width));
        assert_eq!(read("0/000"), Some((Some(0), 0, 256)));
        assert_eq!(read("1/x001/x234/067"), Some((Some(1), 1_234_067, 256)));
        assert_eq!(read("0/273.p/112"), Some((Some(0), 273, 112)));
        assert_eq!(read("entries/x001/000.p/1"), Some((None, 1000, 1)));
        for bad in
            ["", "0", "0/1", "0/0000", "0/001/002", "0/x001", "64/000", "0/000.p/0", "0/000.p/256", "a/000"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
