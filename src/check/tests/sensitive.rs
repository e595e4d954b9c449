//! Columns that are compared and not told.

use super::*;
use crate::drift::profile::Profile;
use crate::drift::signals::{HashKey, Tier};

const KEY: [u8; 32] = [7; 32];

fn hidden(names: &[&str], key: [u8; 32]) -> Request {
    Request {
        sensitive: names.iter().map(|name| (*name).to_owned()).collect(),
        hash_key: Some(HashKey::new(&key)),
        ..Request::default()
    }
}

fn profiled(files: &Files, name: &str, of: &Path, request: &Request) -> PathBuf {
    let profile = profile(&open(of).unwrap(), None, request).unwrap();
    files.text(name, &String::from_utf8(profile.to_bytes().unwrap()).unwrap())
}

fn refused(reference: &Path, current: &Path, request: &Request) -> &'static str {
    checked(reference, current, request).unwrap_err().code
}

#[test]
fn values_are_compared_and_appear_nowhere() {
    let files = Files::new();
    let (reference, moved) = (files.table("r.csv", 5_000, 0.0, 0), files.table("m.csv", 4_000, 0.0, 30));
    let request = hidden(&["region"], KEY);
    let report = checked(&reference, &moved, &request).unwrap();
    assert!(verdicts(&report).contains(&("region:hashed", Verdict::Drift)), "{:?}", verdicts(&report));
    let plain = checked(&reference, &moved, &Request::default()).unwrap();
    let effect = |report: &Report, column: &str| {
        let columns = &report.run.columns;
        let found = columns.iter().find(|finding| finding.column == column).unwrap();
        found.tests.iter().map(|test| test.p_value).collect::<Vec<_>>()
    };
    assert_eq!(effect(&report, "region:hashed"), effect(&plain, "region"), "only the names are others");
    let texts = [
        serde_json::to_string(&report).unwrap(),
        html::page(&report, "A check", &[]).unwrap(),
        std::fs::read_to_string(profiled(&files, "r.profile", &reference, &request)).unwrap(),
    ];
    for text in texts {
        assert!(text.contains("region:hashed") && text.contains('#'));
        assert!(!["north", "south", "abroad"].iter().any(|value| text.contains(value)), "{text}");
    }
}

#[test]
fn a_profile_says_what_is_not_told_and_by_which_key() {
    let files = Files::new();
    let (reference, same) = (files.table("r.csv", 5_000, 0.0, 0), files.table("s.csv", 4_000, 0.0, 0));
    let baseline = profiled(&files, "r.profile", &reference, &hidden(&["region"], KEY));
    let told = Profile::parse(&std::fs::read(&baseline).unwrap()).unwrap();
    let key = format!("HMAC-SHA-256 with key {}", HashKey::new(&KEY).id());
    assert_eq!(told.derivations().get("region:hashed"), Some(&key));
    // Nobody has to say so again, and nobody can do without the key.
    let report = checked(&baseline, &same, &hidden(&[], KEY)).unwrap();
    assert!(verdicts(&report).contains(&("region:hashed", Verdict::Ok)), "{:?}", verdicts(&report));
    assert_eq!(refused(&baseline, &same, &Request::default()), "drift_key");
    let other = checked(&baseline, &same, &hidden(&[], [8; 32])).unwrap();
    assert!(verdicts(&other).contains(&("region:hashed", Verdict::Invalid)), "{:?}", verdicts(&other));
    assert!(!serde_json::to_string(&other).unwrap().contains("north"));
    // Two profiles need no key.
    let window = profiled(&files, "s.profile", &same, &hidden(&["region"], KEY));
    assert!(
        verdicts(&checked(&baseline, &window, &Request::default()).unwrap())
            .contains(&("region:hashed", Verdict::Ok))
    );
    // A baseline that tells them is no reason to tell those of the data.
    let plain = profiled(&files, "p.profile", &reference, &Request::default());
    let report = checked(&plain, &same, &hidden(&["region"], KEY)).unwrap();
    assert!(verdicts(&report).contains(&("region:hashed", Verdict::Invalid)), "{:?}", verdicts(&report));
    assert!(verdicts(&report).iter().all(|(column, _)| *column != "region"));
}

#[test]
fn formats_write_one_value_in_several_ways() {
    let files = Files::new();
    let rows = |of: &dyn Fn(u32) -> String| (0..2_000).map(|row| of(row % 5)).collect::<String>();
    let csv = files.text("r.csv", &(String::from("code\n") + &rows(&|code| format!("{code}.0\n"))));
    let ndjson = files.text("c.ndjson", &rows(&|code| format!("{{\"code\":{code}}}\n")));
    let report = checked(&csv, &ndjson, &hidden(&["code"], KEY)).unwrap();
    assert_eq!(verdicts(&report), [("code:hashed", Verdict::Ok)], "{:?}", report.run.columns);
}

#[test]
fn objects_and_fields_of_outputs_are_not_told_either() {
    let files = Files::new();
    let line = |row: u32| {
        let name = ["alice", "bob", "carol"][row as usize % 3];
        let output = format!("{{\\\"customer\\\": \\\"{name}\\\", \\\"kind\\\": \\\"bug\\\"}}");
        format!(
            "{{\"user\": {{\"name\": \"{name}\", \"age\": {}}}, \"input\": \"Hello there\", \"output\": \"{output}\"}}\n",
            row % 3
        )
    };
    let log = files.text("log.ndjson", &(0..600).map(line).collect::<String>());
    let signals = Signals { preset: Tier::Prompt, roles: [].into(), output_schema: None, base: None };
    let request = |names: &[&str]| Request { signals: Some(signals.clone()), ..hidden(names, KEY) };
    let told = |names: &[&str]| {
        let report = checked(&log, &log, &request(names)).unwrap();
        let columns: Vec<String> = report.run.columns.iter().map(|finding| finding.column.clone()).collect();
        (columns, serde_json::to_string(&report).unwrap())
    };
    let (columns, text) = told(&["user", "output:$.customer"]);
    for column in ["user.name:hashed", "user.age:hashed", "output:$.customer:hashed", "output:$.kind"] {
        assert!(columns.iter().any(|name| name == column), "{column} of {columns:?}");
    }
    assert!(!text.contains("alice"), "{text}");
    // Nothing of a whole output that is not to be told.
    let (columns, text) = told(&["user.name", "output"]);
    assert!(columns.iter().all(|name| !name.starts_with("output:$") && name != "output"), "{columns:?}");
    assert!(columns.contains(&"output:hashed".to_owned()) && !text.contains("alice"), "{columns:?}");
}

#[test]
fn what_contradicts_itself_is_refused() {
    let files = Files::new();
    let table = files.table("r.csv", 200, 0.0, 0);
    assert_eq!(refused(&table, &table, &hidden(&["regoin"], KEY)), "drift_column");
    assert_eq!(refused(&table, &table, &Request { hash_key: None, ..hidden(&["region"], KEY) }), "drift_key");
    let typed =
        Request { kinds: [("region".to_owned(), Kind::Categorical)].into(), ..hidden(&["region"], KEY) };
    assert_eq!(refused(&table, &table, &typed), "drift_sensitive");
    let performance = Performance {
        task: None,
        target: "region".to_owned(),
        prediction: "region".to_owned(),
        probability: None,
        positive: None,
        id: None,
    };
    let measured = Request { performance: Some(performance), ..hidden(&["region"], KEY) };
    assert_eq!(refused(&table, &table, &measured), "drift_sensitive");
}
