//! What is known of versions that there are none of: with nothing said of them, and with everything.

use super::*;

pub(super) fn time(minute: i64) -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minute)
}

pub(super) fn file(path: &str) -> File {
    File { path: path.parse().unwrap(), digest: Digest::sha256(path.as_bytes()), size: 7 }
}

/// A version that nothing is known of but what every version has.
pub(super) fn bare(tier: Tier) -> Facts {
    let (kind, files, target) = match tier {
        Tier::Prompt => {
            (Kind::Prompt, vec![file("a.prompt.yaml")], Target::Hosted { models: vec!["m-1".into()] })
        }
        Tier::Adapter => {
            let target = Target::Adapter { base: None, artifact: "acme/x@sha256:…".into() };
            (Kind::Peft, vec![file("adapter_config.json"), file("adapter_model.safetensors")], target)
        }
        Tier::Weights => {
            let target = Target::Weights { artifact: "acme/x@sha256:…".into() };
            (Kind::Safetensors, vec![file("model.safetensors")], target)
        }
    };
    let prompt_file = (tier == Tier::Prompt).then(|| files[0].clone());
    let invoke = Invoke { prompt: None, prompt_file, parameters: Default::default(), target };
    let input = json!({ "type": "object", "properties": { "body": { "type": "string" }, "tier": { "enum": ["a"] } }, "required": ["body"] });
    let contract = ContractDocument { digest: Digest::sha256(b"contract"), input, output: json!(true) };
    Facts {
        workload: "acme/x".parse().unwrap(),
        version: Version::new(1, 1, 0),
        digest: Digest::sha256(b"manifest"),
        tier,
        kind,
        sequence: 2,
        created_at: time(0),
        created_by: "ann".parse().unwrap(),
        yanked: None,
        authors: BTreeSet::from(["ann".parse().unwrap()]),
        document: Document { contract, invoke, lineage: Lineage::default() },
        files,
        inspection: Inspection { kind, tier, safety: Safety::Safe, ..Inspection::default() },
        lint_errors: Vec::new(),
        evidence: Vec::new(),
        moves: Vec::new(),
        waiting: Vec::new(),
        earlier: Vec::new(),
        changes: None,
        asked: Vec::new(),
        policies: vec![("built-in default".into(), Digest::sha256(b"policy"))],
        ancestors: Vec::new(),
        region: "eu-1".into(),
        registry: Registry {
            name: "gradus/1".into(),
            url: Some("https://models.example.org".into()),
            checkpoint: "gradus/1\n3\nAAAA\n\n— gradus/1 BBBB\n".into(),
        },
        pushed_at: Some(2),
    }
}

pub(super) fn say(facts: &mut Facts, statement: Statement) -> Digest {
    let minute = facts.evidence.len() as i64 + 1;
    let digest = Digest::sha256(format!("{minute} {statement:?}").as_bytes());
    let (subject, by) = (facts.digest.clone(), "bo".parse().unwrap());
    facts.evidence.push(Evidence { digest: digest.clone(), subject, statement, by, at: time(minute) });
    digest
}

pub(super) fn evaluation(suite: &str) -> Evaluation {
    let interval = Some(Interval { low: 0.9, high: 0.97, level: 0.95 });
    let metric = Metric {
        value: 0.95,
        n: Some(200),
        interval,
        unit: Some("ratio".into()),
        better: Default::default(),
    };
    Evaluation {
        suite: suite.into(),
        suite_digest: Some(Digest::sha256(b"suite")),
        datasets: vec![Digest::sha256(b"test data")],
        metrics: BTreeMap::from([("accuracy".to_owned(), metric)]),
        tool: Some("lm-eval 0.4.9".into()),
        with_examples: Vec::new(),
    }
}

pub(super) fn card(text: &str) -> ModelCard {
    let mut parts: BTreeMap<String, String> =
        PARTS.iter().map(|name| ((*name).to_owned(), format!("{text} {name}"))).collect();
    for name in ["ethical_considerations", "contact", "post_market_monitoring"] {
        parts.insert(name.into(), text.into());
    }
    parts.insert("license".into(), "apache-2.0".into());
    ModelCard { parts }
}

