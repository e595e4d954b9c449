//! The report, as one page that needs nothing else and never has more than 300 KB.

mod performance;
mod picture;
mod trend;

pub use trend::Past;

use super::report::{Input, Report, SideReport};
use crate::drift::compare::{Cell, Finding, Mode, Summary, Test, Verdict};
use crate::drift::profile::Kind;
use crate::error::{Error, Result};
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
pub use performance::{answered, labels, shown as shown_value};
use picture::{bars, histogram, number};
use serde::Serialize;

const TEMPLATE: &str = include_str!("report.html");
/// The page has at most so many bytes: details are left out first, then rows.
const BYTES_MAX: usize = 300_000;
const FILES_MAX: usize = 20;

/// The page. `past`: earlier runs of a monitor and this one, oldest first, if there are any. Errors: none that data could make.
pub fn page(report: &Report, title: &str, past: &[Past]) -> Result<String> {
    let all = &report.run.columns;
    // What is grave is shown whole, and of the rest as many as fit.
    let mut detailed = all.len().min(100);
    let mut listed = all.len();
    loop {
        let page = render(report, title, past, detailed, listed)?;
        if page.len() <= BYTES_MAX || detailed + listed == 0 {
            return Ok(page);
        }
        match detailed {
            0 => listed = listed * 3 / 4,
            _ => detailed = detailed * 3 / 4,
        }
        // Of very many columns the list alone would not fit.
        listed = listed.min(detailed.saturating_add(2_000));
    }
}

fn render(report: &Report, title: &str, past: &[Past], detailed: usize, listed: usize) -> Result<String> {
    let run = &report.run;
    let failed = |source: minijinja::Error| {
        Error::internal("report_template", "the report could not be written").source(source)
    };
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report.html", TEMPLATE).map_err(failed)?;
    let columns: Vec<Details> = run.columns.iter().take(detailed).map(details).collect();
    let others: Vec<Row> = run.columns.iter().take(listed).skip(detailed).map(row).collect();
    let view = View {
        title,
        verdict: run.verdict.name().to_owned(),
        reason: &run.reason,
        notes: report.notes(),
        reference: side(&report.reference),
        current: side(&report.current),
        left_out: run.columns.len() - columns.len() - others.len(),
        trend: trend::trend(past),
        how: how(report),
        performance: report.performance.as_ref().map(performance::view),
        columns,
        others,
    };
    let page = environment.get_template("report.html").and_then(|template| template.render(Serde(&view)));
    page.map_err(failed)
}

/// What the template shows.
#[derive(Serialize)]
struct View<'a> {
    title: &'a str,
    verdict: String,
    reason: &'a str,
    notes: Vec<String>,
    reference: SideView<'a>,
    current: SideView<'a>,
    performance: Option<performance::View>,
    columns: Vec<Details>,
    others: Vec<Row>,
    left_out: usize,
    trend: String,
    how: String,
}

#[derive(Serialize)]
struct SideView<'a> {
    rows: u64,
    exact: bool,
    profile: bool,
    inputs: &'a [Input],
    more: usize,
}

#[derive(Serialize)]
struct Details {
    name: String,
    verdict: String,
    kind: &'static str,
    reason: String,
    picture: String,
    tests: Vec<TestRow>,
    cells_of: String,
    cells: Vec<Cell>,
    sides: Vec<Vec<String>>,
}

#[derive(Serialize)]
struct TestRow {
    statistic: String,
    value: String,
    p: String,
    q: String,
    effect: String,
    floor: String,
    n: u64,
    m: u64,
    verdict: String,
}

#[derive(Serialize)]
struct Row {
    name: String,
    kind: &'static str,
    verdict: String,
    effect: String,
    q: String,
}

fn details(finding: &Finding) -> Details {
    let counted = finding.tests.iter().find(|test| !test.cells.is_empty());
    let (cells_of, cells) = match counted {
        _ if !finding.bins.is_empty() => ("bin".to_owned(), finding.bins.clone()),
        Some(test) => (test.statistic.replace('_', " "), test.cells.clone()),
        None => (String::new(), vec![]),
    };
    let picture = if finding.bins.is_empty() {
        let is_categorical = matches!(finding.kind, Kind::Categorical | Kind::Boolean);
        if is_categorical { bars(&cells) } else { String::new() }
    } else {
        histogram(&finding.bins, &finding.edges)
    };
    let sides = [("reference", &finding.reference), ("current", &finding.current)];
    let sides = sides.into_iter().filter_map(|(name, side)| Some(summary(name, side.as_ref()?)));
    Details {
        name: finding.column.clone(),
        verdict: finding.verdict.name().to_owned(),
        kind: kind(finding.kind),
        reason: finding.reason.clone(),
        picture,
        tests: finding.tests.iter().map(test_row).collect(),
        cells_of,
        cells,
        sides: sides.collect(),
    }
}

