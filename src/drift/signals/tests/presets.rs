use super::super::{Field, Kind, Preset, Role, Roles, Schema, Text, Tier, Value};
use super::LIBRARY;
use serde_json::json;

const LOG: [&str; 16] = [
    "request_id",
    "Prompt",
    "gen_ai.response.model",
    "system_fingerprint",
    "finishReason",
    "latency_ms",
    "cost",
    "tokens_in",
    "tokens_out",
    "completion",
    "tool_calls",
    "judge_score",
    "judge_model",
    "anchor",
    "base_model_digest",
    "embedding",
];

#[test]
fn columns_are_known_by_their_names() {
    for (name, role) in [
        ("INPUT", Role::Input),
        ("user-message", Role::Input),
        ("answer", Role::Output),
        ("gen_ai.usage.output_tokens", Role::Tokens),
        ("stop_reason", Role::FinishReason),
        ("resolvedModel", Role::Model),
        ("is_anchor", Role::Anchor),
        ("beats_base", Role::Win),
    ] {
        assert_eq!(Role::of(name), Some(role), "{name}");
    }
    assert_eq!(
        [Role::of(""), Role::of("created_at"), Role::of("prompts_per_day"), Role::of("模型")],
        [None; 4]
    );
    let roles = Roles::of(LOG, &[("cost", None), ("request_id", Some(Role::Retries))]);
    assert_eq!(roles.unrecognised, ["cost"]);
    assert_eq!(roles.columns.len(), 15);
    assert_eq!(roles.columns[0], ("request_id".to_owned(), Role::Retries));
}

#[test]
fn of_several_columns_the_most_telling_name() {
    let roles = Roles::of(["model", "request", "response_model", "prompt"], &[]);
    assert_eq!(roles.column(Role::Model), Some("response_model"));
    assert_eq!(roles.column(Role::Input), Some("prompt"));
    assert_eq!(roles.column(Role::JudgeScore), None);
}

#[test]
fn a_prompt_is_watched_by_all_that_needs_no_model() {
    let schema = Schema::new(&json!({"type": "object"})).unwrap();
    let fields = vec![(Field::parse("$.category").unwrap(), Kind::Categorical)];
    let library = LIBRARY.clone().with_schema(schema).with_fields(fields);
    let preset = Preset::new(Tier::Prompt, &Roles::of(LOG, &[]), &library);
    let names: Vec<&str> = preset.derived.iter().map(|derived| derived.name.as_str()).collect();
    for name in [
        "Prompt:tokens",
        "Prompt:language",
        "Prompt:pii_any",
        "completion:refusal",
        "completion:schema_violation",
        "completion:compression",
        "completion:$.category",
        "completion:secret_api_key",
        "tool_calls:tool_set",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    assert!(!names.contains(&"Prompt:refusal"));
    let sources: Vec<&str> = preset.derived.iter().map(|derived| derived.source.as_str()).collect();
    assert_eq!(sources.chunk_by(|a, b| a == b).count(), 3);
    let pinned: Vec<&str> =
        preset.plain.iter().filter(|plain| plain.is_pinned).map(|plain| plain.name.as_str()).collect();
    assert_eq!(pinned, ["gen_ai.response.model", "system_fingerprint", "finishReason", "judge_model"]);
    assert_eq!(preset.unrecognised, ["request_id", "base_model_digest", "embedding"]);
    assert_eq!(preset.absent, [Role::Context, Role::Retries]);
    let versions: Vec<&str> =
        preset.versions().iter().map(|version| version.split(' ').next().unwrap()).collect();
    assert_eq!(versions, ["hedging", "languages", "patterns", "refusal", "schema"]);
}

#[test]
fn an_adapter_is_watched_beside_its_base_and_weights_with_vectors() {
    let digest = "sha256:AB12";
    let library = LIBRARY.clone().with_base(digest);
    let columns = ["output", "base_digest", "win", "embedding"];
    let adapter = Preset::new(Tier::Adapter, &Roles::of(columns, &[]), &library);
    let derived = |name: &str| {
        let found = adapter.derived.iter().find(|derived| derived.name == name).unwrap();
        found.signal.clone()
    };
    for (signal, text, value) in [
        ("base_digest:base_mismatch", "sha256:ab12", Value::Boolean(false)),
        ("base_digest:base_mismatch", "AB12", Value::Boolean(false)),
        ("base_digest:base_mismatch", "sha256:ab13", Value::Boolean(true)),
        ("base_digest:base_mismatch", " ", Value::Missing),
        ("win:win", "Win", Value::Number(1.0)),
        ("win:win", "tie", Value::Number(0.5)),
        ("win:win", "false", Value::Number(0.0)),
        ("win:win", "", Value::Missing),
        ("win:win", "perhaps", Value::Other),
    ] {
        assert_eq!(derived(signal).of(&Text::new(text)), value, "{signal} {text}");
    }
    assert!(adapter.vectors.is_empty() && adapter.unrecognised == ["embedding"]);
    assert!(adapter.plain.iter().any(|plain| plain.name == "base_digest" && plain.is_pinned));
    let weights = Preset::new(Tier::Weights, &Roles::of(columns, &[]), &library);
    assert_eq!((weights.vectors, weights.unrecognised.len()), (vec!["embedding".to_owned()], 2));
}

#[test]
fn tables_without_anything_known() {
    let preset = Preset::new(Tier::Prompt, &Roles::of(["x", "y"], &[]), &LIBRARY);
    assert!(preset.derived.is_empty() && preset.plain.is_empty() && preset.versions().is_empty());
    assert_eq!((preset.unrecognised.len(), preset.absent.len()), (2, 14));
}
