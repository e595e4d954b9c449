use super::Keyless;
use crate::harness::{
    Backend, Env, backends,
    certificate::certificate,
    issuer::{Issuer, Key, unsigned},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use gradus::clock::Clock as _;
use serde_json::{Value, json};
use std::time::Duration;

backends! {
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
            (changed("repository", json!(["evil/triage", ["acme/triage"]])), "identity_unmatched"),
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
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_issuer_may_have_an_authority_of_its_own() {
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (Some(tls), Some(_)) = (certificate(directory.path()), certificate(elsewhere.path())) else { return };
    let key = Key::new("one");
    let issuer = Issuer::with_tls(&[&key], tls).await;
    let (right, wrong) = (directory.path().join("ca.crt"), elsewhere.path().join("ca.crt"));
    let file = elsewhere.path().join("authority.pem");
    let mut configured = issuer.configured("ci");
    configured.ca_file = Some(file.clone());
    let env = Env::with(Backend::SqliteLocal, |config| config.issuers = vec![configured]).await;
    env.namespace("acme").await;
    let rule = json!({ "issuer": "ci", "claims": { "sub": "job" }, "roles": ["reader"] });
    env.call("POST", "/v1/trust/acme").json(rule).expect(201).await;
    let ask = async || {
        let now = env.clock.now().timestamp();
        let claims = json!({ "iss": issuer.url, "aud": "gradus", "sub": "job", "exp": now + 300 });
        let body = json!({ "token": key.sign(&claims), "namespace": "acme" });
        env.call("POST", "/v1/oidc/token").anonymous().json(body).send().await
    };
    // The file is read whenever keys are fetched, so that what was mended or replaced needs no new start.
    for (put, status, code) in
        [(None, 503, "issuer_invalid"), (Some(wrong), 503, "issuer_unreachable"), (Some(right), 201, "")]
    {
        if let Some(put) = put {
            std::fs::copy(put, &file).unwrap();
        }
        let answer = ask().await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(code.is_empty() || answer.code() == code, "{}", answer.text());
        env.clock.advance(Duration::from_secs(5));
    }
    assert_eq!(issuer.asked(), 1);
}
