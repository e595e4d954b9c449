//! Sizes as people write them.

use super::digest::shorten;
use crate::error::{Error, Result};

/// Units of 1000 and of 1024, largest first so that `KiB` is not taken for `B`.
const UNITS: [(&str, u64); 13] = [
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
    ("", 1),
];

/// Largest size that is kept.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// Reads a whole number of bytes with or without a unit: `10GiB`, `500 MB`, `1048576`.
pub fn parse(text: &str) -> Result<u64> {
    let invalid = || {
        Error::invalid("size_invalid", format!("not a size: {}", shorten(text)))
            .hint("a whole number above zero with a unit, for example 10GiB, 500MB or 1048576")
    };
    let (number, unit) =
        UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))).ok_or_else(invalid)?;
    let number = number.trim_end_matches(' ');
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(invalid());
    }
    let number: u64 = number.parse().map_err(|_| invalid())?;
    number.checked_mul(unit).filter(|size| (1..=SIZE_MAX).contains(size)).ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_exactly_or_refused() {
        for (text, size) in [
            ("1", 1),
            ("1048576", 1 << 20),
            ("7B", 7),
            ("10GiB", 10 << 30),
            ("10 GiB", 10 << 30),
            ("500MB", 500_000_000),
            ("2kB", 2_000),
            ("3TiB", 3 << 40),
        ] {
            assert_eq!(parse(text).unwrap(), size, "{text}");
        }
        for bad in [
            "",
            " ",
            "0",
            "0GiB",
            "-1",
            "-1GiB",
            "+1",
            "1.5GiB",
            "1e9",
            "GiB",
            "B",
            "10gib",
            "10 Gi B",
            "1_000",
            "10GiBB",
            "٣",
            "10XB",
            "9223372036854775808",
            "9999999999PiB",
            "1KiB ",
        ] {
            assert_eq!(parse(bad).unwrap_err().code, "size_invalid", "{bad}");
        }
        assert_eq!(parse("9223372036854775807").unwrap(), SIZE_MAX);
    }
}
