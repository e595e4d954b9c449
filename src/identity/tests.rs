//! Tokens by every algorithm, and everything that is none.

use super::{golden::*, *};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use ring::{
    rand::SystemRandom,
    rsa,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::json;

const ISSUER: &str = "https://issuer.example.org";
const NOW: i64 = 1_767_323_045;

fn rsa_key() -> rsa::KeyPair {
    let part = |text: &str| B64.decode(text).unwrap();
    rsa::KeyPair::from_components(&rsa::KeyPairComponents {
        public_key: rsa::PublicKeyComponents { n: part(RSA_N), e: vec![1, 0, 1] },
        d: part(RSA_D),
        p: part(RSA_P),
        q: part(RSA_Q),
        dP: part(RSA_DP),
        dQ: part(RSA_DQ),
        qInv: part(RSA_QI),
    })
    .unwrap()
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key pair of an issuer, as it signs and as it publishes it.
struct Pair {
    jwk: Value,
    sign: Sign,
}

fn pair(algorithm: Algorithm) -> Pair {
    let random = SystemRandom::new();
    let ecdsa = |curve: &'static signature::EcdsaSigningAlgorithm, name: &str| {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(curve, pkcs8.as_ref(), &random).unwrap();
        let point = key.public_key().as_ref()[1..].to_vec();
        let (x, y) = point.split_at(point.len() / 2);
        let jwk = json!({ "kty": "EC", "crv": name, "x": B64.encode(x), "y": B64.encode(y) });
        let sign = move |message: &[u8]| key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec();
        Pair { jwk, sign: Box::new(sign) }
    };
    let rsa = |padding: &'static dyn signature::RsaEncoding| {
        let key = rsa_key();
        let sign = move |message: &[u8]| {
            let mut signature = vec![0; key.public().modulus_len()];
            key.sign(padding, &SystemRandom::new(), message, &mut signature).unwrap();
            signature
        };
        Pair { jwk: json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" }), sign: Box::new(sign) }
    };
    match algorithm {
        Algorithm::RS256 => rsa(&signature::RSA_PKCS1_SHA256),
        Algorithm::PS256 => rsa(&signature::RSA_PSS_SHA256),
        Algorithm::ES256 => ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
        Algorithm::ES384 => ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
        Algorithm::EdDSA => {
            let pkcs8 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
            let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
            let x = B64.encode(key.public_key().as_ref());
            let sign = move |message: &[u8]| key.sign(message).as_ref().to_vec();
            Pair { jwk: json!({ "kty": "OKP", "crv": "Ed25519", "x": x }), sign: Box::new(sign) }
        }
    }
}

impl Pair {
    fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }

    fn token_of(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", B64.encode(header), B64.encode(claims));
        format!("{signed}.{}", B64.encode((self.sign)(signed.as_bytes())))
    }

    /// Published under an id.
    fn set(&self, id: &str) -> KeySet {
        let mut jwk = self.jwk.clone();
        jwk["kid"] = json!(id);
        set(&[jwk])
    }
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "gradus", "sub": "repo:acme/triage", "iat": NOW, "exp": NOW + 300 })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

fn judge(token: &str, keys: &KeySet, algorithms: &[Algorithm]) -> Result<Identity> {
    let now = DateTime::from_timestamp(NOW, 0).unwrap();
    let expected = Expected { issuer: ISSUER, audiences: &["gradus"], algorithms, now };
    verify(&read(token)?, &expected, keys)
}

/// The code of the refusal of an ES256 token with this header and these claims, rightly signed.
fn code(header: &Value, claims: &Value) -> &'static str {
    let pair = pair(Algorithm::ES256);
    judge(&pair.token(header, claims), &pair.set("k"), &Algorithm::ALL).unwrap_err().code
}

fn es256() -> Value {
    json!({ "alg": "ES256", "kid": "k", "typ": "JWT" })
}

