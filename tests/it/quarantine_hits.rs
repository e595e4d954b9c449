//! What a quarantine hits, and what it does not.

use crate::{
    harness::{Env, backends, files},
    lineage::{
        LLAMA, OPEN, at, chain, data, escaped, found, lineage, names, promote, push_adapter, push_weights,
        pushed, quarantine,
    },
};
use gradus::model::{access::Role, digest::Digest};
use serde_json::{Value, json};

async fn warnings(env: &Env, workload: &str) -> String {
    let resolved = env.get(&format!("/v1/workloads/{workload}/resolve/1.0.0")).expect(200).await.value();
    resolved["warnings"].to_string()
}

async fn set(env: &Env, body: Value) -> Value {
    let answer = quarantine(env, &env.admin, body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.value()
}

backends! {
    async fn any_of_many_files_counts(env: Env) {
        const MANY: u64 = 150;
        env.namespace("acme").await;
        let file = |number: u64| files::noise(number + 1, 1024);
        let mut all = Vec::new();
        for number in 0..MANY {
            all.push(files::upload(&env, "acme/many", &format!("part-{number}.dat"), &file(number)).await);
        }
        pushed(files::push(&env, "acme/many", all, json!({})).await);
        for (workload, number) in [("acme/first", 0), ("acme/last", MANY - 1), ("acme/other", MANY)] {
            let one = files::upload(&env, workload, "a.dat", &file(number)).await;
            pushed(files::push(&env, workload, vec![one], json!({})).await);
        }
        assert_eq!(set(&env, json!({ "reference": "acme/other:1.0.0", "reason": "other" })).await["hits"], 1);
        assert_eq!(warnings(&env, "acme/many").await, "[]");
        for workload in ["acme/first", "acme/last"] {
            set(&env, json!({ "reference": format!("{workload}:1.0.0"), "reason": "bad" })).await;
            assert!(warnings(&env, "acme/many").await.contains(&format!("{workload}:1.0.0: bad")), "{workload}");
        }
    }

    async fn what_cannot_be_followed_is_hit(env: Env) {
        chain(&env).await;
        sql_of_many(&env).await;
        assert_eq!(warnings(&env, "acme/m").await, "[]", "while nothing is in quarantine");
        set(&env, json!({ "dataset": "elsewhere", "reason": "r" })).await;
        assert!(warnings(&env, "acme/m").await.contains("more than can be followed"));
        assert_eq!(warnings(&env, "acme/a").await, "[]");
        env.policy(OPEN).await;
        assert_eq!(promote(&env, "acme/m", "1.0.0", json!({})).await["state"], "refused");
    }

    async fn what_was_purged_is_traced_and_put_in_quarantine(env: Env) {
        let (adapter, _) = chain(&env).await;
        push_adapter(&env, "acme/a", 3, json!({ "base": LLAMA })).await;
        for who in ["ada", "bob"] {
            let admin = env.person(who, "acme", Role::Admin).await;
            let path = "/v1/workloads/acme/a/versions/1.0.0/purge";
            let asked = env.call("POST", path).token(&admin).json(json!({ "reason": "a name is in it" })).send().await;
            assert!(asked.status.is_success(), "{}", asked.text());
        }
        let up = lineage(&env, &env.admin, "/v1/workloads/acme/m/versions/1.0.0/lineage?direction=up").await["up"].clone();
        assert!(["acme/a:1.0.0", "tickets"].iter().all(|name| names(&up).contains(&(*name).to_owned())), "{up}");
        let own = lineage(&env, &env.admin, "/v1/workloads/acme/a/versions/1.0.0/lineage").await;
        assert!(names(&own["down"]).contains(&"acme/m:1.0.0".to_owned()), "{own}");
        let page = env.get("/v1/find?dataset=tickets").expect(200).await.value();
        assert_eq!((&page["items"][0]["purged"], &page["items"][0]["yanked"]), (&json!(true), &json!(false)), "{page}");
        let of = json!({ "reference": at(&adapter), "reason": "leaks" });
        assert_eq!(set(&env, of.clone()).await["hits"], 2);
        assert!(warnings(&env, "acme/m").await.contains("leaks"));
        env.call("POST", "/v1/quarantines/clear").json(of).expect(200).await;
        assert_eq!(warnings(&env, "acme/m").await, "[]");
    }

    async fn a_base_that_comes_later_is_the_base(env: Env) {
        env.namespace("acme").await;
        push_weights(&env, "acme/m", 1, json!({ "base": "acme/a:1.0.0" })).await;
        push_weights(&env, "acme/n", 2, json!({ "base": "acme/a:1.0.1" })).await;
        let base = push_weights(&env, "acme/a", 3, json!({})).await;
        let digest = escaped(base["digest"].as_str().unwrap());
        assert_eq!(found(&env, &env.admin, &format!("base={digest}")).await, ["acme/m:1.0.0"]);
        let down = lineage(&env, &env.admin, "/v1/workloads/acme/a/versions/1.0.0/lineage?direction=down").await["down"].clone();
        assert_eq!(names(&down), ["acme/a:1.0.0", "acme/m:1.0.0"]);
        assert_eq!(set(&env, json!({ "reference": "acme/a:1.0.0", "reason": "bad" })).await["hits"], 2);
        assert!(warnings(&env, "acme/m").await.contains("bad"));
        assert_eq!(warnings(&env, "acme/n").await, "[]");
    }

    async fn a_model_is_the_same_with_and_without_its_hub(env: Env) {
        env.namespace("acme").await;
        for (number, base) in ["org/llama", "hf:org/llama", "org/llama@abc", LLAMA].into_iter().enumerate() {
            push_weights(&env, &format!("acme/m{number}"), u8::try_from(number).unwrap(), json!({ "base": base })).await;
        }
        for name in ["org/llama", "hf:org/llama"] {
            assert_eq!(found(&env, &env.admin, &format!("base={}", escaped(name))).await.len(), 4, "{name}");
        }
        assert_eq!(set(&env, json!({ "base": "hf:org/llama", "reason": "backdoor" })).await["hits"], 4);
        assert!(warnings(&env, "acme/m0").await.contains("backdoor"));
        let again = quarantine(&env, &env.admin, json!({ "base": "org/llama", "reason": "r" })).await;
        assert_eq!(again.code(), "quarantine_stands");
    }

    async fn what_others_say_of_the_same_file_does_not_count(env: Env) {
        for namespace in ["acme", "evil"] {
            env.namespace(namespace).await;
        }
        push_weights(&env, "acme/m", 1, json!({})).await;
        push_weights(&env, "evil/x", 1, json!({ "base": "hf:org/bad", "datasets": [{ "name": "poison", "digest": data() }] })).await;
        for body in [json!({ "dataset": "poison", "reason": "r" }), json!({ "base": "hf:org/bad", "reason": "r" })] {
            assert_eq!(set(&env, body).await["hits"], 1);
        }
        assert_eq!(warnings(&env, "acme/m").await, "[]");
        assert_ne!(warnings(&env, "evil/x").await, "[]");
        // In one's own namespace it does, and whoever is the same as what is bad is bad.
        push_weights(&env, "acme/n", 1, json!({ "datasets": [{ "name": "leaked", "digest": Digest::sha256(b"leaked") }] })).await;
        assert_eq!(set(&env, json!({ "dataset": "leaked", "reason": "ours" })).await["hits"], 2);
        assert!(warnings(&env, "acme/m").await.contains("ours"));
        assert_eq!(set(&env, json!({ "reference": "evil/x:1.0.0", "reason": "a secret of theirs" })).await["hits"], 3);
        let said = warnings(&env, "acme/m").await;
        assert!(said.contains("a version that it is made from") && !said.contains("theirs"), "{said}");
    }

    async fn a_licence_in_common_makes_nobody_the_same(env: Env) {
        env.namespace("acme").await;
        let licence = "As is. ".repeat(500);
        for (workload, seed) in [("acme/a", 1), ("acme/b", 2)] {
            let all = vec![
                files::upload(&env, workload, "LICENSE", licence.as_bytes()).await,
                files::upload(&env, workload, "model.dat", &files::noise(seed, 2048)).await,
                files::upload(&env, workload, "empty.dat", b"0").await,
            ];
            pushed(files::push(&env, workload, all, json!({})).await);
        }
        assert_eq!(set(&env, json!({ "reference": "acme/a:1.0.0", "reason": "bad" })).await["hits"], 1);
        assert_eq!(warnings(&env, "acme/b").await, "[]");
    }

    async fn those_who_are_hit_are_told(env: Env) {
        let (adapter, _) = chain(&env).await;
        env.namespace("beta").await;
        env.namespace("gamma").await;
        push_weights(&env, "beta/m", 3, json!({ "base": at(&adapter) })).await;
        let eve = env.person("eve", "beta", Role::Auditor).await;
        let gina = env.person("gina", "gamma", Role::Auditor).await;
        set(&env, json!({ "reference": "acme/a:1.0.0", "reason": "leaks" })).await;
        let told = async |token: &str, of: &str| env.get(&format!("/v1/events?kind=quarantine_set{of}")).token(token).expect(200).await.value()["items"].clone();
        let theirs = told(&eve, "&namespace=beta").await;
        assert_eq!(theirs.as_array().unwrap().len(), 1, "{theirs}");
        let data = &theirs[0]["data"];
        assert_eq!((&data["scope"], &data["hits"], &data["workload"]), (&json!("beta"), &json!(1), &Value::Null));
        assert!(!theirs.to_string().contains("acme") && !theirs.to_string().contains("leaks"), "{theirs}");
        assert_eq!(told(&gina, "&namespace=gamma").await, json!([]), "who is not hit is not told");
        let all = told(&env.admin, "").await;
        let scopes: Vec<(&str, i64)> = all.as_array().unwrap().iter().map(|it| (it["data"]["scope"].as_str().unwrap(), it["data"]["hits"].as_i64().unwrap())).collect();
        assert_eq!(scopes, [("*", 3), ("acme", 2), ("beta", 1)]);
    }

    async fn files_are_kept_back_too_where_pulls_are_refused(env: Env) {
        env.namespace("acme").await;
        env.namespace("beta").await;
        push_weights(&env, "acme/m", 1, json!({})).await;
        let file = Digest::sha256(&files::safetensors(1));
        let mount = async |to: &str| {
            env.call("POST", &format!("/v2/{to}/blobs/uploads/?mount={file}&from=acme%2Fm")).send().await.status.as_u16()
        };
        assert_eq!(mount("beta/a").await, 201);
        let reads = env.get("/v1/reads?workload=acme%2Fm").expect(200).await.value();
        assert_eq!((&reads["items"][0]["how"], &reads["items"][0]["digest"]), (&json!("blob"), &json!(file)), "{reads}");
        set(&env, json!({ "reference": "acme/m:1.0.0", "reason": "bad" })).await;
        env.get(&format!("/v2/acme/m/blobs/{file}")).expect(200).await;
        env.policy("gradus: policy/v1\nquarantine: { pulls: refuse }\n").await;
        assert_eq!(env.get(&format!("/v2/acme/m/blobs/{file}")).expect(403).await.code(), "quarantined");
        assert_eq!(mount("beta/b").await, 202, "the bytes have to be sent");
    }

    async fn one_file_of_many_keeps_back_no_version_without_it(env: Env) {
        env.namespace("acme").await;
        let (shared, bad) = (files::safetensors(1), files::safetensors(2));
        let part = async |name: &str, bytes: &[u8]| files::upload(&env, "acme/m", name, bytes).await;
        pushed(files::push(&env, "acme/m", vec![part("a.safetensors", &shared).await], json!({})).await);
        let both = vec![part("a.safetensors", &shared).await, part("b.safetensors", &bad).await];
        pushed(files::push(&env, "acme/m", both, json!({})).await);
        env.policy("gradus: policy/v1\nquarantine: { pulls: refuse }\n").await;
        let status = async |bytes: &[u8]| {
            let path = format!("/v2/acme/m/blobs/{}", Digest::sha256(bytes));
            env.get(&path).send().await.status.as_u16()
        };
        assert_eq!(set(&env, json!({ "file": Digest::sha256(&bad), "reason": "r" })).await["hits"], 1);
        assert_eq!((status(&shared).await, status(&bad).await), (200, 403), "1.0.0 is not hit, and needs its file");
        assert_eq!(set(&env, json!({ "file": Digest::sha256(&shared), "reason": "r" })).await["hits"], 2);
        assert_eq!((status(&shared).await, status(&bad).await), (403, 403));
    }

    async fn a_file_beside_the_weights_is_kept_back_too(env: Env) {
        env.namespace("acme").await;
        let (weights, code) = (files::safetensors(1), b"import os".to_vec());
        let all = vec![
            files::upload(&env, "acme/m", "a.safetensors", &weights).await,
            files::upload(&env, "acme/m", "modeling.py", &code).await,
        ];
        pushed(files::push(&env, "acme/m", all, json!({})).await);
        env.policy("gradus: policy/v1\nquarantine: { pulls: refuse }\n").await;
        set(&env, json!({ "file": Digest::sha256(&code), "reason": "backdoor" })).await;
        for bytes in [&weights, &code] {
            let path = format!("/v2/acme/m/blobs/{}", Digest::sha256(bytes));
            assert_eq!(env.get(&path).expect(403).await.code(), "quarantined");
        }
    }

    async fn what_a_base_is_is_told_only_to_those_who_may_read_it(env: Env) {
        for namespace in ["acme", "beta"] {
            env.namespace(namespace).await;
        }
        let base = push_weights(&env, "acme/secret", 1, json!({})).await;
        push_weights(&env, "beta/x", 2, json!({ "base": "acme/secret:1.0.0" })).await;
        push_weights(&env, "beta/y", 3, json!({ "base": "acme/secret:1.0.1" })).await;
        let later = push_weights(&env, "acme/secret", 4, json!({})).await;
        assert_eq!(later["version"], "1.0.1");
        let eve = env.person("eve", "beta", Role::Auditor).await;
        for (workload, secret) in [("beta/x", &base), ("beta/y", &later)] {
            let digest = secret["digest"].as_str().unwrap();
            let path = format!("/v1/workloads/{workload}/versions/1.0.0/lineage");
            let seen = lineage(&env, &eve, &path).await;
            assert!(seen.to_string().contains("acme/secret:1.0."), "{seen}");
            assert!(!seen.to_string().contains(digest), "{seen}");
            assert!(lineage(&env, &env.admin, &path).await.to_string().contains(digest));
            let reference = format!("acme/secret:{}", secret["version"].as_str().unwrap());
            assert_eq!(set(&env, json!({ "reference": reference, "reason": "r" })).await["hits"], 2);
            let told = env.get("/v1/events?kind=quarantine_set&namespace=beta").token(&eve).expect(200).await.text();
            assert!(told.contains("quarantine_set") && !told.contains(digest), "{told}");
            assert_ne!(warnings(&env, workload).await, "[]");
        }
    }

    async fn what_cannot_be_read_counts_as_hit(env: Env) {
        let (adapter, _) = chain(&env).await;
        set(&env, json!({ "dataset": "elsewhere", "reason": "r" })).await;
        assert_eq!(warnings(&env, "acme/m").await, "[]");
        crate::harness::session::sql(&env, "DELETE FROM lineage WHERE workload = 'acme/a'").await;
        // As the manifest and the inspection say it.
        push_weights(&env, "acme/n", 9, json!({})).await;
        assert_eq!(warnings(&env, "acme/m").await, "[]", "{adapter}");
        crate::harness::session::sql(&env, "DELETE FROM inspections").await;
        push_weights(&env, "acme/n", 8, json!({})).await;
        for workload in ["acme/a", "acme/m"] {
            assert!(warnings(&env, workload).await.contains("more than can be followed"), "{workload}");
        }
    }

    async fn those_who_are_not_hit_for_want_of_a_word_are_counted(env: Env) {
        for namespace in ["acme", "beta", "gamma"] {
            env.namespace(namespace).await;
        }
        push_weights(&env, "acme/m", 1, json!({ "datasets": [{ "name": "poison", "digest": data() }] })).await;
        push_weights(&env, "beta/copy", 1, json!({})).await;
        push_weights(&env, "gamma/made", 2, json!({ "base": Digest::sha256(&files::safetensors(1)) })).await;
        let told = set(&env, json!({ "dataset": "poison", "reason": "r" })).await;
        assert_eq!((&told["hits"], &told["alike"]), (&json!(1), &json!(2)), "{told}");
        let told = set(&env, json!({ "file": Digest::sha256(&files::safetensors(1)), "reason": "r" })).await;
        assert_eq!((&told["hits"], &told["alike"]), (&json!(3), &json!(0)), "{told}");
        assert!(warnings(&env, "gamma/made").await.contains("file sha256:"));
    }

    async fn what_is_counted_is_what_is_hit(env: Env) {
        for seed in 1..=2 {
            let all = some_of_everything(&env, seed).await;
            let of = all.iter().map(|(workload, _)| json!({ "reference": format!("{workload}:1.0.0") }));
            let own = |number: u8| seed * 10 + number;
            let files = (1..=4).map(|number| Digest::sha256(&files::safetensors(own(number))));
            let files = files.chain((1..=3).map(|number| Digest::sha256(&files::prompt(&own(number).to_string()))));
            let of = of.chain(files.flat_map(|file| [json!({ "file": file }), json!({ "base": file })]));
            let contents = all.iter().map(|(_, digest)| json!({ "base": digest }));
            let named = [json!({ "base": format!("hf:org/bad{seed}") }), json!({ "dataset": format!("poison{seed}") })];
            for mut root in of.chain(contents).chain(named) {
                root["reason"] = json!("r");
                let told = set(&env, root.clone()).await;
                let mut hit = Vec::new();
                for (workload, _) in &all {
                    if warnings(&env, workload).await != "[]" {
                        hit.push(workload);
                    }
                }
                assert_eq!(told["hits"], hit.len(), "seed {seed}: {root} hits {hit:?} of {all:?}");
                env.call("POST", "/v1/quarantines/clear").json(root).expect(200).await;
            }
        }
    }

    async fn an_answer_with_a_warning_is_asked_for_again(env: Env) {
        let (_, merged) = chain(&env).await;
        let path = format!("/v1/workloads/acme/m/resolve/{}", merged["digest"].as_str().unwrap());
        assert!(env.get(&path).expect(200).await.header("cache-control").contains("immutable"));
        set(&env, json!({ "base": LLAMA, "reason": "backdoor" })).await;
        assert_eq!(env.get(&path).expect(200).await.header("cache-control"), "no-cache");
    }
}

/// So many datasets of one version as no push takes.
async fn sql_of_many(env: &Env) {
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30001)
                INSERT INTO lineage (relation, value, workload, sequence, body)
                SELECT 'dataset', 'd' || CAST(i AS TEXT), 'acme/m', 1, 1 = 0 FROM n";
    crate::harness::session::sql(env, many).await;
}

