//! The base model is named so that it cannot change under the name.

use super::{Definition, Facts, Gate, Verdict, define};
use crate::model::digest::{Digest, shorten};
use schemars::JsonSchema;
use serde::Deserialize;

pub const GATE: Definition = define::<BasePinned>(
    "base_pinned",
    "The base model is named with a commit or a digest; a vendor's fine-tune names the vendor's base.",
    None,
);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct BasePinned {}

/// `hf:org/model@COMMIT`, anything `@` a digest, or a digest.
pub fn is_pinned(base: &str) -> bool {
    let (name, revision) = base.rsplit_once('@').unwrap_or(("", base));
    if revision.parse::<Digest>().is_ok() {
        return base == revision || !name.is_empty();
    }
    // Hugging Face commits are Git's: SHA-1 or SHA-256 in hexadecimal.
    let is_commit = matches!(revision.len(), 40 | 64)
        && revision.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let model = name.strip_prefix("hf:").and_then(|model| model.split_once('/'));
    is_commit && model.is_some_and(|(org, model)| !org.is_empty() && !model.is_empty())
}

impl Gate for BasePinned {
    fn judge(&self, facts: &Facts) -> Verdict {
        let candidate = &facts.candidate;
        // A vendor's base has no digest that anyone outside could check: its id is all there is.
        if let Some(finetune) = &candidate.inspection.finetune {
            return match finetune.base.trim() {
                "" => Verdict::fail("the fine-tune's descriptor names no base"),
                base => Verdict::pass(format!("{} of {} is the base", shorten(base), finetune.vendor)),
            };
        }
        let push = "push it again with --base hf:org/model@COMMIT or NAME@sha256:…";
        match &candidate.base {
            None => Verdict::fail("no base model is named").next(push),
            Some(base) if is_pinned(base) => Verdict::pass(format!("the base is {base}")),
            Some(base) => Verdict::fail(format!("the base can change under its name: {base}")).next(push),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, tests::facts};
    use super::*;

    #[test]
    fn a_branch_or_a_short_commit_is_no_pin() {
        let (commit, sha256) = ("0123456789abcdef".repeat(4), "ab".repeat(32));
        for good in [
            format!("hf:org/model@{}", &commit[..40]),
            format!("hf:org/model@{commit}"),
            format!("acme/base@sha256:{sha256}"),
            format!("sha256:{sha256}"),
        ] {
            assert!(is_pinned(&good), "{good}");
        }
        for bad in [
            "org/model".to_owned(),
            "hf:org/model@main".to_owned(),
            format!("hf:org/model@{}", &commit[..39]),
            format!("hf:model@{}", &commit[..40]),
            format!("hf:/@{}", &commit[..40]),
            format!("acme/base@{}", &commit[..40]),
            format!("acme/base@sha256:{}", &sha256[1..]),
            format!("@sha256:{sha256}"),
            commit,
        ] {
            assert!(!is_pinned(&bad), "{bad}");
        }
    }

    #[test]
    fn no_base_fails() {
        let mut facts = facts();
        assert_eq!(BasePinned {}.judge(&facts).outcome, Outcome::Pass);
        facts.candidate.base = None;
        assert_eq!(BasePinned {}.judge(&facts).outcome, Outcome::Fail);
        facts.candidate.inspection.finetune = Some(super::super::tests::finetune());
        assert_eq!(BasePinned {}.judge(&facts).outcome, Outcome::Pass);
    }
}
