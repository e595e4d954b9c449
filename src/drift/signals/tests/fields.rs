use super::super::{Field, Kind, MAX_FIELDS, Text, Value, propose};
use super::label;

const TICKET: &str = r#"{"category": "billing", "urgent": true, "score": 0.5, "first name": "x", "a.b": 1, "": 2,
    "order": {"id": 17, "items": [1, 2, 3], "note": null}, "päť": "5"}"#;

#[test]
fn one_field_of_a_text() {
    let text = Text::new(TICKET);
    for (path, value) in [
        ("$.category", label("billing")),
        ("$.urgent", Value::Boolean(true)),
        ("$.score", Value::Number(0.5)),
        ("$.\"first name\"", label("x")),
        ("$.\"a.b\"", Value::Number(1.0)),
        ("$.\"\"", Value::Number(2.0)),
        ("$.päť", label("5")),
        ("$.order.id", Value::Number(17.0)),
        ("$.order.items[]", Value::Number(3.0)),
        ("$.order.items", Value::Other),
        ("$.order", Value::Other),
        ("$.category[]", Value::Other),
        ("$.order.note", Value::Missing),
        ("$.order.nothing", Value::Missing),
        ("$.category.deeper", Value::Missing),
        ("$[]", Value::Other),
    ] {
        let field = Field::parse(path).unwrap();
        assert_eq!(field.to_string(), path);
        assert_eq!(field.of(&text), value, "{path}");
    }
    assert_eq!(Field::parse("$").unwrap().of(&Text::new("7")), Value::Number(7.0));
    assert_eq!(Field::parse("$[]").unwrap().of(&Text::new("[7]")), Value::Number(1.0));
    assert_eq!(Field::parse("$.a").unwrap().of(&Text::new("no JSON")), Value::Missing);
}

#[test]
fn what_is_no_path() {
    let long = format!("$.{}", "a".repeat(255));
    for path in [
        "",
        "a",
        "[]",
        ".a",
        "$a",
        "$.",
        "$..a",
        "$.a.",
        "$.a b",
        "$.\"a",
        "$.\"a\"b",
        "$.a[0]",
        "$.a[].b",
        "$.a.b.c.d.e.f.g.h.i",
        long.as_str(),
    ] {
        assert!(Field::parse(path).is_err(), "{path}");
    }
}

#[test]
fn the_fields_of_a_column() {
    let texts: Vec<String> = (0..400)
        .map(|n| match n % 20 {
            0 => "Sorry, something went wrong.".to_owned(),
            _ => format!(
                r#"{{"category": "{}", "urgent": {}, "score": {}.5, "level": {}, "count": {n}, "summary": "text {n}",
                    "mixed": {}, "by_id": {{"k{n}": 1}}, "order": {{"items": [1], "note": null}}, "tags": []}}"#,
                ["billing", "shipping"][n % 2],
                n % 3 == 0,
                n % 50,
                n % 5,
                if n % 2 == 0 { "1" } else { "\"one\"" },
            ),
        })
        .collect();
    let found = propose(texts.iter().map(String::as_str));
    let shown: Vec<(String, Kind)> = found.iter().map(|(field, kind)| (field.to_string(), *kind)).collect();
    let expected = [
        ("$.category", Kind::Categorical),
        ("$.count", Kind::Numeric),
        ("$.level", Kind::Categorical),
        ("$.order.items[]", Kind::Numeric),
        ("$.score", Kind::Numeric),
        ("$.summary", Kind::Text),
        ("$.tags[]", Kind::Numeric),
        ("$.urgent", Kind::Boolean),
    ];
    assert_eq!(shown, expected.map(|(path, kind)| (path.to_owned(), kind)));
    for (field, _) in found {
        assert_eq!(Field::parse(&field.to_string()).unwrap(), field);
    }
}

#[test]
fn wide_and_deep_ones_are_bounded() {
    let wide = |n: usize| {
        let keys: Vec<String> = (0..5_000).map(|key| format!("\"k{key:04}\": {}", n * key)).collect();
        format!("{{{}}}", keys.join(","))
    };
    let wide: Vec<String> = (0..30).map(wide).collect();
    assert_eq!(propose(wide.iter().map(String::as_str)).len(), MAX_FIELDS);
    let deep = format!("{}1{}", "{\"a\": ".repeat(20), "}".repeat(20));
    let often = |text: &str| propose(vec![text; 30]);
    assert_eq!(often(&deep), []);
    assert_eq!(often("no JSON"), []);
    assert_eq!(often("1"), [(Field::parse("$").unwrap(), Kind::Categorical)]);
    let long = format!("{{\"{}\": 1, \"{}\": 2}}", "x".repeat(300), "\\n".repeat(100));
    assert_eq!(often(&long).len(), 1);
}

/// What only few rows have, or is long, may be what somebody wrote.
#[test]
fn what_may_be_an_answer_is_no_category() {
    let kind = |texts: &[String]| {
        let texts: Vec<String> = texts.iter().map(|text| format!("{{\"a\": {text:?}}}")).collect();
        propose(texts.iter().map(String::as_str)).first().map(|(_, kind)| *kind)
    };
    let of = |values: usize, different: usize, length: usize| {
        let text = |n: usize| format!("{:0length$}", n % different);
        kind(&(0..values).map(text).collect::<Vec<_>>())
    };
    for (values, different, length, expected) in [
        (200, 4, 64, Kind::Categorical),
        (199, 4, 64, Kind::Text),
        (200, 4, 65, Kind::Text),
        (200, 100, 9, Kind::Categorical),
        (200, 101, 9, Kind::Text),
    ] {
        assert_eq!(of(values, different, length), Some(expected), "{values} {different} {length}");
    }
    let label = Field::parse("$.a").unwrap().signal(Kind::Categorical);
    let long = format!("{{\"a\": {:?}}}", "x".repeat(65));
    assert_eq!(label.of(&Text::new(&long)), Value::Other);
    let text = Field::parse("$.a").unwrap().signal(Kind::Text);
    assert!(matches!(text.of(&Text::new(&long)), Value::Label(_)));
}

#[test]
fn keys_of_few_texts_are_no_columns() {
    let rare = r#"{"Jane Doe 1970-01-01": 1}"#;
    assert_eq!(propose([vec!["no JSON"; 1_000], vec![rare; 19]].concat()), []);
    assert_eq!(propose(vec![rare; 20]).len(), 1);
}
