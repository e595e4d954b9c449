//! Workloads and their versions: push, list, show, resolve, render, aliases, yank, diff.

use super::evidence::attached_view;
use crate::{
    error::Result,
    http::{
        App, Caller,
        answer::{Answer, JsonBody, Query, insert_etag, matches, not_modified, page},
        error::Problem,
        peer::Peer,
    },
    model::{
        access::{Actor, Permission},
        contract::Contract,
        digest::Digest,
        name::{Namespace, Workload},
        read::How,
        reference::{Reference, Selector},
        resolution::Resolution,
    },
    ops::{
        aliases, blobs, compose::Wanted, listing, push, quotas, reads, render as ops_render,
        resolve as ops_resolve, yank as ops_yank,
    },
    wire,
};
use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use std::collections::BTreeMap;

type TwoSegments = Path<(String, String)>;
type ThreeSegments = Path<(String, String, String)>;

pub(super) fn workload(namespace: &str, name: &str) -> Result<Workload> {
    Workload::new(&namespace.parse()?, name)
}

/// A reference from path segments: the last is a TAG or a digest.
pub(super) fn reference(namespace: &str, name: &str, tag: &str) -> Result<Reference> {
    let workload = workload(namespace, name)?;
    let selector = if tag.contains(':') { Selector::Digest(tag.parse()?) } else { Selector::parse(tag)? };
    Ok(Reference { workload, selector })
}

pub(super) fn version_view(row: listing::VersionRow) -> wire::VersionView {
    wire::VersionView {
        yanked: row.yanked_at.is_some().then(|| row.yanked_because.unwrap_or_default()),
        purged: row.purged.map(|purged| wire::PurgedView {
            at: purged.at,
            by: purged.by,
            reason: purged.because,
        }),
        position: row.position,
        workload: row.workload,
        version: row.version,
        digest: row.digest,
        tier: row.tier,
        kind: row.kind,
        contract_digest: row.contract,
        sequence: row.sequence,
        revision: row.revision,
        created_at: row.created_at,
        created_by: row.created_by,
    }
}

pub async fn list_workloads(
    State(app): State<App>,
    Caller(actor): Caller,
    mut query: Query,
) -> Answer<wire::Page<wire::WorkloadView>> {
    let (cursor, limit) = query.page()?;
    let namespace: Option<Namespace> = query.parse("namespace")?;
    query.done()?;
    let rows = listing::workloads(&app, &actor, namespace.as_ref(), &cursor, limit + 1).await?;
    let view = |(workload, versions)| wire::WorkloadView { workload, versions };
    Ok(Json(page(rows, limit, |(workload, _)| workload.to_string(), view)))
}

pub async fn present(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name)): TwoSegments,
    JsonBody(asked): JsonBody<wire::Present>,
) -> Answer<wire::Present> {
    let workload = workload(&namespace, &name)?;
    let wire::Present { sizes, digests, files, needs } = asked;
    let files: BTreeMap<_, _> = files.into_iter().map(|file| (file.digest, file.size)).collect();
    let needs = needs.map(|needs| quotas::Needs { bytes: needs.bytes, versions: needs.versions });
    let asked = blobs::Asked { sizes, digests, files, needs };
    let blobs::Present { sizes, digests, files: lacking } =
        blobs::present(&app, &actor, &workload, &asked).await?;
    let sized = |digest: Digest| Some(wire::PresentFile { size: *asked.files.get(&digest)?, digest });
    let files = lacking.into_iter().filter_map(sized).collect();
    Ok(Json(wire::Present { sizes, digests, files, needs: None }))
}

pub async fn list(
    State(app): State<App>,
    Path((namespace, name)): TwoSegments,
    mut query: Query,
) -> Answer<wire::Page<wire::VersionView>> {
    let (cursor, limit) = query.page()?;
    let filter = listing::Filter { tier: query.parse("tier")?, yanked: query.flag("yanked")? };
    query.done()?;
    let below = if cursor.is_empty() { None } else { Some(cursor.parse()?) };
    let workload = workload(&namespace, &name)?;
    let rows = listing::list_versions(&app, &workload, &filter, below.as_ref(), limit + 1).await?;
    Ok(Json(page(rows, limit, |row| row.version.to_string(), version_view)))
}

pub async fn push(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name)): TwoSegments,
    JsonBody(new): JsonBody<wire::NewVersion>,
) -> Result<(StatusCode, Json<wire::PushedView>), Problem> {
    let contract = match new.contract {
        Some(contract) => Some(Contract::parse(contract.to_string().as_bytes())?),
        None => None,
    };
    let draft = push::Draft {
        tier: new.tier,
        files: new.files,
        contract,
        prompt: new.prompt,
        base: new.base,
        datasets: new.datasets,
        evidence: new.evidence,
        wanted: Wanted { version: new.version, bump: new.bump },
    };
    let pushed = push::push(&app, &actor, &workload(&namespace, &name)?, draft).await?;
    let status = if pushed.created { StatusCode::CREATED } else { StatusCode::OK };
    let view = wire::PushedView {
        created: pushed.created,
        version: version_view(pushed.row),
        diff: pushed.diff,
        notes: pushed.notes,
        inspection: pushed.inspection,
        evidence: pushed.evidence.into_iter().map(attached_view).collect(),
    };
    Ok((status, Json(view)))
}

