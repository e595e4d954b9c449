//! Signatures over models in the format of OpenSSF Model Signing v1.0, by key or by certificate. They are
//! made and checked from the digests of whole files, so nobody reads weights again.
//!
//! A signature says who vouches for these files under these names. It says nothing about the namespace, the
//! name and the version they are registered as, and nothing here decides whose key or root is trusted: both
//! are for the caller.

mod bundle;
mod certificate;
mod coverage;
mod curve;
mod der;
#[cfg(test)]
mod golden;
mod keys;
mod names;
mod statement;

use crate::error::{Error, Result};
use crate::model::digest::{Digest, shorten};
use bundle::{Bundle, Material};
pub use coverage::{covers, covers_version};
pub use keys::{PrivateKey, Trusted};
pub use names::Name;
pub use statement::statement;

/// A file of a model: its path in it, with `/` between names, and the SHA-256 of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub name: String,
    pub digest: Digest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Key,
    Certificate,
}

/// What a signature proves, once whoever calls trusts `key`, or `root` and `identity`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub method: Method,
    /// Hexadecimal SHA-256 of the public key as PEM, or of the signer's certificate as DER.
    pub key: String,
    /// Hexadecimal SHA-256 of the last certificate of the chain as DER. A chain of one is its own root.
    pub root: Option<String>,
    /// Whom the certificate was given to: URIs, then mail addresses, then DNS names, else the common name. Who trusts
    /// the key itself learns nothing from them.
    pub names: Vec<Name>,
    /// What the signer called the model. It binds nothing.
    pub name: String,
    pub resources: Vec<Resource>,
    /// The last second at which the whole chain is valid, in Unix time.
    pub not_after: Option<i64>,
}

impl Verified {
    /// The one name that is recorded.
    pub fn identity(&self) -> Option<String> {
        self.names.first().map(Name::to_string)
    }
}

/// Signs a statement. With a chain (PEM, the signer's certificate first) the signature carries it; without
/// one it names the key only.
///
/// Errors: `signature_invalid` (not a statement), `signature_key`, `certificate_invalid`.
pub fn sign(statement: &[u8], key: &PrivateKey, chain: Option<&str>) -> Result<Vec<u8>> {
    // A key that signs whatever it is handed can be made to sign something else's statement.
    statement::read(statement)?;
    let material = match chain {
        None => Material::Key { hint: Some(key.public().fingerprint()) },
        Some(pem) => {
            let chain = keys::certificates(pem)?;
            if certificate::signer(&chain)? != *key.public() {
                return Err(Error::invalid("signature_key", "the certificate is for another key")
                    .hint("put the certificate of this private key first in the chain"));
            }
            Material::Chain(chain)
        }
    };
    let signature = key.sign(&bundle::signed_text(bundle::PAYLOAD_TYPE, statement))?;
    bundle::write(&Bundle { payload: statement.to_vec(), signature, material })
}

/// Checks a signature and everything it says about itself at the time `now`, in seconds of Unix time.
/// `trusted` is the public key that must have signed, or the certificate that the chain must end at.
/// A signature by key cannot be checked without the key; a chain without `trusted` is checked up to its last
/// certificate, and the caller decides about `root`.
///
/// Errors: `signature_invalid`, `signature_key`, `signature_shards`, `signature_unsupported`,
/// `certificate_expired`, `certificate_invalid`.
pub fn verify(bundle: &[u8], trusted: Option<&Trusted>, now: i64) -> Result<Verified> {
    let bundle = bundle::parse(bundle)?;
    let (key, chain) = match (&bundle.material, trusted) {
        (Material::Key { hint }, Some(Trusted::Key(key))) => {
            if hint.as_ref().is_some_and(|hint| *hint != key.fingerprint()) {
                return Err(Error::invalid("signature_key", "the signature was made with another key")
                    .hint(wanted(hint.as_deref())));
            }
            (key.clone(), None)
        }
        (Material::Key { hint }, Some(Trusted::Certificate(_)) | None) => {
            return Err(Error::invalid(
                "signature_key",
                "the signature was made with a key, not with a certificate: it can be checked with the \
                 public key only",
            )
            .hint(wanted(hint.as_deref())));
        }
        (Material::Chain(chain), trusted) => {
            let end = match trusted {
                Some(Trusted::Certificate(end)) => Some(end.as_slice()),
                _ => None,
            };
            let chain = certificate::check(chain, end, now)?;
            if matches!(trusted, Some(Trusted::Key(key)) if *key != chain.key) {
                return Err(Error::invalid("signature_key", "the signer's certificate is for another key"));
            }
            (chain.key.clone(), Some(chain))
        }
    };
    if !key.accepts(&bundle::signed_text(bundle::PAYLOAD_TYPE, &bundle.payload), &bundle.signature) {
        return Err(invalid("the key did not sign this text"));
    }
    let statement = statement::read(&bundle.payload)?;
    let (name, resources) = (statement.name, statement.resources);
    Ok(match chain {
        None => Verified {
            method: Method::Key,
            key: key.fingerprint(),
            root: None,
            names: Vec::new(),
            name,
            resources,
            not_after: None,
        },
        Some(chain) => Verified {
            method: Method::Certificate,
            key: chain.leaf,
            root: Some(chain.root),
            names: chain.names,
            name,
            resources,
            not_after: Some(chain.not_after),
        },
    })
}

