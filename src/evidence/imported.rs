//! What was said at another registry by a verb of its own, brought along with its exact bytes. The manifest and the payload
//! are in the file, so that what is kept of them is read here and not believed.

use super::document::{Document, parse_json};
use super::{About, Format, Read, as_name, check_subject, malformed};
use crate::error::{Error, Result};
use crate::model::digest::{Digest, shorten};
use crate::model::evidence::{BY, CREATED, EvidenceKind, Imported, Statement};
use crate::model::manifest::{IMAGE, Manifest};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) const FORMAT: Format = Format {
    name: "evidence of another registry (gradus: imported/v1)",
    kind: EvidenceKind::Imported,
    recognises: |document| document.gradus() == Some("imported/v1"),
    read,
};

/// Most characters that are kept of what somebody wrote there.
const TEXT: usize = 500;
const NAME: usize = 200;

/// Evidence of another registry that comes only from verbs of its own there.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedFile {
    gradus: FormatVersion,
    /// The exact bytes of its OCI manifest, whose subject is the version.
    manifest: String,
    /// The exact bytes of the manifest's first layer. Left out where they are too large, or no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    /// The other registry's name, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registry: Option<String>,
    /// The manifest digest of the version. If given, the file can be attached to that one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Digest>,
}

#[derive(Deserialize, Serialize)]
enum FormatVersion {
    #[serde(rename = "imported/v1")]
    V1,
}

impl ImportedFile {
    /// The file that brings a piece of evidence along.
    pub fn new(
        subject: &Digest,
        manifest: String,
        payload: Option<String>,
        registry: Option<String>,
    ) -> Self {
        Self { gradus: FormatVersion::V1, manifest, payload, registry, subject: Some(subject.clone()) }
    }

    /// Its bytes, without the payload where they would be too large with it.
    pub fn to_bytes(mut self, most: usize) -> Result<Vec<u8>> {
        let bytes = self.encode()?;
        if bytes.len() <= most {
            return Ok(bytes);
        }
        self.payload = None;
        self.encode()
    }

    fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|source| {
            Error::internal("evidence_encoding", "evidence could not be written").source(source)
        })
    }
}

fn read(document: Document, about: &About) -> Result<Vec<Read>> {
    let file: ImportedFile = document.typed("evidence of another registry")?;
    check_subject(file.subject.as_ref(), about)?;
    let manifest = Manifest::parse(file.manifest.as_bytes(), Some(IMAGE))
        .map_err(|error| malformed(format!("not evidence of another registry: {}", error.message)))?;
    let artifact_type = manifest.artifact_type.as_deref().unwrap_or_default();
    let kind = EvidenceKind::of_artifact_type(artifact_type).filter(|kind| !kind.is_attachable());
    let kind = kind.ok_or_else(|| {
        malformed(format!("what it brings along is nothing that is imported: {}", shorten(artifact_type)))
            .hint("what may be attached, or pushed as OCI content, is brought along as it is")
    })?;
    match &manifest.subject {
        Some(subject) => check_subject(Some(&subject.digest), about)?,
        None => return Err(malformed("what it brings along has no subject")),
    }
    let payload = match &file.payload {
        Some(text) => {
            let named = manifest.layers.first().map(|layer| &layer.digest);
            if named.is_none_or(|named| named.algorithm().digest(text.as_bytes()) != *named) {
                return Err(malformed("the payload is not what its manifest names"));
            }
            parse_json(text.as_bytes())?
        }
        None => Value::Null,
    };
    let (said, stage, reason) = words(kind, &payload);
    let annotation = |name: &str| manifest.annotations.get(name).map(String::as_str);
    let at = annotation(CREATED).and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let short = |text: &str, max| Some(as_name(text, max)).filter(|text| !text.is_empty());
    Ok(vec![
        Statement::Imported(Imported {
            original: Digest::sha256(file.manifest.as_bytes()),
            about: kind,
            said: as_name(&said, NAME),
            stage: stage.and_then(|stage| stage.parse().ok()),
            by: annotation(BY).and_then(|by| short(by, NAME)),
            at: at.map(|at| at.with_timezone(&Utc)),
            reason: reason.and_then(|reason| short(reason, TEXT)),
            registry: file.registry.as_deref().and_then(|name| short(name, NAME)),
        })
        .into(),
    ])
}