/// A version that everything is known of.
pub(super) fn full(tier: Tier) -> Facts {
    let mut facts = bare(tier);
    if tier != Tier::Prompt {
        facts.document.lineage.base = Some(format!("acme/base@{}", Digest::sha256(b"base")));
        facts.document.lineage.datasets =
            vec![Dataset { name: "train".into(), digest: Digest::sha256(b"train") }];
        facts.ancestors = vec![Ancestor {
            workload: "acme/base".parse().unwrap(),
            version: Version::new(3, 0, 0),
            digest: Digest::sha256(b"base"),
            tier: Tier::Weights,
            at: time(-100),
            base: Some("hf:org/Model@0123456789abcdef0123456789abcdef01234567".into()),
        }];
    }
    if tier == Tier::Adapter {
        facts.inspection.adapter =
            Some(Adapter { task_type: Some("CAUSAL_LM".into()), rank: Some(8), ..Default::default() });
    }
    facts.inspection.architecture = Some("LlamaForCausalLM".into());
    facts.inspection.parameters = Some(6000);
    say(&mut facts, Statement::ModelCard(card("An older card.")));
    say(&mut facts, Statement::ModelCard(card("It sorts tickets.")));
    let evaluated = say(&mut facts, Statement::Evaluation(evaluation("golden")));
    say(&mut facts, Statement::Scan(Scan { scanner: "modelscan 0.8.8".into(), findings: BTreeMap::new() }));
    let key = "ab".repeat(32);
    say(
        &mut facts,
        Statement::Signature(Signature { method: SignatureMethod::Key, key, root: None, identity: None }),
    );
    say(
        &mut facts,
        Statement::Provenance(Provenance {
            builder: "https://ci.example.org/runner".into(),
            build_type: "https://ci.example.org/finetune/v1".into(),
            materials: vec![Material {
                uri: "git+https://git.example.org/a".into(),
                digest: Some(format!("gitCommit:{}", "1".repeat(40))),
            }],
            finished_at: Some(time(-5)),
            key: None,
        }),
    );
    let approval = Approval {
        stage: "production".parse().unwrap(),
        rules: Digest::sha256(b"rules"),
        decision: Decision::Approve,
        message: "looked at it".into(),
    };
    say(&mut facts, Statement::Approval(approval));
    say(
        &mut facts,
        Statement::DriftReport(DriftReport {
            monitor: "daily".into(),
            verdict: DriftVerdict::Clear,
            window: None,
            rows: None,
            reason: None,
        }),
    );
    let gate = GateReport {
        gate: "evaluation".into(),
        outcome: Outcome::Pass,
        reason: "accuracy is 0.95".into(),
        evidence: vec![evaluated],
        next: None,
    };
    let (policy, rules) = (Digest::sha256(b"policy"), Digest::sha256(b"rules"));
    let report = Report {
        outcome: Outcome::Pass,
        gates: vec![gate],
        policy: policy.clone(),
        rules: rules.clone(),
        judged_at: time(20),
        changes_at: None,
    };
    let stage: crate::model::stage::Stage = "production".parse().unwrap();
    let ended = Ended {
        kind: MoveKind::RolledBack,
        to: Version::new(1, 0, 0),
        at: time(30),
        by: "cy".parse().unwrap(),
        reason: Some("refusals doubled".into()),
    };
    facts.moves = vec![Step {
        stage: stage.clone(),
        number: 2,
        kind: MoveKind::Promoted,
        version: facts.version.clone(),
        from: Some(Version::new(1, 0, 0)),
        at: time(20),
        by: "rel".parse().unwrap(),
        reason: None,
        report: Some((Digest::sha256(b"judgement"), report.clone())),
        ratified: None,
        ended: Some(ended),
    }];
    facts.waiting = vec![Waiting {
        stage: stage.clone(),
        at: time(40),
        by: "rel".parse().unwrap(),
        judgement: Digest::sha256(b"later"),
        report,
    }];
    facts.asked = vec![Asked {
        stage,
        roles: vec![crate::model::access::Role::Releaser],
        gates: vec!["evaluation".into()],
        policy,
        rules,
    }];
    facts.earlier = vec![Earlier {
        version: Version::new(1, 0, 0),
        digest: Digest::sha256(b"one"),
        tier: Tier::Prompt,
        at: time(-50),
        by: "ann".parse().unwrap(),
        is_yanked: false,
    }];
    facts.changes = Some(Changes {
        since: Version::new(1, 0, 0),
        diff: Diff { change: Change::Equal, entries: Vec::new() },
    });
    facts
}
