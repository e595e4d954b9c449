//! Checks of models' logs.

mod concerns;
mod forms;

use super::*;
use crate::drift::compare::{Concern, Finding};
use crate::drift::profile::Profile;
use crate::drift::signals::{Finding as Attribution, Role, Tier};
use crate::drift::statistics::random::SplitMix;
use serde_json::{Value, json};

/// A log of a prompt that sorts tickets, with so many of a thousand rows being something else.
#[derive(Clone, Copy, Default)]
struct Log {
    rows: usize,
    seed: u64,
    /// Answers that break the schema.
    broken: usize,
    refused: usize,
    /// Answers with a mail address.
    personal: usize,
    german: usize,
    /// Answers of another system.
    other_system: usize,
    /// By how much the judge moves, and the model.
    judge: f64,
    model: f64,
}

const USUAL: Log = Log {
    rows: 2_000,
    seed: 1,
    broken: 10,
    refused: 10,
    personal: 0,
    german: 100,
    other_system: 0,
    judge: 0.0,
    model: 0.0,
};

const QUESTIONS: [&str; 4] = [
    "My invoice shows the wrong amount, could you please have a look at it and tell me what I have to pay?",
    "The application crashes whenever I open the settings page on my phone, and I have tried it many times.",
    "I would like to know how I can change the address of my account before the next delivery is sent.",
    "Where do I find the manual of the new printer? The link on your page does not work for me at all.",
];
const FRAGE: &str =
    "Die Rechnung stimmt nicht, könnten Sie bitte nachsehen und mir sagen, was ich bezahlen muss?";

impl Log {
    fn lines(self) -> Vec<Value> {
        let mut random = SplitMix(self.seed);
        (0..self.rows).map(|_| self.line(&mut random)).collect()
    }

    fn line(self, random: &mut SplitMix) -> Value {
        let mut is = |of_a_thousand: usize| random.below(1_000) < of_a_thousand;
        let (broken, refused, personal) = (is(self.broken), is(self.refused), is(self.personal));
        let (german, other, is_anchor) = (is(self.german), is(self.other_system), is(200));
        let kind = ["billing", "bug", "question"][random.below(3)];
        let urgency = if broken { json!("very") } else { json!(1 + random.below(5)) };
        let mut reason = format!("The customer writes about {kind} number {}.", random.below(500));
        if personal {
            reason.push_str(" Answer to jane.doe@example.org.");
        }
        let answer = match refused {
            true => "I'm sorry, but I can't help with that.".to_owned(),
            false => json!({ "kind": kind, "urgency": urgency, "reason": reason }).to_string(),
        };
        let moved = self.judge + if is_anchor { 0.0 } else { self.model };
        json!({
            "prompt": if german { FRAGE } else { QUESTIONS[random.below(4)] },
            "completion": answer,
            "model": "swift-2",
            "system_fingerprint": if other { "fp_new" } else { ["fp_a", "fp_b"][random.below(2)] },
            "latency_ms": 200.0 + 300.0 * random.uniform(),
            "judge_score": 3.0 + random.uniform() + random.uniform() + moved,
            "judge_model": "judge-1",
            "anchor": is_anchor,
            "tenant": if random.below(2) == 0 { "north" } else { "south" },
        })
    }

    fn write(self, files: &Files, name: &str) -> PathBuf {
        ndjson(files, name, &self.lines())
    }
}

/// Only these columns of a log.
fn part(log: Log, names: &[&str], files: &Files, name: &str) -> PathBuf {
    let part = |line: Value| names.iter().map(|name| ((*name).to_owned(), line[*name].clone())).collect();
    ndjson(files, name, &log.lines().into_iter().map(part).collect::<Vec<Value>>())
}

fn ndjson(files: &Files, name: &str, lines: &[Value]) -> PathBuf {
    files.text(&format!("{name}.ndjson"), &lines.iter().map(|line| format!("{line}\n")).collect::<String>())
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "kind": { "enum": ["billing", "bug", "question"] },
            "urgency": { "type": "integer", "minimum": 1, "maximum": 5 },
        },
        "required": ["kind", "urgency"],
    })
}

