use super::super::tests::{code, read_text};
use super::super::{Read, Statement};
use super::*;

/// The shape of a file that `lm_eval run --tasks … --output_path` writes; the numbers are invented.
fn results() -> Value {
    json!({
        "results": {
            "arc_easy": {
                "name": "arc_easy", "alias": "arc_easy", "sample_len": 2376,
                "acc,none": 0.601, "acc_stderr,none": 0.01,
                "acc_norm,none": 1.0, "acc_norm_stderr,none": 0.0
            },
            "gsm8k": {
                "alias": "gsm8k",
                "exact_match,strict-match": 0.0, "exact_match_stderr,strict-match": 0.0,
                "exact_match,flexible-extract": 0.99, "exact_match_stderr,flexible-extract": 0.02
            },
            "wikitext": {
                "alias": "wikitext",
                "word_perplexity,none": 22.7, "word_perplexity_stderr,none": "N/A",
                "bypass,none": 999, "bypass_stderr,none": "N/A",
                "confusion,none": [[1, 2], [3, 4]]
            },
            "mmlu": {
                "alias": "mmlu", "sample_len": 14042, "sample_count": {"acc,none": 14000},
                "acc,none": 0.25, "acc_stderr,none": 0.0036, "loss,none": 1.5
            },
            "leaderboard": {"alias": "leaderboard", " ": " "}
        },
        "groups": {
            "mmlu": {"alias": "mmlu", "acc,none": 0.25, "acc_stderr,none": 0.0036},
            "old_group": {"alias": "old_group", "f1,none": 0.4, "f1_stderr,none": "N/A"}
        },
        "group_subtasks": {"mmlu": ["mmlu_anatomy"], "arc_easy": []},
        "configs": {
            "arc_easy": {"task": "arc_easy", "dataset_path": "allenai/ai2_arc", "dataset_name": "ARC-Easy",
                         "process_docs": "<function process_docs at 0x7f0000000000>"},
            "wikitext": {"metric_list": [{"metric": "word_perplexity"}]},
            "gsm8k": {"metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": true}]}
        },
        "versions": {"arc_easy": 1.0, "gsm8k": 3.0, "wikitext": 2.0, "mmlu": 2},
        "n-shot": {"arc_easy": 0, "gsm8k": 5, "wikitext": 0},
        "higher_is_better": {
            "arc_easy": {"acc": true, "acc_norm": true},
            "wikitext": {"word_perplexity": false},
            "mmlu": {"acc": true, "loss": null}
        },
        "n-samples": {
            "arc_easy": {"original": 2376, "effective": 100},
            "gsm8k": {"original": 1319, "effective": 5},
            "wikitext": {"original": 62, "effective": 62}
        },
        "config": {"model": "hf", "model_args": "pretrained=EleutherAI/pythia-160m", "limit": null},
        "git_hash": "abc1234",
        "date": 1764000000.5,
        "lm_eval_version": "0.4.13"
    })
}

fn evaluations(file: &Value) -> Vec<Evaluation> {
    let of = |Read { statement, examples }| match statement {
        Statement::Evaluation(evaluation) if examples.is_empty() => evaluation,
        _ => panic!(),
    };
    read_text(&file.to_string()).unwrap().into_iter().map(of).collect()
}

#[test]
fn every_task_with_metrics_is_an_evaluation() {
    let found = evaluations(&results());
    let suites: Vec<_> = found.iter().map(|evaluation| evaluation.suite.as_str()).collect();
    assert_eq!(suites, ["arc_easy", "gsm8k", "mmlu", "wikitext", "old_group"]);
    assert!(found.iter().all(|evaluation| evaluation.tool.as_deref() == Some("lm-eval 0.4.13")));

    let acc = &found[0].metrics["acc"];
    assert_eq!((acc.value, acc.n, acc.unit.as_deref()), (0.601, Some(100), Some("ratio")));
    let interval = acc.interval.unwrap();
    assert!((interval.low - 0.5814).abs() < 1e-4 && (interval.high - 0.6206).abs() < 1e-4, "{interval:?}");
    assert_eq!(interval.level, 0.95);
    // An error of 0 does not make 100 examples certain.
    let interval = found[0].metrics["acc_norm"].interval.unwrap();
    assert!(interval.high == 1.0 && (interval.low - 0.963).abs() < 1e-3, "{interval:?}");
}

