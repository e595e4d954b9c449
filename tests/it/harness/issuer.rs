//! An issuer of identity tokens on loopback: it publishes its keys, and signs what it is told to. Real ones are in
//! tests/support/clients.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use gradus::config::{self, Tls};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING as P256, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

pub struct Key {
    pub id: String,
    pair: EcdsaKeyPair,
}

impl Key {
    pub fn new(id: &str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&P256, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&P256, pkcs8.as_ref(), &random).expect("a key");
        Self { id: id.to_owned(), pair }
    }

    pub fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (B64.encode(x), B64.encode(y));
        json!({ "kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "alg": "ES256", "x": x, "y": y })
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({ "alg": "ES256", "kid": self.id, "typ": "JWT" }), claims)
    }

    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let signed = unsigned(header, claims);
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", B64.encode(signature))
    }
}

/// Header and claims, without a signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()))
}

pub struct Issuer {
    pub url: String,
    pub shown: Arc<Shown>,
}

/// What it shows to whoever asks.
#[derive(Default)]
pub struct Shown {
    keys: Mutex<Vec<Value>>,
    /// How often its keys were asked for.
    pub asked: AtomicUsize,
    is_down: AtomicBool,
    /// What its discovery document says it is, if not what it is.
    pub other_name: Mutex<Option<String>>,
}

impl Issuer {
    pub async fn start(keys: &[&Key]) -> Self {
        Self::with(keys, None).await
    }

    /// One with a certificate.
    pub async fn with_tls(keys: &[&Key], tls: Tls) -> Self {
        Self::with(keys, Some(tls)).await
    }

    async fn with(keys: &[&Key], tls: Option<Tls>) -> Self {
        use axum::{Json, Router, http::StatusCode, routing::get};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener that is waited for");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().expect("an address"));
        let shown = Arc::new(Shown::default());
        let (for_keys, for_name, name) = (shown.clone(), shown.clone(), url.clone());
        let document = move || async move {
            let issuer = for_name.other_name.lock().unwrap().clone().unwrap_or_else(|| name.clone());
            Json(json!({ "issuer": issuer, "jwks_uri": format!("{name}/keys") }))
        };
        let keys_of = move || async move {
            for_keys.asked.fetch_add(1, Ordering::SeqCst);
            let keys = json!({ "keys": *for_keys.keys.lock().unwrap() });
            match for_keys.is_down.load(Ordering::SeqCst) {
                true => Err(StatusCode::BAD_GATEWAY),
                false => Ok(Json(keys)),
            }
        };
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(keys_of));
        match tls {
            None => {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::spawn(async move { axum::serve(listener, router).await });
            }
            Some(Tls { certificate, key }) => {
                let _ = rustls::crypto::ring::default_provider().install_default();
                let config = axum_server::tls_rustls::RustlsConfig::from_pem_file(certificate, key).await;
                let server = axum_server::from_tcp_rustls(listener, config.expect("a certificate"));
                tokio::spawn(server.expect("a server").serve(router.into_make_service()));
            }
        }
        let issuer = Self { url, shown };
        issuer.publish(keys);
        issuer
    }

    pub fn publish(&self, keys: &[&Key]) {
        *self.shown.keys.lock().unwrap() = keys.iter().map(|key| key.jwk()).collect();
    }

    pub fn down(&self, is_down: bool) {
        self.shown.is_down.store(is_down, Ordering::SeqCst);
    }

    pub fn asked(&self) -> usize {
        self.shown.asked.load(Ordering::SeqCst)
    }

    /// As the registry is told of it: people log in by the client `cli`.
    pub fn configured(&self, name: &str) -> config::Issuer {
        let text = format!(
            "[[issuers]]\nname = '{name}'\nurl = '{}'\naudience = 'gradus'\nclient_id = 'cli'\npeople = 'login'",
            self.url
        );
        config::Config::parse(&text).expect("a configuration").issuers.remove(0)
    }
}
