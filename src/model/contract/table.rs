//! The rules as a table: old schema, new schema, the change on each side, and where it is reported.

use super::{Change, Contract, Diff, Side, diff};
use Change::{Equal, Major, Minor};
use serde_json::{Value, json};

fn contract(side: Side, schema: &Value) -> Contract {
    let (input, output) = match side {
        Side::Input => (schema.clone(), json!(true)),
        Side::Output => (json!(true), schema.clone()),
    };
    Contract::new(input, output).unwrap()
}

fn compare(side: Side, old: &Value, new: &Value) -> Diff {
    diff(&contract(side, old), &contract(side, new))
}

/// (old, new, change as input, change as output, path that is reported: `INPUT|OUTPUT` where they differ).
fn check(rows: Vec<(Value, Value, Change, Change, &str)>) {
    for (old, new, input, output, path) in rows {
        for (side, expected) in [(Side::Input, input), (Side::Output, output)] {
            let found = compare(side, &old, &new);
            assert_eq!(found.change, expected, "{side:?}: {old} to {new}: {found:?}");
            let (as_input, as_output) = path.split_once('|').unwrap_or((path, path));
            let path = if side == Side::Input { as_input } else { as_output };
            let places: Vec<&str> = found.entries.iter().map(|entry| entry.path.as_str()).collect();
            assert!(expected == Equal || places.contains(&path), "{side:?}: {old} to {new}: {places:?}");
            assert!(expected != Equal || places.is_empty());
        }
    }
}

#[test]
fn scalars() {
    let string = |more: Value| {
        let mut schema = json!({"type": "string"});
        more.as_object().unwrap().iter().for_each(|(key, value)| schema[key] = value.clone());
        schema
    };
    check(vec![
        (json!(true), json!({}), Equal, Equal, ""),
        (json!(true), json!(false), Major, Minor, ""),
        (json!({"type": "string"}), json!({"type": ["string", "null"]}), Minor, Major, "/type"),
        (json!({"type": "integer"}), json!({"type": "number"}), Minor, Major, "/type"),
        (json!({"type": "number"}), json!({"type": ["integer", "number"]}), Equal, Equal, ""),
        (json!({"type": "string"}), json!({"type": "integer"}), Major, Major, "/type"),
        (json!({"enum": ["a", "b"]}), json!({"enum": ["b", "a", "c"]}), Minor, Major, "/enum"),
        (json!({"enum": ["a", "b"]}), json!({"enum": ["b", "a"]}), Equal, Equal, ""),
        (json!({"const": 1}), json!({"enum": [1.0]}), Equal, Equal, ""),
        (json!({"enum": ["a"]}), json!({"type": "string"}), Minor, Major, "/enum"),
        (json!({"enum": [1, "a"], "type": "string"}), json!({"const": "a"}), Equal, Equal, ""),
        (json!({"type": ["boolean", "null"]}), json!({"enum": [true, false, null]}), Equal, Equal, ""),
        (json!({"enum": ["a", "bbb"]}), json!({"type": "string", "maxLength": 3}), Minor, Major, "/enum"),
        (
            json!({"enum": [3, 9]}),
            json!({"type": "integer", "minimum": 3, "multipleOf": 3}),
            Minor,
            Major,
            "/enum",
        ),
        (string(json!({"maxLength": 9})), string(json!({"maxLength": 10})), Minor, Major, "/maxLength"),
        (string(json!({"minLength": 1})), string(json!({})), Minor, Major, "/minLength"),
        (string(json!({"pattern": "a"})), string(json!({})), Minor, Major, "/pattern"),
        (string(json!({"pattern": "a"})), string(json!({"pattern": "b"})), Major, Major, "/pattern"),
        (string(json!({"format": "email"})), string(json!({})), Minor, Major, "/format"),
        (string(json!({"format": "date"})), string(json!({"format": "time"})), Major, Major, "/format"),
        (
            string(json!({"title": "a"})),
            string(json!({"description": "b", "x-owner": "c"})),
            Equal,
            Equal,
            "",
        ),
        (string(json!({"minimum": 3})), string(json!({})), Equal, Equal, ""),
        (json!({"minimum": 1}), json!({"minimum": 0}), Minor, Major, "/minimum"),
        (json!({"minimum": 1}), json!({"exclusiveMinimum": 1}), Major, Minor, "/exclusiveMinimum"),
        (json!({"maximum": 1}), json!({"maximum": 2}), Minor, Major, "/maximum"),
        (json!({"exclusiveMaximum": 2}), json!({"maximum": 2}), Minor, Major, "/exclusiveMaximum"),
        (
            json!({"type": "integer", "exclusiveMinimum": 0}),
            json!({"type": "integer", "minimum": 1}),
            Equal,
            Equal,
            "",
        ),
        (json!({"multipleOf": 4}), json!({"multipleOf": 2}), Minor, Major, "/multipleOf"),
        (json!({"multipleOf": 2}), json!({"multipleOf": 3}), Major, Major, "/multipleOf"),
        (json!({"multipleOf": 0.3}), json!({"multipleOf": 0.1}), Major, Major, "/multipleOf"),
        (json!({"type": "integer"}), json!({"type": "integer", "multipleOf": 1}), Equal, Equal, ""),
    ]);
}

