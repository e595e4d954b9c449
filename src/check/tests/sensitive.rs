//! Columns that are compared and not told.

use super::*;
use crate::drift::profile::Profile;
use crate::drift::signals::{HashKey, Tier};
use serde_json::json;

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
    let csv = |row: &dyn Fn(u32) -> String| String::from("code,price,is_new\n") + &rows(row);
    let reference = files.text("r.csv", &csv(&|code| format!("{code}.0,{code}.50,True\n")));
    let ndjson = |code| format!("{{\"code\":{code},\"price\":{code}.5,\"is_new\":true}}\n");
    let current = files.text("c.ndjson", &rows(&ndjson));
    let report = checked(&reference, &current, &hidden(&["code", "price", "is_new"], KEY)).unwrap();
    assert_eq!(report.run.verdict, Verdict::Ok, "{:?}", report.run.columns);
    assert_eq!(report.run.columns.len(), 3);
}

/// A log whose outputs are texts of JSON or objects.
fn log(files: &Files, name: &str, is_object: bool) -> PathBuf {
    let line = |row: u32| {
        let customer = ["alice", "bob", "carol"][row as usize % 3];
        let output = json!({
            "customer": customer,
            "first name": customer,
            "address": { "city": customer },
            "items": [customer],
            "kind": "bug",
        });
        let output = if is_object { output } else { json!(output.to_string()) };
        format!(
            "{}\n",
            json!({ "user": { "name": customer, "age": row % 3 }, "input": "Hello there", "output": output })
        )
    };
    files.text(name, &(0..600).map(line).collect::<String>())
}

fn of_log(names: &[&str]) -> Request {
    let signals = Signals { preset: Tier::Prompt, roles: [].into(), output_schema: None, base: None };
    Request { signals: Some(signals), ..hidden(names, KEY) }
}

/// The columns that are reported on, and all that is said.
fn told(log: &Path, request: &Request) -> (Vec<String>, String) {
    let report = checked(log, log, request).unwrap();
    assert!(verdicts(&report).iter().all(|(_, verdict)| *verdict < Verdict::Warn), "{:?}", verdicts(&report));
    let columns = report.run.columns.iter().map(|finding| finding.column.clone()).collect();
    let page = html::page(&report, "A check", &[]).unwrap();
    (columns, serde_json::to_string(&report).unwrap() + &page)
}

#[test]
fn objects_and_fields_of_outputs_are_not_told_either() {
    let files = Files::new();
    for is_object in [false, true] {
        let log = log(&files, if is_object { "o.ndjson" } else { "t.ndjson" }, is_object);
        let names =
            ["user", "output:$.customer", "output:$.\"first name\"", "output:$.address", "output:$.items"];
        let (columns, text) = told(&log, &of_log(&names));
        let hashed = [
            "user.name",
            "user.age",
            "output:$.customer",
            "output:$.\"first name\"",
            "output:$.address.city",
            "output:$.items[]",
        ];
        for column in hashed.map(|name| format!("{name}:hashed")).iter().chain([&"output:$.kind".to_owned()])
        {
            assert!(columns.contains(column), "{column} of {columns:?}");
        }
        assert!(!text.contains("alice"), "{text}");
        // Nothing of a whole output that is not to be told.
        let (columns, text) = told(&log, &of_log(&["user.name", "output"]));
        assert!(columns.iter().all(|name| !name.starts_with("output:$") && name != "output"), "{columns:?}");
        assert!(!text.contains("alice"), "{text}");
    }
    // As members, which objects have.
    let log = log(&files, "m.ndjson", true);
    let names = ["user", "output.customer", "output.first name", "output.address", "output.items"];
    assert!(!told(&log, &of_log(&names)).1.contains("alice"));
    // Nothing finds the fields where there is no preset.
    assert_eq!(refused(&log, &log, &hidden(&["output:$.customer"], KEY)), "drift_sensitive");
}

#[test]
fn of_two_profiles_hashes_are_compared() {
    let files = Files::new();
    let rows = |name: &str, domain: &str| {
        let row = |row: u32| {
            format!("{{\"customer\":{{\"email\":\"{}@{domain}\"}},\"amount\":{}}}\n", row % 5, row % 7)
        };
        files.text(name, &(0..2_000).map(row).collect::<String>())
    };
    let (before, after) = (rows("b.ndjson", "a.example"), rows("a.ndjson", "b.example"));
    let request = hidden(&["customer"], KEY);
    let [before, after] = [("b.profile", &before), ("a.profile", &after)]
        .map(|(name, of)| profiled(&files, name, of, &request));
    for request in [request, Request::default()] {
        let report = checked(&before, &after, &request).unwrap();
        assert!(
            verdicts(&report).contains(&("customer.email:hashed", Verdict::Drift)),
            "{:?}",
            verdicts(&report)
        );
    }
}

