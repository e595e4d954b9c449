//! Vendor-managed fine-tunes: the vendor keeps the weights, the registry keeps a descriptor,
//! `finetune.yaml` (or `.yml`, `.json`), in the strict format below.

use super::reader::malformed;
use super::{Files, Format, Inspection};
use crate::error::{Error, Result};
use crate::model::digest::shorten;
use crate::model::json::parse_strict;
use crate::model::kind::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub(super) const FORMAT: Format = Format {
    kind: Kind::VendorFinetune,
    recognises: |files| {
        NAMES.iter().any(|name| files.get(name).is_some())
            && files.only_text_beside(|view| NAMES.contains(&view.path))
    },
    inspect,
};

const NAMES: [&str; 3] = ["finetune.yaml", "finetune.yml", "finetune.json"];
const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 8;
const MAX_FILES: usize = 10_000;
const MAX_TEXT: usize = 500;

/// A fine-tune that lives at a vendor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finetune {
    /// Who keeps and serves the weights, e.g. `openai`.
    pub vendor: String,
    /// The vendor's id of the fine-tuned model: what a consumer calls.
    pub model: String,
    /// The vendor's id of the model it was made from.
    pub base: String,
    /// How, e.g. `supervised`, `dpo`.
    pub method: String,
    /// What it was trained on: lineage that can be checked.
    pub training_files: Vec<TrainingFile>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hyperparameters: BTreeMap<String, Scalar>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainingFile {
    pub name: String,
    /// 64 lower-case hexadecimal digits, without prefix.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Scalar {
    Truth(bool),
    Whole(i64),
    Fraction(f64),
    Text(String),
}

impl Finetune {
    /// Reads and checks a descriptor; JSON if `path` ends in `.json`, otherwise YAML. At most 1 MiB.
    /// Errors: `finetune_invalid`, and those of [`parse_strict`].
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Self> {
        let invalid = |what: String| {
            Error::invalid("finetune_invalid", format!("not a fine-tune descriptor: {what}")).hint(
                "a descriptor has vendor, model, base, method, training_files and optional hyperparameters",
            )
        };
        if bytes.len() > MAX_BYTES {
            return Err(invalid(format!("larger than {MAX_BYTES} bytes")));
        }
        // The YAML scanner takes quadratic time on nested brackets, so they are counted before it runs.
        if !path.ends_with(".json") && bracket_depth(bytes) > MAX_DEPTH {
            return Err(invalid("nested too deeply".into()));
        }
        let parsed: Self = if path.ends_with(".json") {
            serde_json::from_value(parse_strict(bytes, MAX_DEPTH)?)
                .map_err(|error| invalid(error.to_string()))?
        } else {
            serde_norway::from_slice(bytes).map_err(|error| invalid(error.to_string()))?
        };
        parsed.check().map_err(invalid)?;
        Ok(parsed)
    }

    fn check(&self) -> Result<(), String> {
        let files = self.training_files.iter().map(|file| &file.name);
        let texts = [&self.vendor, &self.model, &self.base, &self.method].into_iter().chain(files);
        for text in texts.chain(self.hyperparameters.keys()) {
            if text.trim() != text
                || text.is_empty()
                || text.len() > MAX_TEXT
                || text.contains(char::is_control)
            {
                return Err(format!("a text is empty, padded, too long or not printable: {}", shorten(text)));
            }
        }
        if self.training_files.is_empty() || self.training_files.len() > MAX_FILES {
            return Err(format!("needs 1 to {MAX_FILES} training files"));
        }
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match self.training_files.iter().find(|file| file.sha256.len() != 64 || !file.sha256.bytes().all(hex))
        {
            Some(file) => Err(format!("not a SHA-256 of a training file: {}", shorten(&file.sha256))),
            None => Ok(()),
        }
    }
}

