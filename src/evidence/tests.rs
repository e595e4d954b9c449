use super::*;
use crate::model::path::FilePath;
use std::sync::LazyLock;

/// The manifest that the tests' evidence is about.
pub(super) const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

static MANIFEST: LazyLock<Digest> = LazyLock::new(|| DIGEST.parse().unwrap());

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let file = |path: &str| File {
        path: path.parse::<FilePath>().unwrap(),
        digest: Digest::sha256(path.as_bytes()),
        size: path.len() as u64,
    };
    ["adapter_config.json", "adapter_model.safetensors"].map(file).to_vec()
});

pub(super) fn about() -> About<'static> {
    About { digest: &MANIFEST, files: &FILES, prompt: None, public_key: None, now: DateTime::UNIX_EPOCH }
}

pub(super) fn read_text(text: &str) -> Result<Vec<Read>> {
    read(None, text.as_bytes(), &about())
}

/// The one statement of a file.
pub(super) fn only(text: &str) -> Statement {
    let mut reads = read_text(text).unwrap();
    assert_eq!(reads.len(), 1);
    reads.pop().unwrap().statement
}

/// Why a file is refused.
pub(super) fn code(text: &str) -> &'static str {
    read_text(text).unwrap_err().code
}

#[test]
fn formats_are_told_apart_by_content() {
    let name = |text: &str| {
        let document = Document::parse(text.as_bytes()).unwrap();
        let found: Vec<_> = FORMATS.iter().filter(|format| (format.recognises)(&document)).collect();
        assert!(found.len() <= 1, "{text}");
        found.first().map(|format| format.name)
    };
    let payload = |predicate: &str| {
        use base64::Engine as _;
        let payload = base64::engine::general_purpose::STANDARD.encode(format!(
            r#"{{"_type": "https://in-toto.io/Statement/v1", "predicateType": "{predicate}"}}"#
        ));
        format!(
            r#"{{"payloadType": "application/vnd.in-toto+json", "payload": "{payload}", "signatures": []}}"#
        )
    };
    for (text, wanted) in [
        (r#"{"gradus": "evaluation/v1"}"#, Some("an evaluation")),
        (r#"{"gradus": "scan/v1"}"#, Some("a scan")),
        (r#"{"gradus": "model_card/v1"}"#, Some("a model card (")),
        (r#"{"gradus": "imported/v1"}"#, Some("evidence of another registry")),
        (r#"{"results": {}, "configs": {}, "versions": {}}"#, Some("results of lm-eval")),
        (r#"{"results": {}, "lm_eval_version": "0.4.9"}"#, Some("results of lm-eval")),
        (r#"{"evalId": null, "results": {"version": 3, "results": []}}"#, Some("output of promptfoo")),
        (r#"{"summary": {"total_issues_by_severity": {}}}"#, Some("a JSON report of modelscan")),
        (r#"{"version": "2.1.0", "runs": []}"#, Some("a SARIF")),
        (r#"{"predicateType": "https://slsa.dev/provenance/v1"}"#, Some("SLSA")),
        (&payload("https://slsa.dev/provenance/v1"), Some("SLSA")),
        (&payload(envelope::MODEL_SIGNATURE), Some("an OpenSSF")),
        (&format!(r#"{{"dsseEnvelope": {}}}"#, payload(envelope::MODEL_SIGNATURE)), Some("an OpenSSF")),
        ("---\nlicense: mit\n---\n", Some("a model card in")),
        ("\n# Ticket triage\n", Some("a model card in")),
        ("a text", None),
        ("{}", None),
        (r#"{"results": {}}"#, None),
        (r#"{"gradus": "prompt/v1"}"#, None),
    ] {
        let found = name(text);
        let agrees = match wanted {
            Some(wanted) => found.is_some_and(|found| found.starts_with(wanted)),
            None => found.is_none(),
        };
        assert!(agrees, "{text}: {found:?}");
    }
}

#[test]
fn what_is_not_recognised_is_refused_with_what_would_be() {
    let error = read_text(r#"{"gradus": "evaluation/v2"}"#).unwrap_err();
    assert_eq!(error.code, "evidence_unrecognised");
    assert!(error.message.contains("evaluation/v2"), "{error}");
    let hint = error.hint.unwrap();
    assert!(hint.contains("lm-evaluation-harness") && hint.contains("SARIF"), "{hint}");

    let error = read(Some(EvidenceKind::Scan), b"{}", &about()).unwrap_err();
    assert!(!error.hint.unwrap().contains("lm-evaluation-harness"));
    assert_eq!(code("plain text"), "evidence_unrecognised");
    assert_eq!(code(""), "evidence_unrecognised");
    let large = vec![b' '; MAX_BYTES + 1];
    assert_eq!(read(None, &large, &about()).unwrap_err().code, "evidence_too_large");
}

#[test]
fn a_kind_that_is_insisted_on_is_kept_to() {
    let scan = br#"{"gradus": "scan/v1", "scanner": "x 1", "findings": {}}"#;
    assert!(read(Some(EvidenceKind::Scan), scan, &about()).is_ok());
    let error = read(Some(EvidenceKind::Evaluation), scan, &about()).unwrap_err();
    assert_eq!(error.code, "evidence_kind_mismatch");
    assert!(error.message.contains("a scan (gradus: scan/v1), which is evidence of kind scan"), "{error}");

    let readme = b"Ticket triage\n\n## Limitations\nEnglish only.\n";
    assert!(read(Some(EvidenceKind::ModelCard), readme, &about()).is_ok());
    assert_eq!(read(None, readme, &about()).unwrap_err().code, "evidence_unrecognised");
}

#[test]
fn some_kinds_come_from_verbs_only() {
    for (kind, verb) in [
        (EvidenceKind::Approval, "gradus approve"),
        (EvidenceKind::DriftReport, "drift check"),
        (EvidenceKind::DeploymentHealth, "deployment report"),
    ] {
        assert!(!kind.is_attachable());
        let error = read(Some(kind), b"{}", &about()).unwrap_err();
        assert_eq!(error.code, "evidence_reserved");
        assert!(error.message.contains(verb), "{error}");
    }
}

#[test]
fn messages_repeat_no_file_at_length() {
    let key = format!("\\u001b{}", "k".repeat(100_000));
    let metrics = format!(r#"{{"{key}": {{"value": "{key}"}}}}"#);
    let payload = format!(r#"{{"{key}": 1, "{key}": 1}}"#);
    for file in [
        format!(r#"{{"gradus": "evaluation/v1", "{key}": 1}}"#),
        format!(r#"{{"gradus": "evaluation/v1", "suite": "{key}", "metrics": {{}}}}"#),
        format!(r#"{{"gradus": "evaluation/v1", "suite": "s", "metrics": {metrics}}}"#),
        format!(r#"{{"gradus": "scan/v1", "scanner": "s", "findings": {{"{key}": -1}}}}"#),
        format!(r#"{{"gradus": "scan/v1", "scanner": "{key}", "findings": {{}}}}"#),
        format!(r#"{{"gradus": "model_card/v1", "parts": {{"{key}": "x"}}}}"#),
        format!(r#"{{"gradus": "{key}"}}"#),
        format!(r#"{{"results": {{"{key}": {{"{key},none": "{key}"}}}}, "lm_eval_version": "1"}}"#),
        format!(r#"{{"summary": {{"total_issues_by_severity": {{"{key}": "x"}}}}}}"#),
        format!(r#"{{"runs": [], "version": "{key}"}}"#),
        format!(r#"{{"predicateType": "{key}"}}"#),
        format!(r#"{{"{key}": NaN}}"#),
        format!("---\n{}: 1\n{0}: 1\n---\n", "k".repeat(100_000)),
        format!("---\n? [{}]\n: 1\n---\n", "k".repeat(100_000)),
        payload,
    ] {
        let error = read_text(&file).unwrap_err();
        let length = error.message.len();
        assert!(
            length < 600 && !error.message.contains(char::is_control),
            "{length}: {:.300}",
            error.message
        );
    }
}

#[test]
fn truncated_files_never_panic() {
    let files = [
        r#"{"gradus": "evaluation/v1", "suite": "s", "metrics": {"a": {"value": 1.5}}, "examples": {"a": {"1": 1.5}}}"#,
        "---\nlicense: mit\n---\n# A\n```\n# b\n<!-- c\n-->d\n~~~~\n## Ünï [optional]\n- x\n",
    ];
    for file in files {
        for end in (0..file.len()).filter(|end| file.is_char_boundary(*end)) {
            let _ = read_text(&file[..end]);
        }
    }
}
