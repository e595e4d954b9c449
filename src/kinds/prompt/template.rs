//! The template engine, closed in: no files, no includes, no clock, no environment; a budget of work; a variable
//! that is not given is an error.

use super::Format;
use crate::error::{Error, Result};
use crate::model::digest::shorten;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use std::collections::BTreeSet;

/// The work that rendering one prompt may take, in the engine's units: about one instruction each, or 64 bytes of
/// text made. This many are well under a second and 32 MB.
pub const FUEL: u64 = 500_000;
/// Macros that call themselves, and expressions in parentheses, nest at most this deep.
const MAX_RECURSION: usize = 100;

/// The functions of the engine that remain; `debug`, which prints all variables, does not.
const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];

pub(super) struct Engine(Environment<'static>);

impl Engine {
    pub(super) fn new(format: Format) -> Self {
        let mut environment = Environment::new();
        environment.remove_global("debug");
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
        if let Some(line) = super::complexity::excess(source) {
            let message =
                format!("template has an expression that is too long or too deep: {place}, line {line}");
            return Err(Error::invalid("template_syntax", message).hint("break it up with {% set … %}"));
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