fn request(tier: Tier) -> Request {
    let signals = Signals { output_schema: Some(schema()), ..Signals::of(tier) };
    Request { signals: Some(signals), threads: 2, ..Request::default() }
}

/// Only what is made of one column.
fn only(column: &str) -> Request {
    Request { only: [column.to_owned()].into(), ..request(Tier::Prompt) }
}

fn finding<'r>(report: &'r Report, column: &str) -> &'r Finding {
    let found = report.run.columns.iter().find(|finding| finding.column == column);
    found.unwrap_or_else(|| panic!("{column} in {:?}", verdicts(report)))
}

fn drifted(report: &Report) -> Vec<&str> {
    let drifted = report.run.columns.iter().filter(|finding| finding.verdict == Verdict::Drift);
    drifted.map(|finding| finding.column.as_str()).collect()
}

#[test]
fn a_log_that_did_not_change_has_not_drifted() {
    let files = Files::new();
    let (reference, current) =
        (USUAL.write(&files, "r"), Log { rows: 1_500, seed: 2, ..USUAL }.write(&files, "c"));
    let report = checked(&reference, &current, &request(Tier::Prompt)).unwrap();
    assert_eq!(drifted(&report), [""; 0], "{}", report.run.reason);
    assert!(report.run.columns.len() > 50);
    assert!(
        report.run.columns.iter().all(|finding| finding.column != "completion"),
        "texts are not compared"
    );
    let recognised = report.signals.as_ref().unwrap();
    assert_eq!(recognised.roles["system_fingerprint"], Role::Fingerprint);
    assert_eq!(recognised.unrecognised, ["tenant"]);
    assert!(recognised.absent.contains(&Role::Cost) && recognised.lexicons.len() >= 5, "{recognised:?}");
    assert!(recognised.lexicons.iter().all(|lexicon| lexicon.contains(" sha256:")), "{recognised:?}");
    assert_eq!(report.judge.as_ref().unwrap().finding, Attribution::NoDrift);
    assert_eq!(finding(&report, "completion:$.kind").kind, Kind::Categorical);
    assert_eq!(finding(&report, "tenant").verdict, Verdict::Ok);
    let json = serde_json::to_value(&report).unwrap();
    let validator = jsonschema::draft202012::new(Report::schema().as_value()).unwrap();
    assert!(validator.is_valid(&json));
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}

#[test]
fn each_change_shows_where_it_is() {
    let files = Files::new();
    let reference = USUAL.write(&files, "r");
    // From 1 to 4 % of answers break the schema.
    let broken = Log { seed: 3, broken: 40, refused: 0, ..USUAL }.write(&files, "b");
    let usual = part(Log { refused: 0, ..USUAL }, &["completion"], &files, "u");
    let report = checked(&usual, &broken, &only("completion")).unwrap();
    let valid = finding(&report, "completion:schema_valid");
    assert_eq!((valid.verdict, valid.concern), (Verdict::Drift, Concern::Violations), "{}", valid.reason);
    assert_eq!(report.run.drifted_concerns().last(), Some(&Concern::Violations));
    // That answers are better than they were is no violation.
    let report = checked(&broken, &usual, &only("completion")).unwrap();
    assert_eq!(finding(&report, "completion:schema_valid").concern, Concern::Data);

    let changed = Log { seed: 4, refused: 60, personal: 40, german: 400, ..USUAL }.write(&files, "c");
    let report = checked(&reference, &changed, &request(Tier::Prompt)).unwrap();
    let refusal = finding(&report, "completion:refusal");
    assert_eq!((refusal.verdict, refusal.concern), (Verdict::Drift, Concern::Data));

    let personal = finding(&report, "completion:pii_email");
    assert_eq!((personal.verdict, personal.concern), (Verdict::Drift, Concern::Violations));
    assert!(!serde_json::to_string(&report).unwrap().contains("jane"), "no example is in a report");

    assert_eq!(finding(&report, "prompt:language").verdict, Verdict::Drift);
    assert_eq!(finding(&report, "completion:language").verdict, Verdict::Ok);
}

