//! OpenSSF model signatures: checked here once, so that gates need only ask whose they are.

use super::{About, Document, Format, Read, envelope, malformed};
use crate::error::{Error, Kind, Result};
use crate::model::artifact::File;
use crate::model::evidence::{EvidenceKind, Signature, SignatureMethod, Statement};
use crate::signing::{Method, Resource, Verified, covers, verify};

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
    let verified = verify(bytes, about.public_key, about.now.timestamp())?;
    // Whoever attaches it is wrong, not what the registry holds.
    check_files(&verified, about).map_err(|error| Error { kind: Kind::Invalid, ..error })?;
    let method = match verified.method {
        Method::Key => SignatureMethod::Key,
        Method::Certificate => SignatureMethod::Certificate,
    };
    let identity = verified.identity();
    let Verified { key, root, .. } = verified;
    Ok(vec![Statement::Signature(Signature { method, key, root, identity }).into()])
}

/// Every file of the version is signed, and no other; the prompt that was taken along may be left out.
fn check_files(verified: &Verified, about: &About) -> Result<()> {
    let resources = |files: &mut dyn Iterator<Item = &File>| -> Vec<Resource> {
        files.map(|file| Resource { name: file.path.to_string(), digest: file.digest.clone() }).collect()
    };
    let all = covers(verified, &resources(&mut about.files.iter()));
    match about.prompt {
        Some(prompt) if all.is_err() => {
            let own = resources(&mut about.files.iter().filter(|file| *file != prompt));
            covers(verified, &own).or(all)
        }
        _ => all,
    }
}
