//! OpenSSF model signatures: checked here once, so that gates need only ask whose they are.

use super::{About, Document, Format, Read, envelope, malformed};
use crate::error::{Error, Kind, Result};
use crate::model::evidence::{EvidenceKind, Signature, SignatureMethod, Statement};
use crate::signing::{Method, Trusted, covers_version, verify};

pub(super) const FORMAT: Format = Format {
    name: "an OpenSSF model signature",
    kind: EvidenceKind::Signature,
    recognises: |document| envelope::predicate_type(document).as_deref() == Some(envelope::MODEL_SIGNATURE),
    read,
};

fn read(document: Document, about: &About) -> Result<Vec<Read>> {
    let Document::Json { bytes, .. } = document else {
        return Err(malformed("not a signature: the file is not JSON"));
    };
    let trusted = about.public_key.map(Trusted::from_pem).transpose()?;
    let verified = verify(bytes, trusted.as_ref(), about.now.timestamp())?;
    // Whoever attaches it is wrong, not what the registry holds.
    covers_version(&verified, about.files, about.prompt)
        .map_err(|error| Error { kind: Kind::Invalid, ..error })?;
    let method = match verified.method {
        Method::Key => SignatureMethod::Key,
        Method::Certificate => SignatureMethod::Certificate,
    };
    let identity = verified.identity();
    Ok(vec![
        Statement::Signature(Signature { method, key: verified.key, root: verified.root, identity }).into(),
    ])
}
