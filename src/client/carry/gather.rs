//! What is said about a version, what is said about that, and so on: gathered level by level, within bounds. What does not go
//! along is told, since anybody who may push may say something.

use super::{AT_A_TIME, Document};
use crate::{
    client::Client,
    error::Result,
    model::{
        digest::{Digest, shorten},
        evidence::{CREATED, EvidenceKind},
        manifest::{Descriptor, IMAGE},
        name::Workload,
    },
};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::BTreeSet;

/// How far from the version: 1 is what is about the version itself.
const DEPTH_MAX: usize = 4;
/// Most manifests about one version, and bytes of all of them, which are kept in memory.
const DOCUMENTS_MAX: usize = 10_000;
const BYTES_MAX: u64 = 256 << 20;

/// What was gathered so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    seen: BTreeSet<Digest>,
    depth: usize,
    count: usize,
    size: u64,
    said: Vec<Document>,
    left_out: Vec<String>,
    too_far: usize,
    too_many: usize,
}

impl Gathered {
    /// Begins another level with all that is about the last one. Answers what of it is to be read.
    pub fn choose(&mut self, mut found: Vec<Descriptor>) -> BTreeSet<Digest> {
        self.depth += 1;
        found.retain(|one| self.seen.insert(one.digest.clone()));
        if self.depth > DEPTH_MAX {
            self.too_far += found.len();
            return BTreeSet::new();
        }
        // Where not all goes along, what gates read comes first.
        found.sort_by_key(|one| kind(one.artifact_type.as_deref()).is_none());
        let mut chosen = BTreeSet::new();
        for one in found {
            let size = self.size.saturating_add(one.size);
            if self.count == DOCUMENTS_MAX || size > BYTES_MAX {
                self.too_many += 1;
                continue;
            }
            (self.count, self.size) = (self.count + 1, size);
            chosen.insert(one.digest);
        }
        chosen
    }

    /// Takes what was chosen. Answers about what to look further.
    pub fn take(&mut self, mut documents: Vec<Document>) -> Vec<Digest> {
        documents.retain(|document| {
            let why = self.why_not(document);
            self.left_out.extend(why.map(|why| format!("{}: {why}", document.label())));
            why.is_none()
        });
        // What was said last counts, so the order must not be lost.
        documents.sort_by(|a, b| (a.annotation(CREATED), &a.digest).cmp(&(b.annotation(CREATED), &b.digest)));
        let below = documents.iter().map(|document| document.digest.clone()).collect();
        self.said.append(&mut documents);
        below
    }

    fn why_not(&self, document: &Document) -> Option<&'static str> {
        let is_evidence = kind(document.manifest.artifact_type.as_deref()).is_some();
        match document.manifest.media_type == IMAGE {
            false => Some("an index or a Docker manifest about something else, with all about it"),
            true if is_evidence && self.depth > 1 => {
                Some("evidence about another version goes with that one")
            }
            true => None,
        }
    }

    /// All that goes along, each after that which it is about, and what was left out.
    pub fn finish(mut self) -> (Vec<Document>, Vec<String>) {
        let bounds = [
            (self.too_far, format!("more than {DEPTH_MAX} steps from the version")),
            (self.too_many, format!("more than {DOCUMENTS_MAX} manifests or {BYTES_MAX} bytes of them")),
        ];
        let over = bounds.into_iter().filter(|(count, _)| *count > 0);
        self.left_out.extend(over.map(|(count, why)| format!("{count} in number: {why}")));
        (self.said, self.left_out)
    }
}

fn kind(artifact_type: Option<&str>) -> Option<EvidenceKind> {
    artifact_type.and_then(EvidenceKind::of_artifact_type)
}

impl Document {
    /// What to call it to people. Its type is whatever somebody wrote.
    pub(super) fn label(&self) -> String {
        let kind = self.manifest.artifact_type.as_deref().unwrap_or("unknown");
        format!("{} ({})", self.digest.short(), shorten(kind))
    }
}

impl Client {
    /// Fetches what is said about a version. Answers also what was left out.
    pub(super) async fn gather(
        &self,
        workload: &Workload,
        version: &Digest,
    ) -> Result<(Vec<Document>, Vec<String>)> {
        let mut gathered = Gathered::default();
        let mut about = vec![version.clone()];
        while !about.is_empty() {
            let chosen = gathered.choose(self.referrers_of_all(workload, about).await?);
            let work = chosen.into_iter().map(|digest| async move { self.document(workload, &digest).await });
            about = gathered.take(stream::iter(work).buffered(AT_A_TIME).try_collect().await?);
        }
        Ok(gathered.finish())
    }

