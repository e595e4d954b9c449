//! What templates may not say, though the engine would accept it. Both reasons were found by attacking it:
//!
//! - The parser calls itself for each operator of a chain, without a limit of its own: a long chain exhausts the
//!   stack and ends the process. So tags are bounded.
//! - The engine's budget does not see that a list holds the same list many times: nine lines make one of 10^9
//!   items, and printing it never ends. So templates cannot build containers out of variables: no lists, tuples
//!   or mappings except lists of constants, no `+` and no `*`. What they can show is then no larger than the
//!   input. (Text is joined with `~`.)
//!
//! This follows the lexical rules of Jinja closely enough to know where a tag ends: strings, brackets, comments
//! and raw blocks.

/// Operators and keywords in one tag; lists of plain values and long texts count nothing.
const MAX_OPERATORS: usize = 200;
const MAX_BRACKET_DEPTH: usize = 16;
/// `elif` tags in one template: each is nested in the one before.
const MAX_ELIFS: usize = 100;

/// The line (from 1) of the first tag that is refused, and why.
pub(super) fn refusal(source: &str) -> Option<(usize, &'static str)> {
    let bytes = source.as_bytes();
    let mut scan = Scan::default();
    let mut at = 0;
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
        match scan.tag(rest) {
            Ok(length) => at = open + length,
            Err(reason) => {
                return Some((1 + bytes.iter().take(open).filter(|byte| **byte == b'\n').count(), reason));
            }
        }
    }
    None
}

#[derive(Clone, Copy, PartialEq)]
enum Bracket {
    /// `f(`: commas separate arguments.
    Call,
    /// `(` around an expression.
    Group,
    /// `a[`.
    Subscript,
    /// `[` that begins a list.
    List,
}

#[derive(Default)]
struct Scan {
    /// Open brackets. They stay open across tags, as the parser counts them.
    open: Vec<Bracket>,
    /// Closing brackets without an opening one; the parser counts below zero, too.
    missing: usize,
    elifs: usize,
}

impl Scan {
    /// Reads one tag; returns its length, or why it is refused.
    fn tag(&mut self, bytes: &[u8]) -> Result<usize, &'static str> {
        let close: &[u8] = if bytes.starts_with(b"{{") { b"}}" } else { b"%}" };
        // `operand`: the last token ended an operand, so that a bracket now is a call or a subscript.
        let (mut at, mut operators, mut operand, mut targets) = (2, 0, false, false);
        while let Some(byte) = bytes.get(at).copied() {
            let rest = bytes.get(at..).unwrap_or_default();
            if self.open.is_empty() && self.missing == 0 && rest.starts_with(close) {
                return Ok(at + 2);
            }
            let length = match byte {
                b'"' | b'\'' => string(rest),
                _ => rest
                    .iter()
                    .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                    .count()
                    .max(1),
            };
            let token = rest.get(..length).unwrap_or_default();
            let inside = self.open.last().copied();
            match token {
                b" " | b"\t" | b"\n" | b"\r" | b"\x0c" => {}
                b"for" => (operand, targets) = (false, true),
                b"not" | b"if" | b"else" | b"is" | b"in" | b"and" | b"or" | b"elif" => {
                    self.elifs += usize::from(token == b"elif");
                    (operators, operand, targets) = (operators + 1, false, targets && token != b"in");
                }
                b"(" => self.open.push(if operand { Bracket::Call } else { Bracket::Group }),
                b"[" => self.open.push(if operand { Bracket::Subscript } else { Bracket::List }),
                b"{" => return Err("mappings cannot be written in a template; give them as input"),
                b")" | b"]" | b"}" => {
                    self.missing += usize::from(self.open.pop().is_none());
                    operand = true;
                }
                b"," if !(targets || matches!(inside, Some(Bracket::Call | Bracket::List))) => {
                    return Err("tuples cannot be written in a template");
                }
                b"+" if rest.get(1..).is_some_and(|rest| rest.starts_with(close)) => {}
                b"+" if at == 2 => {}
                b"+" => return Err("the operator + is not available; join text with ~"),
                b"*" => return Err("the operator * is not available"),
                b"," | b":" => operand = false,
                _ if matches!(byte, b'"' | b'\'') || byte.is_ascii_digit() => operand = true,
                _ if byte.is_ascii_alphabetic() || byte == b'_' => {
                    let constant =
                        matches!(token, b"true" | b"false" | b"none" | b"True" | b"False" | b"None");
                    if inside == Some(Bracket::List) && !constant {
                        return Err("lists in a template hold constants only");
                    }
                    operand = true;
                }
                _ => (operators, operand) = (operators + 1, false),
            }
            if matches!(byte, b'(' | b'[') {
                (operators, operand) = (operators + 1, false);
                if inside == Some(Bracket::List) {
                    return Err("lists in a template hold constants only");
                }
            }
            if operators > MAX_OPERATORS || self.open.len() > MAX_BRACKET_DEPTH || self.elifs > MAX_ELIFS {
                return Err("the expression is too long or too deep; break it up with {% set … %}");
            }
            at += length;
        }
        Ok(at)
    }
}

