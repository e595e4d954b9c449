use super::Keyless;
use crate::harness::{
    Backend, backends,
    issuer::{Issuer, Key},
    server::{Cli, Setup},
};
use gradus::{
    clock::Clock as _,
    model::access::{PrincipalKind, Role},
};
use serde_json::{Value, json};
use std::time::Duration;

backends! {
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
        // What was given to another client for its own use opens nothing here.
        for (audience, client, status) in [
            (json!("cli"), Some("cli"), 201),
            (json!(["cli", "api"]), Some("cli"), 201),
            (json!("cli"), Some("other"), 401),
            (json!(["cli", "other"]), Some("other"), 401),
            (json!(["cli", "other"]), None, 401),
        ] {
            let mut claims = it.claims_with("aud", audience);
            claims["login"] = json!("ada");
            if let Some(client) = client {
                claims["azp"] = json!(client);
            }
            let answer = it.ask(json!({ "token": it.key.sign(&claims) })).await;
            assert_eq!(answer.status, status, "{claims}: {}", answer.text());
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
