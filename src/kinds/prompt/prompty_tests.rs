//! Both layouts of `.prompty`, and what is left out or refused.

use super::*;
use crate::model::contract::Contract;
use serde_json::json;

fn prompty(text: &str) -> Prompt {
    parse("x.prompty", text.as_bytes()).unwrap()
}

fn refused(text: &str) -> crate::error::Error {
    parse("x.prompty", text.as_bytes()).unwrap_err()
}

const FIRST: &str = "---
name: Support
description: Answers
authors: [ann]
model:
  api: chat
  configuration:
    type: azure_openai
    azure_endpoint: ${env:ENDPOINT}
    azure_deployment: gpt-35-turbo
    api_key: ${env:KEY}
  parameters:
    max_tokens: 128
    temperature: 0.2
    seed: ${env:SEED}
    response_format: {type: json_object}
    tools: [{type: function}]
inputs:
  question: {type: string, description: what is asked}
  limit: {type: integer, default: 3}
outputs:
  answer: {type: string}
sample:
  question: why?
template: jinja2
made_up: 1
---

system:
You answer. ![logo](logo.png)

# User:
{{question}}
{% if limit > 2 %}
Briefly.
{% endif %}
";

#[test]
fn the_first_layout() {
    let prompt = prompty(FIRST);
    assert_eq!(prompt.description.as_deref(), Some("Answers"));
    assert_eq!(prompt.model.as_deref(), Some("azure_openai/gpt-35-turbo"));
    assert_eq!(json!(prompt.parameters_for(None)), json!({"max_tokens": 128, "temperature": 0.2}));
    let contract = prompt.contract().unwrap();
    assert_eq!(contract.input["additionalProperties"], false);
    assert_eq!(contract.output["required"], json!(["answer"]));
    let rendered = prompt.render(&json!({"question": "how?"}), &contract, None).unwrap();
    let text: Vec<&str> = rendered.messages.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(text, ["You answer. ![logo](logo.png)", "how?\n\nBriefly.\n"]);
    assert_eq!(rendered.response_format, Some(json!({"type": "json_object"})));
    let notes: Vec<String> =
        prompt.lints(&contract).into_iter().map(|lint| format!("{} {}", lint.code, lint.path)).collect();
    for path in ["/model/configuration", "/model/parameters/seed", "/model/parameters/tools", "/made_up"] {
        assert!(notes.contains(&format!("not_imported {path}")), "{path}: {notes:?}");
    }
    assert_eq!(notes.len(), 4, "{notes:?}");
    let everything = format!("{prompt:?}{rendered:?}");
    assert!(!everything.contains("ENDPOINT") && !everything.contains("KEY"), "{everything}");
}

#[test]
fn the_second_layout() {
    let prompt = prompty(
        "---
name: greeting
model:
  id: gpt-4o-mini
  provider: openai
  apiType: chat
  connection: {kind: key, apiKey: '${env:OPENAI_API_KEY}'}
  options: {temperature: 0.5, maxOutputTokens: 200, stopSequences: [END], additionalProperties: {logprobs: true}}
inputs:
  - {name: name, kind: string, required: true, example: Ann}
  - {name: mood, kind: string, enumValues: [calm, loud], default: calm}
  - {name: chat, kind: thread}
  - {name: tags, kind: array, items: {kind: string}, nullable: true}
outputs:
  - {name: greeting, kind: string}
  - {name: place, kind: object, properties: [{name: city, kind: string}]}
template: {format: {kind: jinja2}, parser: {kind: prompty}}
---
system:
Greet in a {{mood}} way.
{{ chat }}
user[name=\"guest\"]:
I am {{name}}.
",
    );
    assert_eq!(prompt.model.as_deref(), Some("openai/gpt-4o-mini"));
    assert_eq!(
        json!(prompt.parameters_for(None)),
        json!({"temperature": 0.5, "max_tokens": 200, "stop": ["END"], "logprobs": true})
    );
    let contract = prompt.contract().unwrap();
    assert_eq!(contract.input["required"], json!(["name"]));
    assert_eq!(contract.output["properties"]["place"]["properties"]["city"], json!({"type": "string"}));
    let input = json!({"name": "Bo", "chat": [{"role": "user", "content": "hi"}], "tags": null});
    let rendered = prompt.render(&input, &contract, None).unwrap();
    assert_eq!(
        json!(rendered.messages),
        json!([{"role": "system", "content": "Greet in a calm way."}, {"role": "user", "content": "hi"},
            {"role": "user", "content": "I am Bo.", "name": "guest"}])
    );
    assert!(prompt.render(&json!({"name": "Bo", "mood": "shy"}), &contract, None).is_err());
    let codes: Vec<String> = prompt.lints(&contract).into_iter().map(|lint| lint.code).collect();
    assert_eq!(codes, ["not_imported", "input_unused"]);
}

#[test]
fn what_has_no_equivalent_is_refused() {
    for (text, code, reason) in [
        ("---\ntemplate: mustache\n---\nuser:\nx", "prompt_unsupported", "mustache"),
        ("---\ntemplate: {type: mustache}\n---\nuser:\nx", "prompt_unsupported", "mustache"),
        ("---\ntemplate: {format: {kind: mustache}}\n---\nuser:\nx", "prompt_unsupported", "mustache"),
        ("---\ntemplate: {format: handlebars}\n---\nuser:\nx", "prompt_unsupported", "handlebars"),
        ("---\nmodel: {api: completion}\n---\nuser:\nx", "prompt_unsupported", "completion"),
        ("---\nmodel: {apiType: embedding}\n---\nuser:\nx", "prompt_unsupported", "embedding"),
        ("---\ninputs: {a: {kind: hologram}}\n---\nuser:\nx", "prompt_unsupported", "/inputs/a"),
        (
            "---\nname: x\n---\n{% for item in chat %}\n{{item.role}}:\n{{item.content}}\n{% endfor %}\n",
            "prompt_unsupported",
            "item.role",
        ),
        (
            "---\ninputs: [{name: chat, kind: thread}]\n---\nsystem:\nx\n{{chat}}\ny\n",
            "prompt_unsupported",
            "follows",
        ),
        ("---\ninputs: [{kind: string}]\n---\nuser:\nx", "prompt_invalid", "/inputs/0"),
        ("---\ninputs: text\n---\nuser:\nx", "prompt_invalid", "/inputs"),
        ("---\nname: x\nuser:\nx", "prompt_invalid", "closed"),
        ("---\n- a\n---\nuser:\nx", "prompt_invalid", "mapping"),
        ("---\nname: x\nname: y\n---\nuser:\nx", "prompt_invalid", "duplicate"),
        ("---\nname: x\n---\n\n", "prompt_invalid", "no messages"),
    ] {
        let error = refused(text);
        assert_eq!(error.code, code, "{text}: {error:?}");
        assert!(error.message.contains(reason), "{text}: {error:?}");
    }
}

#[test]
fn text_without_a_marker_is_the_systems() {
    let prompt =
        prompty("---\r\nname: x\r\n---\r\nBe kind.\r\nassistant:\r\n\r\nuser:\r\nHi: {{ a }}\r\nnote:\r\n");
    let rendered =
        prompt.render(&json!({"a": 1}), &Contract::new(json!(true), json!(true)).unwrap(), None).unwrap();
    assert_eq!(
        json!(rendered.messages),
        json!([{"role": "system", "content": "Be kind."}, {"role": "assistant", "content": ""}, {"role": "user", "content": "Hi: 1\nnote:"}])
    );
    assert!(prompt.contract().is_none());
}
