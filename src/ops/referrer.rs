//! Evidence as OCI content: a manifest whose subject is the version's manifest and whose layer is the exact bytes, so that
//! every OCI client sees it among the referrers, and may push it.

use super::{
    Context, blobs, evidence::files, manifests as ops_manifests, monitors::pushed::MEDIA_TYPE as PROFILE,
    purged, uploads,
};
use crate::{
    db::{Tx, evidence as rows, log, manifests, namespaces, promotions, versions},
    error::{Error, Result},
    evidence::{About, Read, read},
    model::{
        access::Actor,
        digest::Digest,
        event::{Change, time_text},
        evidence::{ABOUT, BY, CREATED, Evidence, EvidenceKind, Examples, MAX_BYTES, PEM, Statement},
        manifest::{EMPTY_CONFIG, IMAGE, Manifest},
        name::{PrincipalName, Workload},
    },
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::sync::Arc;

/// Most bytes of a statement as gates read it, results example by example not counted: every judgement reads all of them.
const STATEMENT_MAX: usize = 256 << 10;

/// What is attached to what.
pub(super) struct Attach<'a> {
    pub workload: &'a Workload,
    pub subject: &'a Digest,
    pub bytes: Vec<u8>,
    pub media_type: &'a str,
    /// Of a signature by a bare key, or of provenance in a signed envelope: the public key, PEM.
    pub public_key: Option<String>,
    /// A profile that it rests on, which the repository has as a blob: its digest and size.
    pub profile: Option<(Digest, u64)>,
}

impl Attach<'_> {
    /// Stores the bytes, which must come before the transaction that records what they say.
    pub async fn put_blobs(&self, cx: &Arc<Context>) -> Result<()> {
        uploads::put_own(cx, self.workload, b"{}".to_vec()).await?;
        uploads::put_own(cx, self.workload, self.bytes.clone()).await?;
        if let Some(key) = &self.public_key {
            uploads::put_own(cx, self.workload, key.clone().into_bytes()).await?;
        }
        Ok(())
    }

    /// Records statements, in a transaction that has locked the repository and the log's head. Their events are the next
    /// from `position` on.
    pub async fn write(
        &self,
        tx: &mut Tx,
        by: &PrincipalName,
        statements: Vec<Read>,
        position: i64,
        now: DateTime<Utc>,
    ) -> Result<Vec<Recorded>> {
        let Attach { workload, subject, .. } = *self;
        purged::refuse_purged(tx, workload, subject).await?;
        let size = manifests::find(tx, workload, subject).await?.map_or(0, |stored| stored.bytes.len());
        let payload = Digest::sha256(&self.bytes);
        let mut recorded = Vec::new();
        for (position, Read { statement, examples }) in (position..).zip(statements) {
            let bytes = manifest_of(self, &statement, by, now, size).to_string().into_bytes();
            let manifest = Manifest::parse(&bytes, Some(IMAGE))?;
            let digest = Digest::sha256(&bytes);
            let evidence = Evidence { digest, subject: subject.clone(), statement, by: by.clone(), at: now };
            ops_manifests::insert(tx, workload, &manifest, &bytes, &evidence.digest, now).await?;
            let said = insert(tx, workload, &evidence, &payload, &examples, position).await?;
            recorded.push(Recorded { evidence, said });
        }
        promotions::stir(tx, workload.as_str(), now).await?;
        Ok(recorded)
    }
}

/// A piece of evidence with the digest of what gates read of it, which the event names.
pub(super) struct Recorded {
    pub evidence: Evidence,
    pub said: Digest,
}

/// The event that tells of a piece of evidence from a file.
pub(super) fn attached(workload: &Workload, evidence: &Evidence, said: Digest) -> Change {
    Change::EvidenceAttached {
        workload: workload.clone(),
        subject: evidence.subject.clone(),
        evidence: evidence.digest.clone(),
        about: evidence.statement.kind(),
        said: Some(said),
    }
}

