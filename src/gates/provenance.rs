//! The files come from a builder that is trusted.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define, matches_any, named};
use crate::model::evidence::{EvidenceKind, Statement};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<Provenance>(
    "provenance",
    "SLSA provenance says how the files were made, by a builder that is allowed.",
    Some(EvidenceKind::Provenance),
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Provenance {
    /// Allowed builders by id: exact, or up to a `*` at the end. Empty: any that is named.
    #[serde(default)]
    builders: Vec<String>,
    /// Allowed build types: exact, or up to a `*` at the end. Empty: any.
    #[serde(default)]
    build_types: Vec<String>,
    /// Whose provenance counts, by who attached it; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

impl Gate for Provenance {
    fn judge(&self, facts: &Facts) -> Verdict {
        let found: Vec<_> = facts
            .evidence(EvidenceKind::Provenance, &self.from)
            .filter_map(|evidence| match &evidence.statement {
                Statement::Provenance(provenance) => Some((evidence, provenance)),
                _ => None,
            })
            .collect();
        let allowed = found.iter().rev().find(|(_, provenance)| {
            !provenance.builder.trim().is_empty()
                && (self.builders.is_empty() || matches_any(&self.builders, &provenance.builder))
                && (self.build_types.is_empty() || matches_any(&self.build_types, &provenance.build_type))
        });
        if let Some((evidence, provenance)) = allowed {
            return Verdict::pass(format!("built by {} as {}", provenance.builder, provenance.build_type))
                .by([*evidence]);
        }
        let attach = attach(facts, EvidenceKind::Provenance);
        if found.is_empty() {
            return Verdict::wait("0 provenance statements that count").next(attach);
        }
        let builders =
            named(found.iter().map(|(_, found)| format!("{} as {}", found.builder, found.build_type)));
        Verdict::fail(format!("{} provenance statements, none allowed here: {builders}", found.len()))
            .by(found.iter().map(|(evidence, _)| *evidence))
            .next(attach)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{built_by, facts, gate, say};
    use super::super::{Facts, Outcome};
    use serde_json::json;

    #[test]
    fn builders_and_types() {
        let mut facts = facts();
        let outcome = |facts: &Facts, parameters| gate("provenance", parameters).judge(facts).outcome;
        assert_eq!(outcome(&facts, json!({})), Outcome::Wait);
        say(&mut facts, "ci", 1, built_by(" "));
        assert_eq!(outcome(&facts, json!({})), Outcome::Fail, "no builder is named");
        say(&mut facts, "ci", 2, built_by("https://ci.example.org/runner/7"));
        assert_eq!(outcome(&facts, json!({})), Outcome::Pass);
        assert_eq!(outcome(&facts, json!({ "builders": ["https://ci.example.org/*"] })), Outcome::Pass);
        assert_eq!(outcome(&facts, json!({ "builders": ["https://ci.example.org/"] })), Outcome::Fail);
        assert_eq!(outcome(&facts, json!({ "build_types": ["other"] })), Outcome::Fail);
    }
}