/// Checks that a public key (PEM) signed what a DSSE envelope holds; one of its signatures has to be by it. Answers the
/// key's fingerprint, as signatures over models name it.
///
/// Errors: `signature_invalid`, `signature_key`.
pub fn verify_envelope(
    key: &str,
    payload_type: &str,
    payload: &[u8],
    signatures: &[Vec<u8>],
) -> Result<String> {
    let Trusted::Key(key) = Trusted::from_pem(key)? else {
        return Err(Error::invalid("signature_key", "an envelope is checked with a public key only")
            .hint("write the certificate's key out: openssl x509 -in CERTIFICATE -noout -pubkey"));
    };
    let text = bundle::signed_text(payload_type, payload);
    match signatures.iter().any(|signature| key.accepts(&text, signature)) {
        true => Ok(key.fingerprint()),
        false => Err(Error::invalid("signature_invalid", "the envelope is not signed with this key")
            .hint("attach it without a key to record it as not signed, or find the key that signed it")),
    }
}

/// The key that a signature says it was made with (hexadecimal SHA-256 of its PEM), to choose the one to
/// verify with. It proves nothing; signatures with certificates and very old ones name none.
pub fn named_key(bundle: &[u8]) -> Result<Option<String>> {
    Ok(match bundle::parse(bundle)?.material {
        Material::Key { hint } => hint,
        Material::Chain(_) => None,
    })
}

fn wanted(hint: Option<&str>) -> String {
    match hint {
        Some(hint) => format!("it names the key whose PEM has this SHA-256: {}", shorten(hint)),
        None => "the signature does not say which key; ask the signer".to_owned(),
    }
}

fn invalid(why: impl std::fmt::Display) -> Error {
    Error::invalid("signature_invalid", format!("not a valid model signature: {why}"))
}

#[cfg(test)]
mod tests {
    use super::golden::{self, BY_CERTIFICATE, BY_KEY, FILES, ROOT, SIGNER, VALID};
    use super::*;

    fn verify(bundle: &[u8], trusted: Option<&str>, now: i64) -> Result<Verified> {
        let trusted = trusted.map(Trusted::from_pem).transpose()?;
        super::verify(bundle, trusted.as_ref(), now)
    }

    const NOW: i64 = VALID.start;

    fn files() -> Vec<Resource> {
        FILES
            .map(|(name, text)| Resource { name: name.into(), digest: Digest::sha256(text.as_bytes()) })
            .into()
    }

