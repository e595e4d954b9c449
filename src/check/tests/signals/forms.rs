//! Outputs and vectors in all forms that logs have.

use super::*;
use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, ListArray, RecordBatch, StringArray};

/// The outputs as they are, as objects within the lines, in CSV and as structs of Parquet.
#[test]
fn outputs_are_read_alike_in_all_forms() {
    let files = Files::new();
    let log = Log { rows: 500, refused: 0, ..USUAL };
    let texts: Vec<String> =
        log.lines().iter().map(|line| line["completion"].as_str().unwrap().to_owned()).collect();
    let objects: Vec<Value> =
        texts.iter().map(|text| json!({ "output": serde_json::from_str::<Value>(text).unwrap() })).collect();
    let flat: Vec<Value> = texts.iter().map(|text| json!({ "output": text })).collect();
    let csv: String = texts.iter().map(|text| format!("\"{}\"\n", text.replace('"', "\"\""))).collect();
    let member = |name: &str| -> ArrayRef {
        let values = objects.iter().map(|line| match &line["output"][name] {
            Value::String(text) => Some(text.clone()),
            value => Some(value.to_string()),
        });
        Arc::new(values.collect::<StringArray>())
    };
    let output =
        arrow_array::StructArray::try_from(vec![("kind", member("kind")), ("reason", member("reason"))]);
    let parquet = files.0.path().join("output.parquet");
    write_parquet(&parquet, vec![("output", Arc::new(output.unwrap()))]);
    let reference = ndjson(&files, "flat", &flat);
    for other in
        [ndjson(&files, "objects", &objects), files.text("o.csv", &format!("output\n{csv}")), parquet]
    {
        let report = checked(&reference, &other, &request(Tier::Prompt)).unwrap();
        for field in ["$.kind", "$.reason"] {
            let field = finding(&report, &format!("output:{field}"));
            assert_eq!(field.reference, field.current, "{other:?}");
            assert!(
                field.current.as_ref().unwrap().rows == 500 && field.verdict < Verdict::Warn,
                "{other:?}"
            );
        }
        assert!(report.run.columns.iter().all(|finding| finding.column != "output.kind"), "{other:?}");
    }
}

fn write_parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    )
    .unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn vectors_are_compared_in_all_forms() {
    let files = Files::new();
    let numbers = |rows: usize, seed: u64, moved: f32| {
        let mut random = SplitMix(seed);
        (0..rows * 8).map(|_| random.uniform() as f32 + moved).collect::<Vec<f32>>()
    };
    let lists = |numbers: Vec<f32>| -> ArrayRef {
        let field = Arc::new(arrow_schema::Field::new("item", arrow_schema::DataType::Float32, true));
        let offsets = arrow_buffer::OffsetBuffer::from_lengths(std::iter::repeat_n(8, numbers.len() / 8));
        Arc::new(ListArray::new(field, offsets, Arc::new(Float32Array::from(numbers)), None))
    };
    let fixed = |numbers: Vec<f32>| -> ArrayRef {
        let field = Arc::new(arrow_schema::Field::new("item", arrow_schema::DataType::Float32, true));
        Arc::new(FixedSizeListArray::new(field, 8, Arc::new(Float32Array::from(numbers)), None))
    };
    let parquet = |name: &str, array: ArrayRef| {
        let path = files.0.path().join(name);
        write_parquet(&path, vec![("embedding", array)]);
        path
    };
    let lines = |name: &str, numbers: Vec<f32>| {
        let lines: Vec<Value> = numbers.chunks(8).map(|vector| json!({ "embedding": vector })).collect();
        ndjson(&files, name, &lines)
    };
    let reference = parquet("r.parquet", lists(numbers(120, 1, 0.0)));
    let request = request(Tier::Weights);
    for (current, verdict) in [
        (parquet("same.parquet", fixed(numbers(120, 2, 0.0))), Verdict::Ok),
        (lines("same", numbers(120, 3, 0.0)), Verdict::Ok),
        (parquet("moved.parquet", fixed(numbers(120, 4, 0.15))), Verdict::Drift),
        (lines("moved", numbers(120, 5, 0.15)), Verdict::Drift),
    ] {
        let report = checked(&reference, &current, &request).unwrap();
        let vectors = finding(&report, "embedding");
        assert_eq!(vectors.verdict, verdict, "{}", vectors.reason);
        assert_eq!((vectors.tests.len(), vectors.reference.as_ref().unwrap().rows), (1, 120));
        assert!(vectors.tests[0].q_value.is_some() && vectors.tests[0].statistic.starts_with("mmd_rbf"));
        assert_eq!(report, checked(&reference, &current, &request).unwrap(), "the same each time");
    }
    let odd = ndjson(
        &files,
        "odd",
        &[
            json!({ "embedding": [1, 2] }),
            json!({ "embedding": [1] }),
            json!({ "embedding": [3, 4] }),
            json!({ "embedding": "x" }),
            json!({}),
        ],
    );
    let report = checked(&reference, &odd, &request).unwrap();
    assert_eq!(finding(&report, "embedding").verdict, Verdict::Invalid);
    let current = finding(&report, "embedding").current.as_ref().unwrap();
    assert_eq!((current.rows, current.missing, current.failed), (5, 1, 2));
}
