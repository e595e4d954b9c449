//! Drift checks from the command line: files against files, profiles, and the baseline of a version.

use crate::harness::{home::Home, server::Done};
use serde_json::{Value, json};
use std::fs;

/// A table whose amounts are moved.
fn table(home: &Home, name: &str, rows: u64, moved: f64) {
    let row = |row: u64| {
        let random = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let amount = (random % 1_000) as f64 / 10.0 + moved;
        format!("{amount},{}\n", ["north", "south", "west"][(random % 3) as usize])
    };
    let text = String::from("amount,region\n") + &(0..rows).map(row).collect::<String>();
    fs::write(home.path(name), text).unwrap();
}

fn json(done: &Done) -> Value {
    serde_json::from_str(&done.stdout).unwrap()
}

#[test]
fn drift_ends_with_10_and_what_is_not_comparable_with_1() {
    let home = Home::new();
    table(&home, "reference.csv", 3_000, 0.0);
    table(&home, "same.csv", 2_000, 0.0);
    table(&home, "moved.csv", 2_000, 20.0);
    let amounts: String = fs::read_to_string(home.path("same.csv"))
        .unwrap()
        .lines()
        .map(|line| format!("{}\n", line.split(',').next().unwrap()))
        .collect();
    fs::write(home.path("other.csv"), amounts).unwrap();
    let check = |data: &str| home.run(&["drift", "check", "--reference", "reference.csv", "--data", data]);
    assert!(check("same.csv").expect(0).stdout.starts_with("OK  No drift in 2 columns."));
    let drift = check("moved.csv").expect(10);
    assert!(drift.stdout.starts_with("DRIFT  1 of 2 columns drifted: amount."), "{}", drift.stdout);
    assert!(
        check("other.csv").expect(1).stdout.starts_with("INVALID  Columns that cannot be compared: region.")
    );
    assert_eq!(check("*oved.csv").expect(10).stdout, drift.stdout, "patterns");
}