/// Stores statements with the bytes they came from as evidence, of one file or several: all of them, or none. Answers
/// them with the position of the first one's event.
pub(super) async fn record(
    cx: &Arc<Context>,
    actor: &Actor,
    workload: &Workload,
    files: Vec<(Attach<'_>, Vec<Read>)>,
    change: impl Fn(&Evidence, Digest) -> Change,
) -> Result<(Vec<Evidence>, i64)> {
    for (attach, _) in &files {
        attach.put_blobs(cx).await?;
    }
    let now = cx.clock.now();
    let mut tx = cx.db.write().await?;
    namespaces::lock_repository(&mut tx, workload).await?;
    let (first, _) = log::lock(&mut tx).await?;
    let (mut position, mut all, mut changes) = (first, Vec::new(), Vec::new());
    for (attach, statements) in files {
        for Recorded { evidence, said } in
            attach.write(&mut tx, &actor.principal, statements, position, now).await?
        {
            changes.push(change(&evidence, said));
            all.push(evidence);
            position += 1;
        }
    }
    log::append(&mut tx, now, &actor.principal, changes).await?;
    tx.commit().await?;
    Ok((all, first))
}

async fn insert(
    tx: &mut Tx,
    repository: &Workload,
    evidence: &Evidence,
    payload: &Digest,
    examples: &Examples,
    position: i64,
) -> Result<Digest> {
    let examples =
        (!examples.is_empty()).then(|| serde_json::to_vec(examples)).transpose().map_err(|source| {
            Error::internal("evidence_encoding", "examples could not be written").source(source)
        })?;
    let statement = serde_json::to_string(&evidence.statement).map_err(|source| {
        Error::internal("evidence_encoding", "evidence could not be written").source(source)
    })?;
    let size = statement.len();
    if size > STATEMENT_MAX {
        return Err(Error::too_large(
            "evidence_too_large",
            format!("what gates would read of it has {size} bytes"),
        )
        .hint(format!("at most {STATEMENT_MAX}; attach less in one file")));
    }
    let said = rows::said(&statement, examples.as_deref());
    let examples = examples.as_deref();
    let new = rows::NewEvidence { repository, evidence, statement: &statement, payload, examples, position };
    if rows::insert(tx, &new).await? {
        if evidence.statement.kind() == EvidenceKind::ModelCard {
            super::lineage::index::licensed(tx, repository, &evidence.subject).await?;
        }
        return Ok(said);
    }
    match rows::find(tx, repository, &evidence.digest).await? {
        Some(_) => Ok(said),
        None => Err(Error::conflict(
            "evidence_too_much",
            format!("there is as much evidence about this content as is taken: {}", evidence.subject),
        )
        .hint("push a new version")),
    }
}

/// The OCI manifest of a piece of evidence: keys sorted, as of all our manifests.
fn manifest_of(
    attach: &Attach<'_>,
    statement: &Statement,
    by: &PrincipalName,
    now: DateTime<Utc>,
    subject_size: usize,
) -> Value {
    let layer = |bytes: &[u8], media_type: &str| json!({ "digest": Digest::sha256(bytes), "mediaType": media_type, "size": bytes.len() });
    let mut layers = vec![layer(&attach.bytes, attach.media_type)];
    layers.extend(attach.public_key.as_ref().map(|key| layer(key.as_bytes(), PEM)));
    layers.extend(
        attach
            .profile
            .as_ref()
            .map(|(digest, size)| json!({ "digest": digest, "mediaType": PROFILE, "size": size })),
    );
    let about = match statement {
        Statement::Evaluation(evaluation) => evaluation.suite.clone(),
        // So that whoever brings it again sees that it is there.
        Statement::Imported(imported) => imported.original.to_string(),
        other => other.kind().name().to_owned(),
    };
    json!({
        "annotations": {
            BY: by,
            ABOUT: about,
            CREATED: time_text(&now),
        },
        "artifactType": statement.kind().artifact_type(),
        "config": layer(b"{}", EMPTY_CONFIG),
        "layers": layers,
        "mediaType": IMAGE,
        "schemaVersion": 2,
        "subject": { "digest": attach.subject, "mediaType": IMAGE, "size": subject_size },
    })
}

/// What a manifest that an OCI client pushes says as evidence, if it is meant as such.
pub(super) struct Pushed {
    statement: Statement,
    examples: Examples,
    payload: Digest,
    subject: Digest,
}

/// Reads the evidence in a manifest with a subject. `None`: it is other content. What comes only from verbs of its own
/// is refused, and so is what cannot be read as what it claims to be.
pub(super) async fn of_manifest(
    cx: &Context,
    repository: &Workload,
    manifest: &Manifest,
) -> Result<Option<Pushed>> {
    let kind = manifest.artifact_type.as_deref().and_then(EvidenceKind::of_artifact_type);
    let Some(kind) = kind else { return Ok(None) };
    let invalid = |why: &str| {
        Error::invalid("evidence_invalid", format!("not a piece of evidence: {why}"))
            .hint("attach it with: gradus eval attach REF FILE")
    };
    if !kind.is_attachable() {
        return Err(Error::not_allowed(
            "evidence_reserved",
            format!("evidence of this kind is not pushed: {kind}"),
        )
        .hint("it comes only from its own verb, such as gradus approve"));
    }
    let subject = manifest.subject.as_ref().ok_or_else(|| invalid("it has no subject"))?.digest.clone();
    if versions::of_manifest(&mut cx.db.read().await?, repository, &subject).await?.is_none() {
        return Err(Error::invalid("evidence_subject", format!("its subject is no version here: {subject}"))
            .hint("push the version first, then what is said about it"));
    }
    let (payload, rest) = manifest.layers.split_first().ok_or_else(|| invalid("it has no layer"))?;
    if payload.size > MAX_BYTES as u64 {
        return Err(Error::too_large(
            "evidence_too_large",
            format!("the evidence has {} bytes", payload.size),
        )
        .hint(format!("at most {MAX_BYTES}")));
    }
    let bytes = blobs::read_whole(cx, repository, &payload.digest, MAX_BYTES as u64).await?;
    let public_key = match rest.iter().find(|layer| layer.media_type == PEM) {
        Some(layer) => {
            String::from_utf8(blobs::read_whole(cx, repository, &layer.digest, 64 << 10).await?.to_vec()).ok()
        }
        None => None,
    };
    let (files, prompt) = files(cx, repository, &subject).await?;
    let about = About {
        digest: &subject,
        files: &files,
        prompt: prompt.as_ref(),
        public_key: public_key.as_deref(),
        now: cx.clock.now(),
    };
    let mut statements = read(Some(kind), &bytes, &about)?;
    match (statements.pop(), statements.is_empty()) {
        (Some(one), true) => {
            let payload = payload.digest.clone();
            Ok(Some(Pushed { statement: one.statement, examples: one.examples, payload, subject }))
        }
        _ => Err(invalid("it says several things; attach the file instead")),
    }
}

/// Records what an OCI client pushed, in the transaction that stores its manifest and whose first event is the one that
/// is answered.
pub(super) async fn insert_pushed(
    tx: &mut Tx,
    actor: &Actor,
    repository: &Workload,
    digest: &Digest,
    pushed: Pushed,
    now: DateTime<Utc>,
) -> Result<Change> {
    let Pushed { statement, examples, payload, subject } = pushed;
    let evidence =
        Evidence { digest: digest.clone(), subject, statement, by: actor.principal.clone(), at: now };
    // The log's head is locked before rows of promotions, here as everywhere: two orders would wait for each other.
    let (position, _) = log::lock(tx).await?;
    let said = insert(tx, repository, &evidence, &payload, &examples, position).await?;
    promotions::stir(tx, repository.as_str(), now).await?;
    Ok(attached(repository, &evidence, said))
}