/// What it said, for which stage, and why.
fn words(kind: EvidenceKind, payload: &Value) -> (String, Option<&str>, Option<&str>) {
    let text = |name: &str| payload[name].as_str();
    let said = match (kind, text("decision"), text("target"), payload["run"]["verdict"].as_str()) {
        (EvidenceKind::Approval, Some("approve"), ..) => "approved".to_owned(),
        (EvidenceKind::Approval, Some("reject"), ..) => "rejected".to_owned(),
        (EvidenceKind::DriftReport, .., Some(verdict)) => format!("drift report: {verdict}"),
        (EvidenceKind::DeploymentHealth, _, Some(target), _) => {
            match (&payload["withdrawn"], &payload["healthy"]) {
                (Value::Bool(true), _) => format!("health of {target} taken back"),
                (_, Value::Bool(true)) => format!("{target} is healthy"),
                _ => format!("{target} is not healthy"),
            }
        }
        _ => kind.name().replace('_', " "),
    };
    (said, text("stage"), text("message"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{DIGEST, code, only};
    use super::*;
    use serde_json::json;

    fn manifest(kind: &str, payload: &str, subject: &str) -> String {
        let layer = |bytes: &[u8]| json!({ "digest": Digest::sha256(bytes), "mediaType": "application/json", "size": bytes.len() });
        json!({
            "annotations": { BY: "ann", CREATED: "2026-03-01T10:00:00.000000Z" },
            "artifactType": format!("application/vnd.gradus.evidence.{kind}.v1+json"),
            "config": layer(b"{}"), "layers": [layer(payload.as_bytes())], "mediaType": IMAGE, "schemaVersion": 2,
            "subject": { "digest": subject, "mediaType": IMAGE, "size": 1 },
        })
        .to_string()
    }

    fn file(manifest: String, payload: Option<&str>) -> String {
        let subject = DIGEST.parse().unwrap();
        let file = ImportedFile::new(
            &subject,
            manifest,
            payload.map(str::to_owned),
            Some("models.example.org".into()),
        );
        String::from_utf8(file.to_bytes(1 << 20).unwrap()).unwrap()
    }

    const APPROVAL: &str = r#"{"gradus":"approval/v1","decision":"approve","stage":"production","message":"looked at\nit \u001b[1m"}"#;

    #[test]
    fn an_approval_of_another_registry_says_so_in_a_sentence() {
        let manifest = manifest("approval", APPROVAL, DIGEST);
        let Statement::Imported(said) = only(&file(manifest.clone(), Some(APPROVAL))) else { panic!() };
        assert_eq!(said.original, Digest::sha256(manifest.as_bytes()));
        assert_eq!(
            said.sentence(),
            "imported: approved for production by ann on 2026-03-01 at models.example.org: looked at it [1m; does not count here"
        );
        let Statement::Imported(said) = only(&file(manifest, None)) else { panic!() };
        assert_eq!((said.said.as_str(), said.stage), ("approval", None), "what is not there is not made up");
    }

    #[test]
    fn a_payload_that_is_too_large_is_left_out() {
        let manifest = manifest("approval", APPROVAL, DIGEST);
        let subject = DIGEST.parse().unwrap();
        let file = |most| {
            let file = ImportedFile::new(&subject, manifest.clone(), Some(APPROVAL.to_owned()), None);
            file.to_bytes(most).unwrap()
        };
        let whole = file(1 << 20);
        assert!(file(whole.len() - 1).len() < whole.len() - APPROVAL.len());
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let health = r#"{"healthy":true,"target":"eu-1"}"#;
        let other = Digest::sha256(b"another version").to_string();
        for (text, wanted) in [
            (file(manifest("approval", health, DIGEST), Some(APPROVAL)), "evidence_malformed"),
            (file(manifest("approval", APPROVAL, &other), Some(APPROVAL)), "evidence_subject"),
            (file(manifest("evaluation", APPROVAL, DIGEST), Some(APPROVAL)), "evidence_malformed"),
            (file(manifest("imported", APPROVAL, DIGEST), Some(APPROVAL)), "evidence_malformed"),
            (file("{}".into(), None), "evidence_malformed"),
            (r#"{"gradus":"imported/v1"}"#.into(), "evidence_malformed"),
        ] {
            assert_eq!(code(&text), wanted, "{text}");
        }
        let Statement::Imported(said) =
            only(&file(manifest("deployment-health", health, DIGEST), Some(health)))
        else {
            panic!()
        };
        assert_eq!(said.said, "eu-1 is healthy");
    }
}
