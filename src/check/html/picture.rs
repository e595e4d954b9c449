//! Distributions of both sides, one over the other, as SVG.

use crate::drift::compare::Cell;
use std::fmt::Write;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 90.0;
/// Categories in a picture.
const BARS: usize = 8;
const BAR: f64 = 22.0;
const LABEL: f64 = 120.0;
/// Characters of a label.
const LABEL_MAX: usize = 18;

/// Numbers: the reference filled, the current side as a line. Empty if a side has no rows.
pub(super) fn histogram(bins: &[Cell], edges: &[f64]) -> String {
    let Some((reference, current)) = shares(bins) else { return String::new() };
    let most = reference.iter().chain(&current).copied().fold(0.0, f64::max);
    let width = WIDTH / bins.len() as f64;
    let path = |shares: &[f64]| {
        let mut path = format!("M0 {HEIGHT:.0}");
        for (index, share) in shares.iter().enumerate() {
            let (top, right) = (HEIGHT * (1.0 - share / most), width * (index + 1) as f64);
            let _ = write!(path, "V{top:.1}H{right:.1}");
        }
        path + &format!("V{HEIGHT:.0}")
    };
    let mut svg = open(HEIGHT + 16.0, "Distributions of both sides");
    let _ =
        write!(svg, "<path class=r d=\"{}Z\"/><path class=c d=\"{}\"/>", path(&reference), path(&current));
    for (index, edge) in [edges.first(), edges.get(edges.len() / 2), edges.last()].into_iter().enumerate() {
        let at = [1, edges.len() / 2 + 1, edges.len()][index] as f64 * width;
        if let Some(edge) = edge {
            let text = number(*edge);
            let _ = write!(svg, "<text x={at:.0} y={:.0} text-anchor=middle>{text}</text>", HEIGHT + 13.0);
        }
    }
    svg + "</svg>"
}

/// Categories: two bars each, the largest first. Empty if a side has no rows.
pub(super) fn bars(cells: &[Cell]) -> String {
    let Some((reference, current)) = shares(cells) else { return String::new() };
    let mut order: Vec<usize> = (0..cells.len()).collect();
    order.sort_by(|a, b| (reference[*b] + current[*b]).total_cmp(&(reference[*a] + current[*a])));
    order.truncate(BARS);
    let most = reference.iter().chain(&current).copied().fold(0.0, f64::max);
    let mut svg = open(BAR * order.len() as f64, "Shares of categories on both sides");
    for (row, index) in order.into_iter().enumerate() {
        let top = BAR * row as f64;
        let long = |share: f64| (WIDTH - LABEL - 50.0) * share / most;
        let (r, c) = (long(reference[index]), long(current[index]));
        let label = escape(&shorten(&cells[index].label));
        // However wide its letters are.
        let is_long = cells[index].label.chars().count() > LABEL_MAX * 2 / 3;
        let fit = if is_long { " textLength=108 lengthAdjust=spacingAndGlyphs" } else { "" };
        let percent = format!("{:.1} %", 100.0 * current[index]);
        let _ = write!(
            svg,
            "<text x={:.0} y={:.0} text-anchor=end{fit}>{label}</text><rect class=r x={LABEL} y={:.0} width={r:.1} height=8 />\
             <rect class=b x={LABEL} y={:.0} width={c:.1} height=8 /><text x={:.0} y={:.0}>{percent}</text>",
            LABEL - 8.0,
            top + 14.0,
            top + 2.0,
            top + 10.0,
            LABEL + r.max(c) + 6.0,
            top + 14.0,
        );
    }
    svg + "</svg>"
}

fn open(height: f64, label: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=img aria-label=\"{label}\">")
}

fn shares(cells: &[Cell]) -> Option<(Vec<f64>, Vec<f64>)> {
    let sum = |side: fn(&Cell) -> u64| cells.iter().map(side).map(|count| count as f64).sum::<f64>();
    let (n, m) = (sum(|cell| cell.reference), sum(|cell| cell.current));
    (n > 0.0 && m > 0.0)
        .then(|| cells.iter().map(|cell| (cell.reference as f64 / n, cell.current as f64 / m)).unzip())
}

fn shorten(text: &str) -> String {
    match text.chars().count() {
        0..=LABEL_MAX => text.to_owned(),
        _ => text.chars().take(LABEL_MAX - 1).chain(['…']).collect(),
    }
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Four digits, for people.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        small if small < 1e-3 => format!("{value:.2e}"),
        large if large >= 1e7 => format!("{value:.3e}"),
        size => {
            let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
            let text = format!("{value:.digits$}");
            let text =
                if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(label: &str, reference: u64, current: u64) -> Cell {
        Cell { label: label.to_owned(), reference, current, cells: 1, term: None }
    }

    #[test]
    fn labels_are_escaped_and_cut() {
        let svg = bars(&[cell("<script>&\"", 3, 1), cell(&"x".repeat(100), 1, 3)]);
        assert!(svg.contains("&lt;script&gt;&amp;&quot;") && svg.contains(&format!("{}…", "x".repeat(17))));
    }

    #[test]
    fn nothing_has_no_picture() {
        assert_eq!(bars(&[]), "");
        assert_eq!(histogram(&[cell("all", 0, 3)], &[]), "");
        assert!(histogram(&[cell("a", 1, 3), cell("b", 3, 1)], &[0.5]).contains(">0.5<"));
    }

    #[test]
    fn numbers_have_four_digits() {
        let written = [0.0, 1.0, 1234.5, -0.12345, 1e-9, 98_765.4, 2.5e9, 100.0].map(number);
        assert_eq!(written, ["0", "1", "1234", "-0.1235", "1.00e-9", "98765", "2.500e9", "100"]);
    }
}
