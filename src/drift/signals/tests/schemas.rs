use super::super::{Schema, Text, Value};
use super::{label, of};
use serde_json::json;

fn ticket() -> Schema {
    let schema = json!({
        "type": "object",
        "required": ["category", "urgency"],
        "additionalProperties": false,
        "properties": {
            "category": {"enum": ["billing", "shipping", "other"]},
            "urgency": {"type": "integer", "minimum": 1, "maximum": 5},
            "tags": {"type": "array", "items": {"type": "string", "maxLength": 12}},
        },
    });
    Schema::new(&schema).unwrap()
}

#[test]
fn what_is_json() {
    for text in ["{}", " [1, 2]\n", "42", "\"text\"", "null", "{\"a\": {\"a\": 1}}"] {
        assert_eq!(of("json", text), Value::Boolean(true), "{text}");
    }
    let deep = "[".repeat(100_000);
    for text in
        ["", "{", "{'a': 1}", "```json\n{}\n```", "{} {}", "[1,]", "NaN", "\"\\ud800\"", deep.as_str()]
    {
        assert_eq!(of("json", text), Value::Boolean(false), "{text:.20}");
    }
}

#[test]
fn the_place_in_the_schema_that_is_violated() {
    let [valid, violation] = ticket().signals();
    for (text, place) in [
        (r#"{"category": "billing", "urgency": 3, "tags": ["new"]}"#, "valid"),
        (r#"{"category": "refund of 4111 1111", "urgency": 3}"#, "/properties/category/enum"),
        (r#"{"category": "other", "urgency": 9}"#, "/properties/urgency/maximum"),
        (r#"{"category": "other", "urgency": "3"}"#, "/properties/urgency/type"),
        (r#"{"category": "other"}"#, "/required"),
        (r#"{"category": "other", "urgency": 1, "my secret key": 1}"#, "/additionalProperties"),
        (
            r#"{"category": "other", "urgency": 1, "tags": ["a", "a text that is too long"]}"#,
            "/properties/tags/items/maxLength",
        ),
        ("[]", "/type"),
        ("Sure! Here is the JSON: {}", "not JSON"),
        ("", "not JSON"),
    ] {
        let text = Text::new(text);
        assert_eq!(violation.of(&text), label(place), "{}", text.as_str());
        assert_eq!(valid.of(&text), Value::Boolean(place == "valid"), "{}", text.as_str());
    }
    assert!(valid.version().unwrap().starts_with("schema sha256:"));
    let long = format!("\"{}\"", "x".repeat(2 << 20));
    assert_eq!(
        [valid.of(&Text::new(&long)), violation.of(&Text::new(&long))],
        [Value::Missing, Value::Missing]
    );
}

#[test]
fn what_is_no_schema() {
    for (schema, why) in [
        (json!({"type": "text"}), "/type"),
        (json!(3), "3"),
        (json!({"$ref": "https://127.0.0.1:1/x"}), "127.0.0.1"),
        (json!({"$ref": "#/nowhere"}), "nowhere"),
        (json!({"pattern": "(?=a)"}), "pattern"),
        (json!({"pattern": "(\\w{1000}){1000}"}), "pattern"),
    ] {
        let error = Schema::new(&schema).err().unwrap().to_string();
        assert!(error.contains(why), "{schema} {error}");
    }
}

/// What refers to itself must not run for ever.
#[test]
fn schemas_that_go_round_in_a_circle() {
    let text = format!("{}1{}", "[".repeat(120), "]".repeat(120));
    let list = Schema::new(&json!({"items": {"$ref": "#"}})).unwrap();
    assert!(list.is_valid(&Text::new(&text)));
    for schema in [
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}),
        json!({"$id": "https://example.org/s", "not": {"$ref": "https://example.org/s"}}),
        json!({"$dynamicAnchor": "x", "anyOf": [{"$dynamicRef": "#x"}]}),
    ] {
        let [_, violation] = Schema::new(&schema).unwrap().signals();
        assert!(matches!(violation.of(&Text::new("{\"a\": 1}")), Value::Label(_)), "{schema}");
    }
}

/// Each level refers twice to the next one.
#[test]
fn schemas_that_grow_when_written_out_are_refused() {
    let levels = |levels: usize, named: fn(usize) -> [serde_json::Value; 2]| {
        let level = |n: usize| {
            let [name, next] = named(n);
            let mut level = json!({"allOf": [next, next]});
            level.as_object_mut().unwrap().extend(name.as_object().unwrap().clone());
            (format!("d{n}"), level)
        };
        let mut all: serde_json::Map<_, _> = (0..levels).map(level).collect();
        let [last, _] = named(levels);
        all.insert(format!("d{levels}"), last);
        let [_, first] = named(usize::MAX);
        json!({"$defs": all, "items": first})
    };
    let by_place = |n: usize| [json!({}), json!({"$ref": format!("#/$defs/%64{}", n.wrapping_add(1))})];
    let by_anchor =
        |n: usize| [json!({"$anchor": format!("a{n}")}), json!({"$ref": format!("#a{}", n.wrapping_add(1))})];
    let by_id = |n: usize| {
        let [id, next] = [n, n.wrapping_add(1)].map(|n| format!("https://example.org/{n}"));
        [json!({ "$id": id }), json!({ "$ref": next })]
    };
    for named in [by_place as fn(usize) -> _, by_anchor, by_id] {
        let error = Schema::new(&levels(28, named)).unwrap_err().to_string();
        assert!(error.contains("written out"), "{error}");
        let few = Schema::new(&levels(8, named)).unwrap();
        assert!(few.is_valid(&Text::new("[1]")));
    }
    // Each part of a tree is looked at once.
    let tree = json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}, "type": "object"});
    assert!(Schema::new(&tree).unwrap().is_valid(&Text::new(r#"{"left": {"right": {}}}"#)));
    let long: serde_json::Map<_, _> =
        (0..2_000).map(|n| (format!("d{n}"), json!({"$ref": format!("#/$defs/d{}", n + 1)}))).collect();
    assert!(Schema::new(&json!({"$defs": long, "$ref": "#/$defs/d0"})).is_err());
}

/// Each refers to all, so that there are as many ways around as there are orders of them.
#[test]
fn schemas_with_many_ways_around_are_refused() {
    let each = |count: usize| {
        let all: Vec<_> = (0..count).map(|n| json!({"$ref": format!("#/$defs/d{n}")})).collect();
        let defs: serde_json::Map<_, _> =
            (0..count).map(|n| (format!("d{n}"), json!({"allOf": all}))).collect();
        json!({"$defs": defs, "$ref": "#/$defs/d0"})
    };
    let error = Schema::new(&each(11)).unwrap_err().to_string();
    assert!(error.contains("written out"), "{error}");
    assert!(Schema::new(&each(3)).unwrap().is_valid(&Text::new("1")));
    // Around lists within lists they are no more than there are lists.
    let lists = json!({"items": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, "type": "array"});
    let [valid, violation] = Schema::new(&lists).unwrap().signals();
    let text = format!("{}1{}", "[".repeat(60), "]".repeat(60));
    assert_eq!(valid.of(&Text::new(&text)), Value::Boolean(false));
    assert_eq!(violation.of(&Text::new(&text)), label("deep"));
    assert_eq!(violation.of(&Text::new("[[1]]")), label("/type"));
    assert_eq!(violation.of(&Text::new(&text.replace('1', ""))), label("valid"));
}
