//! 64-bit hashes that stay the same on every machine and in every release: profiles are merged years later.

/// A bijection of 64 bits in which every input bit moves every output bit: the output function of SplitMix64 (Steele,
/// Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
pub(super) fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The hash of a number; -0 is 0.
pub(super) fn hash_number(value: f64) -> u64 {
    mix((value + 0.0).to_bits())
}

const P1: u64 = 0x9e37_79b1_85eb_ca87;
const P2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const P3: u64 = 0x1656_67b1_9e37_79f9;
const P4: u64 = 0x85eb_ca77_c2b2_ae63;
const P5: u64 = 0x27d4_eb2f_1656_67c5;

/// XXH64 with seed 0, after its specification (the "XXH64 algorithm description" of the xxHash project).
pub(super) fn hash_bytes(bytes: &[u8]) -> u64 {
    let (stripes, mut rest) = bytes.as_chunks::<32>();
    let mut hash = if stripes.is_empty() { P5 } else { hash_stripes(stripes) };
    hash = hash.wrapping_add(bytes.len() as u64);
    while let Some((lane, after)) = rest.split_first_chunk::<8>() {
        hash ^= round(0, u64::from_le_bytes(*lane));
        hash = hash.rotate_left(27).wrapping_mul(P1).wrapping_add(P4);
        rest = after;
    }
    if let Some((lane, after)) = rest.split_first_chunk::<4>() {
        hash ^= u64::from(u32::from_le_bytes(*lane)).wrapping_mul(P1);
        hash = hash.rotate_left(23).wrapping_mul(P2).wrapping_add(P3);
        rest = after;
    }
    for byte in rest {
        hash ^= u64::from(*byte).wrapping_mul(P5);
        hash = hash.rotate_left(11).wrapping_mul(P1);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
    hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
    hash ^ (hash >> 32)
}

fn hash_stripes(stripes: &[[u8; 32]]) -> u64 {
    let mut lanes = [P1.wrapping_add(P2), P2, 0, P1.wrapping_neg()];
    for stripe in stripes {
        for (lane, bytes) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
            *lane = round(*lane, u64::from_le_bytes(*bytes));
        }
    }
    let [a, b, c, d] = lanes;
    let turned = [a.rotate_left(1), b.rotate_left(7), c.rotate_left(12), d.rotate_left(18)];
    let hash = turned.into_iter().fold(0, u64::wrapping_add);
    lanes.iter().fold(hash, |hash, lane| (hash ^ round(0, *lane)).wrapping_mul(P1).wrapping_add(P4))
}

fn round(lane: u64, input: u64) -> u64 {
    lane.wrapping_add(input.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `xxhash.xxh64_intdigest` of the first n bytes of 0, 1, 2, ...; xxhash 4.1.0 from PyPI.
    #[test]
    fn bytes_hash_as_xxh64() {
        let bytes: Vec<u8> = (0..100).collect();
        for (n, expected) in GOLDEN {
            assert_eq!(hash_bytes(&bytes[..n]), expected, "{n} bytes");
        }
        assert_eq!(hash_bytes(b"abc"), 0x44bc_2cf5_ad77_0999);
    }

    const GOLDEN: [(usize, u64); 8] = [
        (0, 0xef46_db37_51d8_e999),
        (1, 0xe934_a84a_db05_2768),
        (4, 0xffce_d860_4453_cc1e),
        (11, 0x652a_564a_9536_5aca),
        (31, 0xc346_d2b5_9b4d_8ee1),
        (32, 0xcbf5_9c51_16ff_32b4),
        (63, 0xe26a_a9e2_a95f_8e4f),
        (100, 0x6ac1_e580_3216_6597),
    ];

    #[test]
    fn equal_numbers_hash_equally() {
        assert_eq!(hash_number(-0.0), hash_number(0.0));
        assert_ne!(hash_number(1.0), hash_number(-1.0));
    }
}
