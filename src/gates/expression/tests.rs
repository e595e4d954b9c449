use super::super::tests::{evaluation, facts, gate, say};
use super::super::{GateSpec, Outcome};
use super::*;
use serde_json::json;

fn compile(rule: &str) -> Result<GateSpec, String> {
    let parameters = json!({ "rule": rule }).as_object().cloned().unwrap_or_default();
    GateSpec::new("expression", parameters)
}

fn judge(facts: &Facts, rule: &str) -> Verdict {
    gate("expression", json!({ "rule": rule })).judge(facts)
}

#[test]
fn every_variable_can_be_used() {
    let mut facts = facts();
    say(&mut facts, "ci", 1, evaluation("s", 0.9));
    for rule in [
        "version == '2.0.0' && tier == 'weights' && kind == 'safetensors'",
        "digest.startsWith('sha256:') && base.startsWith('hf:')",
        "size(datasets) == 1 && datasets[0].name == 'train'",
        "datasets.all(d, d.digest.startsWith('sha256:'))",
        "parameters < 7000 && safety == 'safe' && 'safetensors' in formats",
        "current != null && current.version == '1.0.0'",
        "metrics.s.accuracy.value > 0.85 && metrics.s.accuracy.n >= 100",
        "metrics.all(s, metrics[s].all(m, metrics[s][m].value >= 0))",
        "has(metrics.s) && !has(metrics.other)",
        "stage == 'production' && region == 'local'",
        "approvals == 0 && authors == ['bob']",
        "hours_in_previous_stage >= 24.0 && hours_in_previous_stage >= 24",
        "tier in ['weights', 'adapter'] ? true : false",
    ] {
        let verdict = judge(&facts, rule);
        assert_eq!(verdict.outcome, Outcome::Pass, "{rule}: {}", verdict.reason);
        assert_eq!(verdict.evidence.is_empty(), !rule.contains("metrics"), "{rule}");
    }
}

#[test]
fn only_true_and_false_decide() {
    let facts = facts();
    let verdict = gate("expression", json!({ "rule": "size(datasets) > 3", "reason": "needs more data" }));
    assert_eq!(verdict.judge(&facts).reason, "needs more data: size(datasets) > 3");
    assert_eq!(judge(&facts, "size(datasets) > 3").outcome, Outcome::Fail);
    for open in ["1", "metrics.s.accuracy.value > 0.5", "base > 3", "1 / 0 == 1", "current.version", "null"] {
        let verdict = judge(&facts, open);
        assert_eq!(verdict.outcome, Outcome::Wait, "{open}: {}", verdict.reason);
    }
    assert!(judge(&facts, "metrics.s.accuracy.value > 0.5").reason.contains("No such key: s"));
}

#[test]
fn what_cannot_be_compiled_or_bounded_is_refused() {
    for (rule, why) in [
        ("", "wrong"),
        ("version ==", "line 1 column"),
        ("versoin == '1'", "there is no variable versoin"),
        ("datasets.map(d, d.name).map(n, n).size() > 0", "facts and lists of literals only"),
        ("[datasets + datasets].all(x, x.all(y, true))", "facts and lists of literals only"),
        ("datasets.all(a, datasets.all(b, datasets.all(c, true)))", "nested"),
        (&"x".repeat(2_001), "2001 bytes"),
        (&format!("{}true{}", "[".repeat(200), "]".repeat(200)), "recursion"),
        (&format!("true{}", "&&true".repeat(300)), ""),
        (&format!("1{} == 2", "+1".repeat(300)), "deeper than 64"),
        (&format!("version{} == 2", ".a".repeat(300)), "deeper than 64"),
        (&format!("{}true", "true?true:".repeat(100)), "conditions"),
    ] {
        match compile(rule) {
            Ok(_) => assert!(why.is_empty(), "{rule} was taken"),
            Err(error) => assert!(error.contains(why), "{rule}: {error}"),
        }
    }
}

#[test]
fn too_many_facts_wait() {
    let mut facts = facts();
    let dataset = facts.candidate.datasets[0].clone();
    facts.candidate.datasets = vec![dataset; 1_000];
    assert_eq!(judge(&facts, "datasets.all(d, d.name == 'train')").outcome, Outcome::Pass);
    // The dearest that is let through; the bound leaves room for slow machines.
    let started = std::time::Instant::now();
    let mut near = facts.clone();
    near.candidate.datasets.truncate(80);
    let verdict = judge(&near, "datasets.all(d, datasets.all(e, datasets == datasets))");
    assert_eq!(verdict.outcome, Outcome::Pass, "{}", verdict.reason);
    assert!(started.elapsed().as_secs() < 20);
    let verdict = judge(&facts, "datasets.all(d, datasets.all(e, d.name == e.name))");
    assert_eq!(verdict.outcome, Outcome::Wait);
    assert!(verdict.reason.starts_with("1001 facts are too many"));
}

/// Whatever is thrown at it, it answers, soon, and on a small stack.
#[test]
fn hostile_sources_get_an_answer() {
    let mut facts = facts();
    say(&mut facts, "ci", 1, evaluation("s", 0.9));
    let dataset = facts.candidate.datasets[0].clone();
    facts.candidate.datasets = vec![dataset; 50];
    for unit in [
        "(",
        "[",
        "{",
        "!",
        "-",
        "?",
        "a?",
        "1?1:",
        "'",
        "\"\"\"",
        "r'",
        "b'\\x",
        "\\",
        ".",
        "a.",
        "..",
        "0x",
        "1e999",
        "9223372036854775808",
        "-9223372036854775808",
        "[0]",
        "[1,",
        "{1:",
        "a(",
        "a.b(",
        "&&",
        "||",
        "1+",
        "1/0,",
        "true&&",
        "has(",
        "datasets.map(d,",
        "datasets+",
        "'a'+",
        "\u{0}",
        "é",
        "🦀",
        "//",
        "\n",
        "@result",
        "in ",
        "null==",
        "size(",
        "type(",
        "string(",
        "timestamp(",
        "duration(",
        "Foo{",
        "`a`.",
    ] {
        for source in [unit.repeat(1_999 / unit.len()), format!("true || {unit}"), format!("{unit}1")] {
            if let Ok(spec) = compile(&source) {
                spec.gate().judge(&facts);
            }
        }
    }
    let tokens = [
        "datasets",
        "metrics",
        ".",
        "map",
        "all",
        "(",
        ")",
        "d",
        ",",
        "[",
        "]",
        "{",
        "}",
        ":",
        "?",
        "+",
        "-",
        "!",
        "==",
        "<",
        "in",
        "'a'",
        "1",
        "1.5",
        "9223372036854775807",
        "true",
        "null",
        "size",
        "string",
        "int",
        "uint",
        "double",
        "bytes",
        "has",
        "&&",
        "||",
        "%",
        "/",
        "*",
        "current",
        "parameters",
        "b'a'",
        "1u",
    ];
    let mut random = super::super::statistics::SplitMix(5);
    let mut compiled = 0;
    for _ in 0..20_000 {
        let length = 1 + random.below(12);
        let source: Vec<&str> = (0..length).map(|_| tokens[random.below(tokens.len())]).collect();
        if let Ok(spec) = compile(&source.join(" ")) {
            compiled += 1;
            spec.gate().judge(&facts);
        }
    }
    assert!(compiled > 100, "{compiled} were sensible enough to run");
}
