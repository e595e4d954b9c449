//! Checkpoints: the size and root of the log, signed. A signed note as C2SP defines it (`signed-note`,
//! `tlog-checkpoint`), with Ed25519 (RFC 8032), so that tools of other logs can check it.

use super::merkle::Hash;
use crate::error::{Error, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};

/// The kind of key in its id: Ed25519.
const KIND: u8 = 1;
/// A checkpoint is short; what is longer is none.
const MAX: usize = 64 * 1024;

/// What a checkpoint says: the log of this name has so many entries and this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

impl Checkpoint {
    /// The text that is signed: three lines.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }
}

/// The key that signs the log.
pub struct Signer {
    name: String,
    key: Ed25519KeyPair,
}

impl Signer {
    /// The key of a 32-byte seed, under the log's name.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self> {
        let key = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Error::internal("signing_key", "the log's signing key cannot be made"))?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// The name of the log, the first line of its checkpoints.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn verifier(&self) -> Verifier {
        let mut public = [0; 32];
        public.copy_from_slice(self.key.public_key().as_ref());
        Verifier { name: self.name.clone(), public }
    }

    /// The signature of a checkpoint's text.
    pub fn sign(&self, size: u64, root: &Hash) -> [u8; 64] {
        let checkpoint = Checkpoint { origin: self.name.clone(), size, root: *root };
        let mut signature = [0; 64];
        signature.copy_from_slice(self.key.sign(checkpoint.text().as_bytes()).as_ref());
        signature
    }
}

/// The public half of a signing key, as clients keep it: `NAME+KEYID+BASE64` (C2SP signed-note).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    public: [u8; 32],
}

impl Verifier {
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> [u8; 4] {
        let mut hash = Sha256::new();
        hash.update(self.name.as_bytes());
        hash.update([b'\n', KIND]);
        hash.update(self.public);
        let mut id = [0; 4];
        id.copy_from_slice(&hash.finalize()[..4]);
        id
    }

    pub fn accepts(&self, checkpoint: &Checkpoint, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(checkpoint.text().as_bytes(), signature).is_ok()
    }

    /// The signed note of a checkpoint.
    pub fn note(&self, checkpoint: &Checkpoint, signature: &[u8; 64]) -> String {
        let signed = BASE64.encode([&self.id()[..], signature].concat());
        format!("{}\n\u{2014} {} {signed}\n", checkpoint.text(), self.name)
    }

    /// Reads a signed note. Signatures of other keys are passed over; ours must be there and right.
    pub fn open(&self, note: &str) -> Result<Checkpoint> {
        let refuse = |why: &str| {
            Error::invalid("checkpoint_invalid", format!("not a checkpoint of this log: {why}"))
                .hint("keep the exact text that `gradus audit checkpoint` printed, and the key it goes with")
        };
        if note.len() > MAX || note.chars().any(|c| c.is_control() && c != '\n') {
            return Err(refuse("it is no signed note"));
        }
        let (text, signatures) = note.split_once("\n\n").ok_or_else(|| refuse("there is no signature"))?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(refuse("it has not three lines"));
        };
        let is_number = !size.is_empty()
            && size.bytes().all(|b| b.is_ascii_digit())
            && (size == "0" || !size.starts_with('0'));
        let size = size.parse().ok().filter(|_| is_number).ok_or_else(|| refuse("its size is no number"))?;
        let root: Hash = BASE64
            .decode(root)
            .ok()
            .and_then(|root| root.try_into().ok())
            .ok_or_else(|| refuse("its root is no hash"))?;
        let checkpoint = Checkpoint { origin: origin.to_owned(), size, root };
        if checkpoint.origin != self.name {
            return Err(refuse("it is of another log"));
        }
        let ours = signatures.lines().filter_map(|line| {
            let (name, signed) = line.strip_prefix("\u{2014} ")?.rsplit_once(' ')?;
            let signed = BASE64.decode(signed).ok()?;
            let (id, signature) = signed.split_at_checked(4)?;
            (name == self.name && id == self.id()).then(|| signature.to_vec())
        });
        let ours: Vec<_> = ours.collect();
        match ours.is_empty() || !ours.iter().all(|signature| self.accepts(&checkpoint, signature)) {
            true => Err(refuse("it is not signed by the log's key")),
            false => Ok(checkpoint),
        }
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = BASE64.encode([&[KIND], &self.public[..]].concat());
        write!(out, "{}+{}+{key}", self.name, super::digest::hex(&self.id()))
    }
}

impl std::str::FromStr for Verifier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let mut parts = text.trim().splitn(3, '+');
            let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
            let key = BASE64.decode(key).ok()?;
            let (kind, public) = key.split_first()?;
            let verifier = Self { name: name.to_owned(), public: public.try_into().ok()? };
            (*kind == KIND && super::digest::hex(&verifier.id()) == id && !name.is_empty())
                .then_some(verifier)
        };
        read().ok_or_else(|| {
            Error::invalid("key_invalid", "not the public key of a log: NAME+KEYID+KEY")
                .hint("print it with: gradus audit key")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new("log.example/gradus", &[7; 32]).unwrap()
    }

    #[test]
    fn notes_are_read_back_and_forgeries_refused() {
        let signer = signer();
        let verifier = signer.verifier();
        let checkpoint = Checkpoint { origin: signer.name().into(), size: 42, root: [9; 32] };
        let note = verifier.note(&checkpoint, &signer.sign(42, &[9; 32]));
        assert_eq!(verifier.open(&note).unwrap(), checkpoint);
        let cosigned = format!("{note}\u{2014} witness.example AAAAAAAA\n");
        assert_eq!(verifier.open(&cosigned).unwrap(), checkpoint);
        for forged in [
            note.replacen("42", "43", 1),
            note.replacen("42", "042", 1),
            note.replace("log.example", "other.example"),
            note.replace("\n\n", "\n"),
            note.replacen("42\n", "42\nmore\n", 1),
            format!("{note}\r"),
            String::new(),
        ] {
            assert_eq!(verifier.open(&forged).unwrap_err().code, "checkpoint_invalid", "{forged:?}");
        }
        let other = Signer::new("log.example/gradus", &[8; 32]).unwrap().verifier();
        assert!(other.open(&note).is_err());
    }

    #[test]
    fn keys_are_written_and_read() {
        let verifier = signer().verifier();
        assert_eq!(verifier.to_string().parse::<Verifier>().unwrap(), verifier);
        for bad in ["", "a+b+c", &verifier.to_string().replacen('+', "+0", 1)] {
            assert_eq!(bad.parse::<Verifier>().unwrap_err().code, "key_invalid");
        }
    }
}
