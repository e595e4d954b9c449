//! Answers, row by row.

use super::super::profile::{Invalid, Moments};
use super::classes::{Classes, NONE, moved};
use super::measures::{BINS, Classification, Measures, Of, Probabilities, Regression};
use super::sample::{Sample, is_held_out, key};
use super::{Side, brier, log_loss::log_loss};
use std::collections::BTreeMap;

/// By how much the probabilities of all classes may miss 1.
const SUM_ERROR: f64 = 0.01;
const AT_ONCE: usize = 4_096;

/// What should have been answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Label<T> {
    /// Not known, or not yet.
    Missing,
    /// Of another kind.
    Failed,
    Known(T),
}

/// Collects the answers of one chunk of a table, and then of all that follow.
#[derive(Debug)]
pub struct Collector {
    rows: u64,
    unlabelled: u64,
    failed: u64,
    of: Kind,
}

#[derive(Debug)]
enum Kind {
    Classes(Box<ClassCollector>),
    Numbers(Box<[Losses; 3]>),
}

#[derive(Debug)]
struct ClassCollector {
    seed: u64,
    chunk: u64,
    classes: Classes,
    cells: BTreeMap<(u16, u16), u64>,
    /// What the probabilities are of: one class, all, or nothing.
    of: Vec<String>,
    unusable: u64,
    log_loss: Losses,
    brier: Losses,
    bins: Vec<[u64; 4]>,
    sample: Sample,
}

/// Numbers on their way into moments.
#[derive(Debug, Default)]
struct Losses {
    moments: Moments,
    pending: Vec<f64>,
}

impl Collector {
    /// Of predicted classes, with probabilities of these classes, in the order of their names.
    pub fn classes(of: &[String], seed: u64, chunk: u64) -> Self {
        let bins = if of.len() == 1 { vec![[0; 4]; BINS] } else { vec![] };
        Self::new(Kind::Classes(Box::new(ClassCollector {
            seed,
            chunk,
            classes: Classes::default(),
            cells: BTreeMap::new(),
            of: of.to_vec(),
            unusable: 0,
            log_loss: Losses::default(),
            brier: Losses::default(),
            bins,
            sample: Sample::new(of.len()),
        })))
    }

    /// Of predicted numbers.
    pub fn numbers() -> Self {
        Self::new(Kind::Numbers(Default::default()))
    }

    fn new(of: Kind) -> Self {
        Self { rows: 0, unlabelled: 0, failed: 0, of }
    }

    /// A predicted class, if there is one, with probabilities in the order of their classes, if they can be read. Of a
    /// collector of numbers the row has failed.
    pub fn class(&mut self, label: Label<&str>, prediction: Option<&str>, scores: Option<&[f64]>) {
        let row = self.rows;
        self.rows += 1;
        self.unlabelled += u64::from(label == Label::Missing);
        let is_labelled = label != Label::Missing;
        let Kind::Classes(it) = &mut self.of else {
            self.failed += u64::from(is_labelled);
            return;
        };
        let target = if let Label::Known(target) = label { Some(target) } else { None };
        let is_measured = target.is_some() && prediction.is_some();
        self.failed += u64::from(is_labelled && !is_measured);
        it.add(row, target.filter(|_| is_measured), prediction, scores);
    }

    /// A predicted number, if there is one.
    pub fn number(&mut self, label: Label<f64>, prediction: Option<f64>) {
        self.rows += 1;
        let errors = match (label, prediction) {
            (Label::Missing, _) => {
                self.unlabelled += 1;
                return;
            }
            (Label::Known(target), Some(prediction)) => {
                let error = prediction - target;
                Some([error, error.abs(), error * error]).filter(|errors| errors[2].is_finite())
            }
            _ => None,
        };
        match (&mut self.of, errors) {
            (Kind::Numbers(losses), Some(errors)) => {
                losses.iter_mut().zip(errors).for_each(|(losses, error)| losses.push(error));
            }
            _ => self.failed += 1,
        }
    }

    /// Adds the rows of the chunks that follow. Errors: another task, or too many rows.
    pub fn merge(mut self, mut next: Self) -> Result<Self, Invalid> {
        match (&mut self.of, &mut next.of) {
            (Kind::Numbers(a), Kind::Numbers(b)) => {
                a.iter_mut().zip(b.iter_mut()).try_for_each(|(a, b)| a.merge(b))?;
            }
            (Kind::Classes(a), Kind::Classes(b)) => a.merge(b)?,
            _ => return Err(Invalid::new("performance of different tasks")),
        }
        self.rows += next.rows;
        self.unlabelled += next.unlabelled;
        self.failed += next.failed;
        Ok(self)
    }

