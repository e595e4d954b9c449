//! Which language a text is in, by its most frequent words.

use super::script::Scripts;
use super::words::{ByHash, words};
use super::{Invalid, Kind, Signal, Text, Value};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};

/// More words say nothing new.
const WORDS: usize = 400;
/// So many of hundred words must be frequent ones of the language.
const LEAST_SHARE: f64 = 0.12;
/// And they must outweigh those of the next language by this much.
const MARGIN: f64 = 1.15;
/// What cannot be told (ISO 639-2).
const UNDETERMINED: &str = "und";

/// Scripts that one language alone is written in, or nearly so. Kana are looked for before the Chinese characters that
/// they stand among.
const BY_SCRIPT: &[(&str, &str)] = &[
    ("Hiragana", "ja"),
    ("Katakana", "ja"),
    ("Hangul", "ko"),
    ("Han", "zh"),
    ("Thai", "th"),
    ("Greek", "el"),
    ("Hebrew", "he"),
    ("Armenian", "hy"),
    ("Georgian", "ka"),
    ("Bengali", "bn"),
    ("Gurmukhi", "pa"),
    ("Gujarati", "gu"),
    ("Tamil", "ta"),
    ("Telugu", "te"),
    ("Kannada", "kn"),
    ("Malayalam", "ml"),
    ("Sinhala", "si"),
    ("Lao", "lo"),
    ("Myanmar", "my"),
    ("Khmer", "km"),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    version: String,
    languages: BTreeMap<String, String>,
}

/// ISO 639-1 codes by the words that are frequent in them.
struct Languages {
    codes: Vec<String>,
    /// A bit for each language that has the word.
    words: HashMap<u64, u32, ByHash>,
}

/// The language of the first 400 words: that of the script, or whose function words the text has most of, each counted
/// less the more languages share it. `und` for what cannot be told, which most texts of one or two words cannot;
/// missing without any letter. For sentences of some fifteen words function words are about as good as trigrams
/// (Grefenstette, "Comparing two language identification schemes", JADT 1995), and they cost next to nothing.
///
/// Errors: none, as far as the tests know.
pub fn language() -> Result<Signal, Invalid> {
    let json = include_str!("data/languages.json");
    let Document { name, version, languages } =
        serde_json::from_str(json).map_err(|error| Invalid::new(format!("no languages: {error}")))?;
    let digest = super::patterns::hex(&Sha256::digest(json));
    let version = format!("{name} {version} sha256:{}", &digest[..16]);
    let mut table: HashMap<u64, u32, ByHash> = HashMap::default();
    for (index, frequent) in languages.values().enumerate() {
        for word in words(frequent) {
            *table.entry(word.hash).or_default() |= 1 << index;
        }
    }
    let languages = Languages { codes: languages.into_keys().collect(), words: table };
    let about = "ISO 639-1 code, by frequent words of 25 languages and by script; und if it cannot be told";
    let rule = move |text: &Text<'_>| languages.of(text).map_or(Value::Missing, Value::label);
    Ok(Signal::new("language", Kind::Categorical, about, rule).with_version(&version))
}

impl Languages {
    fn of(&self, text: &Text<'_>) -> Option<String> {
        let scripts = text.scripts();
        let (script, _) = scripts.most()?;
        Some(by_script(scripts, script).or_else(|| self.by_words(text)).unwrap_or(UNDETERMINED).to_owned())
    }

    fn by_words(&self, text: &Text<'_>) -> Option<&str> {
        let words = &text.words()[..text.words().len().min(WORDS)];
        let mut scores = [0.0_f64; 32];
        let mut known = [0_u32; 32];
        for languages in words.iter().filter_map(|word| self.words.get(&word.hash)) {
            let weight = 1.0 / f64::from(languages.count_ones());
            let mut rest = *languages;
            while rest != 0 {
                let index = rest.trailing_zeros() as usize;
                scores[index] += weight;
                known[index] += 1;
                rest &= rest - 1;
            }
        }
        let best = (0..self.codes.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b]))?;
        let others = (0..self.codes.len()).filter(|index| *index != best);
        let next = others.map(|index| scores[index]).fold(0.0, f64::max);
        let is_clear =
            f64::from(known[best]) >= LEAST_SHARE * words.len() as f64 && scores[best] >= MARGIN * next;
        (is_clear && scores[best] > 0.0).then(|| self.codes[best].as_str())
    }
}

fn by_script(scripts: &Scripts, most: &str) -> Option<&'static str> {
    let is_japanese = matches!(most, "Han" | "Hiragana" | "Katakana");
    let kana = scripts.count("Hiragana") + scripts.count("Katakana");
    if is_japanese && kana * 20 >= scripts.letters() {
        return Some("ja");
    }
    BY_SCRIPT.iter().find(|(script, _)| *script == most).map(|(_, code)| *code)
}
