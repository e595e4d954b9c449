//! Checks of files.

mod sensitive;
mod signals;

use super::*;
use crate::drift::compare::{Options, Verdict};
use crate::drift::profile::Kind;
use crate::error::Result;
use crate::tables::{Input as File, LocalFile};
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn text(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A table whose amounts are moved, with so many rows and rows from another region.
    fn table(&self, name: &str, rows: u64, moved: f64, from_abroad: u64) -> PathBuf {
        let row = |row: u64| {
            let random = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            let region = ["north", "south", "west"][(random % 3) as usize];
            let region = if row % 100 < from_abroad { "abroad" } else { region };
            let amount = (random % 1_000) as f64 / 10.0 + moved;
            format!("{amount},{region},ticket number {random}\n")
        };
        self.text(name, &(String::from("amount,region,note\n") + &(0..rows).map(row).collect::<String>()))
    }
}

fn open(path: &Path) -> Result<Source> {
    let file: Arc<dyn File> = Arc::new(LocalFile::open(path).unwrap());
    Source::open(vec![file], None, 2)
}

fn checked(reference: &Path, current: &Path, request: &Request) -> Result<Report> {
    check(&open(reference)?, &open(current)?, None, request)
}

fn verdicts(report: &Report) -> Vec<(&str, Verdict)> {
    report.run.columns.iter().map(|finding| (finding.column.as_str(), finding.verdict)).collect()
}

#[test]
fn what_drifted_comes_first() {
    let files = Files::new();
    let (reference, same) = (files.table("r.csv", 5_000, 0.0, 0), files.table("s.csv", 4_000, 0.0, 0));
    let report = checked(&reference, &same, &Request::default()).unwrap();
    assert_eq!(report.run.verdict, Verdict::Ok, "{}", report.run.reason);
    let moved = files.table("m.csv", 4_000, 12.0, 3);
    let report = checked(&reference, &moved, &Request::default()).unwrap();
    assert_eq!(verdicts(&report)[2], ("note", Verdict::Ok));
    assert!(verdicts(&report)[..2].iter().all(|(_, verdict)| *verdict == Verdict::Drift));
    assert_eq!((report.reference.rows, report.current.rows, report.current.exact), (5_000, 4_000, true));
    assert_eq!(report.current.inputs[0].sha256.len(), 64);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}

#[test]
fn a_report_does_not_depend_on_the_number_of_threads() {
    let files = Files::new();
    let (reference, current) = (files.table("r.csv", 3_000, 0.0, 0), files.table("c.csv", 3_000, 1.0, 1));
    let on = |threads| checked(&reference, &current, &Request { threads, ..Request::default() }).unwrap();
    assert!(on(1) == on(2) && on(2) == on(7));
}

#[test]
fn a_profile_stands_for_its_table() {
    let files = Files::new();
    let (reference, current) = (files.table("r.csv", 5_000, 0.0, 0), files.table("c.csv", 4_000, 12.0, 3));
    let profile = profile(&open(&reference).unwrap(), None, &Request::default()).unwrap();
    let kept = files.text("r.profile", &String::from_utf8(profile.to_bytes().unwrap()).unwrap());
    let of_table = checked(&reference, &current, &Request::default()).unwrap();
    let of_profile = checked(&kept, &current, &Request::default()).unwrap();
    assert!(of_profile.reference.profile && of_profile.reference.exact);
    assert_eq!(of_profile.run, of_table.run, "as long as it is exact");
    let broken = files.text("b.profile", "{\"format\":\"drift-profile/v1\"}");
    assert_eq!(checked(&broken, &current, &Request::default()).unwrap_err().code, "profile_invalid");
}

#[test]
fn columns_are_chosen_and_told_apart() {
    let files = Files::new();
    let (a, b) =
        (files.text("a.csv", "x,y,id\n1,2,3\n4,5,6\n"), files.text("b.csv", "x,z,x\n1,2,3\n4,5,6\n"));
    let report = checked(&a, &b, &Request::default()).unwrap();
    let reasons: Vec<_> = report.run.columns.iter().map(|f| (f.column.as_str(), f.reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            ("id", "The current data has no such column."),
            ("x", "A side has two columns of this name."),
            ("y", "The current data has no such column."),
            ("z", "The reference has no such column."),
        ]
    );
    assert_eq!(report.run.verdict, Verdict::Invalid);
    let only = Request { only: ["z".to_owned()].into(), ..Request::default() };
    assert_eq!(verdicts(&checked(&a, &b, &only).unwrap()), [("z", Verdict::Invalid)]);
    let ignored = Request { ignored: ["nowhere".to_owned()].into(), ..Request::default() };
    assert_eq!(checked(&a, &b, &ignored).unwrap_err().code, "drift_column");
}

