//! A watch for drift as somebody types it, from a baseline to a monitor that is muted, on Parquet files by the day.

use crate::harness::{home::Home, server::Done};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use chrono::{Days, Utc};
use std::{fs, path::Path, sync::Arc};

const W: &str = "acme/ticket-triage";

fn parquet(path: &Path, seed: u64, moved: f64) {
    let random = |row: u64| (seed * 10_000 + row).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let x: ArrayRef =
        Arc::new((0..2_000).map(|row| (random(row) % 1_000) as f64 / 10.0 + moved).collect::<Float64Array>());
    let team = (0..2_000).map(|row| Some(["north", "south", "west"][(random(row) % 3) as usize]));
    let team: ArrayRef = Arc::new(team.collect::<StringArray>());
    let batch = RecordBatch::try_from_iter([("x", x), ("team", team)]).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Runs a line as it is written, words within quotes together.
fn typed(home: &Home, line: &str) -> Done {
    let mut words: Vec<String> = vec![];
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    home.run(&words)
}

#[test]
fn from_a_baseline_to_a_monitor_that_is_muted() {
    let home = Home::new();
    let run = |text: &str| typed(&home, text).expect(0).stdout;
    let drifts = |text: &str| typed(&home, text).expect(10).stdout;
    parquet(&home.path("train.parquet"), 1, 0.0);
    parquet(&home.path("week.parquet"), 2, 12.0);
    let today = Utc::now().date_naive();
    // Each day of a week back, and today, should midnight pass meanwhile.
    for back in 0..=9 {
        let day = today - Days::new(back);
        parquet(
            &home.path(&format!("logs/dt={day}/part.parquet")),
            10 + back,
            if back < 2 { 12.0 } else { 0.0 },
        );
    }
    let example = crate::harness::files::example("prompts/employment-1.prompt.yaml");
    let example = example.display();
    for version in ["1.0.0", "2.0.0"] {
        run(&format!("push '{example}' --to {W} --version {version}"));
        run(&format!("promote {W}:{version} --to production"));
    }

    run(&format!("drift baseline {W}:2.0.0 --data train.parquet"));
    drifts(&format!("drift check {W}:production --data week.parquet --report out.html"));
    assert!(fs::read_to_string(home.path("out.html")).unwrap().contains("<svg"));
    fs::write(home.path("ref.csv"), "x\n1\n2\n3\n".repeat(400)).unwrap();
    fs::write(home.path("cur.csv"), "x\n2\n3\n4\n".repeat(400)).unwrap();
    for (mode, statistics) in
        [("sound", "psi,ks"), ("compat:evidently@0.7", "psi,ks"), ("compat:evidently@0.7", "wasserstein")]
    {
        let check = format!(
            "drift check --reference ref.csv --data cur.csv --mode {mode} --stat {statistics} --type x=num --json"
        );
        let told: serde_json::Value = serde_json::from_str(&drifts(&check)).unwrap();
        assert_eq!(told["run"]["columns"][0]["column"], "x");
    }

    let monitor = |name: &str, reference: &str, on_drift: &str| {
        let source = home.path("logs/dt={date}/*.parquet").display().to_string();
        run(&format!(
            "drift monitor add {name} --on {W}:production --every '0 6 * * *' --tz Europe/Berlin \
             --source '{source}' --window 1d --reference {reference} --on-drift {on_drift}"
        ));
    };
    monitor("nightly", "baseline", "rollback");
    monitor("weekly", "trailing:7d", "notify");
    monitor("phase", "same-phase:1w", "block");
    let refused = format!(
        "drift monitor add back --on {W}:production --every '0 6 * * *' --source 'logs/{{date}}' --reference trailing:7d --on-drift rollback"
    );
    assert!(typed(&home, &refused).expect(1).stderr.contains("[monitor_rollback]"));

    run("drift profile logs/dt=*/part.parquet -o p1.profile --columns x");
    run("drift profile train.parquet -o p2.profile --columns x");
    run("drift merge p1.profile p2.profile -o all.profile");
    run(&format!(
        "drift monitor add sent --on {W}:production --every '0 6 * * *' --source pushed --reference baseline --columns x"
    ));
    run("drift profile week.parquet -o week.profile");
    drifts(&format!("drift push {W}/sent week.profile"));

    for name in ["nightly", "weekly", "phase"] {
        let ran = drifts(&format!("drift run-now {W}/{name}"));
        assert!(ran.contains("DRIFT"), "{ran}");
        assert!(run(&format!("drift runs {W}/{name}")).contains("DRIFT"));
        assert!(run(&format!("drift report {W}/{name} -o {name}.html")).starts_with("DRIFT"));
    }
    // That the input differs moves no stage unless somebody says so; nor do data of days before the version was there.
    assert!(run(&format!("resolve {W}:production")).contains("2.0.0"));
    let told = run(&format!("drift calibrate {W}:production --rows 500 --windows 60"));
    for words in ["false alarms expected in a month", "standard deviations away", "D ", "Cramér's V"] {
        assert!(told.contains(words), "{words} of {told}");
    }
    // Of numbers nothing can be told as of categories.
    assert!(
        typed(&home, "drift calibrate --reference week.parquet --rows 500 --bins team=0,1")
            .expect(1)
            .stderr
            .contains("[calibration_column]")
    );
    run(&format!("drift mute {W}/nightly --for 3d -m 'a known change'"));
    run("audit verify");
}

#[test]
fn alpha_can_be_set_by_false_pages_for_what_is_compared_with_days_before() {
    let home = Home::new();
    parquet(&home.path("train.parquet"), 1, 0.0);
    home.push("prompts/employment-1.prompt.yaml").expect(0);
    home.run(&["promote", "acme/x:1.0.0", "--to", "production"]).expect(0);
    let add = |reference: &str, rows: u64| {
        let words = format!(
            "drift monitor add m{rows} --on acme/x:production --every '0 6 * * *' --source '/logs/{{date}}.csv' \
             --reference {reference} --one-false-page-a-quarter {rows} --json"
        );
        typed(&home, &words)
    };
    let missing = add("trailing:3d", 200).expect(7);
    assert!(missing.stderr.contains("drift_baseline_missing"), "{}", missing.stderr);
    home.run(&["drift", "baseline", "acme/x:1.0.0", "--data", "train.parquet"]).expect(0);
    let view: serde_json::Value = serde_json::from_str(&add("trailing:3d", 200).expect(0).stdout).unwrap();
    let alpha = view["spec"]["options"]["alpha"].as_f64().unwrap();
    assert!(alpha > 0.0 && alpha < 0.5, "{view}");
    // Of 2,000 rows a window of 600 leaves fewer than three times as many, which will do; one of 1,200 leaves too few.
    add("trailing:3d", 600).expect(0);
    let few = add("trailing:3d", 1_200).expect(1);
    assert!(few.stderr.contains("calibration_windows"), "{}", few.stderr);
}

#[test]
fn columns_are_compared_by_bins_that_are_fixed() {
    let home = Home::new();
    let table = |name: &str, moved: f64| {
        let rows = (0..3_000).map(|row| format!("{}\n", f64::from(row) * 0.03 + moved));
        fs::write(home.path(name), String::from("age\n") + &rows.collect::<String>()).unwrap();
    };
    table("r.csv", 0.0);
    table("c.csv", 9.0);
    let bins = ["--bins", "age=0,18,65"];
    let check = ["drift", "check", "--reference", "r.csv", "--data", "c.csv", "--stat", "psi", "--json"];
    let report: serde_json::Value =
        serde_json::from_str(&home.run(&[&check[..], &bins].concat()).expect(10).stdout).unwrap();
    crate::schemas::assert_published("drift-report.schema.json", &report);
    let column = &report["run"]["columns"][0];
    assert_eq!(column["bins"].as_array().unwrap().len(), 4, "{column}");
    assert_eq!(column["bins"][1]["label"], "0.0 to < 18.0");
    let statistics: Vec<_> =
        column["tests"].as_array().unwrap().iter().map(|test| test["statistic"].as_str().unwrap()).collect();
    assert!(
        statistics.contains(&"chi_square_of_fixed_bins") && statistics.contains(&"psi_of_bins"),
        "{statistics:?}"
    );

    // A profile has to be counted in them, too, unless it keeps all numbers.
    home.run(&[&["drift", "profile", "r.csv", "-o", "r.profile"][..], &bins].concat()).expect(0);
    let profile: serde_json::Value =
        serde_json::from_slice(&fs::read(home.path("r.profile")).unwrap()).unwrap();
    crate::schemas::assert_published("drift-profile.schema.json", &profile);
    assert!(profile.to_string().contains("\"edges\":[0,18,65]"), "{profile}");
    let by_profile = ["drift", "check", "--reference", "r.profile", "--data", "c.csv"];
    home.run(&[&by_profile[..], &bins].concat()).expect(10);
    home.push("prompts/employment-1.prompt.yaml").expect(0);
    let baseline = ["drift", "baseline", "acme/x:1.0.0", "--data", "r.profile"];
    home.run(&[&baseline[..], &bins].concat()).expect(0);
    let many: String = (0..70_000).map(|row| format!("{row}\n")).collect();
    fs::write(home.path("many.csv"), format!("age\n{many}")).unwrap();
    home.run(&["drift", "profile", "many.csv", "-o", "many.profile"]).expect(0);
    let baseline = ["drift", "baseline", "acme/x:1.0.0", "--data", "many.profile"];
    let other = home.run(&[&baseline[..], &["--bins", "age=0,50"]].concat()).expect(1);
    assert!(
        other.stderr.contains("[drift_bins]") && other.stderr.contains("--bins 'age=0.0,50.0'"),
        "{}",
        other.stderr
    );

    for (more, code, ends) in [
        (&["--bins", "age"][..], "usage", 2),
        (&["--bins", "age=1"], "usage", 2),
        (&["--bins", "age=3,2"], "usage", 2),
        (&["--bins", "age=0,x"], "usage", 2),
        (&["--bins", "age=0,NaN"], "usage", 2),
        (&["--bins", "price=0,1"], "drift_column", 1),
        (&["--bins", "age=0,1", "--bins", "age=0,2"], "drift_options", 1),
        (&["--bins", "age=0,1", "--mode", "compat:evidently@0.7"], "drift_options", 1),
    ] {
        let done = home.run(&[&check[..check.len() - 3], more].concat()).expect(ends);
        assert!(done.stderr.contains(&format!("[{code}]")), "{more:?}: {}", done.stderr);
    }
    // Whoever fixes bins says that there are numbers, however few different ones; nothing at all is to be told, too.
    fs::write(home.path("few.csv"), "age\n7\n".to_owned() + &"8\n".repeat(900)).unwrap();
    fs::write(home.path("none.csv"), "age\n".to_owned() + &"\"\"\n".repeat(900)).unwrap();
    let few =
        home.run(&[&["drift", "check", "--reference", "r.csv", "--data", "few.csv"][..], &bins].concat());
    assert!(few.expect(10).stdout.contains("DRIFT"));
    home.run(&[&["drift", "profile", "none.csv", "-o", "none.profile"][..], &bins].concat()).expect(0);
    for left in [["--ignore", "age"], ["--sensitive", "age"], ["--type", "age=text"]] {
        let done = home.run(&[&check[..check.len() - 3], &bins, &left].concat()).expect(1);
        assert!(done.stderr.contains("[drift_bins]"), "{left:?}: {}", done.stderr);
    }
    let text = ["drift", "profile", "r.csv", "-o", "x.profile", "--type", "age=text"];
    assert!(home.run(&[&text[..], &bins].concat()).expect(1).stderr.contains("[drift_bins]"));
}
