//! The curves that keys may be on. P-256 and P-384 are `ring`'s, as everywhere; P-521, which it does not have, is
//! RustCrypto's.

use super::der;
use ::p521::ecdsa::signature::{Signer as _, hazmat::PrehashVerifier as _};
use ::p521::ecdsa::{Signature, SigningKey, VerifyingKey};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey};
use rustls_pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// 1.2.840.10045.2.1, elliptic curve keys, as DER.
const EC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(super) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The curve's object identifier as DER.
    pub(super) fn oid(self) -> &'static [u8] {
        match self {
            Self::P256 => &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            Self::P384 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22],
            Self::P521 => &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23],
        }
    }

    /// An uncompressed point: a tag and two coordinates.
    pub(super) fn point_length(self) -> usize {
        match self {
            Self::P256 => 1 + 2 * 32,
            Self::P384 => 1 + 2 * 48,
            Self::P521 => 1 + 2 * 66,
        }
    }

    pub(super) fn algorithm(self) -> Vec<u8> {
        der::wrap(der::SEQUENCE, &[EC_KEY, self.oid()])
    }

    /// Whether the key at this point signed the text. Each curve goes with one hash: SHA-256, SHA-384, SHA-512.
    pub(super) fn accepts(self, point: &[u8], text: &[u8], signature: &[u8]) -> bool {
        let algorithm = match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1,
            Self::P521 => return P521_SHA512.verify_signature(point, text, signature).is_ok(),
        };
        UnparsedPublicKey::new(algorithm, point).verify(text, signature).is_ok()
    }

    /// The pair in a PKCS#8 document, if it is one for this curve.
    pub(super) fn pair(self, pkcs8: &[u8]) -> Option<Pair> {
        let algorithm = match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            Self::P521 => return Some(Pair::P521(Box::new(read_p521(pkcs8)?))),
        };
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8, &SystemRandom::new()).ok()?;
        Some(Pair::Ring(Box::new(pair)))
    }
}

/// A private key and its public half.
pub(super) enum Pair {
    Ring(Box<EcdsaKeyPair>),
    P521(Box<SigningKey>),
}

impl Pair {
    pub(super) fn point(&self) -> Vec<u8> {
        match self {
            Self::Ring(pair) => pair.public_key().as_ref().to_vec(),
            Self::P521(key) => key.verifying_key().to_sec1_point(false).as_bytes().to_vec(),
        }
    }

    pub(super) fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Ring(pair) => Some(pair.sign(&SystemRandom::new(), text).ok()?.as_ref().to_vec()),
            Self::P521(key) => {
                let signature: Signature = key.try_sign(text).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
        }
    }
}

/// PKCS#8 around SEC 1. The public half may be left out there; if it is not, it must be the right one.
fn read_p521(mut pkcs8: &[u8]) -> Option<SigningKey> {
    let mut outer = der::expect(&mut pkcs8, der::SEQUENCE)?;
    let outer = &mut outer;
    der::expect(outer, der::INTEGER).filter(|version| *version == [0])?;
    let algorithm = der::expect(outer, der::SEQUENCE)?;
    (der::wrap(der::SEQUENCE, &[algorithm]) == Curve::P521.algorithm()).then_some(())?;
    let mut inner = der::expect(outer, der::OCTET_STRING)?;
    let mut inner = der::expect(&mut inner, der::SEQUENCE)?;
    let inner = &mut inner;
    der::expect(inner, der::INTEGER).filter(|version| *version == [1])?;
    let key = SigningKey::from_slice(der::expect(inner, der::OCTET_STRING)?).ok()?;
    let own = der::optional(inner, 0xa0);
    own.is_none_or(|oid| oid == Curve::P521.oid()).then_some(())?;
    let Some(mut public) = der::optional(inner, 0xa1) else { return Some(key) };
    let point = der::expect(&mut public, der::BIT_STRING)?;
    (point.split_first()? == (&0, key.verifying_key().to_sec1_point(false).as_bytes())).then_some(key)
}

