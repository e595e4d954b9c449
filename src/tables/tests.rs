//! The same table in every format, and files that are not what they should be.

use super::*;
use crate::drift::compare::{Column, Values};
use crate::drift::profile::{ColumnPlan, Kind, Plan, Profile, Seed, Settings};
use crate::error::Result;
use arrow_array::types::Int8Type;
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal64Array, DictionaryArray, Float64Array, Int64Array,
    RecordBatch, StringArray, StructArray, TimestampMillisecondArray,
};
use arrow_schema::{DataType, Field};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ROWS: i64 = 6_000;

fn price(row: i64) -> Option<f64> {
    match row % 50 {
        0 => None,
        1 => Some(f64::NAN),
        _ => Some((row * row % 10_007) as f64 / 8.0),
    }
}

fn city(row: i64) -> &'static str {
    ["Ulm", "Köln", "Bad \"Ems\", an der Lahn"][(row % 3) as usize]
}

fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
    let rows = || rows.clone();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("price", Arc::new(rows().map(price).collect::<Float64Array>())),
        ("count", Arc::new(rows().map(|row| row % 1_000).collect::<Int64Array>())),
        ("city", Arc::new(rows().map(|row| Some(city(row))).collect::<StringArray>())),
        ("paid", Arc::new(rows().map(|row| Some(row % 4 == 0)).collect::<BooleanArray>())),
        ("at", Arc::new(rows().map(|row| Some(row * 1_000)).collect::<TimestampMillisecondArray>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

fn batches() -> Vec<RecordBatch> {
    (0..ROWS).step_by(2_500).map(|start| batch(start..(start + 2_500).min(ROWS))).collect()
}

fn write_parquet(path: &Path, batches: &[RecordBatch]) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batches[0].schema(), None).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

fn write_ipc(path: &Path, batches: &[RecordBatch]) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = arrow_ipc::writer::FileWriter::try_new(file, &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
}

fn write_stream(path: &Path, batches: &[RecordBatch]) {
    let file = std::fs::File::create(path).unwrap();
    let mut writer = arrow_ipc::writer::StreamWriter::try_new(file, &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
}

fn csv_text() -> String {
    let row = |row: i64| {
        let price = price(row).map_or(String::new(), |price| price.to_string());
        let city = city(row).replace('"', "\"\"");
        let at = chrono::DateTime::from_timestamp_millis(row * 1_000).unwrap().to_rfc3339();
        format!("{price},{},\"{city}\",{},{at}\n", row % 1_000, row % 4 == 0)
    };
    std::iter::once("price,count,city,paid,at\n".to_owned()).chain((0..ROWS).map(row)).collect()
}

/// JSON has no NaN: it is left out there.
fn ndjson_text() -> String {
    let row = |row: i64| {
        let at = chrono::DateTime::from_timestamp_millis(row * 1_000).unwrap();
        let row = serde_json::json!({
            "price": price(row).filter(|price| price.is_finite()), "count": row % 1_000, "city": city(row),
            "paid": row % 4 == 0, "at": at,
        });
        format!("{row}\n")
    };
    (0..ROWS).map(row).collect()
}

fn open(path: &Path) -> Result<Table> {
    Table::open(vec![Arc::new(LocalFile::open(path).unwrap())], None)
}

const KINDS: [(&str, Kind); 5] = [
    ("price", Kind::Numeric),
    ("count", Kind::Numeric),
    ("city", Kind::Categorical),
    ("paid", Kind::Boolean),
    ("at", Kind::Time),
];

fn plan(kinds: &[(&str, Kind)]) -> Plan {
    let columns =
        kinds.iter().map(|(name, kind)| ColumnPlan { name: (*name).into(), kind: *kind, bins: None });
    Plan {
        seed: Seed(1),
        settings: Settings { exact_limit: 100, k: 64, categories: 100, halvings: 0 },
        columns: columns.collect(),
    }
}

fn kinds_of(table: &Table, rules: Rules) -> Vec<Option<Kind>> {
    infer(table, rules).unwrap().into_iter().map(|inferred| inferred.kind).collect()
}

fn columns_of(table: &Table, kinds: &[(&str, Kind)]) -> Vec<Column> {
    let scanned = scan(table, &plan(kinds), &Derivations::new(), true, 2).unwrap();
    scanned.columns.into_iter().map(crate::drift::collect::Collected::into_column).collect()
}

fn profile(table: &Table, threads: usize) -> Profile {
    let plan = plan(&KINDS);
    let scanned = scan(table, &plan, &Derivations::new(), false, threads).unwrap();
    scanned.into_profile(&plan).unwrap()
}

struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    fn in_all_formats(&self) -> Vec<PathBuf> {
        write_parquet(&self.path("t.parquet"), &batches());
        write_ipc(&self.path("t.arrow"), &batches());
        write_stream(&self.path("t.arrows"), &batches());
        self.text("t.csv", csv_text());
        self.text("t.ndjson", ndjson_text());
        let packed = std::fs::File::create(self.path("t.csv.gz")).unwrap();
        let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        packed.write_all(csv_text().as_bytes()).unwrap();
        packed.finish().unwrap();
        ["t.parquet", "t.arrow", "t.arrows", "t.csv", "t.ndjson", "t.csv.gz"]
            .map(|name| self.path(name))
            .into()
    }
}

#[test]
fn a_table_is_the_same_in_every_format() {
    let files = Files::new();
    for path in files.in_all_formats() {
        let is_json = path.ends_with("t.ndjson");
        let table = open(&path).unwrap();
        let kinds = kinds_of(&table, Rules::Own);
        let kinds: BTreeMap<&str, Option<Kind>> =
            table.names().iter().map(String::as_str).zip(kinds).collect();
        let mut wanted: BTreeMap<&str, Option<Kind>> = KINDS.map(|(name, kind)| (name, Some(kind))).into();
        if is_json {
            // A time is a text there, until somebody says otherwise.
            wanted.insert("at", Some(Kind::Text));
        }
        assert_eq!(kinds, wanted, "{path:?}");
        let columns = columns_of(&table, &KINDS);
        assert!(columns.iter().all(|column| column.rows == ROWS as u64 && column.failed == 0), "{path:?}");
        let Values::Numeric(price) = &columns[0].values else { panic!() };
        // What is no number is nothing in a text.
        let is_text = is_json || path.to_string_lossy().contains(".csv");
        let (missing, not_finite) = if is_text { (240, 0) } else { (120, 120) };
        assert_eq!((columns[0].missing, price.not_finite), (missing, not_finite), "{path:?}");
        assert_eq!(price.ecdf.len(), 5_760);
        let Values::Categorical(cities) = &columns[2].values else { panic!() };
        assert_eq!(cities.counts["Bad \"Ems\", an der Lahn"], 2_000);
        let Values::Time(at) = &columns[4].values else { panic!() };
        assert_eq!(at.range, Some((0.0, (ROWS - 1) as f64 * 1e6)));
    }
}

#[test]
fn a_profile_is_the_same_on_any_number_of_threads() {
    let files = Files::new();
    let padding = format!(",{}\n", "x".repeat(1_000));
    let long = files.text("long.csv", csv_text().replace('\n', &padding));
    assert!(std::fs::metadata(&long).unwrap().len() > 5 << 20, "of more than one chunk");
    for path in files.in_all_formats().into_iter().chain([long]) {
        let table = open(&path).unwrap();
        let bytes = profile(&table, 1).to_bytes().unwrap();
        for threads in [2, 5] {
            assert!(profile(&table, threads).to_bytes().unwrap() == bytes, "{path:?}");
        }
    }
}

#[test]
fn what_is_of_another_kind_is_counted() {
    let files = Files::new();
    let path = files.text("t.csv", "x,y\n1,a\ntwo,b\n,c\n4,d,e\n5\n");
    let columns = columns_of(
        &open(&path).unwrap(),
        &[("x", Kind::Numeric), ("y", Kind::Categorical), ("z", Kind::Text)],
    );
    let counts = |column: &Column| (column.rows, column.missing, column.failed);
    // The fourth row has a field too many, and the last one a field too few.
    assert_eq!((counts(&columns[0]), counts(&columns[1])), ((5, 1, 2), (5, 1, 1)));
    let path = files.text(
        "t.ndjson",
        "{\"x\": 1}\n{\"x\": \"2\"}\n{\"x\": [3]}\n{\"x\": {\"y\": 1}}\nnot json\n[1]\n{}\n",
    );
    let table = open(&path).unwrap();
    assert_eq!(table.names(), ["x", "x.y"]);
    let columns = columns_of(&table, &[("x", Kind::Numeric), ("x.y", Kind::Numeric)]);
    assert_eq!((counts(&columns[0]), counts(&columns[1])), ((7, 1, 4), (7, 4, 2)));
}

#[test]
fn a_column_may_be_missing_from_some_files() {
    let files = Files::new();
    let (a, b) = (files.text("a.csv", "x,y\n1,2\n"), files.text("b.csv", "y\n3\n4\n"));
    let inputs = [a, b].map(|path| Arc::new(LocalFile::open(&path).unwrap()) as Arc<dyn Input>);
    let table = Table::open(inputs.into(), None).unwrap();
    let columns = columns_of(&table, &[("x", Kind::Numeric), ("y", Kind::Numeric)]);
    assert_eq!((columns[0].rows, columns[0].missing, columns[1].missing), (3, 2, 0));
}

#[test]
fn tables_of_nothing_have_no_rows() {
    let files = Files::new();
    for (name, text) in [("a.csv", ""), ("b.csv", "x,y\n"), ("c.ndjson", ""), ("d.ndjson", "\n\n")] {
        let table = open(&files.text(name, text)).unwrap();
        assert_eq!(
            scan(&table, &plan(&[("x", Kind::Numeric)]), &Derivations::new(), true, 2).unwrap().rows,
            0,
            "{name}"
        );
    }
    write_parquet(&files.path("e.parquet"), &[batch(0..0)]);
    let table = open(&files.path("e.parquet")).unwrap();
    assert_eq!((table.rows(), columns_of(&table, &KINDS)[0].rows), (Some(0), 0));
    assert_eq!(kinds_of(&table, Rules::Own), [None; 5]);
}

#[test]
fn files_that_are_cut_or_of_another_format_are_refused() {
    let files = Files::new();
    for path in files.in_all_formats().into_iter().filter(|path| !path.ends_with("t.csv")) {
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let read = open(&path).and_then(|table| scan(&table, &plan(&KINDS), &Derivations::new(), true, 2));
        match path.extension().and_then(std::ffi::OsStr::to_str) {
            // Each line stands for itself: the last one is cut.
            Some("ndjson") => assert!(read.is_ok()),
            _ => assert_eq!(read.err().map(|error| error.code), Some("table_unreadable"), "{path:?}"),
        }
    }
    let codes =
        [("a.parquet", "no parquet"), ("a.arrow", "no arrow"), ("a.ndjson", "[1, 2]"), ("a.dat", "?")];
    for (name, text) in codes {
        let code = open(&files.text(name, text)).err().unwrap().code;
        assert_eq!(code, if name == "a.dat" { "table_format" } else { "table_unreadable" }, "{name}");
    }
    assert_eq!(Table::open(vec![], None).err().unwrap().code, "table_empty");
}

#[test]
fn bytes_turned_over_make_an_error_and_no_panic() {
    let files = Files::new();
    for path in files.in_all_formats() {
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 12) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            let broken = files.text(&format!("broken-{}", path.file_name().unwrap().display()), &bytes);
            // What is read may be wrong, and the reading ends.
            let _ = open(&broken)
                .and_then(|table| scan(&table, &plan(&KINDS), &Derivations::new(), true, 1))
                .map(|scanned| scanned.rows);
        }
    }
}

