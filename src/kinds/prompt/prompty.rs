//! Microsoft's `.prompty` files, both layouts: YAML between `---` lines, then a body in which lines such as
//! `system:` begin a message.
//!
//! The reference implementation renders the whole body and then looks for those lines, so text of an input can
//! begin a message of its own. Here the body is split first and each message is rendered by itself; bodies that
//! rely on the other order (a role that comes from a variable) are refused. Nothing is read from the environment
//! or from files: `${env:…}` and `${file:…}` are left out, as is all of the connection, and noted.

use super::lint::{Level, Lint};
use super::{Entry, Format, Prompt, ResponseFormat, Role, invalid, not_yaml};
use crate::error::{Error, Result};
use crate::model::{digest::shorten, yaml};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Front matter and body, if the text begins with a `---` line and has a second one.
pub(super) fn split(text: &str) -> Option<(&str, &str)> {
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| line.trim_end() == "---")?;
    let mut end = first.len();
    for line in lines {
        if line.trim_end() == "---" {
            return Some((text.get(first.len()..end)?, text.get(end + line.len()..)?));
        }
        end += line.len();
    }
    None
}

/// Role and name, if the line is a role marker: `user:`, `# User :` or `user[name="Ann"]:`.
pub(super) fn role(line: &str) -> Option<(Role, Option<String>)> {
    let line = line.trim().strip_suffix(':')?.trim_end();
    let line = line.strip_prefix('#').unwrap_or(line).trim_start();
    let (word, attributes) = match line.split_once('[') {
        Some((word, rest)) => (word, Some(rest.strip_suffix(']')?)),
        None => (line, None),
    };
    let role = match word.to_ascii_lowercase().as_str() {
        "system" => Role::System,
        "developer" => Role::Developer,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        _ => return None,
    };
    let mut name = None;
    for attribute in attributes.into_iter().flat_map(|text| text.split(',')) {
        let (key, value) = attribute.split_once('=')?;
        if key.trim() == "name" {
            name = Some(value.trim().trim_matches('"').to_owned());
        }
    }
    Some((role, name))
}

pub(super) fn read(text: &str) -> Result<Prompt> {
    let (front, body) = match split(text) {
        Some((front, body)) => (yaml::read(front).map_err(not_yaml)?, body),
        None if text.starts_with("---") => {
            return Err(invalid("front matter is not closed by a line of three dashes"));
        }
        None => (Value::Null, text),
    };
    let front = match front {
        Value::Object(map) => map,
        Value::Null => Map::new(),
        _ => return Err(invalid("front matter is not a mapping")),
    };
    let mut import = Import { notes: Vec::new() };
    import.read(&front, body)
}

struct Import {
    notes: Vec<Lint>,
}

fn unsupported(message: impl Into<String>) -> Error {
    Error::invalid("prompt_unsupported", message)
        .hint("write the prompt in Gradus' own format, gradus: prompt/v1")
}

fn refers(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("${"),
        Value::Array(items) => items.iter().any(refers),
        Value::Object(map) => map.values().any(refers),
        _ => false,
    }
}

impl Import {
    fn note(&mut self, path: &str, message: impl Into<String>) {
        self.notes.push(Lint::new(Level::Note, "not_imported", message, path));
    }

    /// The value, unless it refers to something outside the file.
    fn plain(&mut self, value: Option<&Value>, path: &str) -> Option<Value> {
        let value = value?;
        if refers(value) {
            self.note(path, "refers to the environment or a file, and is left out");
            return None;
        }
        Some(value.clone())
    }

    fn read(&mut self, front: &Map<String, Value>, body: &str) -> Result<Prompt> {
        const READ: [&str; 11] = [
            "name",
            "displayName",
            "description",
            "model",
            "inputs",
            "inputSchema",
            "outputs",
            "outputSchema",
            "sample",
            "template",
            "instructions",
        ];
        const ABOUT: [&str; 6] = ["authors", "tags", "version", "metadata", "kind", "$schema"];
        for key in front.keys().filter(|key| !READ.contains(&key.as_str()) && !ABOUT.contains(&key.as_str()))
        {
            self.note(&format!("/{key}"), "not part of a prompt here, and left out");
        }
        check_template(front.get("template"))?;
        let inputs = self.properties(front, ["inputs", "inputSchema"])?;
        let outputs = self.properties(front, ["outputs", "outputSchema"])?;
        let mut sample = Map::new();
        for property in &inputs {
            let example = property.example.clone();
            sample.extend(example.map(|example| (property.name.clone(), example)));
        }
        match self.plain(front.get("sample"), "/sample") {
            Some(Value::Object(map)) => sample.extend(map),
            Some(_) => self.note("/sample", "names a file, and is left out"),
            None => {}
        }
        let threads: Vec<&str> =
            inputs.iter().filter(|input| input.thread).map(|input| input.name.as_str()).collect();
        let messages = messages(body, &threads)?;
        let mut parameters = Map::new();
        let (model, asked) = self.model(front.get("model"), &mut parameters)?;
        let input = (!inputs.is_empty()).then(|| object(&inputs, false));
        let output = (!outputs.is_empty()).then(|| object(&outputs, true));
        Ok(Prompt {
            format: Format::Prompty,
            description: front.get("description").and_then(Value::as_str).map(str::to_owned),
            model,
            messages,
            examples: Vec::new(),
            samples: if sample.is_empty() { Vec::new() } else { vec![Value::Object(sample)] },
            parameters,
            models: BTreeMap::new(),
            input,
            output,
            response_format: asked,
            notes: std::mem::take(&mut self.notes),
        })
    }

