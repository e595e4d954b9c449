//! Version numbers: what the contract decides, what is refused, what a reference means, and races.

use crate::harness::{Answer, Env, backends, files};
use serde_json::{Value, json};

fn contract(input_required: &[&str], output: &[&str]) -> Value {
    let properties = |names: &[&str]| -> Value {
        names
            .iter()
            .map(|name| ((*name).to_owned(), json!({ "type": "string" })))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    json!({
        "input": { "type": "object", "properties": properties(&["body", "tone"]), "required": input_required, "additionalProperties": false },
        "output": { "type": "object", "properties": properties(output), "required": output },
    })
}

async fn push(env: &Env, text: &str, more: Value) -> Answer {
    files::push_prompt(env, "acme/x", text, more).await
}

fn number(answer: &Answer) -> String {
    answer.value()["version"]["version"].as_str().unwrap_or_else(|| panic!("{}", answer.text())).to_owned()
}

async fn resolve(env: &Env, tag: &str) -> Result<String, String> {
    let tag: String = tag.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let answer = env.get(&format!("/v1/workloads/acme/x/resolve/{tag}")).send().await;
    match answer.status.as_u16() {
        200 => Ok(answer.value()["version"].as_str().unwrap().to_owned()),
        _ => Err(answer.code()),
    }
}

backends! {
    async fn the_contract_decides_the_number(env: Env) {
        env.namespace("acme").await;
        let base = contract(&["body"], &["answer"]);
        assert_eq!(number(&push(&env, "a", json!({ "contract": base })).await), "1.0.0");

        let edit = push(&env, "b", json!({})).await;
        assert_eq!(number(&edit), "1.0.1");
        assert!(edit.text().contains("contract taken over from 1.0.0"), "{}", edit.text());

        let promises_more = push(&env, "c", json!({ "contract": contract(&["body"], &["answer", "reason"]) })).await;
        assert_eq!(number(&promises_more), "1.1.0");
        let accepts_more = push(&env, "d", json!({ "contract": contract(&[], &["answer", "reason"]) })).await;
        assert_eq!(number(&accepts_more), "1.2.0");
        let accepts_less = push(&env, "e", json!({ "contract": contract(&["body", "tone"], &["answer", "reason"]) })).await;
        assert_eq!(number(&accepts_less), "2.0.0");
        let promises_less = push(&env, "f", json!({ "contract": contract(&["body", "tone"], &["answer"]) })).await;
        assert_eq!(number(&promises_less), "3.0.0");
        let unclassified = json!({ "input": { "type": "string", "pattern": "^a" }, "output": true });
        let refused = push(&env, "g", json!({ "contract": unclassified, "bump": "minor" })).await;
        assert_eq!(refused.code(), "version_claims_too_little");

        assert_eq!(number(&push(&env, "h", json!({ "bump": "minor" })).await), "3.1.0");
        assert_eq!(number(&push(&env, "i", json!({ "bump": "major" })).await), "4.0.0");
    }

    async fn a_version_that_claims_too_little_is_refused_with_the_difference(env: Env) {
        env.namespace("acme").await;
        push(&env, "a", json!({ "contract": contract(&["body"], &["answer"]) })).await;
        let refused = push(&env, "b", json!({ "version": "1.0.1", "contract": contract(&["body"], &["other"]) })).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "version_claims_too_little"));
        let entries = &refused.value()["details"]["entries"];
        assert!(entries.as_array().is_some_and(|entries| !entries.is_empty()), "{}", refused.text());
        assert_eq!(resolve(&env, "1.0.1").await, Err("version_unknown".into()), "nothing is left behind");
        let enough = push(&env, "b", json!({ "version": "2.0.0", "contract": contract(&["body"], &["other"]) })).await;
        assert_eq!(number(&enough), "2.0.0");
        // A backport is compared with the release below it, not with the newest.
        assert_eq!(number(&push(&env, "c", json!({ "version": "1.0.1" })).await), "1.0.1");
        assert_eq!(resolve(&env, "^1").await, Ok("1.0.1".into()));
        // Below 1.0.0 the minor number stands for a break.
        files::push_prompt(&env, "acme/y", "a", json!({ "version": "0.1.0", "contract": contract(&["body"], &["answer"]) })).await;
        let broken = files::push_prompt(&env, "acme/y", "b", json!({ "contract": contract(&["body"], &["other"]) })).await;
        assert_eq!(number(&broken), "0.2.0");
    }

    async fn references_mean_what_they_say(env: Env) {
        env.namespace("acme").await;
        assert_eq!(resolve(&env, "latest").await, Err("workload_unknown".into()));
        for version in ["1.0.0-rc.1", "1.0.0", "1.2.0", "1.2.3", "2.0.0-beta.1"] {
            assert_eq!(number(&push(&env, version, json!({ "version": version })).await), version);
        }
        for (tag, expected) in [
            ("1.0.0", Ok("1.0.0")), ("1.0.0-rc.1", Ok("1.0.0-rc.1")), ("latest", Ok("1.2.3")), ("1", Ok("1.2.3")),
            ("^1.0", Ok("1.2.3")), ("~1.0", Ok("1.0.0")), ("1.x", Ok("1.2.3")), ("*", Ok("1.2.3")), ("^2", Err("version_unknown")),
            ("^2.0.0-beta.1", Ok("2.0.0-beta.1")), (">=1.0.0-rc.1 <1.0.0", Ok("1.0.0-rc.1")), ("production", Err("version_unknown")),
            ("nobody", Err("version_unknown")), ("1.9.9", Err("version_unknown")), ("a b", Err("reference_invalid")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(resolve(&env, tag).await, expected, "{tag}");
        }
        env.call("PUT", "/v1/workloads/acme/x/aliases/champion").json(json!({ "to": "^1" })).expect(200).await;
        assert_eq!(resolve(&env, "champion").await, Ok("1.2.3".into()));
        for reserved in ["latest", "production", "1", "1.0.0"] {
            let refused = env.call("PUT", &format!("/v1/workloads/acme/x/aliases/{reserved}")).json(json!({ "to": "1.0.0" })).expect(400).await;
            assert_eq!(refused.code(), "alias_reserved");
        }

        let digest = env.get("/v1/workloads/acme/x/resolve/1.2.3").expect(200).await.value()["digest"].as_str().unwrap().to_owned();
        env.call("POST", "/v1/workloads/acme/x/versions/1.2.3/yank").json(json!({ "reason": "wrong labels" })).expect(204).await;
        for (tag, expected) in [("latest", "1.2.0"), ("^1", "1.2.0"), ("1.2.3", "1.2.3"), (&digest, "1.2.3"), ("champion", "1.2.3")] {
            assert_eq!(resolve(&env, tag).await, Ok(expected.to_owned()), "{tag}");
        }
        for tag in ["1.2.3", &digest] {
            let resolved = env.get(&format!("/v1/workloads/acme/x/resolve/{tag}")).expect(200).await.value();
            assert_eq!(resolved["yanked"], "wrong labels");
            assert!(resolved["warnings"][0].as_str().unwrap().contains("yanked"));
        }
        assert_eq!(env.call("POST", "/v1/workloads/acme/x/versions/1.2.3/yank").json(json!({ "reason": " " })).expect(400).await.code(), "reason_missing");
    }

    async fn pushing_again_is_a_success_that_says_so(env: Env) {
        env.namespace("acme").await;
        let first = push(&env, "a", json!({})).await;
        assert_eq!(first.status.as_u16(), 201);
        for more in [json!({}), json!({ "version": "1.0.0" })] {
            let again = push(&env, "a", more).await;
            assert_eq!((again.status.as_u16(), again.value()["created"].clone(), number(&again)), (200, json!(false), "1.0.0".into()));
        }
        let other = push(&env, "b", json!({ "version": "1.0.0" })).await;
        assert_eq!((other.status.as_u16(), other.code().as_str()), (409, "version_taken"));
        // Two versions may share a digest: the release is the candidate, unchanged.
        push(&env, "c", json!({ "version": "1.1.0-rc.1" })).await;
        let release = push(&env, "c", json!({ "version": "1.1.0" })).await;
        assert_eq!((release.status.as_u16(), number(&release)), (201, "1.1.0".into()));
        let list = env.get("/v1/workloads/acme/x/versions").expect(200).await.value();
        assert_eq!(list["items"][0]["digest"], list["items"][1]["digest"]);
        let sequences: Vec<i64> = list["items"].as_array().unwrap().iter().map(|item| item["sequence"].as_i64().unwrap()).collect();
        assert_eq!(sequences, [3, 2, 1]);
    }

    async fn concurrent_pushes_get_distinct_versions_on_any_replica(env: Env) {
        env.namespace("acme").await;
        let replicas = [&env.replica().await, &env.replica().await, &env];
        push(&env, "first", json!({})).await;
        let texts: Vec<String> = (0..16).map(|i| format!("text {i}")).collect();
        let all = texts.iter().enumerate().map(|(i, text)| push(replicas[i % 3], text, json!({})));
        let answers = futures_util::future::join_all(all).await;
        let mut numbers: Vec<String> = answers.iter().map(number).collect();
        numbers.sort_by_key(|number| number.rsplit('.').next().unwrap().parse::<u32>().unwrap());
        let expected: Vec<String> = (1..=16).map(|patch| format!("1.0.{patch}")).collect();
        assert_eq!(numbers, expected);
    }

    async fn of_concurrent_pushes_of_one_version_one_wins(env: Env) {
        env.namespace("acme").await;
        let replicas = [&env.replica().await, &env.replica().await, &env];
        let texts: Vec<String> = (0..16).map(|i| format!("text {i}")).collect();
        let all = texts.iter().enumerate().map(|(i, text)| push(replicas[i % 3], text, json!({ "version": "1.0.0" })));
        let answers = futures_util::future::join_all(all).await;
        let won: Vec<&Answer> = answers.iter().filter(|answer| answer.status.as_u16() == 201).collect();
        assert_eq!(won.len(), 1);
        for lost in answers.iter().filter(|answer| answer.status.as_u16() != 201) {
            assert_eq!((lost.status.as_u16(), lost.code().as_str()), (409, "version_taken"));
        }
        let now = env.get("/v1/workloads/acme/x/resolve/1.0.0").expect(200).await.value();
        assert_eq!(now["digest"], won[0].value()["version"]["digest"]);
    }

    async fn what_was_yanked_is_numbered_past_and_not_followed(env: Env) {
        env.namespace("acme").await;
        let (narrow, broken) = (contract(&["body"], &["answer"]), contract(&["body"], &["other"]));
        assert_eq!(number(&push(&env, "a", json!({ "contract": narrow })).await), "1.0.0");
        let mistake = push(&env, "b", json!({ "contract": broken })).await;
        assert_eq!(number(&mistake), "2.0.0");
        env.call("POST", "/v1/workloads/acme/x/versions/2.0.0/yank").json(json!({ "reason": "by mistake" })).expect(204).await;
        let again = push(&env, "b", json!({ "contract": broken })).await;
        assert!(again.status == 200 && again.text().contains("by mistake"), "{}", again.text());
        let repaired = push(&env, "c", json!({})).await;
        assert_eq!(number(&repaired), "2.0.1");
        assert!(repaired.text().contains("contract taken over from 1.0.0"), "{}", repaired.text());
    }

    async fn latest_is_a_release(env: Env) {
        env.namespace("acme").await;
        assert_eq!(number(&push(&env, "a", json!({ "version": "1.0.0-rc.1" })).await), "1.0.0-rc.1");
        assert_eq!(resolve(&env, "latest").await, Err("version_unknown".into()));
        assert_eq!(resolve(&env, "^1.0.0-rc.0").await, Ok("1.0.0-rc.1".into()));
        for number in 0..150 {
            push(&env, &format!("{number}"), json!({ "version": format!("2.0.0-nightly.{number}") })).await;
        }
        assert_eq!(resolve(&env, ">=1.0.0-a").await, Ok("1.0.0-rc.1".into()));
        assert_eq!(resolve(&env, ">=2.0.0-nightly.7").await, Ok("2.0.0-nightly.149".into()));
    }

    async fn a_push_without_a_number_follows_what_is_newest(env: Env) {
        env.namespace("acme").await;
        let narrow = contract(&["body"], &["answer"]);
        let wide = contract(&["body"], &["answer", "reason"]);
        let broken = contract(&["body"], &["other"]);
        // Each story: what is pushed in turn, and the number it gets or the code it is refused with.
        for (workload, story) in [
            ("acme/first", vec![(json!({}), "1.0.0")]),
            ("acme/first-bump", vec![(json!({ "bump": "minor" }), "1.0.0"), (json!({ "bump": "minor" }), "1.1.0")]),
            ("acme/candidate", vec![
                (json!({ "version": "1.0.0", "contract": narrow }), "1.0.0"),
                (json!({ "version": "2.0.0-rc.1", "contract": broken }), "2.0.0-rc.1"),
                // The candidate is finished by a number it stands for already.
                (json!({}), "2.0.0"),
            ]),
            ("acme/candidate-too-low", vec![
                (json!({ "version": "1.0.0", "contract": narrow }), "1.0.0"),
                (json!({ "version": "1.0.1-rc.1", "contract": narrow }), "1.0.1-rc.1"),
                (json!({ "bump": "patch", "contract": wide }), "version_claims_too_little"),
                (json!({ "contract": wide }), "1.1.0"),
            ]),
            ("acme/initial", vec![
                (json!({ "version": "0.1.0", "contract": narrow }), "0.1.0"),
                (json!({ "contract": wide }), "0.1.1"),
                (json!({ "bump": "patch", "contract": broken }), "version_claims_too_little"),
                (json!({ "version": "0.1.2", "contract": broken }), "version_claims_too_little"),
                (json!({ "contract": broken }), "0.2.0"),
                (json!({ "version": "1.0.0" }), "1.0.0"),
            ]),
            ("acme/backport", vec![
                (json!({ "version": "1.0.0", "contract": narrow }), "1.0.0"),
                (json!({ "version": "2.0.0", "contract": broken }), "2.0.0"),
                (json!({ "version": "1.0.1", "contract": wide }), "version_claims_too_little"),
                (json!({ "version": "1.1.0", "contract": wide }), "1.1.0"),
                (json!({}), "2.0.1"),
                // Below everything there is nothing to break.
                (json!({ "version": "0.0.1", "contract": wide }), "0.0.1"),
            ]),
            // Whoever follows ^1 moves on from 1.1.0 to 1.2.0, which must keep what 1.1.0 promised.
            ("acme/between", vec![
                (json!({ "version": "1.0.0", "contract": narrow }), "1.0.0"),
                (json!({ "version": "1.2.0", "contract": wide }), "1.2.0"),
                (json!({ "version": "1.1.0", "contract": contract(&["body"], &["answer", "score"]) }), "version_claims_too_little"),
                (json!({ "version": "1.1.0-rc.1", "contract": contract(&["body"], &["answer", "score"]) }), "1.1.0-rc.1"),
                (json!({ "version": "1.1.0", "contract": wide }), "1.1.0"),
            ]),
            ("acme/end", vec![
                (json!({ "version": "18446744073709551615.0.0" }), "18446744073709551615.0.0"),
                (json!({ "bump": "major" }), "version_invalid"),
                (json!({ "bump": "patch" }), "18446744073709551615.0.1"),
            ]),
            ("acme/both", vec![
                (json!({ "version": "1.0.0", "bump": "major" }), "version_and_bump"),
                (json!({ "version": "1.0.0+build" }), "body_invalid"),
                (json!({ "version": "v1.0.0" }), "body_invalid"),
                (json!({ "bump": "huge" }), "body_invalid"),
            ]),
        ] {
            for (step, (more, expected)) in story.into_iter().enumerate() {
                let answer = files::push_prompt(&env, workload, &format!("{step}"), more.clone()).await;
                let found = if answer.status.is_success() { number(&answer) } else { answer.code() };
                assert_eq!(found, expected, "{workload} {step} {more}: {}", answer.text());
            }
        }
        // A yanked number is used up, and what it promised still counts.
        push(&env, "a", json!({ "contract": narrow })).await;
        push(&env, "b", json!({ "contract": wide })).await;
        env.call("POST", "/v1/workloads/acme/x/versions/1.1.0/yank").json(json!({ "reason": "r" })).expect(204).await;
        assert_eq!(number(&push(&env, "c", json!({})).await), "1.1.1");
    }

    async fn lists_are_filtered_and_only_by_what_is_known(env: Env) {
        env.namespace("acme").await;
        push(&env, "a", json!({})).await;
        let weights = files::upload(&env, "acme/x", "model.safetensors", &files::safetensors(1)).await;
        files::push(&env, "acme/x", vec![weights], json!({})).await;
        push(&env, "c", json!({ "version": "2.0.0-rc.1" })).await;
        env.call("POST", "/v1/workloads/acme/x/versions/1.0.0/yank").json(json!({ "reason": "r" })).expect(204).await;
        for (query, expected) in [
            ("", vec!["2.0.0-rc.1", "1.0.1", "1.0.0"]),
            ("?tier=prompt", vec!["2.0.0-rc.1", "1.0.0"]),
            ("?tier=weights", vec!["1.0.1"]),
            ("?tier=adapter", vec![]),
            ("?yanked=true", vec!["1.0.0"]),
            ("?yanked=false&tier=prompt", vec!["2.0.0-rc.1"]),
            ("?cursor=2.0.0-rc.1&limit=1", vec!["1.0.1"]),
        ] {
            let list = env.get(&format!("/v1/workloads/acme/x/versions{query}")).expect(200).await.value();
            let found: Vec<&str> = list["items"].as_array().unwrap().iter().map(|item| item["version"].as_str().unwrap()).collect();
            assert_eq!(found, expected, "{query}");
        }
        for (query, code) in [("tier=gold", "tier_invalid"), ("yanked=maybe", "query_invalid"), ("cursor=x", "version_invalid"), ("sort=asc", "query_unknown")] {
            assert_eq!(env.get(&format!("/v1/workloads/acme/x/versions?{query}")).expect(400).await.code(), code, "{query}");
        }
    }

    async fn of_concurrent_pushes_of_one_content_one_makes_it(env: Env) {
        env.namespace("acme").await;
        let replicas = [&env.replica().await, &env.replica().await, &env];
        for (workload, more) in [("acme/auto", json!({})), ("acme/named", json!({ "version": "3.1.4" }))] {
            let all = (0..16).map(|i| files::push_prompt(replicas[i % 3], workload, "the same", more.clone()));
            let answers = futures_util::future::join_all(all).await;
            let made = answers.iter().filter(|answer| answer.status == 201).count();
            let again = answers.iter().filter(|answer| answer.status == 200).count();
            assert_eq!((made, again), (1, 15), "{}", answers[0].text());
            assert!(answers.iter().all(|answer| answer.value()["version"] == answers[0].value()["version"]));
        }
        // Sixteen numbers for one content are sixteen versions of one digest.
        let numbers: Vec<String> = (0..16).map(|patch| format!("1.0.{patch}")).collect();
        let all = numbers.iter().enumerate().map(|(i, number)| {
            files::push_prompt(replicas[i % 3], "acme/shared", "the same", json!({ "version": number }))
        });
        let answers = futures_util::future::join_all(all).await;
        assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
        let list = env.get("/v1/workloads/acme/shared/versions").expect(200).await.value();
        let items = list["items"].as_array().unwrap();
        let mut sequences: Vec<i64> = items.iter().map(|item| item["sequence"].as_i64().unwrap()).collect();
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=16).collect::<Vec<i64>>());
        assert!(items.iter().all(|item| item["digest"] == items[0]["digest"]));
        let mut revisions: Vec<&str> = items.iter().map(|item| item["revision"].as_str().unwrap()).collect();
        revisions.sort_unstable();
        revisions.dedup();
        assert!(revisions.len() == 16 && revisions.iter().all(|revision| revision.len() == 40));
    }

    async fn both_doors_race_for_one_version_and_one_wins(env: Env) {
        env.namespace("acme").await;
        let replicas = [&env.replica().await, &env.replica().await, &env];
        // Manifests to push by tag: made elsewhere in the namespace, their blobs shared.
        let mut manifests = Vec::new();
        for i in 0..6 {
            let made = files::push_prompt(&env, "acme/elsewhere", &format!("by tag {i}"), json!({})).await.value();
            let digest = made["version"]["digest"].as_str().unwrap().to_owned();
            let manifest = env.get(&format!("/v2/acme/elsewhere/manifests/{digest}")).expect(200).await;
            let value = manifest.value();
            let blobs = value["layers"].as_array().unwrap().iter().chain([&value["config"]]);
            let blobs: Vec<&Value> = blobs.map(|blob| &blob["digest"]).collect();
            let found = env.call("POST", "/v1/workloads/acme/x/present").json(json!({ "digests": blobs })).expect(200).await.value();
            assert_eq!(found["digests"].as_array().unwrap().len(), blobs.len());
            manifests.push((digest, manifest.bytes));
        }
        let by_tag = futures_util::future::join_all(manifests.iter().enumerate().map(|(i, (_, bytes))| {
            let call = replicas[i % 3].call("PUT", "/v2/acme/x/manifests/1.0.0");
            call.header("content-type", "application/vnd.oci.image.manifest.v1+json").body(bytes.clone()).send()
        }));
        let texts: Vec<String> = (0..6).map(|i| format!("by number {i}")).collect();
        let by_number = futures_util::future::join_all(
            texts.iter().enumerate().map(|(i, text)| push(replicas[i % 3], text, json!({ "version": "1.0.0" }))),
        );
        let (by_tag, by_number) = futures_util::future::join(by_tag, by_number).await;
        let all: Vec<&Answer> = by_tag.iter().chain(&by_number).collect();
        assert_eq!(all.iter().filter(|answer| answer.status == 201).count(), 1, "{all:?}");
        for lost in all.iter().filter(|answer| answer.status != 201) {
            assert_eq!((lost.status.as_u16(), lost.code().as_str()), (409, "version_taken"));
        }
        let digest = env.get("/v1/workloads/acme/x/resolve/1.0.0").expect(200).await.value()["digest"].clone();
        let won_by_tag = by_tag.iter().zip(&manifests).find(|(answer, _)| answer.status == 201).map(|(_, (digest, _))| json!(digest));
        let won = won_by_tag.unwrap_or_else(|| by_number.iter().find(|answer| answer.status == 201).unwrap().value()["version"]["digest"].clone());
        assert_eq!(digest, won);
        let events = env.get("/v1/events?workload=acme/x&kind=pushed").expect(200).await.value();
        assert_eq!(events["items"].as_array().unwrap().len(), 1);
    }

    async fn bad_drafts_leave_nothing(env: Env) {
        env.namespace("acme").await;
        let file = files::upload(&env, "acme/x", "a.prompt.yaml", &files::prompt("x")).await;
        let mut wrong_size = file.clone();
        wrong_size["size"] = json!(1);
        let mut up = file.clone();
        up["path"] = json!("../a.prompt.yaml");
        let mut missing = file.clone();
        missing["digest"] = json!(format!("sha256:{}", "1".repeat(64)));
        for (files, more, code) in [
            (vec![], json!({}), "artifact_empty"),
            (vec![wrong_size], json!({}), "size_mismatch"),
            (vec![up], json!({}), "body_invalid"),
            (vec![missing], json!({}), "file_missing"),
            (vec![file.clone(), file.clone()], json!({}), "path_collision"),
            (vec![file.clone()], json!({ "tier": "weights" }), "tier_mismatch"),
            (vec![file.clone()], json!({ "prompt": file.clone() }), "path_collision"),
            (vec![file.clone()], json!({ "version": "1.0" }), "body_invalid"),
            (vec![file.clone()], json!({ "contract": { "input": true } }), "contract_invalid"),
            (vec![file.clone()], json!({ "contract": { "input": { "type": 7 }, "output": true } }), "contract_invalid"),
            (vec![file.clone()], json!({ "base": "a b" }), "base_invalid"),
            (vec![file.clone()], json!({ "surprise": 1 }), "body_invalid"),
        ] {
            let answer = files::push(&env, "acme/x", files, more).await;
            assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, code), "{}", answer.text());
        }
        assert_eq!(env.get("/v1/workloads/acme/x/versions").expect(404).await.code(), "workload_unknown");
    }
}