#[test]
fn another_system_is_news_however_few_rows_it_answered() {
    let files = Files::new();
    let log = Log { rows: 5_000, ..USUAL };
    let reference = part(log, &["system_fingerprint"], &files, "r");
    let current = part(Log { seed: 4, other_system: 3, ..log }, &["system_fingerprint"], &files, "c");
    let report = checked(&reference, &current, &request(Tier::Prompt)).unwrap();
    let system = finding(&report, "system_fingerprint");
    assert_eq!(system.verdict, Verdict::Drift, "{}", system.reason);
    assert!(system.reason.contains("however few rows"), "{}", system.reason);
    let without = checked(&reference, &current, &Request::default()).unwrap();
    assert!(finding(&without, "system_fingerprint").verdict < Verdict::Drift, "below the usual floor");
}

#[test]
fn a_judge_is_told_from_the_model() {
    let files = Files::new();
    let scores = ["judge_score", "judge_model", "anchor"];
    let reference = part(USUAL, &scores, &files, "r");
    for (judge, model, attribution, words) in [
        (0.5, 0.0, Attribution::JudgeDrift, "the judge's drift"),
        (0.0, -0.5, Attribution::ModelDrift, "the model's drift"),
    ] {
        let current = part(Log { seed: 5, judge, model, ..USUAL }, &scores, &files, "c");
        let report = checked(&reference, &current, &request(Tier::Prompt)).unwrap();
        assert_eq!(report.judge.as_ref().unwrap().finding, attribution);
        let score = finding(&report, "judge_score");
        assert_eq!(score.verdict, Verdict::Drift);
        assert!(score.reason.contains(words), "{}", score.reason);
        // A baseline keeps the scores of anchors apart, and they are no columns of their own.
        let files = Files::new();
        let made = profile(&open(&reference).unwrap(), None, &request(Tier::Prompt)).unwrap();
        let baseline = files.text("r.profile", &String::from_utf8(made.to_bytes().unwrap()).unwrap());
        let later = checked(&baseline, &current, &request(Tier::Prompt)).unwrap();
        assert_eq!(later.judge.as_ref().unwrap().finding, attribution);
        assert_eq!(later.judge.as_ref().unwrap().anchors, report.judge.as_ref().unwrap().anchors);
        assert_eq!(verdicts(&later).len(), verdicts(&report).len(), "{:?}", verdicts(&later));
        let page = html::page(&report, "A check", &[]).unwrap();
        assert!(page.contains("Judge: it scores") && page.contains("Nothing was taken for"));
    }
}

/// Whoever forgets the preset, or a role, compares them with nothing.
#[test]
fn scores_that_a_profile_keeps_are_no_data() {
    let files = Files::new();
    let table = part(USUAL, &["judge_score", "judge_model", "anchor"], &files, "r");
    let made = profile(&open(&table).unwrap(), None, &request(Tier::Prompt)).unwrap();
    assert!(made.column("judge_score:anchors").is_some());
    let kept = files.text("r.profile", &String::from_utf8(made.to_bytes().unwrap()).unwrap());
    let plain = |report: &Report| {
        assert_eq!(report.run.verdict, Verdict::Ok, "{}", report.run.reason);
        verdicts(report).iter().all(|(column, _)| !column.contains(':'))
    };
    assert!(plain(&checked(&kept, &kept, &Request::default()).unwrap()));
    assert!(plain(&checked(&kept, &table, &request(Tier::Prompt)).unwrap()));
    let mut forgotten = request(Tier::Prompt);
    forgotten.signals.as_mut().unwrap().roles.insert("anchor".to_owned(), None);
    assert!(plain(&checked(&kept, &table, &forgotten).unwrap()));
    assert_eq!(checked(&kept, &table, &Request::default()).unwrap_err().code, "drift_preset");
    let windows = Windows { rows: 200, count: 20, runs_per_month: 30.0, against: None, details: true };
    let calibration = calibrate(&open(&kept).unwrap(), &Request::default(), windows).unwrap();
    assert!(calibration.columns.iter().all(|it| !it.column.contains(':')));
    let without = profile(&open(&table).unwrap(), None, &Request::default()).unwrap();
    assert!(made.merge(&without).is_err() && made.merge(&made).is_ok());
}

