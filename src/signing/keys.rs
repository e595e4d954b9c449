//! ECDSA keys as people keep them: PEM, on P-256, P-384 and P-521.

use super::{
    curve::{Curve, Pair},
    der,
};
use crate::error::{Error, Result};
use crate::model::digest::Digest;
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use rustls_pki_types::pem::{PemObject as _, SectionKind};

/// Keys and chains are short; what is longer is neither.
const PEM_MAX: usize = 256 * 1024;
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    curve: Curve,
    point: Vec<u8>,
}

impl PublicKey {
    /// From a SubjectPublicKeyInfo. There is one encoding of a key, so what is not exactly that is refused.
    pub(super) fn from_spki(spki: &[u8]) -> Result<Self> {
        let read = |curve: Curve| {
            let point = spki.get(spki.len().checked_sub(curve.point_length())?..)?.to_vec();
            Some(Self { curve, point }).filter(|key| key.spki() == spki)
        };
        Curve::ALL.into_iter().find_map(read).ok_or_else(unsupported)
    }

    #[cfg(test)]
    pub(super) fn point(&self) -> &[u8] {
        &self.point
    }

    pub(super) fn spki(&self) -> Vec<u8> {
        let point = der::wrap(der::BIT_STRING, &[&[0], &self.point]);
        der::wrap(der::SEQUENCE, &[&self.curve.algorithm(), &point])
    }

    pub(super) fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki())
    }

    /// What bundles name a key by: the hexadecimal SHA-256 of its PEM text.
    pub(super) fn fingerprint(&self) -> String {
        Digest::sha256(self.pem().as_bytes()).hex().to_owned()
    }

    pub(super) fn accepts(&self, text: &[u8], signature: &[u8]) -> bool {
        self.curve.accepts(&self.point, text, signature)
    }
}

/// What a caller trusts.
pub enum Trusted {
    Key(PublicKey),
    /// As DER.
    Certificate(Vec<u8>),
}

impl Trusted {
    /// Reads one public key or one certificate.
    ///
    /// Error: `signature_key`.
    pub fn from_pem(text: &str) -> Result<Self> {
        match &mut sections(text)?[..] {
            [(SectionKind::PublicKey, spki)] => PublicKey::from_spki(spki).map(Self::Key),
            [(SectionKind::Certificate, der)] => Ok(Self::Certificate(std::mem::take(der))),
            _ => Err(unreadable("there is not exactly one public key or certificate in it")),
        }
    }
}

/// The certificates in a PEM text as DER, in their order.
pub(super) fn certificates(text: &str) -> Result<Vec<Vec<u8>>> {
    let kept = |(kind, der)| (kind == SectionKind::Certificate).then_some(der);
    Ok(sections(text)?.into_iter().filter_map(kept).collect())
}

/// A key that signs.
pub struct PrivateKey {
    pair: Pair,
    public: PublicKey,
}

impl PrivateKey {
    /// Reads `EC PRIVATE KEY` (SEC 1) or `PRIVATE KEY` (PKCS#8).
    ///
    /// Error: `signature_key`.
    pub fn from_pem(text: &str) -> Result<Self> {
        if text.contains("ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
            return Err(unreadable("it is encrypted")
                .hint("write it out without a password for this use: openssl pkey -in KEY -out PLAIN"));
        }
        let keys = sections(text)?.into_iter().filter(|(kind, _)| {
            matches!(kind, SectionKind::PrivateKey | SectionKind::EcPrivateKey | SectionKind::RsaPrivateKey)
        });
        match &keys.collect::<Vec<_>>()[..] {
            [(SectionKind::PrivateKey, der)] => Self::from_pkcs8(der, |_| der.clone()),
            [(SectionKind::EcPrivateKey, der)] => Self::from_pkcs8(der, |curve| {
                let key = der::wrap(der::OCTET_STRING, &[der]);
                der::wrap(der::SEQUENCE, &[&[der::INTEGER, 1, 0], &curve.algorithm(), &key])
            }),
            [_] => Err(unsupported()),
            [] => Err(unreadable("there is no private key in it")),
            _ => Err(unreadable("there is more than one private key in it")),
        }
    }