/// How deep brackets nest, quoted ones included: a bound, not a parse.
fn bracket_depth(bytes: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0usize, 0);
    for byte in bytes {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn inspect(files: &Files, found: &mut Inspection) {
    let mut descriptors = NAMES.iter().filter_map(|name| files.get(name));
    let Some(view) = descriptors.next() else { return };
    if descriptors.next().is_some() {
        return found.problem(view.path, "the artifact has more than one fine-tune descriptor");
    }
    let parsed = files.reader(view).whole(MAX_BYTES).and_then(|bytes| Finetune::parse(view.path, &bytes));
    match parsed {
        Ok(finetune) => {
            found.base = Some(finetune.base.clone());
            found.facts.insert("finetune.vendor".into(), finetune.vendor.clone());
            found.finetune = Some(finetune);
        }
        Err(error) => found.failed(view.path, &malformed(error.message)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Safety;
    use super::super::tests::inspect_bytes;
    use super::*;

    fn yaml() -> String {
        format!(
            "vendor: openai\nmodel: ft:gpt-4o-mini:acme::1\nbase: gpt-4o-mini\nmethod: dpo\n\
             training_files:\n  - {{name: a.jsonl, sha256: {}}}\nhyperparameters: {{n_epochs: 3, lr: 0.5, auto: true}}\n",
            "ab".repeat(32)
        )
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let parsed = Finetune::parse("finetune.yaml", yaml().as_bytes()).unwrap();
        let json = serde_json::to_vec(&parsed).unwrap();
        assert_eq!(Finetune::parse("finetune.json", &json).unwrap(), parsed);
        assert_eq!(parsed.hyperparameters["n_epochs"], Scalar::Whole(3));
        let found = inspect_bytes(&[("finetune.json", &json)]);
        assert_eq!((found.kind, found.safety), (Kind::VendorFinetune, Safety::Safe));
        assert_eq!((found.base.as_deref(), found.finetune), (Some("gpt-4o-mini"), Some(parsed)));
    }

    #[test]
    fn descriptors_are_strict() {
        for (from, to) in [
            ("vendor: openai\n", ""),
            ("vendor: openai\n", "vendor: openai\nvendor: other\n"),
            ("vendor: openai\n", "vendor: ''\n"),
            ("vendor: openai\n", "vendor: openai\nmore: 1\n"),
            ("vendor: openai\n", "vendor: [openai]\n"),
            ("name: a.jsonl", "name: a.jsonl, more: 1"),
            ("name: a.jsonl", "name: \"a\\n\""),
            ("n_epochs: 3", "n_epochs: [3]"),
            ("sha256: abab", "sha256: ABAB"),
            ("sha256: abab", "sha256: ab"),
        ] {
            let text = yaml().replacen(from, to, 1);
            assert_ne!(text, yaml());
            assert_eq!(
                Finetune::parse("finetune.yaml", text.as_bytes()).unwrap_err().code,
                "finetune_invalid",
                "{text}"
            );
            assert_eq!(inspect_bytes(&[("finetune.yaml", text.as_bytes())]).safety, Safety::Unknown);
        }
        let empty = yaml().split("training_files").next().unwrap().to_owned() + "training_files: []\n";
        assert!(Finetune::parse("finetune.yaml", empty.as_bytes()).is_err());
        assert_eq!(
            Finetune::parse("finetune.json", br#"{"vendor":1,"vendor":2}"#).unwrap_err().code,
            "json_duplicate_key"
        );
        assert!(Finetune::parse("finetune.yaml", &vec![b' '; MAX_BYTES + 1]).is_err());
    }

    #[test]
    fn yaml_bombs_end_early() {
        let bomb = (1..30).fold("a0: &a0 [x,x]\n".to_owned(), |text, n| {
            text + &format!("a{n}: &a{n} [*a{p},*a{p},*a{p},*a{p}]\n", p = n - 1)
        });
        let deep = "[".repeat(100_000);
        for hostile in [
            &bomb,
            &deep,
            &format!("hyperparameters: {deep}"),
            &"{a: ".repeat(100_000),
            &"- ".repeat(100_000),
        ] {
            assert_eq!(
                Finetune::parse("finetune.yaml", hostile.as_bytes()).unwrap_err().code,
                "finetune_invalid"
            );
        }
    }

    #[test]
    fn a_descriptor_beside_anything_but_text_does_not_make_a_fine_tune() {
        let yaml = yaml();
        let with = |content: &[u8]| inspect_bytes(&[("finetune.yaml", yaml.as_bytes()), ("x", content)]).kind;
        assert_eq!(with("# Read me, café\n".as_bytes()), Kind::VendorFinetune);
        assert_eq!(with(b"\0\0\x80\x3f"), Kind::Files);
        assert_eq!(with(&[0xc3, 0x28, 0x41]), Kind::Files);
        assert_eq!(with(&vec![b'a'; 5 << 20]), Kind::Files);
    }

    #[test]
    fn two_descriptors_are_one_too_many() {
        let found = inspect_bytes(&[("finetune.yaml", yaml().as_bytes()), ("finetune.json", b"{}")]);
        assert_eq!(found.safety, Safety::Unknown);
    }
}
