//! Model cards as a README: Markdown, in front of it YAML as Hugging Face has it.
//!
//! A section's text is the part its heading names. Headings that say the same in other words share a part. A section
//! under a heading that is not known as a part's name counts for the nearest one above that is, so that
//! "Limitations" may be divided; one that is known counts for itself only.

use super::document::Document;
use super::model_card::{MAX_NAME, MAX_PARTS, card, cut};
use super::{About, Format, Read, bounded};
use crate::error::{Error, Result};
use crate::model::evidence::EvidenceKind;
use crate::model::yaml;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const FORMAT: Format = Format {
    name: "a model card in Markdown",
    kind: EvidenceKind::ModelCard,
    recognises: |document| {
        document
            .text()
            .map(str::trim_start)
            .is_some_and(|text| text.starts_with('#') || text.starts_with("---"))
    },
    read,
};

/// Entries of the front matter that become parts.
const ENTRIES: [&str; 9] = [
    "license",
    "license_name",
    "license_link",
    "base_model",
    "datasets",
    "language",
    "library_name",
    "pipeline_tag",
    "tags",
];

/// Headings by the part they stand for, as `snake` writes them.
const HEADINGS: [(&str, &[&str]); 8] = [
    (
        "intended_use",
        &[
            "intended_uses",
            "intended_use",
            "uses",
            "use_cases",
            "direct_use",
            "downstream_use",
            "intended_uses_limitations",
        ],
    ),
    (
        "limitations",
        &[
            "limitations",
            "limitations_and_bias",
            "bias_risks_and_limitations",
            "bias_and_limitations",
            "risks_and_limitations",
            "known_limitations",
            "out_of_scope_use",
            "out_of_scope_uses",
        ],
    ),
    ("training_data", &["training_data", "training_dataset", "training_datasets"]),
    ("training_procedure", &["training_procedure", "training"]),
    ("evaluation", &["evaluation", "evaluation_results", "results", "metrics", "performance"]),
    ("ethical_considerations", &["ethical_considerations", "ethics", "ethical_considerations_and_risks"]),
    ("license", &["license", "licence", "licensing"]),
    ("contact", &["contact", "model_card_contact"]),
];

/// Bytes of front matter.
const MAX_FRONT: usize = 256 << 10;
/// Text beyond this is not gathered for a part: room for what is then taken out.
const MAX_GATHERED: usize = 100_000;

fn read(document: Document, _: &About) -> Result<Vec<Read>> {
    let (front, body) = divide(document.text().unwrap_or_default())?;
    let mut parts = sections(body);
    for name in ENTRIES {
        if let Some(text) = plain(&front[name]).filter(|text| !text.is_empty()) {
            // What machines read wins over prose: an allow-list compares licences with it.
            parts.insert(name.to_owned(), text);
        }
    }
    card(parts)
}

fn divide(text: &str) -> Result<(Value, &str)> {
    let wrong = |what: String| Error::invalid("model_card_invalid", what);
    let Some(rest) =
        text.strip_prefix("---").filter(|rest| rest.trim_start_matches([' ', '\r']).starts_with('\n'))
    else {
        return Ok((Value::Null, text));
    };
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        if end > 0 && line.trim_end() == "---" {
            // The line of the opening mark is left in, so that line numbers are those of the file.
            let front = match rest[..end].trim() {
                "" => Ok(Value::Null),
                text if text.len() > MAX_FRONT => {
                    Err(format!("it has {} bytes, at most {MAX_FRONT}", text.len()))
                }
                _ => yaml::read(&rest[..end]),
            };
            let front = front
                .map_err(|error| wrong(format!("the front matter cannot be read: {}", bounded(&error))))?;
            return Ok((front, &rest[end + line.len()..]));
        }
        end += line.len();
    }
    Err(wrong("the front matter does not end: no second line with ---".to_owned()))
}