#[test]
fn signals_do_not_depend_on_the_number_of_threads() {
    let files = Files::new();
    let reference = Log { rows: 1_000, ..USUAL }.write(&files, "r");
    let current = Log { rows: 1_000, seed: 6, broken: 40, ..USUAL }.write(&files, "c");
    let on = |threads| {
        let request = Request { threads, ..request(Tier::Prompt) };
        let report = checked(&reference, &current, &request).unwrap();
        let profile = profile(&open(&reference).unwrap(), None, &request).unwrap();
        (serde_json::to_string(&report).unwrap(), profile.to_bytes().unwrap())
    };
    assert!(on(1) == on(4));
}

#[test]
fn a_baseline_works_with_later_logs() {
    let files = Files::new();
    let (reference, current) = (
        Log { rows: 1_000, ..USUAL }.write(&files, "r"),
        Log { rows: 1_000, seed: 7, broken: 150, ..USUAL }.write(&files, "c"),
    );
    let request = request(Tier::Prompt);
    let baseline = profile(&open(&reference).unwrap(), None, &request).unwrap();
    assert!(baseline.derivations()["completion:refusal"].starts_with("refusal "));
    let keep = |name: &str, profile: &Profile| {
        files.text(name, &String::from_utf8(profile.to_bytes().unwrap()).unwrap())
    };
    let kept = keep("b.profile", &baseline);
    let report = checked(&kept, &current, &request).unwrap();
    let of_tables = checked(&reference, &current, &request).unwrap();
    assert_eq!(verdicts(&report), verdicts(&of_tables));
    assert_eq!(finding(&report, "completion:schema_valid").verdict, Verdict::Drift);
    assert_eq!(report.judge.as_ref().unwrap().finding, of_tables.judge.as_ref().unwrap().finding);
    assert_eq!(checked(&kept, &current, &Request::default()).unwrap_err().code, "drift_preset");

    let mut others = baseline.derivations().clone();
    others.insert("completion:refusal".to_owned(), "refusal 0 sha256:00".to_owned());
    let other = baseline.clone().with_derivations(others).unwrap();
    let report = checked(&keep("o.profile", &other), &current, &request).unwrap();
    let refusal = finding(&report, "completion:refusal");
    assert_eq!(refusal.verdict, Verdict::Invalid);
    assert!(refusal.reason.contains("refusal 0 sha256:00 and refusal "), "{}", refusal.reason);
    assert!(baseline.merge(&other).is_err() && baseline.merge(&baseline).is_ok());
    // One that was made without the preset lacks what the other says of the texts.
    let without = profile(&open(&current).unwrap(), None, &Request::default()).unwrap();
    for (a, b) in [(&baseline, &without), (&without, &baseline)] {
        let refused = a.merge(b).unwrap_err().to_string();
        assert!(refused.contains("derived for one of the profiles"), "{refused}");
    }

    let windows = Windows { rows: 400, count: 20, runs_per_month: 30.0, against: None, details: true };
    let only =
        Request { only: ["completion:refusal".to_owned(), "prompt:words".to_owned()].into(), ..request };
    let of_profile = calibrate(&open(&kept).unwrap(), &only, windows).unwrap();
    let names: Vec<&str> = of_profile.columns.iter().map(|column| column.column.as_str()).collect();
    assert_eq!(names, ["completion:refusal", "prompt:words"]);
}

