//! The published schemas are the types. `UPDATE_SCHEMAS=1 cargo test schemas` writes them anew.

use crate::harness::{Env, backends, files, monitor};
use gradus::{
    evidence, gates::Policy, http::routes, kinds::Inspection, model::event::Event,
    model::resolution::Resolution,
};
use serde_json::{Value, json};
use std::path::Path;

fn check(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    if std::env::var("UPDATE_SCHEMAS").is_ok() {
        std::fs::write(&file, text).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "schemas/{name} is not what the types say; run: UPDATE_SCHEMAS=1 cargo test schemas"
    );
}

fn schema<T: schemars::JsonSchema>() -> String {
    format!("{:#}\n", schemars::schema_for!(T).to_value())
}

#[test]
fn published_schemas_are_the_types() {
    check("openapi.json", &format!("{:#}\n", gradus::http::openapi()));
    check("resolution.schema.json", &schema::<Resolution>());
    check("event.schema.json", &schema::<Event>());
    for (kind, schema) in gradus::hooks::cloud_event::schemas() {
        check(&format!("events/{kind}.schema.json"), &format!("{schema:#}\n"));
    }
    check("backup-line.schema.json", &schema::<gradus::model::backup::Line>());
    check("inspection.schema.json", &schema::<Inspection>());
    check("policy.schema.json", &schema::<Policy>());
    check("evaluation.schema.json", &format!("{:#}\n", evidence::evaluation::schema()));
    check("scan.schema.json", &format!("{:#}\n", evidence::scan::schema()));
    check("model-card.schema.json", &format!("{:#}\n", evidence::model_card::schema()));
    check(
        "drift-profile.schema.json",
        &format!("{:#}\n", gradus::drift::profile::Profile::schema().to_value()),
    );
    check("drift-report.schema.json", &format!("{:#}\n", gradus::check::Report::schema().to_value()));
}

