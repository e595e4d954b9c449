use super::super::tests::{code, read_text};
use super::super::{Read, Statement};
use super::*;

fn result(test: u64, success: bool, score: f64) -> Value {
    json!({
        "id": format!("0000-{test}"),
        "promptIdx": 0,
        "testIdx": test,
        "testCase": {"vars": {"ticket": format!("ticket {test}")}, "assert": [{"type": "contains-json"}]},
        "promptId": "e2c0",
        "provider": {"id": "openai:gpt-4.1-mini", "label": ""},
        "prompt": {"raw": "Triage: …", "label": "triage.yaml"},
        "vars": {"ticket": format!("ticket {test}")},
        "response": {"output": "{}", "cached": false, "tokenUsage": {"total": 120}},
        "failureReason": if success { 0 } else { 1 },
        "success": success,
        "score": score,
        "latencyMs": 400 + 100 * test,
        "cost": 0.002,
        "gradingResult": {"pass": success, "score": score, "reason": "…"},
        "namedScores": {"Tone": score, "score": 1},
        "tokenUsage": {"total": 120}
    })
}

/// The shape of a file that `promptfoo eval -o out.json` writes; the content is invented.
fn output() -> Value {
    json!({
        "evalId": "eval-xyz-2026-03-02T10:15:30",
        "results": {
            "version": 3,
            "timestamp": "2026-03-02T10:15:30.000Z",
            "prompts": [{"raw": "Triage: …", "label": "triage.yaml", "provider": "openai:gpt-4.1-mini"}],
            "results": [result(1, true, 1.0), result(0, true, 0.75), result(2, false, 0.25)],
            "stats": {"successes": 2, "failures": 1, "errors": 0, "tokenUsage": {}}
        },
        "config": {"description": "Triage\n  golden set", "tests": "file://tests.yaml"},
        "shareableUrl": null,
        "metadata": {"promptfooVersion": "0.121.20", "nodeVersion": "v22.0.0"}
    })
}

fn evaluation(file: &Value) -> (Evaluation, Examples) {
    let Read { statement, examples } = read_text(&file.to_string()).unwrap().pop().unwrap();
    let Statement::Evaluation(evaluation) = statement else { panic!() };
    (evaluation, examples)
}

#[test]
fn a_run_is_an_evaluation_with_examples() {
    let (found, examples) = evaluation(&output());
    assert_eq!(found.suite, "Triage golden set");
    assert_eq!(found.tool.as_deref(), Some("promptfoo 0.121.20"));
    assert_eq!(found.with_examples, ["Tone", "named:score", "pass_rate", "score"]);
    let names: Vec<_> = found.metrics.keys().map(String::as_str).collect();
    assert_eq!(names, ["Tone", "cost_per_call", "latency_ms", "named:score", "pass_rate", "score"]);

    let rate = &found.metrics["pass_rate"];
    assert_eq!((rate.n, rate.unit.as_deref(), rate.better), (Some(3), Some("ratio"), Better::Higher));
    assert!(rate.interval.unwrap().low < 0.3, "three tests tell little");
    assert_eq!(
        examples["pass_rate"],
        BTreeMap::from([("0", 1.0), ("1", 1.0), ("2", 0.0)].map(|(id, x)| (id.into(), x)))
    );
    let latency = &found.metrics["latency_ms"];
    assert_eq!((latency.value, latency.unit.as_deref(), latency.better), (500.0, Some("ms"), Better::Lower));
    assert_eq!(found.metrics["cost_per_call"].interval, None, "all alike");
}

#[test]
fn errors_count_as_failures_and_the_cache_is_not_measured() {
    let mut file = output();
    let failed = &mut file["results"]["results"][0];
    (failed["success"], failed["score"], failed["failureReason"]) = (json!(false), json!(0), json!(2));
    (failed["latencyMs"], failed["namedScores"], failed["error"]) =
        (json!(1), json!({}), json!("rate limited"));
    file["results"]["results"][1]["response"]["cached"] = json!(true);
    file["results"]["results"][1]["latencyMs"] = json!(2);
    let (found, _) = evaluation(&file);
    assert!((found.metrics["pass_rate"].value - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!((found.metrics["latency_ms"].value, found.metrics["latency_ms"].n), (600.0, Some(1)));
    assert_eq!(found.metrics["Tone"].n, Some(2));
}

#[test]
fn without_a_description_the_suite_is_named_by_its_tests() {
    let mut file = output();
    file["config"] = json!({});
    let (found, _) = evaluation(&file);
    assert!(found.suite.starts_with("promptfoo sha256:"), "{}", found.suite);
    file["results"]["results"].as_array_mut().unwrap().reverse();
    assert_eq!(evaluation(&file).0, found, "the order of the results does not matter");
    file["results"]["results"][0]["testCase"]["assert"] = json!([]);
    assert_ne!(evaluation(&file).0.suite_digest, found.suite_digest);
}

#[test]
fn what_is_not_one_whole_run_is_refused() {
    let changed = |pointer: &str, value: Value| {
        let mut file = output();
        *file.pointer_mut(pointer).unwrap() = value;
        code(&file.to_string())
    };
    let first = |key: &str| format!("/results/results/0/{key}");
    assert_eq!(changed(&first("promptIdx"), json!(1)), "evidence_ambiguous");
    assert_eq!(changed(&first("provider/id"), json!("anthropic:messages")), "evidence_ambiguous");
    assert_eq!(changed("/results/stats/failures", json!(9)), "metric_contradicts_examples");
    assert_eq!(changed("/results/results", json!([])), "metric_missing");
    assert_eq!(changed(&first("testIdx"), json!(0)), "evidence_malformed");
    for (key, value) in [
        ("testIdx", json!(null)),
        ("success", json!("yes")),
        ("score", json!(null)),
        ("namedScores/Tone", json!("high")),
    ] {
        assert_eq!(changed(&first(key), value), "evidence_malformed", "{key}");
    }
    let error = read_text(&output().to_string().replace("\"promptIdx\":0", "\"promptIdx\":null"))
        .map(|reads| reads.len());
    assert_eq!(error.unwrap(), 1, "one column without a number");
    for key in ["stats", "prompts", "version"] {
        for value in [json!(null), json!("x"), json!([])] {
            assert!(
                read_text(&{
                    let mut file = output();
                    file["results"][key] = value;
                    file.to_string()
                })
                .is_ok(),
                "{key}"
            );
        }
    }
}
