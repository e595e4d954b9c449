//! The files come from a builder that is trusted.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define, is_fingerprint, matches_any, named};
use crate::model::evidence::{self, EvidenceKind, Statement};
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
    /// Keys that must have signed it, in a DSSE envelope: SHA-256 in hexadecimal of the public key's PEM text, as for the
    /// gate signature. Empty: any, and none.
    #[serde(default)]
    keys: Vec<String>,
    /// Whose provenance counts, by who attached it; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

impl Provenance {
    fn is_signed(&self, provenance: &evidence::Provenance) -> bool {
        let is_listed = |key: &str| self.keys.iter().any(|one| one.eq_ignore_ascii_case(key));
        self.keys.is_empty() || provenance.key.as_deref().is_some_and(is_listed)
    }

    fn allows(&self, provenance: &evidence::Provenance) -> bool {
        !provenance.builder.trim().is_empty()
            && (self.builders.is_empty() || matches_any(&self.builders, &provenance.builder))
            && (self.build_types.is_empty() || matches_any(&self.build_types, &provenance.build_type))
    }
}

/// Whose word it is, for messages.
fn signed(provenance: &evidence::Provenance) -> String {
    match &provenance.key {
        Some(key) => format!("signed by key {}", key.chars().take(12).collect::<String>()),
        None => "not signed".to_owned(),
    }
}

impl Gate for Provenance {
    fn check(&self) -> Result<(), String> {
        match self.keys.iter().all(|key| is_fingerprint(key)) {
            true => Ok(()),
            false => Err("keys are 64 hexadecimal digits each".to_owned()),
        }
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let found: Vec<_> = facts
            .evidence(EvidenceKind::Provenance, &self.from)
            .filter_map(|evidence| match &evidence.statement {
                Statement::Provenance(provenance) => Some((evidence, provenance)),
                _ => None,
            })
            .collect();
        let (counted, others): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|(_, provenance)| self.is_signed(provenance));
        if let Some((evidence, provenance)) = counted.iter().rev().find(|(_, found)| self.allows(found)) {
            let by = format!("built by {} as {}", provenance.builder, provenance.build_type);
            let by = if self.keys.is_empty() { by } else { format!("{by}, {}", signed(provenance)) };
            return Verdict::pass(by).by([*evidence]);
        }
        let attach = match self.keys.is_empty() {
            true => attach(facts, EvidenceKind::Provenance),
            false => format!("{} --public-key KEY.pem", attach(facts, EvidenceKind::Provenance)),
        };
        if counted.is_empty() && others.is_empty() {
            return Verdict::wait("0 provenance statements that count").next(attach);
        }
        if counted.is_empty() {
            let whose =
                named(others.iter().map(|(_, found)| format!("{}: {}", found.builder, signed(found))));
            let count = others.len();
            return Verdict::wait(format!(
                "{count} provenance statements, none signed by a key that is allowed here: {whose}"
            ))
            .by(others.iter().map(|(evidence, _)| *evidence))
            .next(attach);
        }
        let builders =
            named(counted.iter().map(|(_, found)| format!("{} as {}", found.builder, found.build_type)));
        Verdict::fail(format!("{} provenance statements, none allowed here: {builders}", counted.len()))
            .by(counted.iter().map(|(evidence, _)| *evidence))
            .next(attach)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{built_by, facts, gate, say};
    use super::super::{Facts, GateSpec, Outcome};
    use crate::model::evidence::{Provenance, Statement};
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

    #[test]
    fn only_signed_provenance_counts_where_keys_are_listed() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let signed_by = |key: Option<&str>| {
            let Statement::Provenance(built) = built_by("https://ci.example.org/1") else { unreachable!() };
            Statement::Provenance(Provenance { key: key.map(str::to_owned), ..built })
        };
        let mut facts = facts();
        let judge = |facts: &Facts| gate("provenance", json!({ "keys": [a.to_uppercase()] })).judge(facts);
        assert_eq!(judge(&facts).outcome, Outcome::Wait);
        say(&mut facts, "ci", 1, signed_by(None));
        let verdict = judge(&facts);
        assert_eq!(verdict.outcome, Outcome::Wait);
        assert!(verdict.reason.contains("https://ci.example.org/1: not signed"), "{}", verdict.reason);
        assert!(verdict.next.unwrap().ends_with("--public-key KEY.pem"));
        assert_eq!(gate("provenance", json!({})).judge(&facts).outcome, Outcome::Pass);
        say(&mut facts, "ci", 2, signed_by(Some(&b)));
        let verdict = judge(&facts);
        assert_eq!(verdict.outcome, Outcome::Wait);
        assert!(verdict.reason.contains("signed by key bbbbbbbbbbbb"), "{}", verdict.reason);
        say(&mut facts, "ci", 3, signed_by(Some(&a)));
        assert_eq!(judge(&facts).outcome, Outcome::Pass);
        let parameters = json!({ "keys": [a], "builders": ["https://other.example.org/*"] });
        assert_eq!(gate("provenance", parameters).judge(&facts).outcome, Outcome::Fail);
        let bad = json!({ "keys": ["ab"] }).as_object().cloned().unwrap();
        assert!(GateSpec::new("provenance", bad).is_err());
    }
}
