//! A running hash whose state can be stored and taken up again by another replica.

use crate::{
    error::{Error, Result},
    model::digest::{Algorithm, Digest},
};
use sha2::{
    Digest as _, Sha256, Sha512,
    digest::common::hazmat::{SerializableState, SerializedState},
};

#[derive(Clone)]
pub enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    pub fn digest(&self) -> Digest {
        match self {
            Self::Sha256(hash) => Digest::new(Algorithm::Sha256, &hash.clone().finalize()),
            Self::Sha512(hash) => Digest::new(Algorithm::Sha512, &hash.clone().finalize()),
        }
    }

    pub fn state(&self) -> Vec<u8> {
        match self {
            Self::Sha256(hash) => hash.serialize().to_vec(),
            Self::Sha512(hash) => hash.serialize().to_vec(),
        }
    }

    pub fn resume(algorithm: Algorithm, state: &[u8]) -> Result<Self> {
        fn read<H: SerializableState>(state: &[u8]) -> Option<H> {
            let state = SerializedState::<H>::try_from(state).ok()?;
            H::deserialize(&state).ok()
        }
        match algorithm {
            Algorithm::Sha256 => read(state).map(Self::Sha256),
            Algorithm::Sha512 => read(state).map(Self::Sha512),
        }
        .ok_or_else(|| Error::corrupt("uploads", "-", "the hash state cannot be read"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_hash_goes_on_where_it_stopped() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            for cut in [0, 1, 63, 64, 65, 127, 128, 1000] {
                let bytes: Vec<u8> = (0..2000u32).map(|i| (i % 251) as u8).collect();
                let mut hash = Hasher::new(algorithm);
                hash.update(&bytes[..cut]);
                let mut resumed = Hasher::resume(algorithm, &hash.state()).unwrap();
                resumed.update(&bytes[cut..]);
                assert_eq!(resumed.digest(), algorithm.digest(&bytes), "{algorithm:?} {cut}");
            }
            assert!(Hasher::resume(algorithm, b"short").is_err());
        }
    }
}