#[test]
fn what_a_preset_does_not_use_is_refused_or_said() {
    let files = Files::new();
    let lines: Vec<Value> = (0..30).map(|row| json!({ "x": [row, 1], "y": row })).collect();
    let lines = ndjson(&files, "r", &lines);
    let asked = |tier, base: Option<&str>, role| {
        let roles = [("x".to_owned(), Some(role))].into();
        let signals = Signals { base: base.map(str::to_owned), roles, ..Signals::of(tier) };
        Request { signals: Some(signals), ..Request::default() }
    };
    let refused = |request: Request| checked(&lines, &lines, &request).unwrap_err();
    for (request, what) in [
        (asked(Tier::Prompt, Some("sha256:ab"), Role::Output), "the digest of a base model"),
        (asked(Tier::Weights, Some("sha256:ab"), Role::Output), "the digest of a base model"),
        (asked(Tier::Prompt, None, Role::Vector), "vector, which x was said to be"),
        (asked(Tier::Weights, None, Role::Win), "win, which x was said to be"),
    ] {
        let error = refused(request);
        assert!(error.code == "drift_preset" && error.message.contains(what), "{}", error.message);
    }
    checked(&lines, &lines, &asked(Tier::Adapter, Some("sha256:ab"), Role::Output)).unwrap();
    let rules = Request::rules("compat:evidently@0.7", &[], Options::default()).unwrap();
    let compat = Request { rules, ..asked(Tier::Weights, None, Role::Vector) };
    let notes = checked(&lines, &lines, &compat).unwrap().notes();
    assert!(notes.iter().any(|note| note.contains("vectors of x were not compared")), "{notes:?}");
}

/// By their names these would be numbers and texts.
#[test]
fn a_column_whose_values_do_not_fit_its_name_stays_what_it_is() {
    let files = Files::new();
    let log = |name: &str, grade: &str, errors: &str, documents: usize| {
        let line = |row: usize| {
            let grade = if row < 100 { "B" } else { grade };
            json!({ "grade": grade, "errors": errors, "documents": documents + row % 3, "latency": row % 7,
                "anchor": row % 3, "context": ["a", "b"], "prompt": "What is this?" })
        };
        ndjson(&files, name, &(0..1_000).map(line).collect::<Vec<_>>())
    };
    let (reference, current) = (log("r", "A", "none", 3), log("c", "F", "timeout", 7));
    let report = checked(&reference, &current, &request(Tier::Prompt)).unwrap();
    for column in ["grade", "errors", "documents"] {
        let found = finding(&report, column);
        assert_eq!((found.verdict, found.kind), (Verdict::Drift, Kind::Categorical), "{}", found.reason);
        assert!(report.notes().iter().any(|note| note.starts_with(&format!("{column} was left"))));
    }
    let recognised = report.signals.as_ref().unwrap();
    let taken: Vec<&str> = recognised.roles.keys().map(String::as_str).collect();
    assert_eq!(taken, ["context", "latency", "prompt"]);
    assert_eq!(recognised.unrecognised, ["anchor", "documents", "errors", "grade"]);
    assert_eq!(finding(&report, "latency").kind, Kind::Numeric);
    assert_eq!(finding(&report, "context:characters").verdict, Verdict::Ok);

    // A baseline knows what it took a column for.
    let baseline = profile(&open(&reference).unwrap(), None, &request(Tier::Prompt)).unwrap();
    let kept = files.text("b.profile", &String::from_utf8(baseline.to_bytes().unwrap()).unwrap());
    let of_profile = checked(&kept, &current, &request(Tier::Prompt)).unwrap();
    assert_eq!(verdicts(&of_profile), verdicts(&report));

    // What a person says stands, and is no lack of data where it cannot be.
    let said = [("grade".to_owned(), Some(Role::JudgeScore))].into();
    let said = Signals { roles: said, ..Signals::of(Tier::Prompt) };
    let report =
        checked(&reference, &current, &Request { signals: Some(said), ..Request::default() }).unwrap();
    let grade = finding(&report, "grade");
    assert_eq!((grade.verdict, grade.kind), (Verdict::Invalid, Kind::Numeric), "{}", grade.reason);
    assert!(grade.reason.contains("none is numeric"), "{}", grade.reason);
}