    /// Descriptors of all manifests whose subject is one of these.
    pub(super) async fn referrers_of_all(
        &self,
        workload: &Workload,
        subjects: Vec<Digest>,
    ) -> Result<Vec<Descriptor>> {
        let work =
            subjects.into_iter().map(|subject| async move { self.referrers(workload, &subject).await });
        let found: Vec<Vec<Descriptor>> = stream::iter(work).buffered(AT_A_TIME).try_collect().await?;
        Ok(found.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn document(media_type: &str, artifact_type: &str, created: &str) -> Document {
        let config = json!({ "mediaType": "application/json", "digest": Digest::sha256(b"{}"), "size": 2 });
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": media_type, "artifactType": artifact_type,
            "annotations": { CREATED: created },
        });
        match media_type {
            IMAGE => manifest["config"] = config,
            _ => manifest["manifests"] = json!([]),
        }
        let bytes = manifest.to_string().into_bytes();
        Document::read(&Digest::sha256(&bytes), None, bytes).unwrap()
    }

    fn next(gathered: &mut Gathered, documents: &[Document]) -> usize {
        let chosen = gathered.choose(documents.iter().map(Document::descriptor).collect());
        let documents = documents.iter().filter(|document| chosen.contains(&document.digest));
        gathered.take(documents.cloned().collect()).len()
    }

    #[test]
    fn what_is_about_a_thing_comes_after_it() {
        let later = document(IMAGE, "sbom", "2026-03-02");
        let early = document(IMAGE, "signature", "2026-03-01");
        let about = document(IMAGE, "signature", "2026-01-01");
        let mut gathered = Gathered::default();
        assert_eq!(next(&mut gathered, &[later.clone(), early.clone()]), 2);
        assert_eq!(next(&mut gathered, &[about.clone(), early.clone()]), 1, "each once");
        let (said, left_out) = gathered.finish();
        let digests: Vec<Digest> = said.into_iter().map(|document| document.digest).collect();
        assert_eq!(digests, [early.digest, later.digest, about.digest]);
        assert_eq!(left_out, Vec::<String>::new());
    }

    #[test]
    fn what_does_not_go_along_is_told() {
        let evidence = document(IMAGE, &EvidenceKind::Scan.artifact_type(), "");
        let index = document(crate::model::manifest::INDEX, "list\n\u{1b}[1m", "");
        let mut gathered = Gathered::default();
        assert_eq!(next(&mut gathered, &[evidence, index]), 1);
        let (said, left_out) = gathered.finish();
        assert_eq!((said.len(), left_out.len()), (1, 1), "{left_out:?}");
        assert!(left_out[0].contains("an index") && !left_out[0].contains(char::is_control), "{left_out:?}");

        let mut gathered = Gathered::default();
        for level in 0..6 {
            let found = document(IMAGE, &format!("level {level}"), "");
            assert_eq!(next(&mut gathered, &[found]), usize::from(level < DEPTH_MAX), "{level}");
        }
        let nested = document(IMAGE, &EvidenceKind::Scan.artifact_type(), "again");
        let mut second = Gathered { depth: 1, ..Gathered::default() };
        assert_eq!(next(&mut second, &[nested]), 0);
        assert!(second.finish().1[0].contains("goes with that one"));
        let (said, left_out) = gathered.finish();
        assert_eq!(said.len(), DEPTH_MAX);
        assert!(left_out.len() == 1 && left_out[0].starts_with("2 in number"), "{left_out:?}");
    }

    #[test]
    fn there_is_an_end_to_how_much_goes_along() {
        let descriptor = |number: usize, artifact_type: String, size: u64| Descriptor {
            artifact_type: Some(artifact_type),
            digest: Digest::sha256(number.to_string().as_bytes()),
            size,
            ..document(IMAGE, "x", "").descriptor()
        };
        let mut found: Vec<_> = (0..DOCUMENTS_MAX).map(|number| descriptor(number, "x".into(), 1)).collect();
        found.push(descriptor(DOCUMENTS_MAX, EvidenceKind::Scan.artifact_type(), 1));
        let scan = found[DOCUMENTS_MAX].digest.clone();
        let mut gathered = Gathered::default();
        let chosen = gathered.choose(found);
        assert!(chosen.len() == DOCUMENTS_MAX && chosen.contains(&scan));
        assert!(gathered.finish().1[0].starts_with("1 in number"));
        let mut gathered = Gathered::default();
        assert_eq!(gathered.choose(vec![descriptor(0, "x".into(), u64::MAX)]).len(), 0);
    }
}
