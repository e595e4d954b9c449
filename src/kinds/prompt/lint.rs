//! What can be said against a prompt without running a model.

use super::{Entry, Prompt};
use crate::model::contract::{Change, Contract, diff, validator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Something to know, such as what an importer left out.
    Note,
    /// Probably a mistake.
    Warning,
    /// The prompt cannot keep its contract.
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lint {
    pub level: Level,
    /// A stable word.
    pub code: String,
    pub message: String,
    /// Where in the prompt file, as a JSON pointer.
    pub path: String,
}

impl Lint {
    pub(super) fn new(level: Level, code: &str, message: impl Into<String>, path: impl Into<String>) -> Self {
        Self { level, code: code.into(), message: message.into(), path: path.into() }
    }
}

/// Plausible ranges, by the names that interfaces share: lowest, highest, whole numbers only.
const RANGES: [(&str, f64, f64, bool); 10] = [
    ("temperature", 0.0, 2.0, false),
    ("top_p", 0.0, 1.0, false),
    ("min_p", 0.0, 1.0, false),
    ("top_k", 1.0, 100_000.0, true),
    ("max_tokens", 1.0, 10_000_000.0, true),
    ("max_completion_tokens", 1.0, 10_000_000.0, true),
    ("max_output_tokens", 1.0, 10_000_000.0, true),
    ("frequency_penalty", -2.0, 2.0, false),
    ("presence_penalty", -2.0, 2.0, false),
    ("n", 1.0, 128.0, true),
];

impl Prompt {
    /// All findings against a contract, which need not be the file's own. Codes: `template_syntax`,
    /// `variable_not_in_input`, `input_unused`, `optional_input_unguarded`, `no_user_message`,
    /// `example_input_invalid`, `example_output_invalid`, `sample_invalid`, `example_fails` (an example or sample
    /// does not render), `contract_differs`, `parameter_type`, `parameter_range`, `parameter_secret`, and the
    /// importer's `not_imported`.
    pub fn lints(&self, contract: &Contract) -> Vec<Lint> {
        let mut lints = self.notes.clone();
        self.lint_schemas(contract, &mut lints);
        self.lint_variables(contract, &mut lints);
        self.lint_examples(contract, &mut lints);
        self.lint_rendering(contract, &mut lints);
        lint_parameters(&self.parameters, "/parameters", &mut lints);
        for (key, model) in &self.models {
            lint_parameters(&model.parameters, &format!("/models/{key}/parameters"), &mut lints);
        }
        for (at, list) in self.message_lists() {
            let speaks = |entry: &Entry| match entry {
                Entry::Message { role, .. } => *role == super::Role::User,
                Entry::Placeholder(_) => true,
            };
            if !list.iter().any(speaks) {
                let message = "no user message: many models refuse a conversation without one";
                lints.push(Lint::new(Level::Warning, "no_user_message", message, at));
            }
        }
        lints
    }

    fn lint_schemas(&self, contract: &Contract, lints: &mut Vec<Lint>) {
        let own = Contract {
            input: self.input.clone().unwrap_or_else(|| contract.input.clone()),
            output: self.output.clone().unwrap_or_else(|| contract.output.clone()),
        };
        let found = diff(contract, &own);
        if found.change != Change::Equal {
            let first = found.entries.first();
            let (reason, at) = first.map_or(("", ""), |entry| (entry.reason.as_str(), entry.path.as_str()));
            let side = first.and_then(|entry| serde_json::to_value(entry.side).ok());
            let side = side.as_ref().and_then(Value::as_str).unwrap_or_default();
            let message =
                format!("the schemas in the file are not the contract's (old is the contract): {reason}");
            lints.push(Lint::new(Level::Warning, "contract_differs", message, format!("/{side}{at}")));
        }
    }

    fn lint_variables(&self, contract: &Contract, lints: &mut Vec<Lint>) {
        let mut known = BTreeSet::new();
        property_names(&contract.input, &contract.input, &mut known);
        let closed = contract.input.get("additionalProperties") == Some(&Value::Bool(false));
        let engine = super::template::Engine::new(self.format);
        let mut used = BTreeSet::new();
        for (at, list) in self.message_lists() {
            for (index, entry) in list.iter().enumerate() {
                let path = format!("{at}/{index}");
                let names = match entry {
                    Entry::Placeholder(variable) => BTreeSet::from([variable.clone()]),
                    Entry::Message { content, .. } => match engine.compile(&path, content) {
                        Ok(template) => template.variables(),
                        Err(error) => {
                            lints.push(Lint::new(Level::Error, error.code, error.message, path.clone()));
                            continue;
                        }
                    },
                };
                for name in names.iter().filter(|name| !known.contains(*name)) {
                    let level = if closed { Level::Error } else { Level::Warning };
                    let message = format!("the input schema has no property for the variable: {name}");
                    lints.push(Lint::new(level, "variable_not_in_input", message, path.clone()));
                }
                used.extend(names);
            }
        }
        for name in known.difference(&used) {
            let message = format!("no template uses the input: {name}");
            lints.push(Lint::new(
                Level::Warning,
                "input_unused",
                message,
                format!("/input/properties/{name}"),
            ));
        }
    }

    fn lint_examples(&self, contract: &Contract, lints: &mut Vec<Lint>) {
        // A contract's schemas compile.
        let (Ok(input), Ok(output)) = (validator(&contract.input), validator(&contract.output)) else {
            return;
        };
        for (index, example) in self.examples.iter().enumerate() {
            for found in input.violations(&example.input) {
                let path = format!("/examples/{index}/input{}", found.path);
                lints.push(Lint::new(Level::Error, "example_input_invalid", found.reason, path));
            }
            let parsed = example.output.as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
            let read = parsed.filter(|parsed| output.is_valid(parsed));
            for found in output.violations(read.as_ref().unwrap_or(&example.output)) {
                let path = format!("/examples/{index}/output{}", found.path);
                lints.push(Lint::new(Level::Error, "example_output_invalid", found.reason, path));
            }
        }
        for sample in &self.samples {
            for found in input.violations(sample) {
                lints.push(Lint::new(
                    Level::Warning,
                    "sample_invalid",
                    found.reason,
                    format!("/sample{}", found.path),
                ));
            }
        }
    }

    /// Renders the examples for every family of models; then the first one again without each optional input.
    fn lint_rendering(&self, contract: &Contract, lints: &mut Vec<Lint>) {
        let inputs: Vec<(String, &Value)> = (self.examples.iter().enumerate())
            .map(|(index, example)| (format!("/examples/{index}"), &example.input))
            .chain(self.samples.iter().map(|sample| ("/sample".to_owned(), sample)))
            .collect();
        // One list of messages per override; a pattern is as good a name as any model it matches.
        let models = self
            .models
            .iter()
            .filter(|(_, model)| model.messages.is_some())
            .map(|(key, _)| Some(key.as_str()));
        let models: Vec<Option<&str>> = std::iter::once(None).chain(models).collect();
        for model in models {
            // Without its own examples, which are tried one by one: a failing one must not hide the others.
            let mut bare = self.clone();
            bare.examples.clear();
            let mut first = None;
            for (at, input) in &inputs {
                match bare.render(input, contract, model) {
                    Ok(_) => first = first.or(Some(*input)),
                    Err(error) if matches!(error.code, "input_invalid" | "template_syntax") => {}
                    Err(error) => {
                        lints.push(Lint::new(Level::Error, "example_fails", error.message, at.clone()));
                        if error.code == "template_budget" {
                            return;
                        }
                    }
                }
            }
            let Some(Value::Object(full)) = first else { continue };
            for name in full.keys() {
                let mut less = full.clone();
                less.remove(name);
                if let Err(error) = bare.render(&Value::Object(less), contract, model)
                    && error.code == "template_undefined"
                {
                    let message =
                        format!("the contract lets this input be absent, but then: {}", error.message);
                    let path = format!("/input/properties/{name}");
                    lints.push(Lint::new(Level::Error, "optional_input_unguarded", message, path));
                }
            }
        }
    }
}

fn lint_parameters(parameters: &Map<String, Value>, at: &str, lints: &mut Vec<Lint>) {
    let ranges: BTreeMap<&str, (f64, f64, bool)> =
        RANGES.into_iter().map(|(name, low, high, whole)| (name, (low, high, whole))).collect();
    for (name, value) in parameters {
        let path = format!("{at}/{name}");
        let lower = name.to_ascii_lowercase().replace('-', "_");
        let secret =
            ["api_key", "apikey", "secret", "password", "authorization", "access_token", "auth_token"];
        if secret.iter().any(|word| lower.contains(word)) {
            let message = "looks like a secret; a version can never be changed, and others may read it";
            lints.push(Lint::new(Level::Error, "parameter_secret", message, path));
            continue;
        }
        let Some((low, high, whole)) = ranges.get(name.as_str()) else { continue };
        match value.as_f64() {
            None if value.is_null() => {}
            None => lints.push(Lint::new(Level::Error, "parameter_type", "not a number", path)),
            Some(number) if *whole && number.fract() != 0.0 => {
                lints.push(Lint::new(Level::Error, "parameter_type", "not a whole number", path));
            }
            Some(number) if !(*low..=*high).contains(&number) => {
                let message = format!("outside of what models accept, {low} to {high}: {number}");
                lints.push(Lint::new(Level::Warning, "parameter_range", message, path));
            }
            Some(_) => {}
        }
    }
}

/// The properties that a schema names for the value itself, through references and combinations. A contract has no
/// cycle on this way.
fn property_names(schema: &Value, root: &Value, names: &mut BTreeSet<String>) {
    let Some(map) = schema.as_object() else { return };
    names.extend(
        map.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name.clone()),
    );
    if let Some(target) = crate::model::contract::resolve(schema, root) {
        property_names(target, root, names);
    }
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let schemas = map.get(keyword).and_then(Value::as_array);
        schemas.into_iter().flatten().for_each(|schema| property_names(schema, root, names));
    }
}