#[test]
fn every_algorithm_verifies_its_own_and_nothing_else() {
    for algorithm in Algorithm::ALL {
        let pair = pair(algorithm);
        let token = pair.token(&json!({ "alg": algorithm.name(), "kid": "k" }), &claims());
        let identity = judge(&token, &pair.set("k"), &[algorithm]).unwrap();
        assert_eq!(identity.subject, "repo:acme/triage", "{algorithm}");
        assert!(identity.is_for("gradus") && !identity.is_for("other"));

        // The issuer's list of algorithms decides, not the token.
        let others: Vec<Algorithm> = Algorithm::ALL.into_iter().filter(|other| *other != algorithm).collect();
        assert_eq!(judge(&token, &pair.set("k"), &others).unwrap_err().code, "identity_algorithm_refused");

        // The same header and claims by somebody else who has a key of the same kind.
        let other = self::pair(if algorithm == Algorithm::RS256 { Algorithm::PS256 } else { algorithm });
        let forged = other.token(&json!({ "alg": algorithm.name(), "kid": "k" }), &claims());
        let refused = judge(&forged, &pair.set("k"), &[algorithm]);
        if algorithm == Algorithm::PS256 {
            continue; // one RSA key is all there is
        }
        assert_eq!(refused.unwrap_err().code, "identity_signature_invalid", "{algorithm}");
    }
}

#[test]
fn published_examples_verify() {
    let verifies = |jwk: Value, algorithm: Algorithm, signed: String, signature: &str| {
        let keys = set(&[jwk]);
        let key = keys.fitting(None, algorithm).next().expect("a key that fits");
        let mut bytes = B64.decode(signature).unwrap();
        assert!(key.verifies(algorithm, signed.as_bytes(), &bytes), "{algorithm}");
        assert!(!key.verifies(algorithm, format!("{signed}x").as_bytes(), &bytes), "{algorithm}");
        bytes[7] ^= 1;
        assert!(!key.verifies(algorithm, signed.as_bytes(), &bytes), "{algorithm}");
    };
    let rsa = json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" });
    verifies(rsa, Algorithm::RS256, format!("{RS256_HEADER}.{PAYLOAD}"), RS256_SIGNATURE);
    let p256 = json!({ "kty": "EC", "crv": "P-256", "x": P256_X, "y": P256_Y });
    verifies(p256, Algorithm::ES256, format!("{ES256_HEADER}.{PAYLOAD}"), ES256_SIGNATURE);
    let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED25519_X });
    verifies(ed25519, Algorithm::EdDSA, ED25519_SIGNED.to_owned(), ED25519_SIGNATURE);
}

#[test]
fn none_and_secrets_as_keys_are_refused() {
    let unsigned = |algorithm: &str| {
        let header = json!({ "alg": algorithm, "kid": "k" }).to_string();
        format!("{}.{}.", B64.encode(header), B64.encode(claims().to_string()))
    };
    let keys = pair(Algorithm::RS256).set("k");
    for algorithm in
        ["none", "None", "NONE", "nOnE", "HS256", "HS512", "rs256", "RS512", "ES256K", "Ed25519", ""]
    {
        let refused = judge(&unsigned(algorithm), &keys, &Algorithm::ALL).unwrap_err();
        assert_eq!(refused.code, "identity_algorithm_refused", "{algorithm}");
    }
    assert_eq!(
        judge(&unsigned("RS256"), &keys, &Algorithm::ALL).unwrap_err().code,
        "identity_signature_invalid"
    );

    // The public key as the secret of an HMAC, under the right name and under a wrong one.
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, RSA_N.as_bytes());
    for algorithm in ["HS256", "RS256"] {
        let header = B64.encode(json!({ "alg": algorithm, "kid": "k" }).to_string());
        let signed = format!("{header}.{}", B64.encode(claims().to_string()));
        let token = format!("{signed}.{}", B64.encode(ring::hmac::sign(&secret, signed.as_bytes())));
        assert!(judge(&token, &keys, &Algorithm::ALL).is_err(), "{algorithm}");
    }
}

