//! What versions are made of, and what is made of them.

use crate::harness::{Env, backends, files, home::Home, session::sql};
use gradus::{
    model::{
        access::{Role, Scope},
        digest::Digest,
    },
    ops::lineage::index::catch_up,
};
use serde_json::{Value, json};

pub const LLAMA: &str = "hf:org/llama@0123456789012345678901234567890123456789";

pub fn data() -> Digest {
    Digest::sha256(b"tickets")
}

/// Pushes an adapter; `more` is merged into the request.
pub async fn push_adapter(env: &Env, workload: &str, fill: u8, more: Value) -> Value {
    let config = json!({ "peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"],
        "base_model_name_or_path": "org/llama", "revision": null });
    let files = vec![
        files::upload(env, workload, "adapter_config.json", config.to_string().as_bytes()).await,
        files::upload(env, workload, "adapter_model.safetensors", &files::safetensors(fill)).await,
    ];
    pushed(files::push(env, workload, files, more).await)
}

pub async fn push_weights(env: &Env, workload: &str, fill: u8, more: Value) -> Value {
    let file = files::upload(env, workload, "model.safetensors", &files::safetensors(fill)).await;
    pushed(files::push(env, workload, vec![file], more).await)
}

pub fn pushed(answer: crate::harness::Answer) -> Value {
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.value()["version"].clone()
}

pub fn at(version: &Value) -> String {
    format!("{}@{}", version["workload"].as_str().unwrap(), version["digest"].as_str().unwrap())
}

/// Prompt, adapter with it, weights that it was merged into: each in a workload of its own. Digests of the last two.
pub async fn chain(env: &Env) -> (Value, Value) {
    env.namespace("acme").await;
    files::push_prompt(env, "acme/p", "one", json!({})).await;
    let prompt = files::upload(env, "acme/a", "a.prompt.yaml", &files::prompt("one")).await;
    let more =
        json!({ "base": LLAMA, "prompt": prompt, "datasets": [{ "name": "tickets", "digest": data() }] });
    let adapter = push_adapter(env, "acme/a", 1, more).await;
    let merged = push_weights(env, "acme/m", 2, json!({ "base": at(&adapter) })).await;
    (adapter, merged)
}

pub async fn found(env: &Env, token: &str, query: &str) -> Vec<String> {
    let page = env.get(&format!("/v1/find?{query}")).token(token).expect(200).await.value();
    let name =
        |it: &Value| format!("{}:{}", it["workload"].as_str().unwrap(), it["version"].as_str().unwrap());
    page["items"].as_array().unwrap().iter().map(name).collect()
}

pub fn escaped(text: &str) -> String {
    text.replace('@', "%40").replace(':', "%3A").replace('/', "%2F")
}

