//! Phrases that are looked for in texts, as data with a version.

use super::words::{ByHash, Word, words};
use super::{Invalid, Kind, Signal, Text, Value};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};

const MAX_BYTES: usize = 1 << 20;
const MAX_PHRASES: usize = 50_000;
const MAX_WORDS: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    version: String,
    /// By language, for the reader; all are looked for in every text. `(a|b|)` in a phrase stands for either, or none.
    languages: BTreeMap<String, Vec<String>>,
}

/// Phrases in a tree of their words. A phrase is found if its words follow each other in one sentence, whatever the
/// case, accents, apostrophes and signs between them are.
#[derive(Debug)]
pub struct Lexicon {
    name: String,
    version: String,
    digest: String,
    phrases: usize,
    languages: Vec<String>,
    /// The places in the tree after a first word: few, so that most words of a text are soon done with.
    starts: HashMap<u64, u64, ByHash>,
    /// From a place with the next word to the next place.
    steps: HashMap<(u64, u64), u64, ByHash>,
    /// Whether a phrase ends at the place.
    ends: Vec<bool>,
}

impl Lexicon {
    /// What models say when they decline: English, German, French, Spanish, Italian, Portuguese, Chinese, Japanese.
    /// Errors: none, as far as the tests know.
    pub fn refusal() -> Result<Self, Invalid> {
        Self::parse(include_str!("data/refusal.json"))
    }

    /// What models say when they are not sure, or send people to somebody else; in the same languages but the last two.
    pub fn hedging() -> Result<Self, Invalid> {
        Self::parse(include_str!("data/hedging.json"))
    }

    /// A list of one's own: `{"name": …, "version": …, "languages": {"en": ["i (can't|cannot) help", …]}}`.
    ///
    /// Errors: it is not of this form or longer than 1 MiB; its name is not of lower-case letters, digits and `_`; a
    /// phrase has no word, more than 32 of them, or parentheses that do not match; more than 50,000 phrases.
    pub fn parse(json: &str) -> Result<Self, Invalid> {
        if json.len() > MAX_BYTES {
            return Err(Invalid::new("a lexicon is at most 1 MiB"));
        }
        let Document { name, version, languages } =
            serde_json::from_str(json).map_err(|error| Invalid::new(format!("no lexicon: {error}")))?;
        super::patterns::check_name(&name)?;
        let mut phrases = BTreeSet::new();
        for template in languages.values().flatten() {
            expand(template, &mut phrases)?;
        }
        let mut lexicon = Self {
            digest: digest(&phrases),
            name,
            version,
            phrases: phrases.len(),
            languages: languages.into_keys().collect(),
            starts: HashMap::default(),
            steps: HashMap::default(),
            ends: vec![],
        };
        phrases.iter().try_for_each(|phrase| lexicon.add(phrase))?;
        Ok(lexicon)
    }

    fn add(&mut self, phrase: &str) -> Result<(), Invalid> {
        let words = words(phrase);
        if words.is_empty() || words.len() > MAX_WORDS {
            return Err(Invalid::new(format!("a phrase has 1 to {MAX_WORDS} words: {}", shown(phrase))));
        }
        let mut place = None;
        for word in words {
            let new = self.ends.len() as u64;
            let next = match place {
                None => *self.starts.entry(word.hash).or_insert(new),
                Some(place) => *self.steps.entry((place, word.hash)).or_insert(new),
            };
            if next == new {
                self.ends.push(false);
            }
            place = Some(next);
        }
        if let Some(place) = place {
            self.ends[place as usize] = true;
        }
        Ok(())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn languages(&self) -> &[String] {
        &self.languages
    }

    /// How many phrases there are, each spelled out.
    pub fn phrases(&self) -> usize {
        self.phrases
    }

    /// SHA-256 of the phrases and of the rule they are looked for by, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Name, version and the first digits of the digest.
    pub fn version(&self) -> String {
        format!("{} {} sha256:{}", self.name, self.version, &self.digest[..16])
    }

    pub fn occurs_in(&self, text: &Text<'_>) -> bool {
        // Places that phrases begun at earlier words have come to.
        let mut places: Vec<u64> = vec![];
        for Word { hash, begins } in text.words() {
            if *begins {
                places.clear();
            }
            let step =
                |place: &mut u64| self.steps.get(&(*place, *hash)).map(|next| *place = *next).is_some();
            places.retain_mut(step);
            places.extend(self.starts.get(hash));
            if places.iter().any(|place| self.ends[*place as usize]) {
                return true;
            }
        }
        false
    }

    /// Missing for a text without any word.
    pub fn signal(self) -> Signal {
        let (name, version) = (self.name.clone(), self.version());
        let rule = move |text: &Text<'_>| match text.words() {
            [] => Value::Missing,
            _ => Value::Boolean(self.occurs_in(text)),
        };
        Signal::new(
            name,
            Kind::Boolean,
            "a phrase of the lexicon occurs, whatever its case, accents and apostrophes",
            rule,
        )
        .with_version(&version)
    }
}

/// All phrases that a template stands for.
fn expand(template: &str, phrases: &mut BTreeSet<String>) -> Result<(), Invalid> {
    let unmatched = || Invalid::new(format!("parentheses that do not match: {}", shown(template)));
    let mut all = vec![String::new()];
    let mut rest = template;
    while !rest.is_empty() {
        let (before, group) = rest.split_once('(').unwrap_or((rest, ")"));
        let (group, after) = group.split_once(')').ok_or_else(unmatched)?;
        if before.contains(')') || group.contains('(') {
            return Err(unmatched());
        }
        let ways: Vec<&str> = group.split('|').collect();
        if all.len() * ways.len() + phrases.len() > MAX_PHRASES {
            return Err(Invalid::new(format!("more than {MAX_PHRASES} phrases with: {}", shown(template))));
        }
        all = all
            .iter()
            .flat_map(|begun| ways.iter().map(move |way| format!("{begun}{before}{way}")))
            .collect();
        rest = after;
    }
    phrases.extend(all.iter().map(|phrase| phrase.split_whitespace().collect::<Vec<_>>().join(" ")));
    Ok(())
}

fn digest(phrases: &BTreeSet<String>) -> String {
    // The number is that of the rule: how words are told and phrases found.
    let mut hasher = Sha256::new_with_prefix("phrases 1\n");
    for phrase in phrases {
        hasher.update(phrase);
        hasher.update("\n");
    }
    super::patterns::hex(&hasher.finalize())
}

fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}
