//! The template engine, closed in: no files, no includes, no clock, no environment; a budget of work; a variable
//! that is not given is an error.

use super::Format;
use crate::error::{Error, Result};
use crate::model::digest::shorten;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, ErrorKind, State, UndefinedBehavior, Value};
use std::collections::BTreeSet;

/// The work that rendering one prompt may take, in the engine's units: about one instruction each, or 64 bytes of
/// text made. This many are well under a second and 32 MB.
pub const FUEL: u64 = 500_000;
/// Macros that call themselves, and expressions in parentheses, nest at most this deep.
const MAX_RECURSION: usize = 100;

const MAX_INDENT: usize = 4;

/// The functions of the engine that remain.
const FUNCTIONS: [&str; 1] = ["range"];
/// Those that go: one prints all variables, the others build containers (see [`complexity`](super::complexity)).
const NO_FUNCTIONS: [&str; 3] = ["debug", "dict", "namespace"];
/// Filters that build containers from others, or text of a length that the template names.
const NO_FILTERS: [&str; 9] = ["zip", "chain", "batch", "slice", "groupby", "map", "sum", "format", "pprint"];

pub(super) struct Engine(Environment<'static>);

impl Engine {
    pub(super) fn new(format: Format) -> Self {
        let mut environment = Environment::new();
        NO_FUNCTIONS.iter().for_each(|name| environment.remove_global(name));
        NO_FILTERS.iter().for_each(|name| environment.remove_filter(name));
        environment.add_filter("join", join);
        environment.add_filter("replace", replace);
        environment.add_filter("tojson", tojson);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(MAX_RECURSION);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        // Prompty files were written for Jinja's defaults.
        if format == Format::Gradus
            && let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()
        {
            environment.set_syntax(syntax);
        }
        Self(environment)
    }

    /// `place` is where the template stands in its file. Error: `template_syntax`.
    pub(super) fn compile<'a>(&'a self, place: &'a str, source: &'a str) -> Result<Template<'a>> {
        if let Some((line, reason)) = super::complexity::refusal(source) {
            return Err(Error::invalid(
                "template_syntax",
                format!("template is refused, {reason}: {place}, line {line}"),
            ));
        }
        let template =
            self.0.template_from_named_str(place, source).map_err(|error| failed(&error, place))?;
        Ok(Template { template, place })
    }
}

pub(super) struct Template<'a> {
    template: minijinja::Template<'a, 'a>,
    place: &'a str,
}

impl Template<'_> {
    pub(super) fn place(&self) -> &str {
        self.place
    }

    pub(super) fn variables(&self) -> BTreeSet<String> {
        let names = self.template.undeclared_variables(false).into_iter();
        names.filter(|name| !FUNCTIONS.contains(&name.as_str())).collect()
    }

    /// The text, and the fuel it took. Errors: `template_undefined`, `template_budget`, `template_unknown_name`,
    /// `template_include`, `template_failed`.
    pub(super) fn render(&self, variables: &Value) -> Result<(String, u64)> {
        let captured =
            self.template.render_captured(variables.clone()).map_err(|error| failed(&error, self.place))?;
        let spent = captured.state().fuel_levels().map_or(0, |(spent, _)| spent);
        Ok((captured.into_output(), spent))
    }
}

/// Text made of list items. The engine's own checks the budget after it made the text.
fn join(state: &State, list: &Value, separator: Option<String>) -> Result<String, minijinja::Error> {
    let separator = separator.unwrap_or_default();
    let mut text = String::new();
    for (index, item) in list.try_iter()?.enumerate() {
        let item = item.to_string();
        state.consume_fuel(1 + ((separator.len() + item.len()) / 64) as u64)?;
        if index > 0 {
            text.push_str(&separator);
        }
        text.push_str(&item);
    }
    Ok(text)
}

/// JSON as Jinja writes it (`<`, `>`, `&` and `'` as escapes). The engine's own takes any indentation.
fn tojson(
    state: &State,
    value: &Value,
    indent: Option<usize>,
    named: Kwargs,
) -> Result<Value, minijinja::Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => named.get::<Option<usize>>("indent")?,
    };
    named.assert_all_used()?;
    if indent.is_some_and(|indent| indent > MAX_INDENT) {
        let reason = format!("tojson indents by {MAX_INDENT} at most");
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, reason));
    }
    let none = std::iter::empty::<(String, Value)>().collect();
    let text = minijinja::filters::tojson(value, indent.map(Value::from), none)?;
    state.consume_fuel((text.as_str().map_or(0, str::len) / 4) as u64)?;
    Ok(text)
}

/// Counts what is inserted before it is; and an empty pattern would put the replacement between all characters.
fn replace(state: &State, text: &str, from: &str, to: &str) -> Result<String, minijinja::Error> {
    if from.is_empty() {
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, "replace needs text to look for"));
    }
    let inserted = text.matches(from).count().saturating_mul(to.len());
    state.consume_fuel((text.len().saturating_add(inserted) / 64) as u64)?;
    Ok(text.replace(from, to))
}

pub(super) fn budget(place: &str) -> Error {
    Error::invalid("template_budget", format!("template does more work than rendering allows: {place}"))
        .hint(format!("rendering may take {FUEL} steps; shorten loops, or the input"))
}

fn failed(error: &minijinja::Error, place: &str) -> Error {
    let line = error.line().map(|line| format!(", line {line}")).unwrap_or_default();
    let detail = error.detail().map_or_else(|| error.kind().to_string(), shorten);
    let report =
        |code: &'static str, what: &str| Error::invalid(code, format!("{what}, {detail}: {place}{line}"));
    match error.kind() {
        ErrorKind::OutOfFuel => budget(place),
        ErrorKind::InvalidOperation if detail.contains("recursion limit") => budget(place),
        ErrorKind::SyntaxError | ErrorKind::BadEscape => report("template_syntax", "template does not parse"),
        ErrorKind::UndefinedError => report("template_undefined", "template uses a value that is not given")
            .hint("write `is defined` or `| default(…)` for what is optional, or give it a default in the input schema"),
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction | ErrorKind::UnknownMethod => {
            report("template_unknown_name", "template calls something that does not exist")
        }
        ErrorKind::TemplateNotFound | ErrorKind::BadInclude => {
            report("template_include", "template refers to another file, and a prompt is one file")
        }
        _ => report("template_failed", "template cannot be rendered"),
    }
}
