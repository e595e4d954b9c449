//! Brier's score (Monthly Weather Review 78, 1950): squared distances of probabilities from what came true.

/// Of the probability of one class: 0 to 1.
pub(super) fn of_one(probability: f64, is_true: bool) -> f64 {
    let distance = probability - f64::from(u8::from(is_true));
    distance * distance
}

/// Of those of all classes, added up: 0 to 2. A true class that is not among them had none.
pub(super) fn of_several(probabilities: &[f64], truth: Option<usize>) -> f64 {
    let unknown = f64::from(u8::from(truth.is_none()));
    let class = |(class, p): (usize, &f64)| of_one(*p, truth == Some(class));
    probabilities.iter().enumerate().map(class).sum::<f64>() + unknown
}