    /// The model's name, and the response format that the parameters ask for.
    fn model(
        &mut self,
        model: Option<&Value>,
        parameters: &mut Map<String, Value>,
    ) -> Result<(Option<String>, Option<ResponseFormat>)> {
        let model = match model {
            Some(Value::String(id)) => {
                return Ok((self.plain(Some(&json!(id)), "/model").map(|_| id.clone()), None));
            }
            Some(Value::Object(model)) => model,
            _ => return Ok((None, None)),
        };
        let api = model.get("apiType").or(model.get("api")).and_then(Value::as_str).unwrap_or("chat");
        if !matches!(api, "chat" | "responses" | "agent") {
            return Err(unsupported(format!("model interface is not chat: {}", shorten(api))));
        }
        let empty = Map::new();
        let block = |key: &str| model.get(key).and_then(Value::as_object).unwrap_or(&empty);
        let (configuration, options) = (block("configuration"), block("options"));
        for key in ["configuration", "connection"] {
            if model.contains_key(key) {
                self.note(
                    &format!("/model/{key}"),
                    "how to reach the model is not part of a prompt, and is left out",
                );
            }
        }
        let named = [
            model.get("id"),
            configuration.get("name"),
            configuration.get("model"),
            configuration.get("azure_deployment"),
        ];
        let id = named.into_iter().flatten().find(|value| !refers(value)).and_then(Value::as_str);
        let provider = model.get("provider").or(configuration.get("type")).filter(|value| !refers(value));
        let id = id.map(|id| match provider.and_then(Value::as_str) {
            Some(provider) if !id.contains('/') => format!("{provider}/{id}"),
            _ => id.to_owned(),
        });
        let more = options.get("additionalProperties").and_then(Value::as_object).unwrap_or(&empty);
        let mut asked = None;
        for (place, block) in [
            ("parameters", block("parameters")),
            ("options", options),
            ("options/additionalProperties", more),
        ] {
            for (name, value) in block.iter().filter(|(name, _)| *name != "additionalProperties") {
                let at = format!("/model/{place}/{name}");
                if name == "response_format" {
                    asked = match value.get("type").and_then(Value::as_str) {
                        Some("json_object") => Some(ResponseFormat::JsonObject),
                        Some("text") => Some(ResponseFormat::Text),
                        _ => asked,
                    };
                    continue;
                }
                let nested = value.is_object()
                    || value.is_null()
                    || value.as_array().is_some_and(|items| {
                        items.iter().any(|item| item.is_object() || item.is_array() || item.is_null())
                    });
                if nested {
                    self.note(&at, "not a scalar or a list of scalars, and left out");
                } else if let Some(value) = self.plain(Some(value), &at) {
                    parameters.insert(parameter_name(name).to_owned(), value);
                }
            }
        }
        Ok((id, asked))
    }

    /// Reads `inputs` or `outputs`: a mapping by name, a list with names, or either under `properties`.
    fn properties(&mut self, front: &Map<String, Value>, keys: [&str; 2]) -> Result<Vec<Property>> {
        let Some((key, value)) = keys.iter().find_map(|key| front.get(*key).map(|value| (*key, value)))
        else {
            return Ok(Vec::new());
        };
        let at = format!("/{key}");
        let value =
            value.get("properties").filter(|inner| inner.is_object() || inner.is_array()).unwrap_or(value);
        let mut found = Vec::new();
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    let mut property = self.property(name, value, &format!("{at}/{name}"))?;
                    // The first layout has no word for it: what has no default must be given.
                    let says = ["required", "default"].iter().any(|key| value.get(key).is_some());
                    property.required |= !says && !property.thread;
                    found.push(property);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let at = format!("{at}/{index}");
                    let name = item.get("name").and_then(Value::as_str);
                    let name = name.ok_or_else(|| invalid(format!("has no name: {at}")))?;
                    found.push(self.property(name, item, &at)?);
                }
            }
            Value::Null => {}
            _ => return Err(invalid(format!("not a mapping or a list: {at}"))),
        }
        Ok(found)
    }

    fn property(&mut self, name: &str, value: &Value, at: &str) -> Result<Property> {
        let name = name.to_owned();
        let Value::Object(map) = value else {
            // The short form: an example value.
            let example = self.plain(Some(value), at);
            let schema = json!({"type": type_of(value)});
            return Ok(Property { name, schema, required: false, thread: false, example });
        };
        let kind = map.get("kind").or(map.get("type")).and_then(Value::as_str).unwrap_or("any");
        let mut schema = self.kind(kind, map, at)?;
        if let (Some(values), Some(schema)) =
            (map.get("enumValues").or(map.get("enum")), schema.as_object_mut())
        {
            schema.insert("enum".into(), values.clone());
        }
        if map.get("nullable") == Some(&Value::Bool(true)) {
            schema = json!({"anyOf": [schema, {"type": "null"}]});
        }
        for key in ["description", "default"] {
            let found = self.plain(map.get(key), &format!("{at}/{key}"));
            if let (Some(found), Some(schema)) = (found, schema.as_object_mut()) {
                schema.insert(key.into(), found);
            }
        }
        let example = map.get("example").or(map.get("sample"));
        Ok(Property {
            name,
            schema,
            required: map.get("required").and_then(Value::as_bool).unwrap_or(false),
            thread: kind == "thread",
            example: self.plain(example, &format!("{at}/example")),
        })
    }

    fn kind(&mut self, kind: &str, map: &Map<String, Value>, at: &str) -> Result<Value> {
        Ok(match kind {
            "string" | "boolean" | "integer" | "number" => json!({"type": kind}),
            "float" => json!({"type": "number"}),
            "any" => json!({}),
            "thread" => {
                json!({"type": "array", "items": {"type": "object", "required": ["role", "content"]}})
            }
            "array" | "list" => match map.get("items") {
                Some(items) => {
                    json!({"type": "array", "items": self.property("items", items, &format!("{at}/items"))?.schema})
                }
                None => json!({"type": "array"}),
            },
            "object" => {
                let inner = self.properties(map, ["properties", "properties"])?;
                if inner.is_empty() { json!({"type": "object"}) } else { object(&inner, true) }
            }
            "image" | "file" | "audio" => {
                self.note(at, format!("of kind {kind}, which is passed on as text"));
                json!({"type": "string"})
            }
            other => {
                return Err(unsupported(format!("kind of value is not known, {}: {at}", shorten(other))));
            }
        })
    }
}

