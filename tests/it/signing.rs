//! Signing, and what `verify --key` says of it, by the real binary.

use crate::harness::{
    Backend, Env,
    files::{self, upload},
    home::Home,
    server::{Cli, Done},
};
use gradus::{
    model::digest::Digest,
    signing::{PrivateKey, Resource, sign, statement},
};
use serde_json::json;
use std::fs;
use tower::ServiceExt as _;

fn push(home: &Home, what: &[&str]) -> Done {
    let path = files::example(what[0]);
    home.run(&[&["push", path.to_str().unwrap(), "--to", "acme/x"], &what[1..]].concat()).expect(0)
}

/// A new key in `NAME.pem`, with its public half in `NAME.pub`.
fn new_key(home: &Home, name: &str) -> PrivateKey {
    let (private, key) = PrivateKey::generate().unwrap();
    fs::write(home.path(&format!("{name}.pem")), private).unwrap();
    fs::write(home.path(&format!("{name}.pub")), key.public_pem()).unwrap();
    key
}

fn signature_over(paths: &[&str], key: &PrivateKey) -> Vec<u8> {
    let resource = |path: &&str| Resource {
        name: path.rsplit('/').next().unwrap_or(path).to_owned(),
        digest: Digest::sha256(&files::read(path)),
    };
    let resources: Vec<Resource> = paths.iter().map(resource).collect();
    sign(&statement("m", &resources).unwrap(), key, None).unwrap()
}

const LORA: [&str; 2] = ["lora/adapter_config.json", "lora/adapter_model.safetensors"];

#[test]
fn a_prompt_that_was_taken_over_may_be_left_out_of_a_signature() {
    let home = Home::new();
    push(&home, &["prompts/triage-1.prompt.yaml"]);
    push(&home, &["lora", "--base", "hf:org/model@abc"]);
    home.run(&["pull", "acme/x:1.0.1", "--out", "out"]).expect(0);
    let key = new_key(&home, "theirs");
    fs::write(home.path("model.sig"), signature_over(&LORA, &key)).unwrap();
    let attach = ["eval", "attach", "acme/x:1.0.1", "model.sig", "--public-key", "theirs.pub"];
    home.run(&attach).expect(0);
    for signature in [&[][..], &["--signature", "model.sig"]] {
        let verify = [&["verify", "acme/x:1.0.1", "out", "--key", "theirs.pub"], signature].concat();
        let done = home.run(&verify).expect(0);
        let said = "; the prompt is not covered by the signature: triage-1.prompt.yaml";
        assert!(done.stderr.contains(said), "{}", done.stderr);
    }
    let done = home.run(&["verify", "acme/x:1.0.1", "--key", "theirs.pub", "--json"]).expect(0);
    let data: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(data["signed"]["not_covered"], "triage-1.prompt.yaml");
    // No other file may be left out, neither when it comes nor later.
    fs::write(home.path("model.sig"), signature_over(&LORA[1..], &key)).unwrap();
    let done = home.run(&attach).expect(1);
    assert!(done.stderr.contains("adapter_config.json is not covered"), "{}", done.stderr);
    let verify = ["verify", "acme/x:1.0.1", "--key", "theirs.pub", "--signature", "model.sig"];
    home.run(&verify).expect(6);
    // What is signed here covers the prompt.
    new_key(&home, "ours");
    home.run(&["sign", "acme/x:1.0.1", "--key", "ours.pem"]).expect(0);
    let done = home.run(&["verify", "acme/x:1.0.1", "out", "--key", "ours.pub"]).expect(0);
    assert!(done.stderr.contains("signed with key") && !done.stderr.contains("covered"), "{}", done.stderr);
}

#[test]
fn a_signature_that_does_not_hold_ends_with_6_and_a_useless_key_with_1() {
    let home = Home::new();
    push(&home, &["model"]);
    let verify = |more: &[&str], code| home.run(&[&["verify", "acme/x:1.0.0"], more].concat()).expect(code);
    let key = new_key(&home, "mine");
    let stranger = new_key(&home, "strangers");
    let done = verify(&["--key", "mine.pub"], 6);
    assert!(done.stderr.contains("acme/x:1.0.0 is not signed"), "{}", done.stderr);
    home.run(&["sign", "acme/x:1.0.0", "--key", "mine.pem", "--out", "m.sig"]).expect(0);
    verify(&["--key", "mine.pub"], 0);
    verify(&["--key", "strangers.pub"], 6);
    let model = ["model/config.json", "model/model.safetensors", "model/tokenizer.json"];
    // Signed by somebody else, and said to be by this key.
    let forged = String::from_utf8(signature_over(&model, &stranger)).unwrap();
    let print = |key: &PrivateKey| Digest::sha256(key.public_pem().as_bytes()).hex().to_owned();
    fs::write(home.path("m.sig"), forged.replace(&print(&stranger), &print(&key))).unwrap();
    let done = verify(&["--key", "mine.pub", "--signature", "m.sig"], 6);
    assert!(done.stderr.contains("the key did not sign this text"), "{}", done.stderr);
    fs::write(home.path("m.sig"), "{}").unwrap();
    verify(&["--key", "mine.pub", "--signature", "m.sig"], 6);
    // What is wrong here is the call.
    verify(&["--key", "mine.pem"], 1);
    let done = verify(&["--key", "mine.pub", "--identity", "boss@acme.example"], 1);
    assert!(done.stderr.contains("a public key says nothing about who holds it"), "{}", done.stderr);
}

