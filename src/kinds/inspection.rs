//! What an inspection found: facts read from the bytes, never claims of whoever pushed them.

use super::vendor::Finetune;
use crate::error::Error;
use crate::model::kind::{Kind, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Lists in an inspection stop here, so that a hostile artifact cannot make its report large.
const MAX_ENTRIES: usize = 100;
const MAX_TEXT: usize = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Safety {
    /// Everything that had to be read was read, and nothing in it runs code when loaded.
    Safe,
    /// Pickle-class content: loading it can run code.
    Unsafe,
    /// Something could not be read, looked into, or contradicts itself. Not the same as safe.
    Unknown,
}

/// Content that can run code when loaded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Path in the artifact; members of archives follow after `!`.
    pub path: String,
    pub what: String,
}

/// Why a file (or a member of an archive) could not be vouched for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    pub path: String,
    pub reason: String,
}

/// What `adapter_config.json` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Adapter {
    /// PEFT's name of the method, e.g. `LORA`.
    pub method: Option<String>,
    pub rank: Option<u64>,
    /// As written, because it may be a fraction.
    pub alpha: Option<String>,
    pub target_modules: Vec<String>,
    pub modules_to_save: Vec<String>,
    pub task_type: Option<String>,
    /// Why the base was probably quantised while training (QLoRA), if anything says so.
    pub quantized_base: Option<String>,
}

/// The registry's own reading of an artifact, recorded under its manifest digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inspection {
    pub kind: Kind,
    pub tier: Tier,
    /// Every weight format present, e.g. `safetensors`; also those beside the one that decides the kind.
    pub formats: BTreeSet<String>,
    pub architecture: Option<String>,
    /// Sum of the element counts of all tensors (ONNX: initializers); absent if there are none to count.
    pub parameters: Option<u64>,
    /// Data type → number of parameters stored in it.
    pub dtypes: BTreeMap<String, u64>,
    pub tensors: Option<u64>,
    pub adapter: Option<Adapter>,
    /// The descriptor of a vendor-managed fine-tune.
    pub finetune: Option<Finetune>,
    /// The base model as the files name it: a name, not a digest.
    pub base: Option<String>,
    pub context_length: Option<u64>,
    pub quantization: Option<String>,
    /// Facts of one format only, e.g. `onnx.opset`, `gguf.version`.
    pub facts: BTreeMap<String, String>,
    /// Files that the model refers to by path (ONNX external data).
    pub external_data: BTreeSet<String>,
    pub safety: Safety,
    pub findings: Vec<Finding>,
    pub problems: Vec<Problem>,
    /// A weight file whose header cannot be what it claims to be.
    #[serde(skip)]
    pub unreadable: Option<Problem>,
}

impl Default for Inspection {
    fn default() -> Self {
        Self::new(Kind::Files)
    }
}

impl Inspection {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            tier: kind.tier(),
            formats: BTreeSet::new(),
            architecture: None,
            parameters: None,
            dtypes: BTreeMap::new(),
            tensors: None,
            adapter: None,
            finetune: None,
            base: None,
            context_length: None,
            quantization: None,
            facts: BTreeMap::new(),
            external_data: BTreeSet::new(),
            safety: Safety::Unknown,
            findings: Vec::new(),
            problems: Vec::new(),
            unreadable: None,
        }
    }

    /// What a person who pushes should know of it, a line each.
    pub fn notes(&self) -> Vec<String> {
        let findings = self
            .findings
            .iter()
            .map(|finding| format!("runs code when loaded: {}: {}", finding.path, finding.what));
        let problems = self
            .problems
            .iter()
            .map(|problem| format!("not vouched for: {}: {}", problem.path, problem.reason));
        findings.chain(problems).collect()
    }

    pub(super) fn finding(&mut self, path: &str, what: impl AsRef<str>) {
        let finding = Finding { path: bounded(path), what: bounded(what.as_ref()) };
        if self.findings.len() < MAX_ENTRIES && !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    pub(super) fn problem(&mut self, path: &str, reason: impl AsRef<str>) {
        let problem = Problem { path: bounded(path), reason: bounded(reason.as_ref()) };
        if self.problems.len() < MAX_ENTRIES && !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    pub(super) fn failed(&mut self, path: &str, error: &Error) {
        self.problem(path, &error.message);
    }

    /// The same of a file that is nothing if its header is wrong.
    pub(super) fn unreadable(&mut self, path: &str, error: &Error) {
        self.failed(path, error);
        self.unreadable
            .get_or_insert_with(|| Problem { path: bounded(path), reason: bounded(&error.message) });
    }

    pub(super) fn fact(&mut self, name: &str, value: impl ToString) {
        if self.facts.len() < MAX_ENTRIES {
            self.facts.insert(name.to_owned(), bounded(&value.to_string()));
        }
    }

    /// Adds one file's tensors; a sum that does not fit is a problem of that file.
    pub(super) fn count(&mut self, path: &str, counts: &Counts) {
        let sum = |total: Option<u64>, more: u64| total.unwrap_or(0).checked_add(more);
        match (sum(self.parameters, counts.parameters), sum(self.tensors, counts.tensors)) {
            (Some(parameters), Some(tensors)) => {
                self.parameters = Some(parameters);
                self.tensors = Some(tensors);
                for (dtype, parameters) in &counts.dtypes {
                    // Cannot overflow: each is part of `parameters`, which did not.
                    *self.dtypes.entry(dtype.clone()).or_default() += parameters;
                }
            }
            _ => self.problem(path, "the parameter count does not fit 64 bits"),
        }
    }

    pub(super) fn conclude(mut self) -> Self {
        self.safety = match (self.findings.is_empty(), self.problems.is_empty()) {
            (false, _) => Safety::Unsafe,
            (true, false) => Safety::Unknown,
            (true, true) => Safety::Safe,
        };
        self.findings.sort();
        self.problems.sort();
        self
    }
}

/// Tensors and elements of one file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) parameters: u64,
    pub(super) tensors: u64,
    pub(super) dtypes: BTreeMap<String, u64>,
}