fn committed(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

/// Whether a document is as a published schema says.
pub fn assert_published(name: &str, value: &Value) {
    assert_satisfies(&committed(name), value, name);
}

fn assert_satisfies(schema: &Value, value: &Value, what: &str) {
    let validator = jsonschema::draft202012::new(schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{value:#}");
}

/// The schema of a route's answer, with the definitions it refers to.
fn answer_schema(openapi: &Value, path: &str, method: &str) -> Value {
    let answers = &openapi["paths"][path][method]["responses"]["2XX"]["content"]["application/json"];
    let mut schema = answers["schema"].clone();
    assert!(schema.is_object(), "{method} {path}");
    schema["components"] = openapi["components"].clone();
    schema
}

#[test]
fn the_description_is_whole() {
    let openapi = committed("openapi.json");
    let text = openapi.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(openapi.pointer(pointer).is_some(), "{reference}");
    }
    let mut operations = Vec::new();
    for route in routes().iter().filter(|route| route.path.starts_with("/v1")) {
        let operation =
            &openapi["paths"][route.path.replace("{*", "{")][route.method.as_str().to_ascii_lowercase()];
        assert_eq!(operation["operationId"], route.operation, "{} {}", route.method, route.path);
        assert_eq!(operation["requestBody"].is_object(), route.body.is_some(), "{}", route.path);
        let parameters = operation["parameters"].as_array().unwrap();
        assert_eq!(parameters.len(), route.path.matches('{').count() + route.query.len(), "{}", route.path);
        assert!(
            operation["responses"]["default"]["content"]["application/problem+json"]["schema"].is_object()
        );
        operations.push(route.operation);
    }
    let all = operations.len();
    operations.sort_unstable();
    operations.dedup();
    assert_eq!(operations.len(), all, "operation ids are unique");
}

const WORKLOAD: &str = "acme/ticket-triage";

async fn push(env: &Env, paths: &[&str], more: Value) -> Value {
    let mut uploaded = Vec::new();
    for path in paths {
        let name = path.rsplit('/').next().unwrap();
        uploaded.push(files::upload(env, WORKLOAD, name, &files::read(path)).await);
    }
    files::push(env, WORKLOAD, uploaded, more).await.value()
}

backends! {
    async fn every_answer_satisfies_what_is_published(env: Env) {
        let openapi = committed("openapi.json");
        let served = env.get("/v1/openapi.json").anonymous().expect(200).await.value();
        assert!(served == openapi, "schemas/openapi.json is not what is served; write it anew with UPDATE_SCHEMAS=1");
        let (resolution, event, inspection) =
            (committed("resolution.schema.json"), committed("event.schema.json"), committed("inspection.schema.json"));
        env.namespace("acme").await;
        let dataset = json!([{ "name": "triage-train.jsonl", "digest": format!("sha256:{}", "7".repeat(64)) }]);
        for (paths, more, tier) in [
            (vec!["prompts/triage-1.prompt.yaml"], json!({ "contract": files::contract() }), "prompt"),
            (vec!["lora/adapter_config.json", "lora/adapter_model.safetensors"], json!({ "base": "hf:org/model@abc", "datasets": dataset }), "adapter"),
            (vec!["finetune/finetune.yaml"], json!({}), "adapter"),
            (vec!["model/config.json", "model/model.safetensors", "model/tokenizer.json"], json!({}), "weights"),
            (vec!["model/tokenizer.json"], json!({}), "weights"),
        ] {
            let pushed = push(&env, &paths, more).await;
            assert_eq!(pushed["version"]["tier"], tier, "{pushed}");
            let at = "/v1/workloads/{namespace}/{name}/versions";
            assert_satisfies(&answer_schema(&openapi, at, "post"), &pushed, tier);
            assert_satisfies(&inspection, &pushed["inspection"], tier);
            let version = pushed["version"]["version"].as_str().unwrap();
            let resolved = env.get(&format!("/v1/workloads/{WORKLOAD}/resolve/{version}")).expect(200).await.value();
            assert_satisfies(&resolution, &resolved, tier);
        }
        env.call("PUT", &format!("/v1/workloads/{WORKLOAD}/aliases/champion")).json(json!({ "to": "latest" })).expect(200).await;
        env.call("POST", &format!("/v1/workloads/{WORKLOAD}/versions/1.0.0/yank")).json(json!({ "reason": "r" })).expect(204).await;
        let yanked = env.get(&format!("/v1/workloads/{WORKLOAD}/resolve/1.0.0")).expect(200).await.value();
        assert_satisfies(&resolution, &yanked, "yanked");
        let rendered = json!({ "input": { "subject": "s", "body": "b" } });
        let rendered = env.call("POST", &format!("/v1/workloads/{WORKLOAD}/render/champion")).json(rendered).expect(200).await.value();
        assert_satisfies(&answer_schema(&openapi, "/v1/workloads/{namespace}/{name}/render/{tag}", "post"), &rendered, "render");

        let promoted = env.call("POST", &format!("/v1/workloads/{WORKLOAD}/stages/production/promote"));
        let promoted = promoted.json(json!({ "version": "1.0.0" })).expect(409).await;
        assert_eq!(promoted.code(), "version_yanked");
        push(&env, &["prompts/triage-2.prompt.yaml"], json!({})).await;
        let hook = json!({ "scope": "acme", "on": "*", "url": "https://1.1.1.1/" });
        let hook = env.call("POST", "/v1/hooks").json(hook).expect(201).await.value();
        assert_satisfies(&answer_schema(&openapi, "/v1/hooks", "post"), &hook, "hook");
        let hook = hook["id"].as_str().unwrap();
        let promoted = env.call("POST", &format!("/v1/workloads/{WORKLOAD}/stages/production/promote"));
        let promoted = promoted.json(json!({ "version": "1.0.5" })).expect(200).await.value();
        assert_eq!(promoted["state"], "promoted", "{promoted}");
        let promotion = promoted["id"].as_str().unwrap();
        let (namespace, name) = WORKLOAD.split_once('/').unwrap();
        let run = monitor::asked(&env, WORKLOAD).await;
        env.call("PUT", "/v1/namespaces/acme/retention").json(json!({ "older_than_days": 90, "keep_newest": 10 })).expect(200).await;
        for route in routes().into_iter().filter(|route| route.method == "GET" && route.path.starts_with("/v1") && route.answer.is_some()) {
            let path = match route.operation {
                "promotion_show" => format!("/v1/workloads/{WORKLOAD}/promotions/{promotion}"),
                "hook_show" => format!("/v1/hooks/{hook}"),
                "hook_deliveries" => format!("/v1/hooks/{hook}/deliveries"),
                "hook_delivery" => format!("/v1/hooks/{hook}/deliveries/{}", promoted["position"]),
                "audit_proof" => "/v1/log/proof/1".to_owned(),
                "workload_proof" => format!("/v1/workloads/{WORKLOAD}/proof/{}", promoted["position"]),
                "audit_consistency" => "/v1/log/consistency?from=1&to=3".to_owned(),
                "diff" => format!("/v1/diff?from={WORKLOAD}:1.0.0&to={WORKLOAD}:1.0.3"),
                "find" => "/v1/find?base=hf:org/model".to_owned(),
                "lineage_of" => "/v1/lineage?base=hf:org/model".to_owned(),
                _ => route.path.replace("{namespace}", namespace).replace("{name}", name).replace("{tag}", "champion").replace("{stage}", "production").replace("{monitor}", "nightly").replace("{run}", &run),
            };
            let answer = env.get(&path).expect(200).await.value();
            assert_satisfies(&answer_schema(&openapi, route.path, "get"), &answer, &path);
        }
        for one in env.get("/v1/events").expect(200).await.value()["items"].as_array().unwrap() {
            assert_satisfies(&event, one, "event");
        }
        let mut problem = openapi["components"]["schemas"]["Problem"].clone();
        problem["components"] = openapi["components"].clone();
        for refused in [env.get("/v1/nothing").send().await, env.get("/v1/whoami").anonymous().send().await] {
            assert_satisfies(&problem, &refused.value(), "problem");
        }
    }
}
