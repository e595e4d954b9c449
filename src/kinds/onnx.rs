//! ONNX: a walk over ModelProto that skips all tensor data. Field numbers: `onnx.proto` of
//! <https://github.com/onnx/onnx>. Parameters are the initializers of all graphs; tensors inside node
//! attributes are visited only for the files they refer to.

use super::inspection::Counts;
use super::protobuf::{Value, Wire};
use super::reader::{Reader, malformed};
use super::{FileView, Files, Format, Inspection};
use crate::error::Result;
use crate::model::digest::shorten;
use crate::model::kind::Kind;
use std::collections::BTreeSet;

pub(super) const FORMAT: Format = Format { kind: Kind::Onnx, recognises, inspect };

const MAX_DEPTH: u8 = 16;
const MAX_REFERENCES: usize = 10_000;
const KEPT: usize = 1024;
/// A model has one field per opset, property and function at its top: enough for any, few to sniff.
const MAX_TOP_FIELDS: usize = 4096;

/// TensorProto.DataType in order of its numbers, with the width in bits; strings have none.
const DTYPES: &[(&str, u64)] = &[
    ("UNDEFINED", 0),
    ("FLOAT", 32),
    ("UINT8", 8),
    ("INT8", 8),
    ("UINT16", 16),
    ("INT16", 16),
    ("INT32", 32),
    ("INT64", 64),
    ("STRING", 0),
    ("BOOL", 8),
    ("FLOAT16", 16),
    ("DOUBLE", 64),
    ("UINT32", 32),
    ("UINT64", 64),
    ("COMPLEX64", 64),
    ("COMPLEX128", 128),
    ("BFLOAT16", 16),
    ("FLOAT8E4M3FN", 8),
    ("FLOAT8E4M3FNUZ", 8),
    ("FLOAT8E5M2", 8),
    ("FLOAT8E5M2FNUZ", 8),
    ("UINT4", 4),
    ("INT4", 4),
    ("FLOAT4E2M1", 4),
    ("FLOAT8E8M0", 8),
    ("UINT2", 2),
    ("INT2", 2),
    ("FLOAT6E2M3", 6),
    ("FLOAT6E3M2", 6),
];

/// Named `.onnx`, or begins with an IR version and reads as a message with a graph to its very end.
pub(super) fn is_onnx(files: &Files, view: &FileView) -> bool {
    let reads_as_model = || -> Result<bool> {
        let reader = Reader::new(view.source, &files.budget);
        if reader.head(1)? != [0x08] {
            return Ok(false);
        }
        let (mut wire, end) = (Wire::new(reader), reader.size());
        let mut graph = false;
        for _ in 0..MAX_TOP_FIELDS {
            match wire.field(end)? {
                None => return Ok(graph),
                Some((number, value)) => {
                    graph |= number == 7 && matches!(value, Value::Length(_));
                    wire.pass(value)?;
                }
            }
        }
        Ok(false)
    };
    view.path.ends_with(".onnx") || reads_as_model().unwrap_or(false)
}

fn recognises(files: &Files) -> bool {
    files.views.iter().any(|view| is_onnx(files, view))
}

fn inspect(files: &Files, found: &mut Inspection) {
    found.formats.insert("onnx".into());
    for view in files.views.iter().filter(|view| is_onnx(files, view)) {
        let model = match read_model(files.reader(view)) {
            Ok(model) => model,
            Err(error) => {
                found.failed(view.path, &error);
                continue;
            }
        };
        if model.counts.tensors > 0 {
            found.count(view.path, &model.counts);
        }
        found.fact("onnx.ir_version", model.ir_version);
        found.fact("onnx.producer", format!("{} {}", model.producer, model.producer_version).trim());
        found.fact("onnx.opset", model.opsets.into_iter().collect::<Vec<_>>().join(", "));
        found.fact("onnx.graph", &model.graph);
        for reference in &model.references {
            check_reference(files, view.path, reference, found);
        }
    }
}

/// External data must be a file of this artifact, beside or below the model, and long enough.
fn check_reference(files: &Files, path: &str, reference: &Reference, found: &mut Inspection) {
    let location = reference.location.as_str();
    let drive = location.as_bytes().get(1) == Some(&b':');
    let leaves = location.starts_with('/') || location.split('/').any(|part| part == "..");
    if location.is_empty() || drive || leaves || location.contains(['\\', '\0']) {
        found.problem(path, format!("external data outside the artifact: {}", shorten(location)));
        return;
    }
    let folder = path.rfind('/').map_or("", |slash| &path[..=slash]);
    let location = location.strip_prefix("./").unwrap_or(location);
    match files.get(&format!("{folder}{location}")) {
        None => {
            found.problem(path, format!("external data that is not in the artifact: {}", shorten(location)))
        }
        Some(view) => {
            let end = reference.offset.checked_add(reference.length.or(reference.expected).unwrap_or(0));
            if end.is_none_or(|end| end > view.source.size()) {
                found.problem(
                    path,
                    format!("external data beyond the end of its file: {}", shorten(location)),
                );
            }
            if reference.length.is_some()
                && reference.expected.is_some()
                && reference.length != reference.expected
            {
                found.problem(path, format!("external data and its shape disagree: {}", shorten(location)));
            }
            found.external_data.insert(format!("{folder}{location}"));
        }
    }
}

