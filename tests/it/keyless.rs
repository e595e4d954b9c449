//! Tokens for identities of other systems: who gets one, and who does not. The issuer here signs whatever it is told to,
//! which real ones do not.

/// Issuers and what they sign: forged tokens, changed keys, authorities.
mod issuers;
/// People who log in, and what the command line says.
mod people;

use crate::{
    harness::{
        Answer, Backend, Env, backends, files,
        issuer::{Issuer, Key},
    },
    watch::Stream,
};
use gradus::{clock::Clock as _, model::access::Role};
use serde_json::{Value, json};
use std::time::Duration;

struct Keyless {
    env: Env,
    issuer: Issuer,
    key: Key,
    /// An admin of `acme`, and of nothing else.
    ada: String,
}

impl Keyless {
    async fn new(backend: Backend) -> Self {
        let key = Key::new("one");
        let issuer = Issuer::start(&[&key]).await;
        let configured = issuer.configured("ci");
        let env = Env::with(backend, |config| config.issuers = vec![configured]).await;
        env.namespace("acme").await;
        env.namespace("rival").await;
        let ada = env.person("ada", "acme", Role::Admin).await;
        Self { env, issuer, key, ada }
    }

    fn claims(&self) -> Value {
        let now = self.env.clock.now().timestamp();
        json!({
            "iss": self.issuer.url, "aud": "gradus", "sub": "repo:acme/triage:ref:refs/heads/main",
            "repository": "acme/triage", "ref": "refs/heads/main", "iat": now, "nbf": now, "exp": now + 300,
        })
    }

    fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims();
        claims[name] = value;
        claims
    }

    async fn add(&self, namespace: &str, more: Value) -> Answer {
        let mut body =
            json!({ "issuer": "ci", "claims": { "repository": "acme/triage" }, "roles": ["contributor"] });
        more.as_object().unwrap().iter().for_each(|(name, value)| body[name] = value.clone());
        self.env.call("POST", &format!("/v1/trust/{namespace}")).json(body).send().await
    }

    async fn rule(&self, namespace: &str, more: Value) -> String {
        let added = self.add(namespace, more).await;
        assert_eq!(added.status, 201, "{}", added.text());
        added.value()["id"].as_str().unwrap().to_owned()
    }

    async fn ask(&self, body: Value) -> Answer {
        self.env.call("POST", "/v1/oidc/token").anonymous().json(body).send().await
    }

    async fn exchange(&self, token: &str) -> Answer {
        self.ask(json!({ "token": token, "namespace": "acme" })).await
    }

    /// What is given for these claims, rightly signed.
    async fn given(&self, claims: &Value) -> Value {
        let answer = self.exchange(&self.key.sign(claims)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.value()
    }

    async fn code(&self, token: &str) -> String {
        let answer = self.exchange(token).await;
        assert!(answer.status.is_client_error() || answer.status == 503, "{}", answer.text());
        assert!(token.is_empty() || !answer.text().contains(token), "the token is not repeated");
        answer.code()
    }

    async fn log_length(&self) -> usize {
        let events = self.env.get("/v1/events?limit=1000").expect(200).await.value();
        events["items"].as_array().unwrap().len()
    }
}

