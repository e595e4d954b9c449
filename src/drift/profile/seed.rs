use super::hash::mix;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::borrow::Cow;

/// Where the coins of a sketch come from: 64 bits, 16 hexadecimal digits in JSON. Take it from digests of
/// the inputs: then the same input gives the same coins, and parts of different inputs flip independent ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seed(pub u64);

impl Seed {
    /// An independent seed for the part of this number.
    pub(super) fn part(self, number: u64) -> Self {
        Self(mix(mix(self.0).wrapping_add(number)))
    }

    /// The seed of two sketches merged: the same for either order and any grouping.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// A fair coin, the same each time for the same level and number. The second coin of each pair (numbers `2i` and
    /// `2i + 1`) shows the other side: the errors of two compactions then tend to cancel.
    pub(super) fn coin(self, level: usize, number: u64) -> bool {
        let pair = self.part(level as u64).part(number / 2);
        (pair.0 & 1 == 1) ^ (number % 2 == 1)
    }

    /// 64 coins of a level at once, the one of each number as a bit; the second of each pair shows the other side here, too.
    pub(super) fn coins(self, level: usize, numbers: u64) -> u64 {
        // No level has so many coins that are flipped one by one.
        let pairs = self.part(level as u64).part(!numbers).0 & 0x5555_5555_5555_5555;
        pairs | (!pairs & 0x5555_5555_5555_5555) << 1
    }
}

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(input)?;
        u64::from_str_radix(&text, 16).map(Self).map_err(D::Error::custom)
    }
}

impl JsonSchema for Seed {
    fn schema_name() -> Cow<'static, str> {
        "Seed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-f]{16}$", "description": "64 bits" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coins_are_fair_and_come_in_opposite_pairs() {
        let seed = Seed(3);
        let heads = (0..10_000).filter(|pair| seed.coin(5, 2 * pair)).count();
        assert!((4_800..5_200).contains(&heads), "{heads}");
        assert!((0..100).all(|pair| seed.coin(5, 2 * pair) != seed.coin(5, 2 * pair + 1)));
        let coins = |numbers| seed.coins(5, numbers);
        assert!((0..100).all(|numbers| coins(numbers).count_ones() == 32));
        assert!(
            (0..100).all(|numbers| (coins(numbers) >> 1 ^ coins(numbers)) & 0x5555_5555_5555_5555
                == 0x5555_5555_5555_5555)
        );
        let heads: u32 =
            (0..1_000).map(|numbers| (coins(numbers) & 0x5555_5555_5555_5555).count_ones()).sum();
        assert!((15_500..16_500).contains(&heads), "{heads}");
        let same = (0..10_000).filter(|pair| seed.coin(5, 2 * pair) == seed.coin(6, 2 * pair)).count();
        assert!((4_800..5_200).contains(&same), "levels are independent: {same}");
    }
}