#[test]
fn objects() {
    let object = |properties: Value, required: Value, other: Value| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": other});
    let (open, closed) = (json!(true), json!(false));
    let a = json!({"a": {"type": "string"}});
    let ab = json!({"a": {"type": "string"}, "b": {"type": "string"}});
    check(vec![
        // A new optional property: closed objects accept more, open ones less.
        (
            object(a.clone(), json!([]), closed.clone()),
            object(ab.clone(), json!([]), closed.clone()),
            Minor,
            Major,
            "/properties/b",
        ),
        (
            object(a.clone(), json!([]), open.clone()),
            object(ab.clone(), json!([]), open.clone()),
            Major,
            Minor,
            "/properties/b/type",
        ),
        (
            object(a.clone(), json!([]), open.clone()),
            object(json!({"a": {"type": "string"}, "b": true}), json!([]), open.clone()),
            Equal,
            Equal,
            "",
        ),
        // A new required property.
        (
            object(a.clone(), json!(["a"]), open.clone()),
            object(ab.clone(), json!(["a", "b"]), open.clone()),
            Major,
            Minor,
            "/required",
        ),
        (
            object(a.clone(), json!(["a"]), closed.clone()),
            object(ab.clone(), json!(["a", "b"]), closed.clone()),
            Major,
            Major,
            "/required|/properties/b",
        ),
        (
            object(a.clone(), json!(["a"]), open.clone()),
            object(a.clone(), json!([]), open.clone()),
            Minor,
            Major,
            "/required",
        ),
        (
            object(ab.clone(), json!(["a", "b"]), open.clone()),
            object(ab.clone(), json!(["b", "a"]), open.clone()),
            Equal,
            Equal,
            "",
        ),
        (
            object(a.clone(), json!([]), open.clone()),
            object(a.clone(), json!([]), closed.clone()),
            Major,
            Minor,
            "/additionalProperties",
        ),
        (
            object(a.clone(), json!([]), json!({"type": "string"})),
            object(ab.clone(), json!([]), json!({"type": "string"})),
            Equal,
            Equal,
            "",
        ),
        (
            object(a.clone(), json!([]), json!({"maxLength": 3})),
            object(a.clone(), json!([]), json!({"maxLength": 4})),
            Minor,
            Major,
            "/additionalProperties/maxLength",
        ),
        (
            json!({"properties": {"a": {"properties": {"b/c": {"type": "null"}}}}}),
            json!({"properties": {"a": {"properties": {"b/c": {"type": "string"}}}}}),
            Major,
            Major,
            "/properties/a/properties/b~1c/type",
        ),
        (
            json!({"properties": {"a": false}, "type": "object"}),
            json!({"type": "object"}),
            Minor,
            Major,
            "/properties/a",
        ),
        (
            json!({"type": "object", "minProperties": 1}),
            json!({"type": "object", "required": ["a"]}),
            Major,
            Minor,
            "/required",
        ),
        (
            object(a.clone(), json!([]), closed.clone()),
            json!({"type": "object", "maxProperties": 1}),
            Minor,
            Major,
            "/additionalProperties",
        ),
        (
            json!({"patternProperties": {"^x": {"type": "string"}}}),
            json!({"patternProperties": {"^y": {"type": "string"}}}),
            Major,
            Major,
            "/patternProperties",
        ),
        (
            json!({"patternProperties": {"^x": true}, "additionalProperties": false}),
            json!({"patternProperties": {"^x": {}}, "additionalProperties": true}),
            Minor,
            Major,
            "/additionalProperties",
        ),
        (
            json!({"patternProperties": {"^x": {"type": "string"}}, "additionalProperties": false}),
            json!({"additionalProperties": {"type": "string"}}),
            Minor,
            Major,
            "/patternProperties",
        ),
        (
            json!({"dependentRequired": {"a": ["b"]}}),
            json!({"dependentRequired": {"a": ["c"]}}),
            Major,
            Major,
            "/dependentRequired",
        ),
        (json!({"dependentRequired": {"a": ["b"]}}), json!({"type": "string"}), Major, Minor, "/type"),
        (json!({"propertyNames": {"maxLength": 3}}), json!({}), Minor, Major, "/propertyNames"),
        (
            json!({"unevaluatedProperties": false}),
            json!({"unevaluatedProperties": false, "properties": {"a": true}}),
            Major,
            Major,
            "",
        ),
    ]);
}

