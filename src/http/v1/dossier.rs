//! Dossiers: texts and documents of other people's formats, so not the JSON of this API.

use super::versions::reference;
use crate::{
    dossier::Format,
    error::{Error, Result},
    http::{App, Caller, answer::Query, error::Problem},
    ops::dossier,
};
use axum::{
    extract::{Path, State},
    http::header,
    response::{IntoResponse as _, Response},
};

pub async fn export(
    State(app): State<App>,
    Caller(actor): Caller,
    Path((namespace, name, tag)): Path<(String, String, String)>,
    mut query: Query,
) -> Result<Response, Problem> {
    let format: Option<Format> = query.parse("format")?;
    query.done()?;
    let format = format.ok_or_else(|| {
        Error::invalid("dossier_format", "the format of the dossier is missing")
            .hint(format!("formats are {}", Format::names()))
    })?;
    let text = dossier::export(&app, &actor, &reference(&namespace, &name, &tag)?, format).await?;
    let headers = [(header::CONTENT_TYPE, format.media_type()), (header::CACHE_CONTROL, "private, no-cache")];
    Ok((headers, text).into_response())
}
