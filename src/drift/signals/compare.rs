//! An adapter beside its base.

use super::{Kind, Signal, Text, Value};

/// For a column with the digest of the base model that answered: whether it is another than the adapter was made for.
/// Case and the name of the algorithm before a colon do not matter. Missing without a digest.
pub fn base_mismatch(expected: &str) -> Signal {
    let expected = bare(expected);
    let rule = move |text: &Text<'_>| match bare(text.as_str()) {
        found if found.is_empty() => Value::Missing,
        found => Value::Boolean(found != expected),
    };
    Signal::new(
        "base_mismatch",
        Kind::Boolean,
        "the base model is not the one the adapter was made for",
        rule,
    )
}

fn bare(digest: &str) -> String {
    digest.rsplit(':').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// For a column that says whether the answer was preferred to the base model's: 1, ½ for a tie, 0; its mean is the win
/// rate. Other for what does not say.
pub fn win() -> Signal {
    let about = "1 if the answer beat the base model's, 0.5 for a tie, 0 if it lost";
    Signal::new("win", Kind::Numeric, about, |text: &Text<'_>| {
        match text.as_str().trim().to_ascii_lowercase().as_str() {
            "" => Value::Missing,
            "win" | "won" | "better" | "true" | "yes" | "1" | "1.0" | "adapter" | "candidate" => {
                Value::Number(1.0)
            }
            "tie" | "tied" | "equal" | "same" | "both" | "draw" | "0.5" => Value::Number(0.5),
            "loss" | "lose" | "lost" | "worse" | "false" | "no" | "0" | "0.0" | "base" | "baseline" => {
                Value::Number(0.0)
            }
            _ => Value::Other,
        }
    })
}
