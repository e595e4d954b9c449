//! What needs the rows of tables, and is told apart from the columns: vectors, and the scores of a judge.

use super::super::request::Request;
use super::super::side::Source;
use super::watch::{Judge, Watch};
use crate::drift::compare::{Finding, Rules, Run, Vectors, Verdict, examine_vectors};
use crate::drift::signals::{Finding as Attribution, Limits, Rating, Separation, separate};
use crate::drift::statistics::random::SplitMix;
use crate::error::Result;
use std::collections::HashMap;

/// Judges that are told apart, and characters of their names.
const JUDGES_MAX: usize = 1_024;
const JUDGE_MAX: usize = 128;
/// More scores of one side than so many are thinned out.
const SCORES_MAX: usize = 1 << 20;

/// What is found in columns of vectors, and what could not be looked at.
pub(in super::super) fn vectors(
    sources: [&Source; 2],
    watch: &Watch,
    request: &Request,
) -> Result<(Vec<Finding>, Vec<String>)> {
    let (mut findings, mut notes) = (vec![], vec![]);
    let Rules::Sound(options) = &request.rules else {
        let note =
            |name| format!("The vectors of {name} were not compared: the mode has no test of vectors.");
        return Ok((findings, watch.vectors.iter().map(note).collect()));
    };
    for name in &watch.vectors {
        if sources.iter().any(|source| source.as_profile().is_some()) {
            notes.push(format!("The vectors of {name} were not compared: a profile keeps none."));
            continue;
        }
        let [reference, current] = sources.map(|source| source.vectors(name, Vectors::DRAWN));
        let seed = sources[0].seed().0 ^ sources[1].seed().0.rotate_left(1);
        findings.push(examine_vectors(name, reference?.as_ref(), current?.as_ref(), options, seed));
    }
    Ok((findings, notes))
}

/// Tells the drift of a judge from that of the model, or says why that cannot be.
pub(in super::super) fn judge(
    sources: [&Source; 2],
    watch: &Watch,
) -> Result<(Option<Separation>, Option<String>)> {
    let Some(judge) = &watch.judge else { return Ok((None, None)) };
    if sources.iter().any(|source| source.as_profile().is_some()) {
        let note = "The judge's drift was not told from the model's: a profile keeps no scores of anchors.";
        return Ok((None, Some(note.to_owned())));
    }
    let [reference, current] = sources.map(|source| Scores::read(source, judge));
    let (reference, current) = (reference?, current?);
    Ok((Some(separate(&reference.ratings(), &current.ratings(), Limits::default())), None))
}

/// Says of the judge's scores whose drift it is.
pub(in super::super) fn attribute(run: &mut Run, watch: &Watch, separation: &Separation) {
    let Some(judge) = &watch.judge else { return };
    let whose = match separation.finding {
        Attribution::JudgeDrift => {
            " It is the judge's drift: it scores the anchors otherwise, which are the same."
        }
        Attribution::ModelDrift => " It is the model's drift: the judge scores the anchors as before.",
        Attribution::Unattributed => " Whether it is the judge's or the model's the anchors do not tell.",
        Attribution::NoDrift | Attribution::NoData => return,
    };
    let moved = |finding: &&mut Finding| {
        finding.column == judge.score && matches!(finding.verdict, Verdict::Drift | Verdict::Warn)
    };
    run.columns.iter_mut().filter(moved).for_each(|finding| finding.reason.push_str(whose));
}

#[derive(Default)]
struct Scores {
    judges: Vec<String>,
    /// With the number of the row's draw.
    rows: Vec<(u64, Score)>,
}

#[derive(Clone, Copy)]
struct Score {
    judge: u32,
    score: f64,
    is_anchor: bool,
}

impl Scores {
    fn read(source: &Source, judge: &Judge) -> Result<Self> {
        let mut scores = Self::default();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut highest = u64::MAX;
        let id = judge.id.as_ref().unwrap_or(&judge.score);
        let seed = source.seed().0;
        source.each_row(&[&judge.score, &judge.anchor, id], &mut |row, cells| {
            let draw = SplitMix(seed ^ row).bits();
            let [score, anchor, id] = cells else { return };
            let Some(score) = score.number().filter(|score| score.is_finite() && draw <= highest) else {
                return;
            };
            let name = id.label().filter(|_| judge.id.is_some()).unwrap_or_default();
            let name: String = name.chars().take(JUDGE_MAX).collect();
            let judge = match numbers.get(&name) {
                Some(number) => *number,
                // One that is not known.
                None if numbers.len() >= JUDGES_MAX => u32::MAX,
                None => {
                    let number = numbers.len() as u32;
                    scores.judges.push(name.clone());
                    numbers.insert(name, number);
                    number
                }
            };
            let is_anchor = anchor.boolean().unwrap_or_else(|| anchor.number() == Some(1.0));
            scores.rows.push((draw, Score { judge, score, is_anchor }));
            if scores.rows.len() > SCORES_MAX {
                highest /= 2;
                scores.rows.retain(|(draw, _)| *draw <= highest);
            }
        })?;
        Ok(scores)
    }

    fn ratings(&self) -> Vec<Rating<'_>> {
        let judge = |score: &Score| self.judges.get(score.judge as usize).map_or("", String::as_str);
        let rating = |(_, score): &(u64, Score)| Rating {
            judge: judge(score),
            score: score.score,
            is_anchor: score.is_anchor,
        };
        self.rows.iter().map(rating).collect()
    }
}
