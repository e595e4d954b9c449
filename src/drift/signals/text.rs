//! A text, and what signals find out about it together.

use super::script::Scripts;
use super::words::{Word, words};
use std::cell::OnceCell;

/// At most so many bytes of a text are looked at; what follows is as if it were not there.
pub const LOOKED_AT: usize = 1 << 20;

/// One text. What several signals need is found out when the first one asks.
#[derive(Debug)]
pub struct Text<'a> {
    text: &'a str,
    is_whole: bool,
    words: OnceCell<Vec<Word>>,
    scripts: OnceCell<Scripts>,
    json: OnceCell<Option<serde_json::Value>>,
    found: OnceCell<(u64, u64)>,
}

impl<'a> Text<'a> {
    pub fn new(text: &'a str) -> Self {
        let end = text.floor_char_boundary(LOOKED_AT);
        Self {
            text: &text[..end],
            is_whole: end == text.len(),
            words: OnceCell::new(),
            scripts: OnceCell::new(),
            json: OnceCell::new(),
            found: OnceCell::new(),
        }
    }

    /// The text, or the first MiB of it.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Whether all of the text is looked at.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The text as JSON, if all of it is one value (RFC 8259), nested at most 127 deep.
    pub fn json(&self) -> Option<&serde_json::Value> {
        let parse = || self.is_whole.then(|| serde_json::from_str(self.text).ok()).flatten();
        self.json.get_or_init(parse).as_ref()
    }

    pub(super) fn words(&self) -> &[Word] {
        self.words.get_or_init(|| words(self.text))
    }

    pub(super) fn scripts(&self) -> &Scripts {
        self.scripts.get_or_init(|| Scripts::of(self.text))
    }

    /// Which patterns occur, a bit each, remembered for the set of patterns with this key.
    pub(super) fn found(&self, key: u64, find: impl Fn() -> u64) -> u64 {
        let (known, found) = *self.found.get_or_init(|| (key, find()));
        if known == key { found } else { find() }
    }
}
