//! Dossiers of real versions, at every tier and in every form.

use crate::harness::{
    Env, backends, files,
    govern::{W, evaluation},
    server::Cli,
};
use gradus::model::access::Role;
use serde_json::{Value, json};

const FORMATS: [(&str, &str); 4] = [
    ("annex-iv", "text/markdown; charset=utf-8"),
    ("model-card", "text/markdown; charset=utf-8"),
    ("cyclonedx", "application/vnd.cyclonedx+json; version=1.6"),
    ("slsa", "application/vnd.in-toto+json"),
];

fn path(workload: &str, version: &str, format: &str) -> String {
    format!("/v1/workloads/{workload}/versions/{version}/dossier?format={format}")
}

async fn dossier(env: &Env, version: &str, format: &str) -> String {
    env.get(&path(W, version, format)).expect(200).await.text()
}

fn gaps(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("GAP:")).collect()
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Pushes example files to a workload; the version that was made.
async fn push(env: &Env, workload: &str, paths: &[&str], more: Value) -> Value {
    let mut uploaded = Vec::new();
    for path in paths {
        let name = path.rsplit('/').next().unwrap();
        uploaded.push(files::upload(env, workload, name, &files::read(path)).await);
    }
    files::push(env, workload, uploaded, more).await.value()["version"].clone()
}

const ADAPTER: [&str; 2] = ["lora/adapter_config.json", "lora/adapter_model.safetensors"];
const MODEL: [&str; 3] = ["model/config.json", "model/model.safetensors", "model/tokenizer.json"];

