//! Reading: pages, entity tags, freshness across replicas, and what bad input gets.

use crate::harness::{Call, backends, files};
use gradus::{http::routes, model::access::Role};
use serde_json::{Value, json};

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