/// A registry in front of another, which answers about one version with what the other has about `1.0.1`.
async fn liar(env: &Env, lies: &'static [&'static str], about: [String; 2]) -> String {
    let router = env.router.clone();
    let answer = move |mut request: axum::extract::Request| {
        let (router, about) = (router.clone(), about.clone());
        async move {
            let mut path = request.uri().to_string();
            if lies.iter().any(|lie| path.contains(lie)) {
                for name in &about {
                    let name = name.replace(':', "%3A");
                    path = path.replace(&format!("/{name}"), "/1.0.1");
                }
                path = path.replace(&format!("/{}", about[1]), "/1.0.1");
            }
            *request.uri_mut() = path.parse().unwrap();
            router.oneshot(request).await
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_cannot_pass_another_versions_signature_off() {
    let env = Env::new(Backend::SqliteLocal).await;
    env.namespace("acme").await;
    let mut digests = Vec::new();
    for fill in [1, 2] {
        let weights = upload(&env, "acme/x", "model.safetensors", &files::safetensors(fill)).await;
        let pushed =
            files::push(&env, "acme/x", vec![weights], json!({ "contract": files::contract() })).await;
        digests.push(pushed.value()["version"]["digest"].as_str().unwrap().to_owned());
    }
    let home = Home::new();
    new_key(&home, "mine");
    let token = env.admin.clone();
    let about = ["1.0.0".to_owned(), digests[0].clone()];
    let honest = liar(&env, &[], about.clone()).await;
    let lying = liar(&env, &["/versions/"], about.clone()).await;
    let switching = liar(&env, &["/resolve/"], about).await;
    tokio::task::spawn_blocking(move || {
        let run = |server: &str, arguments: &[&str]| {
            let more = ["--server", server, "--token", &token];
            Cli::new(home.0.path(), &[arguments, &more].concat()).directory(home.0.path()).run()
        };
        run(&honest, &["sign", "acme/x:1.0.1", "--key", "mine.pem"]).expect(0);
        run(&honest, &["verify", "acme/x:1.0.1", "--key", "mine.pub"]).expect(0);
        run(&honest, &["pull", "acme/x:1.0.0", "--out", "out"]).expect(0);
        let verify = ["verify", "acme/x:1.0.0", "out", "--key", "mine.pub"];
        let done = run(&honest, &verify).expect(6);
        assert!(done.stderr.contains("is not signed"), "{}", done.stderr);
        let done = run(&lying, &verify).expect(6);
        assert!(done.stderr.contains("is not the file that was signed"), "{}", done.stderr);
        // Nor can it sign what is not there: the manifest is what counts.
        run(&lying, &["sign", "acme/x:1.0.0", "--key", "mine.pem", "--out", "x.sig", "--no-attach"])
            .expect(0);
        let done = run(&honest, &[&verify[..], &["--signature", "x.sig"]].concat()).expect(0);
        assert!(done.stderr.contains("signed with key"), "{}", done.stderr);
        let exact = format!("acme/x@{}", digests[0]);
        let done = run(&switching, &["verify", &exact]).expect(6);
        assert!(done.stderr.contains("another version than asked for"), "{}", done.stderr);
    })
    .await
    .unwrap();
}

#[test]
fn the_registry_attests_what_a_version_is() {
    let home = Home::new();
    push(&home, &["prompts/triage-1.prompt.yaml"]);
    push(&home, &["prompts/triage-2.prompt.yaml"]);
    let key = home.run(&["audit", "key"]).expect(0).stdout.trim().to_owned();
    for reference in ["acme/x:1.0.0", "acme/x:latest"] {
        let done = home.run(&["verify", reference, "--log-key", &key]).expect(0);
        assert!(done.stderr.contains("attested by entry"), "{}", done.stderr);
    }
    home.run(&["export", "attestation", "acme/x:1.0.0", "--out", "word"]).expect(0);
    home.run(&["audit", "check", "word", "--entry", "word.entry", "--key", &key]).expect(0);
    home.run(&["export", "attestation", "acme/x:1.0.0", "--out", "word"]).expect(5);
    // Another log's key, and a table that says something else than the log.
    let other = Home::new();
    push(&other, &["prompts/triage-1.prompt.yaml"]);
    let theirs = other.run(&["audit", "key"]).expect(0).stdout.trim().to_owned();
    home.run(&["verify", "acme/x:1.0.0", "--log-key", &theirs]).expect(6);
    change(
        &home.path("data/gradus.db"),
        "UPDATE versions SET position = (SELECT position FROM versions WHERE version = '1.0.1')",
    );
    let done = home.run(&["verify", "acme/x:1.0.0", "--log-key", &key]).expect(6);
    assert!(done.stderr.contains("does not say that acme/x:1.0.0 is"), "{}", done.stderr);
}

/// Runs a statement on a database file that nobody has open.
fn change(file: &std::path::Path, sql: &'static str) {
    use sqlx::Connection as _;
    let url = format!("sqlite://{}", file.display());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
    });
}
