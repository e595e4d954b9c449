//! An entry of the log as a CloudEvent 1.0 in JSON (structured mode).

use crate::model::event::{Event, time_text};
use serde_json::{Value, json};

pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// What stands before the kind of an event in its `type`.
pub const TYPE: &str = "dev.gradus.";

/// Names one entry of one registry's log, however often and by whatever way it is sent.
pub fn id(registry: &str, epoch: i64, position: i64) -> String {
    // No dots: what is signed by Standard Webhooks is joined by them.
    format!("{registry}-{epoch}-{position}")
}

/// `source` is the registry: its public URL, or `urn:gradus:ID` where it has none.
pub fn value(event: &Event, source: &str, id: &str) -> Value {
    let kind = event.change.kind();
    let data = serde_json::to_value(&event.change).map(|mut change| change["data"].take());
    let subject = match (event.change.workload(), event.change.namespace()) {
        (Some(workload), _) => workload.to_string(),
        (None, namespace) => namespace.unwrap_or_else(|| "*".to_owned()),
    };
    json!({
        "specversion": "1.0",
        "id": id,
        "source": source,
        "type": format!("{TYPE}{kind}"),
        "subject": subject,
        "time": time_text(&event.at),
        "datacontenttype": "application/json",
        "dataschema": data_schema(kind),
        // The extension `sequence`: sorts as the log does.
        "sequence": format!("{:020}", event.position),
        "actor": event.actor,
        "data": data.unwrap_or_default(),
    })
}

/// What the schema of a kind of event is called (`schemas/events/KIND.schema.json`).
pub fn schema_id(kind: &str) -> String {
    format!("urn:gradus:schema:event:{kind}:1")
}

/// What the schema of a kind's `data` is called: the part of that schema which is about it.
pub fn data_schema(kind: &str) -> String {
    format!("{}#/properties/data", schema_id(kind))
}

/// The schema of the CloudEvents of each kind.
pub fn schemas() -> Vec<(String, Value)> {
    let mut whole = schemars::schema_for!(crate::model::event::Change).to_value();
    let definitions = whole["$defs"].take();
    let variants = whole["oneOf"].as_array().cloned().unwrap_or_default();
    variants.iter().filter_map(|variant| schema(variant, &definitions)).collect()
}

fn schema(variant: &Value, definitions: &Value) -> Option<(String, Value)> {
    let kind = variant["properties"]["kind"]["const"].as_str()?;
    let text = json!({ "type": "string", "minLength": 1 });
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": schema_id(kind),
        "title": format!("{TYPE}{kind}"),
        "type": "object",
        "properties": {
            "specversion": { "const": "1.0" },
            "id": text,
            "source": { "type": "string", "format": "uri-reference", "minLength": 1 },
            "type": { "const": format!("{TYPE}{kind}") },
            "subject": text,
            "time": { "type": "string", "format": "date-time" },
            "datacontenttype": { "const": "application/json" },
            "dataschema": { "const": data_schema(kind) },
            "sequence": { "type": "string", "pattern": "^[0-9]{20}$" },
            "actor": text,
            "data": variant["properties"]["data"],
        },
        "required": ["specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema",
            "sequence", "actor", "data"],
        "additionalProperties": false,
    });
    if let Some(description) = variant["description"].as_str() {
        schema["description"] = description.into();
    }
    let mut used = serde_json::Map::new();
    collect(&schema.clone(), definitions, &mut used);
    if !used.is_empty() {
        schema["$defs"] = used.into();
    }
    Some((kind.to_owned(), schema))
}

/// The definitions that a schema refers to, and those that these refer to.
fn collect(schema: &Value, definitions: &Value, used: &mut serde_json::Map<String, Value>) {
    match schema {
        Value::Object(fields) => {
            if let Some(name) =
                fields.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix("#/$defs/"))
                && !used.contains_key(name)
            {
                let definition = definitions[name].clone();
                used.insert(name.to_owned(), definition.clone());
                collect(&definition, definitions, used);
            }
            fields.values().for_each(|value| collect(value, definitions, used));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, definitions, used)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Change;

    #[test]
    fn an_entry_becomes_a_cloud_event_that_its_schema_takes() {
        let event = Event {
            position: 7,
            at: "2026-01-02T03:04:05Z".parse().unwrap(),
            actor: "ada".parse().unwrap(),
            change: Change::Frozen {
                scope: "acme".into(),
                stage: None,
                freeze: "f".into(),
                until: None,
                reason: "holidays".into(),
            },
        };
        let value = value(&event, "https://models.example.org", &id("0123", 1, 7));
        assert_eq!(value["id"], "0123-1-7");
        assert_eq!(value["type"], "dev.gradus.frozen");
        assert_eq!(value["subject"], "acme");
        assert_eq!(value["sequence"], "00000000000000000007");
        assert_eq!(value["data"]["reason"], "holidays");
        let schemas = schemas();
        assert_eq!(schemas.len(), Change::kinds().count());
        let (_, schema) = schemas.iter().find(|(kind, _)| kind == "frozen").unwrap();
        let validator = jsonschema::draft202012::new(schema).unwrap();
        assert!(validator.is_valid(&value), "{value:#}");
        let mut wrong = value.clone();
        wrong["data"]["scope"] = json!(7);
        assert!(!validator.is_valid(&wrong));
        // `dataschema` names what `data` adheres to.
        let by_name = json!({ "$ref": value["dataschema"] });
        let published = jsonschema::Registry::new().add(schema_id("frozen"), schema.clone()).unwrap();
        let published = published.prepare().unwrap();
        let by_name = jsonschema::options().with_registry(&published).build(&by_name).unwrap();
        assert!(by_name.is_valid(&value["data"]) && !by_name.is_valid(&wrong["data"]));
        assert!(!by_name.is_valid(&value), "the event is no data");
    }
}
