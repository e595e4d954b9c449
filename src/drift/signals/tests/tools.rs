use super::super::{Role, Text, Value};
use super::{LIBRARY, label};

fn read(text: &str) -> [Value; 3] {
    let signals = LIBRARY.signals(Role::Tools);
    let text = Text::new(text);
    std::array::from_fn(|index| signals[index].of(&text))
}

#[test]
fn in_the_forms_that_logs_have() {
    let calls = r#"[{"id": "c1", "type": "function", "function": {"name": "search", "arguments": "{\"q\": \"shoes\"}"}},
        {"id": "c2", "type": "function", "function": {"name": "add_to_cart", "arguments": "{}"}},
        {"id": "c3", "type": "function", "function": {"name": "search", "arguments": "{}"}}]"#;
    assert_eq!(read(calls), [Value::Number(3.0), label("search"), label("add_to_cart + search")]);
    for text in [
        r#"["search", "lookup"]"#,
        "search, lookup",
        "search,lookup,",
        r#"[{"name": "search", "input": {}}, {"tool": "lookup"}]"#,
    ] {
        assert_eq!(read(text), [Value::Number(2.0), label("search"), label("lookup + search")], "{text}");
    }
    assert_eq!(read(r#"{"name": "search"}"#), [Value::Number(1.0), label("search"), label("search")]);
}

#[test]
fn none_and_odd_ones() {
    for text in ["", "[]", "null", " , "] {
        assert_eq!(read(text), [Value::Number(0.0), label("(none)"), label("(none)")], "{text:?}");
    }
    assert_eq!(read("[1, {}]"), [Value::Number(2.0), label("?"), label("?")]);
    let many = vec![format!("\"{}\"", "tool".repeat(100)); 1000].join(",");
    let [Value::Number(count), Value::Label(first), Value::Label(set)] = read(&format!("[{many}]")) else {
        panic!()
    };
    assert_eq!((count, first.len(), set.as_ref()), (1000.0, 64, "tool".repeat(16).as_str()));
    let many: Vec<String> = (0..20).map(|n| format!("t{n:02}")).collect();
    let [_, _, set] = read(&many.join(","));
    assert_eq!(set, label("t00 + t01 + t02 + t03 + t04 + t05 + t06 + t07 + …"));
}

#[test]
fn arguments_are_not_told_where_a_log_is_cut() {
    let calls = r#"[{"name": "mail", "arguments": {"to": "jane.doe@example.org", "text": "My number is 4111, sorry"}}]"#;
    for end in 1..calls.len() {
        let [_, first, set] = read(&calls[..end]);
        assert_eq!([first, set], [label("?"), label("?")], "{}", &calls[..end]);
    }
    assert_eq!(read("search, my number is 4111"), [Value::Number(2.0), label("search"), label("? + search")]);
    assert_eq!(read(&"x".repeat(65))[1], label("?"));
}
