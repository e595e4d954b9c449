//! As much of DER (X.690) as keys and certificates need. Reading gives nothing for what is cut off or
//! malformed and cannot fail in another way.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// Takes the first value off the front: its tag and its content.
pub(super) fn take<'a>(der: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&[tag, first], rest) = der.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *der = rest;
    Some((tag, content))
}

/// Takes the first value, which must have this tag.
pub(super) fn expect<'a>(der: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    take(der).filter(|(found, _)| *found == tag).map(|(_, content)| content)
}

/// Takes the first value if it has this tag; otherwise leaves it there.
pub(super) fn optional<'a>(der: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    if der.first() == Some(&tag) { take(der).map(|(_, content)| content) } else { None }
}

/// The values in a sequence or a set, one after the other.
pub(super) fn values(mut der: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || take(&mut der))
}

/// One value of this tag around these contents.
pub(super) fn wrap(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let content = contents.concat();
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|digit| **digit == 0).count()..];
    match content.len() {
        short @ 0..=0x7f => [&[tag, short as u8], &content[..]].concat(),
        _ => [&[tag, 0x80 | digits.len() as u8], digits, &content[..]].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_back_and_cut_ones_are_not() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x1_0000] {
            let content = vec![7; length];
            let der = wrap(OCTET_STRING, &[&content]);
            let mut rest = &der[..];
            assert_eq!(expect(&mut rest, OCTET_STRING), Some(&content[..]));
            assert!(rest.is_empty());
            for cut in 0..der.len().min(300) {
                assert_eq!(take(&mut &der[..cut]), None);
            }
        }
        assert_eq!(take(&mut &[0x30, 0x80, 0, 0][..]), None);
        assert_eq!(take(&mut &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff][..]), None);
    }
}