#[test]
fn arrays() {
    check(vec![
        (
            json!({"items": {"type": "string"}}),
            json!({"items": {"type": ["string", "null"]}}),
            Minor,
            Major,
            "/items/type",
        ),
        (json!({"minItems": 2}), json!({"minItems": 1}), Minor, Major, "/minItems"),
        (json!({"maxItems": 2}), json!({}), Minor, Major, "/maxItems"),
        (json!({"uniqueItems": true}), json!({"uniqueItems": false}), Minor, Major, "/uniqueItems"),
        (
            json!({"type": "array", "maxItems": 1}),
            json!({"type": "array", "maxItems": 1, "uniqueItems": true}),
            Equal,
            Equal,
            "",
        ),
        (
            json!({"prefixItems": [{"type": "string"}]}),
            json!({"prefixItems": [{}]}),
            Minor,
            Major,
            "/prefixItems/0/type",
        ),
        (
            json!({"type": "array", "prefixItems": [true], "items": false}),
            json!({"type": "array", "maxItems": 1}),
            Equal,
            Equal,
            "",
        ),
        (
            json!({"prefixItems": [{"type": "null"}], "items": {"type": "null"}}),
            json!({"items": {"type": "null"}}),
            Equal,
            Equal,
            "",
        ),
        (
            json!({"contains": {"type": "null"}}),
            json!({"contains": {"type": "string"}}),
            Major,
            Major,
            "/contains",
        ),
        (
            json!({"contains": {"title": "a"}, "minContains": 2}),
            json!({"contains": {}, "minContains": 2}),
            Equal,
            Equal,
            "",
        ),
    ]);
}

#[test]
fn combinations() {
    let variant = |kind: &str, more: Value| json!({"type": "object", "required": ["kind"], "properties": {"kind": {"const": kind}, "value": more}});
    let text = json!({"type": "string"});
    check(vec![
        (
            json!({"anyOf": [{"type": "string"}]}),
            json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
            Minor,
            Major,
            "/anyOf",
        ),
        (
            json!({"anyOf": [{"type": "null"}, {"type": "string"}]}),
            json!({"type": ["string", "null"]}),
            Equal,
            Equal,
            "",
        ),
        (
            json!({"type": "number"}),
            json!({"anyOf": [{"type": "integer"}, {"type": "number"}]}),
            Equal,
            Equal,
            "",
        ),
        (json!({"enum": [1, "a"]}), json!({"anyOf": [{"const": 1}, {"const": "a"}]}), Equal, Equal, ""),
        (
            json!({"allOf": [{"minimum": 1}, {"maximum": 5}]}),
            json!({"minimum": 1, "maximum": 5}),
            Equal,
            Equal,
            "",
        ),
        (
            json!({"allOf": [{"minimum": 1}, {"type": "number"}]}),
            json!({"type": "number"}),
            Minor,
            Major,
            "/allOf/0/minimum",
        ),
        (
            json!({"oneOf": [variant("a", text.clone())]}),
            json!({"oneOf": [variant("a", text.clone()), variant("b", text.clone())]}),
            Minor,
            Major,
            "/oneOf",
        ),
        (
            json!({"oneOf": [variant("a", text.clone()), variant("b", text.clone())]}),
            json!({"anyOf": [variant("b", text.clone()), variant("a", text)]}),
            Equal,
            Equal,
            "",
        ),
        (
            json!({"oneOf": [{"minimum": 1}, {"maximum": 3}]}),
            json!({"oneOf": [{"minimum": 1}, {"maximum": 4}]}),
            Major,
            Major,
            "/oneOf",
        ),
        (
            json!({"oneOf": [{"minimum": 1}, {"maximum": 3}]}),
            json!({"oneOf": [{"minimum": 1}, {"maximum": 3, "title": "x"}]}),
            Equal,
            Equal,
            "",
        ),
        (json!({"type": "string"}), json!({"not": {"type": "null"}}), Minor, Major, "/type"),
        (json!({"not": {"required": ["a"]}}), json!({"not": {"required": ["b"]}}), Major, Major, "/not"),
        (
            json!({"if": {"type": "string"}, "then": {"minLength": 1}}),
            json!({"if": {"type": "string"}, "then": {"minLength": 2}}),
            Major,
            Major,
            "/then",
        ),
        (json!({"if": {"type": "string"}, "then": {"minLength": 1}}), json!(true), Minor, Major, "/then"),
        (json!({"madeUp": 1}), json!({"madeUp": 2}), Major, Major, "/madeUp"),
    ]);
}

