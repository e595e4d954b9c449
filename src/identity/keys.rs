//! An issuer's public keys (RFC 7517), and signatures checked by them. A key that is of another kind or for something
//! else is passed over: issuers publish keys for others too.

use super::Algorithm;
use crate::{
    error::{Error, Result},
    model::json::parse_strict,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::{Map, Value};

/// Most keys that are read of a set.
const KEYS_MAX: usize = 200;

/// The keys of one issuer.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
pub struct Key {
    id: Option<String>,
    /// The only algorithm it is for, where it says so.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Clone, Debug)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// Reads a JWK set. What is no set is an error; keys in it that cannot be used are left out.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let invalid = |why: String| {
            Error::unavailable("issuer_invalid", format!("the issuer's keys are no JWK set: {why}"))
        };
        let document = parse_strict(bytes, 8).map_err(|error| invalid(error.message))?;
        let keys =
            document.get("keys").and_then(Value::as_array).ok_or_else(|| invalid("no keys in it".into()))?;
        if keys.len() > KEYS_MAX {
            return Err(invalid(format!("more than {KEYS_MAX} keys")));
        }
        Ok(Self(keys.iter().filter_map(Value::as_object).filter_map(Key::read).collect()))
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys by which a token may be signed that names this key and this algorithm.
    pub fn fitting(&self, id: Option<&str>, algorithm: Algorithm) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| (id.is_none() || key.id.as_deref() == id) && key.is_for(algorithm))
    }
}

impl Key {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
        if jwk.contains_key("use") && text("use") != Some("sig") {
            return None;
        }
        if let Some(operations) = jwk.get("key_ops")
            && !operations.as_array()?.iter().any(|operation| operation == "verify")
        {
            return None;
        }
        let point = |length: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            (x.len() == length && y.len() == length).then(|| [&[4], &x[..], &y[..]].concat())
        };
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa { n: bytes("n")?, e: bytes("e")? },
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes("x")?),
            _ => return None,
        };
        Some(Self { id: text("kid").map(str::to_owned), algorithm: text("alg").map(str::to_owned), material })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        let fits = matches!(
            (&self.material, algorithm),
            (Material::Rsa { .. }, Algorithm::RS256 | Algorithm::PS256)
                | (Material::P256(_), Algorithm::ES256)
                | (Material::P384(_), Algorithm::ES384)
                | (Material::Ed25519(_), Algorithm::EdDSA)
        );
        fits && self.algorithm.as_deref().is_none_or(|own| own == algorithm.name())
    }

    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let by = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        match (&self.material, algorithm) {
            // Both parameters refuse moduli below 2048 bits.
            (Material::Rsa { n, e }, Algorithm::RS256) => RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            (Material::Rsa { n, e }, Algorithm::PS256) => RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PSS_2048_8192_SHA256, message, signature)
                .is_ok(),
            (Material::P256(point), Algorithm::ES256) => by(&signature::ECDSA_P256_SHA256_FIXED, point),
            (Material::P384(point), Algorithm::ES384) => by(&signature::ECDSA_P384_SHA384_FIXED, point),
            (Material::Ed25519(key), Algorithm::EdDSA) => by(&signature::ED25519, key),
            _ => false,
        }
    }
}
