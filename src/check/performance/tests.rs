//! Performance of files.

use super::super::{Report, Request, Source, check, html, profile};
use super::*;
use crate::tables::{Input, LocalFile};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn source(&self, name: &str, text: &str) -> Source {
        open(&self.write(name, text), 2)
    }
}

fn open(path: &std::path::Path, threads: usize) -> Source {
    let file: Arc<dyn Input> = Arc::new(LocalFile::open(path).unwrap());
    Source::open(vec![file], None, threads).map_err(|error| error.message).unwrap()
}

/// One row: an id, a label, a prediction and its probability.
struct Row {
    id: u64,
    truth: bool,
    said: bool,
    score: f64,
}

/// Rows whose probabilities are right, but for this share of rows, of which the contrary comes true.
fn rows(first: u64, count: u64, wrong: f64) -> impl Iterator<Item = Row> {
    (first..first + count).map(move |id| {
        let draw = |step: u64| {
            (id.wrapping_mul(step).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as f64 / 2_f64.powi(32)
        };
        let score = (draw(3) * 1000.0).round() / 1000.0;
        let truth = (draw(5) < score) ^ (draw(7) < wrong);
        Row { id, truth, said: score >= 0.5, score }
    })
}

fn csv(head: &str, rows: impl Iterator<Item = Row>, line: impl Fn(&Row) -> String) -> String {
    let mut text = format!("{head}\n");
    rows.for_each(|row| writeln!(text, "{}", line(&row)).unwrap());
    text
}

fn digit(is: bool) -> u8 {
    u8::from(is)
}

fn labelled(rows: impl Iterator<Item = Row>) -> String {
    csv("id,y,said,p", rows, |row| {
        format!("{},{},{},{}", row.id, digit(row.truth), digit(row.said), row.score)
    })
}

fn answered(rows: impl Iterator<Item = Row>) -> String {
    csv("id,said,p", rows, |row| format!("{},{},{}", row.id, digit(row.said), row.score))
}

fn asked() -> Performance {
    Performance {
        task: None,
        target: "y".to_owned(),
        prediction: "said".to_owned(),
        probability: Some(Probability::One("p".to_owned())),
        positive: None,
        id: Some("id".to_owned()),
    }
}

fn request(performance: Performance) -> Request {
    Request { performance: Some(performance), threads: 2, ..Request::default() }
}

fn verdict(report: &Report, name: &str) -> Option<Verdict> {
    report.run.columns.iter().find(|finding| finding.column == name).map(|finding| finding.verdict)
}

fn checked(reference: &Source, current: &Source, labels: Option<&Source>) -> Report {
    check(reference, current, labels, &request(asked())).unwrap()
}

#[test]
fn labels_that_come_later_find_their_rows() {
    let files = Files::new();
    let reference = files.source("r.csv", &labelled(rows(0, 4_000, 0.0)));
    let current = files.source("c.csv", &answered(rows(4_000, 3_000, 0.25)));
    // Without labels: what can be said is no drift, and not invalid.
    let before = checked(&reference, &current, None);
    assert_eq!(verdict(&before, "performance"), Some(Verdict::NoData));
    assert_eq!(before.run.verdict, Verdict::Ok, "{}", before.run.reason);
    assert_eq!((verdict(&before, "y"), verdict(&before, "id")), (None, None));
    let section = before.performance.as_ref().unwrap();
    assert_eq!((section.current.labelled, section.reference.labelled_share), (0, 1.0));
    assert!(section.estimate.is_some());
    // Labels of other types, in another order, some missing, of other rows, twice and contradictory.
    let late = rows(4_000, 2_400, 0.25).filter(|row| row.id != 4_001);
    let mut labels = String::new();
    for row in late.collect::<Vec<_>>().into_iter().rev() {
        writeln!(labels, "{{\"y\": {}.0, \"id\": \"{}\"}}", digit(row.truth), row.id).unwrap();
    }
    labels += "{\"y\": 1, \"id\": 4001}\n{\"y\": 0, \"id\": 4001}\n{\"y\": true, \"id\": 4001}\n";
    labels += "{\"y\": 1, \"id\": 99999}\n{\"y\": 1, \"id\": 99999}\n{\"id\": 6999}\n";
    let labels = files.source("l.ndjson", &labels);
    let after = checked(&reference, &current, Some(&labels));
    assert_eq!(verdict(&after, "performance: accuracy"), Some(Verdict::Drift));
    assert_eq!(after.run.drifted_concerns(), [crate::drift::compare::Concern::Performance].into());
    let section = after.performance.unwrap();
    assert_eq!(section.current.labelled, 2_399);
    let told = section.labels.unwrap();
    assert_eq!(
        (told.rows, told.repeated, told.contradictory, told.unmatched, told.rows_of_one_id),
        (2_405, 3, 1, 1, 0)
    );
    // As if the labels had been there from the start.
    let own = rows(4_000, 2_400, 0.25).filter(|row| row.id != 4_001);
    let own = checked(&reference, &files.source("o.csv", &labelled(own)), None);
    let accuracy = |section: &PerformanceReport| section.metrics[0].current;
    assert_eq!(section.metrics[0].current, accuracy(&own.performance.unwrap()));
}

#[test]
fn labels_that_fit_no_row_are_invalid_and_no_labels_are_none() {
    let files = Files::new();
    let reference = files.source("r.csv", &labelled(rows(0, 1_000, 0.0)));
    let current = files.source("c.csv", &answered(rows(1_000, 1_000, 0.0)));
    let others = files.source("l.csv", "id,y\nx,1\ny,0\n");
    let report = checked(&reference, &current, Some(&others));
    assert_eq!(verdict(&report, "performance: labels"), Some(Verdict::Invalid));
    for (name, text) in [("e.csv", ""), ("h.csv", "id,y\n"), ("m.csv", "id,y\n1000,\n")] {
        let report = checked(&reference, &current, Some(&files.source(name, text)));
        assert_eq!(verdict(&report, "performance"), Some(Verdict::NoData), "{name}");
        assert_eq!(verdict(&report, "performance: labels"), None, "{name}");
    }
    let code = |labels: &Source, asked: Performance| {
        check(&reference, &current, Some(labels), &request(asked)).unwrap_err().code
    };
    assert_eq!(code(&others, Performance { id: None, ..asked() }), "labels_id");
    assert_eq!(code(&files.source("n.csv", "id,z\n1,1\n"), asked()), "labels_column");
}

#[test]
fn ids_that_rows_share_are_counted() {
    let files = Files::new();
    let reference = files.source("r.csv", &labelled(rows(0, 500, 0.0)));
    let twice = answered(rows(0, 300, 0.0).chain(rows(0, 100, 0.0)));
    let labels = csv("id,y", rows(0, 300, 0.0), |row| format!("{},{}", row.id, digit(row.truth)));
    let report = checked(&reference, &files.source("c.csv", &twice), Some(&files.source("l.csv", &labels)));
    let section = report.performance.unwrap();
    assert_eq!((section.labels.unwrap().rows_of_one_id, section.current.labelled), (100, 400));
}

/// Of formats with types, where what is empty is a text, too.
#[test]
fn rows_without_an_id_get_no_label() {
    let files = Files::new();
    let reference = files.source("r.csv", &labelled(rows(0, 500, 0.0)));
    let mut current = String::new();
    for (index, row) in rows(0, 300, 0.0).enumerate() {
        let id = ["\"\"".to_owned(), "\" \"".to_owned(), "\"NaN\"".to_owned(), row.id.to_string()];
        let (id, said) = (&id[index.min(3)], digit(row.said));
        writeln!(current, "{{\"id\": {id}, \"said\": {said}, \"p\": {}}}", row.score).unwrap();
    }
    current += "{\"said\": 1, \"p\": 0.9}\n";
    let mut labels =
        "{\"id\": \"\", \"y\": 1}\n{\"id\": \"  \", \"y\": 1}\n{\"id\": \"NaN\", \"y\": 0}\n".to_owned();
    rows(3, 297, 0.0)
        .for_each(|row| writeln!(labels, "{{\"id\": {}, \"y\": {}}}", row.id, digit(row.truth)).unwrap());
    let [current, labels] =
        [("c.ndjson", current), ("l.ndjson", labels)].map(|(n, text)| files.source(n, &text));
    let report = checked(&reference, &current, Some(&labels));
    let page = html::page(&report, "A check", &[]).unwrap();
    assert!(page.contains("300 labels came from elsewhere: 3 without an id, 4 rows without an id."));
    let section = report.performance.unwrap();
    let told = section.labels.unwrap();
    assert_eq!((section.current.rows, section.current.labelled), (301, 297));
    assert_eq!((told.rows, told.without_id, told.rows_without_id), (300, 3, 4));
    assert_eq!((told.repeated, told.unmatched, told.rows_of_one_id), (0, 0, 0));
    assert!(super::labels::id_of(&crate::tables::Cell::Number(f64::NAN)).is_none());
}

/// The first hundred rows get labels, of which the last two contradict each other; the others keep their own.
#[test]
fn labels_that_come_go_before_those_of_rows() {
    let files = Files::new();
    let reference = files.source("r.csv", &labelled(rows(0, 500, 0.0)));
    let wrong = |row: Row| Row { truth: !row.said, ..row };
    let right = |row: Row| Row { truth: row.said, ..row };
    let current = labelled(rows(0, 100, 0.0).map(wrong).chain(rows(100, 200, 0.0).map(right)));
    let mut labels = csv("id,y", rows(0, 100, 0.0), |row| format!("{},{}", row.id, digit(row.said)));
    labels += "99,0\n99,1\n";
    let [current, labels] = [("c.csv", current), ("l.csv", labels)].map(|(n, text)| files.source(n, &text));
    let report = checked(&reference, &current, Some(&labels));
    let section = report.performance.unwrap();
    assert_eq!((section.current.rows, section.current.labelled), (300, 299));
    assert_eq!(
        (section.metrics[0].name.as_str(), section.metrics[0].current.unwrap().value),
        ("accuracy", 1.0)
    );
    let kept = profile(&current, Some(&labels), &request(asked())).unwrap();
    assert_eq!(kept.performance().unwrap().measured(), 299);
    // Of numbers as well.
    let numbers = Performance { task: Some(Task::Regression), probability: None, ..asked() };
    let report = check(&reference, &current, Some(&labels), &request(numbers)).unwrap();
    assert_eq!(report.performance.unwrap().metrics[0].current.unwrap().value, 0.0);
}

#[test]
fn a_report_does_not_depend_on_the_number_of_threads() {
    let files = Files::new();
    // Several chunks of text.
    let wide = |row: &Row| {
        format!("{},{},{},{},{}", row.id, digit(row.truth), digit(row.said), row.score, "x".repeat(400))
    };
    let reference = files.write("r.csv", &csv("id,y,said,p,note", rows(0, 25_000, 0.0), wide));
    let current = files.write("c.csv", &answered(rows(25_000, 9_000, 0.1)));
    let labels = csv("id,y", rows(25_000, 9_000, 0.1), |row| format!("{},{}", row.id, row.truth));
    let labels = files.write("l.csv", &labels);
    let on = |threads| {
        let [r, c, l] = [&reference, &current, &labels].map(|path| open(path, threads));
        let request = Request { threads, ..request(asked()) };
        let profile = profile(&r, None, &request).unwrap().to_bytes().unwrap();
        (serde_json::to_string(&check(&r, &c, Some(&l), &request).unwrap()).unwrap(), profile)
    };
    let one = on(1);
    assert!(one == on(4) && one == on(7));
}

#[test]
fn a_profile_keeps_what_a_check_needs() {
    let files = Files::new();
    let reference = files.source("r.csv", &labelled(rows(0, 4_000, 0.0)));
    let current = files.source("c.csv", &labelled(rows(4_000, 3_000, 0.25)));
    let kept = profile(&reference, None, &request(asked())).unwrap();
    let text = String::from_utf8(kept.to_bytes().unwrap()).unwrap();
    assert!(text.contains("\"performance\":{\"target\":\"y\",\"prediction\":\"said\",\"rows\":4000"));
    let kept = files.source("r.profile", &text);
    let (of_table, of_profile) = (checked(&reference, &current, None), checked(&kept, &current, None));
    let [table, profiled] = [&of_table, &of_profile].map(|report| report.performance.as_ref().unwrap());
    assert_eq!(profiled.metrics.len(), 5);
    for (table, profiled) in table.metrics.iter().zip(&profiled.metrics) {
        let difference = table.reference.unwrap().value - profiled.reference.unwrap().value;
        assert!(difference.abs() < 1e-3, "{}", table.name);
        let name = format!("performance: {}", table.name);
        assert_eq!(verdict(&of_table, &name), verdict(&of_profile, &name));
    }
    assert!(profiled.metrics[4].note.contains("1,000 bins"));
    // Parts add up, whether labels lie beside the rows or elsewhere.
    let part = files.source("p.csv", &answered(rows(4_000, 500, 0.0)));
    let labels = csv("id,y", rows(4_000, 500, 0.0), |row| format!("{},{}", row.id, digit(row.truth)));
    let part = profile(&part, Some(&files.source("l.csv", &labels)), &request(asked())).unwrap();
    let parsed = crate::drift::profile::Profile::parse(text.as_bytes()).unwrap();
    assert_eq!(parsed.merge(&part).unwrap().performance().unwrap().measured(), 4_500);
    // What was measured of other columns is neither added nor compared.
    let renamed = files.source("o.csv", &labelled(rows(0, 500, 0.0)).replacen("said", "told", 1));
    let other = Performance { prediction: "told".to_owned(), ..asked() };
    let other = profile(&renamed, None, &request(other)).unwrap();
    let unmeasured = profile(&renamed, None, &Request::default()).unwrap();
    for part in [&other, &unmeasured] {
        assert!(parsed.merge(part).is_err() && part.merge(&parsed).is_err());
    }
    let other = files.source("t.profile", &String::from_utf8(other.to_bytes().unwrap()).unwrap());
    let report = checked(&other, &current, None);
    let finding = report.run.columns.iter().find(|finding| finding.column == "performance").unwrap();
    assert_eq!(finding.verdict, Verdict::Invalid);
    assert!(finding.reason.contains("--target y --prediction told"), "{}", finding.reason);
    // A profile without performance has nothing to compare with.
    let bare = profile(&reference, None, &Request::default()).unwrap().to_bytes().unwrap();
    let bare = files.source("b.profile", &String::from_utf8(bare).unwrap());
    let report = checked(&bare, &current, None);
    assert_eq!(verdict(&report, "performance"), Some(Verdict::Invalid));
    assert_eq!(report.performance, None);
}

#[test]
fn columns_that_are_nowhere_are_refused_and_those_of_one_side_are_invalid() {
    let files = Files::new();
    let reference = files.source("r.csv", &labelled(rows(0, 500, 0.0)));
    let current = files.source("c.csv", "id,y,other\n1,1,0\n2,0,0\n");
    let report = checked(&reference, &current, None);
    let finding = report.run.columns.iter().find(|finding| finding.column == "performance").unwrap();
    assert_eq!(
        (finding.verdict, &*finding.reason),
        (Verdict::Invalid, "The current data has no column said.")
    );
    let wrong = Performance { prediction: "sadi".to_owned(), ..asked() };
    let refused = |performance| check(&reference, &current, None, &request(performance)).unwrap_err().code;
    assert_eq!(refused(wrong), "drift_column");
    assert_eq!(refused(Performance { task: Some(Task::Regression), ..asked() }), "performance_task");
    let compat = Request {
        rules: Request::rules("compat:evidently@0.7", &[], Default::default()).unwrap(),
        ..request(asked())
    };
    assert_eq!(check(&reference, &current, None, &compat).unwrap_err().code, "performance_mode");
    // Neither side has rows.
    let empty = files.source("e.csv", "");
    assert_eq!(checked(&empty, &empty, None).run.verdict, Verdict::NoData);
}

#[test]
fn numbers_are_a_task_of_their_own() {
    let files = Files::new();
    let table = |name: &str, error: f64| {
        let line = |row: &Row| format!("{},{}", row.score, row.score + error * f64::from(digit(row.truth)));
        files.source(name, &csv("y,said", rows(0, 3_000, 0.0), line))
    };
    let asked = Performance { probability: None, id: None, ..asked() };
    let (good, poor) = (table("g.csv", 0.1), table("p.csv", 0.4));
    let report = check(&good, &poor, None, &request(asked.clone())).unwrap();
    assert_eq!(report.performance.as_ref().unwrap().task, Task::Regression);
    for metric in ["mean absolute error", "root mean squared error", "bias"] {
        assert_eq!(verdict(&report, &format!("performance: {metric}")), Some(Verdict::Drift), "{metric}");
    }
    let text = files.source("t.csv", "y,said\n0.5,much\n0.25,little\n,0.1\n");
    let report = check(&good, &text, None, &request(asked)).unwrap();
    let current = report.performance.unwrap().current;
    assert_eq!((current.rows, current.labelled, current.failed), (3, 2, 2));
}

#[test]
fn few_rows_of_a_class_do_not_give_away_its_name() {
    let files = Files::new();
    let line = |row: &Row| {
        let class = if row.id % 500 == 7 { "secret" } else { ["cat", "dog"][row.id as usize % 2] };
        format!("{class},{}", if row.id.is_multiple_of(5) { "dog" } else { class })
    };
    let table = |name: &str, first| files.source(name, &csv("y,said", rows(first, 2_000, 0.0), line));
    let asked = Performance { probability: None, id: None, ..asked() };
    let report = check(&table("a.csv", 0), &table("b.csv", 2_000), None, &request(asked)).unwrap();
    let confusion = &report.performance.as_ref().unwrap().confusion;
    let names: std::collections::BTreeSet<_> = confusion.iter().map(|cell| cell.target.as_str()).collect();
    assert_eq!(names, ["__rare__", "cat", "dog"].into());
    let page = html::page(&report, "A check", &[]).unwrap();
    assert!(page.contains("<h2>Performance</h2>") && page.contains("labels for 100 % of 2000 rows"));
    assert!(!page.contains("secret<"), "the matrix does not name it");
}

#[test]
fn the_page_prints_what_an_estimate_assumes() {
    let files = Files::new();
    let reference = files.source("r.csv", &labelled(rows(0, 2_000, 0.0)));
    let current = files.source("c.csv", &answered(rows(2_000, 2_000, 0.0)));
    let report = checked(&reference, &current, None);
    let page = html::page(&report, "A check", &[]).unwrap();
    assert!(page.contains("no concept drift") && page.contains("labels for 0 % of 2000 rows"));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(serde_json::from_value::<Report>(json).unwrap(), report);
}

#[test]
fn a_request_is_read_strictly() {
    let read = |text: &str| serde_json::from_str::<Performance>(text).map_err(|error| error.to_string());
    let one = read(r#"{"target":"y","prediction":"said","probability":"p","positive":"yes"}"#).unwrap();
    assert_eq!(one.probability, Some(Probability::One("p".to_owned())));
    let each = read(
        r#"{"target":"y","prediction":"said","probability":{"a":"p_a","b":"p_b"},"task":"classification"}"#,
    );
    assert_eq!(each.unwrap().task, Some(Task::Classification));
    assert!(read(r#"{"target":"y","prediction":"said","truth":"y"}"#).is_err());
    assert!(read(r#"{"target":"y"}"#).is_err());
}
