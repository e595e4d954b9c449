//! Tokens for identities of other systems: who gets one, and who does not. The issuer here signs whatever it is told to,
//! which real ones do not.

use crate::harness::{
    Answer, Backend, Env, backends, files,
    issuer::{Issuer, Key, unsigned},
    server::{Cli, Setup},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use gradus::{
    clock::Clock as _,
    model::access::{PrincipalKind, Role},
};
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

    async fn forged_tokens_open_nothing(env: Env) {
        let it = Keyless::new(env.backend).await;
        it.rule("acme", json!({})).await;
        it.given(&it.claims()).await;
        let before = it.log_length().await;
        let (good, now) = (it.claims(), it.env.clock.now().timestamp());
        let stranger = Key::new("one");
        let header = |more: Value| {
            let mut header = json!({ "alg": "ES256", "kid": "one" });
            more.as_object().unwrap().iter().for_each(|(name, value)| header[name] = value.clone());
            header
        };
        let hmac = |header: Value| {
            // The published key as the secret.
            let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, it.key.jwk().to_string().as_bytes());
            let signed = unsigned(&header, &good);
            format!("{signed}.{}", B64.encode(ring::hmac::sign(&secret, signed.as_bytes())))
        };
        let changed = |name: &str, value: Value| it.key.sign(&it.claims_with(name, value));
        let spliced = {
            let (mine, other) = (it.key.sign(&good), it.key.sign(&it.claims_with("sub", json!("x"))));
            format!("{}.{}", other.rsplit_once('.').unwrap().0, mine.rsplit_once('.').unwrap().1)
        };
        for (token, code) in [
            ("".to_owned(), "identity_malformed"),
            ("gradus_0000".to_owned(), "identity_malformed"),
            ("x".repeat(20_000), "identity_malformed"),
            (format!("{}.", unsigned(&header(json!({ "alg": "none" })), &good)), "identity_algorithm_refused"),
            (hmac(header(json!({ "alg": "HS256" }))), "identity_algorithm_refused"),
            (hmac(header(json!({}))), "identity_signature_invalid"),
            (it.key.sign_with(&header(json!({ "alg": "EdDSA" })), &good), "identity_algorithm_refused"),
            (it.key.sign_with(&header(json!({ "alg": "RS256" })), &good), "identity_key_unknown"),
            (stranger.sign_with(&header(json!({ "jku": "http://127.0.0.1:9/keys" })), &good), "identity_header_refused"),
            (stranger.sign_with(&header(json!({ "jwk": stranger.jwk() })), &good), "identity_header_refused"),
            (stranger.sign_with(&header(json!({ "x5u": "http://127.0.0.1:9/c" })), &good), "identity_header_refused"),
            (it.key.sign_with(&header(json!({ "crit": ["exp"] })), &good), "identity_header_refused"),
            (it.key.sign_with(&header(json!({ "typ": "at+jwt" })), &good), "identity_header_refused"),
            (stranger.sign(&good), "identity_signature_invalid"),
            (spliced, "identity_signature_invalid"),
            (Key::new("two").sign(&good), "identity_key_unknown"),
            (changed("iss", json!("https://evil.example.org")), "identity_issuer_unknown"),
            (changed("iss", json!(format!("{}/", it.issuer.url))), "identity_issuer_unknown"),
            (changed("aud", json!("https://other.example.org")), "identity_audience_wrong"),
            (changed("aud", json!([])), "identity_audience_wrong"),
            (changed("exp", json!(now)), "identity_expired"),
            (changed("exp", json!(now + 30 * 24 * 3600)), "identity_too_long_lived"),
            (changed("exp", Value::Null), "identity_claim_invalid"),
            (changed("nbf", json!(now + 90)), "identity_not_yet_valid"),
            (changed("iat", json!(now + 90)), "identity_not_yet_valid"),
            (changed("sub", json!("")), "identity_claim_invalid"),
            (changed("repository", json!("evil/triage")), "identity_unmatched"),
            (changed("repository", json!("acme/triage-2")), "identity_unmatched"),
            (changed("repository", json!(["acme/triage"])), "identity_unmatched"),
        ] {
            assert_eq!(it.code(&token).await, code, "{token}");
        }
        assert_eq!(it.exchange("x.y.z").await.header("www-authenticate"), "Bearer realm=\"gradus\"");
        let unread = it.ask(json!({ "token": it.key.sign(&good), "namespace": "acme", "roles": ["admin"] })).await;
        assert_eq!((unread.status.as_u16(), unread.code().as_str()), (400, "body_invalid"));
        let nowhere = it.ask(json!({ "token": it.key.sign(&good) })).await;
        assert_eq!((nowhere.status.as_u16(), nowhere.code().as_str()), (400, "namespace_missing"));

        // Of all that nothing stays, and who is who they say still gets in.
        assert_eq!(it.log_length().await, before);
        it.given(&good).await;
    }

    async fn keys_are_fetched_kept_and_rotated(env: Env) {
        let it = Keyless::new(env.backend).await;
        it.rule("acme", json!({})).await;
        assert_eq!(it.issuer.asked(), 0, "an issuer nobody comes from is not asked");
        // Who comes at the same moment shares one question.
        let tokens = [(); 8].map(|()| it.key.sign(&it.claims()));
        for answer in futures_util::future::join_all(tokens.iter().map(|token| it.exchange(token))).await {
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
        it.given(&it.claims()).await;
        assert_eq!(it.issuer.asked(), 1);

        // A key that is not there is asked for at most every half minute.
        let next = Key::new("two");
        it.issuer.publish(&[&it.key, &next]);
        for _ in 0..3 {
            assert_eq!(it.code(&next.sign(&it.claims())).await, "identity_key_unknown");
        }
        assert_eq!(it.issuer.asked(), 1);
        it.env.clock.advance(Duration::from_secs(30));
        assert_eq!(it.exchange(&next.sign(&it.claims())).await.status, 201);
        assert_eq!(it.issuer.asked(), 2);

        // A key that was taken away counts no more once what is kept has grown old.
        it.issuer.publish(&[&next]);
        it.given(&it.claims()).await;
        it.env.clock.advance(Duration::from_secs(10 * 60));
        assert_eq!(it.code(&it.key.sign(&it.claims())).await, "identity_key_unknown");
        assert_eq!(it.issuer.asked(), 3);

        // While the issuer is down, old keys do for a day.
        it.issuer.down(true);
        it.env.clock.advance(Duration::from_secs(23 * 3600));
        assert_eq!(it.exchange(&next.sign(&it.claims())).await.status, 201);
        assert_eq!(it.exchange(&next.sign(&it.claims())).await.status, 201);
        assert_eq!(it.issuer.asked(), 4, "it is not asked again and again");
        assert_eq!(it.code(&Key::new("three").sign(&it.claims())).await, "issuer_unreachable");
        it.env.clock.advance(Duration::from_secs(3600));
        let down = it.exchange(&next.sign(&it.claims())).await;
        assert_eq!((down.status.as_u16(), down.code().as_str()), (503, "issuer_unreachable"));
        it.issuer.down(false);
        it.env.clock.advance(Duration::from_secs(5));
        assert_eq!(it.exchange(&next.sign(&it.claims())).await.status, 201);

        // Another replica has none of this in memory.
        let other = it.env.replica().await;
        let body = json!({ "token": next.sign(&it.claims()), "namespace": "acme" });
        other.call("POST", "/v1/oidc/token").json(body).expect(201).await;
        // An issuer that says it is another one is not believed.
        *it.issuer.shown.other_name.lock().unwrap() = Some("https://evil.example.org".into());
        let third = it.env.replica().await;
        let body = json!({ "token": next.sign(&it.claims()), "namespace": "acme" });
        assert_eq!(third.call("POST", "/v1/oidc/token").json(body).expect(503).await.code(), "issuer_invalid");
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

    async fn people_log_in_by_tokens_made_out_to_the_client(env: Env) {
        let it = Keyless::new(env.backend).await;
        it.env.person("bob", "rival", Role::Reader).await;
        it.env.call("POST", "/v1/users").json(json!({ "name": "robot", "kind": "service" })).expect(201).await;
        let person = |login: Value| {
            let mut claims = it.claims_with("aud", json!("cli"));
            claims["login"] = login;
            it.key.sign(&claims)
        };
        let given = it.ask(json!({ "token": person(json!("ada")) })).await;
        assert_eq!(given.status, 201, "{}", given.text());
        let given = given.value();
        assert_eq!((&given["principal"], &given["kind"], &given["scope"]), (&json!("ada"), &json!("person"), &json!({})));
        let token = given["token"].as_str().unwrap();
        it.env.call("PUT", "/v1/members/acme/bob/reader").token(token).expect(204).await;
        // With a namespace the token is narrowed to it.
        let narrowed = it.ask(json!({ "token": person(json!("bob")), "namespace": "acme" })).await.value();
        let narrowed = narrowed["token"].as_str().unwrap();
        it.env.get("/v1/namespaces/acme").token(narrowed).expect(200).await;
        it.env.get("/v1/namespaces/rival").token(narrowed).expect(403).await;

        for unknown in ["eve", "robot", "Ada", "local:tester", "ada\n", "../ada", ""] {
            let refused = it.ask(json!({ "token": person(json!(unknown)) })).await;
            assert_eq!((refused.status.as_u16(), refused.code().as_str()), (403, "person_unknown"), "{unknown}");
        }
        for unnamed in [Value::Null, json!(7), json!(["ada"])] {
            assert_eq!(it.ask(json!({ "token": person(unnamed.clone()) })).await.code(), "person_unnamed", "{unnamed}");
        }
        it.env.call("POST", "/v1/users/bob/disable").expect(204).await;
        assert_eq!(it.ask(json!({ "token": person(json!("bob")) })).await.code(), "person_unknown");

        // A job's token does not make a person, whatever it claims; nor does both at once.
        it.rule("acme", json!({})).await;
        for audience in [json!("gradus"), json!(["gradus", "cli"]), json!(["cli", "gradus"])] {
            let mut claims = it.claims_with("aud", audience);
            claims["login"] = json!("ada");
            assert_eq!(it.given(&claims).await["principal"], "acme__ci");
        }
        let users = it.env.get("/v1/users").expect(200).await.value();
        let service = users["items"].as_array().unwrap().iter().find(|user| user["name"] == "acme__ci").unwrap();
        assert_eq!(service["kind"], json!(PrincipalKind::Service));
        it.env.clock.advance(Duration::from_secs(480 * 60));
        it.env.get("/v1/whoami").token(token).expect(401).await;
    }
}

/// What is said on the command line, where no provider is needed for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_says_what_is_missing() {
    let directory = tempfile::tempdir().expect("a directory");
    let key = Key::new("one");
    let (one, other) = (Issuer::start(&[&key]).await, Issuer::start(&[&key]).await);
    let issuers = vec![one.configured("one"), other.configured("other")];
    let setup = Setup::with(Backend::SqliteLocal, directory.path(), |config| config.issuers = issuers).await;
    let server = setup.start();
    let admin = server.bootstrap_token().expect("the first start prints it");
    let (home, url) = (directory.path(), server.url.as_str());
    let as_admin = |arguments: &[&str]| {
        Cli::new(home, arguments).environment("GRADUS_SERVER", url).environment("GRADUS_TOKEN", &admin).run()
    };
    let add = |claims: &[&str]| {
        as_admin(&[&["trust", "add", "acme", "--issuer", "one", "--role", "reader"], claims].concat())
    };
    as_admin(&["namespace", "create", "acme"]).expect(0);
    let added = add(&["--claim", "sub=job", "--claim", "ref=main"]).expect(0);
    assert!(added.stderr.contains("acts as acme__one (reader) in acme"), "{added:#?}");
    assert!(added.stderr.contains(&format!("gradus login {url} --oidc --namespace acme")), "{added:#?}");
    let listed = as_admin(&["trust", "list", "acme"]).expect(0).stdout;
    assert!(listed.contains(added.stdout.trim()) && listed.contains("ref=main sub=job"), "{listed}");
    for (claims, code, words) in [
        (&[][..], 2, "--claim"),
        (&["--claim", "sub"], 2, "a claim is NAME=VALUE"),
        (&["--claim", "sub=a", "--claim", "sub=b"], 2, "given twice: sub"),
        (&["--claim", "ref=main"], 1, "[claims_too_wide]"),
        (&["--claim", "sub=a", "--role", "approver"], 1, "[trust_role_invalid]"),
        (&["--claim", "sub=a", "--as", "b__c"], 1, "[service_name_invalid]"),
    ] {
        let refused = add(claims).expect(code).stderr;
        assert!(refused.contains(words) && refused.contains("hint: "), "{refused}");
    }
    let login = |arguments: &[&str], token: Option<&str>| {
        let cli = Cli::new(home, &[&["login", url], arguments].concat());
        token
            .map_or_else(
                || Cli::new(home, &[&["login", url], arguments].concat()),
                |token| cli.environment("GRADUS_ID_TOKEN", token),
            )
            .run()
    };
    for (arguments, code, words) in [
        (&["--oidc"][..], 1, "[identity_missing]"),
        (&["--namespace", "acme"], 2, "--oidc"),
        (&["--oidc", "--device", "--browser"], 2, "--browser"),
        (&["--oidc", "--identity-file", "/nowhere"], 1, "[identity_unreadable]"),
        (&["--oidc", "--device"], 1, "[issuer_ambiguous]"),
        (&["--oidc", "--device", "--issuer", "third"], 1, "it knows: one, other"),
        (&["--oidc", "--device", "--issuer", "one"], 1, "--browser"),
    ] {
        let refused = login(arguments, None).expect(code).stderr;
        assert!(refused.contains(words), "{arguments:?}: {refused}");
    }
    let now = gradus::clock::System.now().timestamp();
    let token = key.sign(&json!({ "iss": one.url, "aud": "gradus", "sub": "job", "ref": "main", "iat": now, "exp": now + 300 }));
    let refused = login(&["--oidc"], Some(&token)).expect(1).stderr;
    assert!(
        refused.contains("[namespace_missing]") && refused.contains("--namespace NAMESPACE"),
        "{refused}"
    );
    let done = login(&["--oidc", "--namespace", "acme"], Some(&token)).expect(0);
    assert!(
        done.stderr.contains("as acme__one, as one says of job; until ") && !done.stderr.contains("gradus_"),
        "{done:#?}"
    );
    let me = Cli::new(home, &["whoami"]).run().expect(0).stdout;
    assert!(me.contains("acme__one (service)") && me.contains("acme: reader"), "{me}");
    as_admin(&["trust", "rm", "acme", added.stdout.trim()]).expect(0);
    Cli::new(home, &["whoami"]).run().expect(8);
    let told = as_admin(&["log"]).expect(0).stdout;
    assert!(
        told.contains("let identities of one act as acme__one (reader) in acme")
            && told.contains("took the rule "),
        "{told}"
    );
}
