//! Walks the table of routes: what a caller may not do is refused on every route, in the form of its API. A new row
//! of the table is walked without a change here.

use crate::harness::{Answer, Call, Env, backends, files};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use gradus::{
    http::{Access, Route, routes},
    model::access::{Permission, Role, Scope},
    ops::tokens,
};
use std::time::Duration;

/// The routes that answer strangers.
const OPEN: [&str; 7] =
    ["/healthz", "/readyz", "/metrics", "/v1/openapi.json", "/v2/token", "/v1/oidc", "/v1/oidc/token"];

/// The route's path with something in every place.
fn path(route: &Route, namespace: &str) -> String {
    let digest = format!("sha256:{}", "0".repeat(64));
    route
        .path
        .replace("{namespace}", namespace)
        .replace("{name}", "things")
        .replace("{digest}", &digest)
        .replace("{upload}", "0190a0a0-0000-7000-8000-000000000000")
        .replace("{principal}", "ada")
        .replace("{user}", "ada")
        .replace("{role}", "admin")
        .replace("{token}", "0190a0a0-0000-7000-8000-000000000000")
        .replace("{version}", "1.0.0")
        .replace("{tag}", "1.0.0")
        .replace("{alias}", "champion")
        .replace("{rule}", "0190a0a0000070008000000000000000")
        .replace("{stage}", "production")
        .replace("{promotion}", "0190a0a0000070008000000000000000")
        .replace("{*tile}", "0/000")
        .replace("{hook}", "0190a0a0000070008000000000000000")
        .replace("{position}", "0")
        .replace("{monitor}", "nightly")
        .replace("{run}", "newest")
        .replace("{reference}", "1.0.0")
        .replace("{backup}", "0190a0a0000070008000000000000000")
        .replace("{store}", "local")
}

fn call<'a>(env: &'a Env, route: &Route, namespace: &str) -> Call<'a> {
    Call::new(&env.router, route.method.as_str(), &path(route, namespace))
        .header("content-type", "application/json")
        .body("{}")
}

fn check_form(route: &Route, answer: &Answer) {
    if route.method == http::Method::HEAD {
        return;
    }
    let value = answer.value();
    if route.path.starts_with("/v2") {
        assert!(value["errors"][0]["code"].is_string(), "{} {value}", route.path);
    } else {
        assert_eq!(answer.header("content-type"), "application/problem+json", "{}", route.path);
        assert!(
            value["code"].is_string() && !value["request_id"].as_str().unwrap().is_empty(),
            "{} {value}",
            route.path
        );
    }
}

async fn refused(env: &Env, who: &str, token: Option<&str>, wanted: impl Fn(&Route) -> Option<u16>) {
    for route in routes() {
        let Some(status) = wanted(&route) else { continue };
        let mut call = call(env, &route, "acme");
        if let Some(token) = token {
            call = call.token(token);
        }
        let answer = call.send().await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{who}: {} {} {}",
            route.method,
            route.path,
            answer.text()
        );
        check_form(&route, &answer);
        if status == 401 {
            let challenge = answer.header("www-authenticate");
            assert!(challenge.starts_with("Bearer "), "{}: {challenge}", route.path);
        }
    }
}

fn not_open(route: &Route) -> Option<u16> {
    (route.access != Access::Open).then_some(401)
}

