//! Safetensors, single and sharded: <https://github.com/huggingface/safetensors#format>. Stricter than
//! the reference reader where the file could say two things: duplicate names and unknown fields.

use super::inspection::Counts;
use super::reader::{Reader, malformed};
use super::{FileView, Files, Format, Inspection};
use crate::error::Result;
use crate::model::digest::shorten;
use crate::model::json::UniqueMap;
use crate::model::kind::Kind;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read as _;

pub(super) const FORMAT: Format = Format { kind: Kind::Safetensors, recognises, inspect };

/// The limit of the reference implementation.
const MAX_HEADER: u64 = 100_000_000;
const MAX_INDEX: usize = 16 << 20;
const INDEX_SUFFIX: &str = ".safetensors.index.json";

/// Name and width in bits of every data type of the reference implementation.
const DTYPES: &[(&str, u64)] = &[
    ("BOOL", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("C64", 64),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
];

/// A file that is safetensors by its first bytes, or claims to be by its name.
pub(super) fn is_safetensors(files: &Files, view: &FileView) -> bool {
    let looks_like = || -> Result<bool> {
        let mut cursor = Reader::new(view.source, &files.budget).cursor();
        let length = cursor.u64_le()?;
        Ok(length >= 2 && length <= cursor.remaining().min(MAX_HEADER) && cursor.byte()? == b'{')
    };
    view.path.ends_with(".safetensors") || looks_like().unwrap_or(false)
}

fn recognises(files: &Files) -> bool {
    files.views.iter().any(|view| is_safetensors(files, view) || view.path.ends_with(INDEX_SUFFIX))
}

fn inspect(files: &Files, found: &mut Inspection) {
    found.formats.insert("safetensors".into());
    let mut headers: BTreeMap<&str, Header> = BTreeMap::new();
    for view in files.views.iter().filter(|view| is_safetensors(files, view)) {
        match read_header(files.reader(view)) {
            Ok(header) => {
                headers.insert(view.path, header);
            }
            Err(error) => found.unreadable(view.path, &error),
        }
    }
    let mut indexed_folders = BTreeSet::new();
    let mut shards = BTreeSet::new();
    for view in files.views.iter().filter(|view| view.path.ends_with(INDEX_SUFFIX)) {
        indexed_folders.insert(folder(view.path));
        match read_index(files.reader(view)) {
            Ok(index) => shards.extend(check_index(view.path, &index, &headers, found)),
            Err(error) => found.failed(view.path, &error),
        }
    }
    // Beside an index, only its shards are the model: other files there repeat it in another layout.
    for (path, header) in headers {
        if shards.contains(path) || !indexed_folders.contains(folder(path)) {
            found.count(path, &header.counts);
        }
    }
}

/// The folder of a path, with its last `/`.
fn folder(path: &str) -> &str {
    path.rfind('/').map_or("", |slash| &path[..=slash])
}

/// Compares an index with its shards both ways and answers the shards' paths.
fn check_index(
    path: &str,
    index: &BTreeMap<String, String>,
    headers: &BTreeMap<&str, Header>,
    found: &mut Inspection,
) -> BTreeSet<String> {
    let folder = folder(path);
    let shards: BTreeSet<String> = index.values().map(|shard| format!("{folder}{shard}")).collect();
    for shard in shards.iter().filter(|shard| !headers.contains_key(shard.as_str())) {
        found.problem(path, format!("the index names a shard that is missing or unreadable: {shard}"));
    }
    for (tensor, shard) in index {
        let Some(header) = headers.get(format!("{folder}{shard}").as_str()) else { continue };
        if !header.tensors.contains_key(tensor) {
            found.problem(path, format!("the index names a tensor that {shard} does not have: {tensor}"));
        }
    }
    for shard in &shards {
        let Some(header) = headers.get(shard.as_str()) else { continue };
        let unlisted =
            |tensor: &&String| index.get(*tensor).is_none_or(|at| format!("{folder}{at}") != *shard);
        if let Some(tensor) = header.tensors.keys().find(unlisted) {
            found.problem(path, format!("{shard} has a tensor that the index does not name there: {tensor}"));
        }
    }
    shards
}

#[derive(serde::Deserialize)]
struct Index {
    weight_map: UniqueMap<String>,
    #[serde(default, rename = "metadata")]
    _metadata: IgnoredAny,
}

fn read_index(reader: Reader) -> Result<BTreeMap<String, String>> {
    let bytes = reader.whole(MAX_INDEX)?;
    let index: Index =
        serde_json::from_slice(&bytes).map_err(|error| malformed(format!("not a shard index: {error}")))?;
    if index.weight_map.0.is_empty() {
        return Err(malformed("the index names no tensor"));
    }
    Ok(index.weight_map.0)
}

/// A checked header: the tensors by name, and their counts.
pub(super) struct Header {
    pub(super) tensors: BTreeMap<String, Tensor>,
    pub(super) counts: Counts,
}

/// Reads and checks one header: length, names, types, and that the data ranges fill the file exactly.
pub(super) fn read_header(reader: Reader) -> Result<Header> {
    let mut cursor = reader.cursor();
    let length = cursor.u64_le()?;
    if length > MAX_HEADER {
        return Err(malformed(format!("the header is longer than {MAX_HEADER} bytes: {length}")));
    }
    if length > cursor.remaining() {
        return Err(malformed(format!("the header is longer than the file: {length} bytes")));
    }
    if reader.read(8, 1)? != b"{" {
        return Err(malformed("the header does not begin with {"));
    }
    let data = cursor.remaining() - length;
    let mut json = serde_json::Deserializer::from_reader(cursor.take(length));
    let Tensors(tensors) = Tensors::deserialize(&mut json)
        .and_then(|tensors| json.end().map(|()| tensors))
        .map_err(|error| malformed(format!("the header is not valid: {error}")))?;

    let mut counts = Counts::default();
    for (name, tensor) in &tensors {
        let (dtype, bits) = tensor.dtype;
        let bits = tensor.elements.checked_mul(bits).filter(|bits| bits % 8 == 0);
        let stored = tensor.end.checked_sub(tensor.start);
        if bits.is_none() || bits.map(|bits| bits / 8) != stored {
            return Err(malformed(format!("shape and data range disagree: {}", shorten(name))));
        }
        counts.add(dtype, tensor.elements)?;
    }
    let mut ranges: Vec<(u64, u64)> = tensors.values().map(|tensor| (tensor.start, tensor.end)).collect();
    ranges.sort_unstable();
    let mut filled = 0;
    for (start, end) in ranges {
        if start != filled {
            return Err(malformed(format!("data ranges overlap or leave a hole: offset {filled}")));
        }
        filled = end;
    }
    if filled != data {
        return Err(malformed(format!("data ranges end at {filled}, the data at {data}")));
    }
    Ok(Header { tensors, counts })
}

pub(super) struct Tensor {
    dtype: (&'static str, u64),
    pub(super) elements: u64,
    /// The first dimension; absent for a scalar.
    pub(super) rows: Option<u64>,
    start: u64,
    end: u64,
}

/// Only what the checks need is kept, so that a header of many short entries stays small in memory.
struct Tensors(BTreeMap<String, Tensor>);

impl<'de> Deserialize<'de> for Tensors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Tensors;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tensors, A::Error> {
                let mut tensors = BTreeMap::new();
                let mut metadata_seen = false;
                while let Some(name) = entries.next_key::<String>()? {
                    let duplicate = if name == "__metadata__" {
                        entries.next_value::<UniqueMap<String>>()?;
                        std::mem::replace(&mut metadata_seen, true)
                    } else {
                        let tensor = entries.next_value::<TensorEntry>()?.checked()?;
                        tensors.insert(name.clone(), tensor).is_some()
                    };
                    if duplicate {
                        return Err(de::Error::custom(format_args!("duplicate key: {}", shorten(&name))));
                    }
                }
                Ok(Tensors(tensors))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorEntry {
    dtype: String,
    shape: Shape,
    data_offsets: (u64, u64),
}

impl TensorEntry {
    fn checked<E: de::Error>(self) -> Result<Tensor, E> {
        let dtype = DTYPES.iter().find(|(name, _)| *name == self.dtype);
        let dtype =
            *dtype.ok_or_else(|| E::custom(format_args!("unknown dtype: {}", shorten(&self.dtype))))?;
        let (start, end) = self.data_offsets;
        Ok(Tensor { dtype, elements: self.shape.elements, rows: self.shape.rows, start, end })
    }
}

struct Shape {
    elements: u64,
    rows: Option<u64>,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dimensions;
        impl<'de> Visitor<'de> for Dimensions {
            type Value = Shape;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list of dimensions")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut dimensions: A) -> Result<Shape, A::Error> {
                let mut shape = Shape { elements: 1, rows: None };
                while let Some(dimension) = dimensions.next_element::<u64>()? {
                    shape.rows.get_or_insert(dimension);
                    shape.elements = shape
                        .elements
                        .checked_mul(dimension)
                        .ok_or_else(|| de::Error::custom("a shape has more elements than 64 bits count"))?;
                }
                Ok(shape)
            }
        }
        deserializer.deserialize_seq(Dimensions)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{inspect_bytes, safetensors_of, safetensors_with};
    use super::super::{Inspection, Safety};

    /// The reason why this header, before `data` bytes, is not accepted.
    fn refused(header: &str, data: usize) -> String {
        let found = inspect_bytes(&[("m.safetensors", &safetensors_of(header, data))]);
        assert_eq!(found.safety, Safety::Unknown, "{header}");
        assert_eq!(found.parameters, None, "{header}");
        found.problems.into_iter().map(|problem| problem.reason).collect()
    }

    fn entry(dtype: &str, shape: &str, offsets: &str) -> String {
        format!(r#"{{"t":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
    }

    #[test]
    fn every_dtype_has_its_width() {
        for (dtype, bits) in super::DTYPES {
            let header = entry(dtype, "[8]", &format!("[0,{bits}]"));
            let bytes = safetensors_of(&header, *bits as usize);
            let found = inspect_bytes(&[("m", &bytes)]);
            assert_eq!((found.safety, found.dtypes[*dtype]), (Safety::Safe, 8), "{dtype}");
            assert!(
                refused(&entry(dtype, "[8]", &format!("[0,{}]", bits + 1)), *bits as usize + 1)
                    .contains("disagree")
            );
        }
        assert!(refused(&entry("F4", "[1]", "[0,1]"), 1).contains("disagree"), "half a byte");
    }

    #[test]
    fn malformed_headers_are_refused_with_the_reason() {
        for (header, data, reason) in [
            (entry("F99", "[1]", "[0,4]"), 4, "unknown dtype: F99"),
            (entry("U8", "[-1]", "[0,1]"), 1, "invalid value"),
            (entry("U8", "[1.0]", "[0,1]"), 1, "invalid type"),
            (entry("U8", "[4294967296,4294967296]", "[0,1]"), 1, "more elements"),
            (entry("U8", "[18446744073709551616]", "[0,1]"), 1, "invalid type"),
            (entry("F64", "[2305843009213693952]", "[0,0]"), 0, "disagree"),
            (entry("U8", "[1]", "[1,0]"), 1, "disagree"),
            (entry("U8", "[1]", "[0,1,2]"), 1, "trailing"),
            (entry("U8", "[[1]]", "[0,1]"), 1, "invalid type"),
            (entry("U8", "[2]", "[1,3]"), 3, "hole"),
            (entry("U8", "[2]", "[0,2]"), 3, "end at 2, the data at 3"),
            (entry("U8", "[3]", "[0,3]"), 2, "end at 3, the data at 2"),
            (r#"{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}}"#.into(), 1, "unknown field"),
            (r#"{"t":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#.into(), 1, "duplicate field"),
            (r#"{"t":{"dtype":"U8","shape":[1]}}"#.into(), 1, "missing field"),
            (r#"{"__metadata__":{"a":1}}"#.into(), 0, "invalid type"),
            (r#"{"__metadata__":{"a":"1","a":"2"}}"#.into(), 0, "duplicate key: a"),
            (r#"{"__metadata__":{},"__metadata__":{}}"#.into(), 0, "duplicate key: __metadata__"),
            (r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#.into(), 3, "overlap"),
            ("{}x".into(), 0, "trailing"),
            ("[]".into(), 0, "does not begin with {"),
            (" {}".into(), 0, "does not begin with {"),
            ("".into(), 0, "ends early"),
            ("{\"t\":".to_owned() + &"[".repeat(100_000), 0, "invalid type"),
            (r#"{"\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#.into(), 1, "not valid"),
        ] {
            let got = refused(&header, data);
            assert!(got.contains(reason), "{header:.80}: {got}");
        }
    }

    #[test]
    fn shapes_without_elements_and_scalars_are_fine() {
        let header = r#"{"e":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]},"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   "#;
        let found = inspect_bytes(&[("m", &safetensors_of(header, 4))]);
        assert_eq!((found.safety, found.parameters, found.tensors), (Safety::Safe, Some(1), Some(2)));
    }

    fn sharded(index: &str, more: &[(&str, &[u8])]) -> Inspection {
        let (one, two) = (safetensors_with(&[("a", &[2])]), safetensors_with(&[("b", &[3]), ("c", &[4])]));
        let mut files: Vec<(&str, &[u8])> = vec![
            ("m/model.safetensors.index.json", index.as_bytes()),
            ("m/1.safetensors", &one),
            ("m/2.safetensors", &two),
        ];
        files.extend_from_slice(more);
        inspect_bytes(&files)
    }

    #[test]
    fn an_index_and_its_shards_must_agree() {
        let good = r#"{"metadata":{"total_size":36},"weight_map":{"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"}}"#;
        let found = sharded(good, &[]);
        assert_eq!((found.safety, found.parameters, found.tensors), (Safety::Safe, Some(9), Some(3)));

        let again = safetensors_with(&[("all", &[9])]);
        let found = sharded(good, &[("m/consolidated.safetensors", &again), ("vae/x.safetensors", &again)]);
        assert_eq!(found.parameters, Some(18), "a copy beside the index is not counted, another folder is");

        for (index, reason) in [
            (good.replace("\"c\"", "\"d\""), "does not have: d"),
            (good.replace("1.saf", "3.saf"), "missing or unreadable: m/3.safetensors"),
            (good.replace(r#""a":"1.safetensors","#, ""), ""),
            (good.replace(r#","c":"2.safetensors""#, ""), "does not name there: c"),
            (good.replace("\"c\"", "\"b\""), "duplicate key: b"),
            (good.replace("1.saf", "../1.saf"), "missing or unreadable"),
            (r#"{"weight_map":{}}"#.into(), "names no tensor"),
            (r#"{}"#.into(), "missing field"),
            ("[".repeat(1000), "not a shard index"),
        ] {
            let found = sharded(&index, &[]);
            let reasons: String = found.problems.into_iter().map(|problem| problem.reason).collect();
            assert!(reasons.contains(reason), "{index}: {reasons}");
            assert_eq!(
                found.safety,
                if reason.is_empty() { Safety::Safe } else { Safety::Unknown },
                "{index}"
            );
        }
    }
}
