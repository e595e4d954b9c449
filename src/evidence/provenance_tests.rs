use super::super::tests::{DIGEST, about, code, only, read_text};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::json;

/// Made by securesystemslib 1.6.0, about the manifest of these tests.
const SIGNED: &str = "\
{\"payload\":\"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJuYW1lIjoib\
SIsImRpZ2VzdCI6eyJzaGEyNTYiOiI5Zjg2ZDA4MTg4NGM3ZDY1OWEyZmVhYTBjNTVhZDAxNWEzYmY0ZjFiMmIwYjgyMmNkMTVkN\
mMxNWIwZjAwYTA4In19XSwicHJlZGljYXRlVHlwZSI6Imh0dHBzOi8vc2xzYS5kZXYvcHJvdmVuYW5jZS92MSIsInByZWRpY2F0Z\
SI6eyJidWlsZERlZmluaXRpb24iOnsiYnVpbGRUeXBlIjoiaHR0cHM6Ly9hY21lLmV4YW1wbGUvdCJ9LCJydW5EZXRhaWxzIjp7I\
mJ1aWxkZXIiOnsiaWQiOiJodHRwczovL2FjbWUuZXhhbXBsZS9iIn19fX0=\",\"payloadType\":\"application/vnd.in-t\
oto+json\",\"signatures\":[{\"keyid\":\"\",\"sig\":\"MEQCIE+c/KEVr9yABA0xvIMg+cYGvKZnB1YY1DboQn0Ucqv\
vAiB8EdO5XtUXSlwooNFhVTw4VfDtwwvl8xx334cWS2YVNA==\"}]}";

/// The key that signed it.
const KEY: &str = r"-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAERVLlA05d/S472MgyWbEIj8gsjCF1
Rte/ssM2zmABKBzu5cw3TbU0Vjh/1zAzYgmTWwu/9T1HkjF7eQKmjxtBWg==
-----END PUBLIC KEY-----
";

fn hex(path: &str) -> String {
    Digest::sha256(path.as_bytes()).hex().to_owned()
}

fn statement() -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": "adapter_config.json", "digest": {"sha256": hex("adapter_config.json")}},
            {"name": "out/adapter_model.safetensors", "digest": {"sha256": hex("adapter_model.safetensors").to_uppercase()}}
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "https://acme.example/finetune/v1",
                "externalParameters": {"config": "triage.yaml"},
                "resolvedDependencies": [
                    {"uri": "git+https://git.acme.example/triage@refs/heads/main", "digest": {"gitCommit": "9b1c0a"}},
                    {"uri": "hf:acme/tickets", "digest": {"md5": "00", "sha256": "ab12"}},
                    {"name": "tickets-may.parquet", "digest": {"sha512": "cd34"}},
                    {"uri": "docker://acme.example/trainer:3"}
                ]
            },
            "runDetails": {
                "builder": {"id": "https://builder.acme.example/gpu-pool", "version": {"pool": "7"}},
                "metadata": {"invocationId": "run-81", "startedOn": "2026-03-01T08:00:00Z",
                             "finishedOn": "2026-03-01T11:30:00+02:00"}
            }
        }
    })
}

fn envelope_of(statement: &Value) -> Value {
    json!({
        "payloadType": "application/vnd.in-toto+json",
        "payload": STANDARD.encode(statement.to_string()),
        "signatures": [{"keyid": "", "sig": "MEUCIQ=="}]
    })
}

fn changed(pointer: &str, value: Value) -> Error {
    let mut statement = statement();
    *statement.pointer_mut(pointer).unwrap() = value;
    read_text(&statement.to_string()).unwrap_err()
}