#[test]
fn a_header_brings_no_key_along() {
    for (name, value) in [
        ("jwk", pair(Algorithm::ES256).jwk),
        ("jku", json!("https://evil.example.org/keys")),
        ("x5u", json!("https://evil.example.org/cert")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("typ", json!("at+jwt")),
        ("typ", json!("logout+jwt")),
        ("typ", json!(7)),
    ] {
        let mut header = es256();
        header[name] = value;
        assert_eq!(code(&header, &claims()), "identity_header_refused", "{name}");
    }
}

#[test]
fn a_key_is_used_for_what_it_is_for() {
    let pair = pair(Algorithm::ES256);
    let header = es256();
    let token = pair.token(&header, &claims());
    let judged = |change: &[(&str, Value)]| {
        let mut jwk = pair.jwk.clone();
        jwk["kid"] = json!("k");
        change.iter().for_each(|(name, value)| jwk[*name] = value.clone());
        judge(&token, &set(&[jwk]), &Algorithm::ALL).map(drop).map_err(|error| error.code)
    };
    assert_eq!(
        judged(&[("use", json!("sig")), ("alg", json!("ES256")), ("key_ops", json!(["verify"]))]),
        Ok(())
    );
    for change in [
        ("kid", json!("other")),
        ("kid", Value::Null),
        ("use", json!("enc")),
        ("use", json!(1)),
        ("alg", json!("ES384")),
        ("alg", json!("RS256")),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
        ("kty", json!("RSA")),
        ("kty", json!("oct")),
        ("crv", json!("P-384")),
        ("crv", json!("secp256k1")),
        ("x", json!("AAAA")),
        ("x", json!(format!("{}=", P256_X))),
    ] {
        assert_eq!(judged(std::slice::from_ref(&change)), Err("identity_key_unknown"), "{change:?}");
    }
    // A point that is not on the curve.
    assert_eq!(judged(&[("y", json!(P256_X))]), Err("identity_signature_invalid"));
}

#[test]
fn short_rsa_keys_verify_nothing() {
    // 1024 bits: half of the modulus.
    let half = B64.encode(&B64.decode(RSA_N).unwrap()[..128]);
    let keys = set(&[json!({ "kty": "RSA", "n": half, "e": "AQAB", "kid": "k" })]);
    let token = pair(Algorithm::RS256).token(&json!({ "alg": "RS256", "kid": "k" }), &claims());
    assert_eq!(judge(&token, &keys, &Algorithm::ALL).unwrap_err().code, "identity_signature_invalid");
}

#[test]
fn without_a_key_id_only_one_key_may_fit() {
    let (one, other) = (pair(Algorithm::ES256), pair(Algorithm::ES256));
    let token = one.token(&json!({ "alg": "ES256" }), &claims());
    let rsa = pair(Algorithm::RS256).jwk;
    assert!(judge(&token, &set(&[rsa, one.jwk.clone()]), &Algorithm::ALL).is_ok());
    let two = set(&[other.jwk.clone(), one.jwk.clone()]);
    assert_eq!(judge(&token, &two, &Algorithm::ALL).unwrap_err().code, "identity_key_unknown");
    // Two keys of one id, as while keys change: either may have signed.
    let named = |pair: &Pair| {
        let mut jwk = pair.jwk.clone();
        jwk["kid"] = json!("k");
        jwk
    };
    let token = one.token(&es256(), &claims());
    assert!(judge(&token, &set(&[named(&other), named(&one)]), &Algorithm::ALL).is_ok());
}

#[test]
fn claims_are_checked() {
    for (name, value, wanted) in [
        ("iss", json!("https://issuer.example.org/"), "identity_issuer_unknown"),
        ("iss", json!("https://evil.example.org"), "identity_issuer_unknown"),
        ("iss", Value::Null, "identity_malformed"),
        ("iss", json!([ISSUER]), "identity_malformed"),
        ("aud", json!("other"), "identity_audience_wrong"),
        ("aud", json!("Gradus"), "identity_audience_wrong"),
        ("aud", json!(["other", "gradus2"]), "identity_audience_wrong"),
        ("aud", json!([]), "identity_audience_wrong"),
        ("aud", Value::Null, "identity_claim_invalid"),
        ("aud", json!(["gradus", 7]), "identity_claim_invalid"),
        ("aud", json!({ "gradus": true }), "identity_claim_invalid"),
        ("exp", json!(NOW), "identity_expired"),
        ("exp", json!(NOW - 1), "identity_expired"),
        ("exp", json!(0), "identity_expired"),
        ("exp", Value::Null, "identity_claim_invalid"),
        ("exp", json!("1999999999"), "identity_claim_invalid"),
        ("exp", json!(1e300), "identity_claim_invalid"),
        ("exp", json!(-1), "identity_claim_invalid"),
        ("exp", json!(NOW + 24 * 3600 + 1), "identity_too_long_lived"),
        ("iat", json!(NOW - 24 * 3600), "identity_too_long_lived"),
        ("iat", json!(NOW + 61), "identity_not_yet_valid"),
        ("nbf", json!(NOW + 61), "identity_not_yet_valid"),
        ("nbf", json!("soon"), "identity_claim_invalid"),
        ("sub", Value::Null, "identity_claim_invalid"),
        ("sub", json!(""), "identity_claim_invalid"),
        ("sub", json!(7), "identity_claim_invalid"),
        ("sub", json!("a\nb"), "identity_claim_invalid"),
        ("sub", json!("x".repeat(1025)), "identity_claim_invalid"),
    ] {
        assert_eq!(code(&es256(), &with(name, value.clone())), wanted, "{name} {value}");
    }
    for (name, value) in [
        ("aud", json!(["other", "gradus"])),
        ("exp", json!(NOW + 1)),
        ("exp", json!(NOW as f64 + 1.5)),
        ("exp", json!(NOW + 24 * 3600)),
        ("iat", Value::Null),
        ("iat", json!(NOW + 60)),
        ("nbf", json!(NOW + 60)),
        ("nbf", json!(NOW - 5)),
    ] {
        let pair = pair(Algorithm::ES256);
        let token = pair.token(&es256(), &with(name, value.clone()));
        assert!(judge(&token, &pair.set("k"), &Algorithm::ALL).is_ok(), "{name} {value}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let pair = pair(Algorithm::ES256);
    let good = pair.token(&es256(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let of = |header: &str, claims: &str| pair.token_of(header, claims);
    let (header, payload) = (es256().to_string(), claims().to_string());
    let twice = format!("{{\"sub\":\"admin\",{}", &payload[1..]);
    let twice_algorithm = format!("{{\"alg\":\"none\",{}", &header[1..]);
    for (bad, why) in [
        (String::new(), "nothing"),
        (".".into(), "two parts"),
        ("..".into(), "empty parts"),
        ("...".into(), "four parts"),
        (format!("{}.{}", parts[0], parts[1]), "no signature"),
        (format!("{good}.x"), "a part more"),
        (format!("{good}="), "padding"),
        (format!(" {good}"), "white space"),
        (format!("{good}\n"), "a line end"),
        (good.replace('.', "+."), "another alphabet"),
        (of("[]", &payload), "a header that is a list"),
        (of(&header, "7"), "claims that are a number"),
        (of(&header, &twice), "a claim twice"),
        (of(&twice_algorithm, &payload), "an algorithm twice"),
        (of(&format!("{header}x"), &payload), "more after the header"),
        (of("{\"kid\":\"k\"}", &payload), "no algorithm"),
        (of("{\"alg\":7,\"kid\":\"k\"}", &payload), "an algorithm that is a number"),
        (of("{\"alg\":\"ES256\",\"kid\":\"\"}", &payload), "an empty key id"),
        (of(&json!({ "alg": "ES256", "kid": "k".repeat(257) }).to_string(), &payload), "a long key id"),
        (of("{\"alg\":\"ES256\",\"kid\":[\"k\"]}", &payload), "a key id that is a list"),
        (of(&header, &json!({ "iss": ISSUER, "x": "y".repeat(TOKEN_MAX) }).to_string()), "too long"),
        (format!("{}.{}{}.{}", parts[0], parts[1], "\u{e4}", parts[2]), "no ASCII"),
    ] {
        let refused = judge(&bad, &pair.set("k"), &Algorithm::ALL).map(drop);
        assert_eq!(refused.unwrap_err().code, "identity_malformed", "{why}");
    }
    let deep = format!("{{\"iss\":\"x\",\"x\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(
        judge(&of(&header, &deep), &pair.set("k"), &Algorithm::ALL).unwrap_err().code,
        "identity_malformed"
    );
    // Every bit of the token counts.
    for at in (0..good.len()).step_by(7) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        if changed != good {
            assert!(judge(&changed, &pair.set("k"), &Algorithm::ALL).is_err(), "at {at}");
        }
    }
}

#[test]
fn key_sets_are_bounded_and_strict() {
    for bad in ["", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[],\"keys\":[]}", "<html>"] {
        assert_eq!(KeySet::parse(bad.as_bytes()).unwrap_err().code, "issuer_invalid", "{bad}");
    }
    let many = json!({ "keys": vec![json!({}); 201] }).to_string();
    assert_eq!(KeySet::parse(many.as_bytes()).unwrap_err().code, "issuer_invalid");
    let odd = [json!(7), json!({}), json!({ "kty": "oct", "k": "AAAA" }), pair(Algorithm::ES256).jwk];
    assert_eq!(set(&odd).len(), 1, "what cannot be used is left out");
}
