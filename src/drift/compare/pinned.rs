//! Columns in which less matters than in others: any category that is new, such as the model that answered; or that a rule is
//! broken a little more often.

use super::categories::{CHI_SQUARE, NEW, RARE};
use super::options::Options;
use super::power::{Scale, detectable, rows_needed};
use super::result::{Finding, Test, Verdict};

/// Of the usual floor of Cramér's V: from no row to 0.25 %, and not to 0.5 %; it is the same for any number of rows.
const OF_RULES: f64 = 0.7;

impl Finding {
    /// Before it is judged: lets it be drift that a rule is broken a little more often.
    pub fn pin_rule(&mut self, options: &Options) {
        let is_pinned = |test: &&mut Test| [CHI_SQUARE, RARE].contains(&test.statistic.as_str());
        for test in self.tests.iter_mut().filter(is_pinned) {
            let Some(effect) = test.effect.as_mut().filter(|effect| effect.floor == options.floors.cramers_v)
            else {
                continue;
            };
            // Rows needed fall with the square of the effect.
            effect.floor *= OF_RULES;
            effect.rows_needed = (effect.rows_needed as f64 / OF_RULES.powi(2)).ceil() as u64;
            test.method.push_str("; the floor is that of broken rules");
        }
    }

    /// Before it is judged: lets a new category be drift however small its share. The floor becomes half of what these rows
    /// find with power 0.8, below which no test could be resolved; that it is significant is still asked for.
    pub fn pin(&mut self, options: &Options) {
        for test in self.tests.iter_mut().filter(|test| test.statistic == NEW) {
            let Some(effect) = &mut test.effect else { continue };
            let least = 0.5 * detectable(Scale::Share, test.reference_n, test.current_n, options.alpha);
            // Up, so that twice the floor can be found.
            let least = (least * 1e5).ceil() / 1e5;
            if least < effect.floor {
                effect.floor = least;
                effect.rows_needed = rows_needed(Scale::Share, 2.0 * least, options.alpha);
                test.method.push_str("; the floor is the least that these rows resolve");
            }
        }
    }

    /// After it was judged: says so where that decided.
    pub fn explain_pin(&mut self) {
        let is_new = |finding: &Self| {
            finding.tests.iter().any(|test| test.statistic == NEW && test.verdict == Some(Verdict::Drift))
        };
        if self.verdict == Verdict::Drift && is_new(self) {
            self.reason.push_str(
                " A value that the reference never had is drift in this column however few rows have it: the floor is the \
                 least that these rows resolve.",
            );
        }
    }
}