#[test]
fn filters_units_and_directions_are_kept() {
    let found = evaluations(&results());
    let names: Vec<_> = found[1].metrics.keys().map(String::as_str).collect();
    assert_eq!(names, ["exact_match,flexible-extract", "exact_match,strict-match"]);
    assert_eq!(found[1].metrics["exact_match,flexible-extract"].interval.unwrap().high, 1.0, "clamped");
    assert!(found[1].metrics["exact_match,strict-match"].interval.unwrap().high > 0.4, "of five");

    // The subtasks disagree about `loss`, so it is left out; the placeholder and the list are no metrics.
    assert_eq!(found[2].metrics.keys().collect::<Vec<_>>(), ["acc"]);
    assert_eq!(found[2].metrics["acc"].n, Some(14_000));
    let perplexity = &found[3].metrics["word_perplexity"];
    assert_eq!(found[3].metrics.len(), 1);
    assert_eq!((perplexity.better, perplexity.unit.as_deref()), (Better::Lower, None));
    assert_eq!((perplexity.interval, perplexity.n), (None, Some(62)));
    assert_eq!(found[4].metrics["f1"].unit.as_deref(), Some("ratio"));
}

#[test]
fn runs_are_compared_only_if_they_are_of_the_same_suite() {
    let digest = |change: fn(&mut Value)| {
        let mut file = results();
        change(&mut file);
        evaluations(&file)[0].suite_digest.clone().unwrap()
    };
    let same = digest(|_| ());
    assert_eq!(digest(|file| file["configs"]["arc_easy"]["process_docs"] = json!("<function at 0x1>")), same);
    assert_eq!(digest(|file| file["results"]["arc_easy"]["acc,none"] = json!(0.5)), same);
    assert_ne!(digest(|file| file["n-shot"]["arc_easy"] = json!(5)), same);
    assert_ne!(digest(|file| file["versions"]["arc_easy"] = json!(2.0)), same);
    assert_ne!(digest(|file| file["config"]["limit"] = json!(10)), same);
}

#[test]
fn numbers_that_are_none_are_refused() {
    let text = results().to_string().replace("22.7", "NaN");
    let error = read_text(&text).unwrap_err();
    assert_eq!(error.code, "metric_invalid");
    assert!(error.message.contains("results / wikitext / word_perplexity,none"), "{error}");

    let changed = |change: fn(&mut Value)| {
        let mut file = results();
        change(&mut file);
        code(&file.to_string())
    };
    assert_eq!(changed(|file| file["results"]["arc_easy"]["acc,none"] = json!("nan")), "metric_invalid");
    assert_eq!(changed(|file| file["results"]["arc_easy"]["acc,none"] = json!(60.1)), "metric_unit");
    assert_eq!(changed(|file| file["n-samples"]["arc_easy"]["effective"] = json!(0)), "metric_invalid");
    assert_eq!(changed(|file| file["results"]["arc_easy"] = json!(1)), "evidence_malformed");
    assert_eq!(changed(|file| (file["results"], file["groups"]) = (json!({}), json!({}))), "metric_missing");
}

#[test]
fn odd_files_never_panic() {
    for key in [
        "groups",
        "configs",
        "versions",
        "n-shot",
        "higher_is_better",
        "n-samples",
        "config",
        "group_subtasks",
    ] {
        for value in [json!(null), json!([1]), json!("x"), json!({"arc_easy": 7})] {
            let mut file = results();
            file[key] = value;
            let _ = read_text(&file.to_string());
        }
    }
}
