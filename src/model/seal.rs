//! Sealing what must be kept and not be read in the database: secrets of hooks. ChaCha20-Poly1305 (RFC 8439) under a key
//! derived from the registry's secret, which the database does not have. From the same secret come keys that are never kept.

use crate::error::{Error, Result};
use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};

/// The first byte of what is sealed: its format.
const SEALED: u8 = 1;

pub struct Sealer {
    key: LessSafeKey,
    deriving: hmac::Key,
}

impl Sealer {
    pub fn new(key: &[u8; 32]) -> Result<Self> {
        let deriving = hmac::Key::new(hmac::HMAC_SHA256, key);
        let key = UnboundKey::new(&CHACHA20_POLY1305, key)
            .map_err(|_| Error::internal("seal_key", "the key that seals cannot be used"))?;
        Ok(Self { key: LessSafeKey::new(key), deriving })
    }

    /// The key of a purpose: always the same one, from which no other follows.
    pub fn key_for(&self, purpose: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.deriving);
        [b"gradus derived key\0", purpose.as_bytes()].into_iter().for_each(|part| context.update(part));
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        key
    }

    /// Seals bytes for one place, named by `place`: moved to another they do not open. Nonces are random; 2^32 of them
    /// under one key are far from a collision.
    pub fn seal(&self, place: &str, plain: &[u8], nonce: [u8; NONCE_LEN]) -> Result<Vec<u8>> {
        let mut bytes = plain.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut bytes)
            .map_err(|_| Error::internal("seal", "a secret could not be sealed"))?;
        Ok([&[SEALED][..], &nonce, &bytes].concat())
    }

    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let opened = sealed.strip_prefix(&[SEALED]).and_then(|rest| {
            let (nonce, bytes) = rest.split_first_chunk()?;
            let mut bytes = bytes.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let length = self.key.open_in_place(nonce, Aad::from(place), &mut bytes).ok()?.len();
            bytes.truncate(length);
            Some(bytes)
        });
        opened.ok_or_else(|| {
            Error::integrity("seal_broken", format!("what is sealed does not open: {place}"))
                .hint("was the row changed, or moved here from a registry with another secret?")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_in_its_place_and_unchanged() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let sealed = sealer.seal("hooks/1", b"secret", [9; 12]).unwrap();
        assert!(!sealed.windows(6).any(|bytes| bytes == b"secret"));
        assert_eq!(sealer.open("hooks/1", &sealed).unwrap(), b"secret");
        assert_eq!(sealer.open("hooks/2", &sealed).unwrap_err().code, "seal_broken");
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealer.open("hooks/1", &changed).is_err(), "{index}");
        }
        assert!(sealer.open("hooks/1", &sealed[..5]).is_err() && sealer.open("hooks/1", &[]).is_err());
        let other = Sealer::new(&[8; 32]).unwrap();
        assert!(other.open("hooks/1", &sealed).is_err());
        assert_eq!(sealer.key_for("a"), Sealer::new(&[7; 32]).unwrap().key_for("a"));
        assert!(sealer.key_for("a") != sealer.key_for("b") && sealer.key_for("a") != other.key_for("a"));
    }
}