#[test]
fn kinds_are_inferred_as_stated() {
    let files = Files::new();
    let rows = |row: i64| {
        let dirty = if row % 20 == 0 { "?".to_owned() } else { row.to_string() };
        let very_dirty = if row % 5 == 0 { "?".to_owned() } else { row.to_string() };
        format!(
            "{},{row},{row}.5,{dirty},{very_dirty},{},id-{row},2026-11-{:02},,{}\n",
            row % 10,
            row % 2 == 0,
            row % 28 + 1,
            row % 100
        )
    };
    let head = "code,number,float,dirty,very_dirty,flag,id,day,nothing,level\n";
    let text: String = std::iter::once(head.to_owned()).chain((0..500).map(rows)).collect();
    let table = open(&files.text("t.csv", text)).unwrap();
    use Kind::{Boolean, Categorical, Numeric, Text, Time};
    let own = [Categorical, Numeric, Numeric, Numeric, Text, Boolean, Text, Time].map(Some);
    assert_eq!(kinds_of(&table, Rules::Own), [&own[..], &[None, Some(Numeric)]].concat());
    let theirs = kinds_of(&table, Rules::Evidently);
    assert_eq!(theirs[7], Some(Categorical), "a day is a text there");
}

#[test]
fn delimiters_and_marks_are_found() {
    let files = Files::new();
    for text in [
        "\u{feff}a;b\n1,5;2\n",
        "a\tb\n1,5\t2\n",
        "a|b\n1,5|2\n",
        "\"a\",\"b\"\n\"1,5\",2\n",
        "a;\"b\"\n1,5;2\n",
    ] {
        let table = open(&files.text("t.csv", text)).unwrap();
        assert_eq!(table.names(), ["a", "b"]);
        let columns = columns_of(&table, &[("a", Kind::Categorical), ("b", Kind::Numeric)]);
        let Values::Categorical(a) = &columns[0].values else { panic!() };
        assert_eq!(a.counts.get("1,5"), Some(&1), "{text}");
    }
}

