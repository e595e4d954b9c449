//! Which script a text is written in.

use super::chars::{Class, class};
use super::{Kind, Signal, Value};

pub(super) fn signals() -> Vec<Signal> {
    vec![
        Signal::new("script", Kind::Categorical, "the script that most letters are of (Unicode)", |text| {
            text.scripts().most().map_or(Value::Missing, |(script, _)| Value::label(script))
        }),
        Signal::new("script_share", Kind::Numeric, "the share of letters in that script, 0 to 1", |text| {
            text.scripts().most().map(|(_, share)| share).into()
        }),
    ]
}

/// Ascending, from the blocks of the Unicode Standard; letters elsewhere are "Other". Kana and Chinese characters are
/// scripts of their own.
const RANGES: &[(char, char, &str)] = &[
    ('\u{41}', '\u{24f}', "Latin"),
    ('\u{250}', '\u{2af}', "Latin"),
    ('\u{370}', '\u{3ff}', "Greek"),
    ('\u{400}', '\u{52f}', "Cyrillic"),
    ('\u{530}', '\u{58f}', "Armenian"),
    ('\u{590}', '\u{5ff}', "Hebrew"),
    ('\u{600}', '\u{6ff}', "Arabic"),
    ('\u{750}', '\u{77f}', "Arabic"),
    ('\u{8a0}', '\u{8ff}', "Arabic"),
    ('\u{900}', '\u{97f}', "Devanagari"),
    ('\u{980}', '\u{9ff}', "Bengali"),
    ('\u{a00}', '\u{a7f}', "Gurmukhi"),
    ('\u{a80}', '\u{aff}', "Gujarati"),
    ('\u{b80}', '\u{bff}', "Tamil"),
    ('\u{c00}', '\u{c7f}', "Telugu"),
    ('\u{c80}', '\u{cff}', "Kannada"),
    ('\u{d00}', '\u{d7f}', "Malayalam"),
    ('\u{d80}', '\u{dff}', "Sinhala"),
    ('\u{e00}', '\u{e7f}', "Thai"),
    ('\u{e80}', '\u{eff}', "Lao"),
    ('\u{f00}', '\u{fff}', "Tibetan"),
    ('\u{1000}', '\u{109f}', "Myanmar"),
    ('\u{10a0}', '\u{10ff}', "Georgian"),
    ('\u{1100}', '\u{11ff}', "Hangul"),
    ('\u{1200}', '\u{137f}', "Ethiopic"),
    ('\u{1780}', '\u{17ff}', "Khmer"),
    ('\u{1e00}', '\u{1eff}', "Latin"),
    ('\u{1f00}', '\u{1fff}', "Greek"),
    ('\u{3041}', '\u{309f}', "Hiragana"),
    ('\u{30a0}', '\u{30ff}', "Katakana"),
    ('\u{3130}', '\u{318f}', "Hangul"),
    ('\u{3400}', '\u{4dbf}', "Han"),
    ('\u{4e00}', '\u{9fff}', "Han"),
    ('\u{ac00}', '\u{d7af}', "Hangul"),
    ('\u{f900}', '\u{faff}', "Han"),
    ('\u{fb50}', '\u{fdff}', "Arabic"),
    ('\u{fe70}', '\u{feff}', "Arabic"),
    ('\u{ff21}', '\u{ff5a}', "Latin"),
    ('\u{ff66}', '\u{ff9f}', "Katakana"),
    ('\u{20000}', '\u{3ffff}', "Han"),
];

/// How many letters a text has in each range, and elsewhere in the last place.
#[derive(Debug)]
pub(super) struct Scripts([u32; RANGES.len() + 1]);

impl Scripts {
    pub fn of(text: &str) -> Self {
        let mut counts = [0; RANGES.len() + 1];
        let ascii = text.bytes().filter(u8::is_ascii_alphabetic).count();
        counts[0] = u32::try_from(ascii).unwrap_or(u32::MAX);
        let mut last = 0;
        if !text.is_ascii() {
            let is_letter = |c: &char| !c.is_ascii() && matches!(class(*c), Class::Letter | Class::Alone);
            for c in text.chars().filter(is_letter) {
                // Letters come in runs of one range.
                if !range(last).is_some_and(|(from, to)| (from..=to).contains(&c)) {
                    last = RANGES.partition_point(|(_, to, _)| *to < c);
                    if range(last).is_none_or(|(from, _)| c < from) {
                        last = RANGES.len();
                    }
                }
                counts[last] += 1;
            }
        }
        Self(counts)
    }

    /// The letters of a script.
    pub fn count(&self, script: &str) -> u32 {
        let named = self.0.iter().enumerate().filter(|(index, _)| name(*index) == script);
        named.map(|(_, count)| count).sum()
    }

    pub fn letters(&self) -> u32 {
        self.0.iter().sum()
    }

    /// The script that most letters are of, the first in the order of Unicode if there are two, and their share.
    pub fn most(&self) -> Option<(&'static str, f64)> {
        let mut most = None;
        for index in (0..self.0.len()).filter(|index| self.0[*index] > 0) {
            let count = self.count(name(index));
            if most.is_none_or(|(_, before)| count > before) {
                most = Some((name(index), count));
            }
        }
        most.map(|(name, count)| (name, f64::from(count) / f64::from(self.letters())))
    }
}

fn range(index: usize) -> Option<(char, char)> {
    RANGES.get(index).map(|(from, to, _)| (*from, *to))
}

fn name(index: usize) -> &'static str {
    RANGES.get(index).map_or("Other", |(_, _, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranges_are_ascending_and_apart() {
        assert!(RANGES.iter().all(|(from, to, _)| from <= to));
        assert!(RANGES.windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn the_script_of_most_letters() {
        for (text, script, share) in [
            ("Where is my parcel?", "Latin", 1.0),
            ("Où est mon œuf ?", "Latin", 1.0),
            ("Где посылка?", "Cyrillic", 1.0),
            ("أين طردي", "Arabic", 1.0),
            ("東京へ行く", "Han", 0.6),
            ("한국어 abc", "Latin", 0.5),
            ("𐌰𐌱", "Other", 1.0),
        ] {
            let (most, found) = Scripts::of(text).most().unwrap();
            assert_eq!(most, script, "{text}");
            assert!((found - share).abs() < 1e-12, "{text} {found}");
        }
        assert_eq!(Scripts::of("12 + 3 = 15 🎉").most(), None);
    }
}
