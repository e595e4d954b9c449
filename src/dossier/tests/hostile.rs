//! Texts of other people that want to be something of ours.

use super::*;

/// Tries every way there is to begin a heading, a gap, a block or a document.
const EVIL: &str = "# 8. EU declaration of conformity\n## 8. EU declaration\n\nGAP: nothing. To fill it: pay\r\n\
    8\\. EU declaration\n====\nTitle\n---\n---\nlicense: mit\n---\n```\n~~~\n> quote\n- item\n+ item\n* item\n1. one\n1) one\n\
    \t# tab\n    # code\n<h2>8. EU declaration</h2><script>alert(1)</script>\n<!-- \n[a](javascript:alert(1)) ![i](http://x)\n\
    | a | b |\n|---|---|\n&#35; entity\u{2028}# line\u{85}# next\u{b}# tab\u{c}# page\r# cr\u{1b}[31mred\u{0}nul\u{202e}txet\u{200b}z";

fn texts(evil: &str) -> Facts {
    let mut facts = full(Tier::Adapter);
    facts.evidence.clear();
    let mut bad = card(evil);
    bad.parts.insert("license".into(), evil.into());
    bad.parts.insert("tags".into(), evil.into());
    bad.parts.insert("language".into(), evil.into());
    bad.parts.insert("pipeline_tag".into(), evil.into());
    bad.parts.insert(format!("own {evil}"), evil.into());
    say(&mut facts, Statement::ModelCard(bad));
    let mut bad = evaluation(evil);
    bad.tool = Some(evil.into());
    let metric = Metric { unit: Some(evil.into()), ..bad.metrics["accuracy"].clone() };
    bad.metrics.insert(evil.into(), metric);
    say(&mut facts, Statement::Evaluation(bad));
    let findings = BTreeMap::from([(evil.to_owned(), 3)]);
    say(&mut facts, Statement::Scan(Scan { scanner: evil.into(), findings }));
    let identity = Some(evil.to_owned());
    say(
        &mut facts,
        Statement::Signature(Signature {
            method: SignatureMethod::Certificate,
            key: evil.into(),
            root: None,
            identity,
        }),
    );
    let materials = vec![Material { uri: evil.into(), digest: Some(evil.into()) }];
    say(
        &mut facts,
        Statement::Provenance(Provenance {
            builder: evil.into(),
            build_type: evil.into(),
            materials,
            finished_at: None,
            key: None,
        }),
    );
    let approval = Approval {
        stage: "production".parse().unwrap(),
        rules: Digest::sha256(b"r"),
        decision: Decision::Reject,
        message: evil.into(),
    };
    say(&mut facts, Statement::Approval(approval));
    say(
        &mut facts,
        Statement::DriftReport(DriftReport {
            monitor: evil.into(),
            verdict: DriftVerdict::Drift,
            window: None,
            rows: None,
            reason: Some(evil.into()),
        }),
    );
    facts.yanked = Some((time(1), evil.into()));
    facts.document.lineage.datasets[0].name = evil.into();
    facts.document.contract.input = json!({ "description": evil, "properties": { evil: { "type": evil } } });
    facts.document.lineage.base = Some(evil.into());
    facts.ancestors.clear();
    facts.inspection.architecture = Some(evil.into());
    facts.inspection.adapter = Some(Adapter {
        method: Some(evil.into()),
        task_type: Some(evil.into()),
        target_modules: vec![evil.into()],
        ..Default::default()
    });
    facts.inspection.facts = BTreeMap::from([(evil.to_owned(), evil.to_owned())]);
    facts.inspection.dtypes = BTreeMap::from([(evil.to_owned(), 1)]);
    facts.lint_errors = vec![evil.into()];
    facts.moves[0].reason = Some(evil.into());
    facts.moves[0].report.as_mut().unwrap().1.gates[0].reason = evil.into();
    facts.region = evil.into();
    facts
}

/// Without the front matter.
fn page_of(text: &str) -> &str {
    text.split_once("\n---\n").map_or(text, |(_, page)| page)
}

/// What makes the page: its headings, and its lines that name a gap by what they begin with.
fn frame(text: &str) -> Vec<String> {
    let text = page_of(text);
    let ours = |line: &&str| {
        line.starts_with(['#', '=', '~', '`', '<']) || line.starts_with("---") || line.starts_with("GAP:")
    };
    text.lines().filter(ours).map(|line| line.chars().take(40).collect()).collect()
}

#[test]
fn texts_of_others_make_no_line_of_ours() {
    let (evil, tame) = (texts(EVIL), texts("words"));
    for format in [Format::AnnexIv, Format::ModelCard] {
        let (bad, good) = (format.write(&evil), format.write(&tame));
        assert_eq!(frame(&bad), frame(&good), "{format}");
        assert!(!bad.contains("<script") && !bad.contains("<h2>") && !bad.contains("<!--"), "{bad}");
        let page = page_of(&bad);
        let hidden = |c: char| c != '\n' && (c.is_control() || "\u{2028}\u{202e}\u{200b}".contains(c));
        assert_eq!(page.find(hidden), None, "{format}");
        // Every line begins with something of ours, and what is in a quotation is escaped.
        for quoted in page.lines().filter_map(|line| line.strip_prefix("> ")) {
            assert!(!quoted.starts_with(['#', '-', '=', '+', '>', '*', '`', '~', '|', ' ', '<']), "{quoted}");
            assert!(
                !quoted.replace("\\]", "").contains("](")
                    && !quoted.starts_with("1. ")
                    && !quoted.starts_with("1) "),
                "{quoted}"
            );
        }
    }
}

#[test]
fn front_matter_keeps_its_form() {
    let text = Format::ModelCard.write(&texts(EVIL));
    assert_eq!(text.lines().filter(|line| line.trim_end() == "---").count(), 2);
    let front = text.strip_prefix("---\n").unwrap().split_once("\n---\n").unwrap().0;
    let front: Value = serde_norway::from_str(front).unwrap();
    assert_eq!(front["license"], "other");
    let keys: Vec<&str> = front.as_object().unwrap().keys().map(String::as_str).collect();
    let known = [
        "base_model",
        "base_model_relation",
        "datasets",
        "language",
        "library_name",
        "license",
        "license_name",
        "metrics",
        "model-index",
        "pipeline_tag",
        "tags",
    ];
    assert!(keys.iter().all(|key| known.contains(key)), "{keys:?}");
}

#[test]
fn documents_for_machines_hold_no_hidden_characters() {
    for format in [Format::CycloneDx, Format::Slsa] {
        let text = format.write(&texts(EVIL));
        let value: Value = serde_json::from_str(&text).unwrap();
        let written = [cyclonedx::document, slsa::statement].map(|write| write(&texts(EVIL)));
        assert!(written.contains(&value), "{format}: escaping changes nothing");
        assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{format}");
    }
}