fn show_view(shown: listing::Shown) -> wire::ShowView {
    wire::ShowView {
        version: version_view(shown.row),
        aliases: shown.aliases,
        quarantined: shown.quarantined,
        files: shown.files,
        document: shown.document,
        inspection: shown.inspection,
    }
}

pub async fn show(
    State(app): State<App>,
    Path((namespace, name, tag)): ThreeSegments,
) -> Answer<wire::ShowView> {
    let shown = listing::show(&app, &reference(&namespace, &name, &tag)?).await?;
    Ok(Json(show_view(shown)))
}

pub async fn yank(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, version)): ThreeSegments,
    JsonBody(body): JsonBody<wire::Yank>,
) -> Result<StatusCode, Problem> {
    ops_yank::yank(&app, &actor, &workload(&namespace, &name)?, &version.parse()?, &body.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn resolve_default(
    State(app): State<App>,
    Caller(actor): Caller,
    asked: Asked,
    Path((namespace, name)): TwoSegments,
) -> Result<Response, Problem> {
    resolved(&app, &actor, &asked, &workload(&namespace, &name)?.to_string(), false).await
}

pub async fn resolve(
    State(app): State<App>,
    Caller(actor): Caller,
    asked: Asked,
    Path((namespace, name, tag)): ThreeSegments,
) -> Result<Response, Problem> {
    let by_digest = tag.contains(':');
    let separator = if by_digest { '@' } else { ':' };
    resolved(&app, &actor, &asked, &format!("{namespace}/{name}{separator}{tag}"), by_digest).await
}

/// How a request came, and from where.
type Asked = (Method, Peer, HeaderMap);

/// The access log's entry of what was answered.
fn read(resolution: &Resolution, how: How) -> reads::Read<'_> {
    let Resolution { workload, digest, version, .. } = resolution;
    reads::Read { workload, digest, version: Some(version), how }
}

/// By digest an answer holds for ever; by anything else it is asked for again, cheaply.
async fn resolved(
    app: &App,
    actor: &Actor,
    (method, peer, headers): &Asked,
    reference: &str,
    for_ever: bool,
) -> Result<Response, Problem> {
    let resolved = ops_resolve::resolve(app, reference).await?;
    if *method == Method::GET {
        reads::note(app, actor, peer.0, &read(&resolved.resolution, How::Resolve));
    }
    if matches(headers.get(header::IF_NONE_MATCH), &resolved.etag) {
        return Ok(not_modified(&resolved.etag));
    }
    let mut response = Response::new(Body::from(resolved.json.clone()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if for_ever {
        // What is said with it may be over tomorrow.
        let holds = match resolved.resolution.warnings.is_empty() {
            true => "private, max-age=31536000, immutable",
            false => "no-cache",
        };
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(holds));
    }
    insert_etag(headers, &resolved.etag);
    Ok(response)
}

pub async fn render(
    State(app): State<App>,
    Caller(actor): Caller,
    peer: Peer,
    Path((namespace, name, tag)): ThreeSegments,
    JsonBody(body): JsonBody<wire::Render>,
) -> Result<Response, Problem> {
    let reference = reference(&namespace, &name, &tag)?.to_string();
    let (resolved, rendered) = ops_render::render(&app, &reference, body.input, body.model).await?;
    reads::note(&app, &actor, peer.0, &read(&resolved.resolution, How::Render));
    Ok(Json(rendered).into_response())
}

fn alias_view(row: aliases::AliasRow) -> wire::AliasView {
    wire::AliasView { alias: row.alias, version: row.version, digest: row.digest, updated_at: row.updated_at }
}

pub async fn list_aliases(
    State(app): State<App>,
    Path((namespace, name)): TwoSegments,
    mut query: Query,
) -> Answer<wire::Page<wire::AliasView>> {
    let (cursor, limit) = query.page()?;
    query.done()?;
    let rows = aliases::list(&app, &workload(&namespace, &name)?, &cursor, limit + 1).await?;
    Ok(Json(page(rows, limit, |row| row.alias.clone(), alias_view)))
}

pub async fn set_alias(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, alias)): ThreeSegments,
    JsonBody(body): JsonBody<wire::SetAlias>,
) -> Answer<wire::AliasView> {
    let to = reference(&namespace, &name, &body.to)?;
    Ok(Json(alias_view(aliases::set(&app, &actor, &alias, &to).await?)))
}

pub async fn remove_alias(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, alias)): ThreeSegments,
) -> Result<StatusCode, Problem> {
    aliases::remove(&app, &actor, &workload(&namespace, &name)?, &alias).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn diff(State(app): State<App>, Caller(actor): Caller, mut query: Query) -> Answer<wire::DiffView> {
    let missing = || crate::error::Error::invalid("query_invalid", "both from and to are needed");
    let from: Reference = query.parse("from")?.ok_or_else(missing)?;
    let to: Reference = query.parse("to")?.ok_or_else(missing)?;
    query.done()?;
    for reference in [&from, &to] {
        actor.require(Permission::Read, &reference.workload.namespace())?;
    }
    let diff = listing::diff(&app, &from, &to).await?;
    let changed = |(before, after)| wire::ChangedFile { before, after };
    Ok(Json(wire::DiffView {
        from: version_view(diff.from.row),
        to: version_view(diff.to.row),
        contract: diff.contract,
        added: diff.added,
        removed: diff.removed,
        changed: diff.changed.into_iter().map(changed).collect(),
    }))
}
