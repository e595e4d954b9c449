//! Somebody who may has signed the files.

use super::{Definition, Facts, Gate, Source, Verdict, attach, define, is_fingerprint, matches_any, named};
use crate::model::evidence::{self, EvidenceKind, SignatureMethod, Statement};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<Signature>(
    "signature",
    "A model signature over the files, checked when it came, is by a key or certificate that is allowed.",
    Some(EvidenceKind::Signature),
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Signature {
    /// Allowed keys: SHA-256 in hexadecimal of the public key's PEM text, or of a certificate's DER. With no keys,
    /// roots and identities at all: any.
    #[serde(default)]
    keys: Vec<String>,
    /// Certificates that may vouch for others: SHA-256 in hexadecimal of the DER.
    #[serde(default)]
    roots: Vec<String>,
    /// Whom a certificate that one of the roots vouches for must be made out to: exact, or up to a `*` at the end.
    /// Empty: anyone.
    #[serde(default)]
    identities: Vec<String>,
    /// Whose signatures count, by who attached them; empty: anyone's.
    #[serde(default)]
    from: Vec<Source>,
}

impl Signature {
    fn allows(&self, signature: &evidence::Signature) -> bool {
        let is_in = |list: &[String], print: &str| list.iter().any(|one| one.eq_ignore_ascii_case(print));
        if self.keys.is_empty() && self.roots.is_empty() {
            return true;
        }
        let vouched_for = signature.method == SignatureMethod::Certificate
            && signature.root.as_deref().is_some_and(|root| is_in(&self.roots, root));
        let is_named = self.identities.is_empty()
            || signature.identity.as_deref().is_some_and(|identity| matches_any(&self.identities, identity));
        is_in(&self.keys, &signature.key) || vouched_for && is_named
    }
}

impl Gate for Signature {
    fn check(&self) -> Result<(), String> {
        if !self.keys.iter().chain(&self.roots).all(|print| is_fingerprint(print)) {
            return Err("keys and roots are 64 hexadecimal digits each".to_owned());
        }
        // Anyone can make a certificate out to anyone.
        if !self.identities.is_empty() && self.roots.is_empty() {
            return Err("identities prove nothing without roots".to_owned());
        }
        Ok(())
    }

    fn judge(&self, facts: &Facts) -> Verdict {
        let signatures: Vec<_> = facts
            .evidence(EvidenceKind::Signature, &self.from)
            .filter_map(|evidence| match &evidence.statement {
                Statement::Signature(signature) => Some((evidence, signature)),
                _ => None,
            })
            .collect();
        let sign = attach(facts, EvidenceKind::Signature);
        if let Some((evidence, signature)) =
            signatures.iter().rev().find(|(_, signature)| self.allows(signature))
        {
            return Verdict::pass(format!("signed by {}", signature.signer())).by([*evidence]);
        }
        if signatures.is_empty() {
            return Verdict::wait("0 signatures that count").next(sign);
        }
        let by = named(signatures.iter().map(|(_, signature)| signature.signer()));
        Verdict::wait(format!("{} signatures, none of them allowed here: {by}", signatures.len()))
            .by(signatures.iter().map(|(evidence, _)| *evidence))
            .next(sign)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{facts, gate, say, signature};
    use super::super::{GateSpec, Outcome};
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_roots_and_identities() {
        let (a, b, root) = ("a".repeat(64), "b".repeat(64), "c".repeat(64));
        let mut facts = facts();
        let outcome = |facts: &Facts, parameters| gate("signature", parameters).judge(facts).outcome;
        assert_eq!(outcome(&facts, json!({})), Outcome::Wait);
        say(&mut facts, "ci", 1, signature(&a, None));
        assert_eq!(outcome(&facts, json!({})), Outcome::Pass);
        assert_eq!(outcome(&facts, json!({ "keys": [a.to_uppercase()] })), Outcome::Pass);
        assert_eq!(outcome(&facts, json!({ "keys": [b] })), Outcome::Wait);
        let by_root = json!({ "roots": [root], "identities": ["https://ci.example.org/*"] });
        assert_eq!(outcome(&facts, by_root.clone()), Outcome::Wait, "a key is vouched for by nobody");
        say(&mut facts, "ci", 2, signature(&b, Some((&root, "https://elsewhere.example.org/x"))));
        assert_eq!(outcome(&facts, by_root.clone()), Outcome::Wait);
        say(&mut facts, "ci", 3, signature(&b, Some((&a, "https://ci.example.org/x"))));
        assert_eq!(outcome(&facts, by_root.clone()), Outcome::Wait, "another root");
        say(&mut facts, "ci", 4, signature(&b, Some((&root, "https://ci.example.org/x"))));
        assert_eq!(outcome(&facts, by_root), Outcome::Pass);
    }

    #[test]
    fn refuses_lists_that_prove_nothing() {
        for bad in [json!({ "keys": ["ab"] }), json!({ "identities": ["me"] })] {
            assert!(GateSpec::new("signature", bad.as_object().cloned().unwrap()).is_err(), "{bad}");
        }
    }
}