#[test]
fn a_profile_that_tells_or_does_not_know_is_not_taken() {
    let files = Files::new();
    let log = log(&files, "log.ndjson", false);
    let profile = |request: &Request| profile(&open(&log).unwrap(), None, request).unwrap();
    let code = |profile: &Profile, names: &[&str]| {
        check_untold(profile, &hidden(names, KEY).sensitive).map_err(|error| error.code)
    };
    let plain = profile(&of_log(&[]));
    for name in ["user", "user.name", "output", "output:$.customer", "output.customer", "usr"] {
        assert_eq!(code(&plain, &[name]), Err("drift_sensitive"), "{name}");
    }
    assert_eq!(code(&plain, &[]), Ok(()));
    let hashed = profile(&of_log(&["user", "output:$.customer"]));
    for name in ["user", "user.name", "output:$.customer", "output.customer"] {
        assert_eq!(code(&hashed, &[name]), Ok(()), "{name}");
    }
    assert_eq!(code(&hashed, &["output"]), Err("drift_sensitive"), "its other fields are told");
}

#[test]
fn what_is_made_of_a_part_or_called_like_a_hash_tells_nothing() {
    let files = Files::new();
    let log = log(&files, "log.ndjson", false);
    // All of an output, in two spellings.
    for name in ["output:$", "output:$[]"] {
        assert!(!told(&log, &of_log(&[name, "user"])).1.contains("alice"), "{name}");
        let plain = profile(&open(&log).unwrap(), None, &of_log(&[])).unwrap();
        assert!(check_untold(&plain, &[name.to_owned()].into()).is_err(), "{name}");
    }
    let call = |row: u32| {
        let name = ["alice", "bob"][row as usize % 2];
        format!("{}\n", json!({ "input": "Hello", "output": "Hi", "tool_calls": { "name": name } }))
    };
    let calls = files.text("calls.ndjson", &(0..600).map(call).collect::<String>());
    assert!(told(&calls, &of_log(&[])).1.contains("alice"));
    assert!(!told(&calls, &of_log(&["tool_calls.name"])).1.contains("alice"));
    let csv = files.text("own.csv", &(String::from("email,email:hashed\n") + &"alice,alice\n".repeat(500)));
    assert_eq!(refused(&csv, &csv, &hidden(&["email"], KEY)), "drift_sensitive");
}

#[test]
fn a_profile_remembers_what_was_named() {
    let files = Files::new();
    let row = |row: u32| {
        format!(
            "{}\n",
            json!({ "input": { "customer": row % 3 }, "output": "Hi", "id": row, "y": row % 2, "p": row % 2 })
        )
    };
    let data = files.text("d.ndjson", &(0..600).map(row).collect::<String>());
    let baseline = profiled(&files, "b.profile", &data, &of_log(&["input"]));
    let report = checked(&baseline, &data, &of_log(&[])).unwrap();
    assert!(verdicts(&report).iter().all(|(_, verdict)| *verdict < Verdict::Warn), "{:?}", verdicts(&report));
    // Nothing to profile is nothing told, and the profile says so.
    let empty = profiled(&files, "e.profile", &files.text("e.ndjson", ""), &hidden(&["input"], KEY));
    let empty = Profile::parse(&std::fs::read(empty).unwrap()).unwrap();
    assert!(check_untold(&empty, &["input".to_owned()].into()).is_ok());
    assert!(check_untold(&empty, &["id".to_owned()].into()).is_err());
    // Two that tell are not compared as if there was nothing.
    let plain = profiled(&files, "p.profile", &data, &Request::default());
    assert_eq!(refused(&plain, &plain, &hidden(&["input"], KEY)), "drift_sensitive");
    // Classes are told by what was measured; ids may be both, and are no data.
    let performance = Performance {
        task: None,
        target: "y".to_owned(),
        prediction: "p".to_owned(),
        probability: None,
        positive: None,
        id: Some("id".to_owned()),
    };
    let request = Request { performance: Some(performance), ..hidden(&["id"], KEY) };
    let measured = profile(&open(&data).unwrap(), None, &request).unwrap();
    assert!(check_untold(&measured, &["y".to_owned()].into()).is_err());
    let report = checked(&data, &data, &request).unwrap();
    assert!(verdicts(&report).iter().all(|(column, _)| !column.starts_with("id")), "{:?}", verdicts(&report));
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