    /// Errors: too many classes.
    pub fn finish(self) -> Result<Side, Invalid> {
        let Self { rows, unlabelled, failed, of } = self;
        let (of, sample) = match of {
            Kind::Numbers(losses) => {
                let [error, absolute, square] = losses.map(Losses::closed);
                (Of::Regression(Regression { error, absolute, square }), None)
            }
            Kind::Classes(it) => {
                let (classes, sample) = it.finish()?;
                (Of::Classification(classes), sample)
            }
        };
        let measures = Measures { target: None, prediction: None, rows, unlabelled, failed, of };
        Ok(Side { measures, sample })
    }
}

impl ClassCollector {
    fn add(&mut self, row: u64, target: Option<&str>, prediction: Option<&str>, scores: Option<&[f64]>) {
        let mut place = |name: Option<&str>| name.map_or(NONE, |name| self.classes.place(name));
        let (t, p) = (place(target), place(prediction));
        if target.is_some() {
            *self.cells.entry((t, p)).or_default() += 1;
        }
        let Some(scores) = scores.filter(|scores| is_usable(scores, self.of.len())) else {
            self.unusable += u64::from(target.is_some() && !self.of.is_empty());
            return;
        };
        let key = key(self.seed, self.chunk, row);
        if !self.of.is_empty() {
            self.sample.push(key, t, p, scores);
        }
        match (target, scores) {
            (None, _) | (_, []) => {}
            (Some(target), [score]) => {
                let is_true = target == self.of[0];
                self.log_loss.push(log_loss(if is_true { *score } else { 1.0 - score }));
                self.brier.push(brier::of_one(*score, is_true));
                let bin = &mut self.bins[bin(*score)];
                bin[2 * usize::from(is_held_out(key)) + usize::from(is_true)] += 1;
            }
            (Some(target), scores) => {
                let truth = self.of.binary_search_by(|name| name.as_str().cmp(target)).ok();
                self.log_loss.push(log_loss(truth.map_or(0.0, |truth| scores[truth])));
                self.brier.push(brier::of_several(scores, truth));
            }
        }
    }

    fn merge(&mut self, next: &mut Self) -> Result<(), Invalid> {
        let places = self.classes.absorb(&next.classes);
        for ((target, prediction), rows) in std::mem::take(&mut next.cells) {
            *self.cells.entry((moved(target, &places), moved(prediction, &places))).or_default() += rows;
        }
        self.unusable += next.unusable;
        self.log_loss.merge(&mut next.log_loss)?;
        self.brier.merge(&mut next.brier)?;
        for (bin, more) in self.bins.iter_mut().zip(&next.bins) {
            bin.iter_mut().zip(more).for_each(|(rows, more)| *rows += more);
        }
        self.sample.absorb(std::mem::take(&mut next.sample), &places);
        Ok(())
    }

    fn finish(self) -> Result<(Classification, Option<Sample>), Invalid> {
        if self.classes.is_over {
            return Err(Invalid::new("more than 256 classes"));
        }
        let (classes, places) = self.classes.sorted();
        let place = |class: u16| u64::from(moved(class, &places));
        let cells = self.cells.iter().map(|((t, p), rows)| [place(*t), place(*p), *rows]);
        let mut confusion: Vec<[u64; 3]> = cells.collect();
        confusion.sort_unstable();
        if self.of.is_empty() {
            return Ok((Classification { classes, confusion, probabilities: None }, None));
        }
        let probabilities = Some(Probabilities {
            of: self.of,
            unusable: self.unusable,
            log_loss: self.log_loss.closed(),
            brier: self.brier.closed(),
            bins: self.bins,
        });
        let sample = Some(self.sample.finished(&places));
        Ok((Classification { classes, confusion, probabilities }, sample))
    }
}

/// In which bin a probability is.
pub(super) fn bin(score: f64) -> usize {
    ((score * BINS as f64) as usize).min(BINS - 1)
}

fn is_usable(scores: &[f64], width: usize) -> bool {
    let within = scores.iter().all(|score| (0.0..=1.0).contains(score));
    let sum: f64 = scores.iter().sum();
    scores.len() == width && within && (width < 2 || (sum - 1.0).abs() <= SUM_ERROR)
}

impl Losses {
    fn push(&mut self, loss: f64) {
        self.pending.push(loss);
        if self.pending.len() == AT_ONCE {
            self.close();
        }
    }

    fn close(&mut self) {
        self.moments.add(&self.pending);
        self.pending.clear();
    }

    fn closed(mut self) -> Moments {
        self.close();
        self.moments
    }

    fn merge(&mut self, next: &mut Self) -> Result<(), Invalid> {
        self.close();
        next.close();
        self.moments = self.moments.merge(&next.moments)?;
        Ok(())
    }
}
