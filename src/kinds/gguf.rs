//! GGUF versions 2 and 3, little and big endian:
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Lengths are checked against what is left
//! of the file before anything is read or allocated.

use super::inspection::{Counts, bounded};
use super::reader::{Cursor, Reader, malformed};
use super::{FileView, Files, Format, Inspection};
use crate::error::Result;
use crate::model::digest::shorten;
use crate::model::kind::Kind;
use std::collections::{BTreeMap, HashSet};

pub(super) const FORMAT: Format = Format { kind: Kind::Gguf, recognises, inspect };

const MAX_KEYS: u64 = 100_000;
const MAX_TENSORS: u64 = 1_000_000;
const MAX_NAME: u64 = 65_535;
const MAX_ARRAY: u64 = 16 << 20;
const MAX_ARRAY_DEPTH: u8 = 4;
/// How much of a string value is kept; longer ones (chat templates) are passed over.
const KEPT: usize = 512;

/// Type number, name, elements per block, bytes per block: GGML's tensor types.
const TYPES: &[(u32, &str, u64, u64)] = &[
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 40),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
];

/// `general.file_type`: what most tensors of the file are stored as.
const FILE_TYPES: &[(u64, &str)] = &[
    (0, "F32"),
    (1, "F16"),
    (2, "Q4_0"),
    (3, "Q4_1"),
    (7, "Q8_0"),
    (8, "Q5_0"),
    (9, "Q5_1"),
    (10, "Q2_K"),
    (11, "Q3_K_S"),
    (12, "Q3_K_M"),
    (13, "Q3_K_L"),
    (14, "Q4_K_S"),
    (15, "Q4_K_M"),
    (16, "Q5_K_S"),
    (17, "Q5_K_M"),
    (18, "Q6_K"),
    (19, "IQ2_XXS"),
    (20, "IQ2_XS"),
    (21, "Q2_K_S"),
    (22, "IQ3_XS"),
    (23, "IQ3_XXS"),
    (24, "IQ1_S"),
    (25, "IQ4_NL"),
    (26, "IQ3_S"),
    (27, "IQ3_M"),
    (28, "IQ2_S"),
    (29, "IQ2_M"),
    (30, "IQ4_XS"),
    (31, "IQ1_M"),
    (32, "BF16"),
    (36, "TQ1_0"),
    (37, "TQ2_0"),
    (38, "MXFP4_MOE"),
    (39, "NVFP4"),
    (40, "Q1_0"),
];

pub(super) fn is_gguf(files: &Files, view: &FileView) -> bool {
    let magic = Reader::new(view.source, &files.budget).head(4);
    view.path.ends_with(".gguf") || magic.is_ok_and(|magic| magic == b"GGUF")
}

fn recognises(files: &Files) -> bool {
    files.views.iter().any(|view| is_gguf(files, view))
}

fn inspect(files: &Files, found: &mut Inspection) {
    found.formats.insert("gguf".into());
    let mut read = 0;
    for view in files.views.iter().filter(|view| is_gguf(files, view)) {
        match read_model(files.reader(view)) {
            Ok(model) => {
                read += 1;
                found.count(view.path, &model.counts);
                describe(&model, found);
                model.problems.iter().for_each(|problem| found.problem(view.path, problem));
            }
            Err(error) => found.unreadable(view.path, &error),
        }
    }
    let parts = found.facts.get("gguf.split.count").and_then(|count| count.parse::<u64>().ok());
    if parts.is_some_and(|parts| parts > 1 && parts != read) {
        found.problem(
            "",
            format!("the model is split into {} files, of which {read} are here", parts.unwrap_or(0)),
        );
    }
}

fn describe(model: &Model, found: &mut Inspection) {
    let text = |key: &str| match model.values.get(key) {
        Some(Value::Text(text)) => Some(bounded(text)),
        _ => None,
    };
    let number = |key: &str| match model.values.get(key) {
        Some(Value::Number(number)) => Some(*number),
        _ => None,
    };
    found.fact("gguf.version", model.version);
    found.fact("gguf.endian", if model.big_endian { "big" } else { "little" });
    if let Some(parts) = number("split.count") {
        found.fact("gguf.split.count", parts);
    }
    for key in ["general.name", "general.type", "general.license"] {
        if let Some(value) = text(key) {
            found.fact(&format!("gguf.{key}"), value);
        }
    }
    if let Some(architecture) = text("general.architecture") {
        found.context_length = found.context_length.or(number(&format!("{architecture}.context_length")));
        found.architecture.get_or_insert(architecture);
    }
    if let Some(file_type) = number("general.file_type") {
        let name = FILE_TYPES.iter().find(|(number, _)| *number == file_type);
        found.quantization =
            Some(name.map_or_else(|| format!("file type {file_type}"), |(_, name)| (*name).into()));
    }
    let base = text("general.base_model.0.repo_url").or(text("general.base_model.0.name"));
    found.base = found.base.take().or(base);
}

