//! The fields of outputs that are JSON.

use super::super::side::Source;
use crate::drift::profile::Kind;
use crate::drift::signals::{Derived, Field, SAMPLE, propose};
use crate::error::Result;

/// Bytes of outputs that are looked at to find out which fields they have.
const SAMPLE_BYTES: usize = 32 << 20;

/// Those that most outputs of the first side have that knows them; a profile says which were taken when it was made. Errors:
/// a table cannot be read.
pub(super) fn fields(output: &str, sources: &[&Source]) -> Result<Vec<Derived>> {
    let Some(first) = sources.iter().find(|source| has(source, output)) else { return Ok(vec![]) };
    let start = format!("{output}:$");
    let fields: Vec<(Field, Kind)> = match first.as_profile() {
        Some(profile) => {
            let columns = profile.columns().iter().filter(|column| column.name().starts_with(&start));
            let field = |name: &str| Field::parse(&name[start.len() - 1..]).ok();
            columns.filter_map(|column| Some((field(column.name())?, column.kind()))).collect()
        }
        None => {
            let texts = first.texts(output, SAMPLE, SAMPLE_BYTES)?;
            propose(texts.iter().map(String::as_str))
        }
    };
    let derived = |(field, kind): (Field, Kind)| {
        let signal = field.signal(kind);
        Derived { name: format!("{output}:{}", signal.name()), source: output.to_owned(), signal }
    };
    Ok(fields.into_iter().map(derived).collect())
}

fn has(source: &Source, output: &str) -> bool {
    let is_derived = |name: &str| name.strip_prefix(output).is_some_and(|rest| rest.starts_with(':'));
    match source.as_profile() {
        Some(profile) => profile.columns().iter().any(|column| is_derived(column.name())),
        None => source.columns().iter().any(|name| name == output),
    }
}