/// Where a tensor's data lies outside the model file.
#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Reference {
    location: String,
    offset: u64,
    length: Option<u64>,
    /// The length that shape and type ask for.
    expected: Option<u64>,
}

#[derive(Default)]
struct Model {
    ir_version: u64,
    producer: String,
    producer_version: String,
    graph: String,
    graphs: u64,
    opsets: BTreeSet<String>,
    counts: Counts,
    references: BTreeSet<Reference>,
}

fn read_model(reader: Reader) -> Result<Model> {
    let mut walk = Walk { wire: Wire::new(reader), model: Model::default() };
    let end = reader.size();
    while let Some((number, value)) = walk.wire.field(end)? {
        match (number, value) {
            (1, Value::Varint(version)) => walk.model.ir_version = version,
            (2, _) => walk.model.producer = walk.wire.text(value, KEPT)?,
            (3, _) => walk.model.producer_version = walk.wire.text(value, KEPT)?,
            (7, Value::Length(length)) => {
                walk.model.graphs += 1;
                walk.graph(length, end, 0)?;
            }
            (8, Value::Length(length)) => walk.opset(length, end)?,
            // training_info: two graphs; functions: nodes.
            (20, Value::Length(length)) => {
                walk.message(length, end, |walk, number, value, end| match (number, value) {
                    (1 | 2, Value::Length(length)) => walk.graph(length, end, 1),
                    _ => walk.wire.pass(value),
                })?
            }
            (25, Value::Length(length)) => {
                walk.message(length, end, |walk, number, value, end| match (number, value) {
                    (7, Value::Length(length)) => walk.node(length, end, 1),
                    (11, Value::Length(length)) => walk.attribute(length, end, 1),
                    _ => walk.wire.pass(value),
                })?
            }
            (1 | 7 | 8 | 20 | 25, _) => return Err(malformed("a field of the model has the wrong type")),
            _ => walk.wire.pass(value)?,
        }
    }
    match walk.model {
        Model { ir_version: 0, .. } => Err(malformed("the model has no IR version")),
        Model { graphs: 0, .. } => Err(malformed("the model has no graph")),
        model => Ok(model),
    }
}

struct Walk<'a> {
    wire: Wire<'a>,
    model: Model,
}