/// The length of the string literal at the beginning.
fn string(bytes: &[u8]) -> usize {
    let (quote, mut escaped) = (bytes.first(), false);
    let ends = |byte: &u8| {
        let end = !escaped && Some(byte) == quote;
        escaped = !escaped && *byte == b'\\';
        end
    };
    bytes.iter().skip(1).position(ends).map_or(bytes.len(), |length| length + 2)
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
        let list = "{% if a in ['a', ".to_owned() + &"\"b\", ".repeat(5_000) + "1] %}";
        let fine = "a {{ b }}\n".repeat(5_000) + &"- * . + [{(".repeat(5_000);
        let text = "{{ '".to_owned() + &"- }} \\' %} + [".repeat(5_000) + "' }}";
        let raw =
            "{% raw %}{{ ".to_owned() + &"-".repeat(5_000) + "{%- endraw -%}{# " + &"{{ -".repeat(500) + "#}";
        for source in [list.as_str(), &fine, &text, &raw, "{{", "{% if", "{# {{", "{% raw %}"] {
            assert_eq!(refusal(source), None);
        }
        for source in [
            "{%- for key, value in map | items +%}{{ key }}: {{ value[key]['x'].y | tojson(indent=2) }}{%+ endfor %}",
            "{% macro f(a, b=1) %}{{ a ~ b }}{% endmacro %}{{ f(1, b=(2 - 1)) }}{{ (a or b) | default('{}') }}{{+ a -}}",
            "{% set x = ['a', 1, true, none] %}{{ x[0] }}{{ x[1:2] }}{{ a if b is divisibleby(3) else 'c' }}",
        ] {
            assert_eq!(refusal(source), None, "{source}");
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
            "it's {",
            "{{ '}}' }}",
            "{{ \"%}\" }}",
            "{{ a[(b)] }}",
        ] {
            assert_eq!(refusal(&format!("\n{before}{{{{ {chain}1 }}}}")).unwrap().0, 2, "{before}");
            assert_eq!(
                refusal(&format!("\n{before}{{%- if '}}}}' ~ {chain}1 %}}")).unwrap().0,
                2,
                "{before}"
            );
        }
        for chain in ["not ", ".b", "|upper", "-1", "~a", "[0]", "()", " is string", " if a else a", " and a"]
        {
            assert!(refusal(&format!("{{{{ a {} }}}}", chain.repeat(201))).is_some(), "{chain}");
        }
        assert!(refusal(&format!("{{{{ {}", "(".repeat(20))).is_some());
        assert!(refusal(&"{% elif a %}".repeat(101)).is_some());
    }

    #[test]
    fn containers_cannot_be_built_from_variables() {
        for source in [
            "{% set b = [a, a] %}",
            "{% set b = ['x', a] %}",
            "{{ [[1]] }}",
            "{{ [(1)] }}",
            "{{ {'a': a} }}",
            "{% set b = (a, a) %}",
            "{% set b = a, a %}",
            "{{ f((a, a)) }}",
            "{{ a[b, c] }}",
            "{% set b = a + a %}",
            "{{ [0] * 9 }}",
            "{{ f(*a) }}",
            "{{ f(**a) }}",
            "{% for x in a, a %}{% endfor %}",
            "{% for x in [a] %}{% endfor %}",
            "{{ a|f([b]) }}",
            "{{ 'x' in [b] }}",
            "{% if [a] %}",
            "{% raw %}{% endraw %}{{+a + a+}}",
            "{{ not [a] }}",
            "{{ a.b + 1 }}",
        ] {
            assert!(refusal(source).is_some(), "{source}");
        }
    }
}