#[test]
fn provenance_is_read_bare_and_in_envelopes() {
    let Statement::Provenance(found) = only(&statement().to_string()) else { panic!() };
    assert_eq!(found.builder, "https://builder.acme.example/gpu-pool");
    assert_eq!(found.build_type, "https://acme.example/finetune/v1");
    assert_eq!(found.finished_at.unwrap().to_rfc3339(), "2026-03-01T09:30:00+00:00");
    let materials: Vec<_> =
        found.materials.iter().map(|material| (material.uri.as_str(), material.digest.as_deref())).collect();
    assert_eq!(
        materials,
        [
            ("git+https://git.acme.example/triage@refs/heads/main", Some("gitCommit:9b1c0a")),
            ("hf:acme/tickets", Some("sha256:ab12")),
            ("tickets-may.parquet", Some("sha512:cd34")),
            ("docker://acme.example/trainer:3", None),
        ]
    );
    let mut envelope = envelope_of(&statement());
    assert_eq!(only(&envelope.to_string()), Statement::Provenance(found.clone()));
    let bundle =
        json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": &envelope});
    assert_eq!(only(&bundle.to_string()), Statement::Provenance(found.clone()));
    envelope["payload"] = json!(URL_SAFE.encode(statement().to_string()));
    assert_eq!(only(&envelope.to_string()), Statement::Provenance(found));
}

#[test]
fn provenance_of_other_files_never_counts() {
    let error = changed("/subject/0/digest/sha256", json!(hex("other")));
    assert_eq!(error.code, "evidence_subject");
    assert!(error.message.ends_with("not in this version: adapter_config.json"), "{error}");

    // A file of ours alone does not vouch for the others.
    let error = changed("/subject", json!([{"name": "x", "digest": {"sha256": hex("adapter_config.json")}}]));
    assert_eq!(error.code, "evidence_subject");
    assert!(error.message.ends_with("does not cover a file: adapter_model.safetensors"), "{error}");

    let manifest = json!({"name": "acme/triage", "digest": {"sha256": &DIGEST[7..]}});
    let with = |subjects: Value| {
        let mut statement = statement();
        statement["subject"] = subjects;
        read_text(&statement.to_string())
    };
    assert!(with(json!([&manifest])).is_ok(), "the manifest is all of it");
    let other = json!({"name": "other", "digest": {"sha256": hex("other")}});
    assert_eq!(with(json!([&manifest, other])).unwrap_err().code, "evidence_subject");
    for subjects in
        [json!([]), json!(null), json!({}), json!([{"name": "x"}]), json!([{"digest": {"md5": "00"}}])]
    {
        assert_eq!(with(subjects).unwrap_err().code, "evidence_subject");
    }
    let nothing = About { files: &[], ..about() };
    assert!(super::super::read(None, statement().to_string().as_bytes(), &nothing).is_err());
}

#[test]
fn statements_that_are_not_this_are_refused() {
    for (pointer, value) in [
        ("/_type", json!("https://in-toto.io/Statement/v0.1")),
        ("/predicateType", json!("https://slsa.dev/provenance/v0.2")),
        ("/predicate/runDetails/builder/id", json!("")),
        ("/predicate/runDetails/builder/id", json!("our builder")),
        ("/predicate/runDetails/builder/id", json!(null)),
        ("/predicate/runDetails", json!(null)),
        ("/predicate/buildDefinition/buildType", json!("finetune")),
        ("/predicate/buildDefinition/resolvedDependencies", json!("x")),
        ("/predicate/buildDefinition/resolvedDependencies/3", json!({})),
        ("/predicate/buildDefinition/resolvedDependencies/3", json!(7)),
        ("/predicate/runDetails/metadata/finishedOn", json!("yesterday")),
        ("/predicate/runDetails/metadata/finishedOn", json!(1_700_000_000)),
    ] {
        assert_eq!(changed(pointer, value.clone()).code, "provenance_invalid", "{pointer} {value}");
    }
    let many = vec![json!({"uri": "a:b"}); MAX_MATERIALS + 1];
    assert_eq!(
        changed("/predicate/buildDefinition/resolvedDependencies", json!(many)).code,
        "evidence_too_large"
    );
    let error = changed("/predicateType", json!("https://slsa.dev/provenance/v0.2"));
    assert!(error.message.contains("predicateType is https://slsa.dev/provenance/v0.2"), "{error}");
}

