//! Log loss: what the probabilities that were given to the true classes cost, in nats.

/// `-ln p` of the probability given to what is true; 0 counts as the least step from 1, as scikit-learn has it.
pub(super) fn log_loss(probability: f64) -> f64 {
    // From 1 on, and not -0.
    0.0 - probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln()
}
