use super::super::Statement;
use super::super::metrics::{MAX_DATASETS, MAX_EXAMPLES, MAX_METRICS};
use super::super::tests::{DIGEST, about, code, read_text};
use super::*;
use crate::model::evidence::Examples;

fn file(metric: &str) -> String {
    format!(r#"{{"gradus": "evaluation/v1", "suite": "triage-golden", "metrics": {{"accuracy": {metric}}}}}"#)
}

fn evaluation(text: &str) -> (Evaluation, Examples) {
    let Read { statement, examples } = read_text(text).unwrap().pop().unwrap();
    let Statement::Evaluation(evaluation) = statement else { panic!() };
    (evaluation, examples)
}

#[test]
fn an_evaluation_is_read() {
    let data = Digest::sha256(b"tickets of May");
    let (found, examples) = evaluation(&format!(
        r#"{{
            "gradus": "evaluation/v1",
            "suite": "triage-golden",
            "suite_digest": "{data}",
            "subject": "{DIGEST}",
            "datasets": ["{data}"],
            "tool": "triage-bench 2.3",
            "metrics": {{
                "accuracy": {{"value": 0.75, "unit": "ratio", "interval": {{"low": 0.3, "high": 0.95, "level": 0.95}}}},
                "tone": {{"value": 3.5, "n": 2, "unit": "score"}},
                "latency_p95": {{"value": 812.5, "n": 4, "unit": "ms", "better": "lower"}}
            }},
            "examples": {{
                "accuracy": {{"t1": true, "t2": true, "t3": false, "t4": true}},
                "tone": {{"t1": 3, "t2": 4.0}}
            }}
        }}"#
    ));
    assert_eq!((found.suite.as_str(), found.tool.as_deref()), ("triage-golden", Some("triage-bench 2.3")));
    assert_eq!((found.suite_digest, found.datasets), (Some(data.clone()), vec![data]));
    assert_eq!(found.metrics["accuracy"].n, Some(4), "counted");
    assert_eq!(found.metrics["latency_p95"].better, crate::model::evidence::Better::Lower);
    assert_eq!(found.with_examples, ["accuracy", "tone"]);
    assert_eq!(examples["accuracy"]["t3"], 0.0);
    assert_eq!(examples["tone"]["t2"], 4.0);
}