impl Walk<'_> {
    fn message(
        &mut self,
        length: u64,
        outer: u64,
        mut visit: impl FnMut(&mut Self, u64, Value, u64) -> Result<()>,
    ) -> Result<()> {
        let end = self.wire.end_of(length, outer)?;
        while let Some((number, value)) = self.wire.field(end)? {
            visit(self, number, value, end)?;
        }
        Ok(())
    }

    fn opset(&mut self, length: u64, outer: u64) -> Result<()> {
        let (mut domain, mut version) = (String::new(), 0);
        self.message(length, outer, |walk, number, value, _| {
            match (number, value) {
                (1, _) => domain = walk.wire.text(value, KEPT)?,
                (2, Value::Varint(number)) => version = number,
                _ => walk.wire.pass(value)?,
            }
            Ok(())
        })?;
        let name = if domain.is_empty() { "ai.onnx".to_owned() } else { shorten(&domain) };
        if self.model.opsets.len() < 100 {
            self.model.opsets.insert(format!("{name} {version}"));
        }
        Ok(())
    }

    fn graph(&mut self, length: u64, outer: u64, depth: u8) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(malformed("graphs are nested too deeply"));
        }
        self.message(length, outer, |walk, number, value, end| match (number, value) {
            (1, Value::Length(length)) => walk.node(length, end, depth),
            (2, _) => {
                let name = walk.wire.text(value, KEPT)?;
                if depth == 0 {
                    walk.model.graph = name;
                }
                Ok(())
            }
            (5, Value::Length(length)) => walk.tensor(length, end, true),
            // sparse_initializer: only its values are parameters.
            (15, Value::Length(length)) => walk.sparse_tensor(length, end, true),
            (1 | 5 | 15, _) => Err(malformed("a field of a graph has the wrong type")),
            _ => walk.wire.pass(value),
        })
    }

    fn node(&mut self, length: u64, outer: u64, depth: u8) -> Result<()> {
        self.message(length, outer, |walk, number, value, end| match (number, value) {
            (5, Value::Length(length)) => walk.attribute(length, end, depth),
            _ => walk.wire.pass(value),
        })
    }

    fn attribute(&mut self, length: u64, outer: u64, depth: u8) -> Result<()> {
        self.message(length, outer, |walk, number, value, end| match (number, value) {
            (5 | 10, Value::Length(length)) => walk.tensor(length, end, false),
            (6 | 11, Value::Length(length)) => walk.graph(length, end, depth + 1),
            (22 | 23, Value::Length(length)) => walk.sparse_tensor(length, end, false),
            _ => walk.wire.pass(value),
        })
    }

    fn sparse_tensor(&mut self, length: u64, outer: u64, counted: bool) -> Result<()> {
        self.message(length, outer, |walk, number, value, end| match (number, value) {
            (1, Value::Length(length)) => walk.tensor(length, end, counted),
            (2, Value::Length(length)) => walk.tensor(length, end, false),
            _ => walk.wire.pass(value),
        })
    }

    fn tensor(&mut self, length: u64, outer: u64, counted: bool) -> Result<()> {
        let mut tensor = Tensor { elements: 1, ..Tensor::default() };
        self.message(length, outer, |walk, number, value, end| {
            match (number, value) {
                (1, Value::Varint(dimension)) => tensor.dimension(dimension)?,
                (1, Value::Length(length)) => {
                    let packed_end = walk.wire.end_of(length, end)?;
                    while walk.wire.position() < packed_end {
                        tensor.dimension(walk.wire.varint()?)?;
                    }
                }
                (2, Value::Varint(number)) => tensor.dtype = number,
                (8, _) => tensor.name = walk.wire.text(value, KEPT)?,
                (9, Value::Length(length)) => {
                    tensor.raw = Some(length);
                    walk.wire.pass(value)?;
                }
                (13, Value::Length(length)) => walk.external(length, end, &mut tensor.reference)?,
                (14, Value::Varint(location)) => tensor.external = location == 1,
                _ => walk.wire.pass(value)?,
            }
            Ok(())
        })?;
        self.add(tensor, counted)
    }

    fn add(&mut self, tensor: Tensor, counted: bool) -> Result<()> {
        let known = usize::try_from(tensor.dtype).ok().and_then(|number| DTYPES.get(number));
        let Some((dtype, bits)) = known.filter(|_| tensor.dtype != 0) else {
            return Err(malformed(format!(
                "a tensor of unknown type {}: {}",
                tensor.dtype,
                shorten(&tensor.name)
            )));
        };
        let bytes = tensor.elements.checked_mul(*bits).map(|bits| bits.div_ceil(8));
        let bytes =
            bytes.ok_or_else(|| malformed(format!("a tensor is too large: {}", shorten(&tensor.name))))?;
        if !tensor.external && *bits > 0 && tensor.raw.is_some_and(|raw| raw != bytes) {
            return Err(malformed(format!("shape and data disagree: {}", shorten(&tensor.name))));
        }
        // References count even if the tensor says its data is inline: a reader may look at either.
        if tensor.external || tensor.reference != Reference::default() {
            if self.model.references.len() >= MAX_REFERENCES {
                return Err(malformed("more references to external data than are looked at"));
            }
            self.model.references.insert(Reference { expected: Some(bytes), ..tensor.reference });
        }
        if counted {
            self.model.counts.add(dtype, tensor.elements)?;
        }
        Ok(())
    }

    fn external(&mut self, length: u64, outer: u64, reference: &mut Reference) -> Result<()> {
        let (mut key, mut text) = (String::new(), String::new());
        self.message(length, outer, |walk, number, value, _| {
            match number {
                1 => key = walk.wire.text(value, KEPT)?,
                2 => text = walk.wire.text(value, KEPT)?,
                _ => walk.wire.pass(value)?,
            }
            Ok(())
        })?;
        let number = || {
            text.parse::<u64>().map_err(|_| {
                malformed(format!("external data with a wrong {}: {}", shorten(&key), shorten(&text)))
            })
        };
        match key.as_str() {
            "location" => reference.location = text,
            "offset" => reference.offset = number()?,
            "length" => reference.length = Some(number()?),
            _ => {}
        }
        Ok(())
    }
}

#[derive(Default)]
struct Tensor {
    name: String,
    dtype: u64,
    elements: u64,
    raw: Option<u64>,
    external: bool,
    reference: Reference,
}

