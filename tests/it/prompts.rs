//! Rendering over the API: at every tier, for several models, within the contract and the budget.

use crate::harness::{Answer, Env, backends, files};
use serde_json::{Value, json};

const WORKLOAD: &str = "acme/ticket-triage";

async fn push_example(env: &Env, paths: &[&str], more: Value) -> Answer {
    let mut uploaded = Vec::new();
    for path in paths {
        let name = path.rsplit('/').next().unwrap();
        uploaded.push(files::upload(env, WORKLOAD, name, &files::read(path)).await);
    }
    let pushed = files::push(env, WORKLOAD, uploaded, more).await;
    assert_eq!(pushed.status.as_u16(), 201, "{}", pushed.text());
    pushed
}

async fn render(env: &Env, at: &str, body: Value) -> Answer {
    let [workload, tag] = at.split(':').collect::<Vec<_>>()[..] else { panic!("{at}") };
    env.call("POST", &format!("/v1/workloads/{workload}/render/{tag}")).json(body).send().await
}

/// Pushes a prompt of one user message under an open contract, or the one given.
async fn push_template(env: &Env, workload: &str, template: &str, more: Value) -> Answer {
    let messages = json!([{ "role": "user", "content": template }]);
    let text = format!("gradus: prompt/v1\nmessages: {messages}\n");
    let file = files::upload(env, workload, "a.prompt.yaml", text.as_bytes()).await;
    files::push(env, workload, vec![file], more).await
}

fn ticket() -> Value {
    json!({ "subject": "Login", "body": "I cannot log in" })
}