/// ECDSA on P-521 with one of the hashes, for `webpki`. Certificates are signed with any of the three.
#[derive(Debug)]
struct P521 {
    hash: fn(&[u8]) -> Vec<u8>,
    id: AlgorithmIdentifier,
}

static P521_SHA256: P521 = P521 { hash: |text| Sha256::digest(text).to_vec(), id: alg_id::ECDSA_SHA256 };
static P521_SHA384: P521 = P521 { hash: |text| Sha384::digest(text).to_vec(), id: alg_id::ECDSA_SHA384 };
static P521_SHA512: P521 = P521 { hash: |text| Sha512::digest(text).to_vec(), id: alg_id::ECDSA_SHA512 };

/// What certificates may be signed with beside what `webpki` brings.
pub(super) const P521_ALGORITHMS: [&dyn SignatureVerificationAlgorithm; 3] =
    [&P521_SHA256, &P521_SHA384, &P521_SHA512];

impl SignatureVerificationAlgorithm for P521 {
    fn verify_signature(&self, point: &[u8], text: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = VerifyingKey::from_sec1_bytes(point).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        // A hash shorter than half of the curve is refused there. Its value is the same with zeros in front.
        let hash = (self.hash)(text);
        let padded = [vec![0; Sha512::output_size() - hash.len()], hash].concat();
        key.verify_prehash(&padded, &signature).map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P521
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.id
    }
}

#[cfg(test)]
mod tests {
    use super::super::{golden, keys::PrivateKey};
    use super::*;
    use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};

    #[test]
    fn p521_agrees_with_openssl_after_each_hash() {
        let [.., (private, _)] = golden::PRIVATE_KEYS;
        let point = PrivateKey::from_pem(private).unwrap().public().point().to_vec();
        for (algorithm, signature) in P521_ALGORITHMS.iter().zip(golden::P521_SIGNATURES) {
            let signature = BASE64.decode(signature).unwrap();
            assert!(algorithm.verify_signature(&point, b"text", &signature).is_ok());
            assert!(algorithm.verify_signature(&point, b"other", &signature).is_err());
            assert!(algorithm.verify_signature(&point[1..], b"text", &signature).is_err());
            for at in 0..signature.len() {
                assert!(algorithm.verify_signature(&point, b"text", &signature[..at]).is_err());
            }
        }
    }

    #[test]
    fn p521_needs_the_public_half_to_be_right_or_left_out() {
        let key = [vec![0], vec![7; 65]].concat();
        let whole = |more: &[&[u8]]| {
            let inner = [&[der::INTEGER, 1, 1], &der::wrap(der::OCTET_STRING, &[&key])[..]];
            let inner = der::wrap(der::SEQUENCE, &[&inner[..], more].concat());
            let inner = der::wrap(der::OCTET_STRING, &[&inner]);
            der::wrap(der::SEQUENCE, &[&[der::INTEGER, 1, 0], &Curve::P521.algorithm(), &inner])
        };
        let pair = Curve::P521.pair(&whole(&[])).unwrap();
        let public = |point: &[u8]| der::wrap(0xa1, &[&der::wrap(der::BIT_STRING, &[&[0], point])]);
        assert!(Curve::P521.pair(&whole(&[&public(&pair.point())])).is_some());
        let mut other = pair.point();
        other[9] ^= 1;
        assert!(Curve::P521.pair(&whole(&[&public(&other)])).is_none());
        assert!(Curve::P521.pair(&whole(&[&der::wrap(0xa0, &[Curve::P384.oid()])])).is_none());
        assert!(Curve::P256.pair(&whole(&[])).is_none());
        let good = whole(&[]);
        for at in 0..good.len() {
            assert!(Curve::P521.pair(&good[..at]).is_none());
        }
    }
}