impl Tensor {
    fn dimension(&mut self, dimension: u64) -> Result<()> {
        // Negative dimensions arrive as huge ones and are caught here too.
        self.elements = self
            .elements
            .checked_mul(dimension)
            .filter(|elements| *elements <= i64::MAX as u64)
            .ok_or_else(|| malformed("a shape has more elements than can be"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Safety;
    use super::super::tests::inspect_bytes;

    fn varint(mut number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while number > 0x7f {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    }

    fn number(field: u64, value: u64) -> Vec<u8> {
        [varint(field << 3), varint(value)].concat()
    }

    fn bytes(field: u64, body: &[u8]) -> Vec<u8> {
        [&varint(field << 3 | 2)[..], &varint(body.len() as u64), body].concat()
    }

    fn model(graph: &[u8]) -> Vec<u8> {
        [number(1, 8), bytes(7, graph)].concat()
    }

    fn external(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut tensor = [number(1, 6), number(2, 1), bytes(8, b"w"), number(14, 1)].concat();
        for (key, value) in entries {
            tensor.extend(bytes(13, &[bytes(1, key.as_bytes()), bytes(2, value.as_bytes())].concat()));
        }
        tensor
    }

    #[test]
    fn packed_and_unpacked_dimensions_count_the_same() {
        let unpacked = [number(1, 2), number(1, 3), number(2, 10), bytes(9, &[0; 12])].concat();
        let packed = [bytes(1, &[2, 3]), number(2, 10), bytes(9, &[0; 12])].concat();
        let found = inspect_bytes(&[("m.onnx", &model(&[bytes(5, &unpacked), bytes(5, &packed)].concat()))]);
        assert_eq!((found.safety, found.parameters, found.dtypes["FLOAT16"]), (Safety::Safe, Some(12), 12));
    }

    #[test]
    fn external_data_must_be_a_file_of_the_artifact() {
        let inspect = |entries: &[(&str, &str)], attribute: bool| {
            let tensor = external(entries);
            // As an initializer, or inside a node's attribute.
            let graph = if attribute { bytes(1, &bytes(5, &bytes(5, &tensor))) } else { bytes(5, &tensor) };
            inspect_bytes(&[("m/model.onnx", &model(&graph)), ("m/w.bin", &[7; 32])])
        };
        let found = inspect(&[("location", "w.bin"), ("offset", "8"), ("length", "24")], false);
        assert_eq!(found.safety, Safety::Safe, "{:?}", found.problems);
        assert_eq!(found.external_data.into_iter().collect::<Vec<_>>(), ["m/w.bin"]);
        for attribute in [false, true] {
            for (entries, reason) in [
                (&[("location", "../w.bin")][..], "outside the artifact"),
                (&[("location", "/m/w.bin")], "outside the artifact"),
                (&[("location", "a\\..\\w.bin")], "outside the artifact"),
                (&[("location", "C:/w.bin")], "outside the artifact"),
                (&[], "outside the artifact"),
                (&[("location", "model.bin")], "not in the artifact"),
                (&[("location", "w.bin"), ("offset", "16")], "beyond the end"),
                (&[("location", "w.bin"), ("offset", "18446744073709551615")], "beyond the end"),
                (&[("location", "w.bin"), ("length", "23")], "disagree"),
                (&[("location", "w.bin"), ("offset", "-1")], "wrong offset"),
            ] {
                let found = inspect(entries, attribute);
                assert_eq!(found.safety, Safety::Unknown, "{entries:?}");
                assert!(found.problems[0].reason.contains(reason), "{entries:?}: {:?}", found.problems);
            }
        }
    }

    #[test]
    fn malformed_wire_is_refused_with_the_reason() {
        let graph = bytes(7, &[]);
        for (file, reason) in [
            (number(1, 8), "no graph"),
            (graph.clone(), "no IR version"),
            ([&model(&[])[..], &[0x03]].concat(), "field number that cannot be"),
            ([&model(&[])[..], &[0x0b]].concat(), "unknown wire type: 3"),
            ([&model(&[])[..], &[0x08], &[0xff; 10]].concat(), "does not fit 64 bits"),
            ([&model(&[])[..], &[0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat(), "longer than its message"),
            (model(&number(5, 1)), "wrong type"),
            (model(&bytes(5, &[0x0a, 0x05, 1])), "longer than its message"),
            (model(&bytes(5, &number(2, 99))), "unknown type 99"),
            (model(&bytes(5, &[])), "unknown type 0"),
            (model(&bytes(5, &[number(1, u64::MAX), number(2, 1)].concat())), "more elements"),
            (model(&bytes(5, &[number(1, 3), number(2, 1), bytes(9, &[0; 11])].concat())), "disagree"),
        ] {
            let found = inspect_bytes(&[("m.onnx", &file)]);
            assert_eq!(found.safety, Safety::Unknown, "{reason}");
            assert!(found.problems[0].reason.contains(reason), "{reason}: {:?}", found.problems);
        }
    }
}
