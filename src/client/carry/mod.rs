//! Versions on their way between registries, with everything that is said about them: to a folder as an OCI image layout,
//! from such a folder, or straight to another registry. Nothing is sent before all of it was verified.

mod deliver;
mod folder;
mod gather;
mod index;
mod layout;
mod names;
mod room;
mod source;
mod write;

pub use deliver::{Delivered, Standing};
pub use layout::{Layout, Wanted};
pub use source::{Source, is_not_given};
pub use write::{Exported, Writer};

use super::{Call, Client};
use crate::{
    error::{Error, Result},
    model::{
        digest::Digest,
        manifest::{Descriptor, Manifest},
        name::Workload,
        note::Verifier,
        resolution::Resolution,
        version::Version,
    },
};
use http::{Method, header};
use std::collections::BTreeSet;

/// Annotations of a layout's index: of a version, its whole reference, its workload, and the registry it comes from.
const REFERENCE: &str = "dev.gradus.reference";
const WORKLOAD: &str = "dev.gradus.workload";
const REGISTRY: &str = "dev.gradus.registry";
/// The name that tools of other makers ask for.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// What only an entry of a version may say.
const NAMES: [&str; 4] = [REFERENCE, WORKLOAD, REGISTRY, REF_NAME];

/// Manifests fetched at a time.
const AT_A_TIME: usize = 8;
/// Referrers asked for at a time, and most of one manifest.
const PAGE: usize = 1000;
const REFERRERS_MAX: usize = 1_000_000;

/// A manifest on its way: its exact bytes, and what they say.
#[derive(Clone, Debug)]
pub struct Document {
    pub digest: Digest,
    pub bytes: Vec<u8>,
    pub manifest: Manifest,
}

impl Document {
    /// Reads a manifest that must have a digest.
    pub fn read(digest: &Digest, media_type: Option<&str>, bytes: Vec<u8>) -> Result<Self> {
        if digest.algorithm().digest(&bytes) != *digest {
            return Err(Error::integrity(
                "digest_mismatch",
                format!("the bytes of the manifest do not have its digest: {digest}"),
            )
            .hint("they were damaged on the way, or somebody changed them; fetch them again, or write or copy the layout again"));
        }
        let manifest = Manifest::parse(&bytes, media_type).map_err(|error| about(digest, error))?;
        Ok(Self { digest: digest.clone(), bytes, manifest })
    }

    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            annotations: self.manifest.annotations.clone(),
            artifact_type: self.manifest.artifact_type.clone(),
            digest: self.digest.clone(),
            media_type: self.manifest.media_type.clone(),
            size: self.bytes.len() as u64,
        }
    }

    /// The blobs it needs, each once, or as often as it is said to have another size.
    pub fn blobs(&self) -> Vec<Descriptor> {
        let mut seen = BTreeSet::new();
        self.manifest.blobs().filter(|blob| seen.insert((&blob.digest, blob.size))).cloned().collect()
    }

    /// What it is about.
    fn subject(&self) -> Option<&Digest> {
        self.manifest.subject.as_ref().map(|subject| &subject.digest)
    }

    fn annotation(&self, name: &str) -> &str {
        self.manifest.annotations.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// A version with what is said about it: each thing after that which it is about, then in the order in which it was said.
#[derive(Clone, Debug)]
pub struct Carried {
    pub workload: Workload,
    pub version: Version,
    pub document: Document,
    pub said: Vec<Document>,
    /// What of it does not go along, and why.
    pub left_out: Vec<String>,
    /// The name of the registry it comes from, if that is known.
    pub registry: Option<String>,
}

impl Carried {
    pub fn reference(&self) -> String {
        format!("{}:{}", self.workload, self.version)
    }

    /// All its blobs, each once, or as often as it is said to have another size.
    pub fn blobs(&self) -> Vec<Descriptor> {
        let mut seen = BTreeSet::new();
        let documents = std::iter::once(&self.document).chain(&self.said);
        let blobs = documents.flat_map(Document::blobs);
        blobs.filter(|blob| seen.insert((blob.digest.clone(), blob.size))).collect()
    }
}

impl Client {
    /// A manifest, verified.
    async fn document(&self, workload: &Workload, digest: &Digest) -> Result<Document> {
        let reply = self.send(Call::new(Method::GET, format!("/v2/{workload}/manifests/{digest}"))).await?;
        let media_type = reply.header(header::CONTENT_TYPE).map(str::to_owned);
        Document::read(digest, media_type.as_deref(), reply.bytes().await?)
    }

    /// Descriptors of all manifests whose subject is this one.
    async fn referrers(&self, workload: &Workload, subject: &Digest) -> Result<Vec<Descriptor>> {
        #[derive(serde::Deserialize)]
        struct Index {
            manifests: Vec<Descriptor>,
        }
        let (mut all, mut last) = (Vec::<Descriptor>::new(), String::new());
        loop {
            let path = format!("/v2/{workload}/referrers/{subject}?n={PAGE}{last}");
            let reply = self.send(Call::new(Method::GET, path)).await?;
            let has_more = reply.header(header::LINK).is_some();
            let index: Index = serde_json::from_slice(&reply.bytes().await?).map_err(|source| {
                Error::unavailable("answer_invalid", "the server's list of referrers cannot be read")
                    .source(source)
            })?;
            let Some(end) = index.manifests.last().filter(|_| has_more).map(|end| end.digest.clone()) else {
                all.extend(index.manifests);
                return Ok(all);
            };
            // Pages go up in digests, or there would be no end to them.
            if all.last().is_some_and(|before| before.digest >= end) || all.len() > REFERRERS_MAX {
                return Err(Error::unavailable(
                    "answer_invalid",
                    format!("the server's list of what is said about {subject} has no end"),
                ));
            }
            last = format!("&last={end}");
            all.extend(index.manifests);
        }
    }

    /// The name in the registry's log, by which it is known elsewhere.
    pub async fn registry_name(&self) -> Option<String> {
        let key: Verifier = self.log_text("key").await.ok()?.trim().parse().ok()?;
        Some(key.name())
    }

    /// A version with what is said about it, as it leaves this registry.
    pub async fn carry(
        &self,
        version: &Resolution,
        evidence: bool,
        registry: Option<String>,
    ) -> Result<Carried> {
        let workload = &version.workload;
        let document = self.document(workload, &version.digest).await?;
        let (said, left_out) = match evidence {
            true => self.gather(workload, &version.digest).await?,
            false => Default::default(),
        };
        let (workload, version) = (workload.clone(), version.version.clone());
        Ok(Carried { workload, version, document, said, left_out, registry })
    }
}

/// The same failure, saying of which manifest or blob.
fn about(digest: &Digest, mut error: Error) -> Error {
    error.message = format!("{digest}: {}", error.message);
    error
}
