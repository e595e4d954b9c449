//! Evidence: attaching files to a version, reading back what is said about it.

use super::{
    Context, blobs,
    promote::Promotion,
    referrer::{Attach, attached, record},
    resolve, settle,
};
use crate::{
    db::{evidence as rows, manifests},
    error::{Error, Result},
    evidence::{About, Read, read},
    model::{
        access::Actor,
        artifact::{Artifact, File},
        digest::Digest,
        evidence::{Evidence, EvidenceKind, MAX_BYTES, Statement},
        manifest::Manifest,
        name::Workload,
        reference::Reference,
        version::Version,
    },
};
use chrono::TimeDelta;
use std::sync::Arc;

/// One piece that came of it.
#[derive(Debug)]
pub struct Attached {
    pub evidence: Evidence,
    /// False: the same person attached the same before.
    pub created: bool,
}

/// What was attached, and the promotions it completed.
#[derive(Debug)]
pub struct Outcome {
    pub version: Version,
    pub attached: Vec<Attached>,
    pub promoted: Vec<Promotion>,
}

/// A file that was read as evidence about a version.
pub(super) struct Said {
    pub bytes: Vec<u8>,
    pub public_key: Option<String>,
    pub statements: Vec<Read>,
}

impl Said {
    pub fn attach<'a>(&self, workload: &'a Workload, subject: &'a Digest) -> Attach<'a> {
        let is_json =
            std::str::from_utf8(&self.bytes).is_ok_and(|text| text.trim_start().starts_with(['{', '[']));
        Attach {
            workload,
            subject,
            bytes: self.bytes.clone(),
            media_type: if is_json { "application/json" } else { "text/markdown" },
            public_key: self.public_key.clone(),
            profile: None,
        }
    }
}

/// Attaches a file to a version. What it is, is recognised by its content unless a kind is insisted on.
pub async fn attach(
    cx: &Arc<Context>,
    actor: &Actor,
    reference: &Reference,
    kind: Option<EvidenceKind>,
    bytes: Vec<u8>,
    public_key: Option<String>,
) -> Result<Outcome> {
    let workload = &reference.workload;
    let row = resolve::find(cx, &mut cx.db.read().await?, workload, &reference.selector).await?;
    let (files, prompt) = files(cx, workload, &row.digest).await?;
    let about = About {
        digest: &row.digest,
        files: &files,
        prompt: prompt.as_ref(),
        public_key: public_key.as_deref(),
        now: cx.clock.now(),
    };
    let statements = read(kind, &bytes, &about)?;
    let is_signed = |one: &Read| matches!(one.statement, Statement::Signature(_) | Statement::Provenance(_));
    if public_key.is_some() && !statements.iter().any(is_signed) {
        return Err(Error::invalid(
            "public_key_unused",
            "nothing in the file is signed, so no key is needed",
        )
        .hint("attach it without the public key"));
    }
    let attached =
        add(cx, actor, workload, &row.digest, vec![Said { bytes, public_key, statements }]).await?;
    let promoted = settle::settle_workload(cx, workload).await;
    Ok(Outcome { version: row.version, attached, promoted })
}

/// How long saying the same again adds nothing: a retry is no news, tomorrow's scan is.
const AGAIN: TimeDelta = TimeDelta::hours(1);

/// Attaches what was read, all of it or nothing, but for what the same person said just now and nobody has said anything
/// about since.
pub(super) async fn add(
    cx: &Arc<Context>,
    actor: &Actor,
    workload: &Workload,
    subject: &Digest,
    files: Vec<Said>,
) -> Result<Vec<Attached>> {
    let (mut all, mut new) = (Vec::new(), Vec::new());
    for said in files {
        let attach = said.attach(workload, subject);
        let (known, rest) = known(cx, actor, workload, subject, said).await?;
        all.extend(known.into_iter().map(|evidence| Attached { evidence, created: false }));
        if !rest.is_empty() {
            new.push((attach, rest));
        }
    }
    if !new.is_empty() {
        let change = |evidence: &Evidence, said| attached(workload, evidence, said);
        let (new, _) = record(cx, actor, workload, new, change).await?;
        all.extend(new.into_iter().map(|evidence| Attached { evidence, created: true }));
    }
    Ok(all)
}