/// The nodes of a tree by name, sorted.
pub fn names(tree: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        tree["nodes"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// The edges of a tree: from, relation, to.
fn edges(tree: &Value) -> Vec<String> {
    let name = |at: &Value| tree["nodes"][at.as_u64().unwrap() as usize]["name"].as_str().unwrap().to_owned();
    let edge = |it: &Value| {
        format!("{} {} {}", name(&it["from"]), it["relation"].as_str().unwrap(), name(&it["to"]))
    };
    let mut edges: Vec<String> = tree["edges"].as_array().unwrap().iter().map(edge).collect();
    edges.sort();
    edges
}

pub async fn lineage(env: &Env, token: &str, path: &str) -> Value {
    env.get(path).token(token).expect(200).await.value()
}

pub const OPEN: &str = "gradus: policy/v1\nrules:
  prompt: { staging: { skip: true, gates: [] }, production: { skip: true, gates: [] } }
  adapter: { staging: { skip: true, gates: [] }, production: { skip: true, gates: [] } }
  weights: { staging: { skip: true, gates: [] }, production: { skip: true, gates: [] } }\n";

pub async fn promote(env: &Env, workload: &str, version: &str, more: Value) -> Value {
    let mut body = json!({ "version": version });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let path = format!("/v1/workloads/{workload}/stages/production/promote");
    env.call("POST", &path).json(body).expect(200).await.value()
}

pub async fn quarantine(env: &Env, token: &str, body: Value) -> crate::harness::Answer {
    env.call("POST", "/v1/quarantines").token(token).json(body).send().await
}

backends! {
    async fn the_ladder_is_told_up_and_down(env: Env) {
        let (adapter, merged) = chain(&env).await;
        env.policy(OPEN).await;
        promote(&env, "acme/m", "1.0.0", json!({})).await;
        let report = json!({ "version": "production", "status": "running" });
        env.call("PUT", "/v1/workloads/acme/m/deployments/eu-1").json(report).expect(200).await;

        let both = lineage(&env, &env.admin, "/v1/workloads/acme/a/versions/1.0.0/lineage").await;
        let digest = data();
        assert_eq!(edges(&both["up"]), ["acme/p:1.0.0 prompt acme/a:1.0.0".to_owned(), format!("{LLAMA} base acme/a:1.0.0"), "tickets dataset acme/a:1.0.0".into()]);
        let dataset = both["up"]["nodes"].as_array().unwrap().iter().find(|it| it["name"] == "tickets").unwrap();
        assert_eq!(dataset["digest"], json!(digest));
        assert_eq!(edges(&both["down"]), ["acme/a:1.0.0 base acme/m:1.0.0"]);
        let top = &both["down"]["nodes"][1];
        assert!(top["readers"].is_null(), "{top}");
        assert_eq!((&top["version"]["stages"], &top["version"]["targets"], &top["running_on"]), (&json!(["dev", "production"]), &json!(1), &json!(["eu-1"])), "{top}");
        assert_eq!(top["digest"], merged["digest"]);

        let up = lineage(&env, &env.admin, "/v1/workloads/acme/m/versions/1.0.0/lineage?direction=up").await;
        assert!(up["down"].is_null());
        assert_eq!(names(&up["up"]), ["acme/a:1.0.0", "acme/m:1.0.0", "acme/p:1.0.0", LLAMA, "tickets"]);
        assert_eq!(up["up"]["nodes"][0]["name"], "acme/m:1.0.0", "it begins where it was asked");
        let one = lineage(&env, &env.admin, "/v1/workloads/acme/m/versions/1.0.0/lineage?direction=up&depth=1").await;
        assert_eq!((names(&one["up"]), &one["up"]["cut"]), (vec!["acme/a:1.0.0".to_owned(), "acme/m:1.0.0".into()], &json!(true)));

        let hit = ["acme/a:1.0.0".to_owned(), "acme/m:1.0.0".into()];
        for query in [
            format!("base={}", escaped(LLAMA)),
            "base=hf%3Aorg%2Fllama".into(),
            "base=org%2Fllama".into(),
            "dataset=tickets".into(),
            format!("dataset={}", escaped(digest.as_str())),
            format!("file={}", escaped(Digest::sha256(&files::safetensors(1)).as_str())),
            format!("base={}", escaped(Digest::sha256(&files::safetensors(1)).as_str())),
            format!("base={}", escaped(adapter["digest"].as_str().unwrap())),
        ] {
            let down = lineage(&env, &env.admin, &format!("/v1/lineage?{query}")).await["down"].clone();
            let versions: Vec<String> = names(&down).into_iter().filter(|name| hit.contains(name)).collect();
            assert_eq!((versions, &down["versions"], &down["workloads"], &down["cut"]), (hit.to_vec(), &json!(2), &json!(2), &json!(false)), "{query}: {down}");
        }
        let one = lineage(&env, &env.admin, "/v1/lineage?dataset=tickets&depth=1").await["down"].clone();
        assert_eq!((names(&one), &one["cut"]), (vec!["acme/a:1.0.0".to_owned(), "tickets".into()], &json!(true)));
        let prompt = lineage(&env, &env.admin, "/v1/workloads/acme/p/versions/1.0.0/lineage?direction=down").await;
        assert_eq!(edges(&prompt["down"]), ["acme/a:1.0.0 base acme/m:1.0.0", "acme/p:1.0.0 prompt acme/a:1.0.0"]);
    }

    async fn what_a_prompt_was_measured_on_does_not_come_along_with_its_text(env: Env) {
        env.namespace("acme").await;
        let prompt = files::push_prompt(&env, "acme/p", "one", json!({ "base": "hf:org/small@abc" })).await;
        assert_eq!(prompt.status, 201);
        let file = files::upload(&env, "acme/a", "a.prompt.yaml", &files::prompt("one")).await;
        push_adapter(&env, "acme/a", 1, json!({ "base": LLAMA, "prompt": file })).await;
        let down = lineage(&env, &env.admin, "/v1/lineage?base=hf%3Aorg%2Fsmall").await["down"].clone();
        assert_eq!(names(&down), ["acme/p:1.0.0", "org/small"]);
        let set = quarantine(&env, &env.admin, json!({ "base": "hf:org/small", "reason": "withdrawn" })).await.value();
        assert_eq!(set["hits"], 1);
        env.policy(OPEN).await;
        assert_eq!(promote(&env, "acme/a", "1.0.0", json!({})).await["state"], "promoted");
        assert_eq!(promote(&env, "acme/p", "1.0.0", json!({})).await["state"], "refused");
    }

    async fn the_same_weights_and_circles_are_no_trouble(env: Env) {
        env.namespace("acme").await;
        let first = push_weights(&env, "acme/m", 1, json!({ "base": LLAMA })).await;
        // The same weights with another template, whose base nobody named; and one that names the first one's file.
        let prompt = files::upload(&env, "acme/n", "a.prompt.yaml", &files::prompt("one")).await;
        push_weights(&env, "acme/n", 1, json!({ "prompt": prompt })).await;
        let file = Digest::sha256(&files::safetensors(1));
        push_weights(&env, "acme/o", 2, json!({ "base": file })).await;
        push_weights(&env, "acme/q", 2, json!({ "base": at(&first) })).await;
        let down = lineage(&env, &env.admin, "/v1/lineage?base=hf%3Aorg%2Fllama").await["down"].clone();
        assert_eq!(down["versions"], 4, "{down}");
        let up = lineage(&env, &env.admin, "/v1/workloads/acme/n/versions/1.0.0/lineage?direction=up").await["up"].clone();
        assert!(names(&up).contains(&LLAMA.to_owned()), "whoever has the weights has their base: {up}");
        let set = quarantine(&env, &env.admin, json!({ "reference": "acme/m:1.0.0", "reason": "poisoned" })).await.value();
        assert_eq!((set["hits"].as_i64(), set["reference"].as_str()), (Some(4), Some("acme/m:1.0.0")), "{set}");
    }

    async fn versions_are_found_by_each_thing_they_have(env: Env) {
        chain(&env).await;
        env.namespace("beta").await;
        let unsafe_file = files::upload(&env, "beta/x", "model.bin", b"\x80\x02cos\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03.").await;
        pushed(files::push(&env, "beta/x", vec![unsafe_file], json!({ "base": LLAMA })).await);
        let card = json!({ "gradus": "model_card/v1", "parts": { "license": " Apache-2.0 " } }).to_string();
        for (workload, version) in [("acme/a", "1.0.0"), ("beta/x", "1.0.0")] {
            let path = format!("/v1/workloads/{workload}/versions/{version}/evidence");
            env.call("POST", &path).body(card.clone()).expect(200).await;
        }
        let admin = &env.admin;
        assert_eq!(found(&env, admin, "base=hf%3Aorg%2Fllama").await, ["acme/a:1.0.0", "beta/x:1.0.0"]);
        assert_eq!(found(&env, admin, &format!("base={}", escaped(LLAMA))).await, ["acme/a:1.0.0", "beta/x:1.0.0"]);
        assert_eq!(found(&env, admin, "dataset=tickets").await, ["acme/a:1.0.0"]);
        assert_eq!(found(&env, admin, "licence=APACHE-2.0").await, ["acme/a:1.0.0", "beta/x:1.0.0"]);
        assert_eq!(found(&env, admin, "flag=pickle").await, ["beta/x:1.0.0"]);
        assert_eq!(found(&env, admin, "flag=unsafe&licence=apache-2.0&base=hf%3Aorg%2Fllama").await, ["beta/x:1.0.0"]);
        assert_eq!(found(&env, admin, "flag=pickle&dataset=tickets").await, [""; 0], "all must hold");
        let file = Digest::sha256(&files::safetensors(2));
        assert_eq!(found(&env, admin, &format!("file={}", escaped(file.as_str()))).await, ["acme/m:1.0.0"]);
        let template = Digest::sha256(&files::prompt("one"));
        assert_eq!(found(&env, admin, &format!("file={}", escaped(template.as_str()))).await, ["acme/a:1.0.0", "acme/p:1.0.0"]);
        // The newest card counts.
        let other = json!({ "gradus": "model_card/v1", "parts": { "license": "mit" } }).to_string();
        env.call("POST", "/v1/workloads/acme/a/versions/1.0.0/evidence").body(other).expect(200).await;
        assert_eq!(found(&env, admin, "licence=apache-2.0").await, ["beta/x:1.0.0"]);
        assert_eq!(found(&env, admin, "licence=mit").await, ["acme/a:1.0.0"]);

        // Only what the caller may read, whoever they are.
        let ada = env.person("ada", "acme", Role::Reader).await;
        assert_eq!(found(&env, &ada, "base=hf%3Aorg%2Fllama").await, ["acme/a:1.0.0"]);
        assert_eq!(found(&env, &ada, "flag=pickle").await, [""; 0]);
        let eve = env.person("eve", "beta", Role::Reader).await;
        assert_eq!(found(&env, &eve, "base=hf%3Aorg%2Fllama").await, ["beta/x:1.0.0"]);
        let bob = env.person("bob", "*", Role::Auditor).await;
        assert_eq!(found(&env, &bob, "base=hf%3Aorg%2Fllama").await.len(), 2);
        let narrow = env.token("bob", Scope { namespaces: vec!["beta".parse().unwrap()], roles: vec![] }).await;
        assert_eq!(found(&env, &narrow, "base=hf%3Aorg%2Fllama").await, ["beta/x:1.0.0"]);
        // What may not be read hides what is made of it, and is named as its digest only.
        let (_, seen) = (env.namespace("gamma").await, env.person("gina", "gamma", Role::Contributor).await);
        let hidden = env.get("/v1/workloads/acme/a/versions/1.0.0").expect(200).await.value()["digest"].as_str().unwrap().to_owned();
        push_weights(&env, "gamma/x", 5, json!({ "base": hidden })).await;
        let down = lineage(&env, &seen, "/v1/lineage?base=hf%3Aorg%2Fllama").await["down"].clone();
        assert_eq!((down["versions"].as_u64(), names(&down)), (Some(0), vec!["org/llama".to_owned()]));
        let up = lineage(&env, &seen, "/v1/workloads/gamma/x/versions/1.0.0/lineage?direction=up").await["up"].clone();
        assert_eq!(names(&up), ["gamma/x:1.0.0".to_owned(), hidden]);
    }

    async fn pages_go_on_where_they_ended_and_end(env: Env) {
        for namespace in ["aa", "bb", "cc", "dd"] {
            env.namespace(namespace).await;
            for number in 0..3 {
                let more = json!({ "base": "hf:org/common", "datasets": [{ "name": format!("{}", number % 2), "digest": data() }] });
                files::push_prompt(&env, &format!("{namespace}/x"), &format!("text {number}"), more).await;
            }
        }
        let ada = env.person("ada", "bb", Role::Reader).await;
        env.person("ada", "dd", Role::Reader).await;
        for (token, all) in [(&env.admin, 12), (&ada, 6)] {
            for (query, part) in [("base=hf%3Aorg%2Fcommon", all), ("base=hf%3Aorg%2Fcommon&dataset=1", all / 3)] {
                for limit in [1, 2, 3, 5, 12, 1000] {
                    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
                    loop {
                        let page = env.get(&format!("/v1/find?{query}&limit={limit}{cursor}")).token(token).expect(200).await.value();
                        let items = page["items"].as_array().unwrap();
                        assert!(items.len() <= limit, "{page}");
                        seen.extend(items.iter().map(|it| format!("{}:{}", it["workload"].as_str().unwrap(), it["version"].as_str().unwrap())));
                        pages += 1;
                        match page["next"].as_str() {
                            Some(next) => {
                                assert!(token == &env.admin || !next.starts_with("aa") && !next.starts_with("cc"), "{next}");
                                cursor = format!("&cursor={}", escaped(next));
                            }
                            None => break,
                        }
                        assert!(pages < 50, "it does not end");
                    }
                    let mut once = seen.clone();
                    once.sort();
                    once.dedup();
                    assert_eq!((once.len(), seen.len()), (part, part), "{query} {limit}: {seen:?}");
                }
            }
        }
    }

    async fn bad_questions_have_codes_of_their_own(env: Env) {
        chain(&env).await;
        for (path, code) in [
            ("/v1/find", "find_nothing"),
            ("/v1/find?relation=base", "query_unknown"),
            ("/v1/find?flag=picle", "flag_unknown"),
            ("/v1/find?file=abc", "digest_invalid"),
            ("/v1/find?base=", "lineage_invalid"),
            ("/v1/find?base=sha256:00", "digest_invalid"),
            ("/v1/find?licence=%0A", "lineage_invalid"),
            ("/v1/find?dataset=a%00b", "lineage_invalid"),
            ("/v1/find?flag=pickle&cursor=x", "cursor_invalid"),
            ("/v1/find?flag=pickle&cursor=..%2Fx:1", "cursor_invalid"),
            ("/v1/find?flag=pickle&limit=0", "limit_invalid"),
            ("/v1/lineage", "lineage_of"),
            ("/v1/lineage?base=a&dataset=b", "lineage_of"),
            ("/v1/lineage?base=a&depth=33", "depth_invalid"),
            ("/v1/lineage?base=a&depth=0", "depth_invalid"),
            ("/v1/workloads/acme/a/versions/1.0.0/lineage?direction=sideways", "query_invalid"),
        ] {
            let refused = env.get(path).expect(400).await;
            assert_eq!(refused.code(), code, "{path}");
        }
        assert_eq!(env.get("/v1/workloads/acme/a/versions/9.0.0/lineage").expect(404).await.code(), "version_unknown");
        for (body, status, code) in [
            (json!({ "reason": "r" }), 400, "quarantine_of"),
            (json!({ "base": "a", "file": data(), "reason": "r" }), 400, "quarantine_of"),
            (json!({ "reference": "acme/a:1.0.0", "base": "a", "reason": "r" }), 400, "quarantine_of"),
            (json!({ "base": "a", "reason": " " }), 400, "reason_missing"),
            (json!({ "base": "a" }), 400, "body_invalid"),
            (json!({ "file": "abc", "reason": "r" }), 400, "digest_invalid"),
            (json!({ "base": "a", "reason": "r".repeat(1001) }), 400, "text_invalid"),
            (json!({ "reference": "acme", "reason": "r" }), 400, "name_invalid"),
            (json!({ "reference": "acme/a:9.0.0", "reason": "r" }), 404, "version_unknown"),
        ] {
            let refused = quarantine(&env, &env.admin, body.clone()).await;
            assert_eq!((refused.status.as_u16(), refused.code()), (status, code.to_owned()), "{body}");
        }
        let clear = |body: Value| env.call("POST", "/v1/quarantines/clear").json(body);
        assert_eq!(clear(json!({ "base": "a", "reason": "r" })).expect(404).await.code(), "quarantine_unknown");
    }

    async fn what_was_there_before_is_recorded_later_and_once(env: Env) {
        chain(&env).await;
        let rows = sql(&env, "UPDATE lineage SET value = value").await;
        sql(&env, "DELETE FROM lineage").await;
        sql(&env, "UPDATE repositories SET lineage_to = 0").await;
        // A replica that knows of it goes on making versions meanwhile.
        push_weights(&env, "acme/m", 9, json!({ "base": LLAMA })).await;
        let replica = if env.backend.is_postgres() { Some(env.replica().await) } else { None };
        let other = replica.as_ref().unwrap_or(&env);
        assert!(!catch_up(&env.cx, 1).await.unwrap(), "some at a time");
        let both = tokio::join!(catch_up(&env.cx, 100), catch_up(&other.cx, 100));
        assert!(both.0.unwrap() && both.1.unwrap());
        assert_eq!(found(&env, &env.admin, "base=hf%3Aorg%2Fllama").await, ["acme/a:1.0.0", "acme/m:1.0.1"]);
        let again = sql(&env, "UPDATE lineage SET value = value").await;
        assert_eq!(again, rows + 5, "all that was there, and the base by each of its names and the file of the new one");
        // Whoever asks does not get half of it.
        sql(&env, "DELETE FROM lineage").await;
        sql(&env, "UPDATE repositories SET lineage_to = 0").await;
        assert_eq!(found(&env, &env.admin, "dataset=tickets").await, ["acme/a:1.0.0"]);
    }
}

#[test]
fn one_command_says_what_is_hit_and_where_it_runs() {
    let home = Home::new();
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let lora = files::example("lora");
    home.run(&["push", lora.to_str().unwrap(), "--to", "acme/y", "--base", LLAMA]).expect(0);
    let done = home.run(&["lineage", "--base", "hf:org/llama", "--down"]).expect(0);
    assert!(done.stdout.contains("  base: acme/y:1.0.0 adapter sha256:"), "{}", done.stdout);
    assert!(
        done.stdout.ends_with(
            "1 version in 1 workload; in dev: acme/y:1.0.0; running nowhere, as far as was reported\n"
        ),
        "{}",
        done.stdout
    );
    let dot = home.run(&["lineage", "acme/y:1.0.0", "--dot"]).expect(0);
    assert!(
        dot.stdout.starts_with("digraph lineage {\n")
            && dot.stdout.contains(" -> \"version acme/y:1.0.0\" [label=\"base\"];"),
        "{}",
        dot.stdout
    );
    let found = home.run(&["find", "--base", "hf:org/llama", "--json"]).expect(0);
    assert_eq!(serde_json::from_str::<Value>(&found.stdout).unwrap()[0]["version"], "1.0.0");
    let set = home.run(&["quarantine", "set", "--base", "hf:org/llama", "-m", "backdoor"]).expect(0);
    assert!(
        set.stderr.contains("it hits 1 version") && set.stderr.contains("lineage --base org/llama --down"),
        "{}",
        set.stderr
    );
    assert!(home.run(&["quarantine", "list"]).expect(0).stdout.contains("base org/llama"));
    let refused = home.run(&["promote", "acme/y:1.0.0", "--to", "staging"]).expect(3);
    assert!(refused.stdout.contains("FAIL  not_quarantined"), "{}", refused.stdout);
    assert!(home.run(&["show", "acme/y:1.0.0"]).expect(0).stdout.contains("backdoor"));
    home.run(&["quarantine", "clear", "--base", "hf:org/llama", "-m", "it was another one"]).expect(0);
    for usage in [
        &["find"][..],
        &["lineage"],
        &["lineage", "--base", "x", "--up"],
        &["lineage", "acme/y:1.0.0", "--depth", "33"],
        &["lineage", "acme/y:1.0.0", "--dot", "--json"],
        &["quarantine", "set", "-m", "r"],
        &["quarantine", "set", "acme/y:1.0.0", "--base", "x", "-m", "r"],
        &["quarantine", "set", "--base", "x"],
    ] {
        home.run(usage).expect(2);
    }
    home.run(&["find", "--flag", "picle"]).expect(1);
}

backends! {
    async fn who_read_what_is_hit_is_told_to_auditors(env: Env) {
        chain(&env).await;
        let ada = env.person("ada", "acme", Role::Reader).await;
        env.get("/v1/workloads/acme/m/resolve/1.0.0").token(&ada).expect(200).await;
        let path = format!("/v1/lineage?base={}", escaped(LLAMA));
        let readers = |tree: &Value| {
            let nodes = tree["down"]["nodes"].as_array().unwrap().clone();
            nodes.into_iter().find(|it| it["name"] == "acme/m:1.0.0").unwrap()["readers"].clone()
        };
        assert_eq!(readers(&lineage(&env, &env.admin, &path).await), json!(["ada"]));
        assert!(readers(&lineage(&env, &ada, &path).await).is_null(), "a reader learns nothing of others");
    }

    async fn versions_are_found_by_who_answers_for_them(env: Env) {
        chain(&env).await;
        env.namespace("other").await;
        for number in 0..3 {
            files::push_prompt(&env, "other/p", &format!("p{number}"), json!({})).await;
        }
        for workload in ["acme/a", "acme/m", "other/p"] {
            env.call("PATCH", &format!("/v1/workloads/{workload}/card")).json(json!({ "owner": "team a" })).expect(200).await;
        }
        let ada = env.person("ada", "other", Role::Reader).await;
        let all = ["acme/a:1.0.0", "acme/m:1.0.0", "other/p:1.0.0", "other/p:1.0.1", "other/p:1.0.2"];
        assert_eq!(found(&env, &env.admin, "owner=team%20a").await, all);
        assert_eq!(found(&env, &ada, "owner=team%20a").await, all[2..]);
        assert!(found(&env, &env.admin, "owner=team%20b").await.is_empty());
        assert_eq!(found(&env, &env.admin, &format!("owner=team%20a&base={}", escaped(LLAMA))).await, ["acme/a:1.0.0"]);
        // Page by page it is the same.
        for limit in 1..5 {
            let (mut names, mut cursor) = (Vec::new(), String::new());
            for _ in 0..10 {
                let page = env.get(&format!("/v1/find?owner=team%20a&limit={limit}{cursor}")).expect(200).await.value();
                let items = page["items"].as_array().unwrap();
                assert!(items.len() <= limit, "{page}");
                names.extend(items.iter().map(|it| format!("{}:{}", it["workload"].as_str().unwrap(), it["version"].as_str().unwrap())));
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={}", escaped(next)),
                    None => break,
                }
            }
            assert_eq!(names, all, "{limit}");
        }
        assert_eq!(env.get("/v1/find?owner=").send().await.code(), "owner_invalid");
    }
}
