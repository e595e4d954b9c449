//! From a prompt and an input to the messages that a model gets.

use super::template::{Engine, FUEL, Template, budget};
use super::{Entry, Example, Prompt, ResponseFormat, Role};
use crate::error::{Error, Result};
use crate::model::contract::{Contract, validator};
use crate::model::digest::shorten;
use minijinja::Value as Variable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An input is at most this long in bytes, written as JSON without whitespace.
pub const MAX_INPUT_BYTES: usize = 1 << 20;
/// The contents of all messages together are at most this long in bytes.
pub const MAX_OUTPUT_BYTES: usize = 4 << 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    pub role: Role,
    pub content: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What to send to a model, in the form that chat completion interfaces share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rendered {
    /// The model asked for, or the file's own.
    pub model: Option<String>,
    pub messages: Vec<Message>,
    pub parameters: Map<String, Value>,
    /// `{"type": "json_schema", "json_schema": {"name", "schema"}}`, `{"type": "json_object"}` or null.
    pub response_format: Option<Value>,
}

impl Prompt {
    /// Renders for an input and a model. The input is first checked against the contract (`input_invalid`, with
    /// all reasons in the details; `input_too_large`); top-level properties that are absent take the `default` of
    /// their schema. Text of the input is data: it is never read as a template and cannot begin a message.
    /// The other errors are those of templates: `template_syntax`, `template_undefined`, `template_budget`,
    /// `template_unknown_name`, `template_include`, `template_failed`.
    pub fn render(&self, input: &Value, contract: &Contract, model: Option<&str>) -> Result<Rendered> {
        check(input, contract)?;
        let (entries, place) = self.messages_for(model);
        let places: Vec<String> = (0..entries.len()).map(|index| format!("{place}/{index}")).collect();
        let engine = Engine::new(self.format);
        let mut compiled = Vec::new();
        for (entry, place) in entries.iter().zip(&places) {
            compiled.push(match entry {
                Entry::Message { role, name, content } => {
                    Slot::Message(*role, name.as_deref(), engine.compile(place, content)?)
                }
                Entry::Placeholder(variable) => Slot::Placeholder(variable),
            });
        }
        let mut writer = Writer { messages: Vec::new(), fuel: FUEL, bytes: MAX_OUTPUT_BYTES };
        let opening = compiled
            .iter()
            .take_while(|slot| matches!(slot, Slot::Message(Role::System | Role::Developer, ..)))
            .count();
        let (head, tail) = compiled.split_at(opening);
        let values = with_defaults(input, contract);
        let variables = variables(&values);
        head.iter().try_for_each(|slot| writer.slot(slot, &values, &variables))?;
        writer.examples(&self.examples, &compiled, contract)?;
        tail.iter().try_for_each(|slot| writer.slot(slot, &values, &variables))?;
        Ok(Rendered {
            model: model.or(self.model.as_deref()).map(str::to_owned),
            messages: writer.messages,
            parameters: self.parameters_for(model),
            response_format: self.response_format_for(model, contract),
        })
    }

    fn response_format_for(&self, model: Option<&str>, contract: &Contract) -> Option<Value> {
        let object = contract.output.get("type").and_then(Value::as_str) == Some("object");
        let default = if object { ResponseFormat::JsonSchema } else { ResponseFormat::Text };
        let own = self.override_for(model).and_then(|found| found.response_format);
        match own.or(self.response_format).unwrap_or(default) {
            ResponseFormat::JsonSchema => Some(
                json!({"type": "json_schema", "json_schema": {"name": "output", "schema": contract.output}}),
            ),
            ResponseFormat::JsonObject => Some(json!({"type": "json_object"})),
            ResponseFormat::Text => None,
        }
    }
}

enum Slot<'a> {
    Message(Role, Option<&'a str>, Template<'a>),
    Placeholder(&'a str),
}

/// Collects messages within one budget for all of them.
struct Writer {
    messages: Vec<Message>,
    fuel: u64,
    bytes: usize,
}

impl Writer {
    fn push(&mut self, message: Message, place: &str) -> Result<()> {
        self.bytes = self.bytes.checked_sub(message.content.len()).ok_or_else(|| budget(place))?;
        self.messages.push(message);
        Ok(())
    }

