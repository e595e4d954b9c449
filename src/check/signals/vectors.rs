//! Columns of vectors, which no profile keeps.

use super::super::request::Request;
use super::super::side::Source;
use super::watch::Watch;
use crate::drift::compare::{Finding, Rules, Vectors, examine_vectors};
use crate::error::Result;

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