#[test]
fn metrics_that_cannot_be_so_are_refused() {
    for (metric, wanted) in [
        (r#"{"value": NaN}"#, "metric_invalid"),
        (r#"{"value": -Infinity}"#, "metric_invalid"),
        (r#"{"value": 1e400}"#, "metric_invalid"),
        (r#"{"value": null}"#, "metric_invalid"),
        (r#"{"value": "0.9"}"#, "metric_invalid"),
        (r#"{"n": 5}"#, "metric_invalid"),
        (r#"{"value": 0.9, "n": 0}"#, "metric_invalid"),
        (r#"{"value": 0.9, "n": -1}"#, "evidence_malformed"),
        (r#"{"value": 0.9, "n": 1.5}"#, "evidence_malformed"),
        (r#"{"value": 0.9, "better": "up"}"#, "evidence_malformed"),
        (r#"{"value": 0.9, "stderr": 0.1}"#, "evidence_malformed"),
        (r#"{"value": 0.9, "interval": {"low": 0.91, "high": 0.95, "level": 0.95}}"#, "metric_interval"),
        (r#"{"value": 0.9, "interval": {"low": 0.95, "high": 0.85, "level": 0.95}}"#, "metric_interval"),
        (r#"{"value": 0.9, "interval": {"low": 0.85, "high": 0.95, "level": 95}}"#, "metric_interval"),
        (r#"{"value": 0.9, "interval": {"low": 0.85, "high": 0.95, "level": 0}}"#, "metric_interval"),
        (r#"{"value": 0.9, "interval": {"low": 0.85, "high": 0.95}}"#, "evidence_malformed"),
        (r#"{"value": 90, "unit": "ratio"}"#, "metric_unit"),
        (r#"{"value": -0.1, "unit": "ratio"}"#, "metric_unit"),
        (r#"{"value": 101, "unit": "percent"}"#, "metric_unit"),
        (
            r#"{"value": 0.9, "unit": "ratio", "interval": {"low": 0.8, "high": 1.02, "level": 0.9}}"#,
            "metric_unit",
        ),
        (r#"{"value": 1, "unit": ""}"#, "metric_unit"),
        (r#"{"value": 1, "unit": "two words"}"#, "metric_unit"),
    ] {
        assert_eq!(code(&file(metric)), wanted, "{metric}");
    }
    let error = read_text(&file(r#"{"value": null}"#)).unwrap_err();
    assert_eq!(error.message, "metric accuracy: its value is not a number: null");
    assert_eq!(read_text(&file("{}")).unwrap_err().message, "metric accuracy: it has no value");
    let error = read_text(&file(r#"{"value": "0.9"}"#)).unwrap_err();
    assert_eq!(error.message, "metric accuracy: its value is a text, not a number: 0.9");
    let error = read_text(&file(r#"{"value": 0.9, "stderr": 0.1}"#)).unwrap_err();
    assert!(
        error.message.contains("unknown field `stderr`") && error.message.contains("line 1 column"),
        "{error}"
    );
}

#[test]
fn files_that_cannot_be_so_are_refused() {
    let with = |rest: &str| {
        format!(r#"{{"gradus": "evaluation/v1", "suite": "s", "metrics": {{"a": {{"value": 0.5}}}}{rest}}}"#)
    };
    assert!(read_text(&with("")).is_ok());
    let name = "x".repeat(101);
    for (text, wanted) in [
        (r#"{"gradus": "evaluation/v1", "suite": "s", "metrics": {}}"#.to_owned(), "metric_missing"),
        (r#"{"gradus": "evaluation/v1", "suite": "s"}"#.to_owned(), "evidence_malformed"),
        (r#"{"gradus": "evaluation/v1", "metrics": {"a": {"value": 1}}}"#.to_owned(), "evidence_malformed"),
        (file(r#"{"value": 1}"#).replace("triage-golden", " "), "evidence_name_invalid"),
        (file(r#"{"value": 1}"#).replace("accuracy", &name), "evidence_name_invalid"),
        (file(r#"{"value": 1}, "accuracy": {"value": 2}"#), "json_duplicate_key"),
        (with(r#", "subject": "sha256:00""#), "evidence_malformed"),
        (with(&format!(r#", "subject": "{}""#, Digest::sha256(b"other"))), "evidence_subject"),
        (with(r#", "comment": "x""#), "evidence_malformed"),
        (with(r#", "tool": """#), "evidence_name_invalid"),
    ] {
        assert_eq!(code(&text), wanted, "{text}");
    }
}

#[test]
fn examples_must_bear_their_metric_out() {
    let with = |metric: &str, examples: &str| {
        format!(
            r#"{{"gradus": "evaluation/v1", "suite": "s", "metrics": {{"a": {metric}}}, "examples": {examples}}}"#
        )
    };
    for (metric, examples) in [
        (r#"{"value": 0.9}"#, r#"{"a": {"1": true, "2": false}}"#),
        (r#"{"value": 0.500002}"#, r#"{"a": {"1": true, "2": false}}"#),
        (r#"{"value": 0.5, "n": 3}"#, r#"{"a": {"1": true, "2": false}}"#),
        (r#"{"value": 0.5, "n": 1}"#, r#"{"a": {}}"#),
        (r#"{"value": 0.5, "unit": "ratio"}"#, r#"{"a": {"1": 2, "2": -1}}"#),
        // Pass and fail are 1 and 0, which are no percents.
        (r#"{"value": 50, "unit": "percent"}"#, r#"{"a": {"1": true, "2": false}}"#),
    ] {
        assert_eq!(code(&with(metric, examples)), "metric_contradicts_examples", "{metric} {examples}");
    }
    assert_eq!(code(&with(r#"{"value": 1}"#, r#"{"b": {"1": 1}}"#)), "metric_missing");
    assert_eq!(code(&with(r#"{"value": 1}"#, r#"{"a": {"1": "pass"}}"#)), "evidence_malformed");
    assert_eq!(code(&with(r#"{"value": 1}"#, r#"{"a": {"1": 1, "1": 1}}"#)), "json_duplicate_key");
    assert_eq!(code(&with(r#"{"value": 1}"#, r#"{"a": {"": 1}}"#)), "evidence_name_invalid");
    // As precise as six digits are.
    assert!(read_text(&with(r#"{"value": 0.666667}"#, r#"{"a": {"1": 1, "2": 1, "3": 0}}"#)).is_ok());
    assert!(read_text(&with(r#"{"value": 1234567.3}"#, r#"{"a": {"1": 1234567, "2": 1234567}}"#)).is_ok());
}

#[test]
fn there_are_limits() {
    let metric = || Metric { value: 1.0, n: None, interval: None, unit: None, better: Default::default() };
    let code = |metrics: usize, datasets: usize, examples: usize| {
        let evaluation = Evaluation {
            suite: "s".into(),
            metrics: (0..metrics).map(|at| (format!("m{at}"), metric())).collect(),
            datasets: vec![about().digest.clone(); datasets],
            ..Default::default()
        };
        let examples = (0..examples).map(|at| (at.to_string(), 1.0)).collect();
        checked(evaluation, Examples::from([("m0".to_owned(), examples)])).err().map(|error| error.code)
    };
    assert_eq!(code(MAX_METRICS, MAX_DATASETS, 10), None);
    assert_eq!(code(MAX_METRICS + 1, 0, 10), Some("evidence_too_large"));
    assert_eq!(code(1, MAX_DATASETS + 1, 10), Some("evidence_too_large"));
    assert_eq!(code(1, 0, MAX_EXAMPLES + 1), Some("evidence_too_large"));
}

#[test]
fn the_schema_describes_the_format() {
    let schema = schema();
    assert_eq!(schema["title"], "Gradus evaluation file");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"], serde_json::json!(["gradus", "suite", "metrics"]));
}
