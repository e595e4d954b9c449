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

/// What follows the log's name in the origin of an epoch after the first, before its number.
const EPOCH: &str = "/epoch-";

/// The origin of a log's checkpoints in an epoch: its name, and from the second epoch on the number behind it. To a tool
/// that knows nothing of epochs each is a log of its own, so none is taken for the continuation of another.
fn origin(log: &str, epoch: u64) -> String {
    if epoch <= 1 { log.to_owned() } else { format!("{log}{EPOCH}{epoch}") }
}

/// The log's name and the epoch in an origin.
fn split_origin(text: &str) -> (&str, u64) {
    let parts = text.rsplit_once(EPOCH).and_then(|(log, number)| {
        let epoch = number.parse().ok().filter(|epoch| *epoch > 1)?;
        (origin(log, epoch) == text).then_some((log, epoch))
    });
    parts.unwrap_or((text, 1))
}

/// What a checkpoint says: the log of this name has so many entries and this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

impl Checkpoint {
    pub fn epoch(&self) -> u64 {
        split_origin(&self.origin).1
    }

    /// The text that is signed: three lines.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }
}

/// What is kept of a checkpoint with the last entry of a transaction.
pub struct Kept {
    pub root: Hash,
    pub signature: [u8; 64],
    /// `None`: it is bare, as programs of schema 2 kept them.
    seal: Option<[u8; 16]>,
}

impl Kept {
    /// The first byte of what is kept: its format. A bare one has none.
    pub const FORMAT: u8 = 1;
    /// Bytes of what is kept.
    pub const LENGTH: usize = 1 + Self::BARE + 16;
    /// Bytes of a bare one: root and signature.
    const BARE: usize = 32 + 64;

    pub fn read(bytes: &[u8]) -> Option<Self> {
        let is_bare = bytes.len() == Self::BARE;
        let bytes = if is_bare { bytes } else { bytes.strip_prefix(&[Self::FORMAT])? };
        let (root, rest) = bytes.split_first_chunk()?;
        let (signature, rest) = rest.split_first_chunk()?;
        let seal = if is_bare { None } else { Some(rest.try_into().ok()?) };
        Some(Self { root: *root, signature: *signature, seal })
    }

    pub fn is_bare(&self) -> bool {
        self.seal.is_none()
    }
}

/// The key that signs the log.
pub struct Signer {
    log: String,
    key: Ed25519KeyPair,
    /// The state of a hash that begins with a key.
    sealing: Sha256,
}

impl Signer {
    /// The key of a 32-byte seed, under the log's name.
    pub fn new(log: &str, seed: &[u8; 32]) -> Result<Self> {
        let key = Ed25519KeyPair::from_seed_unchecked(seed)
            .map_err(|_| Error::internal("signing_key", "the log's signing key cannot be made"))?;
        let sealing_key = Sha256::new().chain_update(b"gradus log seal\0").chain_update(seed).finalize();
        // A whole block, so that it is hashed once.
        let sealing = Sha256::new().chain_update(sealing_key).chain_update([0; 32]);
        Ok(Self { log: log.to_owned(), key, sealing })
    }

    /// The log's name, of whatever epoch.
    pub fn log(&self) -> &str {
        &self.log
    }

    pub fn verifier(&self, epoch: u64) -> Verifier {
        let mut public = [0; 32];
        public.copy_from_slice(self.key.public_key().as_ref());
        Verifier { log: self.log.clone(), epoch, public }
    }

    /// The signature of a checkpoint's text.
    pub fn sign(&self, epoch: u64, size: u64, root: &Hash) -> [u8; 64] {
        let checkpoint = Checkpoint { origin: origin(&self.log, epoch), size, root: *root };
        let mut signature = [0; 64];
        signature.copy_from_slice(self.key.sign(checkpoint.text().as_bytes()).as_ref());
        signature
    }

