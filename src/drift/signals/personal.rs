//! Checks of what has the shape of a number of something: is it one?

use serde::{Deserialize, Serialize};
use std::ops::Range;

/// What must hold of a match besides its shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    #[default]
    None,
    /// Two letters and two digits that begin a number of the country's length with the right check digits (ISO 13616).
    Iban,
    /// 13 to 19 digits of a known issuer, the last of them as Luhn's formula says (ISO/IEC 7812-1).
    Card,
    /// A number that the Social Security Administration can have given.
    Ssn,
    /// Four numbers up to 255, not part of more.
    Ipv4,
}

impl Check {
    pub(super) fn holds(self, text: &[u8], found: Range<usize>) -> bool {
        let matched = &text[found.clone()];
        match self {
            Self::None => true,
            Self::Iban => is_iban(&text[found.start..]),
            Self::Card => has_card(matched),
            Self::Ssn => is_ssn(matched) && stands_apart(text, found, b"-"),
            Self::Ipv4 => is_ipv4(matched) && stands_apart(text, found, b"."),
        }
    }
}

/// Whether neither side goes on with one of `signs` and a digit.
fn stands_apart(text: &[u8], found: Range<usize>, signs: &[u8]) -> bool {
    let goes_on = |sign: Option<&u8>, digit: Option<&u8>| {
        sign.is_some_and(|sign| signs.contains(sign)) && digit.is_some_and(u8::is_ascii_digit)
    };
    let (before, after) = (&text[..found.start], &text[found.end..]);
    let mut back = before.iter().rev();
    !goes_on(back.next(), back.next()) && !goes_on(after.first(), after.get(1))
}

/// Countries by the length of their IBAN, from the registry of ISO 13616.
const IBAN: &[(usize, &str)] = &[
    (15, "NO"),
    (16, "BE"),
    (18, "DK FO GL NL SD FK"),
    (19, "MK SI"),
    (20, "AT BA EE KZ LT LU XK MN"),
    (21, "CH HR LI LV"),
    (22, "BG BH CR DE GB GE IE ME RS VA"),
    (23, "AE GI IL IQ OM TL SO"),
    (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
    (25, "LY PT ST"),
    (26, "IS TR"),
    (27, "BI DJ FR GR IT MC MR SM"),
    (28, "AL AZ BY CY DO GT HU LB NI PL SV"),
    (29, "BR EG PS QA UA"),
    (30, "JO KW MU"),
    (31, "MT SC"),
    (32, "LC"),
    (33, "RU"),
];

/// Whether one begins here, written with or without single spaces, and no letter or digit follows it.
fn is_iban(text: &[u8]) -> bool {
    let country = text.get(..2).and_then(|country| std::str::from_utf8(country).ok()).unwrap_or_default();
    let known = IBAN.iter().find(|(_, countries)| countries.split(' ').any(|known| known == country));
    let Some((length, _)) = known else { return false };
    let mut number = Vec::with_capacity(*length);
    let mut rest = text;
    while number.len() < *length {
        if let [b' ', after @ ..] = rest {
            rest = after;
        }
        match rest {
            [sign @ (b'A'..=b'Z' | b'0'..=b'9'), after @ ..] => (number.push(*sign), rest = after),
            _ => return false,
        };
    }
    let remainder = number[4..].iter().chain(&number[..4]).fold(0, |remainder, sign| match sign {
        b'0'..=b'9' => (remainder * 10 + u32::from(sign - b'0')) % 97,
        _ => (remainder * 100 + u32::from(sign - b'A') + 10) % 97,
    });
    remainder == 1 && !rest.first().is_some_and(u8::is_ascii_alphanumeric)
}

/// Whether some of the groups of digits in a row are a card's number, as other numbers may stand beside it.
fn has_card(found: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let groups: Vec<&[u8]> = found.split(|byte| !is_digit(byte)).filter(|group| !group.is_empty()).collect();
    for first in 0..groups.len() {
        let mut digits = vec![];
        for group in &groups[first..] {
            digits.extend_from_slice(group);
            if digits.len() > 19 {
                break;
            }
            if is_card(&digits) {
                return true;
            }
        }
    }
    false
}

fn is_card(digits: &[u8]) -> bool {
    if !(13..=19).contains(&digits.len()) || !matches!(digits[0], b'2'..=b'6') {
        return false;
    }
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(place, digit)| luhn(place, u32::from(digit - b'0'))).sum();
    sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
}

/// Every second digit from the right counts twice, with the digits of the product added.
fn luhn(place: usize, digit: u32) -> u32 {
    if place.is_multiple_of(2) { digit } else { digit * 2 / 10 + digit * 2 % 10 }
}

fn is_ssn(found: &[u8]) -> bool {
    let mut parts = found.split(|byte| *byte == b'-');
    let (area, group, serial) = (parts.next(), parts.next(), parts.next());
    let never = [Some(&b"000"[..]), Some(&b"666"[..])];
    !never.contains(&area) && found.first() != Some(&b'9') && group != Some(b"00") && serial != Some(b"0000")
}

fn is_ipv4(found: &[u8]) -> bool {
    let number = |part: &[u8]| part.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    found.split(|byte| *byte == b'.').all(|part| part.len() <= 3 && number(part) <= 255)
}