    /// `pkcs8` gives the key as it would be on a curve.
    fn from_pkcs8(der: &[u8], pkcs8: impl Fn(Curve) -> Vec<u8>) -> Result<Self> {
        for curve in Curve::ALL {
            if let Some(pair) = curve.pair(&pkcs8(curve)) {
                let public = PublicKey { curve, point: pair.point() };
                return Ok(Self { pair, public });
            }
        }
        match Curve::ALL.into_iter().any(|curve| contains(der, curve.oid())) {
            // The one thing that is optional in these formats and needed here.
            true => Err(unreadable("it is damaged, or lacks its public half")
                .hint("write it out with its public half: openssl ec -in KEY -out COMPLETE")),
            false => Err(unsupported()),
        }
    }

    /// A new key on P-256, and its PEM to keep.
    pub fn generate() -> Result<(String, Self)> {
        let failed = || Error::internal("signature_key", "a key cannot be made");
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(|_| failed())?;
        let text = pem("PRIVATE KEY", pkcs8.as_ref());
        let key = Self::from_pem(&text)?;
        Ok((text, key))
    }

    /// The public half, as the reference tool and `openssl` write it.
    pub fn public_pem(&self) -> String {
        self.public.pem()
    }

    pub(super) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(super) fn sign(&self, text: &[u8]) -> Result<Vec<u8>> {
        self.pair.sign(text).ok_or_else(|| Error::internal("signature_key", "the key does not sign"))
    }
}

fn sections(text: &str) -> Result<Vec<(SectionKind, Vec<u8>)>> {
    if text.len() > PEM_MAX {
        return Err(unreadable("it is too long"));
    }
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes());
    sections.collect::<Result<_, _>>().map_err(|error| unreadable("it is no PEM").source(error))
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines = text.as_bytes().chunks(64).flat_map(|line| line.iter().chain(b"\n").map(|c| char::from(*c)));
    format!("-----BEGIN {label}-----\n{}-----END {label}-----\n", lines.collect::<String>())
}

fn contains(der: &[u8], part: &[u8]) -> bool {
    der.windows(part.len()).any(|window| window == part)
}

fn unreadable(why: &str) -> Error {
    Error::invalid("signature_key", format!("the key cannot be used: {why}"))
}

fn unsupported() -> Error {
    unreadable("it is of another kind")
        .hint("ECDSA keys on P-256, P-384 and P-521 can be used; points are written uncompressed")
}

#[cfg(test)]
mod tests {
    use super::super::golden;
    use super::*;

    #[test]
    fn keys_are_read_in_both_forms() {
        for (private, public) in golden::PRIVATE_KEYS {
            let key = PrivateKey::from_pem(private).unwrap();
            assert_eq!(key.public_pem(), public);
            let signature = key.sign(b"text").unwrap();
            assert!(key.public().accepts(b"text", &signature));
            assert!(!key.public().accepts(b"other", &signature));
            assert!(!key.public().accepts(b"text", &signature[1..]));
        }
        let (pem, key) = PrivateKey::generate().unwrap();
        assert_eq!(PrivateKey::from_pem(&pem).unwrap().public_pem(), key.public_pem());
        assert!(matches!(Trusted::from_pem(&key.public_pem()), Ok(Trusted::Key(read)) if read == key.public));
    }

    #[test]
    fn other_keys_are_refused_with_the_reason() {
        for (pem, reason) in golden::REFUSED_KEYS {
            let error = PrivateKey::from_pem(pem).map(|_| ()).unwrap_err();
            assert_eq!(error.code, "signature_key");
            assert!(error.message.ends_with(reason), "{error}");
        }
        let (good, public) = golden::PRIVATE_KEYS[0];
        for cut in 0..good.len() {
            let _ = PrivateKey::from_pem(&good[..cut]);
            assert!(Trusted::from_pem(&good[..cut]).is_err());
        }
        assert!(Trusted::from_pem(&public.repeat(2)).is_err());
        assert!(Trusted::from_pem(&" ".repeat(PEM_MAX + 1)).is_err());
    }
}