backends! {
    async fn a_job_gets_a_token_for_who_it_is(env: Env) {
        let it = Keyless::new(env.backend).await;
        let added = it.env.call("POST", "/v1/trust/acme").token(&it.ada).json(json!({
            "issuer": "ci", "claims": { "repository": "acme/*", "ref": "refs/heads/main" }, "roles": ["contributor", "reader"],
        })).expect(201).await.value();
        assert_eq!(added["principal"], "acme__ci");
        assert_eq!(added["roles"], json!(["reader", "contributor"]));
        let listed = it.env.get("/v1/trust/acme").token(&it.ada).expect(200).await.value();
        assert_eq!(listed["items"], json!([added]));

        let answer = it.exchange(&it.key.sign(&it.claims())).await;
        assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (201, "no-store"), "{}", answer.text());
        let given = answer.value();
        assert_eq!((&given["principal"], &given["kind"], &given["issuer"]), (&json!("acme__ci"), &json!("service"), &json!("ci")));
        assert_eq!(given["scope"], json!({ "namespaces": ["acme"], "roles": ["reader", "contributor"] }));
        let token = given["token"].as_str().unwrap();
        let me = it.env.get("/v1/whoami").token(token).expect(200).await.value();
        assert_eq!((&me["principal"], &me["expires_at"]), (&json!("acme__ci"), &given["expires_at"]));

        // It may what the rule says, where the rule says, and no more.
        files::push_prompt(&it.env, "acme/triage", "one", json!({})).await;
        it.env.call("PUT", "/v1/workloads/acme/triage/aliases/champion").token(token).json(json!({ "to": "1.0.0" })).expect(200).await;
        for (method, path) in [
            ("GET", "/v1/namespaces/rival"), ("GET", "/v1/workloads/rival/x/versions"), ("GET", "/v1/users"),
            ("PUT", "/v1/members/acme/acme__ci/admin"), ("POST", "/v1/trust/acme"),
        ] {
            it.env.call(method, path).token(token).expect(403).await;
        }
        // As any reader it sees what happens to workloads, and nothing of who is let in.
        let seen = it.env.get("/v1/events?namespace=acme").token(token).expect(200).await.value();
        let kinds: Vec<&str> = seen["items"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["pushed", "promoted", "alias_set"]);
        // What it makes of itself does not outlive it.
        let longer = it.env.call("POST", "/v1/tokens").token(token).json(json!({ "days": 300 })).expect(201).await.value();
        assert_eq!(longer["info"]["expires_at"], given["expires_at"]);

        let events = it.env.get("/v1/events?limit=1000").expect(200).await.value();
        let told: Vec<&Value> = events["items"].as_array().unwrap().iter().filter(|event| event["actor"] == "ada" || event["actor"] == "acme__ci").collect();
        let kinds: Vec<&str> = told.iter().map(|event| event["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["user_added", "member_added", "member_added", "trust_added", "token_created", "alias_set", "token_created"]);
        assert_eq!(told[4]["data"]["label"], "ci: repo:acme/triage:ref:refs/heads/main");
        assert!(!events.to_string().contains(token));
        let seen = it.env.get("/v1/events?namespace=acme&kind=trust_added").expect(200).await.value();
        assert_eq!(seen["items"].as_array().unwrap().len(), 1);
        let verified = it.env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
        assert!(verified["first_bad"].is_null() && verified["size"].is_u64(), "{verified}");

        it.env.clock.advance(Duration::from_secs(15 * 60 - 1));
        it.env.get("/v1/whoami").token(token).expect(200).await;
        it.env.clock.advance(Duration::from_secs(1));
        it.env.get("/v1/whoami").token(token).expect(401).await;
    }

    async fn a_namespace_speaks_for_itself_only(env: Env) {
        let it = Keyless::new(env.backend).await;
        it.rule("acme", json!({})).await;
        let rita = it.env.person("rita", "rival", Role::Admin).await;
        let body = json!({ "issuer": "ci", "claims": { "repository": "acme/triage" }, "roles": ["contributor"] });
        for path in ["/v1/trust/acme", "/v1/trust/*"] {
            it.env.call("POST", path).token(&rita).json(body.clone()).expect(403).await;
        }
        it.env.get("/v1/trust/acme").token(&rita).expect(403).await;

        // Whom one namespace trusts, another does not, and does not say whether it is there.
        let token = it.key.sign(&it.claims());
        let refused = |namespace: &'static str| it.ask(json!({ "token": token, "namespace": namespace }));
        let (there, not_there) = (refused("rival").await, refused("nowhere").await);
        assert_eq!((there.status.as_u16(), there.code().as_str()), (403, "identity_unmatched"));
        let same = |answer: &Answer, name: &str| {
            let mut value = answer.value();
            value["request_id"] = json!("");
            value.to_string().replace(name, "X")
        };
        assert_eq!(same(&there, "rival"), same(&not_there, "nowhere"));

        // No name reaches into another namespace, and nobody who is there is taken over.
        for name in ["acme__ci", "x__y", "../acme__ci", ""] {
            assert_eq!(it.add("rival", json!({ "service": name })).await.code(), "service_name_invalid", "{name}");
        }
        it.env.call("POST", "/v1/users").json(json!({ "name": "rival__deploy", "kind": "service" })).expect(201).await;
        it.env.call("POST", "/v1/users").json(json!({ "name": "rival__bob", "kind": "person" })).expect(201).await;
        for name in ["deploy", "bob"] {
            assert_eq!(it.add("rival", json!({ "service": name })).await.code(), "user_exists", "{name}");
        }
        it.rule("rival", json!({ "roles": ["reader"] })).await;
        let given = it.ask(json!({ "token": token, "namespace": "rival" })).await.value();
        assert_eq!(given["principal"], "rival__ci");
        it.env.get("/v1/namespaces/acme").token(given["token"].as_str().unwrap()).expect(403).await;

        // Roles elsewhere do not come with a token of the rule.
        it.env.call("PUT", "/v1/members/rival/acme__ci/admin").expect(204).await;
        it.env.call("PUT", "/v1/members/*/acme__ci/admin").expect(204).await;
        let token = it.given(&it.claims()).await["token"].as_str().unwrap().to_owned();
        it.env.get("/v1/namespaces/rival").token(&token).expect(403).await;
        it.env.get("/v1/users").token(&token).expect(403).await;
        it.env.call("PUT", "/v1/members/acme/ada/reader").token(&token).expect(403).await;
        it.env.call("PUT", "/v1/members/acme/acme__ci/approver").expect(400).await;

        // A disabled service stays out.
        it.env.call("POST", "/v1/users/acme__ci/disable").expect(204).await;
        assert_eq!(it.code(&it.key.sign(&it.claims())).await, "user_disabled");
        assert_eq!(it.add("acme", json!({ "roles": ["reader"] })).await.code(), "user_disabled");
    }

    async fn rules_are_careful_and_end_at_once(env: Env) {
        let it = Keyless::new(env.backend).await;
        for (more, code) in [
            (json!({ "issuer": "nobody" }), "issuer_unknown"),
            (json!({ "claims": {} }), "claims_invalid"),
            (json!({ "claims": { "aud": "gradus" } }), "claims_invalid"),
            (json!({ "claims": { "ref": "refs/heads/main" } }), "claims_too_wide"),
            (json!({ "roles": [] }), "trust_role_invalid"),
            (json!({ "roles": ["admin"] }), "trust_role_invalid"),
            (json!({ "roles": ["reader", "approver"] }), "trust_role_invalid"),
            (json!({ "roles": ["owner"] }), "body_invalid"),
        ] {
            let refused = it.add("acme", more.clone()).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, code), "{more}");
        }
        let one = it.rule("acme", json!({})).await;
        let again = it.add("acme", json!({})).await;
        assert_eq!((again.status.as_u16(), again.value()["id"].as_str()), (200, Some(one.as_str())));
        let two = it.rule("acme", json!({ "claims": { "sub": "repo:acme/*" }, "roles": ["reader"] })).await;

        // Where two rules fit, the caller says which.
        let token = it.key.sign(&it.claims());
        let refused = it.exchange(&token).await;
        assert_eq!((refused.status.as_u16(), refused.code().as_str()), (409, "identity_ambiguous"));
        assert!(refused.text().contains(&one) && refused.text().contains(&two), "{}", refused.text());
        let by = |rule: &str| it.ask(json!({ "token": token, "namespace": "acme", "rule": rule }));
        let (first, second) = (by(&one).await.value(), by(&two).await.value());
        assert_eq!((&first["scope"]["roles"], &second["scope"]["roles"]), (&json!(["contributor"]), &json!(["reader"])));
        assert_eq!(by("other").await.code(), "identity_unmatched");

        let made = it.env.call("POST", "/v1/tokens").token(first["token"].as_str().unwrap()).json(json!({ "days": 1 })).expect(201).await;
        let made = made.value()["token"].as_str().unwrap().to_owned();
        it.env.get("/v1/whoami").token(&made).expect(200).await;

        // Taking a rule away ends what it gave, and what was made with that, and leaves what the other one gives.
        let path = format!("/v1/trust/acme/{one}");
        it.env.call("DELETE", &path).token(&it.ada).expect(204).await;
        it.env.get("/v1/whoami").token(first["token"].as_str().unwrap()).expect(401).await;
        it.env.get("/v1/whoami").token(made.as_str()).expect(401).await;
        let me = it.env.get("/v1/whoami").token(second["token"].as_str().unwrap()).expect(200).await.value();
        assert_eq!(me["roles"], json!({ "acme": ["reader"] }));
        assert_eq!(it.env.call("DELETE", &path).expect(404).await.code(), "trust_unknown");
        assert_eq!(it.env.call("DELETE", &format!("/v1/trust/rival/{two}")).expect(404).await.code(), "trust_unknown");
        it.env.call("DELETE", &format!("/v1/trust/acme/{two}")).expect(204).await;
        assert_eq!(it.code(&token).await, "identity_unmatched");
        let members = it.env.get("/v1/members/acme").expect(200).await.text();
        assert!(!members.contains("acme__ci"), "{members}");
        let verified = it.env.call("POST", "/v1/log/verify").json(json!({})).expect(200).await.value();
        assert!(verified["first_bad"].is_null() && verified["size"].is_u64(), "{verified}");
        // A rule of the same namespace may take its service up again.
        it.rule("acme", json!({ "roles": ["releaser"] })).await;
        assert_eq!(it.given(&it.claims()).await["principal"], "acme__ci");
    }

    async fn a_stream_ends_with_its_rule(env: Env) {
        let it = Keyless::new(env.backend).await;
        let rule = it.rule("acme", json!({})).await;
        let token = it.given(&it.claims()).await["token"].as_str().unwrap().to_owned();
        // Another rule gives the same role, so that no role is taken away.
        it.rule("acme", json!({ "claims": { "sub": "another" } })).await;
        let mut stream = Stream::open(&it.env, &token, "namespace=acme", None).await;
        files::push_prompt(&it.env, "acme/triage", "one", json!({})).await;
        assert_eq!(stream.next().await.unwrap()["kind"], "pushed");
        assert_eq!(stream.next().await.unwrap()["kind"], "promoted");
        it.env.call("DELETE", &format!("/v1/trust/acme/{rule}")).expect(204).await;
        files::push_prompt(&it.env, "acme/triage", "two", json!({})).await;
        assert_eq!(stream.next().await, None);
    }

    async fn what_jobs_were_given_is_not_kept_for_ever(env: Env) {
        let it = Keyless::new(env.backend).await;
        it.rule("acme", json!({})).await;
        for _ in 0..3 {
            it.given(&it.claims()).await;
            it.env.clock.advance(Duration::from_secs(25 * 3600));
        }
        it.given(&it.claims()).await;
        let tokens = it.env.get("/v1/tokens?all=true").expect(200).await.value();
        let of_jobs = tokens["items"].as_array().unwrap().iter().filter(|token| token["user"] == "acme__ci").count();
        assert_eq!(of_jobs, 1, "{tokens}");
    }
}
