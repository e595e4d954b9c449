//! Where the data of monitors come from: sources of the configuration that the namespace may read. Without a server, whoever
//! has the data directory may read their own files too.

use super::super::Context;
use crate::{
    blobs::Bucket,
    error::{Error, Result},
    model::{monitor::Template, name::Namespace},
    tables::{Input, LocalFile, Pattern},
};
use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

/// More files than this in all the paths of a window are a mistake in the pattern.
const FILES_MAX: usize = 10_000;

/// Errors: the namespace may not read there, or nothing can ever be there. `paths`: some that the source has.
pub(super) fn check(cx: &Context, namespace: &Namespace, source: &Template, paths: &[String]) -> Result<()> {
    if options(cx, namespace, source)?.is_some() {
        for path in paths {
            Bucket::check(path)?;
        }
    }
    Ok(())
}

/// How to reach a source's bucket; `None`: files of this machine.
fn options(
    cx: &Context,
    namespace: &Namespace,
    source: &Template,
) -> Result<Option<BTreeMap<String, String>>> {
    let start = source.start();
    let granted =
        cx.config.sources.iter().find(|known| known.is_of(namespace) && known.within(start).is_some());
    if let Some(known) = granted {
        return Ok(Some(known.options.clone()));
    }
    if cx.local.is_some() {
        return Ok(start.contains("://").then(BTreeMap::new));
    }
    let allowed = cx.config.sources.iter().filter(|known| known.is_of(namespace));
    let allowed: Vec<&str> = allowed.map(|known| known.url.as_str()).collect();
    let hint = match allowed.as_slice() {
        [] => format!(
            "whoever runs the registry grants it one below [[sources]] of the configuration, to {namespace}"
        ),
        some => format!("it may read below {}", some.join(", ")),
    };
    Err(Error::forbidden(
        "source_not_granted",
        format!("namespace {namespace} may not read data there: {source}"),
    )
    .hint(hint))
}

/// The files or objects of some paths, in their order. That a path has none is no error here.
///
/// Errors: the namespace may not read there, too many files, a bucket that does not answer.
pub(super) async fn find(
    cx: &Context,
    namespace: &Namespace,
    source: &Template,
    paths: &[String],
) -> Result<Vec<Arc<dyn Input>>> {
    let mut found: Vec<Arc<dyn Input>> = Vec::new();
    let options = options(cx, namespace, source)?;
    let mut buckets: BTreeMap<String, Bucket> = BTreeMap::new();
    for path in paths {
        let files = match &options {
            Some(options) => {
                let (url, rest) = Bucket::split(path)?;
                let bucket = match buckets.get(url) {
                    Some(bucket) => bucket.clone(),
                    None => {
                        let silence = Duration::from_secs(cx.config.limits.store_seconds);
                        let bucket = Bucket::open(path, options, silence)?.0;
                        buckets.insert(url.to_owned(), bucket.clone());
                        bucket
                    }
                };
                bucket.find(rest).await
            }
            None => local(path.clone()).await,
        };
        match files {
            Ok(files) => found.extend(files),
            Err(error) if error.code == "table_missing" => {}
            Err(error) => return Err(error),
        }
        if found.len() > FILES_MAX {
            return Err(Error::too_large(
                "table_files",
                format!("more than {FILES_MAX} files in one window"),
            )
            .hint("check shorter windows, or name fewer files in the source"));
        }
    }
    Ok(found)
}

async fn local(path: String) -> Result<Vec<Arc<dyn Input>>> {
    let work = move || {
        let files = Pattern::new(&path).local_files()?;
        files.iter().map(|file| open(file)).collect::<Result<Vec<_>>>()
    };
    let ended =
        |source| Error::internal("drift_ended", "looking for files ended before its time").source(source);
    tokio::task::spawn_blocking(work).await.map_err(ended)?
}

fn open(path: &Path) -> Result<Arc<dyn Input>> {
    LocalFile::open(path).map(|file| Arc::new(file) as Arc<dyn Input>).map_err(|error| {
        let code =
            if error.kind() == std::io::ErrorKind::NotFound { "table_missing" } else { "table_unreadable" };
        Error::not_found(code, format!("cannot open {}: {error}", path.display()))
    })
}
