//! Wrappers around other content: gzip, zlib and tar are looked into, within bounds; other compressions
//! are only recognised, so that they end as `unknown`.

use super::Source;
use super::reader::{Reader, Slice, malformed};
use super::scan::Scan;
use crate::error::Result;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use std::io::{self, Read};

/// How much of a compressed part is unpacked to look at.
pub(super) const MAX_INFLATED: usize = 16 << 20;
const MAX_TAR_MEMBERS: usize = 10_000;
const BLOCK: u64 = 512;

const OPAQUE: &[(&[u8], &str)] = &[
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x5d\0\0", "lzma"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"7z\xbc\xaf\x27\x1c", "7-zip"),
    (b"Rar!\x1a\x07", "rar"),
];

/// The name of a format that is recognised but cannot be looked into.
pub(super) fn opaque(head: &[u8]) -> Option<&'static str> {
    let skippable_frame = head.len() > 4 && matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]);
    // HDF5 may begin after a user block, at 512 and its doubles.
    let hdf5 = [0, 512, 1024, 2048]
        .into_iter()
        .any(|start| head.get(start..).is_some_and(|rest| rest.starts_with(b"\x89HDF\r\n\x1a\n")));
    match OPAQUE.iter().find(|(magic, _)| head.starts_with(magic)) {
        Some((_, name)) => Some(name),
        None if skippable_frame => Some("zstandard"),
        None if hdf5 => Some("HDF5 (it may carry Keras lambdas or pickled attributes)"),
        None => None,
    }
}

pub(super) enum Packing {
    Gzip,
    Zlib,
    Deflate,
}

/// Unpacks at most `MAX_INFLATED` bytes; also says whether that was all.
pub(super) fn inflate(reader: Reader, packing: &Packing) -> Result<(Vec<u8>, bool)> {
    let packed = reader.cursor();
    let mut unpacked = Unpacked { bytes: Vec::new(), reader };
    let limit = MAX_INFLATED as u64 + 1;
    let copied = match packing {
        Packing::Gzip => io::copy(&mut MultiGzDecoder::new(packed).take(limit), &mut unpacked),
        Packing::Zlib => io::copy(&mut ZlibDecoder::new(packed).take(limit), &mut unpacked),
        Packing::Deflate => io::copy(&mut DeflateDecoder::new(packed).take(limit), &mut unpacked),
    };
    let complete = match copied {
        Ok(count) => count < limit,
        // What came out before the fault is what a lenient reader would see.
        Err(_) if !unpacked.bytes.is_empty() => false,
        Err(error) => return Err(malformed(format!("cannot be decompressed: {error}"))),
    };
    unpacked.bytes.truncate(MAX_INFLATED);
    Ok((unpacked.bytes, complete))
}

/// Collects unpacked bytes at the expense of the budget.
struct Unpacked<'a> {
    bytes: Vec<u8>,
    reader: Reader<'a>,
}

impl io::Write for Unpacked<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reader.budget.spend(bytes.len()).map_err(|error| io::Error::other(error.message))?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) fn scan_compressed(
    scan: &mut Scan,
    path: &str,
    reader: Reader,
    head: &[u8],
    depth: u8,
) -> Result<()> {
    let is_zlib = |head: &[u8]| matches!(head, [0x78, flags, ..] if (0x7800 + u16::from(*flags)).is_multiple_of(31) && flags & 0x20 == 0);
    let packing = match head {
        [0x1f, 0x8b, 8, ..] => Packing::Gzip,
        _ if is_zlib(head) => Packing::Zlib,
        _ => return Ok(()),
    };
    let (bytes, complete) = match inflate(reader, &packing) {
        Ok(unpacked) => unpacked,
        // Two bytes are a weak sign; without output this was no zlib stream.
        Err(_) if matches!(packing, Packing::Zlib) => return Ok(()),
        Err(error) => return Err(error),
    };
    if !complete {
        scan.found.problem(path, "compressed content is damaged or too large to be looked into completely");
    }
    scan.content(&format!("{path}!"), &bytes, depth + 1, complete);
    Ok(())
}

