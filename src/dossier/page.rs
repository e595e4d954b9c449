//! A Markdown page of ours with texts of other people in it. Their texts cannot make a heading, a list entry or a line
//! of ours: they come on one line with every active character escaped, or as a quotation of such lines.

use crate::model::{digest::Digest, evidence::Evidence, name::PrincipalName};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::fmt::Display;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Heading,
    Item,
    Other,
}

/// A page in the making.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    last: Option<Block>,
}

impl Page {
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn block(&mut self, block: Block, text: &str) {
        // Entries of one list follow each other; everything else stands apart.
        if self.last.is_some_and(|last| last != Block::Item || block != Block::Item) {
            self.text.push('\n');
        }
        self.text.push_str(text);
        self.text.push('\n');
        self.last = Some(block);
    }

    pub(super) fn heading(&mut self, level: usize, text: &str) {
        self.block(Block::Heading, &format!("{} {text}", "#".repeat(level)));
    }

    /// A fact: an entry of a list. Texts of other people in it have gone through [`inline`].
    pub(super) fn fact(&mut self, text: impl Display) {
        self.block(Block::Item, &format!("- {text}"));
    }

    /// Says what is missing, and what would fill it.
    pub(super) fn gap(&mut self, missing: impl Display, filler: impl Display) {
        self.block(Block::Other, &format!("GAP: {missing}. To fill it: {filler}"));
    }

    pub(super) fn paragraph(&mut self, text: impl Display) {
        self.block(Block::Other, &text.to_string());
    }

    /// A text of somebody else, as it is.
    pub(super) fn quote(&mut self, text: &str) {
        let clean = clean(text);
        let lines: Vec<String> = clean.lines().map(|line| format!("> {}", escape(line.trim()))).collect();
        let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
        self.block(Block::Other, &lines.join("\n"));
    }

    /// JSON as code. Its lines begin with a bracket, a quotation mark or blanks, so none ends the block.
    pub(super) fn json(&mut self, value: &Value) {
        // What shows code as HTML without escaping it must not find any.
        let text = json_text(value).replace('<', "\\u003c").replace('>', "\\u003e");
        self.block(Block::Other, &format!("```json\n{text}\n```"));
    }

    /// Lines of ours as code.
    pub(super) fn code(&mut self, text: &str) {
        self.block(Block::Other, &format!("```text\n{}\n```", text.trim_end()));
    }

    pub(super) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            cells.fold("|".to_owned(), |line, cell| format!("{line} {cell} |"))
        };
        let mut lines = vec![line(&mut head.iter().copied()), line(&mut head.iter().map(|_| "---"))];
        lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
        self.block(Block::Other, &lines.join("\n"));
    }
}

/// A character that is not seen, or that turns the reading round.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Without hidden characters. Lines stay lines.
pub(super) fn clean(text: &str) -> String {
    let seen = |c: char| match c {
        '\n' => '\n',
        '\t' => ' ',
        c if is_hidden(c) => '\u{fffd}',
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(seen).collect()
}

/// JSON for people and programs, hidden characters escaped: the same value.
pub(super) fn json_text(value: &Value) -> String {
    let mut out = String::new();
    for c in format!("{value:#}").chars() {
        match is_hidden(c) && c != '\n' {
            true => {
                c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")))
            }
            false => out.push(c),
        }
    }
    out
}

/// On one line, without hidden characters.
pub(super) fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text of somebody else within a line of ours.
pub(super) fn inline(text: &str) -> String {
    escape(&one_line(text))
}

/// One line with everything escaped that Markdown or HTML would act on.
fn escape(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    for (at, c) in line.char_indices() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '$' => out.extend(['\\', c]),
            // At a line's beginning these make lists, rules and headings.
            '-' | '+' | '=' | ':' if at == 0 => out.extend(['\\', c]),
            '.' | ')' if at > 0 && at == digits => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// A digest in full.
pub(super) fn code(digest: &Digest) -> String {
    format!("`{digest}`")
}

pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// Who, when.
pub(super) fn by(who: &PrincipalName, at: DateTime<Utc>) -> String {
    format!("by {} at {}", inline(who.as_str()), moment(at))
}

/// Where a statement comes from: evidence, who, when.
pub(super) fn source(evidence: &Evidence) -> String {
    format!("evidence {} {}", code(&evidence.digest), by(&evidence.by, evidence.at))
}

/// Names for a sentence.
pub(super) fn list<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    names.into_iter().map(|name| inline(&name.to_string())).collect::<Vec<_>>().join(", ")
}