impl Counts {
    pub(super) fn add(&mut self, dtype: &str, elements: u64) -> crate::error::Result<()> {
        self.parameters = self
            .parameters
            .checked_add(elements)
            .ok_or_else(|| super::reader::malformed("the parameter count does not fit 64 bits"))?;
        self.tensors += 1;
        match self.dtypes.get_mut(dtype) {
            Some(count) => *count += elements,
            None => {
                self.dtypes.insert(dtype.to_owned(), elements);
            }
        }
        Ok(())
    }
}

/// Text from a file made fit for a report: no control characters, bounded length.
pub(super) fn bounded(text: &str) -> String {
    let mut safe: String = text
        .chars()
        .take(MAX_TEXT)
        .flat_map(|char| {
            let escape = char.is_control().then(|| char.escape_default());
            let keep = escape.is_none().then_some(char);
            escape.into_iter().flatten().chain(keep)
        })
        .collect();
    if text.chars().nth(MAX_TEXT).is_some() {
        safe.push('…');
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn safety_fails_closed() {
        let mut found = Inspection::new(Kind::Files);
        assert_eq!(found.clone().conclude().safety, Safety::Safe);
        found.problem("a", "unreadable");
        assert_eq!(found.clone().conclude().safety, Safety::Unknown);
        found.finding("a", "pickle");
        assert_eq!(found.conclude().safety, Safety::Unsafe);
        assert_eq!(Inspection::default().safety, Safety::Unknown, "nothing read yet is not safe");
    }

    #[test]
    fn reports_stay_small_and_printable() {
        let mut found = Inspection::new(Kind::Files);
        for n in 0..10_000 {
            found.problem(&format!("{n}"), "x".repeat(10_000));
            found.finding(&format!("{n}\u{1b}[31m"), "y");
        }
        assert_eq!((found.problems.len(), found.findings.len()), (MAX_ENTRIES, MAX_ENTRIES));
        assert!(found.problems.iter().all(|problem| problem.reason.chars().count() <= MAX_TEXT + 1));
        assert_eq!(found.findings[0].path, "0\\u{1b}[31m");
    }

    #[test]
    fn counts_refuse_to_overflow() {
        let mut counts = Counts::default();
        counts.add("F32", u64::MAX).unwrap();
        assert!(counts.add("F32", 1).is_err());
        let mut found = Inspection::new(Kind::Safetensors);
        found.count("a", &counts);
        found.count("b", &counts);
        assert_eq!(found.parameters, Some(u64::MAX));
        assert_eq!(found.problems.len(), 1);
    }

    #[test]
    fn unknown_fields_are_read_over() {
        let found: Inspection =
            serde_json::from_str(r#"{"kind":"gguf","tier":"weights","later":1}"#).unwrap();
        assert_eq!((found.kind, found.safety), (Kind::Gguf, Safety::Unknown));
    }
}