backends! {
    async fn strangers_are_refused_on_every_route_but_the_listed_ones(env: Env) {
        env.namespace("acme").await;
        let open: Vec<&str> = routes().iter().filter(|route| route.access == Access::Open).map(|route| route.path).collect();
        assert_eq!(open, OPEN);

        refused(&env, "no token", None, not_open).await;
        refused(&env, "garbage", Some("garbage"), not_open).await;
        refused(&env, "unknown token", Some(&format!("gradus_{}", "0".repeat(64))), not_open).await;
        refused(&env, "endless token", Some(&format!("gradus_{}", "0".repeat(5000))), not_open).await;

        // Routes that are not there do not tell strangers so.
        for path in ["/v1/nothing", "/v2/a/b/c/d", "/nothing", "/v2/acme/things/nothing"] {
            Call::new(&env.router, "GET", path).expect(401).await;
            env.get(path).expect(404).await;
        }
    }

    async fn a_token_that_ended_opens_nothing(env: Env) {
        env.namespace("acme").await;
        let ada = env.person("ada", "*", Role::Admin).await;
        env.get("/v1/whoami").token(&ada).expect(200).await;
        let mine = env.get("/v1/tokens").token(&ada).expect(200).await.value();
        let id = mine["items"][0]["id"].as_str().unwrap().to_owned();
        env.call("DELETE", &format!("/v1/tokens/{id}")).expect(204).await;
        refused(&env, "revoked", Some(&ada), not_open).await;

        let bob = env.person("bob", "*", Role::Admin).await;
        env.call("POST", "/v1/users/bob/disable").expect(204).await;
        refused(&env, "disabled", Some(&bob), not_open).await;

        let eve = env.person("eve", "*", Role::Admin).await;
        env.get("/v1/whoami").token(&eve).expect(200).await;
        env.clock.advance(Duration::from_secs(31 * 24 * 3600));
        refused(&env, "expired", Some(&eve), not_open).await;
    }

    async fn a_role_elsewhere_or_too_small_is_not_enough(env: Env) {
        env.namespace("acme").await;
        env.namespace("other").await;
        // Something to find, so that 403 is not the answer to an empty registry.
        files::push_prompt(&env, "acme/things", "one", serde_json::json!({})).await;

        let needs_namespace = |route: &Route| match route.access {
            Access::Namespace(_) | Access::Everywhere(_) => Some(403),
            _ => None,
        };
        let stranger = env.person("stranger", "other", Role::Admin).await;
        refused(&env, "another tenant's admin", Some(&stranger), needs_namespace).await;

        let needs_more_than_reading = |route: &Route| match route.access {
            Access::Namespace(Permission::Read) | Access::Open | Access::Token => None,
            _ => Some(403),
        };
        let more: [(&str, Role, &[Permission]); 5] = [
            ("reader", Role::Reader, &[]),
            ("approver", Role::Approver, &[Permission::Attest]),
            ("releaser", Role::Releaser, &[Permission::Attest, Permission::Release, Permission::Report]),
            ("deployer", Role::Deployer, &[Permission::Report]),
            ("auditor", Role::Auditor, &[Permission::Audit]),
        ];
        for (name, role, may) in more {
            let token = env.person(name, "acme", role).await;
            let needs = |route: &Route| match route.access {
                Access::Namespace(permission) if may.contains(&permission) => None,
                _ => needs_more_than_reading(route),
            };
            refused(&env, name, Some(&token), needs).await;
        }
        let needs_admin = |route: &Route| match route.access {
            Access::Namespace(Permission::Administer | Permission::Release | Permission::Report) | Access::Everywhere(_) => Some(403),
            _ => None,
        };
        let contributor = env.person("contributor", "acme", Role::Contributor).await;
        refused(&env, "contributor", Some(&contributor), needs_admin).await;

        env.person("ada", "*", Role::Admin).await;
        let narrowed = env.token("ada", Scope { namespaces: vec!["other".parse().unwrap()], roles: vec![] }).await;
        refused(&env, "narrowed to another namespace", Some(&narrowed), needs_namespace).await;
        let narrowed = env.token("ada", Scope { namespaces: vec![], roles: vec![Role::Reader] }).await;
        refused(&env, "narrowed to reading", Some(&narrowed), needs_more_than_reading).await;
    }

    async fn verbs_whose_roles_the_policy_names_ask_for_them(env: Env) {
        use crate::harness::govern::W;
        env.namespace("acme").await;
        env.root().push("one").await;
        let reader = env.someone("rita", &[Role::Reader]).await;
        let contributor = env.someone("con", &[Role::Contributor]).await;
        let body = |verb: &str| match verb {
            "rollback" => serde_json::json!({ "reason": "r" }),
            "promote" => serde_json::json!({ "version": "1.0.0" }),
            _ => serde_json::json!({ "version": "1.0.0", "message": "m" }),
        };
        let verbs: Vec<&str> = routes().iter().filter(|route| route.path.contains("/stages/{stage}/") && route.method == "POST").map(|route| route.operation).collect();
        assert_eq!(verbs, ["promote", "approve", "reject", "withdraw", "ratify", "rollback"]);
        env.policy(&crate::harness::govern::production("[{ approvals: { count: 1 } }]")).await;
        env.root().promote("1.0.0", "production").await;
        for verb in verbs {
            for (who, someone) in [("reader", &reader), ("contributor", &contributor)] {
                let call = someone.call("POST", &format!("/v1/workloads/{W}/stages/production/{verb}"));
                let refused = if verb == "ratify" { call.send().await } else { call.json(body(verb)).send().await };
                // Of an override that is not there nothing can be ratified, by anyone.
                let wanted = if verb == "ratify" { 404 } else { 403 };
                assert_eq!(refused.status.as_u16(), wanted, "{who} {verb}: {}", refused.text());
            }
        }
        // A token that lets less through than its owner has.
        env.someone("rel", &[Role::Reader, Role::Releaser]).await;
        let narrowed = env.token("rel", Scope { namespaces: vec![], roles: vec![Role::Reader] }).await;
        let path = format!("/v1/workloads/{W}/stages/production/promote");
        assert_eq!(env.call("POST", &path).token(&narrowed).json(body("promote")).expect(403).await.code(), "role_missing");
    }

    async fn what_is_not_there_looks_like_what_is_not_yours(env: Env) {
        env.namespace("acme").await;
        env.namespace("other").await;
        let stranger = env.person("stranger", "other", Role::Admin).await;
        for route in routes().iter().filter(|route| matches!(route.access, Access::Namespace(_))) {
            let there = call(&env, route, "acme").token(&stranger).send().await;
            let not_there = call(&env, route, "nowhere").token(&stranger).send().await;
            assert_eq!(there.status, not_there.status, "{}", route.path);
            let same = |answer: &Answer| answer.text().replace("acme", "X").replace("nowhere", "X").len();
            assert_eq!(same(&there), same(&not_there), "{}: {} {}", route.path, there.text(), not_there.text());
        }
    }

    async fn basic_credentials_carry_a_token_whatever_the_user_name(env: Env) {
        env.namespace("acme").await;
        let reader = env.person("rita", "acme", Role::Reader).await;
        let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
        let ask = |path: &str, authorization: &str| {
            Call::new(&env.router, "GET", path).header("authorization", authorization)
        };
        for user in ["rita", "anybody", "", "<token>", "_json_key", "\u{e4}"] {
            let authorization = basic(&format!("{user}:{reader}"));
            ask("/v2/", &authorization).expect(200).await;
            ask("/v1/whoami", &authorization).expect(200).await;
            let traded = ask("/v2/token?service=gradus&scope=repository:acme/x:pull", &authorization).expect(200).await.value();
            assert_eq!(traded["token"], traded["access_token"]);
            let bearer = format!("Bearer {}", traded["token"].as_str().unwrap());
            assert_eq!(ask("/v1/whoami", &bearer).expect(200).await.value()["principal"], "rita");
            // What was traded may no more than what it was traded for.
            let at = "/v1/workloads/acme/x/versions";
            Call::new(&env.router, "POST", at).header("authorization", &bearer).body("{}").expect(403).await;
        }
        for bad in [
            basic(&format!("{reader}:")),
            basic(&reader),
            basic("rita:wrong"),
            basic(&format!("rita:{reader} ")),
            basic(&format!("rita:x:{reader}")),
            "Basic".into(),
            "Basic %%%".into(),
            "Bearer".into(),
            "Bearer ".into(),
            format!("Digest {reader}"),
            reader.clone(),
        ] {
            for path in ["/v2/", "/v2/acme/x/tags/list", "/v1/whoami", "/nothing"] {
                let refused = ask(path, &bad).expect(401).await;
                assert!(refused.header("www-authenticate").starts_with("Bearer "), "{bad} {path}");
                assert!(!refused.text().contains(&reader), "the token is not repeated");
            }
            let refused = ask("/v2/token", &bad).expect(401).await;
            assert!(refused.header("www-authenticate").starts_with("Basic "), "{bad}");
        }
        let challenge = Call::new(&env.router, "GET", "/v2/acme/x/tags/list").expect(401).await;
        let challenge = challenge.header("www-authenticate").to_owned();
        assert!(challenge.contains("/v2/token\",service=\"gradus\",scope=\"repository:acme/x:pull,push\""), "{challenge}");
        let odd = Call::new(&env.router, "GET", "/v2/ac%22me/x%0d%0ay/tags/list").expect(401).await;
        assert!(!odd.header("www-authenticate").contains("scope"), "{}", odd.header("www-authenticate"));
        let two = Call::new(&env.router, "GET", "/v1/whoami").header("authorization", "Bearer garbage").token(&reader);
        two.expect(401).await;
    }

    async fn a_method_no_route_takes_is_refused_and_tells_strangers_nothing(env: Env) {
        env.namespace("acme").await;
        let reader = env.person("rita", "acme", Role::Reader).await;
        let mut paths: Vec<String> = routes().iter().map(|route| path(route, "acme")).collect();
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            for method in ["TRACE", "OPTIONS", "PROPFIND"] {
                Call::new(&env.router, method, &path).expect(401).await;
                let refused = env.call(method, &path).token(&reader).expect(405).await;
                assert_eq!(refused.code(), "method_not_allowed", "{method} {path}");
                assert!(!refused.header("allow").is_empty(), "{method} {path}: what is allowed is said (RFC 9110)");
            }
        }
    }

    async fn a_token_makes_no_wider_one(env: Env) {
        env.namespace("acme").await;
        env.person("ada", "acme", Role::Contributor).await;
        let narrow = env.token("ada", Scope { namespaces: vec!["acme".parse().unwrap()], roles: vec![Role::Reader] }).await;
        let make = |scope: serde_json::Value| env.call("POST", "/v1/tokens").token(&narrow).json(serde_json::json!({ "days": 400, "scope": scope }));
        assert_eq!(make(serde_json::json!({})).expect(400).await.code(), "days_invalid");
        let make = |body: serde_json::Value| env.call("POST", "/v1/tokens").token(&narrow).json(body);
        for wider in [
            serde_json::json!({ "days": 1, "scope": { "roles": ["contributor"] } }),
            serde_json::json!({ "days": 1, "scope": { "namespaces": ["other"] } }),
            serde_json::json!({ "days": 1, "user": "admin" }),
        ] {
            make(wider).expect(403).await;
        }
        let same = make(serde_json::json!({ "days": tokens::DAYS_MAX })).expect(201).await.value();
        assert_eq!(same["info"]["scope"], serde_json::json!({ "namespaces": ["acme"], "roles": ["reader"] }));
    }
}