#[test]
fn envelopes_that_cannot_be_opened_are_refused() {
    let mut envelope = envelope_of(&statement());
    for (payload, wanted) in [
        (json!("***"), "evidence_malformed"),
        (json!(STANDARD.encode("not JSON")), "json_invalid"),
        (json!(STANDARD.encode("7")), "provenance_invalid"),
        (json!(STANDARD.encode(r#"{"a": 1, "a": 2}"#)), "json_duplicate_key"),
        (json!(7), "evidence_unrecognised"),
    ] {
        envelope["payload"] = payload;
        assert_eq!(code(&envelope.to_string()), wanted, "{envelope}");
    }
    let mut envelope = envelope_of(&statement());
    envelope["payloadType"] = json!("text/plain");
    assert_eq!(code(&envelope.to_string()), "evidence_unrecognised");
    let signature = envelope_of(&json!({"predicateType": envelope::MODEL_SIGNATURE}));
    assert_eq!(code(&signature.to_string()), "signature_invalid");
}

#[test]
fn a_signed_envelope_is_checked_when_a_key_comes_with_it() {
    let read_with = |text: &str, key: &str| {
        super::super::read(None, text.as_bytes(), &About { public_key: Some(key), ..about() })
    };
    let key_of = |reads: Vec<Read>| match &reads[..] {
        [Read { statement: Statement::Provenance(found), .. }] => found.key.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(key_of(read_text(SIGNED).unwrap()), None);
    let fingerprint = Digest::sha256(KEY.as_bytes()).hex().to_owned();
    assert_eq!(key_of(read_with(SIGNED, KEY).unwrap()), Some(fingerprint.clone()));

    let mut envelope: Value = serde_json::from_str(SIGNED).unwrap();
    let bundle =
        json!({"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": envelope});
    assert_eq!(key_of(read_with(&bundle.to_string(), KEY).unwrap()), Some(fingerprint.clone()));
    // One signature of several has to be by the key.
    let good = envelope["signatures"][0].clone();
    envelope["signatures"] = json!([{"sig": "MEUCIQ=="}, good]);
    assert_eq!(key_of(read_with(&envelope.to_string(), KEY).unwrap()), Some(fingerprint));

    let refused = |envelope: &Value| read_with(&envelope.to_string(), KEY).unwrap_err().code;
    envelope["signatures"] = json!([]);
    assert_eq!(refused(&envelope), "signature_invalid");
    envelope["signatures"] = json!([{"sig": "MEUCIQ=="}, {"sig": 7}, {}]);
    assert_eq!(refused(&envelope), "signature_invalid");
    let mut moved = envelope_of(&statement());
    moved["signatures"] = json!([good]);
    assert_eq!(refused(&moved), "signature_invalid", "the signature is over another statement");
    // A statement beside the envelope is not what was signed.
    let mut beside: Value = serde_json::from_str(SIGNED).unwrap();
    for (name, value) in statement().as_object().unwrap() {
        beside[name] = value.clone();
    }
    let reads = read_with(&beside.to_string(), KEY).unwrap();
    assert!(
        matches!(&reads[0].statement, Statement::Provenance(found) if found.builder == "https://acme.example/b")
    );
    assert_eq!(refused(&statement()), "signature_missing");
    assert_eq!(read_with(SIGNED, "no key").unwrap_err().code, "signature_key");
    let other = crate::signing::PrivateKey::generate().unwrap().1.public_pem();
    assert_eq!(read_with(SIGNED, &other).unwrap_err().code, "signature_invalid");
}

#[test]
fn records_from_before_keys_were_kept_are_read() {
    let old =
        json!({"builder": "https://acme.example/b", "build_type": "https://acme.example/t", "materials": []});
    let read: Provenance = serde_json::from_value(old.clone()).unwrap();
    assert_eq!(read.key, None);
    assert_eq!(serde_json::to_value(read).unwrap(), old);
}