    /// The signature of another text of the registry's. None of them begins as a checkpoint does, with the log's name.
    pub fn sign_text(&self, text: &str) -> [u8; 64] {
        let mut signature = [0; 64];
        signature.copy_from_slice(self.key.sign(text.as_bytes()).as_ref());
        signature
    }

    /// Whether it is ours.
    pub fn signed_text(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key.public_key().as_ref())
            .verify(text.as_bytes(), signature)
            .is_ok()
    }

    /// The checkpoint after a transaction whose first entry is `first`, as it is kept with its last.
    pub fn keep(&self, epoch: u64, first: u64, size: u64, root: &Hash) -> Vec<u8> {
        let signature = self.sign(epoch, size, root);
        [&[Kept::FORMAT], &root[..], &signature, &self.seal(first, size, root, &signature)].concat()
    }

    /// Whether a kept checkpoint is what we wrote there. Computing the root again at each entry, or checking each
    /// signature, would take many times as long as hashing all entries.
    pub fn sealed(&self, first: u64, size: u64, kept: &Kept) -> bool {
        kept.seal == Some(self.seal(first, size, &kept.root, &kept.signature))
    }

    /// Whether a bare checkpoint is ours. It is to be believed only if the root of the tree of this size is its root. There
    /// were no later epochs then.
    pub fn signed(&self, size: u64, kept: &Kept) -> bool {
        let verifier = self.verifier(1);
        let said = Checkpoint { origin: verifier.name(), size, root: kept.root };
        kept.is_bare() && verifier.accepts(&said, &kept.signature)
    }

    fn seal(&self, first: u64, size: u64, root: &Hash, signature: &[u8; 64]) -> [u8; 16] {
        let mut hash = self.sealing.clone();
        hash.update(first.to_be_bytes());
        hash.update(size.to_be_bytes());
        hash.update(root);
        hash.update(signature);
        let mut seal = [0; 16];
        seal.copy_from_slice(&hash.finalize()[..16]);
        seal
    }
}

/// The public half of a signing key, as clients keep it: `NAME+KEYID+BASE64` (C2SP signed-note). The key is the same in
/// all epochs; its name is that of the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    log: String,
    epoch: u64,
    public: [u8; 32],
}

impl Verifier {
    /// The first line of the epoch's checkpoints.
    pub fn name(&self) -> String {
        origin(&self.log, self.epoch)
    }

    /// The same key in another epoch.
    pub fn of_epoch(&self, epoch: u64) -> Self {
        Self { epoch, ..self.clone() }
    }

    fn id(&self) -> [u8; 4] {
        let mut hash = Sha256::new();
        hash.update(self.name().as_bytes());
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
        format!("{}\n\u{2014} {} {signed}\n", checkpoint.text(), self.name())
    }

    /// Reads a signed note of any epoch. Signatures of other keys are passed over; ours must be there and right.
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
        let (log, epoch) = split_origin(origin);
        if log != self.log {
            return Err(refuse("it is of another log"));
        }
        let key = self.of_epoch(epoch);
        let ours = signatures.lines().filter_map(|line| {
            let (name, signed) = line.strip_prefix("\u{2014} ")?.rsplit_once(' ')?;
            let signed = BASE64.decode(signed).ok()?;
            let (id, signature) = signed.split_at_checked(4)?;
            (name == origin && id == key.id()).then(|| signature.to_vec())
        });
        let ours: Vec<_> = ours.collect();
        match ours.is_empty() || !ours.iter().all(|signature| key.accepts(&checkpoint, signature)) {
            true => Err(refuse("it is not signed by the log's key")),
            false => Ok(checkpoint),
        }
    }
}

