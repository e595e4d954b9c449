//! Prompt files: chat messages as Jinja templates, few-shot examples, parameters per base model, and optionally
//! the schemas of the contract. Two formats are read, Gradus' own YAML (`file`) and Microsoft's
//! `.prompty`; both become a [`Prompt`].

mod complexity;
mod file;
mod kind;
mod lint;
mod normal;
mod prompty;
#[cfg(test)]
mod prompty_tests;
mod render;
mod template;
#[cfg(test)]
mod tests;

pub use file::schema;
pub(super) use kind::FORMAT;
pub use lint::{Level, Lint};
pub use render::{MAX_INPUT_BYTES, MAX_OUTPUT_BYTES, Message, Rendered};
pub use template::FUEL;

use crate::error::{Error, Result};
use crate::model::contract::Contract;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A prompt file is at most this long in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Messages and examples of one file, and models it has overrides for.
const MAX_ENTRIES: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    Gradus,
    Prompty,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

/// What the model is told about the form of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// The contract's output schema.
    JsonSchema,
    /// Any JSON object; for models that know no schemas.
    JsonObject,
    /// Nothing: free text.
    Text,
}

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Message {
        role: Role,
        name: Option<String>,
        /// A template.
        content: String,
    },
    /// Messages that the caller gives as the value of this input variable.
    Placeholder(String),
}

#[derive(Clone, Debug, PartialEq)]
struct Example {
    input: Value,
    output: Value,
}

/// What one base model, or a family of them, gets instead.
#[derive(Clone, Debug, Default, PartialEq)]
struct Override {
    parameters: Map<String, Value>,
    messages: Option<Vec<Entry>>,
    response_format: Option<ResponseFormat>,
}

/// A prompt file, read and checked. Templates are checked by [`Prompt::variables`] and [`Prompt::lints`].
#[derive(Clone, Debug)]
pub struct Prompt {
    pub format: Format,
    pub description: Option<String>,
    /// The model it renders for unless the caller names one.
    pub model: Option<String>,
    messages: Vec<Entry>,
    examples: Vec<Example>,
    /// Inputs without an expected output.
    samples: Vec<Value>,
    parameters: Map<String, Value>,
    models: BTreeMap<String, Override>,
    input: Option<Value>,
    output: Option<Value>,
    response_format: Option<ResponseFormat>,
    /// What the importer left out, and why.
    notes: Vec<Lint>,
}

/// Recognises a prompt file by its beginning or its name (`*.prompt.yaml`, `*.prompty`). `head` may be cut anywhere.
pub fn sniff(path: &str, head: &[u8]) -> Option<Format> {
    let head = head.get(..head.len().min(64 << 10))?;
    let text = String::from_utf8_lossy(head);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    // In flow style, JSON included, the key may be indented.
    let is_flow = text.trim_start().starts_with('{');
    let marker = |line: &str| {
        let line = if is_flow { line.trim_start_matches(['{', ' ', '\t']) } else { line };
        let key = ["gradus", "\"gradus\"", "'gradus'"].iter().find_map(|key| line.strip_prefix(key));
        let value = key.and_then(|rest| rest.trim_start().strip_prefix(':'));
        value.is_some_and(|value| value.trim().trim_start_matches(['"', '\'']).starts_with("prompt/"))
    };
    let name = path.to_ascii_lowercase();
    let is_ours = [".prompt.yaml", ".prompt.yml", ".prompt.json"].iter().any(|end| name.ends_with(end));
    if is_ours || text.lines().any(marker) {
        return Some(Format::Gradus);
    }
    let named = name.ends_with(".prompty");
    let split =
        prompty::split(text).is_some_and(|(_, body)| body.lines().any(|line| prompty::role(line).is_some()));
    (named || split).then_some(Format::Prompty)
}