#[test]
fn kinds_come_from_the_reference_or_from_whoever_asks() {
    let files = Files::new();
    let numbers: String = (0..300).map(|row| format!("{row}\n")).collect();
    let words: String = (0..300).map(|row| format!("word {row}\n")).collect();
    let (a, b) = (files.text("a.csv", &format!("x\n{numbers}")), files.text("b.csv", &format!("x\n{words}")));
    let report = checked(&a, &b, &Request::default()).unwrap();
    assert_eq!((report.run.columns[0].kind, report.run.verdict), (Kind::Numeric, Verdict::Drift));
    assert_eq!(report.run.columns[0].current.as_ref().unwrap().failed, 300);
    let request = Request { kinds: [("x".to_owned(), Kind::Text)].into(), ..Request::default() };
    assert_eq!(checked(&a, &b, &request).unwrap().run.columns[0].kind, Kind::Text);
}

#[test]
fn other_rules_and_statistics_can_be_asked_for() {
    let files = Files::new();
    let (a, b) = (files.table("a.csv", 1_500, 0.0, 0), files.table("b.csv", 1_500, 60.0, 0));
    let rules =
        |mode: &str, statistic: &str| Request::rules(mode, &[statistic.to_owned()], Options::default());
    let request = |rules| Request { rules, ..Request::default() };
    let psi = checked(&a, &b, &request(rules("compat:evidently@0.7", "psi").unwrap())).unwrap();
    let amount = psi.run.columns.iter().find(|finding| finding.column == "amount").unwrap();
    assert_eq!((amount.tests[0].statistic.as_str(), amount.verdict), ("psi", Verdict::Drift));
    let described = checked(&a, &b, &request(rules("sound", "psi").unwrap())).unwrap();
    let tests: Vec<_> = described.run.columns.iter().flat_map(|finding| &finding.tests).collect();
    assert!(tests.iter().any(|test| test.statistic == "psi_of_bins" && test.verdict.is_none()));
    assert!(tests.iter().any(|test| test.statistic == "psi_of_categories"));
    for (mode, statistic, code) in [
        ("sound", "mannw", "drift_statistic"),
        ("compat:evidently@0.7", "l_infinity", "drift_statistic"),
        ("compat:evidently@0.5", "psi", "drift_mode"),
    ] {
        assert_eq!(rules(mode, statistic).unwrap_err().code, code);
    }
}

#[test]
fn a_calibration_tells_false_alarms_and_what_is_found() {
    let files = Files::new();
    let source = open(&files.table("r.csv", 2_000, 0.0, 10)).unwrap();
    let windows = |rows, count| Windows { rows, against: None, count, runs_per_month: 30.0, details: true };
    let ignored = Request { ignored: ["note".to_owned()].into(), ..Request::default() };
    let told = calibrate(&source, &ignored, windows(500, 30)).unwrap();
    assert!(told.false_alarms <= 0.07 && told.interval[1] < 0.2, "{told:?}");
    let [amount, region] = &told.columns[..] else { panic!() };
    let found = |column: &ColumnCalibration| {
        column.found.iter().map(|found| found.smallest.unwrap()).collect::<Vec<_>>()
    };
    let [shift, scale, lost] = found(amount)[..] else { panic!("{amount:?}") };
    assert!((0.05..0.4).contains(&shift), "{shift}");
    // Of even amounts some 2 % are out of range by then.
    assert!((1.01..2.5).contains(&scale), "{scale}");
    assert!((0.002..0.1).contains(&lost), "{lost}");
    let [moved, lost] = found(region)[..] else { panic!("{region:?}") };
    assert!((0.02..0.2).contains(&moved) && (0.002..0.1).contains(&lost));
    for null in told.columns.iter().flat_map(|column| &column.nulls) {
        assert!(null.median <= null.p95 && null.p95 <= null.p99 && null.windows == 30, "{null:?}");
        assert!(null.p99 < 3.0 * null.floor && null.significant < 0.3, "{null:?}");
    }
    assert!(
        amount.nulls.iter().any(|null| null.effect == "D")
            && region.nulls.iter().any(|null| null.effect == "Cramér's V")
    );
    let fewer = Windows { against: Some(500), ..windows(500, 30) };
    let few = calibrate(&source, &ignored, fewer).unwrap();
    assert_eq!(few.against_rows, 500);
    let brief = Windows { details: false, ..fewer };
    let one = Request { threads: 1, ..ignored.clone() };
    let [alone, together] = [&one, &ignored].map(|request| calibrate(&source, request, brief).unwrap());
    assert_eq!(alone, together, "the same on any number of threads");
    assert!(alone.columns.iter().all(|column| column.found.is_empty() && column.nulls.is_empty()));
    assert_eq!(alone.false_alarms, few.false_alarms);
    let median =
        |told: &Calibration| told.columns[0].nulls.iter().find(|null| null.effect == "D").unwrap().median;
    assert!(median(&few) > median(&told), "fewer rows to compare with differ by more");
    for (rows, count) in [(1_500, 60), (0, 60), (100, 5)] {
        let code = calibrate(&source, &ignored, windows(rows, count)).unwrap_err().code;
        assert_eq!(code, "calibration_windows");
    }
}

#[test]
fn nothing_to_compare_is_a_verdict() {
    let files = Files::new();
    let (a, empty) = (files.table("a.csv", 500, 0.0, 0), files.text("e.csv", ""));
    for (reference, current) in [(&a, &empty), (&empty, &a), (&empty, &empty)] {
        assert_eq!(checked(reference, current, &Request::default()).unwrap().run.verdict, Verdict::NoData);
    }
}