impl std::fmt::Display for Verifier {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = BASE64.encode([&[KIND], &self.public[..]].concat());
        write!(out, "{}+{}+{key}", self.name(), super::digest::hex(&self.id()))
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
            let (log, epoch) = split_origin(name);
            let verifier = Self { log: log.to_owned(), epoch, public: public.try_into().ok()? };
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
        let verifier = signer.verifier(1);
        let checkpoint = Checkpoint { origin: verifier.name(), size: 42, root: [9; 32] };
        let note = verifier.note(&checkpoint, &signer.sign(1, 42, &[9; 32]));
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
        let other = Signer::new("log.example/gradus", &[8; 32]).unwrap().verifier(1);
        assert!(other.open(&note).is_err());
    }

    #[test]
    fn each_epoch_is_a_log_of_its_own_under_the_same_key() {
        let signer = signer();
        let first = signer.verifier(1);
        let second = first.of_epoch(2);
        assert_eq!(
            (first.name(), second.name()),
            ("log.example/gradus".into(), "log.example/gradus/epoch-2".into())
        );
        let checkpoint = Checkpoint { origin: second.name(), size: 42, root: [9; 32] };
        let note = second.note(&checkpoint, &signer.sign(2, 42, &[9; 32]));
        // Who has the key of either epoch reads the notes of both, and sees of which they are.
        for verifier in [&first, &second, &second.to_string().parse().unwrap()] {
            assert_eq!(verifier.open(&note).unwrap().epoch(), 2);
        }
        // A note does not pass for one of another epoch.
        for forged in [
            note.replace("/epoch-2", ""),
            note.replace("epoch-2", "epoch-3"),
            note.replace("epoch-2", "epoch-02"),
        ] {
            assert_eq!(first.open(&forged).unwrap_err().code, "checkpoint_invalid", "{forged:?}");
        }
        assert!(!second.to_string().contains(&first.to_string()[..30]));
    }

    #[test]
    fn what_is_kept_is_sealed_to_its_place() {
        let signer = signer();
        let bytes = signer.keep(1, 40, 42, &[9; 32]);
        assert!(signer.sealed(40, 42, &Kept::read(&bytes).unwrap()));
        assert!(!signer.sealed(41, 42, &Kept::read(&bytes).unwrap()));
        assert!(!signer.sealed(40, 43, &Kept::read(&bytes).unwrap()));
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            let kept = Kept::read(&changed);
            assert!(kept.is_none_or(|kept| !signer.sealed(40, 42, &kept)), "{index}");
        }
        assert!(Kept::read(&bytes[1..]).is_none());
        assert_eq!(bytes.len(), Kept::LENGTH);
    }

    #[test]
    fn what_was_kept_before_there_were_seals_goes_by_its_signature() {
        let signer = signer();
        let bare = [&[9; 32][..], &signer.sign(1, 42, &[9; 32])].concat();
        let read = |bytes: &[u8]| Kept::read(bytes).unwrap();
        assert!(read(&bare).is_bare() && signer.signed(42, &read(&bare)));
        assert!(!signer.signed(43, &read(&bare)));
        assert!(!signer.sealed(40, 42, &read(&bare)));
        for index in 0..bare.len() {
            let mut changed = bare.clone();
            changed[index] ^= 1;
            assert!(!signer.signed(42, &read(&changed)), "{index}");
        }
        // A later epoch's is none, nor is one that has a seal, whatever that is.
        let later = [&[9; 32][..], &signer.sign(2, 42, &[9; 32])].concat();
        assert!(!signer.signed(42, &read(&later)));
        assert!(!signer.signed(42, &read(&signer.keep(1, 40, 42, &[9; 32]))));
        assert!(Kept::read(&bare[1..]).is_none() && Kept::read(&[&bare[..], &[0]].concat()).is_none());
    }

    #[test]
    fn keys_are_written_and_read() {
        let verifier = signer().verifier(1);
        assert_eq!(verifier.to_string().parse::<Verifier>().unwrap(), verifier);
        for bad in ["", "a+b+c", &verifier.to_string().replacen('+', "+0", 1)] {
            assert_eq!(bad.parse::<Verifier>().unwrap_err().code, "key_invalid");
        }
    }
}