enum Value {
    Text(String),
    Number(u64),
    /// Read over: its kind of value is not used.
    Other,
}

struct Model {
    version: u32,
    big_endian: bool,
    values: BTreeMap<String, Value>,
    counts: Counts,
    problems: Vec<String>,
}

fn read_model(reader: Reader) -> Result<Model> {
    let mut cursor = reader.cursor();
    if cursor.array::<4>()? != *b"GGUF" {
        return Err(malformed("does not begin with GGUF"));
    }
    let version: [u8; 4] = cursor.array()?;
    // The version is a small number: its low half is zero only when read in the wrong order.
    let big_endian = u32::from_le_bytes(version) & 0xffff == 0;
    let mut file = File { cursor, big_endian };
    let version = if big_endian { u32::from_be_bytes(version) } else { u32::from_le_bytes(version) };
    match version {
        2 | 3 => {}
        1 => return Err(malformed("GGUF version 1 is not read: convert the file to version 3")),
        _ => return Err(malformed(format!("unknown GGUF version: {version}"))),
    }
    let tensors = file.count(24, MAX_TENSORS, "tensors")?;
    let keys = file.count(13, MAX_KEYS, "metadata keys")?;

    let mut values = BTreeMap::new();
    for _ in 0..keys {
        let key = file.name()?;
        let kind = file.u32()?;
        let value = file.value(kind, 0)?;
        if values.contains_key(&key) {
            return Err(malformed(format!("duplicate metadata key: {}", shorten(&key))));
        }
        values.insert(key, value);
    }
    let alignment = match values.get("general.alignment") {
        None => 32,
        Some(Value::Number(alignment))
            if alignment.is_power_of_two() && (8..=1 << 20).contains(alignment) =>
        {
            *alignment
        }
        Some(_) => return Err(malformed("general.alignment is not a usable power of two")),
    };

    let mut model = Model { version, big_endian, values, counts: Counts::default(), problems: Vec::new() };
    let mut names = HashSet::new();
    let mut ranges = Vec::new();
    for _ in 0..tensors {
        let tensor = file.tensor(alignment)?;
        match tensor.bytes {
            Some(bytes) => ranges.push((tensor.offset, bytes)),
            None => model.problems.push(format!("unknown tensor type: {}", tensor.dtype)),
        }
        model.counts.add(&tensor.dtype, tensor.elements)?;
        if !names.insert(tensor.name.clone()) {
            return Err(malformed(format!("duplicate tensor: {}", shorten(&tensor.name))));
        }
    }
    if ranges.len() as u64 == tensors && tensors > 0 {
        let start = file.cursor.position().next_multiple_of(alignment);
        check_data(ranges, start, alignment, reader.size())?;
    }
    Ok(model)
}

/// Tensor data lies inside the file, does not overlap, and nothing but padding is left over.
fn check_data(mut ranges: Vec<(u64, u64)>, start: u64, alignment: u64, size: u64) -> Result<()> {
    ranges.sort_unstable();
    let mut filled = 0u64;
    for (offset, bytes) in ranges {
        if offset < filled {
            return Err(malformed(format!("tensor data overlaps: offset {offset}")));
        }
        if offset - filled >= alignment {
            return Err(malformed(format!("tensor data leaves a hole: offset {filled}")));
        }
        filled = offset.checked_add(bytes).ok_or_else(|| malformed("tensor data does not fit 64 bits"))?;
    }
    let end = start.checked_add(filled).filter(|end| *end <= size);
    let end = end.ok_or_else(|| malformed("tensor data is longer than the file"))?;
    if size - end >= alignment {
        return Err(malformed(format!("more than padding follows the tensor data: {} bytes", size - end)));
    }
    Ok(())
}

struct TensorInfo {
    name: String,
    dtype: String,
    elements: u64,
    /// Absent if the type is not known.
    bytes: Option<u64>,
    offset: u64,
}

struct File<'a> {
    cursor: Cursor<'a>,
    big_endian: bool,
}