#[test]
fn two_columns_of_one_name_are_known_to_be() {
    let files = Files::new();
    let table = open(&files.text("t.csv", "a,b,a\n1,2,3\n")).unwrap();
    assert!(table.is_ambiguous("a") && !table.is_ambiguous("b"));
    assert_eq!(table.names(), ["a", "b"]);
}

fn struct_with_nulls() -> StructArray {
    let inner: ArrayRef = Arc::new((0..10).map(|row| Some(f64::from(row))).collect::<Float64Array>());
    let field = Arc::new(Field::new("v", DataType::Float64, true));
    let nulls: Vec<bool> = (0..10).map(|row| row % 2 == 0).collect();
    StructArray::new(vec![field].into(), vec![inner], Some(nulls.into()))
}

#[test]
fn what_is_not_there_is_missing_in_any_array() {
    let files = Files::new();
    let nothing: ArrayRef = Arc::new(DictionaryArray::<Int8Type>::new(
        (0..10).map(|_| None).collect(),
        Arc::new(StringArray::from(Vec::<&str>::new())),
    ));
    let decimals: ArrayRef =
        Arc::new(Decimal64Array::from(vec![Some(125); 10]).with_precision_and_scale(5, 2).unwrap());
    let columns = [("s", Arc::new(struct_with_nulls()) as ArrayRef), ("d", nothing), ("n", decimals)];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    write_parquet(&files.path("t.parquet"), std::slice::from_ref(&batch));
    write_ipc(&files.path("t.arrow"), &[batch]);
    for name in ["t.parquet", "t.arrow"] {
        let table = open(&files.path(name)).unwrap();
        let columns =
            columns_of(&table, &[("s.v", Kind::Numeric), ("d", Kind::Categorical), ("n", Kind::Numeric)]);
        let counts: Vec<_> = columns.iter().map(|column| (column.missing, column.failed)).collect();
        assert_eq!(counts, [(5, 0), (10, 0), (0, 0)], "{name}");
    }
}