fn test_row(test: &Test) -> TestRow {
    let effect = test.effect.as_ref();
    TestRow {
        statistic: test.statistic.replace('_', " "),
        value: shown(test.value),
        p: shown(test.p_value),
        q: shown(test.q_value),
        effect: effect.map(|effect| format!("{} {}", effect.name, number(effect.value))).unwrap_or_default(),
        floor: shown(effect.map(|effect| effect.floor)),
        n: test.reference_n,
        m: test.current_n,
        verdict: test.verdict.map(Verdict::name).unwrap_or_default().to_owned(),
    }
}

fn summary(name: &str, side: &Summary) -> Vec<String> {
    let Summary { rows, missing, failed, not_finite, exact, quantiles, distinct } = side;
    let counts = [rows, missing, failed, not_finite].into_iter().map(u64::to_string);
    let quantiles = (0..7).map(|index| shown(quantiles.map(|values| values[index])));
    let numbers = if *exact { "all" } else { "a sketch" };
    std::iter::once(name.to_owned())
        .chain(counts)
        .chain([distinct.map(|distinct| distinct.to_string()).unwrap_or_default()])
        .chain(quantiles)
        .chain([numbers.to_owned()])
        .collect()
}

fn row(finding: &Finding) -> Row {
    let gravest = finding.tests.iter().filter(|test| test.verdict == Some(finding.verdict)).max_by(|a, b| {
        let size = |test: &Test| test.effect.as_ref().map_or(0.0, |effect| effect.value / effect.floor);
        size(a).total_cmp(&size(b))
    });
    let effect = gravest.and_then(|test| test.effect.as_ref());
    Row {
        name: finding.column.clone(),
        kind: kind(finding.kind),
        verdict: finding.verdict.name().to_owned(),
        effect: effect.map(|effect| format!("{} {}", effect.name, number(effect.value))).unwrap_or_default(),
        q: shown(gravest.and_then(|test| test.q_value)),
    }
}

fn side(side: &SideReport) -> SideView<'_> {
    let shown = side.inputs.len().min(FILES_MAX);
    let more = side.inputs.len() - shown;
    SideView {
        rows: side.rows,
        exact: side.exact,
        profile: side.profile,
        inputs: &side.inputs[..shown],
        more,
    }
}

/// The rule in words.
fn how(report: &Report) -> String {
    match (&report.run.options, report.run.mode) {
        (Some(options), Mode::Sound) => format!(
            "Drift is what is both significant and large: a q-value of at most {} over all {} tests of the run, and an effect of \
             at least its floor. What these rows could not have found is said to be INSUFFICIENT_DATA.",
            options.alpha, report.run.p_values
        ),
        _ => "Each column by one score and a fixed threshold, as Evidently 0.7 decides; nothing is corrected for there being \
              many columns."
            .to_owned(),
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Numeric => "numbers",
        Kind::Categorical => "categories",
        Kind::Boolean => "truth values",
        Kind::Time => "times",
        Kind::Text => "texts, by their lengths",
    }
}

fn shown(value: Option<f64>) -> String {
    value.map(number).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::report::FORMAT;
    use super::*;
    use crate::drift::compare::{Column, Options, Rules, Side};

    fn report(columns: usize, name: impl Fn(usize) -> String) -> Report {
        let side = |moved: f64| {
            let numbers =
                |column: usize| (0..400).map(|row| f64::from(row % 83) + moved * column as f64).collect();
            let columns =
                (0..columns).map(|column| Column::numeric(&name(column), numbers(column), 0, 0)).collect();
            Side { rows: 400, columns }
        };
        let run = Rules::Sound(Options::default()).compare(&side(0.0), &side(10.0), &[]).unwrap();
        let about = || SideReport { inputs: vec![], rows: 400, exact: true, profile: false };
        Report {
            format: FORMAT.to_owned(),
            reference: about(),
            current: about(),
            run,
            performance: None,
            signals: None,
            judge: None,
        }
    }

    #[test]
    fn the_verdict_comes_first_and_nothing_is_loaded() {
        let page = page(&report(3, |column| format!("column {column}")), "A check", &[]).unwrap();
        assert!(page.find("class=\"verdict DRIFT\"").unwrap() < page.find("column 2").unwrap());
        for outside in ["http:", "https:", "src=", "<script", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<svg").count(), 3);
    }

    #[test]
    fn what_a_column_is_called_is_text() {
        let page = page(&report(1, |_| "<script>alert(1)</script>&\"'".to_owned()), "<b>", &[]).unwrap();
        assert!(!page.contains("<script>") && !page.contains("<b>&") && page.contains("&lt;script&gt;"));
    }

    #[test]
    fn a_page_of_many_columns_stays_small() {
        for columns in [150, 3_000] {
            let page =
                page(&report(columns, |column| format!("{column}-{}", "x".repeat(60))), "A check", &[])
                    .unwrap();
            assert!(page.len() <= BYTES_MAX && page.len() > BYTES_MAX / 4, "{}", page.len());
            assert!(page.contains("more columns are in the JSON report") == (columns == 3_000));
        }
    }
}
