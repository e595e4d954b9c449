//! What the entries of a layout's index are called.

use super::{Digest, REF_NAME, REFERENCE, Version, WORKLOAD, Workload};
use crate::{
    error::{Error, Result},
    model::{
        digest::shorten,
        manifest::Descriptor,
        reference::{Reference, Selector},
    },
};

/// Which version of which workload an entry is, as far as its names tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// The name that tools ask for.
    pub name: Option<String>,
    pub workload: Option<Workload>,
    pub version: Option<Version>,
}

impl Named {
    /// Reads the names of an entry. Where two of them disagree the entry is refused.
    pub fn of(entry: &Descriptor) -> Result<Self> {
        let annotation = |name: &str| entry.annotations.get(name).map(String::as_str);
        let name = annotation(REF_NAME);
        let (mut workload, mut version) = name.map(split).unwrap_or_default();
        if let Some(text) = annotation(REFERENCE) {
            let Ok(Reference { workload: of, selector: Selector::Version(number) }) = text.parse() else {
                return Err(lies(&entry.digest, REFERENCE, text));
            };
            let agrees = version.as_ref().is_none_or(|named| *named == number)
                && workload.as_ref().is_none_or(|named| *named == of);
            if !agrees {
                return Err(lies(&entry.digest, REFERENCE, text));
            }
            (workload, version) = (Some(of), Some(number));
        }
        if let Some(text) = annotation(WORKLOAD) {
            let of: Workload = text.parse().map_err(|_| lies(&entry.digest, WORKLOAD, text))?;
            if workload.as_ref().is_some_and(|named| *named != of) {
                return Err(lies(&entry.digest, WORKLOAD, text));
            }
            workload = Some(of);
        }
        Ok(Self { name: name.map(str::to_owned), workload, version })
    }

    /// Whether it is what somebody typed: the name as it is, the version, or the whole reference.
    pub fn is(&self, typed: &str) -> bool {
        let version = self.version.as_ref().map(Version::to_string);
        let whole =
            self.workload.as_ref().zip(version.as_ref()).map(|(of, version)| format!("{of}:{version}"));
        [self.name.as_ref(), version.as_ref(), whole.as_ref()].into_iter().flatten().any(|name| name == typed)
    }
}

/// `1.2.0`, `acme/x:1.2.0`, or anything else, which names no version.
fn split(name: &str) -> (Option<Workload>, Option<Version>) {
    if let Ok(version) = name.parse() {
        return (None, Some(version));
    }
    // As some tools write them: the registry's address before the workload.
    let rest = name.rsplit_once(':').and_then(|(before, version)| Some((before, version.parse().ok()?)));
    match rest {
        Some((before, version)) => (before.parse().ok(), Some(version)),
        None => (None, None),
    }
}

fn lies(digest: &Digest, annotation: &str, text: &str) -> Error {
    Error::invalid(
        "index_contradicts",
        format!("{digest}: its entry names two versions; {annotation} is: {}", shorten(text)),
    )
    .hint("write the layout again, with gradus export or skopeo copy")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(annotations: &[(&str, &str)]) -> Descriptor {
        let pairs = annotations.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let digest = Digest::sha256(b"it");
        Descriptor {
            annotations: pairs.collect(),
            artifact_type: None,
            digest,
            media_type: String::new(),
            size: 2,
        }
    }

    #[test]
    fn names_tell_workload_and_version() {
        let read = |annotations: &[(&str, &str)]| {
            let named = Named::of(&entry(annotations)).unwrap();
            let text = |text: Option<String>| text.unwrap_or_default();
            (text(named.workload.map(|of| of.to_string())), text(named.version.map(|of| of.to_string())))
        };
        let pair = |workload: &str, version: &str| (workload.to_owned(), version.to_owned());
        assert_eq!(read(&[(REF_NAME, "1.2.0")]), pair("", "1.2.0"));
        assert_eq!(read(&[(REF_NAME, "acme/x:1.2.0-rc.1")]), pair("acme/x", "1.2.0-rc.1"));
        assert_eq!(read(&[(REF_NAME, "models.example.org/acme/x:1.2.0")]), pair("", "1.2.0"));
        assert_eq!(read(&[(REF_NAME, "production")]), pair("", ""));
        assert_eq!(read(&[(REF_NAME, "1.2.0"), (REFERENCE, "acme/x:1.2.0")]), pair("acme/x", "1.2.0"));
        assert_eq!(read(&[(WORKLOAD, "acme/x")]), pair("acme/x", ""));
        assert_eq!(read(&[]), pair("", ""));
        let named = Named::of(&entry(&[(REF_NAME, "1.2.0"), (WORKLOAD, "acme/x")])).unwrap();
        assert!(
            named.is("1.2.0") && named.is("acme/x:1.2.0") && !named.is("acme/y:1.2.0") && !named.is("1.2")
        );
    }

    #[test]
    fn names_that_disagree_are_refused() {
        for annotations in [
            [(REF_NAME, "1.3.0"), (REFERENCE, "acme/x:1.2.0")],
            [(REF_NAME, "acme/y:1.2.0"), (REFERENCE, "acme/x:1.2.0")],
            [(REF_NAME, "acme/y:1.2.0"), (WORKLOAD, "acme/x")],
            [(REF_NAME, "1.2.0"), (REFERENCE, "acme/x:production")],
            [(REF_NAME, "1.2.0"), (WORKLOAD, "../x")],
        ] {
            assert_eq!(
                Named::of(&entry(&annotations)).unwrap_err().code,
                "index_contradicts",
                "{annotations:?}"
            );
        }
    }
}