/// A scalar, or a list of them, as text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(items) => Some(items.iter().filter_map(plain).collect::<Vec<_>>().join(", ")),
        _ => None,
    }
}

/// A heading's part, and whether it is one of the known names.
fn part(heading: &str) -> (String, bool) {
    let name = snake(heading);
    match HEADINGS.iter().find(|(_, names)| names.contains(&name.as_str())) {
        Some((part, _)) => ((*part).to_owned(), true),
        None => (name, false),
    }
}

fn snake(heading: &str) -> String {
    let heading = heading.to_lowercase().replace("[optional]", "");
    let words = heading.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    cut(&words.collect::<Vec<_>>().join("_"), MAX_NAME).to_owned()
}

fn sections(body: &str) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::<String, String>::new();
    // The headings above, outermost first: level, part, whether it is a known one.
    let mut above: Vec<(usize, String, bool)> = Vec::new();
    let mut lines = Lines::default();
    for line in body.lines() {
        let (line, is_code) = lines.next(line);
        if let Some((level, text)) = heading(&line).filter(|_| !is_code) {
            above.retain(|(other, ..)| *other < level);
            let (part, is_known) = part(text);
            above.push((level, part, is_known));
            continue;
        }
        let Some((_, own, _)) = above.last() else { continue };
        let known = above.iter().rev().find(|(.., is_known)| *is_known).map(|(_, part, _)| part);
        let is_empty = line.trim().is_empty();
        for name in [Some(own), known.filter(|known| *known != own)].into_iter().flatten() {
            // No number of headings of their own keeps the known ones out.
            let has_room = parts.len() < MAX_PARTS || known == Some(name);
            if !parts.contains_key(name) && (is_empty || name.is_empty() || !has_room) {
                continue;
            }
            let text = parts.entry(name.clone()).or_default();
            if text.len() < MAX_GATHERED {
                text.push_str(cut(&line, MAX_GATHERED));
                text.push('\n');
            }
        }
    }
    parts
}

fn heading(line: &str) -> Option<(usize, &str)> {
    let line = line.trim_start_matches(' ');
    let text = line.trim_start_matches('#');
    let level = line.len() - text.len();
    let is_heading = (1..=6).contains(&level) && (text.is_empty() || text.starts_with([' ', '\t']));
    is_heading.then(|| (level, text.trim().trim_end_matches('#').trim_end()))
}

/// What is carried from line to line: comments say nothing, and code has no headings.
#[derive(Default)]
struct Lines {
    is_comment: bool,
    /// The mark that opened a block of code.
    fence: Option<String>,
}

impl Lines {
    /// The line without comments, and whether it is code.
    fn next(&mut self, line: &str) -> (String, bool) {
        let trimmed = line.trim();
        if let Some(fence) = &self.fence {
            let is_end = trimmed.starts_with(fence.as_str()) && trimmed.trim_matches(['`', '~']).is_empty();
            if is_end {
                self.fence = None;
            }
            return (line.to_owned(), true);
        }
        let text = self.without_comments(line);
        let trimmed = text.trim_start();
        let mark = trimmed.chars().next().filter(|mark| ['`', '~'].contains(mark));
        let length = mark.map_or(0, |mark| trimmed.chars().take_while(|c| *c == mark).count());
        if length >= 3 && !trimmed[length..].contains('`') {
            self.fence = Some(trimmed[..length].to_owned());
            return (text, true);
        }
        (text, false)
    }

    fn without_comments(&mut self, line: &str) -> String {
        let mut text = String::new();
        let mut rest = line;
        loop {
            let mark = if self.is_comment { "-->" } else { "<!--" };
            let found = rest.split_once(mark);
            if !self.is_comment {
                text.push_str(found.map_or(rest, |(before, _)| before));
            }
            let Some((_, after)) = found else { return text };
            self.is_comment = !self.is_comment;
            rest = after;
        }
    }
}

#[cfg(test)]
#[path = "markdown_tests.rs"]
mod tests;
