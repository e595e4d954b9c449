//! Bringing versions into a registry: first what it lacks, then the manifest under its number, then what is said about it.
//! The registry looks at all of it for itself, as at any push.

use super::{Carried, Document, Source, about, layout::is_reserved, source::missing};
use crate::{
    client::{Call, Client, Progress, sessions::Open, upload::AT_A_TIME},
    error::{Error, Kind, Result},
    evidence::imported::ImportedFile,
    model::{
        digest::Digest,
        evidence::{ABOUT, EvidenceKind, MAX_BYTES, PEM},
        manifest::Descriptor,
        name::Workload,
        reference::{Reference, Selector},
        version::Version,
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::{Method, header};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What another registry has of a version before anything is sent.
#[derive(Debug)]
pub struct Standing {
    /// The version is there already.
    pub is_there: bool,
    /// What it lacks of the version and of what is said about it.
    pub missing: Vec<Descriptor>,
    /// How many blobs it has.
    pub known: usize,
    /// What is said about the version, or about that, and is not there.
    pub(super) news: BTreeSet<Digest>,
}

impl Standing {
    pub fn size(&self) -> u64 {
        self.missing.iter().map(|blob| blob.size).sum()
    }
}

/// What came of a version.
#[derive(Debug, Serialize)]
pub struct Delivered {
    pub workload: Workload,
    pub version: Version,
    pub digest: Digest,
    /// False: it was there already.
    pub created: bool,
    /// Blobs that were there already, and those that were sent, with their bytes.
    pub blobs_known: usize,
    pub blobs_sent: usize,
    pub bytes_sent: u64,
    /// What is said about it: how much counts as said here now, was brought along for information, and was there already.
    pub evidence: usize,
    pub imported: usize,
    pub evidence_known: usize,
    /// What was not brought along, and why.
    pub left_out: Vec<String>,
    /// What the registry did not take, and why.
    pub refused: Vec<String>,
}

impl Client {
    /// Looks what is there of a version. Sends nothing.
    ///
    /// Errors: `version_taken` if its number has other content there.
    pub async fn standing(&self, carried: &Carried) -> Result<Standing> {
        let Carried { workload, version, document, .. } = carried;
        let path = format!("/v2/{workload}/manifests/{version}");
        let is_there = match self.send(Call::new(Method::HEAD, path)).await {
            Ok(reply) => match reply.header("docker-content-digest") {
                Some(digest) if digest == document.digest.as_str() => true,
                other => return Err(taken(carried, other.unwrap_or("other content"))),
            },
            Err(error) if error.kind == Kind::NotFound => false,
            Err(error) => return Err(head_failed(self, carried, error).await),
        };
        // Of what is there already, evidence may still be new.
        let said: Vec<&Document> = match is_there {
            true => self.news(carried).await?.into_iter().map(|(document, _)| document).collect(),
            false => carried.said.iter().collect(),
        };
        let news = said.iter().map(|document| document.digest.clone()).collect();
        let documents = Some(document).filter(|_| !is_there).into_iter().chain(said);
        let mut seen = BTreeSet::new();
        let blobs = documents.filter(|document| !is_reserved(&document.manifest));
        let blobs = blobs
            .flat_map(Document::blobs)
            .filter(|blob| seen.insert(blob.digest.clone()))
            .collect::<Vec<_>>();
        let (missing, known) = match missing(self, workload, &blobs).await {
            // Without a server the namespace is made when it is first used.
            Err(error) if error.code == "namespace_unknown" && self.is_local() => (blobs, 0),
            found => found?,
        };
        Ok(Standing { is_there, missing, known, news })
    }

    /// The same of several versions, of which those that come later are sent nothing that the namespace gets with the first.
    pub async fn standings(&self, versions: Vec<Carried>) -> Result<Vec<(Carried, Standing)>> {
        let mut work = Vec::with_capacity(versions.len());
        let mut coming = BTreeSet::new();
        for carried in versions {
            let mut standing = self.standing(&carried).await?;
            let before = standing.missing.len();
            let namespace = carried.workload.namespace();
            standing.missing.retain(|blob| coming.insert((namespace.clone(), blob.digest.clone())));
            standing.known += before - standing.missing.len();
            work.push((carried, standing));
        }
        Ok(work)
    }

    /// Brings a version in, with what is said about it.
    pub async fn deliver(
        &self,
        carried: &Carried,
        standing: Standing,
        source: &Source<'_>,
        progress: &Progress,
    ) -> Result<Delivered> {
        let Carried { workload, version, document, .. } = carried;
        let (blobs_sent, bytes_sent) = (standing.missing.len(), standing.size());
        let open = Open::default();
        let work = standing.missing.iter().map(|blob| source.send(blob, self, workload, &open, progress));
        let sent = stream::iter(work).buffer_unordered(AT_A_TIME).try_collect::<Vec<()>>().await;
        self.give_up(open).await;
        sent?;
        if !standing.is_there {
            self.put_manifest(workload, &version.to_string(), document).await?;
        }
        let mut delivered = Delivered {
            workload: workload.clone(),
            version: version.clone(),
            digest: document.digest.clone(),
            created: !standing.is_there,
            blobs_known: standing.known,
            blobs_sent,
            bytes_sent,
            evidence: 0,
            imported: 0,
            evidence_known: 0,
            left_out: carried.left_out.clone(),
            refused: Vec::new(),
        };
        self.say(carried, source, &mut delivered).await?;
        Ok(delivered)
    }

    async fn put_manifest(&self, workload: &Workload, reference: &str, document: &Document) -> Result<()> {
        let call = Call::new(Method::PUT, format!("/v2/{workload}/manifests/{reference}"))
            .header(header::CONTENT_TYPE, &document.manifest.media_type)
            .bytes(document.bytes.clone());
        let reply = self.send(call).await?;
        match reply.header("docker-content-digest") {
            Some(digest) if digest == document.digest.as_str() => Ok(()),
            _ => Err(Error::integrity(
                "digest_mismatch",
                format!("the registry does not say that it has the manifest: {}", document.digest),
            )),
        }
    }

    /// What is said about a version, or about that, and is not there, with what is there of the same kind about the same.
    async fn news<'a>(&self, carried: &'a Carried) -> Result<Vec<(&'a Document, Vec<Digest>)>> {
        if carried.said.is_empty() {
            return Ok(Vec::new());
        }
        let version = &carried.document.digest;
        let there = self.referrers(&carried.workload, version).await?;
        let others: BTreeSet<&Digest> =
            carried.said.iter().filter_map(Document::subject).filter(|subject| *subject != version).collect();
        let further = self.referrers_of_all(&carried.workload, others.into_iter().cloned().collect()).await?;
        let digests: BTreeSet<&Digest> = there.iter().chain(&further).map(|one| &one.digest).collect();
        let imported = EvidenceKind::Imported.artifact_type();
        let mut alike = BTreeMap::<(&str, &str), Vec<Digest>>::new();
        for one in &there {
            let topic = one.annotations.get(ABOUT).map(String::as_str).unwrap_or_default();
            alike
                .entry((one.artifact_type.as_deref().unwrap_or_default(), topic))
                .or_default()
                .push(one.digest.clone());
        }
        let is_there = |document: &Document| {
            // Under its own digest; as something that was imported from elsewhere; or it is what was said here, come back.
            let topic = document.annotation(ABOUT);
            digests.contains(&document.digest)
                || alike.contains_key(&(imported.as_str(), document.digest.as_str()))
                || document.manifest.artifact_type.as_deref() == Some(imported.as_str())
                    && (alike.contains_key(&(imported.as_str(), topic))
                        || digests.iter().any(|digest| digest.as_str() == topic))
        };
        let news = carried.said.iter().filter(|document| !is_there(document));
        let with_alike = news.map(|document| {
            let kind = document.manifest.artifact_type.as_deref().unwrap_or_default();
            let alike = alike.get(&(kind, document.annotation(ABOUT))).cloned().unwrap_or_default();
            (document, alike)
        });
        Ok(with_alike.collect())
    }

    /// Says here what was said about a version there. What a registry only takes from a verb of its own informs.
    async fn say(&self, carried: &Carried, source: &Source<'_>, delivered: &mut Delivered) -> Result<()> {
        let news = self.news(carried).await?;
        delivered.evidence_known = carried.said.len() - news.len();
        let mut not_taken = BTreeSet::new();
        for (document, alike) in news {
            if document.subject().is_some_and(|subject| not_taken.contains(subject)) {
                not_taken.insert(&document.digest);
                delivered.refused.push(format!("{}: nor was what it is about", document.label()));
                continue;
            }
            let is_imported = is_reserved(&document.manifest);
            let outcome = match is_imported {
                true => self.import(carried, document, source).await.map(|()| true),
                false => self.say_one(carried, document, &alike, source).await,
            };
            match outcome {
                Ok(true) if is_imported => delivered.imported += 1,
                Ok(true) => delivered.evidence += 1,
                Ok(false) => delivered.evidence_known += 1,
                // The registry's judgement of one piece; the others are as good as before.
                Err(error) if is_judgement(&error) => {
                    not_taken.insert(&document.digest);
                    let (message, code) = (&error.message, error.code);
                    delivered.refused.push(format!("{}: {message} [{code}]", document.label()));
                }
                Err(error) => return Err(about(&document.digest, error)),
            }
        }
        Ok(())
    }

    /// Pushes what is said as it is. Of a file that said several things no single one can be pushed; that is attached.
    /// Answers false if it is there.
    async fn say_one(
        &self,
        carried: &Carried,
        document: &Document,
        alike: &[Digest],
        source: &Source<'_>,
    ) -> Result<bool> {
        let workload = &carried.workload;
        let kind = document.manifest.artifact_type.as_deref().and_then(EvidenceKind::of_artifact_type);
        match (self.put_manifest(workload, document.digest.as_str(), document).await, kind) {
            (Err(error), Some(kind)) if error.code == "evidence_invalid" => {
                let Some((payload, rest)) = document.manifest.layers.split_first() else { return Err(error) };
                for digest in alike {
                    let there = self.document(workload, digest).await?;
                    if there.manifest.layers.first().is_some_and(|layer| layer.digest == payload.digest) {
                        return Ok(false);
                    }
                }
                let bytes = source.whole(bounded(payload)?).await?;
                let key = match rest.iter().find(|layer| layer.media_type == PEM) {
                    Some(layer) => String::from_utf8(source.whole(bounded(layer)?).await?).ok(),
                    None => None,
                };
                let attached = self.attach(&exactly(carried), Some(kind), key.as_deref(), bytes).await?;
                Ok(attached.evidence.iter().any(|one| one.created))
            }
            (outcome, _) => outcome.map(|()| true),
        }
    }

    async fn import(&self, carried: &Carried, document: &Document, source: &Source<'_>) -> Result<()> {
        let bytes = carried.imported(document, source).await?;
        self.attach(&exactly(carried), Some(EvidenceKind::Imported), None, bytes).await.map(drop)
    }
}

impl Carried {
    /// The file that brings along what a registry only takes from a verb of its own.
    pub(super) async fn imported(&self, document: &Document, source: &Source<'_>) -> Result<Vec<u8>> {
        let manifest = String::from_utf8(document.bytes.clone())
            .map_err(|_| Error::invalid("manifest_invalid", "the manifest is no text"))?;
        let payload = match document.manifest.layers.first() {
            Some(layer) if layer.size <= MAX_BYTES as u64 => {
                String::from_utf8(source.whole(layer).await?).ok()
            }
            _ => None,
        };
        let subject = &self.document.digest;
        ImportedFile::new(subject, manifest, payload, self.registry.clone()).to_bytes(MAX_BYTES)
    }
}

/// Evidence that is larger was never taken by any registry.
fn bounded(layer: &Descriptor) -> Result<&Descriptor> {
    match layer.size <= MAX_BYTES as u64 {
        true => Ok(layer),
        false => {
            Err(Error::too_large("evidence_too_large", format!("the evidence has {} bytes", layer.size))
                .hint(format!("at most {MAX_BYTES}")))
        }
    }
}

/// The version by its content.
fn exactly(carried: &Carried) -> Reference {
    Reference {
        workload: carried.workload.clone(),
        selector: Selector::Digest(carried.document.digest.clone()),
    }
}

fn is_judgement(error: &Error) -> bool {
    matches!(error.kind, Kind::Invalid | Kind::NotAllowed | Kind::TooLarge | Kind::Conflict | Kind::Integrity)
}

fn taken(carried: &Carried, there: &str) -> Error {
    Error::conflict(
        "version_taken",
        format!("the number has other content there: {} is {there}", carried.reference()),
    )
    .hint("versions never change; nothing was sent. Bring it in under another number: --to NAMESPACE/NAME:VERSION")
}

/// An answer to HEAD has no words; the same question by another way has.
async fn head_failed(client: &Client, carried: &Carried, error: Error) -> Error {
    match client.resolve(&exactly(carried)).await {
        Err(told) if told.kind == error.kind => told,
        _ => error,
    }
}