#[test]
fn references() {
    let list = |value: Value| {
        json!({"$ref": "#/$defs/list", "$defs": {"list": {"type": ["object", "null"], "required": ["value"],
        "properties": {"value": value, "next": {"$ref": "#/$defs/list"}}, "additionalProperties": false}}})
    };
    let renamed = json!({"$ref": "#/$defs/node", "$defs": {"unused": true, "node": {"type": ["object", "null"], "required": ["value"],
        "properties": {"value": {"type": "string"}, "next": {"$ref": "#/$defs/node"}}, "additionalProperties": false}}});
    check(vec![
        (list(json!({"type": "string"})), renamed, Equal, Equal, ""),
        (
            list(json!({"type": "string"})),
            list(json!({"type": ["string", "null"]})),
            Minor,
            Major,
            "/$defs/list/properties/value/type",
        ),
        (
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}),
            json!({"type": "string"}),
            Equal,
            Equal,
            "",
        ),
        (
            json!({"$ref": "#/$defs/a", "maxLength": 3, "$defs": {"a": {"type": "string"}}}),
            json!({"type": "string", "maxLength": 4}),
            Minor,
            Major,
            "/maxLength",
        ),
        // The same words in another document: what they refer to is what counts.
        (
            json!({"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "string", "minLength": 1}}}),
            json!({"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "string", "minLength": 2}}}),
            Major,
            Major,
            "/not",
        ),
    ]);
}

#[test]
fn entries_say_what_and_where() {
    let old =
        Contract::new(json!({"properties": {"tier": {"enum": ["free", "gold"]}}}), json!({"type": "string"}))
            .unwrap();
    let new = Contract::new(
        json!({"properties": {"tier": {"enum": ["free"]}}}),
        json!({"type": "string", "maxLength": 9}),
    )
    .unwrap();
    let found = diff(&old, &new);
    assert_eq!(
        serde_json::to_value(&found).unwrap(),
        json!({"change": "major", "entries": [
            {"side": "input", "path": "/properties/tier/enum", "change": "major", "reason": "old allows the value \\\"gold\\\", new does not"},
            {"side": "output", "path": "/maxLength", "change": "minor", "reason": "old allows strings longer than 9, new does not"}]})
    );
}

#[test]
fn work_is_bounded_and_giving_up_is_major() {
    // Variants within variants: the number of ways to pair them doubles with each level.
    let nest = |last: Value| {
        (0..12).fold(last, |inner, level| {
            json!({"anyOf": [{"required": ["a"], "properties": {"x": inner}}, {"minProperties": 3 + level % 3}], "maxProperties": 9})
        })
    };
    let (old, new) = (nest(json!({"type": "string"})), nest(json!({"type": "integer"})));
    let start = std::time::Instant::now();
    assert_eq!(compare(Side::Input, &old, &new).change, Major);
    assert_eq!(compare(Side::Output, &old, &new).change, Major);
    let wide = |n: usize, max: usize| json!({"anyOf": (0..n).map(|i| json!({"required": [format!("p{i}")], "maxProperties": max})).collect::<Vec<_>>()});
    let found = compare(Side::Input, &wide(400, 9), &wide(400, 10));
    assert_eq!(found.change, Major);
    assert!(
        found.entries.iter().any(|entry| entry.reason.contains("too large")),
        "{:?}",
        found.entries.last()
    );
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