/// Looks into each member of a tar file, recognised by the checksum of its first header.
pub(super) fn scan_tar(scan: &mut Scan, path: &str, reader: Reader, head: &[u8], depth: u8) -> Result<()> {
    if head.get(..BLOCK as usize).is_none_or(|block| !checksum_fits(block)) {
        return Ok(());
    }
    let mut offset = 0;
    for _ in 0..MAX_TAR_MEMBERS {
        if reader.size().saturating_sub(offset) < BLOCK {
            return Ok(());
        }
        let header = reader.read(offset, BLOCK as usize)?;
        offset += BLOCK;
        if header.iter().all(|byte| *byte == 0) {
            continue;
        }
        if !checksum_fits(&header) {
            return Err(malformed("a tar header with a wrong checksum"));
        }
        let size = number(&header[124..136]).ok_or_else(|| malformed("a tar member without a size"))?;
        if size > reader.size() - offset {
            return Err(malformed("a tar member is longer than the file"));
        }
        let name = String::from_utf8_lossy(header[..100].split(|byte| *byte == 0).next().unwrap_or_default())
            .into_owned();
        let member = Slice { source: reader.source, offset, size };
        scan.content(&format!("{path}!{name}"), &member as &dyn Source, depth + 1, true);
        offset = offset.saturating_add(size.div_ceil(BLOCK) * BLOCK).min(reader.size());
    }
    Err(malformed("more tar members than are looked into"))
}

fn checksum_fits(header: &[u8]) -> bool {
    let sum = header.iter().enumerate().map(|(at, byte)| match at {
        148..156 => u64::from(b' '),
        _ => u64::from(*byte),
    });
    header.first() != Some(&0) && number(&header[148..156]) == Some(sum.sum())
}

/// Octal digits between spaces and NULs, or a big-endian number after a set first bit (GNU).
fn number(field: &[u8]) -> Option<u64> {
    match field {
        [0x80, rest @ ..] => {
            let (high, low) = rest.split_at(rest.len().saturating_sub(8));
            let low: [u8; 8] = low.try_into().ok()?;
            high.iter().all(|byte| *byte == 0).then(|| u64::from_be_bytes(low))
        }
        _ => {
            let text = std::str::from_utf8(field).ok()?;
            u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Safety;
    use super::super::tests::safety_of;
    use super::*;
    use std::io::Write as _;

    const PICKLE: &[u8] = b"\x80\x02cos\ngetpid\n)R.";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn wrappers_are_followed_down_to_a_bounded_depth() {
        let mut bytes = PICKLE.to_vec();
        for _ in 0..4 {
            bytes = gzip(&bytes);
            assert_eq!(safety_of(&bytes), Safety::Unsafe);
        }
        for _ in 0..3 {
            bytes = gzip(&bytes);
            assert_eq!(safety_of(&bytes), Safety::Unknown);
        }
    }

    #[test]
    fn damaged_and_oversized_wrappers_are_unknown() {
        let whole = gzip(&b"harmless text, ".repeat(1000));
        assert_eq!(safety_of(&whole), Safety::Safe);
        assert_eq!(safety_of(&whole[..whole.len() - 9]), Safety::Unknown);
        assert_eq!(safety_of(&[&whole[..], b"behind"].concat()), Safety::Unknown);
        assert_eq!(safety_of(&gzip(&vec![b' '; MAX_INFLATED + 1])), Safety::Unknown);
        assert_eq!(safety_of(&gzip(PICKLE)[..20]), Safety::Unknown);
    }

    #[test]
    fn what_cannot_be_looked_into_is_unknown() {
        for (magic, name) in OPAQUE {
            assert_eq!(safety_of(&[magic, &[0; 40][..]].concat()), Safety::Unknown, "{name}");
        }
        let hdf5 = [&[0; 512][..], b"\x89HDF\r\n\x1a\n", &[0; 100]].concat();
        assert_eq!(safety_of(&hdf5), Safety::Unknown);
        assert_eq!(safety_of(b"\x50\x2a\x4d\x18\0\0\0\0"), Safety::Unknown);
    }

    #[test]
    fn tar_numbers_are_octal_or_binary() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(number(b"\x80\x01\0\0\0\0\0\0\0\0\0\0"), None);
        assert_eq!(number(b"\xff\xff\xff\xff\xff\xff\xff\xff"), None);
        assert_eq!(number(b"        "), None);
    }
}