/// Reads a prompt file. Errors: `prompt_too_large`, `prompt_invalid` (with the place), `prompt_unsupported` (a
/// feature of `.prompty` that has no equivalent here), and `contract_invalid` for the schemas in it.
pub fn parse(path: &str, bytes: &[u8]) -> Result<Prompt> {
    if bytes.len() > MAX_BYTES {
        let message = format!("prompt file is larger than {MAX_BYTES} bytes: {}", bytes.len());
        return Err(Error::too_large("prompt_too_large", message));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| invalid(format!("prompt file is not UTF-8, at byte: {}", error.valid_up_to())))?;
    if let Some(at) = text.find('\0') {
        return Err(invalid(format!("prompt file contains a NUL character, at byte: {at}")));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let prompt = match sniff(path, bytes) {
        Some(Format::Gradus) => file::read(text)?,
        Some(Format::Prompty) => prompty::read(text)?,
        None => {
            return Err(invalid("not a prompt file")
                .hint("begin it with `gradus: prompt/v1`, or name it *.prompty if it is one"));
        }
    };
    prompt.check()?;
    Ok(prompt)
}

impl Prompt {
    /// What both formats must satisfy.
    fn check(&self) -> Result<()> {
        let lists = self.models.values().filter_map(|model| model.messages.as_ref()).chain([&self.messages]);
        let entries = lists.map(Vec::len).sum::<usize>() + self.examples.len() + self.samples.len();
        if entries > MAX_ENTRIES || self.models.len() > MAX_ENTRIES {
            return Err(invalid(format!("more messages, examples or models than: {MAX_ENTRIES}")));
        }
        if self.message_lists().any(|(_, list)| list.is_empty()) {
            return Err(invalid("prompt has no messages"));
        }
        let maps = self.models.iter().map(|(key, model)| (format!("/models/{key}"), &model.parameters, true));
        for (at, parameters, removes) in maps.chain([(String::new(), &self.parameters, false)]) {
            for (name, value) in parameters {
                let scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
                let list = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(scalar));
                if !(scalar(value) || list(value) || removes && value.is_null()) {
                    return Err(invalid(format!(
                        "parameter is not a scalar or a list of scalars: {at}/parameters/{name}"
                    )));
                }
            }
        }
        let any = || Value::Bool(true);
        Contract::new(self.input.clone().unwrap_or_else(any), self.output.clone().unwrap_or_else(any))?;
        Ok(())
    }

    /// The names that the templates expect, in all messages and for all models. Error: `template_syntax`.
    pub fn variables(&self) -> Result<BTreeSet<String>> {
        let engine = template::Engine::new(self.format);
        let mut names = BTreeSet::new();
        for (at, list) in self.message_lists() {
            for (index, entry) in list.iter().enumerate() {
                match entry {
                    Entry::Placeholder(variable) => drop(names.insert(variable.clone())),
                    Entry::Message { content, .. } => {
                        names.extend(engine.compile(&format!("{at}/{index}"), content)?.variables());
                    }
                }
            }
        }
        Ok(names)
    }

    /// The contract, if the file carries both schemas.
    pub fn contract(&self) -> Option<Contract> {
        // Both were checked when the file was read.
        Contract::new(self.input.clone()?, self.output.clone()?).ok()
    }

    /// The parameters for a model (by default the file's own), overrides applied.
    pub fn parameters_for(&self, model: Option<&str>) -> Map<String, Value> {
        let mut parameters = self.parameters.clone();
        for (name, value) in self.override_for(model).into_iter().flat_map(|model| &model.parameters) {
            match value {
                Value::Null => drop(parameters.remove(name)),
                value => drop(parameters.insert(name.clone(), value.clone())),
            }
        }
        parameters
    }

    /// The one override that speaks of a model: its exact name, else the pattern with the most literal characters.
    fn override_for(&self, model: Option<&str>) -> Option<&Override> {
        let model = model.or(self.model.as_deref())?;
        if let Some(exact) = self.models.get(model) {
            return Some(exact);
        }
        let matching = self.models.iter().filter(|(pattern, _)| glob(pattern, model));
        matching
            .max_by_key(|(pattern, _)| pattern.chars().filter(|c| *c != '*').count())
            .map(|(_, found)| found)
    }

    fn messages_for(&self, model: Option<&str>) -> (&[Entry], String) {
        let model = model.or(self.model.as_deref());
        match self.override_for(model).and_then(|found| found.messages.as_ref()) {
            Some(messages) => (messages, format!("/models/{}/messages", model.unwrap_or_default())),
            None => (&self.messages, "/messages".into()),
        }
    }

    /// Every list of messages in the file, with where it stands.
    fn message_lists(&self) -> impl Iterator<Item = (String, &Vec<Entry>)> {
        let own = std::iter::once(("/messages".to_owned(), &self.messages));
        own.chain(self.models.iter().filter_map(|(key, model)| {
            model.messages.as_ref().map(|list| (format!("/models/{key}/messages"), list))
        }))
    }
}

/// `*` stands for any characters, also none.
fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::invalid("prompt_invalid", message)
}

fn not_yaml(why: String) -> Error {
    invalid(format!("prompt file does not read as YAML of the expected form: {why}"))
}
