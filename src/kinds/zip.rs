//! Zip archives, found from the end of the file as every reader finds them: torch checkpoints, `.npz`,
//! `.keras`. Central directory and local headers are compared, because scanners and loaders that
//! trusted different ones have been played against each other; members are looked at in any case.

use super::archive::{self, Packing};
use super::reader::{Reader, Slice, malformed};
use super::scan::Scan;
use crate::error::Result;
use crate::model::json::parse_strict;
use serde_json::Value;
use std::collections::HashSet;

const END: &[u8] = b"PK\x05\x06";
const END_LENGTH: u64 = 22;
const CENTRAL: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";
/// An end record may be followed by a comment of 65535 bytes.
const TAIL: u64 = END_LENGTH + 65_535;
const MAX_DIRECTORY: u64 = 16 << 20;
const MAX_ENDS: usize = 8;
const MAX_KERAS_CONFIG: usize = 8 << 20;

/// Looks into the archive, if the file is one.
pub(super) fn scan(scan: &mut Scan, path: &str, reader: Reader, head: &[u8], depth: u8) -> Result<()> {
    let tail_start = reader.size().saturating_sub(TAIL);
    let tail = match reader.size() <= head.len() as u64 {
        true => head.to_vec(),
        false => reader.read(tail_start, (reader.size() - tail_start) as usize)?,
    };
    let ends: Vec<usize> =
        tail.windows(4).enumerate().filter(|(_, window)| *window == END).map(|(at, _)| at).collect();
    let mut directories: Vec<Directory> = Vec::new();
    // Readers differ in which end record they take, so each one that leads to a directory counts.
    for at in ends.iter().rev().take(MAX_ENDS) {
        for directory in find_directories(reader, &tail, *at, tail_start)? {
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
    }
    if directories.len() > 1 {
        scan.found.problem(path, "the zip has more than one directory");
    }
    if ends.len() > MAX_ENDS {
        scan.found.problem(path, "the zip has more end records than are looked at");
    }
    if directories.is_empty() && head.starts_with(LOCAL) {
        return Err(malformed("begins like a zip and has no directory"));
    }
    for directory in directories {
        if !head.starts_with(LOCAL) {
            scan.found.problem(path, "a zip is hidden behind other content");
        }
        members(scan, path, reader, &directory, depth)?;
    }
    Ok(())
}

#[derive(PartialEq)]
struct Directory {
    start: u64,
    length: u64,
    /// Added to every stored offset: the archive may sit behind other bytes.
    shift: u64,
}

/// The central directories that the end record at `tail[at..]` leads to: none, one, or one for each way
/// of reading it.
fn find_directories(reader: Reader, tail: &[u8], at: usize, tail_start: u64) -> Result<Vec<Directory>> {
    let mut directories = Vec::new();
    let Some(end) = tail.get(at..at + END_LENGTH as usize) else { return Ok(directories) };
    let mut length = u64::from(u32_at(end, 12));
    let mut stored_start = u64::from(u32_at(end, 16));
    let mut directory_end = tail_start + at as u64;
    let is_zip64 = at >= 20 && tail.get(at - 20..at - 16) == Some(b"PK\x06\x07");
    if is_zip64 {
        let record_at = u64_at(tail, at - 20 + 8);
        // Where the locator says, or directly before the locator if something was put before the archive.
        let before_locator = directory_end.saturating_sub(20 + 56);
        let places = [record_at, before_locator];
        let record = places.into_iter().find_map(|place| {
            reader
                .read(place, 56)
                .ok()
                .filter(|record| record.starts_with(b"PK\x06\x06"))
                .map(|record| (place, record))
        });
        let Some((place, record)) = record else { return Err(malformed("the zip64 record is missing")) };
        (length, stored_start, directory_end) = (u64_at(&record, 40), u64_at(&record, 48), place);
    }
    if length == 0 {
        return Ok(directories);
    }
    // Python counts back from the end record, others trust the stored offset.
    let counted_start = directory_end.checked_sub(length);
    for start in counted_start.into_iter().chain([stored_start]) {
        let directory = Directory { start, length, shift: start.saturating_sub(stored_start) };
        if reader.read(start, 4).is_ok_and(|bytes| bytes == CENTRAL) && !directories.contains(&directory) {
            directories.push(directory);
        }
    }
    Ok(directories)
}

struct Member {
    name: Vec<u8>,
    flags: u16,
    method: u16,
    packed: u64,
    unpacked: u64,
    local: u64,
}

fn members(scan: &mut Scan, path: &str, reader: Reader, directory: &Directory, depth: u8) -> Result<()> {
    if directory.length > MAX_DIRECTORY {
        return Err(malformed(format!("the zip directory is too long: {} bytes", directory.length)));
    }
    let bytes = reader.read(directory.start, directory.length as usize)?;
    let mut rest = &bytes[..];
    let mut names = HashSet::new();
    let mut spans = Vec::new();
    while !rest.is_empty() {
        let (member, length) = central_entry(rest)?;
        rest = rest.get(length..).unwrap_or_default();
        let name = String::from_utf8_lossy(&member.name).into_owned();
        let member_path = format!("{path}!{name}");
        if name.contains('\\') || name.starts_with('/') || name.split('/').any(|part| part == "..") {
            scan.found.problem(&member_path, "the member's name leaves the archive's folder");
        }
        if !names.insert(member.name.clone()) {
            scan.found.problem(&member_path, "the zip has two members of one name");
        }
        match local_entry(reader, &member, directory.shift) {
            Ok((start, disagreement)) => {
                if let Some(what) = disagreement {
                    scan.found
                        .problem(&member_path, format!("zip directory and local header disagree: {what}"));
                }
                spans.push((
                    member.local.saturating_add(directory.shift),
                    start.saturating_add(member.packed),
                ));
                look_into(scan, &member_path, &name, reader, &member, start, depth);
            }
            Err(error) => scan.found.failed(&member_path, &error),
        }
    }
    // A reader that walks the local headers would see what lies between the members; 24 bytes are a
    // data descriptor.
    spans.sort_unstable();
    let mut position = directory.shift;
    for (start, end) in spans.into_iter().chain([(directory.start, directory.start)]) {
        if start < position || start - position > 24 {
            scan.found.problem(path, "zip members overlap or leave room for hidden content");
            break;
        }
        position = end;
    }
    Ok(())
}

fn central_entry(bytes: &[u8]) -> Result<(Member, usize)> {
    let fixed = bytes.get(..46).filter(|fixed| fixed.starts_with(CENTRAL));
    let fixed = fixed.ok_or_else(|| malformed("the zip directory is damaged"))?;
    let [name, extra, comment] = [28, 30, 32].map(|at| usize::from(u16_at(fixed, at)));
    let length = 46 + name + extra + comment;
    let fields = bytes.get(46..length).ok_or_else(|| malformed("the zip directory is damaged"))?;
    let mut member = Member {
        name: fields[..name].to_vec(),
        flags: u16_at(fixed, 8),
        method: u16_at(fixed, 10),
        packed: u64::from(u32_at(fixed, 20)),
        unpacked: u64::from(u32_at(fixed, 24)),
        local: u64::from(u32_at(fixed, 42)),
    };
    let slots = [&mut member.unpacked, &mut member.packed, &mut member.local];
    widen(&fields[name..name + extra], slots)?;
    Ok((member, length))
}

/// Replaces each field that says 0xffffffff by its value in the zip64 extra field, in this order.
fn widen<const N: usize>(mut extra: &[u8], slots: [&mut u64; N]) -> Result<()> {
    while extra.len() >= 4 {
        let (id, size) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let Some(body) = extra.get(4..4 + size) else { break };
        extra = &extra[4 + size..];
        if id != 1 {
            continue;
        }
        let mut at = 0;
        for slot in slots {
            if *slot == u64::from(u32::MAX) {
                let value = body.get(at..at + 8).ok_or_else(|| malformed("a zip64 field is missing"))?;
                *slot = u64_at(value, 0);
                at += 8;
            }
        }
        return Ok(());
    }
    Ok(())
}

/// Where the member's data starts, and in what its local header disagrees with the directory.
fn local_entry(reader: Reader, member: &Member, shift: u64) -> Result<(u64, Option<&'static str>)> {
    const FIXED: u64 = 30;
    let at = member.local.saturating_add(shift);
    let fixed = reader.read(at, FIXED as usize)?;
    if !fixed.starts_with(LOCAL) {
        return Err(malformed("the zip directory points at no member"));
    }
    let [name, extra] = [26, 28].map(|at| usize::from(u16_at(&fixed, at)));
    let fields = reader.read(at + FIXED, name + extra)?;
    let mut packed = u64::from(u32_at(&fixed, 18));
    let mut unpacked = u64::from(u32_at(&fixed, 22));
    widen(&fields[name..], [&mut unpacked, &mut packed])?;
    // With a data descriptor, the local header may leave the sizes out.
    let left_out = u16_at(&fixed, 6) & 8 != 0 && packed == 0 && unpacked == 0;
    let disagreement = if fields[..name] != member.name[..] {
        Some("name")
    } else if u16_at(&fixed, 8) != member.method {
        Some("compression")
    } else if u16_at(&fixed, 6) != member.flags {
        Some("flags")
    } else if !left_out && (packed, unpacked) != (member.packed, member.unpacked) {
        Some("size")
    } else {
        None
    };
    Ok((at + FIXED + (name + extra) as u64, disagreement))
}

fn look_into(
    scan: &mut Scan,
    path: &str,
    name: &str,
    reader: Reader,
    member: &Member,
    start: u64,
    depth: u8,
) {
    if member.flags & 1 != 0 {
        // Loaders that ignore the flag read the member all the same, so it is looked at as well.
        scan.found.problem(path, "the member says it is encrypted");
    }
    let available = reader.size().saturating_sub(start);
    if member.packed > available {
        return scan.found.problem(path, "the member is longer than the file");
    }
    let packed = Slice { source: reader.source, offset: start, size: member.packed };
    let packed_reader = Reader::new(&packed, reader.budget);
    if name == "config.json" {
        keras_config(scan, path, packed_reader, member.method);
    }
    match member.method {
        0 => scan.content(path, &packed, depth + 1, true),
        8 => match archive::inflate(packed_reader, &Packing::Deflate) {
            Ok((bytes, complete)) => {
                if !complete {
                    scan.found
                        .problem(path, "the member is damaged or too large to be looked into completely");
                }
                scan.content(path, &bytes, depth + 1, complete);
            }
            Err(error) => scan.found.failed(path, &error),
        },
        method => {
            scan.found.problem(path, format!("the member's compression cannot be looked into: {method}"))
        }
    }
}

/// A Keras archive rebuilds its layers from `config.json`; a Lambda layer carries marshalled code, and
/// modules other than Keras' own are imported by name.
fn keras_config(scan: &mut Scan, path: &str, packed: Reader, method: u16) {
    let bytes = match method {
        0 => packed.whole(MAX_KERAS_CONFIG),
        _ => archive::inflate(packed, &Packing::Deflate).map(|(bytes, _)| bytes),
    };
    match bytes.and_then(|bytes| parse_strict(&bytes, 100)) {
        Ok(config) => keras_objects(scan, path, &config),
        Err(error) => scan.found.failed(path, &error),
    }
}

fn keras_objects(scan: &mut Scan, path: &str, value: &Value) {
    match value {
        Value::Object(object) => {
            if object.get("class_name").is_some_and(|name| name == "Lambda" || name == "__lambda__") {
                scan.found.finding(path, "Keras Lambda layer: marshalled Python code");
            }
            if let Some(module) = object.get("module").and_then(Value::as_str) {
                const OWN: &[&str] = &[
                    "models",
                    "layers",
                    "initializers",
                    "regularizers",
                    "constraints",
                    "optimizers",
                    "losses",
                    "metrics",
                    "activations",
                    "src",
                    "dtype_policies",
                ];
                let own = match module.split_once('.') {
                    None => module == "keras",
                    Some((root, rest)) => {
                        root == "keras" && OWN.contains(&rest.split('.').next().unwrap_or_default())
                    }
                };
                if !own {
                    scan.found.finding(path, format!("Keras configuration that imports a module: {module}"));
                }
            }
            object.values().for_each(|value| keras_objects(scan, path, value));
        }
        Value::Array(items) => items.iter().for_each(|value| keras_objects(scan, path, value)),
        _ => {}
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let mut value = [0; 2];
    copy(bytes, at, &mut value);
    u16::from_le_bytes(value)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    copy(bytes, at, &mut value);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    copy(bytes, at, &mut value);
    u64::from_le_bytes(value)
}

/// Callers pass slices of a checked length; a shorter one would read as zeros, never panic.
fn copy(bytes: &[u8], at: usize, target: &mut [u8]) {
    if let Some(source) = bytes.get(at..at + target.len()) {
        target.copy_from_slice(source);
    }
}
