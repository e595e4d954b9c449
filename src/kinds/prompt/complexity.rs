//! Refuses expressions that the template parser would follow too deep. The parser calls itself for each operator
//! of a chain and has no limit of its own for them, so a long chain would exhaust the stack and end the process.
//! This follows the lexical rules of Jinja closely enough to know where a tag ends: strings, brackets, comments
//! and raw blocks.

/// Operators and keywords in one tag; lists of plain values and long texts count nothing.
const MAX_OPERATORS: usize = 200;
const MAX_BRACKET_DEPTH: i64 = 16;
/// `elif` tags in one template: each is nested in the one before.
const MAX_ELIFS: usize = 100;

/// The line (from 1) of the first tag that is too complex.
pub(super) fn excess(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let line = |at: usize| 1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
    let mut at = 0;
    let mut elifs = 0;
    // Brackets are balanced across tags, as the parser counts them.
    let mut depth = 0i64;
    while let Some(open) = find(bytes, at, |pair| matches!(pair, b"{{" | b"{%" | b"{#")) {
        let rest = bytes.get(open..).unwrap_or_default();
        if rest.starts_with(b"{#") {
            at = find(bytes, open + 2, |pair| pair == b"#}")? + 2;
            continue;
        }
        if let Some(length) = tag(rest, b"raw") {
            let inside = open + length;
            let ends = |from: usize| bytes.get(from..).and_then(|rest| tag(rest, b"endraw"));
            at = (inside..bytes.len()).find_map(|from| ends(from).map(|length| from + length))?;
            continue;
        }
        let close: &[u8] = if rest.starts_with(b"{{") { b"}}" } else { b"%}" };
        let (mut operators, mut word, mut text): (usize, usize, Option<(u8, bool)>) = (0, open + 2, None);
        at = open + 2;
        while let Some(byte) = bytes.get(at).copied() {
            if let Some((quote, escaped)) = text {
                text = if escaped || byte != quote { Some((quote, !escaped && byte == b'\\')) } else { None };
                at += 1;
                word = at;
                continue;
            }
            if byte.is_ascii_alphanumeric() || byte == b'_' {
                at += 1;
                continue;
            }
            match bytes.get(word..at).unwrap_or_default() {
                b"not" | b"if" | b"else" | b"is" | b"in" | b"and" | b"or" => operators += 1,
                b"elif" => (operators, elifs) = (operators + 1, elifs + 1),
                _ => {}
            }
            if depth == 0 && bytes.get(at..).unwrap_or_default().starts_with(close) {
                break;
            }
            match byte {
                b'"' | b'\'' => text = Some((byte, false)),
                b'(' | b'[' | b'{' => (operators, depth) = (operators + 1, depth + 1),
                b')' | b']' | b'}' => depth -= 1,
                _ if byte.is_ascii_whitespace() || byte == b',' || byte == b':' => {}
                _ => operators += 1,
            }
            if operators > MAX_OPERATORS || depth > MAX_BRACKET_DEPTH || elifs > MAX_ELIFS {
                return Some(line(open));
            }
            at += 1;
            word = at;
        }
        at += 2;
    }
    None
}

fn find(bytes: &[u8], from: usize, wanted: impl Fn(&[u8]) -> bool) -> Option<usize> {
    bytes.get(from..)?.windows(2).position(wanted).map(|at| from + at)
}

/// The length of `{% name %}` at the beginning, with any of its whitespace controls.
fn tag(bytes: &[u8], name: &[u8]) -> Option<usize> {
    let sign = |bytes: &'_ [u8]| usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let rest = bytes.strip_prefix(b"{%")?;
    let rest = rest.get(sign(rest)..)?.trim_ascii_start().strip_prefix(name)?.trim_ascii_start();
    let rest = rest.get(sign(rest)..)?.strip_prefix(b"%}")?;
    Some(bytes.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_templates_pass() {
        let list = "{{ ['a', ".to_owned() + &"\"b\", ".repeat(5_000) + "1] | join }}";
        let fine = "a {{ b }}\n".repeat(5_000) + &"- * . + ".repeat(5_000);
        let text = "{{ '".to_owned() + &"- }} \\' %} ".repeat(5_000) + "' }}";
        let raw =
            "{% raw %}{{ ".to_owned() + &"-".repeat(5_000) + "{%- endraw -%}{# " + &"{{ -".repeat(500) + "#}";
        for source in [list, fine, text, raw, "{{".into(), "{% if".into(), "{# {{".into(), "{% raw %}".into()]
        {
            assert_eq!(excess(&source), None);
        }
    }

    #[test]
    fn long_chains_are_found_wherever_they_hide() {
        let chain = "-".repeat(MAX_OPERATORS + 1);
        for before in [
            "",
            "{{ a }}",
            "{# ' #}",
            "{% raw %}'{% endraw %}",
            "{{ '\\'' }}",
            "{{ {'a': {}} }}",
            "it's {",
            "{{ '}}' }}",
            "{{ \"%}\" }}",
        ] {
            assert_eq!(excess(&format!("\n{before}{{{{ {chain}1 }}}}")), Some(2), "{before}");
            assert_eq!(excess(&format!("\n{before}{{%- if '}}}}' + {chain}1 %}}")), Some(2), "{before}");
        }
        for chain in ["not ", ".b", "|upper", "+1", "~a", "[0]", "()", " is string", " if a else a", " and a"]
        {
            assert!(excess(&format!("{{{{ a{} }}}}", chain.repeat(201))).is_some(), "{chain}");
        }
        assert!(excess(&format!("{{{{ {}", "[".repeat(20))).is_some());
        assert!(excess(&"{% elif a %}".repeat(101)).is_some());
    }
}