struct Property {
    name: String,
    schema: Value,
    required: bool,
    thread: bool,
    example: Option<Value>,
}

/// Outputs are open, with all properties; inputs are closed, with those marked as required.
fn object(properties: &[Property], output: bool) -> Value {
    let map: Map<String, Value> =
        properties.iter().map(|one| (one.name.clone(), one.schema.clone())).collect();
    let required: Vec<&str> =
        properties.iter().filter(|one| output || one.required).map(|one| one.name.as_str()).collect();
    json!({"type": "object", "properties": map, "required": required, "additionalProperties": output})
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The second layout's names, as the interfaces themselves call them.
fn parameter_name(name: &str) -> &str {
    match name {
        "maxOutputTokens" => "max_tokens",
        "topP" => "top_p",
        "topK" => "top_k",
        "frequencyPenalty" => "frequency_penalty",
        "presencePenalty" => "presence_penalty",
        "reasoningEffort" => "reasoning_effort",
        "stopSequences" => "stop",
        "allowMultipleToolCalls" => "parallel_tool_calls",
        other => other,
    }
}

/// `template: jinja2`, `{type: jinja2}`, or `{format: {kind: jinja2}}` where the kind may stand alone.
fn check_template(template: Option<&Value>) -> Result<()> {
    let Some(template) = template else { return Ok(()) };
    let format = template.get("format").or(template.get("type")).unwrap_or(template);
    match format.get("kind").unwrap_or(format).as_str() {
        None | Some("jinja2" | "jinja") => Ok(()),
        Some(other) => Err(unsupported(format!("template language is not jinja2: {}", shorten(other)))),
    }
}

/// Splits the body into messages, before anything is rendered. Text before the first marker is the system's.
fn messages(body: &str, threads: &[&str]) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut open = Some((Role::System, None));
    let mut lines: Vec<&str> = Vec::new();
    let close = |open: &mut Option<(Role, Option<String>)>,
                 lines: &mut Vec<&str>,
                 marked: bool,
                 entries: &mut Vec<Entry>| {
        let content = lines.join("\n").trim_matches(['\n', '\r']).to_owned();
        lines.clear();
        match open.take() {
            Some((role, name)) if marked || !content.trim().is_empty() => {
                entries.push(Entry::Message { role, name, content })
            }
            None if !content.trim().is_empty() => {
                return Err(unsupported("text follows an inserted conversation without a role of its own"));
            }
            _ => {}
        }
        Ok(())
    };
    let mut marked = false;
    for line in body.lines() {
        let variable = line.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).map(str::trim);
        if let Some(next) = role(line) {
            close(&mut open, &mut lines, marked, &mut entries)?;
            (open, marked) = (Some(next), true);
        } else if let Some(name) = variable.filter(|name| threads.contains(name)) {
            close(&mut open, &mut lines, false, &mut entries)?;
            entries.push(Entry::Placeholder(name.to_owned()));
            marked = false;
        } else if line.contains("{{") && line.contains("role") && line.trim_end().ends_with(':') {
            return Err(unsupported(format!("role of a message comes from a variable: {}", shorten(line.trim())))
                .hint("declare the conversation as an input of kind thread, and write {{name}} on a line of its own"));
        } else {
            lines.push(line);
        }
    }
    close(&mut open, &mut lines, marked, &mut entries)?;
    Ok(entries)
}