/// Versions of all tiers in two namespaces that have files, bases and datasets in common, as chance will have it: workload and
/// digest of each.
async fn some_of_everything(env: &Env, seed: u8) -> Vec<(String, String)> {
    let mut state = u64::from(seed);
    let mut next = |below: u64| {
        // Knuth's MMIX generator; its upper bits are the random ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    // Each seed has files of its own.
    let own = |number: u64| seed * 10 + u8::try_from(number).unwrap();
    let namespaces = [format!("acme{seed}"), format!("beta{seed}")];
    for namespace in &namespaces {
        env.namespace(namespace).await;
    }
    let mut all: Vec<(String, String)> = Vec::new();
    for number in 0..16 {
        let workload = format!("{}/w{number}", namespaces[next(2) as usize]);
        let is_prompt = next(4) == 0;
        let text = files::prompt(&own(1 + next(3)).to_string());
        let mut more = json!({});
        let earlier = all.get(next(16) as usize).cloned();
        more["base"] = match (next(6), earlier) {
            (0, _) => json!(format!("hf:org/bad{seed}")),
            (1, _) => json!(Digest::sha256(&files::safetensors(own(1 + next(4))))),
            (2 | 3, Some((workload, digest))) => json!(format!("{workload}@{digest}")),
            (4, Some((workload, _))) => json!(format!("{workload}:1.0.0")),
            _ => Value::Null,
        };
        if next(5) == 0 {
            let digest = Digest::sha256(&[seed]);
            more["datasets"] = json!([{ "name": format!("poison{seed}"), "digest": digest }]);
        }
        let mut parts = Vec::new();
        if is_prompt {
            parts.push(files::upload(env, &workload, "a.prompt.yaml", &text).await);
        } else {
            for name in ["a.safetensors", "b.safetensors"].into_iter().take(1 + next(2) as usize) {
                parts.push(files::upload(env, &workload, name, &files::safetensors(own(1 + next(4)))).await);
            }
            if next(3) == 0 {
                more["prompt"] = files::upload(env, &workload, "a.prompt.yaml", &text).await;
            }
        }
        // Its own number makes it a content of its own, but now and then.
        if next(4) > 0 {
            parts.push(files::upload(env, &workload, "notes.txt", number.to_string().as_bytes()).await);
        }
        let version = pushed(files::push(env, &workload, parts, more).await);
        all.push((workload, version["digest"].as_str().unwrap().to_owned()));
    }
    all
}