backends! {
    async fn every_tier_renders_alike_for_every_model(env: Env) {
        env.namespace("acme").await;
        push_example(&env, &["prompts/triage-1.prompt.yaml"], json!({ "contract": files::contract() })).await;
        let models = [
            (None, json!("openai/gpt-4o-mini"), json!({ "temperature": 0, "max_tokens": 200 }), "json_schema"),
            (Some("anthropic/claude-x"), json!("anthropic/claude-x"), json!({ "temperature": 0, "max_tokens": 300 }), "json_schema"),
            (Some("local/llama-9"), json!("local/llama-9"), json!({ "temperature": 0, "max_tokens": 200, "top_p": 0.9 }), "json_object"),
            (Some("nobody/knows"), json!("nobody/knows"), json!({ "temperature": 0, "max_tokens": 200 }), "json_schema"),
        ];
        let rendered = async |tag: &str| {
            let mut all = Vec::new();
            for (model, ..) in &models {
                let answer = render(&env, &format!("{WORKLOAD}:{tag}"), json!({ "input": ticket(), "model": model })).await;
                assert_eq!(answer.status.as_u16(), 200, "{tag} {model:?}: {}", answer.text());
                all.push(answer.value());
            }
            all
        };
        let by_prompt = rendered("1.0.0").await;
        for ((model, name, parameters, format), answer) in models.iter().zip(&by_prompt) {
            assert_eq!((&answer["model"], &answer["parameters"]), (name, parameters), "{model:?}");
            assert_eq!(answer["response_format"]["type"], *format, "{model:?}");
            let roles: Vec<&str> = answer["messages"].as_array().unwrap().iter().map(|message| message["role"].as_str().unwrap()).collect();
            assert_eq!(roles, ["system", "user", "assistant", "user", "assistant", "user"]);
            assert_eq!(answer["messages"][5]["content"].as_str().unwrap().trim(), "Subject: Login\n\nI cannot log in");
        }
        let schema = &by_prompt[0]["response_format"]["json_schema"]["schema"];
        assert_eq!(*schema, files::contract()["output"], "the model is asked for what the contract promises");

        // The prompt is taken over up the ladder, so the same question has the same answer.
        push_example(&env, &["lora/adapter_config.json", "lora/adapter_model.safetensors"], json!({ "base": "hf:org/model@abc" })).await;
        push_example(&env, &["finetune/finetune.yaml"], json!({})).await;
        push_example(&env, &["model/config.json", "model/model.safetensors", "model/tokenizer.json"], json!({})).await;
        for (version, target) in [("1.0.1", "adapter"), ("1.0.2", "vendor"), ("1.0.3", "weights")] {
            let resolved = env.get(&format!("/v1/workloads/{WORKLOAD}/resolve/{version}")).expect(200).await.value();
            assert_eq!(resolved["invoke"]["target"]["type"], target);
            assert_eq!(rendered(version).await, by_prompt, "{target}");
        }
    }

    async fn weights_render_the_prompt_they_were_pushed_with(env: Env) {
        env.namespace("acme").await;
        let weights = files::upload(&env, "acme/x", "model.safetensors", &files::safetensors(1)).await;
        let bare = files::push(&env, "acme/x", vec![weights.clone()], json!({})).await;
        assert_eq!(bare.status.as_u16(), 201, "{}", bare.text());
        let missing = render(&env, "acme/x:1.0.0", json!({ "input": {} })).await;
        assert_eq!((missing.status.as_u16(), missing.code().as_str()), (404, "prompt_missing"));

        let prompt = files::upload(&env, "acme/x", "a.prompt.yaml", &files::prompt("first")).await;
        files::push(&env, "acme/x", vec![weights.clone()], json!({ "prompt": prompt })).await;
        let prompt = files::upload(&env, "acme/x", "a.prompt.yaml", &files::prompt("second")).await;
        files::push(&env, "acme/x", vec![weights], json!({ "prompt": prompt })).await;
        for (version, begins) in [("1.0.1", "first hi"), ("1.0.2", "second hi")] {
            let rendered = render(&env, &format!("acme/x:{version}"), json!({ "input": { "body": "hi" } })).await.value();
            assert_eq!(rendered["messages"][0]["content"].as_str().unwrap().trim(), begins, "{rendered}");
        }
    }

    async fn an_input_outside_the_contract_is_refused_with_its_place(env: Env) {
        env.namespace("acme").await;
        push_example(&env, &["prompts/triage-1.prompt.yaml"], json!({ "contract": files::contract() })).await;
        let secret = "do-not-repeat-me";
        for (input, path) in [
            (json!({ "subject": "s" }), ""),
            (json!({ "subject": "s", "body": "" }), "/body"),
            (json!({ "subject": 7, "body": "b" }), "/subject"),
            (json!({ "subject": "s", "body": "b", "customer_tier": secret }), "/customer_tier"),
            (json!({ "subject": "s", "body": "b", "other": secret }), ""),
            (json!([]), ""),
            (json!("text"), ""),
            (Value::Null, ""),
        ] {
            let refused = render(&env, &format!("{WORKLOAD}:1.0.0"), json!({ "input": input })).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "input_invalid"), "{input}");
            let violations = refused.value()["details"]["violations"].clone();
            let paths: Vec<&str> = violations.as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect();
            assert!(paths.contains(&path), "{input}: {violations}");
            assert!(!refused.text().contains(secret), "the value is not repeated: {}", refused.text());
        }
        let missing = env.call("POST", &format!("/v1/workloads/{WORKLOAD}/render/1.0.0")).json(json!({})).expect(400).await;
        assert_eq!(missing.code(), "body_invalid");
        let unknown = render(&env, &format!("{WORKLOAD}:9.0.0"), json!({ "input": ticket() })).await;
        assert_eq!((unknown.status.as_u16(), unknown.code().as_str()), (404, "version_unknown"));
        let large = json!({ "input": { "subject": "s", "body": "b".repeat(2 << 20) } });
        assert_eq!(render(&env, &format!("{WORKLOAD}:1.0.0"), large).await.code(), "input_too_large");
    }

    async fn templates_that_fail_or_never_end_are_stopped(env: Env) {
        env.namespace("acme").await;
        for (name, template, code) in [
            ("undefined", "{{ nobody }}", "template_undefined"),
            ("within", "{{ body.nobody.at_all }}", "template_undefined"),
            ("endless", "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", "template_budget"),
            ("recursive", "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}", "template_budget"),
            ("swelling", "{{ body * 2000000 }}", "template_syntax"),
            ("include", "{% include 'other' %}", "template_include"),
            ("unknown", "{{ body | nothing }}", "template_unknown_name"),
            ("broken", "{% if %}", "template_syntax"),
        ] {
            let workload = format!("acme/{name}");
            let pushed = push_template(&env, &workload, template, json!({})).await;
            let answer = match pushed.status.as_u16() {
                // What can never render may be refused when it is pushed.
                400 => pushed,
                201 => render(&env, &format!("{workload}:1.0.0"), json!({ "input": { "body": "some text" } })).await,
                other => panic!("{name}: {other} {}", pushed.text()),
            };
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, code), "{name}: {}", answer.text());
        }
        // The server is none the worse for it.
        push_template(&env, "acme/fine", "{% for a in range(100) %}.{% endfor %}{{ body }}", json!({})).await;
        let fine = render(&env, "acme/fine:1.0.0", json!({ "input": { "body": "{{ 7 * 7 }}" } })).await.value();
        assert_eq!(fine["messages"][0]["content"], format!("{}{{{{ 7 * 7 }}}}", ".".repeat(100)), "text of the input is data");
    }

    async fn a_prompts_own_schemas_are_the_contract_and_give_defaults(env: Env) {
        env.namespace("acme").await;
        let input = json!({
            "type": "object",
            "properties": { "body": { "type": "string" }, "tone": { "type": "string", "default": "kind" } },
            "required": ["body"],
        });
        let messages = json!([{ "role": "user", "content": "{{ tone }}: {{ body }}" }]);
        let prompt = format!("gradus: prompt/v1\nmessages: {messages}\ninput: {input}\noutput: {{type: string}}\n");
        let file = files::upload(&env, "acme/x", "a.prompt.yaml", prompt.as_bytes()).await;
        let pushed = files::push(&env, "acme/x", vec![file], json!({})).await;
        assert!(pushed.text().contains("contract from the prompt's own"), "{}", pushed.text());
        for (input, expected) in [(json!({ "body": "b" }), "kind: b"), (json!({ "body": "b", "tone": "curt" }), "curt: b")] {
            let rendered = render(&env, "acme/x:latest", json!({ "input": input })).await.value();
            assert_eq!(rendered["messages"][0]["content"], expected);
            assert!(rendered["response_format"].is_null());
        }
        assert_eq!(render(&env, "acme/x:latest", json!({ "input": { "body": 1 } })).await.code(), "input_invalid");

        let prompty = files::upload(&env, WORKLOAD, "triage.prompty", &files::read("prompts/triage.prompty")).await;
        files::push(&env, WORKLOAD, vec![prompty], json!({ "contract": files::contract() })).await;
        let rendered = render(&env, &format!("{WORKLOAD}:1.0.0"), json!({ "input": ticket() })).await;
        assert_eq!(rendered.status.as_u16(), 200, "{}", rendered.text());
        let messages = rendered.value()["messages"].clone();
        assert!(messages[5]["content"].as_str().unwrap().contains("I cannot log in"), "{messages}");
    }
}