/// What of a file was said before, and what is news.
async fn known(
    cx: &Context,
    actor: &Actor,
    workload: &Workload,
    subject: &Digest,
    said: Said,
) -> Result<(Vec<Evidence>, Vec<Read>)> {
    let payload = Digest::sha256(&said.bytes);
    let mut tx = cx.db.read().await?;
    let same = rows::same(&mut tx, workload, subject, &payload, &actor.principal).await?;
    let said_since = match same.is_empty() {
        true => Vec::new(),
        false => rows::about(&mut tx, workload, subject).await?,
    };
    let now = cx.clock.now();
    let (mut before, mut new) = (Vec::new(), Vec::new());
    for one in said.statements {
        let last = said_since.iter().rev().find(|last| last.statement.topic() == one.statement.topic());
        let is_recent = |last: &Evidence| {
            now - last.at < AGAIN && same.iter().any(|evidence| evidence.digest == last.digest)
        };
        let known = same.iter().rev().find(|evidence| evidence.statement == one.statement);
        match known.filter(|_| last.is_some_and(is_recent)) {
            Some(evidence) => before.push(evidence.clone()),
            None => new.push(one),
        }
    }
    Ok((before, new))
}

/// Reads files that were uploaded to go with a version that is not there yet. What is wrong with one of them is wrong
/// with the push.
pub(super) async fn read_uploaded(
    cx: &Context,
    workload: &Workload,
    subject: &Digest,
    manifest: &Manifest,
    uploaded: &[Digest],
) -> Result<Vec<Said>> {
    if uploaded.is_empty() {
        return Ok(Vec::new());
    }
    if uploaded.len() > UPLOADED_MAX {
        return Err(Error::invalid(
            "evidence_too_much",
            format!("{} files of evidence go with the push", uploaded.len()),
        )
        .hint(format!("at most {UPLOADED_MAX}; attach the others later with gradus eval attach")));
    }
    let (files, prompt) = listed(subject, manifest)?;
    let about = About {
        digest: subject,
        files: &files,
        prompt: prompt.as_ref(),
        public_key: None,
        now: cx.clock.now(),
    };
    let (mut all, mut total) = (Vec::new(), 0);
    for digest in uploaded {
        let bytes = blobs::read_whole(cx, workload, digest, MAX_BYTES as u64).await?.to_vec();
        total += bytes.len();
        if total > UPLOADED_BYTES {
            return Err(Error::too_large(
                "evidence_too_large",
                "the files of evidence that go with the push are too much at once",
            )
            .hint(format!(
                "at most {UPLOADED_BYTES} bytes; attach the others later with gradus eval attach"
            )));
        }
        let statements = read(None, &bytes, &about)?;
        all.push(Said { bytes, public_key: None, statements });
    }
    Ok(all)
}

/// Most files of evidence that go with a push.
const UPLOADED_MAX: usize = 32;
/// Most bytes of them together.
const UPLOADED_BYTES: usize = 2 * MAX_BYTES;

/// The files of a version as its manifest lists them, and which of them is a prompt that was taken along.
pub(super) async fn files(
    cx: &Context,
    workload: &Workload,
    digest: &Digest,
) -> Result<(Vec<File>, Option<File>)> {
    let stored = manifests::find(&mut cx.db.read().await?, workload, digest).await?;
    let stored =
        stored.ok_or_else(|| Error::corrupt("manifests", digest, "a version's manifest is missing"))?;
    listed(digest, &Manifest::parse(&stored.bytes, Some(&stored.media_type))?)
}

fn listed(digest: &Digest, manifest: &Manifest) -> Result<(Vec<File>, Option<File>)> {
    let recognised = Artifact::recognise(manifest)?
        .ok_or_else(|| Error::corrupt("manifests", digest, "a version's manifest is not recognised"))?;
    let prompt = recognised.prompt;
    Ok((recognised.files.into_iter().chain(prompt.clone()).collect(), prompt))
}

/// Everything that is said about a version, oldest first.
pub async fn list(cx: &Context, reference: &Reference) -> Result<Vec<Evidence>> {
    let mut tx = cx.db.read().await?;
    let row = resolve::find_any(cx, &mut tx, &reference.workload, &reference.selector).await?;
    rows::about(&mut tx, &reference.workload, &row.digest).await
}
