//! The scores of a judge, whose drift is told from that of the model by anchors. A profile keeps those of anchors apart.

use super::super::side::Source;
use super::watch::{Judge, Watch};
use crate::drift::compare::{Finding, RANK_ERROR_CHANCE, Run, Verdict};
use crate::drift::profile::{ColumnBuilder, ColumnPlan, Invalid, Kind, Plan, Profile, Settings, Values};
use crate::drift::signals::{Finding as Attribution, Limits, Rating, Scored, Separation, separate};
use crate::drift::statistics::{Ecdf, random::SplitMix};
use crate::error::{Error, Result};
use crate::tables::Cell;
use std::collections::{BTreeMap, HashMap};

/// Judges that are told apart, and characters of their names.
const JUDGES_MAX: usize = 1_024;
const JUDGE_MAX: usize = 128;
/// More scores of one side than so many are thinned out.
const SCORES_MAX: usize = 1 << 20;
/// What a profile calls the columns in which it keeps scores: they are no data to compare.
const KEPT: &str = "judge scores 1";
/// The part of a profile that these columns are of: no chunk of a table has this number.
const PART: u64 = u64::MAX;

/// Tells the drift of a judge from that of the model, or says why that cannot be.
pub(in super::super) fn judge(
    sources: [&Source; 2],
    watch: &Watch,
) -> Result<(Option<Separation>, Option<String>)> {
    let Some(judge) = &watch.judge else { return Ok((None, None)) };
    let [reference, current] = sources.map(|source| scored(source, judge));
    let (Some(reference), Some(current)) = (reference?, current?) else {
        let note =
            "The judge's drift was not told from the model's: a profile was made without scores of anchors.";
        return Ok((None, Some(note.to_owned())));
    };
    Ok((Some(separate(&reference, &current, Limits::default())), None))
}

fn scored(source: &Source, judge: &Judge) -> Result<Option<Scored>> {
    match source.as_profile() {
        Some(profile) => Ok(kept(profile, judge)),
        None => Scores::read(source, judge).map(|scores| Some(scores.scored())),
    }
}

/// What a profile has of it.
fn kept(profile: &Profile, judge: &Judge) -> Option<Scored> {
    let scores = |name: String| match profile.column(&name)?.values() {
        Values::Numeric(numbers) => {
            let quantiles = numbers.quantiles();
            Some((Ecdf::weighted(&quantiles.points()), quantiles.uniform_rank_error(RANK_ERROR_CHANCE)))
        }
        _ => None,
    };
    let [anchors, others] = judge.kept().map(scores);
    let judges = match judge.id.as_ref().and_then(|id| profile.column(id)).map(|column| column.values()) {
        Some(Values::Categorical { frequent, .. }) => judges_of(&frequent.items()),
        _ => BTreeMap::new(),
    };
    let (anchors, others) = (anchors?, others?);
    Some(Scored { rank_error: anchors.1.max(others.1), anchors: anchors.0, others: others.0, judges })
}

/// Their names, as they are read from rows.
fn judges_of(items: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let mut judges = BTreeMap::new();
    for (name, rows) in items {
        *judges.entry(name.chars().take(JUDGE_MAX).collect()).or_default() += rows;
    }
    judges
}

/// Whether a column of a profile only keeps scores of a judge.
pub(in super::super) fn is_kept(profile: &Profile, column: &str) -> bool {
    profile.derivations().get(column).is_some_and(|by| by == KEPT)
}

/// The profile with the scores of anchors, and all others, as columns of their own. Errors: the table cannot be read.
pub(in super::super) fn with_scores(source: &Source, watch: &Watch, profile: Profile) -> Result<Profile> {
    let Some(judge) = &watch.judge else { return Ok(profile) };
    let names = judge.kept();
    if let Some(taken) = names.iter().find(|name| profile.column(name).is_some()) {
        return Err(Error::invalid("table_columns", format!("the data have a column {taken} of their own"))
            .hint("rename it, or leave it out with --ignore"));
    }
    let mut derivations = profile.derivations().clone();
    derivations.extend(names.iter().map(|name| (name.clone(), KEPT.to_owned())));
    let refused = |error: Invalid| Error::invalid("profile_invalid", error.to_string());
    let column = |name: String| ColumnPlan { name, kind: Kind::Numeric, bins: None };
    let columns = names.map(column).into();
    let plan = Plan { seed: source.seed(), settings: Settings::default(), columns };
    let mut builders: Vec<ColumnBuilder> =
        (0..2).map(|place| plan.builder(PART, place)).collect::<Result<_, _>>().map_err(refused)?;
    let mut fed = Ok(());
    source.each_row(&[&judge.score, &judge.anchor], &mut |_, cells| {
        let [score, anchor] = cells else { return };
        let score = score.number().filter(|score| score.is_finite());
        for (builder, is_meant) in builders.iter_mut().zip([is_anchor(anchor), !is_anchor(anchor)]) {
            let added = match score.filter(|_| is_meant) {
                Some(score) => builder.numbers(&[score], None),
                None => builder.missing(1),
            };
            fed = std::mem::replace(&mut fed, Ok(())).and(added);
        }
    })?;
    fed.map_err(refused)?;
    let rows = profile.rows();
    let columns = builders.into_iter().map(|builder| builder.finish(rows)).collect::<Result<_, _>>();
    let profile = columns.and_then(|columns| profile.with_columns(columns));
    profile.and_then(|profile| profile.with_derivations(derivations)).map_err(refused)
}

fn is_anchor(anchor: &Cell<'_>) -> bool {
    anchor.boolean().unwrap_or_else(|| anchor.number() == Some(1.0))
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
            scores.rows.push((draw, Score { judge, score, is_anchor: is_anchor(anchor) }));
            if scores.rows.len() > SCORES_MAX {
                highest /= 2;
                scores.rows.retain(|(draw, _)| *draw <= highest);
            }
        })?;
        Ok(scores)
    }

    fn scored(&self) -> Scored {
        let judge = |score: &Score| self.judges.get(score.judge as usize).map_or("", String::as_str);
        let rating = |(_, score): &(u64, Score)| Rating {
            judge: judge(score),
            score: score.score,
            is_anchor: score.is_anchor,
        };
        Scored::of(self.rows.iter().map(rating))
    }
}