#[test]
fn odd_outputs_are_values_of_their_own() {
    let files = Files::new();
    let usual = Log { rows: 300, ..USUAL }.write(&files, "r");
    let output = |row: usize| match row % 6 {
        0 => Value::Null,
        1 => json!(row),
        2 => json!([{ "deep": [row, null] }]),
        3 => json!({ "kind": "bug", "urgency": 1 }),
        4 => json!(""),
        _ => json!("word ".repeat(if row == 5 { 300_000 } else { 3 })),
    };
    let lines: Vec<Value> =
        (0..600).map(|row| json!({ "completion": output(row), "prompt": true })).collect();
    let odd = ndjson(&files, "odd", &lines);
    let report = checked(&usual, &odd, &request(Tier::Prompt)).unwrap();
    let current = |column: &str| finding(&report, column).current.clone().unwrap();
    let json = current("completion:json");
    // Nothing is missing, and of more than a MiB is not looked whether it is JSON.
    assert_eq!((json.rows, json.missing, json.failed), (600, 101, 0));
    let characters = current("completion:characters");
    assert_eq!((characters.missing, characters.failed), (100, 0));
    assert_eq!(characters.quantiles.unwrap()[6], f64::from(1 << 20));
    assert_eq!(current("prompt:characters").quantiles.unwrap()[0], 4.0, "true");
    assert_eq!(finding(&report, "judge_score").verdict, Verdict::Invalid, "there is none");
    assert_eq!(report.judge.unwrap().finding, Attribution::NoData);

    let twice = files.text("twice.csv", &format!("completion,completion\n{}", "a,b\n".repeat(50)));
    let report = checked(&usual, &twice, &only("completion")).unwrap();
    assert_eq!(finding(&report, "completion:words").reason, "A side has two columns of this name.");
    assert_eq!(profile(&open(&twice).unwrap(), None, &only("completion")).unwrap_err().code, "table_columns");
    // Names of columns are at most 512 bytes long.
    let long = ndjson(&files, "long", &[json!({ "x".repeat(505): "text" })]);
    let signals = Signals {
        roles: [("x".repeat(500) + "…", Some(Role::Output))].into(),
        ..Signals::of(Tier::Prompt)
    };
    let request_of_long = Request { signals: Some(signals), ..Request::default() };
    checked(&long, &long, &request_of_long).unwrap();

    let with_role = |column: &str, role| {
        let signals = Signals { roles: [(column.to_owned(), role)].into(), ..Signals::of(Tier::Prompt) };
        checked(&usual, &odd, &Request { signals: Some(signals), ..Request::default() })
    };
    assert_eq!(with_role("nowhere", Some(Role::Output)).unwrap_err().code, "drift_column");
    let plain = with_role("completion", None).unwrap();
    assert!(plain.run.columns.iter().all(|finding| !finding.column.starts_with("completion:")));
    assert_eq!(finding(&plain, "completion").kind, Kind::Text);
    let broken = Signals { output_schema: Some(json!({ "type": 3 })), ..Signals::of(Tier::Prompt) };
    let broken = checked(&usual, &odd, &Request { signals: Some(broken), ..Request::default() });
    assert_eq!(broken.unwrap_err().code, "drift_output_schema");
    assert_eq!(role("none").unwrap(), None);
    assert_eq!(role("judge_score").unwrap(), Some(Role::JudgeScore));
    assert_eq!(role("oracle").unwrap_err().code, "drift_role");
    let empty = ndjson(&files, "empty", &[]);
    for (a, b) in [(&usual, &empty), (&empty, &usual)] {
        assert_eq!(checked(a, b, &request(Tier::Prompt)).unwrap().run.verdict, Verdict::NoData);
    }
}