    fn code<T>(result: Result<T>) -> &'static str {
        result.map(|_| "").unwrap_or_else(|error| error.code)
    }

    fn key() -> PrivateKey {
        PrivateKey::from_pem(golden::PRIVATE_KEYS[0].0).unwrap()
    }

    #[test]
    fn signatures_of_the_reference_tool_are_accepted() {
        let public = key().public_pem();
        let by_key = verify(BY_KEY.as_bytes(), Some(&public), NOW).unwrap();
        let fingerprint = Digest::sha256(public.as_bytes()).hex().to_owned();
        assert_eq!((by_key.method, &by_key.key, by_key.root.clone()), (Method::Key, &fingerprint, None));
        assert_eq!(named_key(BY_KEY.as_bytes()).unwrap(), Some(fingerprint));
        covers(&by_key, &files()).unwrap();

        let by_certificate = verify(BY_CERTIFICATE.as_bytes(), None, NOW).unwrap();
        let hash = |pem| Digest::sha256(&keys::certificates(pem).unwrap()[0]).hex().to_owned();
        let expected = Verified {
            method: Method::Certificate,
            key: hash(SIGNER),
            root: Some(hash(ROOT)),
            names: vec![Name::Email("signer@example.org".into()), Name::Dns("signer.example.org".into())],
            not_after: Some(VALID.end),
            ..by_key
        };
        assert_eq!(by_certificate, expected);
        for trusted in [ROOT, &public] {
            assert_eq!(verify(BY_CERTIFICATE.as_bytes(), Some(trusted), VALID.end).unwrap(), expected);
        }
        assert_eq!(named_key(BY_CERTIFICATE.as_bytes()).unwrap(), None);
    }

    #[test]
    fn ours_are_accepted_in_both_ways() {
        let statement = statement("m", &files()).unwrap();
        for (private, public) in golden::PRIVATE_KEYS {
            let bundle = sign(&statement, &PrivateKey::from_pem(private).unwrap(), None).unwrap();
            covers(&verify(&bundle, Some(public), NOW).unwrap(), &files()).unwrap();
        }
        // A chain may leave out where it ends.
        for chain in [format!("{SIGNER}{ROOT}"), SIGNER.to_owned()] {
            let bundle = sign(&statement, &key(), Some(&chain)).unwrap();
            let verified = verify(&bundle, Some(ROOT), NOW).unwrap();
            assert_eq!(verified.root, verify(BY_CERTIFICATE.as_bytes(), None, NOW).unwrap().root);
        }
        assert_eq!(code(sign(b"{}", &key(), None)), "signature_invalid");
        assert_eq!(code(sign(&statement, &key(), Some(golden::BELOW))), "signature_key");
        assert_eq!(code(sign(&statement, &key(), Some(ROOT))), "certificate_invalid");
        assert_eq!(code(sign(&statement, &key(), Some(""))), "certificate_invalid");
    }

    #[test]
    fn the_wrong_key_chain_or_time_is_refused() {
        let other = golden::PRIVATE_KEYS[1].1;
        let at = |bundle: &str, trusted: Option<&str>, now| code(verify(bundle.as_bytes(), trusted, now));
        assert_eq!(at(BY_KEY, None, NOW), "signature_key");
        assert_eq!(at(BY_KEY, Some(other), NOW), "signature_key");
        assert_eq!(at(BY_KEY, Some(ROOT), NOW), "signature_key");
        assert_eq!(at(BY_CERTIFICATE, Some(other), NOW), "signature_key");
        assert_eq!(at(BY_CERTIFICATE, Some(golden::BELOW), NOW), "certificate_invalid");
        assert_eq!(at(BY_CERTIFICATE, None, VALID.start - 1), "certificate_invalid");
        assert_eq!(at(BY_CERTIFICATE, None, -1), "certificate_invalid");
        assert_eq!(at(BY_CERTIFICATE, None, VALID.end + 1), "certificate_expired");
        // Without the hint that names the key, the signature itself tells.
        let hint = named_key(BY_KEY.as_bytes()).unwrap().unwrap();
        let unnamed = BY_KEY.replace(&hint, "");
        assert_eq!(at(&unnamed, Some(&key().public_pem()), NOW), "");
        assert_eq!(at(&unnamed, Some(other), NOW), "signature_invalid");
        // Whom an authority vouches for is no authority.
        let below = PrivateKey::from_pem(golden::BELOW_KEY).unwrap();
        let statement = statement("m", &files()).unwrap();
        for chain in [[golden::BELOW, SIGNER].concat(), [golden::BELOW, SIGNER, ROOT].concat()] {
            let bundle = sign(&statement, &below, Some(&chain)).unwrap();
            assert_eq!(code(verify(&bundle, None, NOW)), "certificate_invalid");
        }
        let scrambled = sign(&statement, &key(), Some(&[SIGNER, ROOT, ROOT].concat())).unwrap();
        assert_eq!(code(verify(&scrambled, None, NOW)), "certificate_invalid");
    }

    #[test]
    fn damaged_bundles_are_refused_or_say_the_same() {
        let public = key().public_pem();
        for (bundle, trusted) in [(BY_KEY, &public[..]), (BY_CERTIFICATE, ROOT)] {
            let (bundle, trusted) = (bundle.as_bytes(), Some(trusted));
            let whole = verify(bundle, trusted, NOW).unwrap();
            for at in 0..bundle.len() {
                assert!(verify(&bundle[..at], trusted, NOW).is_err());
                for change in [0x01, 0x20, 0x80] {
                    let mut damaged = bundle.to_vec();
                    damaged[at] ^= change;
                    if let Ok(verified) = verify(&damaged, trusted, NOW) {
                        assert_eq!(verified, whole);
                    }
                }
            }
        }
        // Damage below the base64, where the certificates are.
        let chain = keys::certificates(&[SIGNER, ROOT].concat()).unwrap();
        for (position, der) in chain.iter().enumerate() {
            for at in 0..der.len() {
                let mut cut = chain.clone();
                cut[position].truncate(at);
                assert!(certificate::check(&cut, None, NOW).is_err());
                let mut damaged = chain.clone();
                damaged[position][at] ^= 0x01;
                if let Ok(checked) = certificate::check(&damaged, None, NOW) {
                    let (leaf, root) = (checked.leaf, checked.root);
                    assert_eq!(Some(&leaf), (position == 1).then_some(&whole(&chain).0));
                    assert_ne!(root, whole(&chain).1);
                }
            }
        }
    }

    /// The fingerprints of an undamaged chain.
    fn whole(chain: &[Vec<u8>]) -> (String, String) {
        let checked = certificate::check(chain, None, NOW).unwrap();
        (checked.leaf, checked.root)
    }
}