backends! {
    async fn a_prompt_has_one_of_every_form(env: Env) {
        env.namespace("acme").await;
        let (ann, rel) = (env.someone("ann", &[Role::Contributor]).await, env.someone("rel", &[Role::Releaser]).await);
        let first = ann.push("one").await;
        for (format, media_type) in FORMATS {
            let answer = env.get(&path(W, &first, format)).expect(200).await;
            assert_eq!(answer.header("content-type"), media_type);
            assert_eq!(answer.text(), dossier(&env, &first, format).await, "the same facts, the same bytes");
        }
        rel.promote(&first, "production").await;
        ann.push("two").await;
        rel.promote("1.0.1", "production").await;
        rel.rollback("production", None).await;
        let annex = dossier(&env, "1.0.1", "annex-iv").await;
        for part in ["version: acme/x:1.0.1", "before it: 1.0.0 (prompt)", "1.0.1 promoted to production (move 2) by rel",
            "in the place of 1.0.0", "1.0.1 left production: rolled back 1.0.0 by rel", "because: refusals doubled",
            "authors of its content: ann", "to enter staging: gates:", "gate lints: pass"] {
            assert!(annex.contains(part), "{part}\n{annex}");
        }
        // Positions and checkpoint are those of the log.
        let position = annex.split("`gradus audit proof ").nth(1).unwrap().split('`').next().unwrap();
        let proof = env.get(&format!("/v1/log/proof/{position}")).expect(200).await.value();
        assert!(proof.to_string().contains("1.0.1"), "{proof}");
        let checkpoint = env.get("/v1/log/checkpoint").expect(200).await.text();
        assert!(annex.contains(checkpoint.trim_end()), "{annex}");
        let bom = json_of(&dossier(&env, "1.0.1", "cyclonedx").await);
        assert_eq!(bom["components"][0]["data"][0]["name"], "prompt");
    }

    async fn an_adapter_names_what_it_was_made_from(env: Env) {
        env.namespace("acme").await;
        let ci = env.service("ci", Role::Contributor).await;
        let base = push(&env, "acme/base", &MODEL, json!({ "base": format!("hf:org/seed@{}", "1".repeat(40)) })).await;
        let base_digest = base["digest"].as_str().unwrap();
        let dataset = format!("sha256:{}", "7".repeat(64));
        let more = json!({ "base": format!("acme/base@{base_digest}"), "datasets": [{ "name": "train.jsonl", "digest": dataset }], "contract": files::contract() });
        let made = push(&env, W, &ADAPTER, more).await;
        assert_eq!(made["tier"], "adapter");
        let bare = dossier(&env, "1.0.0", "annex-iv").await;
        assert!(gaps(&bare).iter().any(|gap| gap.contains("never evaluated")), "{bare}");
        assert!(!gaps(&bare).iter().any(|gap| gap.contains("training data is named") || gap.contains("base model")), "{bare}");

        let card = "---\nlicense: apache-2.0\npipeline_tag: text-classification\n---\n# Card\n## Intended uses\nSorting tickets.\n\n## Limitations\nEnglish only.\n## Provider\nAcme Ltd.\n";
        assert_eq!(ci.attach_text("1.0.0", card).await.status, 200);
        let mut results = evaluation(95, 100);
        results["suite_digest"] = json!(format!("sha256:{}", "5".repeat(64)));
        assert_eq!(ci.attach("1.0.0", &results).await.status, 200);
        let evidence = env.get(&format!("/v1/workloads/{W}/versions/1.0.0/evidence")).expect(200).await.value();
        let annex = dossier(&env, "1.0.0", "annex-iv").await;
        assert_eq!(gaps(&bare).len() - gaps(&annex).len(), 5, "{:#?}", gaps(&annex));
        for part in ["> Sorting tickets.", "> English only.", "> Acme Ltd.", "by ci at", "acme/base:1.0.0 (weights)", base_digest, &dataset,
            evidence["items"][0]["digest"].as_str().unwrap(), evidence["items"][1]["digest"].as_str().unwrap()] {
            assert!(annex.contains(part), "{part}\n{annex}");
        }
        let card = dossier(&env, "1.0.0", "model-card").await;
        for part in ["license: apache-2.0\n", "- acme/base\n", "base_model_relation: adapter\n", "train.jsonl@sha256:7777", "library_name: peft\n"] {
            assert!(card.contains(part), "{part}\n{card}");
        }

        let bom = json_of(&dossier(&env, "1.0.0", "cyclonedx").await);
        let main = &bom["metadata"]["component"];
        let ancestor = &main["pedigree"]["ancestors"][0];
        assert_eq!((ancestor["hashes"][0]["content"].as_str(), ancestor["name"].as_str()), (base_digest.strip_prefix("sha256:"), Some("base")));
        assert_eq!(ancestor["pedigree"]["ancestors"][0]["name"], "org/seed");
        assert_eq!(main["modelCard"]["quantitativeAnalysis"]["performanceMetrics"][0]["slice"], "golden");
        assert_eq!(main["modelCard"]["considerations"]["technicalLimitations"], json!(["English only."]));
        assert_eq!(main["modelCard"]["modelParameters"]["task"], "text-classification");
        assert_eq!(bom["components"].as_array().unwrap().len(), 3, "two files and the data");

        // Exported and attached again, it is provenance like any other: the base is the material.
        let slsa = dossier(&env, "1.0.0", "slsa").await;
        let attached = ci.attach_text("1.0.0", &slsa).await.value();
        assert_eq!(attached["evidence"][0]["statement"]["materials"][0]["digest"], base_digest);
        let again = json_of(&dossier(&env, "1.0.0", "slsa").await);
        assert_eq!(again["predicate"]["buildDefinition"]["internalParameters"]["dev.gradus"]["attached_by"], "ci");
    }

    async fn versions_that_name_each_other_are_no_endless_line(env: Env) {
        env.namespace("acme").await;
        push(&env, W, &ADAPTER, json!({ "base": "acme/x:1.0.1" })).await;
        push(&env, W, &MODEL, json!({ "base": "acme/x:1.0.0", "version": "1.0.1" })).await;
        for (version, other) in [("1.0.0", "1.0.1"), ("1.0.1", "1.0.0")] {
            let bom = json_of(&dossier(&env, version, "cyclonedx").await);
            let ancestor = &bom["metadata"]["component"]["pedigree"]["ancestors"][0];
            assert_eq!((ancestor["version"].as_str(), &ancestor["pedigree"]["ancestors"][0]["pedigree"]), (Some(other), &Value::Null));
        }
    }

    async fn what_the_caller_may_not_read_is_not_named(env: Env) {
        env.namespace("acme").await;
        env.namespace("other").await;
        let base = push(&env, "other/base", &MODEL, json!({})).await;
        let by_number = json!({ "base": "other/base:1.0.0" });
        push(&env, W, &ADAPTER, by_number).await;
        let ann = env.someone("ann", &[Role::Reader]).await;
        let digest = base["digest"].as_str().unwrap();
        for (format, _) in FORMATS {
            let hers = ann.call("GET", &path(W, "1.0.0", format)).expect(200).await.text();
            assert!(!hers.contains(digest) && !hers.contains("tiny-llama"), "{format}: {hers}");
            let all = dossier(&env, "1.0.0", format).await;
            assert!(all.contains(digest.strip_prefix("sha256:").unwrap()), "{format}: {all}");
        }
        ann.call("GET", &path("other/base", "1.0.0", "slsa")).expect(403).await;
    }

    async fn weights_tell_what_was_found_in_them(env: Env) {
        env.namespace("acme").await;
        push(&env, W, &MODEL, json!({})).await;
        let root = env.root();
        let over = root.promote_with("1.0.0", "production", json!({ "override": "the audit is tomorrow" })).await.value();
        assert_eq!(over["overridden"], true, "{over}");
        let annex = dossier(&env, "1.0.0", "annex-iv").await;
        for part in ["architecture found in the files", "parameters found", "promoted against its gates to production", "the audit is tomorrow", "nothing in the files runs code"] {
            assert!(annex.contains(part), "{part}\n{annex}");
        }
        assert!(gaps(&annex).iter().any(|gap| gap.contains("ratified")), "{annex}");
        let bom = json_of(&dossier(&env, "production", "cyclonedx").await);
        assert!(bom["metadata"]["component"]["modelCard"]["modelParameters"]["modelArchitecture"].is_string());
    }

    async fn bad_questions_get_clear_answers(env: Env) {
        env.namespace("acme").await;
        env.root().push("one").await;
        for query in ["?format=pdf", "", "?format="] {
            let refused = env.get(&format!("/v1/workloads/{W}/versions/1.0.0/dossier{query}")).expect(400).await;
            assert_eq!(refused.code(), "dossier_format");
            assert!(refused.text().contains("annex-iv, model-card, cyclonedx, slsa"), "{}", refused.text());
        }
        assert_eq!(env.get(&(path(W, "1.0.0", "slsa") + "&x=1")).expect(400).await.code(), "query_unknown");
        assert_eq!(env.get(&path(W, "9.9.9", "slsa")).expect(404).await.code(), "version_unknown");
        assert_eq!(env.get(&path("acme/none", "1.0.0", "slsa")).expect(404).await.code(), "workload_unknown");
    }

    async fn texts_of_others_make_no_point(env: Env) {
        env.namespace("acme").await;
        let ann = env.someone("ann", &[Role::Contributor]).await;
        let made = ann.push("one").await;
        let evil = "fine\n## 8. EU declaration of conformity (Article 47)\n\nGAP: none\n\n<script>alert(1)</script>\u{202e}";
        let card = json!({ "gradus": "model_card/v1", "parts": { "standards": evil, "license": "mit" } });
        assert_eq!(ann.attach(&made, &card).await.status, 200);
        let mut results = evaluation(9, 10);
        results["suite"] = json!("a | b ## 8. ` <b>");
        assert_eq!(ann.attach(&made, &results).await.status, 200);
        let annex = dossier(&env, &made, "annex-iv").await;
        assert_eq!(annex.lines().filter(|line| line.starts_with("## 8. ")).count(), 1);
        assert!(!annex.contains("<script") && !annex.contains("<b>") && !annex.contains('\u{202e}') && !annex.contains("\nGAP: none"), "{annex}");
    }
}

