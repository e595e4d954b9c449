//! JSON of which each document has one text: no spaces, members in the order of the format, and numbers as RFC 8785
//! section 3.2.2.3 writes them, so that no release of a library changes a digest.

use super::invalid::Invalid;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use std::io::{self, Write};

pub(super) fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, Invalid> {
    let mut out = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut out, Canonical);
    value.serialize(&mut serializer).map_err(|error| Invalid::new(error.to_string()))?;
    Ok(out)
}

struct Canonical;

impl Formatter for Canonical {
    fn write_f64<W: ?Sized + Write>(&mut self, out: &mut W, value: f64) -> io::Result<()> {
        out.write_all(number(value).as_bytes())
    }
}

/// The text of a finite number: `Number::toString` of ECMAScript.
fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    // The shortest digits that read back as the same number, as d.ddde-7.
    let mut text = format!("{:e}", value.abs());
    // Of two texts as short and as near, the one with the even digit.
    let precision = text.find('e').unwrap_or(1).saturating_sub(2);
    let even = format!("{:.precision$e}", value.abs());
    if even.parse() == Ok(value.abs()) {
        text = even;
    }
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = mantissa.replace('.', "");
    let count = digits.len() as i32;
    // The value is 0.digits * 10^point.
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let zeros = |n: i32| "0".repeat(n.max(0) as usize);
    let body = match point {
        1..=21 if count <= point => format!("{digits}{}", zeros(point - count)),
        1..=21 => format!("{}.{}", &digits[..point as usize], &digits[point as usize..]),
        -5..=0 => format!("0.{}{digits}", zeros(-point)),
        _ => {
            let dot = if count > 1 { "." } else { "" };
            format!("{}{dot}{}e{:+}", &digits[..1], &digits[1..], point - 1)
        }
    };
    if value < 0.0 { format!("-{body}") } else { body }
}

#[cfg(test)]
mod tests {
    use super::super::hash::mix;
    use super::*;

    /// The samples of RFC 8785, appendix B.
    #[test]
    fn numbers_are_those_of_rfc_8785() {
        for (bits, expected) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            assert_eq!(number(f64::from_bits(bits)), expected);
        }
    }

    /// Fails where `serde_json` is built without its feature `float_roundtrip`.
    #[test]
    fn numbers_read_back_as_they_were() {
        for i in 0..20_000 {
            let value = f64::from_bits(mix(i));
            if value.is_finite() {
                let back: f64 = serde_json::from_str(&number(value)).unwrap();
                assert_eq!(back.to_bits(), value.to_bits());
                assert_eq!(number(value).parse(), Ok(value));
            }
        }
    }
}
