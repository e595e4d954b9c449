//! OCI manifests (image-spec 1.1) as they arrive: parsed strictly, never rewritten. Their bytes are
//! stored and served as they came, since the digest is over the bytes.

use super::{
    digest::{Digest, shorten},
    json,
};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Largest manifest accepted, in bytes (the distribution-spec asks for at least 4 MiB).
pub const MANIFEST_MAX: usize = 4 * 1024 * 1024;
const DEPTH_MAX: usize = 32;

pub const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub const EMPTY_CONFIG: &str = "application/vnd.oci.empty.v1+json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    // Fields in alphabetical order: serialised manifests and referrer lists have sorted keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    pub digest: Digest,
    pub media_type: String,
    pub size: u64,
}

#[derive(Clone, Debug)]
pub struct Manifest {
    /// From the body, else from the request's Content-Type.
    pub media_type: String,
    /// `artifactType`, or the config's media type where the image-spec says so.
    pub artifact_type: Option<String>,
    pub config: Option<Descriptor>,
    pub layers: Vec<Descriptor>,
    /// The entries of an index.
    pub manifests: Vec<Descriptor>,
    pub subject: Option<Descriptor>,
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

/// Whether all that is read as a struct is an object: serde would take an array too, other readers would not.
fn is_shaped(value: &serde_json::Value) -> bool {
    let is_object = |name: &str| value.get(name).is_none_or(|value| value.is_object() || value.is_null());
    let are_objects = |name: &str| {
        value
            .get(name)
            .and_then(|list| list.as_array())
            .is_none_or(|list| list.iter().all(|item| item.is_object()))
    };
    value.is_object()
        && ["config", "subject"].into_iter().all(is_object)
        && ["layers", "manifests"].into_iter().all(are_objects)
}

impl Manifest {
    /// Reads a manifest. `content_type` is what the request said it is.
    pub fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Self> {
        let refuse =
            |why: String| Error::invalid("manifest_invalid", format!("not a usable manifest: {why}"));
        if bytes.len() > MANIFEST_MAX {
            return Err(Error::too_large(
                "manifest_too_large",
                format!("the manifest has {} bytes", bytes.len()),
            )
            .hint(format!("at most {MANIFEST_MAX} bytes; put the content into a layer")));
        }
        let value = json::parse_strict(bytes, DEPTH_MAX).map_err(|error| refuse(error.message.clone()))?;
        if !is_shaped(&value) {
            return Err(refuse("it and its descriptors must be objects".into()));
        }
        let body: Body =
            serde_json::from_value(value).map_err(|error| refuse(shorten(&error.to_string())))?;
        if body.schema_version != Some(2) {
            return Err(refuse("schemaVersion must be 2".into()));
        }
        let content_type = content_type.map(|text| text.split(';').next().unwrap_or(text).trim());
        let media_type = match (&body.media_type, content_type) {
            (Some(inside), Some(outside)) if inside != outside => {
                return Err(refuse(format!(
                    "mediaType is {}, Content-Type is {}",
                    shorten(inside),
                    shorten(outside)
                )));
            }
            (Some(media_type), _) => media_type.clone(),
            (None, Some(media_type)) => media_type.to_owned(),
            (None, None) => return Err(refuse("neither mediaType nor Content-Type is given".into())),
        };
        let is_index = match media_type.as_str() {
            IMAGE | DOCKER_IMAGE => false,
            INDEX | DOCKER_LIST => true,
            other => {
                return Err(refuse(format!("unsupported media type: {}", shorten(other)))
                    .hint(format!("use {IMAGE} or {INDEX}, with artifactType for what it holds")));
            }
        };
        // The same bytes must not be an image to one reader and an index to another (CVE-2021-41190).
        if is_index && (body.layers.is_some() || body.config.is_some()) {
            return Err(refuse("an index cannot have layers or a config".into()));
        }
        if !is_index && body.manifests.is_some() {
            return Err(refuse("an image manifest cannot list manifests".into()));
        }
        if !is_index && body.config.is_none() {
            return Err(refuse("config is missing".into()));
        }
        let artifact_type =
            body.artifact_type.or_else(|| body.config.as_ref().map(|config| config.media_type.clone()));
        Ok(Self {
            media_type,
            artifact_type,
            config: body.config,
            layers: body.layers.unwrap_or_default(),
            manifests: body.manifests.unwrap_or_default(),
            subject: body.subject,
            annotations: body.annotations.unwrap_or_default(),
        })
    }

    /// The blobs that must be in the repository before this manifest can be.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let foreign = |layer: &&Descriptor| {
            !layer.media_type.contains("nondistributable") && !layer.media_type.contains(".foreign.")
        };
        self.config.iter().chain(self.layers.iter().filter(foreign))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        Digest::sha256(b"{}")
    }

    #[test]
    fn refuses_ambiguous_manifests() {
        let config = format!(r#""config":{{"mediaType":"{EMPTY_CONFIG}","digest":"{}","size":2}}"#, digest());
        let good = format!(r#"{{"schemaVersion":2,"mediaType":"{IMAGE}",{config},"layers":[]}}"#);
        let manifest = Manifest::parse(good.as_bytes(), Some(IMAGE)).unwrap();
        assert_eq!(manifest.artifact_type.as_deref(), Some(EMPTY_CONFIG));
        for (bad, content_type) in [
            (good.clone(), Some(INDEX)),
            (format!(r#"{{"schemaVersion":2,{config},"layers":[]}}"#), None),
            (format!(r#"{{"schemaVersion":2,"mediaType":"{IMAGE}",{config},"manifests":[]}}"#), None),
            (format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}",{config},"manifests":[]}}"#), None),
            (format!(r#"{{"schemaVersion":2,"mediaType":"{IMAGE}","layers":[]}}"#), None),
            (format!(r#"{{"schemaVersion":1,"mediaType":"{IMAGE}",{config}}}"#), None),
            (format!(r#"{{"schemaVersion":2,"schemaVersion":2,"mediaType":"{IMAGE}",{config}}}"#), None),
            ("[".repeat(10_000), Some(IMAGE)),
            ("nonsense".into(), Some(IMAGE)),
        ] {
            assert_eq!(
                Manifest::parse(bad.as_bytes(), content_type).unwrap_err().code,
                "manifest_invalid",
                "{bad}"
            );
        }
        assert_eq!(
            Manifest::parse(&vec![b' '; MANIFEST_MAX + 1], None).unwrap_err().code,
            "manifest_too_large"
        );
    }
}
