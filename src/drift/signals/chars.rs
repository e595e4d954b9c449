//! What a character is, and what it is without case and accents.

use std::sync::LazyLock;
use unicode_normalization::char::decompose_canonical;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Space,
    /// Punctuation, symbols, emoji, control characters.
    Sign,
    /// Part of the word around it, and nothing by itself.
    Apostrophe,
    /// An accent, a vowel sign that may be left out, or a character without width.
    Mark,
    Letter,
    /// Any numeral.
    Digit,
    /// A word without others: Chinese characters and Japanese kana.
    Alone,
}

/// The alphabets end here; what follows is looked up each time.
const TABLE: u32 = 0x3000;

static CHARS: LazyLock<Vec<(Class, Folded)>> =
    LazyLock::new(|| (0..TABLE).filter_map(char::from_u32).map(|c| (find_class(c), Folded::of(c))).collect());

#[derive(Clone, Copy)]
enum Folded {
    Same,
    One(char),
    Several,
}

pub(super) fn class(c: char) -> Class {
    CHARS.get(c as usize).map_or_else(|| find_class(c), |(class, _)| *class)
}

/// The letters of `c` in lower case without accents.
pub(super) fn fold(c: char, mut take: impl FnMut(char)) {
    match CHARS.get(c as usize).map_or_else(|| Folded::of(c), |(_, folded)| *folded) {
        Folded::Same => take(c),
        Folded::One(folded) => take(folded),
        Folded::Several => unfold(c, take),
    }
}

impl Folded {
    fn of(c: char) -> Self {
        let (mut count, mut first) = (0, c);
        unfold(c, |part| {
            first = if count == 0 { part } else { first };
            count += 1;
        });
        match count {
            1 if first == c => Self::Same,
            1 => Self::One(first),
            _ => Self::Several,
        }
    }
}

/// By way of the upper case, since letters that share one are the same but for case, such as both forms of sigma.
fn unfold(c: char, mut take: impl FnMut(char)) {
    for lower in c.to_uppercase().flat_map(char::to_lowercase) {
        decompose_canonical(lower, |part| {
            if !is_mark(part) {
                take(part);
            }
        });
    }
}

fn find_class(c: char) -> Class {
    match c {
        '\'' | '`' | '´' | 'ʼ' | '‘' | '’' | '‛' | '′' | '＇' => Class::Apostrophe,
        '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' => Class::Alone,
        '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => Class::Alone,
        _ if is_mark(c) => Class::Mark,
        _ if c.is_whitespace() => Class::Space,
        _ if c.is_alphabetic() => Class::Letter,
        _ if c.is_numeric() => Class::Digit,
        _ => Class::Sign,
    }
}

/// Accents of Latin, Greek and Cyrillic; points of Hebrew and Arabic; what joins or changes consonants in scripts of
/// India; Thai tones; soft hyphens and characters without width.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}'..='\u{5c7}'
        | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{93c}' | '\u{94d}' | '\u{9bc}' | '\u{9cd}' | '\u{a3c}' | '\u{a4d}'
        | '\u{abc}' | '\u{acd}' | '\u{b3c}' | '\u{b4d}' | '\u{bcd}' | '\u{c4d}' | '\u{cbc}' | '\u{ccd}' | '\u{d4d}'
        | '\u{dca}' | '\u{e47}'..='\u{e4e}' | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe0f}' | '\u{feff}')
}