#[test]
fn a_day_beyond_all_calendars_has_failed() {
    let files = Files::new();
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(i32::MAX), Some(1)]));
    let batch = RecordBatch::try_from_iter([("t", days)]).unwrap();
    write_ipc(&files.path("t.arrow"), &[batch]);
    let columns = columns_of(&open(&files.path("t.arrow")).unwrap(), &[("t", Kind::Categorical)]);
    assert_eq!((columns[0].rows, columns[0].failed), (2, 1));
}

#[test]
fn columns_of_json_are_those_of_all_files() {
    let files = Files::new();
    let a = files.text("a.ndjson", "\u{feff}{\"x\": 1}\n");
    let b = files.text("b.ndjson", "{\"x\": null, \"y\": null}\n{\"x\": 2}\n");
    let c = files.text("c.ndjson", "{\"z\": {\"w\": 1}}\n{\"z\": null, \"x\": NaN, \"s\": \"NaN\"}\n");
    let inputs = [a, b, c].map(|path| Arc::new(LocalFile::open(&path).unwrap()) as Arc<dyn Input>);
    let table = Table::open(inputs.into(), None).unwrap();
    let kinds = [("x", Kind::Numeric), ("y", Kind::Numeric), ("z.w", Kind::Numeric), ("s", Kind::Text)];
    assert_eq!(table.names(), kinds.map(|(name, _)| name));
    let columns = columns_of(&table, &kinds);
    let counts: Vec<_> = columns.iter().map(|column| (column.rows, column.missing, column.failed)).collect();
    assert_eq!(counts, [(5, 3, 0), (5, 5, 0), (5, 4, 0), (5, 4, 0)]);
}

#[test]
fn whole_numbers_are_one_category_however_they_are_written() {
    let files = Files::new();
    let table = open(&files.text("t.csv", "grade,zip\n1,01\n1.0,01\n2.50,1\n,\n")).unwrap();
    let columns = columns_of(&table, &[("grade", Kind::Categorical), ("zip", Kind::Categorical)]);
    let Values::Categorical(grade) = &columns[0].values else { panic!() };
    assert_eq!(grade.counts, BTreeMap::from([("1".to_owned(), 2), ("2.50".to_owned(), 1)]));
    let Values::Categorical(zip) = &columns[1].values else { panic!() };
    assert_eq!(zip.counts, BTreeMap::from([("01".to_owned(), 2), ("1".to_owned(), 1)]));
}