#[test]
fn the_report_is_as_published_and_a_page() {
    let home = Home::new();
    table(&home, "reference.csv", 3_000, 0.0);
    table(&home, "moved.csv", 2_000, 20.0);
    let check = [
        "drift",
        "check",
        "--reference",
        "reference.csv",
        "--data",
        "moved.csv",
        "--report",
        "r.html",
        "--json",
    ];
    let report = json(&home.run(&check).expect(10));
    crate::schemas::assert_published("drift-report.schema.json", &report);
    assert_eq!(
        (&report["run"]["verdict"], &report["run"]["columns"][0]["column"]),
        (&json!("DRIFT"), &json!("amount"))
    );
    let page = fs::read_to_string(home.path("r.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("DRIFT") && page.contains("<svg"));
    home.run(&["drift", "profile", "reference.csv", "-o", "r.profile"]).expect(0);
    let profile = serde_json::from_slice(&fs::read(home.path("r.profile")).unwrap()).unwrap();
    crate::schemas::assert_published("drift-profile.schema.json", &profile);
}

#[test]
fn parts_are_profiled_apart_and_merged() {
    let home = Home::new();
    for (name, rows) in [("a.csv", 1_000), ("b.csv", 2_000), ("c.csv", 500)] {
        table(&home, name, rows, 0.0);
        home.run(&["drift", "profile", name, "-o", &name.replace("csv", "profile")]).expect(0);
    }
    let merge = |names: &[&str], out: &str| {
        let done = home.run(&[&["drift", "merge"], names, &["-o", out, "--json"]].concat()).expect(0);
        json(&done)["digest"].clone()
    };
    let parts = ["a.profile", "b.profile", "c.profile"];
    let merged = merge(&parts, "all.profile");
    merge(&parts[..2], "ab.profile");
    assert_eq!(merge(&["ab.profile", "c.profile"], "again.profile"), merged, "in any grouping");
    let check =
        home.run(&["drift", "check", "--reference", "all.profile", "--data", "b.csv", "--json"]).expect(0);
    assert_eq!(json(&check)["reference"]["rows"], 3_500);
    fs::write(home.path("broken.profile"), "{\"format\":\"drift-profile/v1\"}").unwrap();
    home.run(&["drift", "merge", "a.profile", "b.profile"]).expect(0);
    assert!(home.path("merged.profile").exists());
    let statistics =
        ["drift", "check", "--reference", "a.csv", "--data", "b.csv", "--stat", "psi,ks", "--json"];
    assert!(home.run(&statistics).expect(0).stdout.contains("psi"));
    let twice =
        home.run(&["drift", "merge", "a.profile", "b.profile", "a.profile", "-o", "x.profile"]).expect(1);
    assert!(twice.stderr.contains("a.profile is there twice"), "{}", twice.stderr);
    let broken = home.run(&["drift", "merge", "a.profile", "broken.profile", "-o", "x.profile"]).expect(1);
    assert!(
        broken.stderr.contains("[profile_invalid]") && !home.path("x.profile").exists(),
        "{}",
        broken.stderr
    );
}

#[test]
fn mistakes_are_named() {
    let home = Home::new();
    table(&home, "t.csv", 100, 0.0);
    fs::write(home.path("half.parquet"), b"PAR1 and no end").unwrap();
    let check = ["drift", "check", "--reference", "t.csv", "--data"];
    for (more, code, ends) in [
        (&["nowhere.csv"][..], "table_missing", 7),
        (&["x*.csv"], "table_missing", 7),
        (&["half.parquet"], "table_unreadable", 1),
        (&["."], "table_unreadable", 1),
        (&["t.csv", "--columns", "price"], "drift_column", 1),
        (&["t.csv", "--mode", "loose"], "drift_mode", 1),
        (&["t.csv", "--stat", "sps"], "drift_statistic", 1),
        (&["t.csv", "--alpha", "2"], "drift_options", 1),
        (&["t.csv", "--type", "amount=number"], "usage", 2),
        (&["t.csv", "--report", "no/where.html"], "file_unwritable", 1),
    ] {
        let done = home.run(&[&check[..], more].concat()).expect(ends);
        assert!(
            done.stderr.contains(&format!("[{code}]")) && done.stderr.contains("hint:"),
            "{}",
            done.stderr
        );
    }
    home.run(&["drift", "check", "--data", "t.csv"]).expect(2);
}

#[test]
fn a_version_keeps_a_baseline() {
    let home = Home::new();
    table(&home, "train.csv", 3_000, 0.0);
    table(&home, "moved.csv", 2_000, 20.0);
    home.push("prompts/triage-1.prompt.yaml").expect(0);
    let check = |data: &str| home.run(&["drift", "check", "acme/x:1.0.0", "--data", data]);
    let missing = check("train.csv").expect(7);
    assert!(missing.stderr.contains("gradus drift baseline acme/x:1.0.0 --data"), "{}", missing.stderr);
    let attached = home.run(&["drift", "baseline", "acme/x:1.0.0", "--data", "train.csv"]).expect(0);
    assert!(attached.stdout.contains("drift baseline of 3000 rows and 2 columns"), "{}", attached.stdout);
    check("train.csv").expect(0);
    let drift = home.run(&["drift", "check", "acme/x:^1", "--data", "moved.csv", "--json"]).expect(10);
    assert_eq!(json(&drift)["reference"]["inputs"][0]["name"], "baseline of acme/x:1.0.0");
    // The newest counts, and a profile made elsewhere does as well.
    home.run(&["drift", "profile", "moved.csv", "-o", "moved.profile"]).expect(0);
    home.run(&["drift", "baseline", "acme/x:1", "--data", "moved.profile"]).expect(0);
    check("moved.csv").expect(0);
    assert!(home.run(&["eval", "list", "acme/x:1"]).expect(0).stdout.contains("drift baseline of 2000 rows"));
    home.run(&["audit", "verify"]).expect(0);
}

/// A log of a model: every `odd`-th answer breaks the rules.
fn log(home: &Home, name: &str, rows: u64, odd: u64) {
    let row = |row: u64| {
        let category = ["billing", "bug", "access"][(row % 3) as usize];
        let answer = match row % odd {
            0 => json!({ "category": "whatever", "why": "-" }),
            _ => json!({ "category": category }),
        };
        let prompt = format!("ticket {row}: please help with {category}");
        json!({ "prompt": prompt, "completion": answer.to_string(), "latency_ms": 100 + row * 7 % 90 })
            .to_string()
            + "\n"
    };
    fs::write(home.path(name), (0..rows).map(row).collect::<String>()).unwrap();
}

#[test]
fn answers_that_break_a_schema_are_violations() {
    let home = Home::new();
    log(&home, "before.ndjson", 3_000, 100);
    log(&home, "after.ndjson", 2_000, 20);
    let schema = json!({
        "type": "object",
        "properties": { "category": { "enum": ["billing", "bug", "access"] } },
        "required": ["category"],
        "additionalProperties": false,
    });
    fs::write(home.path("schema.json"), schema.to_string()).unwrap();
    let preset = ["--preset", "prompt", "--output-schema", "schema.json"];
    let check = ["drift", "check", "--reference", "before.ndjson", "--data", "after.ndjson", "--json"];
    let report = json(&home.run(&[&check[..], &preset].concat()).expect(10));
    crate::schemas::assert_published("drift-report.schema.json", &report);
    let columns = report["run"]["columns"].as_array().unwrap();
    let broken: Vec<_> = columns.iter().filter(|column| column["concern"] == "violations").collect();
    assert!(broken.iter().any(|column| column["verdict"] == "DRIFT"), "{broken:?}");

    // The same from a profile, which must be of the same signals.
    let profile = ["drift", "profile", "before.ndjson", "-o", "before.profile"];
    home.run(&[&profile[..], &preset].concat()).expect(0);
    let check = ["drift", "check", "--reference", "before.profile", "--data", "after.ndjson"];
    home.run(&[&check[..], &preset].concat()).expect(10);
    let without = home.run(&check).expect(1);
    assert!(without.stderr.contains("[drift_preset]"), "{}", without.stderr);
}

#[test]
fn labels_that_come_later_tell_how_good_answers_are() {
    let home = Home::new();
    let answers = |name: &str, rows: u64, wrong: u64, with_labels: bool| {
        let (mut data, mut labels) = (String::from("id,said,p"), String::from("id,is\n"));
        data += if with_labels { ",is\n" } else { "\n" };
        for row in 0..rows {
            let is = u64::from(row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1);
            let said = if row % wrong == 0 { 1 - is } else { is };
            let p = if said == 1 { 0.9 } else { 0.1 };
            data += &format!("{row},{said},{p}");
            data += &if with_labels { format!(",{is}\n") } else { "\n".to_owned() };
            labels += &format!("{row},{is}\n");
        }
        fs::write(home.path(&format!("{name}.csv")), data).unwrap();
        fs::write(home.path(&format!("{name}-labels.csv")), labels).unwrap();
    };
    answers("before", 4_000, 10, true);
    answers("after", 2_000, 5, false);
    let asked = ["--target", "is", "--prediction", "said", "--probability", "p", "--id", "id"];
    let check = ["drift", "check", "--reference", "before.csv", "--data", "after.csv", "--json"];
    let report =
        json(&home.run(&[&check[..], &asked, &["--labels", "after-labels.csv"]].concat()).expect(10));
    crate::schemas::assert_published("drift-report.schema.json", &report);
    let columns = report["run"]["columns"].as_array().unwrap();
    let drifted = columns.iter().filter(|column| column["verdict"] == "DRIFT");
    let drifted: Vec<_> =
        drifted.map(|column| (column["column"].as_str().unwrap(), column["concern"].as_str())).collect();
    assert!(drifted.contains(&("performance: accuracy", Some("performance"))), "{drifted:?}");
    let early = json(&home.run(&[&check[..], &asked].concat()).expect(0));
    assert!(early["performance"]["estimate"].is_object(), "{}", early["performance"]);
}

#[test]
fn a_monitor_of_a_directory_runs_when_it_is_asked_to() {
    let home = Home::new();
    table(&home, "train.csv", 3_000, 0.0);
    table(&home, "now.csv", 2_000, 20.0);
    home.push("prompts/employment-1.prompt.yaml").expect(0);
    home.run(&["promote", "acme/x:1.0.0", "--to", "production"]).expect(0);
    home.run(&["drift", "baseline", "acme/x:1.0.0", "--data", "train.csv"]).expect(0);
    let place = home.path("*ow.csv").display().to_string();
    let add =
        ["drift", "monitor", "add", "hourly", "--every", "0 * * * *", "--window", "1h", "--source", &place];
    let wrong = home.run(&[&add[..], &["--on", "acme/x:1.0.0"]].concat()).expect(1);
    assert!(wrong.stderr.contains("[monitor_stage]"), "{}", wrong.stderr);
    let added = home.run(&[&add[..], &["--on", "acme/x:production"]].concat()).expect(0);
    assert!(added.stdout.contains("acme/x/hourly watches acme/x:production"), "{}", added.stdout);
    assert!(home.run(&["drift", "monitor", "list", "acme/x"]).expect(0).stdout.contains("hourly"));
    assert!(home.run(&["drift", "report", "acme/x/hourly"]).expect(7).stderr.contains("[run_unknown]"));
    let ran = home.run(&["drift", "run-now", "acme/x/hourly"]).expect(10);
    assert!(ran.stdout.contains("DRIFT") && ran.stdout.contains("drift begins"), "{}", ran.stdout);
    home.run(&["drift", "run-now", "acme/x/hourly"]).expect(10);
    assert!(home.run(&["drift", "runs", "acme/x/hourly"]).expect(0).stdout.contains("drift lasts"));
    let report = home.run(&["drift", "report", "acme/x/hourly", "-o", "r.html"]).expect(0);
    assert!(report.stdout.starts_with("DRIFT"), "{}", report.stdout);
    let page = fs::read_to_string(home.path("r.html")).unwrap();
    assert!(page.contains("Past runs") && page.contains("amount"));
    let mute = ["drift", "mute", "acme/x/hourly", "--for", "3d", "-m", "a campaign"];
    assert!(home.run(&mute).expect(0).stderr.contains("tells nobody until"));
    assert!(home.run(&["drift", "monitor", "show", "acme/x/hourly"]).expect(0).stdout.contains("a campaign"));
    home.run(&["drift", "mute", "acme/x/hourly", "--off"]).expect(0);
    let past = [
        "drift",
        "backfill",
        "acme/x/hourly",
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-01-01T03:00:00Z",
    ];
    let past = home.run(&past).expect(10);
    assert_eq!(past.stdout.matches("DRIFT").count(), 3, "{}", past.stdout);
    let arm = home.run(&["drift", "monitor", "arm", "acme/x/hourly"]).expect(5);
    assert!(arm.stderr.contains("[monitor_arm]"), "{}", arm.stderr);
    home.run(&["drift", "monitor", "rm", "acme/x/hourly"]).expect(0);
    home.run(&["drift", "run-now", "acme/x/hourly"]).expect(7);
}

#[test]
fn a_day_stands_in_names_of_files() {
    let home = Home::new();
    for day in ["2026-11-01", "2026-11-02", "2026-11-03"] {
        fs::create_dir_all(home.path(&format!("logs/dt={day}"))).unwrap();
        table(&home, &format!("logs/dt={day}/part.csv"), 2_000, if day.ends_with('3') { 30.0 } else { 0.0 });
    }
    let check = |more: &[&str]| {
        let files = "logs/dt={date}/*.csv";
        let mut words = vec!["drift", "check", "--reference", files, "--data", files];
        words.extend(more);
        home.run(&words)
    };
    let days = ["--date", "2026-11-03", "--reference-date", "2026-11-01..2026-11-02"];
    assert!(check(&days).expect(10).stdout.contains("reference 4000 rows, current 2000 rows"));
    check(&["--date", "2026-11-02", "--reference-date", "2026-11-01"]).expect(0);
    assert!(check(&[]).expect(1).stderr.contains("drift_date"));
    let before = ["--reference-date", "2026-11-01"];
    assert!(
        check(&[&before[..], &["--date", "2026-11-04"]].concat()).stderr.contains("2026-11-04"),
        "a day that is not there"
    );
    check(&[&before[..], &["--date", "2026-11-02..2026-11-09"]].concat()).expect(10);
    assert!(check(&["--date", "2026-11-02"]).expect(1).stderr.contains("compared with itself"));
    let whole =
        ["drift", "check", "--reference", "logs/*/*.csv", "--data", "logs/*/*.csv", "--date", "2026-11-02"];
    assert!(home.run(&whole).expect(1).stderr.contains("drift_date"));
}

#[test]
fn columns_that_are_not_to_be_told_are_nowhere() {
    let home = Home::new();
    table(&home, "reference.csv", 3_000, 0.0);
    table(&home, "same.csv", 2_000, 0.0);
    let files = ["drift", "check", "--reference", "reference.csv", "--data", "same.csv"];
    let report = home.run(&[&files[..], &["--sensitive", "region", "--json"]].concat()).expect(0).stdout;
    assert!(report.contains("region:hashed") && !report.contains("north"), "{report}");
    let profile = ["drift", "profile", "reference.csv", "-o", "r.profile", "--sensitive", "region"];
    assert!(home.run(&profile).stderr.contains("drift_key"));
    fs::write(home.path("key"), "5e".repeat(32)).unwrap();
    home.run(&[&profile[..], &["--sensitive-key", "key"]].concat()).expect(0);
    fs::write(home.path("other"), "5f".repeat(31)).unwrap();
    let unusable = home.run(&[&profile[..], &["--sensitive-key", "other"]].concat());
    assert!(unusable.stderr.contains("64 hexadecimal digits") && !unusable.stderr.contains("5f5f"));
    // A profile that only remembers a name has no hashes to compare with.
    let remembers = [
        "drift",
        "profile",
        "reference.csv",
        "-o",
        "m.profile",
        "--sensitive",
        "region",
        "--ignore",
        "region",
    ];
    home.run(&[&remembers[..], &["--sensitive-key", "key"]].concat()).expect(0);
    home.run(&["drift", "check", "--reference", "m.profile", "--data", "same.csv", "--ignore", "region"])
        .expect(0);
    let by_profile = ["drift", "check", "--reference", "r.profile", "--data", "same.csv", "--json"];
    assert!(home.run(&by_profile).stderr.contains("drift_key"));
    let report = home.run(&[&by_profile[..], &["--sensitive-key", "key"]].concat()).expect(0).stdout;
    assert!(report.contains("region:hashed") && !report.contains("north"), "{report}");
}
