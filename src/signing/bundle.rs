//! The file a signature is kept in: a Sigstore bundle v0.3 as JSON, around a DSSE envelope, around the
//! statement.

use super::invalid;
use crate::error::{Error, Result};
use crate::model::digest::shorten;
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use serde::{Deserialize, Serialize};

const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
pub(super) const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// A statement of 16 MiB covers a hundred thousand files.
const MAX: usize = 16 * 1024 * 1024;

/// A signature taken apart; nothing in it is checked.
pub(super) struct Bundle {
    pub(super) payload: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) material: Material,
}

/// What the bundle offers to check the signature with.
pub(super) enum Material {
    /// The fingerprint of the key, if the signer noted it; the key itself comes from elsewhere.
    Key { hint: Option<String> },
    /// Certificates as DER, the signer's first.
    Chain(Vec<Vec<u8>>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outer {
    media_type: String,
    verification_material: VerificationMaterial,
    dsse_envelope: Envelope,
}

/// Signers before v1.0 put the key itself here, too (`rawBytes`). It is passed over: a key that comes with
/// what it signed proves nothing.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct VerificationMaterial {
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x509_certificate_chain: Option<Chain>,
    #[serde(skip_serializing)]
    certificate: Option<serde::de::IgnoredAny>,
    /// Required by the schema of bundles; there is no entry without a transparency log of Sigstore's.
    #[serde(skip_deserializing)]
    tlog_entries: [(); 0],
}

#[derive(Serialize, Deserialize)]
struct PublicKey {
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Chain {
    certificates: Vec<Certificate>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Certificate {
    raw_bytes: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
struct Signature {
    sig: String,
    /// The envelope's own name for the key. Absent, null or anything: it is not signed.
    #[serde(skip_deserializing)]
    keyid: String,
}

/// What the key signs: the payload with its type and both lengths (DSSE's pre-authentication encoding).
pub(super) fn signed_text(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

pub(super) fn write(bundle: &Bundle) -> Result<Vec<u8>> {
    let certificate = |der: &Vec<u8>| Certificate { raw_bytes: BASE64.encode(der) };
    let material = match &bundle.material {
        Material::Key { hint } => VerificationMaterial {
            public_key: Some(PublicKey { hint: hint.clone() }),
            ..VerificationMaterial::default()
        },
        Material::Chain(chain) => VerificationMaterial {
            x509_certificate_chain: Some(Chain { certificates: chain.iter().map(certificate).collect() }),
            ..VerificationMaterial::default()
        },
    };
    let outer = Outer {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: material,
        dsse_envelope: Envelope {
            payload: BASE64.encode(&bundle.payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![Signature { sig: BASE64.encode(&bundle.signature), keyid: String::new() }],
        },
    };
    let bytes = serde_json::to_vec(&outer)
        .map_err(|error| Error::internal("signature_write", "the bundle cannot be written").source(error))?;
    match bytes.len() > MAX {
        true => Err(invalid("it would be larger than 16 MiB")),
        false => Ok(bytes),
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Bundle> {
    if bytes.len() > MAX {
        return Err(invalid("it is larger than 16 MiB"));
    }
    let outer: Outer = serde_json::from_slice(bytes)
        .map_err(|error| invalid(format!("it is not of the form: {}", shorten(&error.to_string()))))?;
    let VerificationMaterial { public_key, x509_certificate_chain, certificate, .. } =
        outer.verification_material;
    if outer.media_type != MEDIA_TYPE {
        return Err(invalid("it is not a Sigstore bundle of version 0.3"));
    }
    if outer.dsse_envelope.payload_type != PAYLOAD_TYPE {
        return Err(invalid("what it signs is no in-toto statement"));
    }
    let [signature] = &outer.dsse_envelope.signatures[..] else {
        return Err(invalid("there is not exactly one signature in it"));
    };
    let material = match (public_key, x509_certificate_chain, certificate) {
        (Some(key), None, None) => Material::Key { hint: key.hint.filter(|hint| !hint.is_empty()) },
        (None, Some(chain), None) => Material::Chain(
            chain
                .certificates
                .iter()
                .map(|certificate| decode(&certificate.raw_bytes))
                .collect::<Result<_>>()?,
        ),
        (None, None, Some(_)) => {
            return Err(Error::invalid(
                "signature_unsupported",
                "a keyless signature cannot be checked without Sigstore's services",
            )
            .hint("sign with a key or with a certificate"));
        }
        _ => return Err(invalid("it does not name one way to check it")),
    };
    let payload = decode(&outer.dsse_envelope.payload)?;
    Ok(Bundle { payload, signature: decode(&signature.sig)?, material })
}

fn decode(text: &str) -> Result<Vec<u8>> {
    BASE64.decode(text).map_err(|_| invalid("what should be base64 is not"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        parse(text.as_bytes()).map(|_| "").unwrap_or_else(|error| error.code)
    }

    #[test]
    fn the_signed_text_is_that_of_dsse() {
        assert_eq!(signed_text(PAYLOAD_TYPE, b"{}"), b"DSSEv1 28 application/vnd.in-toto+json 2 {}");
    }

    #[test]
    fn bundles_are_read_back_and_other_files_refused() {
        let bundle = Bundle {
            payload: b"{}".to_vec(),
            signature: b"sig".to_vec(),
            material: Material::Key { hint: Some("ab".into()) },
        };
        let good = String::from_utf8(write(&bundle).unwrap()).unwrap();
        let read = parse(good.as_bytes()).unwrap();
        assert_eq!((read.payload, read.signature), (bundle.payload, bundle.signature));
        assert!(matches!(read.material, Material::Key { hint: Some(hint) } if hint == "ab"));
        for old in [
            good.replace(
                "\"hint\":\"ab\"",
                "\"rawBytes\":\"AAAA\",\"keyDetails\":\"PKIX_ECDSA_P256_SHA_256\"",
            ),
            good.replace("\"hint\":\"ab\"", "\"hint\":null"),
        ] {
            let old = old.replace("\"keyid\":\"\"", "\"keyid\":null").replace(",\"tlogEntries\":[]", "");
            assert!(matches!(parse(old.as_bytes()).unwrap().material, Material::Key { hint: None }));
        }
        let key = "\"publicKey\":{\"hint\":\"ab\"}";
        assert_eq!(code(&good.replace(key, "\"certificate\":{}")), "signature_unsupported");
        let both = format!("{key},\"x509CertificateChain\":{{\"certificates\":[]}}");
        let signature = "{\"sig\":\"c2ln\",\"keyid\":\"\"}";
        for bad in [
            good.replace(key, "\"other\":1"),
            good.replace(key, &both),
            good.replace(key, &format!("{key},{key}")),
            good.replace("v0.3", "v0.2"),
            good.replace("in-toto", "other"),
            good.replace(signature, ""),
            good.replace(signature, &format!("{signature},{signature}")),
            good.replace("c2ln", "c2l"),
            good.replace("c2ln", "c2l$"),
            "[".repeat(100_000),
            " ".repeat(MAX + 1),
        ] {
            assert_ne!(bad, good);
            assert_eq!(code(&bad), "signature_invalid", "{}", &bad[..bad.len().min(500)]);
        }
    }
}
