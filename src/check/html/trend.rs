//! Past runs, one bar each: how many columns drifted.

use super::picture::escape;
use crate::drift::compare::Verdict;
use std::fmt::Write;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 60.0;

/// A past run, or the one that is reported on.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    /// When its window ended.
    pub end: String,
    pub verdict: Verdict,
    /// Columns that drifted.
    pub drifted: u64,
}

/// The runs, oldest first. Empty if there are fewer than two.
pub(super) fn trend(past: &[Past]) -> String {
    let (Some(first), Some(last)) = (past.first(), past.last().filter(|_| past.len() > 1)) else {
        return String::new();
    };
    let most = past.iter().map(|run| run.drifted).max().unwrap_or(0).max(1) as f64;
    let step = WIDTH / past.len().max(12) as f64;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH:.0} {:.0}\" role=img aria-label=\"Columns that drifted in past runs\">\
         <path class=x d=\"M0 {HEIGHT:.0}H{WIDTH:.0}\"/>",
        HEIGHT + 18.0
    );
    for (index, run) in past.iter().enumerate() {
        let high = (HEIGHT - 6.0) * run.drifted as f64 / most + 3.0;
        let _ = write!(
            svg,
            "<rect class=\"t {}\" x={:.1} y={:.1} width={:.1} height={high:.1}><title>{}: {}, {} columns drifted</title></rect>",
            run.verdict.name(),
            step * index as f64,
            HEIGHT - high,
            step * 0.8,
            escape(&run.end),
            run.verdict.name(),
            run.drifted
        );
    }
    let end = step * past.len() as f64;
    let _ = write!(svg, "<text x=0 y={:.0}>{}</text>", HEIGHT + 14.0, escape(&first.end));
    if end > WIDTH * 0.75 {
        let _ = write!(
            svg,
            "<text x={end:.0} y={:.0} text-anchor=end>{}</text>",
            HEIGHT + 14.0,
            escape(&last.end)
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_bars_from_the_oldest_on() {
        let run = |end: &str, verdict, drifted| Past { end: end.to_owned(), verdict, drifted };
        let past = [run("<a>", Verdict::Ok, 0), run("b", Verdict::Drift, 4), run("c", Verdict::NoData, 0)];
        let svg = trend(&past);
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(
            svg.contains("&lt;a&gt;")
                && svg.contains("class=\"t DRIFT\"")
                && svg.contains("4 columns drifted")
        );
        assert!(trend(&past[..1]).is_empty());
    }
}