#[test]
fn the_command_line_prints_or_writes_and_replaces_only_when_told() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let data = home.path().join("data");
        Cli::new(home.path(), arguments)
            .environment("GRADUS_DATA", data.to_str().unwrap())
            .directory(home.path())
            .run()
    };
    let prompt = files::example("prompts/triage-1.prompt.yaml");
    run(&["push", prompt.to_str().unwrap(), "--to", "acme/x"]).expect(0);
    let printed = run(&["export", "dossier", "acme/x:1.0.0", "--format", "cyclonedx"]).expect(0).stdout;
    assert_eq!(json_of(&printed)["bomFormat"], "CycloneDX");
    run(&["export", "dossier", "acme/x:1.0.0", "--format", "cyclonedx", "--out", "bom.json"]).expect(0);
    assert_eq!(std::fs::read_to_string(home.path().join("bom.json")).unwrap(), printed);
    let refused =
        run(&["export", "dossier", "acme/x:1.0.0", "--format", "slsa", "--out", "bom.json"]).expect(5);
    assert!(
        refused.stderr.contains("file_exists") && refused.stderr.contains("--force"),
        "{}",
        refused.stderr
    );
    assert_eq!(std::fs::read_to_string(home.path().join("bom.json")).unwrap(), printed, "it is as it was");
    run(&["export", "dossier", "acme/x:1.0.0", "--format", "slsa", "--out", "bom.json", "--force"]).expect(0);
    assert_ne!(std::fs::read_to_string(home.path().join("bom.json")).unwrap(), printed);
    let unknown = run(&["export", "dossier", "acme/x:1.0.0", "--format", "pdf"]).expect(2);
    assert!(unknown.stderr.contains("annex-iv, model-card, cyclonedx, slsa"), "{}", unknown.stderr);
    run(&["export", "dossier", "acme/x:9.9.9", "--format", "slsa"]).expect(7);
    let text = run(&["export", "dossier", "acme/x:1.0.0", "--format", "annex-iv", "--json"]).expect(0).stdout;
    assert!(json_of(&text).as_str().unwrap().starts_with("# Technical documentation: acme/x:1.0.0"));
}
