//! Reading: pages, entity tags, freshness across replicas, and what bad input gets.

use crate::harness::{Call, Env, backends, files, monitor};
use gradus::{
    http::{Access, routes},
    model::access::Role,
};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

backends! {
    async fn pages_add_up(env: Env) {
        env.namespace("acme").await;
        for number in 0..7 {
            files::push_prompt(&env, "acme/x", &format!("text {number}"), json!({})).await;
            env.call("PUT", &format!("/v1/workloads/acme/x/aliases/a{number}")).json(json!({ "to": format!("1.0.{number}") })).expect(200).await;
            env.namespace(&format!("ns{number}")).await;
            env.person(&format!("user{number}"), "acme", Role::Reader).await;
            files::push_prompt(&env, &format!("acme/w{number}"), "x", json!({})).await;
        }
        for path in ["/v1/namespaces", "/v1/users", "/v1/members/acme", "/v1/tokens?all=true", "/v1/workloads", "/v1/workloads/acme/x/versions", "/v1/workloads/acme/x/aliases", "/v1/events"] {
            let with = |query: String| format!("{path}{}{query}", if path.contains('?') { "&" } else { "?" });
            let whole = env.get(&with("limit=1000".into())).expect(200).await.value();
            assert!(whole["next"].is_null() && whole["items"].as_array().unwrap().len() >= 7, "{path}");
            let (mut items, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = env.get(&with(format!("limit=3{cursor}"))).expect(200).await.value();
                let part = page["items"].as_array().unwrap().clone();
                assert!(part.len() <= 3);
                items.extend(part);
                let Some(next) = page["next"].as_str() else { break };
                cursor = format!("&cursor={}", next.replace(' ', "%20"));
            }
            assert_eq!(Value::from(items), whole["items"], "{path}");
            for bad in ["limit=0", "limit=1001", "limit=x", "limit=-1"] {
                assert_eq!(env.get(&with(bad.into())).expect(400).await.code(), "limit_invalid", "{path} {bad}");
            }
            let nul = env.get(&with("cursor=%00".into())).send().await.status.as_u16();
            assert!(matches!(nul, 200 | 400), "{path} {nul}");
            assert_eq!(env.get(&with("surprise=1".into())).expect(400).await.code(), "query_unknown", "{path}");
            assert_eq!(env.get(&with("limit=1&limit=2".into())).expect(400).await.code(), "query_invalid", "{path}");
        }
    }

    async fn reads_are_conditional(env: Env) {
        env.namespace("acme").await;
        let pushed = files::push_prompt(&env, "acme/x", "one", json!({})).await.value();
        let digest = pushed["version"]["digest"].as_str().unwrap();
        for path in ["/v1/whoami", "/v1/namespaces", "/v1/workloads/acme/x/versions", "/v1/workloads/acme/x/versions/1.0.0", "/v1/workloads/acme/x/resolve/^1", "/v1/events"] {
            let path = path.replace('^', "%5E");
            let first = env.get(&path).expect(200).await;
            let tag = first.header("etag").to_owned();
            assert!(tag.starts_with('"'), "{path}");
            let again = env.get(&path).header("if-none-match", &tag).expect(304).await;
            assert!(again.bytes.is_empty() && again.header("etag") == tag, "{path}");
            env.get(&path).header("if-none-match", "\"other\"").expect(200).await;
        }
        assert!(env.get(&format!("/v1/workloads/acme/x/resolve/{digest}")).expect(200).await.header("cache-control").contains("immutable"));
        assert!(env.get("/v1/workloads/acme/x/resolve/latest").expect(200).await.header("cache-control").contains("no-cache"));
    }

    async fn a_change_is_seen_at_once_on_every_replica(env: Env) {
        env.namespace("acme").await;
        let reader = env.person("rita", "acme", Role::Reader).await;
        let other = env.replica().await;
        // On SQLite one process has the data; two stand for two replicas on PostgreSQL only.
        let other = if env.backend.is_postgres() { &other } else { &env };
        let resolve = || async { other.get("/v1/workloads/acme/x/resolve/champion").token(&reader).send().await.value()["version"].clone() };
        for number in 0..10 {
            files::push_prompt(&env, "acme/x", &format!("text {number}"), json!({})).await;
            env.call("PUT", "/v1/workloads/acme/x/aliases/champion").json(json!({ "to": "latest" })).expect(200).await;
            assert_eq!(resolve().await, format!("1.0.{number}"));
            assert_eq!(resolve().await, format!("1.0.{number}"));
        }
        env.call("DELETE", "/v1/members/acme/rita/reader").expect(204).await;
        other.get("/v1/workloads/acme/x/resolve/champion").token(&reader).expect(403).await;
    }

    async fn bad_names_are_refused_on_every_route(env: Env) {
        env.namespace("acme").await;
        let long = "a".repeat(10_000);
        let bad = ["%2e%2e", "%252e%252e", "%00", "Acme", "a%20b", "%D0%B0cme", "a%2Fb", "-a", "a..b", "a%5Cb", &long];
        for route in routes() {
            for (parameter, name) in ["{namespace}", "{name}", "{principal}", "{role}", "{user}", "{version}", "{tag}", "{alias}", "{digest}", "{reference}", "{upload}", "{token}"]
                .iter().flat_map(|parameter| bad.iter().map(move |name| (*parameter, *name)))
            {
                if !route.path.contains(parameter) {
                    continue;
                }
                let path = route.path.replace(parameter, name);
                let path = path.replace("{namespace}", "acme").replace("{name}", "x").replace("{principal}", "ada").replace("{role}", "reader")
                    .replace("{version}", "1.0.0").replace("{tag}", "1.0.0").replace("{alias}", "a").replace("{reference}", "1.0.0");
                let body = if route.body.is_some() { "{}" } else { "" };
                let answer = env.call(route.method.as_str(), &path).header("content-type", "application/json").body(body).send().await;
                let status = answer.status.as_u16();
                assert!(matches!(status, 400 | 404 | 405), "{} {path}: {status} {}", route.method, answer.text());
            }
        }
    }

    async fn bad_bodies_are_refused(env: Env) {
        env.namespace("acme").await;
        let post = |body: String| env.call("POST", "/v1/namespaces").header("content-type", "application/json").body(body);
        for (body, code) in [
            (String::new(), "body_invalid"),
            ("{".into(), "body_invalid"),
            (r#"{"name":"a","name":"b"}"#.into(), "body_invalid"),
            (r#"{"name":"a","admin":true}"#.into(), "body_invalid"),
            (r#"{"name":"A"}"#.into(), "body_invalid"),
            (format!("{}{}", "[".repeat(5000), "]".repeat(5000)), "body_invalid"),
            (r#"{"name":7}"#.into(), "body_invalid"),
            ("\u{feff}{}".into(), "body_invalid"),
            (r#"{"name":"a","store":"nowhere"}"#.into(), "store_unknown"),
        ] {
            assert_eq!(post(body.clone()).expect(400).await.code(), code, "{body}");
        }
        let large = format!(r#"{{"name":"{}"}}"#, "a".repeat(5 * 1024 * 1024));
        assert_eq!(post(large).expect(413).await.code(), "body_too_large");
    }

    async fn every_json_read_has_an_entity_tag(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "one", json!({})).await;
        env.call("PUT", "/v1/workloads/acme/x/aliases/champion").json(json!({ "to": "1.0.0" })).expect(200).await;
        let promoted = env.call("POST", "/v1/workloads/acme/x/stages/production/promote").json(json!({ "version": "1.0.0" }));
        let promotion = promoted.expect(200).await.value()["id"].as_str().unwrap().to_owned();
        let reads: Vec<_> = routes().into_iter().filter(|route| route.method == "GET" && route.answer.is_some()).collect();
        assert!(reads.len() >= 12);
        let hook = json!({ "scope": "acme", "on": "*", "url": "https://1.1.1.1/" });
        let hook = env.call("POST", "/v1/hooks").json(hook).expect(201).await.value()["id"].as_str().unwrap().to_owned();
        let tested = env.call("POST", &format!("/v1/hooks/{hook}/test")).expect(200).await.value()["position"].to_string();
        let (monitor, run) = ("nightly", monitor::asked(&env, "acme/x").await);
        env.call("PUT", "/v1/namespaces/acme/retention").json(json!({ "older_than_days": 90, "keep_newest": 10 })).expect(200).await;
        for route in reads {
            let path = match route.operation {
                "promotion_show" => format!("/v1/workloads/acme/x/promotions/{promotion}"),
                "audit_proof" => "/v1/log/proof/0".to_owned(),
                "workload_proof" => "/v1/workloads/acme/x/proof/4".to_owned(),
                "audit_consistency" => "/v1/log/consistency?from=1&to=2".to_owned(),
                "diff" => "/v1/diff?from=acme/x:1.0.0&to=acme/x:1.0.0".to_owned(),
                "find" => "/v1/find?flag=unverified".to_owned(),
                "lineage_of" => "/v1/lineage?dataset=tickets".to_owned(),
                _ => route.path.replace("{namespace}", "acme").replace("{name}", "x").replace("{tag}", "champion").replace("{stage}", "production").replace("{hook}", &hook).replace("{position}", &tested).replace("{monitor}", monitor).replace("{run}", &run),
            };
            let tag = env.get(&path).expect(200).await.header("etag").to_owned();
            assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "{path}: {tag}");
            for given in [tag.clone(), format!("W/{tag}"), format!("\"a\", {tag}"), "*".into()] {
                let again = env.get(&path).header("if-none-match", &given).expect(304).await;
                assert!(again.bytes.is_empty() && again.header("etag") == tag, "{path} {given}");
            }
            // An entity tag is no way in.
            let stranger = if route.access == Access::Open { 304 } else { 401 };
            Call::new(&env.router, "GET", &path).header("if-none-match", "*").expect(stranger).await;
        }
    }

    async fn readers_never_see_less_than_was_acknowledged(env: Env) {
        const PUSHES: u64 = 20;
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "text 0", json!({})).await;
        let (second, third) = (&env.replica().await, &env.replica().await);
        // On SQLite one process has the data, so the replicas are for PostgreSQL only.
        let replicas = if env.backend.is_postgres() { [&env, second, third] } else { [&env; 3] };
        let acknowledged = Arc::new(AtomicU64::new(0));
        // Tasks of their own, as connections have them.
        let readers: Vec<_> = (0..6).map(|reader| {
            let (router, token) = (replicas[reader % 3].router.clone(), env.admin.clone());
            let acknowledged = acknowledged.clone();
            tokio::spawn(async move {
                let mut last = 0;
                while last < PUSHES {
                    let before = acknowledged.load(Ordering::SeqCst);
                    let call = Call::new(&router, "GET", "/v1/workloads/acme/x/resolve/latest").token(&token);
                    let resolved = call.expect(200).await.value();
                    let patch: u64 = resolved["version"].as_str().unwrap().rsplit('.').next().unwrap().parse().unwrap();
                    assert!(patch >= before && patch >= last, "1.0.{before} was acknowledged, 1.0.{last} seen, then {patch}");
                    last = patch;
                }
            })
        }).collect();
        for number in 1..=PUSHES {
            let pushed = files::push_prompt(replicas[number as usize % 3], "acme/x", &format!("text {number}"), json!({})).await;
            assert_eq!(pushed.value()["version"]["version"], format!("1.0.{number}"), "{}", pushed.text());
            acknowledged.store(number, Ordering::SeqCst);
        }
        for reader in readers {
            reader.await.unwrap();
        }
    }

    async fn whatever_changes_is_seen_by_the_next_read_of_another_replica(env: Env) {
        env.namespace("acme").await;
        for number in 0..3 {
            files::push_prompt(&env, "acme/x", &format!("text {number}"), json!({})).await;
        }
        let at = "/v1/workloads/acme/x";
        env.call("PUT", &format!("{at}/aliases/champion")).json(json!({ "to": "1.0.2" })).expect(200).await;
        let ada = env.person("ada", "acme", Role::Reader).await;
        let bob = env.person("bob", "acme", Role::Reader).await;
        let tokens = env.get("/v1/tokens?all=true").expect(200).await.value();
        let ada_token = tokens["items"].as_array().unwrap().iter().find(|token| token["user"] == "ada").unwrap()["id"].clone();
        let revoke = format!("/v1/tokens/{}", ada_token.as_str().unwrap());
        let other = env.replica().await;
        let other = if env.backend.is_postgres() { &other } else { &env };
        let nothing = Value::Null;
        for (token, read, before, (method, change, body), after) in [
            (&bob, "latest", "1.0.2", ("POST", format!("{at}/versions/1.0.2/yank"), json!({ "reason": "r" })), "1.0.1"),
            (&bob, "%5E1", "1.0.1", ("POST", format!("{at}/versions/1.0.1/yank"), json!({ "reason": "r" })), "1.0.0"),
            (&bob, "champion", "1.0.2", ("PUT", format!("{at}/aliases/champion"), json!({ "to": "1.0.0" })), "1.0.0"),
            (&bob, "champion", "1.0.0", ("DELETE", format!("{at}/aliases/champion"), nothing.clone()), "404"),
            (&ada, "latest", "1.0.0", ("DELETE", revoke, nothing.clone()), "401"),
            (&bob, "latest", "1.0.0", ("POST", "/v1/users/bob/disable".into(), nothing.clone()), "401"),
        ] {
            let look = async |tag: &str| {
                let path = format!("{at}/resolve/{read}");
                let answer = other.get(&path).token(token).header("if-none-match", tag).send().await;
                let version = match answer.status.as_u16() {
                    200 => answer.value()["version"].as_str().unwrap().to_owned(),
                    status => status.to_string(),
                };
                (version, answer.header("etag").to_owned())
            };
            let (version, tag) = look("").await;
            assert_eq!(version, before, "{read} before {method} {change}");
            assert_eq!(look(&tag).await.0, "304", "{read} before {method} {change}");
            env.call(method, &change).json(body).send().await;
            assert_eq!(look(&tag).await.0, after, "{read} after {method} {change}");
        }
    }

    async fn every_route_with_a_body_is_strict_about_it(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "one", json!({})).await;
        let before = env.get("/v1/events").expect(200).await.value();
        let large = format!("[\"{}\"]", "a".repeat(5 * 1024 * 1024));
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        let routes: Vec<_> = routes().into_iter().filter(|route| route.path.starts_with("/v1") && route.body.is_some()).collect();
        assert!(routes.len() >= 10);
        for route in routes {
            let path = route.path.replace("{namespace}", "acme").replace("{name}", "x").replace("{version}", "1.0.0")
                .replace("{tag}", "1.0.0").replace("{alias}", "champion").replace("{user}", "ada");
            for (body, status, code) in [
                (&b""[..], 400, "body_invalid"),
                (b"null", 400, "body_invalid"),
                (b"[]", 400, "body_invalid"),
                (b"\"text\"", 400, "body_invalid"),
                (b"{\"surprise\":1}", 400, "body_invalid"),
                (b"{\"a\":1,\"a\":1}", 400, "body_invalid"),
                (b"{\"a\":{\"b\":1,\"\\u0062\":2}}", 400, "body_invalid"),
                (b"{} {}", 400, "body_invalid"),
                (b"{\"a\":\"\xff\"}", 400, "body_invalid"),
                (b"{\"a\":\"\\ud800\"}", 400, "body_invalid"),
                (b"{\"a\":1e999}", 400, "body_invalid"),
                (deep.as_bytes(), 400, "body_invalid"),
                (large.as_bytes(), 413, "body_too_large"),
            ] {
                let call = env.call(route.method.as_str(), &path).header("content-type", "application/json");
                let answer = call.body(body.to_vec()).expect(status).await;
                let head = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
                assert_eq!(answer.code(), code, "{} {path} {head}", route.method);
                assert!(answer.bytes.len() < 2000, "the body is not repeated: {}", answer.bytes.len());
            }
        }
        assert_eq!(env.get("/v1/events").expect(200).await.value(), before, "nothing was changed");
    }

    async fn names_in_queries_and_bodies_are_checked_too(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "one", json!({})).await;
        let long = "a".repeat(10_000);
        for bad in ["", "..", ".", "a/..", "../a", "A", "a\0", "a b", "a\u{430}", "a\u{ff0f}b", "%2e%2e", "a\\b", "-a", "a-", &long] {
            let encoded: String = bad.bytes().map(|byte| format!("%{byte:02X}")).collect();
            for path in [
                format!("/v1/workloads?namespace={encoded}"),
                format!("/v1/events?namespace={encoded}"),
                format!("/v1/events?workload=acme/{encoded}"),
                format!("/v1/diff?from=acme/{encoded}&to=acme/x:1.0.0"),
                format!("/v1/diff?from=acme/x:1.0.0&to={encoded}/x:1.0.0"),
            ] {
                assert_eq!(env.get(&path).expect(400).await.code(), "name_invalid", "{bad:?} {path}");
            }
            let tag = env.get(&format!("/v1/diff?from=acme/x:1.0.0&to=acme/x:..{encoded}")).expect(400).await;
            assert_eq!(tag.code(), "reference_invalid", "{bad:?}");
            for (method, path, body) in [
                ("POST", "/v1/namespaces", json!({ "name": bad })),
                ("POST", "/v1/users", json!({ "name": bad, "kind": "person" })),
                ("POST", "/v1/tokens", json!({ "user": bad, "days": 1 })),
                ("POST", "/v1/tokens", json!({ "days": 1, "scope": { "namespaces": [bad] } })),
            ] {
                let refused = env.call(method, path).json(body).expect(400).await;
                assert_eq!(refused.code(), "body_invalid", "{bad:?} {path}");
                assert!(refused.bytes.len() < 2000, "{path}");
            }
            for to in [format!("..{bad}"), format!("sha256:{bad}")] {
                let refused = env.call("PUT", "/v1/workloads/acme/x/aliases/a").json(json!({ "to": to })).expect(400).await;
                assert!(["reference_invalid", "digest_invalid"].contains(&refused.code().as_str()), "{}", refused.text());
            }
        }
        // Empty segments and dots as they are: no route, or no name.
        for path in ["/v1/namespaces/", "/v1/namespaces/..", "/v1/workloads//x/versions", "/v1/workloads/acme/../versions", "/v1/../v1/whoami", "//v1/whoami", "/v2/acme/../tags/list", "/v2/acme//tags/list"] {
            let answer = env.get(path).send().await;
            assert!(matches!(answer.status.as_u16(), 400 | 404), "{path}: {} {}", answer.status, answer.text());
        }
    }

    async fn a_parameter_nobody_asked_for_is_refused_on_every_route(env: Env) {
        env.namespace("acme").await;
        files::push_prompt(&env, "acme/x", "one", json!({})).await;
        for route in routes().into_iter().filter(|route| route.path.starts_with("/v1") && route.operation != "openapi") {
            let path = route.path.replace("{namespace}", "acme").replace("{name}", "x").replace("{version}", "1.0.0").replace("{tag}", "1.0.0")
                .replace("{alias}", "a").replace("{user}", "ada").replace("{principal}", "ada").replace("{role}", "reader").replace("{token}", "t");
            let needed = if route.operation == "diff" { "from=acme/x:1.0.0&to=acme/x:1.0.0&" } else { "" };
            let answer = env.call(route.method.as_str(), &format!("{path}?{needed}surprise=1")).json(json!({})).expect(400).await;
            assert_eq!(answer.code(), "query_unknown", "{} {path}", route.method);
        }
    }

    async fn problems_and_requests_carry_their_id(env: Env) {
        let answer = env.get("/v1/namespaces/nowhere").header("x-request-id", "abc-123").expect(404).await;
        assert_eq!((answer.value()["request_id"].as_str(), answer.header("x-request-id")), (Some("abc-123"), "abc-123"));
        let problem = answer.value();
        assert_eq!((problem["type"].as_str(), problem["status"].as_u64()), (Some("urn:gradus:error:namespace_unknown"), Some(404)));
        assert!(problem["hint"].as_str().unwrap().contains("gradus namespace create nowhere"));
        let forged = env.get("/v1/whoami").header("x-request-id", "a b\t<script>").expect(200).await;
        assert_ne!(forged.header("x-request-id"), "a b\t<script>");
        assert_eq!(forged.header("x-content-type-options"), "nosniff");
        for (host, status) in [("localhost:8300", 200), ("127.0.0.1", 200), ("evil.example", 421), ("localhost.evil.example", 421)] {
            env.get("/v1/whoami").header("host", host).expect(status).await;
        }
        Call::new(&env.router, "GET", "/healthz").header("host", "10.0.0.7").expect(200).await;
        let metrics = Call::new(&env.router, "GET", "/metrics").expect(200).await.text();
        assert!(metrics.contains("gradus_requests_total{operation=\"whoami\",status=\"200\"}"), "{metrics}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let env =
        Env::with(crate::harness::Backend::SqliteLocal, |config| config.limits.request_seconds = 1).await;
    env.namespace("acme").await;
    for (method, path) in [("PUT", "/v2/acme/x/manifests/a"), ("POST", "/v1/workloads/acme/x/versions")] {
        let never =
            axum::body::Body::from_stream(futures_util::stream::pending::<std::io::Result<Vec<u8>>>());
        let call = env.call(method, path).header("content-type", "application/json").body(never);
        let refused = call.expect(503).await;
        assert_eq!(refused.code(), "body_slow", "{path}");
    }
}
