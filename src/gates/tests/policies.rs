//! Policies as files: the built-in ones, and what is refused.

use super::*;
use crate::model::kind::Tier;
use serde_json::{Value, json};

fn level(text: &str) -> Level {
    Level {
        scope: "*".into(),
        digest: Digest::sha256(text.as_bytes()),
        policy: Policy::parse(text.as_bytes()).unwrap().into(),
    }
}

#[test]
fn the_built_in_policies_are_whole() {
    for (name, text) in BUILT_IN {
        Policy::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
    Effective::merge(&[]).unwrap().check().unwrap();
    let solo = Effective::merge(&[level(BUILT_IN[1].1)]).unwrap();
    solo.check().unwrap();
    for tier in Tier::ALL {
        for stage in ["dev", "staging", "production"] {
            let rules = solo.rules(tier, &super::stage(stage)).unwrap();
            let asks = rules.rule.gates.iter().any(|gate| gate.definition.name == "approvals");
            assert!(!asks, "solo asks somebody else for {tier} in {stage}");
        }
    }
}

#[test]
fn written_and_read_again_a_policy_is_the_same() {
    for (name, text) in BUILT_IN {
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let value = serde_json::to_value(&policy).unwrap();
        let yaml = serde_norway::to_string(&policy).unwrap();
        let again = Policy::parse(yaml.as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&again).unwrap(), value, "{name}");
    }
}

#[test]
fn the_schema_takes_the_built_in_policies() {
    let schema = serde_json::to_value(schemars::schema_for!(Policy)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (name, text) in BUILT_IN {
        let value = crate::model::yaml::read(text).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    let rule =
        |gate: Value| json!({ "gradus": "policy/v1", "rules": { "prompt": { "dev": { "gates": [gate] } } } });
    assert!(validator.is_valid(&rule(json!({ "soak": { "hours": 2 } }))));
    for bad in [json!("nonsense"), json!({ "soak": { "hours": 2, "days": 1 } }), json!({ "soak": {} })] {
        assert!(!validator.is_valid(&rule(bad.clone())), "{bad}");
    }
}

#[test]
fn what_is_not_known_is_refused_with_its_place() {
    let policy = |gate: &str| {
        format!(
            "gradus: policy/v1\nrules:\n  prompt:\n    production:\n      gates:\n        - lints\n        - {gate}\n"
        )
    };
    for (gate, why) in [
        ("nonsense", "no such gate: nonsense"),
        ("soak: { hours: 1, days: 1 }", "unknown field `days`"),
        ("soak: {}", "missing field `hours`"),
        ("soak: { hours: -1 }", "hours: 0 to"),
        ("evaluation: { suite: s, metric: m }", "at_least or at_most"),
        ("no_regression: { when_no_baseline: maybe }", "unknown variant `maybe`"),
        ("no_regression: { when_no_baseline: pass, margin: -0.1 }", "margin: 0 or more"),
        ("expression: { rule: 'version ==' }", "the expression is wrong"),
        ("soak: [1]", "the parameters of a gate are a map"),
        ("[soak]", "expected a gate: its name"),
        ("{ soak: { hours: 1 }, lints: {} }", "one gate has two names"),
    ] {
        let error = Policy::parse(policy(gate).as_bytes()).unwrap_err();
        assert_eq!(error.code, "policy_invalid");
        assert!(error.message.contains(why), "{gate}: {}", error.message);
        assert!(error.message.contains("line 7 column"), "{gate}: {}", error.message);
    }
}

#[test]
fn every_parameter_is_documented() {
    for definition in GATES {
        let mut generator = schemars::SchemaGenerator::default();
        let schema = (definition.schema)(&mut generator);
        let schema = serde_json::to_value(&schema).unwrap();
        let reference = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        let schema = match reference {
            Some(name) => generator.definitions()[&name].clone(),
            None => schema,
        };
        for (parameter, described) in schema["properties"].as_object().into_iter().flatten() {
            let name = definition.name;
            // The oldest gate's suite and metric speak for themselves.
            let is_plain = name == "evaluation" && ["suite", "metric"].contains(&parameter.as_str());
            assert!(is_plain || described["description"].is_string(), "{name}: {parameter}: {described}");
        }
    }
}
