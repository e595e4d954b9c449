//! NumPy `.npy`: the header says whether the array holds Python objects, which are pickled. Format:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>. The header is a Python
//! literal; what is not written the way NumPy writes it is refused, not interpreted.

use super::reader::{Reader, malformed};
use crate::error::Result;

const MAX_HEADER: u64 = 1 << 20;
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";

/// Whether the array holds objects.
pub(super) fn holds_objects(reader: Reader) -> Result<bool> {
    let mut cursor = reader.cursor();
    cursor.skip(MAGIC.len() as u64)?;
    let [major, _minor] = cursor.array::<2>()?;
    let length = match major {
        1 => u64::from(u16::from_le_bytes(cursor.array()?)),
        2 | 3 => u64::from(cursor.u32_le()?),
        _ => return Err(malformed(format!("unknown version of the npy format: {major}"))),
    };
    if length > MAX_HEADER {
        return Err(malformed(format!("the npy header is too long: {length} bytes")));
    }
    let header = cursor.bytes(length, MAX_HEADER as usize)?;
    let strings =
        strings(std::str::from_utf8(&header).map_err(|_| malformed("the npy header is not text"))?)?;
    if !strings.contains(&"descr") {
        return Err(malformed("the npy header names no type"));
    }
    Ok(strings.into_iter().any(names_object_type))
}

/// The string literals of the header. Escapes, comments and adjacent literals (which Python joins) could
/// hide a type name and are refused.
fn strings(header: &str) -> Result<Vec<&str>> {
    if header.contains(['\\', '#'])
        || !header.trim_start().starts_with('{')
        || !header.trim_end().ends_with('}')
    {
        return Err(malformed("the npy header is not written as NumPy writes it"));
    }
    let mut strings = Vec::new();
    let mut rest = header;
    while let Some(start) = rest.find(['\'', '"']) {
        let quote = if rest[start..].starts_with('"') { '"' } else { '\'' };
        let body = &rest[start + 1..];
        let end = body.find(quote).ok_or_else(|| malformed("the npy header has an open string"))?;
        strings.push(&body[..end]);
        rest = &body[end + 1..];
        if !rest.trim_start().starts_with([',', ':', ')', ']', '}']) {
            return Err(malformed("the npy header is not written as NumPy writes it"));
        }
    }
    Ok(strings)
}

/// Any of NumPy's ways to write the object type, also as a part of a comma-separated type.
fn names_object_type(text: &str) -> bool {
    text.split(',').any(|part| {
        let part = part.trim_matches(|char: char| char.is_ascii_digit() || "<>|=() ".contains(char));
        part == "O" || part.to_ascii_lowercase().contains("object")
    })
}

#[cfg(test)]
mod tests {
    use super::super::reader::Budget;
    use super::*;

    fn npy(header: &str) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[1, 0]);
        bytes.extend_from_slice(&(header.len() as u16).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        bytes
    }

    fn objects(descr: &str) -> Result<bool> {
        let bytes = npy(&format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (3,), }}  \n"));
        holds_objects(Reader::new(&bytes, &Budget::for_files(1)))
    }

    #[test]
    fn numbers_are_no_objects_and_objects_are_found_however_written() {
        for numeric in ["'<f4'", "'|b1'", "'<U8'", "[('Offset', '<f4'), ('On', '<i8', (2, 2))]"] {
            assert!(!objects(numeric).unwrap(), "{numeric}");
        }
        for object in
            ["'|O'", "'O'", "'|O8'", "\"O\"", "[('x', '<f4'), ('y', '|O')]", "'f4,O'", "'object'", "'3O'"]
        {
            assert!(objects(object).unwrap(), "{object}");
        }
        for hidden in ["'\\x4f'", "'|' 'O'", "'<f4' #", "u'<f4"] {
            assert!(objects(hidden).is_err() || objects(hidden).unwrap(), "{hidden}");
        }
        assert!(holds_objects(Reader::new(&npy("{}"), &Budget::for_files(1))).is_err());
        assert!(holds_objects(Reader::new(&npy("{'descr'")[..9].to_vec(), &Budget::for_files(1))).is_err());
    }
}