impl File<'_> {
    fn u32(&mut self) -> Result<u32> {
        let bytes = self.cursor.array()?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn u64(&mut self) -> Result<u64> {
        let bytes = self.cursor.array()?;
        Ok(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }

    /// A number of things of at least `smallest` bytes each, checked before any of them is read.
    fn count(&mut self, smallest: u64, limit: u64, what: &str) -> Result<u64> {
        let count = self.u64()?;
        if count > limit.min(self.cursor.remaining() / smallest) {
            return Err(malformed(format!("says it has more {what} than can be: {count}")));
        }
        Ok(count)
    }

    fn name(&mut self) -> Result<String> {
        let length = self.u64()?;
        if length == 0 || length > MAX_NAME {
            return Err(malformed(format!("a name of impossible length: {length}")));
        }
        let bytes = self.cursor.bytes(length, MAX_NAME as usize)?;
        String::from_utf8(bytes).map_err(|_| malformed("a name that is not UTF-8"))
    }

    fn value(&mut self, kind: u32, depth: u8) -> Result<Value> {
        let number = match kind {
            0 => u64::from(self.cursor.byte()?),
            2 => {
                let bytes = self.cursor.array()?;
                u64::from(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
            }
            4 => u64::from(self.u32()?),
            10 => self.u64()?,
            7 => {
                if self.cursor.byte()? > 1 {
                    return Err(malformed("a truth value that is neither 0 nor 1"));
                }
                return Ok(Value::Other);
            }
            8 => {
                let length = self.u64()?;
                let bytes = self.cursor.bytes(length, KEPT)?;
                let text = String::from_utf8(bytes);
                return Ok(text.ok().filter(|_| length <= KEPT as u64).map_or(Value::Other, Value::Text));
            }
            9 => return self.array(depth),
            _ => {
                self.cursor.skip(scalar_size(kind)?)?;
                return Ok(Value::Other);
            }
        };
        Ok(Value::Number(number))
    }

    fn array(&mut self, depth: u8) -> Result<Value> {
        if depth >= MAX_ARRAY_DEPTH {
            return Err(malformed("arrays are nested too deeply"));
        }
        let kind = self.u32()?;
        match kind {
            8 | 9 => {
                let smallest = if kind == 8 { 8 } else { 12 };
                let count = self.count(smallest, MAX_ARRAY, "array elements")?;
                for _ in 0..count {
                    self.value(kind, depth + 1)?;
                }
            }
            _ => {
                let size = scalar_size(kind)?;
                let count = self.count(size, u64::MAX, "array elements")?;
                self.cursor.skip(count * size)?;
            }
        }
        Ok(Value::Other)
    }

    fn tensor(&mut self, alignment: u64) -> Result<TensorInfo> {
        let name = self.name()?;
        let dimensions = self.u32()?;
        if dimensions > 4 {
            return Err(malformed(format!("a tensor of more than 4 dimensions: {}", shorten(&name))));
        }
        let mut elements = 1u64;
        let mut row = 1;
        for dimension in 0..dimensions {
            let length = self.u64()?;
            if dimension == 0 {
                row = length;
            }
            elements = elements
                .checked_mul(length)
                .ok_or_else(|| malformed(format!("more elements than 64 bits count: {}", shorten(&name))))?;
        }
        let kind = self.u32()?;
        let offset = self.u64()?;
        if !offset.is_multiple_of(alignment) {
            return Err(malformed(format!("a tensor that is not aligned: {}", shorten(&name))));
        }
        let known = TYPES.iter().find(|(number, ..)| *number == kind);
        let Some((_, dtype, per_block, block)) = known else {
            return Ok(TensorInfo { name, dtype: format!("type {kind}"), elements, bytes: None, offset });
        };
        if !row.is_multiple_of(*per_block) {
            return Err(malformed(format!("a row is not a whole number of blocks: {}", shorten(&name))));
        }
        let bytes = (elements / per_block)
            .checked_mul(*block)
            .ok_or_else(|| malformed(format!("more bytes than 64 bits count: {}", shorten(&name))))?;
        Ok(TensorInfo { name, dtype: (*dtype).into(), elements, bytes: Some(bytes), offset })
    }
}

fn scalar_size(kind: u32) -> Result<u64> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(malformed(format!("unknown metadata type: {kind}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Safety;
    use super::super::tests::inspect_bytes;

    /// A little-endian GGUF of these metadata entries and tensors, with `data` zero bytes behind.
    fn gguf(keys: &[Vec<u8>], tensors: &[Vec<u8>], data: usize) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend_from_slice(&(tensors.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&(keys.len() as u64).to_le_bytes());
        keys.iter().chain(tensors).for_each(|part| bytes.extend_from_slice(part));
        bytes.resize(bytes.len().next_multiple_of(32) + data, 0);
        bytes
    }

    fn text(text: &str) -> Vec<u8> {
        [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
    }

    fn key(name: &str, kind: u32, value: &[u8]) -> Vec<u8> {
        [&text(name)[..], &kind.to_le_bytes(), value].concat()
    }

    fn tensor(name: &str, shape: &[u64], kind: u32, offset: u64) -> Vec<u8> {
        let mut bytes = text(name);
        bytes.extend_from_slice(&(shape.len() as u32).to_le_bytes());
        shape.iter().for_each(|length| bytes.extend_from_slice(&length.to_le_bytes()));
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&offset.to_le_bytes());
        bytes
    }

    #[test]
    fn facts_and_parameters_are_read() {
        let keys = [
            key("general.architecture", 8, &text("llama")),
            key("llama.context_length", 4, &8192u32.to_le_bytes()),
            key("general.file_type", 4, &15u32.to_le_bytes()),
            key("general.base_model.0.repo_url", 8, &text("https://example.test/base")),
            key("tokenizer.chat_template", 8, &text(&"x".repeat(5000))),
            key("flag", 7, &[1]),
            key("list", 9, &[&8u32.to_le_bytes()[..], &2u64.to_le_bytes(), &text("a"), &text("")].concat()),
            key("ints", 9, &[&5u32.to_le_bytes()[..], &2u64.to_le_bytes(), &[0; 8]].concat()),
        ];
        let tensors = [tensor("a", &[256, 2], 12, 0), tensor("b", &[3], 0, 288)];
        let found = inspect_bytes(&[("m", &gguf(&keys, &tensors, 300))]);
        assert_eq!(found.safety, Safety::Safe, "{:?}", found.problems);
        assert_eq!((found.parameters, found.tensors, found.context_length), (Some(515), Some(2), Some(8192)));
        assert_eq!(
            (found.architecture.as_deref(), found.quantization.as_deref()),
            (Some("llama"), Some("Q4_K_M"))
        );
        assert_eq!((found.dtypes["Q4_K"], found.dtypes["F32"]), (512, 3));
        assert_eq!(found.base.as_deref(), Some("https://example.test/base"));
    }

    #[test]
    fn malformed_files_are_refused_with_the_reason() {
        let array =
            |kind: u32, count: u64| key("k", 9, &[&kind.to_le_bytes()[..], &count.to_le_bytes()].concat());
        let none: &[Vec<u8>] = &[];
        for (bytes, reason) in [
            (gguf(&[key("k", 7, &[2])], none, 64), "neither 0 nor 1"),
            (gguf(&[key("k", 13, &[0; 8])], none, 64), "unknown metadata type: 13"),
            (gguf(&[key("k", 8, &u64::MAX.to_le_bytes())], none, 64), "ends early"),
            (gguf(&[key("", 7, &[0])], none, 64), "impossible length: 0"),
            (gguf(&[key("k", 7, &[0]), key("k", 7, &[0])], none, 64), "duplicate metadata key: k"),
            (gguf(&[array(10, 1 << 61)], none, 64), "more array elements"),
            (gguf(&[array(8, u64::MAX)], none, 64), "more array elements"),
            (gguf(&[key("general.alignment", 4, &7u32.to_le_bytes())], none, 64), "general.alignment"),
            (gguf(&[key("general.alignment", 4, &0u32.to_le_bytes())], none, 64), "general.alignment"),
            (gguf(none, &[tensor("t", &[1; 5], 0, 0)], 64), "more than 4 dimensions"),
            (gguf(none, &[tensor("t", &[u64::MAX, 2], 0, 0)], 64), "more elements than 64 bits"),
            (gguf(none, &[tensor("t", &[u64::MAX], 0, 0)], 64), "more bytes than 64 bits"),
            (gguf(none, &[tensor("t", &[31], 2, 0)], 64), "whole number of blocks"),
            (gguf(none, &[tensor("t", &[8], 0, 4)], 64), "not aligned"),
            (gguf(none, &[tensor("t", &[8], 0, 64)], 96), "leaves a hole"),
            (gguf(none, &[tensor("t", &[8], 0, 0), tensor("u", &[8], 0, 0)], 64), "overlaps"),
            (gguf(none, &[tensor("t", &[8], 0, 0), tensor("t", &[8], 0, 32)], 64), "duplicate tensor: t"),
            (gguf(none, &[tensor("t", &[9], 0, 0)], 32), "longer than the file"),
            (gguf(none, &[tensor("t", &[8], 0, 0)], 64), "more than padding"),
            (gguf(none, &[tensor("t", &[8], 99, 0)], 32), "unknown tensor type: type 99"),
        ] {
            let found = inspect_bytes(&[("m.gguf", &bytes)]);
            assert_eq!(found.safety, Safety::Unknown, "{reason}");
            assert!(
                found.problems.iter().any(|problem| problem.reason.contains(reason)),
                "{reason}: {:?}",
                found.problems
            );
        }
    }

    #[test]
    fn a_split_model_needs_all_its_parts() {
        let part = gguf(&[key("split.count", 2, &2u16.to_le_bytes())], &[tensor("t", &[8], 0, 0)], 32);
        assert_eq!(inspect_bytes(&[("1.gguf", &part), ("2.gguf", &part)]).parameters, Some(16));
        let found = inspect_bytes(&[("1.gguf", &part)]);
        assert!(found.problems[0].reason.contains("split into 2 files, of which 1"), "{:?}", found.problems);
    }
}
