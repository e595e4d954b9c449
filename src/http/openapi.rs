//! The OpenAPI 3.1 description of `/v1`, made from the table of routes. Committed as `schemas/openapi.json`.

use super::routes::{Access, Route, routes};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// The schema of a type, made when the description is.
pub type Schema = fn(&mut SchemaGenerator) -> schemars::Schema;

/// The schema of `T`.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> schemars::Schema {
    generator.subschema_for::<T>()
}

/// The description as pretty JSON with a final newline: the bytes of the committed file.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| format!("{:#}\n", document()))
}

pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    let problem = generator.subschema_for::<crate::wire::Problem>().to_value();
    for route in routes().iter().filter(|route| route.path.starts_with("/v1")) {
        let operation = operation(route, &mut generator, &problem);
        let path = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        path[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let schemas = generator.take_definitions(true);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gradus",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A model-lifecycle registry: prompts, adapters and weights under one contract. Bytes move over the OCI distribution API on /v2.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

fn operation(route: &Route, generator: &mut SchemaGenerator, problem: &Value) -> Value {
    let mut parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|segment| Some(segment.strip_prefix('{')?.strip_suffix('}')?.trim_start_matches('*')))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(route.query.iter().map(|(name, description)| {
        json!({ "name": name, "in": "query", "required": false, "description": description, "schema": { "type": "string" } })
    }));
    let mut operation = json!({
        "operationId": route.operation,
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            "2XX": { "description": "done" },
            "default": {
                "description": "refused or failed",
                "content": { "application/problem+json": { "schema": problem } },
            },
        },
    });
    if route.access == Access::Open {
        operation["security"] = json!([]);
    }
    if let Some(body) = &route.body {
        let schema = body(generator).to_value();
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    if let Some(answer) = &route.answer {
        let schema = answer(generator).to_value();
        operation["responses"]["2XX"]["content"] = json!({ "application/json": { "schema": schema } });
    }
    operation
}