#[test]
fn files_of_several_formats_are_no_table() {
    let files = Files::new();
    let both = [files.text("a.csv", "x\n1\n"), files.text("b.ndjson", "{\"x\": 1}\n")];
    let inputs = both.map(|path| Arc::new(LocalFile::open(&path).unwrap()) as Arc<dyn Input>);
    assert_eq!(Table::open(inputs.into(), None).err().unwrap().code, "table_format");
    assert!(LocalFile::open(files.directory.path()).is_err(), "a directory");
}

#[test]
fn names_are_such_as_profiles_can_have() {
    let files = Files::new();
    let text = format!("a,,{}\n1,2,3\n", "é".repeat(400));
    let table = open(&files.text("t.csv", text)).unwrap();
    assert_eq!(table.names()[1], "column_2");
    assert!(table.names()[2].len() <= 512 && table.names()[2].ends_with('…'));
}

/// Lists, objects and maps are texts of JSON to signals, in every format that has them.
#[test]
fn what_is_nested_is_json() {
    use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
    let directory = tempfile::tempdir().unwrap();
    let mut list = ListBuilder::new(Int64Builder::new());
    list.append_value([Some(1), None]);
    list.append_null();
    list.append_value([]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("a b");
    map.values().append_value(7);
    map.append(true).unwrap();
    map.append(false).unwrap();
    map.append(true).unwrap();
    let (list, map): (ArrayRef, ArrayRef) = (Arc::new(list.finish()), Arc::new(map.finish()));
    let inner = StructArray::try_from(vec![("list", list), ("map", map)]).unwrap();
    let batch =
        RecordBatch::try_from_iter_with_nullable([("outer", Arc::new(inner) as ArrayRef, true)]).unwrap();
    let (parquet, ipc, lines) = (
        directory.path().join("t.parquet"),
        directory.path().join("t.arrow"),
        directory.path().join("t.ndjson"),
    );
    write_parquet(&parquet, std::slice::from_ref(&batch));
    write_ipc(&ipc, &[batch]);
    let rows = [
        r#"{"outer":{"list":[1,null],"map":{"a b":7}}}"#,
        r#"{"outer":{"list":null,"map":null}}"#,
        r#"{"outer":{"list":[],"map":{}}}"#,
    ];
    std::fs::write(&lines, rows.join("\n")).unwrap();
    for path in [parquet, ipc, lines] {
        let table = open(&path).unwrap();
        assert_eq!(table.outers()[0], "outer");
        let read = |name: &str| texts(&table, name, 10, 1_000).unwrap();
        assert_eq!(read("outer.list"), ["[1,null]", "[]"], "{path:?}");
        let whole = read("outer");
        assert_eq!(whole.len(), 3, "{path:?}");
        assert_eq!(whole[0], r#"{"list":[1,null],"map":{"a b":7}}"#, "{path:?}");
        assert_eq!(read("nowhere"), [""; 0]);
    }
}

/// A column of texts may be read for itself and for what is derived of it.
#[test]
fn derived_columns_are_read_with_their_source() {
    use crate::drift::signals::{Derived, Signal, Value};
    let directory = tempfile::tempdir().unwrap();
    let csv = directory.path().join("t.csv");
    std::fs::write(&csv, "text,x\nab,1\n,2\n\"c\",3\n").unwrap();
    let length = Signal::new("length", Kind::Numeric, "bytes", |text| match text.as_str() {
        "c" => Value::Other,
        text => Value::Number(text.len() as f64),
    });
    let derived = |name: &str, source: &str| {
        let column = Derived { name: name.to_owned(), source: source.to_owned(), signal: length.clone() };
        (name.to_owned(), column)
    };
    let derived: Derivations =
        [derived("text:a", "text"), derived("text:b", "text"), derived("no:a", "no")].into();
    let kinds =
        [("text", Kind::Text), ("text:a", Kind::Numeric), ("text:b", Kind::Numeric), ("no:a", Kind::Numeric)];
    for threads in [1, 3] {
        let scanned = scan(&open(&csv).unwrap(), &plan(&kinds), &derived, true, threads).unwrap();
        let columns: Vec<Column> = scanned.columns.into_iter().map(|column| column.into_column()).collect();
        let counts: Vec<_> = columns.iter().map(|c| (c.missing, c.failed, c.values.total())).collect();
        assert_eq!(counts, [(1, 0, 2), (1, 1, 1), (1, 1, 1), (3, 0, 0)]);
    }
}
