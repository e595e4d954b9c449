//! Gradus' own prompt format, `gradus: prompt/v1`. The types below are its definition: the published JSON Schema
//! is derived from them, so their documentation is written for authors of prompt files.

use super::{Entry, Example, Format, Override, Prompt, ResponseFormat, Role, invalid, not_yaml};
use crate::error::Result;
use crate::model::yaml;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A prompt: chat messages as Jinja templates, with few-shot examples and parameters, for one or several models.
///
/// Templates see the properties of the input as variables. `{{ x | tojson }}` writes a value as JSON. A variable
/// that is not given is an error: write `{% if x is defined %}` or `{{ x | default("…") }}` for optional ones, or
/// give the property a `default` in the input schema. A line that holds only a `{% … %}` tag leaves no line
/// behind, and one newline at the end of a content is dropped. Text is joined with `~`; there is no `+`, no `*`,
/// no mapping or tuple, and lists hold constants only, so that no template can make more than it was given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Gradus prompt file")]
struct File {
    #[expect(dead_code, reason = "checked by reading it; there is one version")]
    gradus: Version,
    /// What the prompt is for, for people.
    #[serde(default)]
    description: Option<String>,
    /// The model to render for when the caller names none.
    #[serde(default)]
    model: Option<String>,
    /// The conversation, in order.
    messages: Vec<MessageEntry>,
    /// Few-shot examples. Each becomes two messages: the last user message of the prompt rendered with the
    /// example's input, and an assistant message with its output (text as it is, anything else as JSON). They
    /// stand after the system and developer messages that open the conversation.
    #[serde(default)]
    examples: Vec<ExampleEntry>,
    /// Model parameters, such as temperature or max_tokens: scalars or lists of scalars, passed on as they are.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// What is different for certain models. A key is a model's name or a pattern in which `*` stands for any
    /// characters; one key applies: the exact name, else the pattern with the most literal characters.
    #[serde(default)]
    models: BTreeMap<String, ModelEntry>,
    /// JSON Schema (2020-12) of the input: an object whose properties are the variables of the templates. Best
    /// closed with `additionalProperties: false`, so that later versions may accept more.
    #[serde(default)]
    #[schemars(with = "Option<Schema>")]
    input: Option<Value>,
    /// JSON Schema (2020-12) of the output. Best left open, so that later versions may promise more.
    #[serde(default)]
    #[schemars(with = "Option<Schema>")]
    output: Option<Value>,
    /// What the model is told about its answer. By default the output schema if that describes an object,
    /// otherwise nothing.
    #[serde(default)]
    response_format: Option<ResponseFormat>,
}

#[derive(Deserialize, JsonSchema)]
enum Version {
    #[serde(rename = "prompt/v1")]
    V1,
}

/// A JSON Schema.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum Schema {
    Object(Map<String, Value>),
    Boolean(bool),
}

/// Either a message (`role` and `content`), or a `placeholder`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MessageEntry {
    #[serde(default)]
    role: Option<Role>,
    /// A name for the speaker, where the model's interface has one.
    #[serde(default)]
    name: Option<String>,
    /// A Jinja template.
    #[serde(default)]
    content: Option<String>,
    /// The input variable whose value, a list of messages with role (user, assistant or tool) and content, is
    /// inserted here as it is. Nothing is inserted if it is not given.
    #[serde(default)]
    placeholder: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ExampleEntry {
    /// Valid under the input schema.
    input: Map<String, Value>,
    /// Valid under the output schema; or text that is, read as JSON.
    output: Value,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ModelEntry {
    /// Laid over the parameters above, one by one; null removes one.
    #[serde(default)]
    parameters: Map<String, Value>,
    /// Replaces all messages.
    #[serde(default)]
    messages: Option<Vec<MessageEntry>>,
    #[serde(default)]
    response_format: Option<ResponseFormat>,
}

/// The JSON Schema of the format, as published in `schemas/prompt.schema.json`.
pub fn schema() -> Value {
    schemars::schema_for!(File).to_value()
}

pub(super) fn read(text: &str) -> Result<Prompt> {
    let file: File = yaml::read_into(text).map_err(not_yaml)?;
    let mut models = BTreeMap::new();
    for (key, model) in file.models {
        if key.is_empty() || key.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(invalid("key under models is not a model name or pattern"));
        }
        let at = format!("/models/{key}/messages");
        let messages = model.messages.map(|list| entries(list, &at)).transpose()?;
        let found =
            Override { parameters: model.parameters, messages, response_format: model.response_format };
        models.insert(key, found);
    }
    let example = |entry: ExampleEntry| Example { input: Value::Object(entry.input), output: entry.output };
    Ok(Prompt {
        format: Format::Gradus,
        description: file.description,
        model: file.model,
        messages: entries(file.messages, "/messages")?,
        examples: file.examples.into_iter().map(example).collect(),
        samples: Vec::new(),
        parameters: file.parameters,
        models,
        input: file.input,
        output: file.output,
        response_format: file.response_format,
        notes: Vec::new(),
    })
}

fn entries(list: Vec<MessageEntry>, at: &str) -> Result<Vec<Entry>> {
    let entry = |(index, entry): (usize, MessageEntry)| match entry {
        MessageEntry { role: Some(role), name, content: Some(content), placeholder: None } => {
            Ok(Entry::Message { role, name, content })
        }
        MessageEntry { role: None, name: None, content: None, placeholder: Some(variable) } => {
            Ok(Entry::Placeholder(variable))
        }
        _ => Err(invalid(format!("message needs role and content, or only a placeholder: {at}/{index}"))),
    };
    list.into_iter().enumerate().map(entry).collect()
}