    fn slot(&mut self, slot: &Slot<'_>, values: &Map<String, Value>, variables: &Variable) -> Result<()> {
        match slot {
            Slot::Message(role, name, template) => self.message(*role, *name, template, variables),
            Slot::Placeholder(variable) => self.placeholder(variable, values.get(*variable)),
        }
    }

    fn message(
        &mut self,
        role: Role,
        name: Option<&str>,
        template: &Template<'_>,
        variables: &Variable,
    ) -> Result<()> {
        let (content, spent) = template.render(variables)?;
        self.fuel = self.fuel.checked_sub(spent).ok_or_else(|| budget(template.place()))?;
        self.push(Message { role, content, name: name.map(str::to_owned) }, template.place())
    }

    /// The caller's own messages: a conversation so far, which cannot give orders as the system.
    fn placeholder(&mut self, variable: &str, value: Option<&Value>) -> Result<()> {
        let at = format!("/{variable}");
        for (index, item) in value.and_then(Value::as_array).into_iter().flatten().enumerate() {
            let message: Message = serde_json::from_value(item.clone()).map_err(|error| {
                input_invalid(&format!("{at}/{index}"), &format!("not a message, {error}"))
            })?;
            if matches!(message.role, Role::System | Role::Developer) {
                let reason = "only user, assistant and tool messages can be inserted";
                return Err(input_invalid(&format!("{at}/{index}/role"), reason));
            }
            self.push(message, &at)?;
        }
        match value {
            None | Some(Value::Array(_) | Value::Null) => Ok(()),
            Some(_) => Err(input_invalid(&at, "not a list of messages")),
        }
    }

    fn examples(&mut self, examples: &[Example], slots: &[Slot<'_>], contract: &Contract) -> Result<()> {
        let last = slots.iter().rev().find_map(|slot| match slot {
            Slot::Message(Role::User, name, template) => Some((*name, template)),
            _ => None,
        });
        let Some((name, template)) = last else { return Ok(()) };
        for example in examples {
            let values = with_defaults(&example.input, contract);
            self.message(Role::User, name, template, &variables(&values))?;
            let content = match &example.output {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            self.push(Message { role: Role::Assistant, content, name: None }, "/examples")?;
        }
        Ok(())
    }
}

fn check(input: &Value, contract: &Contract) -> Result<()> {
    let bytes = input.to_string().len();
    if bytes > MAX_INPUT_BYTES {
        let message = format!("input is larger than {MAX_INPUT_BYTES} bytes: {bytes}");
        return Err(Error::too_large("input_too_large", message));
    }
    let violations = validator(&contract.input)?.violations(input);
    if let Some(first) = violations.first() {
        return Err(input_invalid(&first.path, &first.reason).details(json!({"violations": violations})));
    }
    if !input.is_object() {
        return Err(input_invalid("", "not an object; its properties are the variables of the templates"));
    }
    Ok(())
}

fn input_invalid(path: &str, reason: &str) -> Error {
    let place = if path.is_empty() { "the whole input" } else { path };
    Error::invalid(
        "input_invalid",
        format!("input does not satisfy the contract, {}: {place}", shorten(reason)),
    )
    .hint("compare the input with the contract's input schema")
}

/// The input's properties, and the defaults of those that are absent.
fn with_defaults(input: &Value, contract: &Contract) -> Map<String, Value> {
    let mut values = input.as_object().cloned().unwrap_or_default();
    let properties = contract.input.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        if let (false, Some(default)) = (values.contains_key(name), schema.get("default")) {
            values.insert(name.clone(), default.clone());
        }
    }
    values
}

fn variables(values: &Map<String, Value>) -> Variable {
    Variable::from(
        values.iter().map(|(name, value)| (name.clone(), variable(value))).collect::<BTreeMap<_, _>>(),
    )
}

/// Inputs were checked for depth, and files are read with a bound on it.
fn variable(value: &Value) -> Variable {
    match value {
        Value::Null => Variable::from(()),
        Value::Bool(value) => Variable::from(*value),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Variable::from(value),
            (None, Some(value)) => Variable::from(value),
            _ => Variable::from(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Variable::from(text.as_str()),
        Value::Array(items) => items.iter().map(variable).collect(),
        Value::Object(map) => variables(map),
    }
}
