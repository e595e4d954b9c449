//! The words of a text, without regard to case, accents and apostrophes.

use super::chars::{Class, class, fold};
use std::hash::{BuildHasherDefault, Hasher};

/// A word, and whether a sentence begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The same for words that differ in case, accents or apostrophes only.
    pub hash: u64,
    pub begins: bool,
}

/// A word is as many letters and digits as follow each other; apostrophes and marks within are no part of it. A
/// character of Chinese or Japanese is a word of its own, as no space says where words end.
///
/// A sentence ends with `.`, `!`, `?` or `…` before white space, with their Chinese, Arabic and Indian forms, or with
/// an empty line. So an abbreviation ends one, too.
pub(super) fn words(text: &str) -> Vec<Word> {
    let mut reader = Reader { words: Vec::with_capacity(text.len() / 5), hash: START, end: End::Sure };
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        // Most text is ASCII, which needs no looking up.
        if byte.is_ascii() {
            reader.ascii(*byte);
            at += 1;
        } else {
            let c = text[at..].chars().next().unwrap_or_default();
            reader.other(c);
            at += c.len_utf8();
        }
    }
    reader.end_word();
    reader.words
}

/// The hash before the first letter.
const START: u64 = 0xcbf2_9ce4_8422_2325;

struct Reader {
    words: Vec<Word>,
    /// Of the word that is being read.
    hash: u64,
    end: End,
}

/// What lies between the last word and the next.
#[derive(Clone, Copy, PartialEq)]
enum End {
    None,
    /// A line has ended; if the next is empty, so has the sentence.
    Line,
    /// A mark that ends a sentence if white space follows.
    Mark,
    Sure,
}

impl Reader {
    #[inline]
    fn ascii(&mut self, byte: u8) {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' => self.take(u32::from(byte)),
            b'A'..=b'Z' => self.take(u32::from(byte | 0x20)),
            b'\'' | b'`' => {}
            _ => {
                self.end_word();
                self.end = match (byte, self.end) {
                    (b'.' | b'!' | b'?', End::None | End::Line) => End::Mark,
                    (b'\n', End::None) => End::Line,
                    (b'\n', _) | (b' ' | b'\t' | b'\r', End::Mark) => End::Sure,
                    (_, end) => end,
                };
            }
        }
    }

    fn other(&mut self, c: char) {
        match class(c) {
            Class::Letter | Class::Digit => fold(c, |c| self.take(u32::from(c))),
            Class::Apostrophe | Class::Mark => {}
            Class::Alone => {
                self.end_word();
                self.take(u32::from(c));
                self.end_word();
            }
            Class::Space => {
                self.end_word();
                self.end = if self.end == End::Mark { End::Sure } else { self.end };
            }
            Class::Sign => {
                self.end_word();
                match c {
                    '…' if self.end != End::Sure => self.end = End::Mark,
                    '。' | '！' | '？' | '．' | '؟' | '۔' | '।' => self.end = End::Sure,
                    _ => {}
                }
            }
        }
    }

    /// FNV-1a, by characters.
    #[inline]
    fn take(&mut self, c: u32) {
        self.hash = (self.hash ^ u64::from(c)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    #[inline]
    fn end_word(&mut self) {
        if self.hash != START {
            self.words.push(Word { hash: mix(self.hash), begins: self.end == End::Sure });
            (self.hash, self.end) = (START, End::None);
        }
    }
}

/// The output function of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA
/// 2014).
pub(super) fn mix(x: u64) -> u64 {
    let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// For tables of words: their hashes are used as they are. The tables hold data of ours, never words of a text.
pub(super) type ByHash = BuildHasherDefault<AsItIs>;

#[derive(Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = self.0.rotate_left(5) ^ value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashes(text: &str) -> Vec<u64> {
        words(text).iter().map(|word| word.hash).collect()
    }

    fn sentences(text: &str) -> usize {
        words(text).iter().filter(|word| word.begins).count()
    }

    #[test]
    fn case_accents_and_apostrophes_do_not_matter() {
        for (a, b) in [
            ("I can't", "i CAN’T"),
            ("Cant", "ca'n't"),
            ("désolé", "DÉSOLÉ"),
            ("désolé", "de\u{301}sole\u{301}"),
            ("straße", "STRASSE"),
            ("ὀδυσσεύς", "ΟΔΥΣΣΕΥΣ"),
            ("İstanbul", "istanbul"),
            ("ﬁne", "FINE"),
            ("soft\u{ad}ware", "software"),
        ] {
            assert_eq!(hashes(a), hashes(b), "{a} {b}");
        }
        assert_ne!(hashes("cant"), hashes("can"));
        assert_ne!(hashes("ab"), hashes("ba"));
    }

    #[test]
    fn words_and_where_they_end() {
        for (text, count) in [
            ("", 0),
            (" \n\t...—", 0),
            ("one", 1),
            ("state-of-the-art, 3.14", 6),
            ("rock 'n' roll", 3),
            ("私は学生です", 6),
            ("Привет, мир!", 2),
            ("مرحبا بالعالم", 2),
            ("👩‍🚀 to the 🌕", 2),
            ("a\u{0}b", 2),
            ("नमस्ते दुनिया", 2),
            ("สวัสดี", 1),
        ] {
            assert_eq!(words(text).len(), count, "{text:?}");
        }
    }

    #[test]
    fn sentences_begin_after_an_end() {
        for (text, count) in [
            ("", 0),
            ("No end", 1),
            ("One. Two! Three? Four… Five", 5),
            ("It costs 3.14 at example.com today.", 1),
            ("He said \"Go.\" Then he went.", 2),
            ("Wait... what?", 2),
            ("Heading\n\nA line\nthat goes on", 2),
            ("你好。今天天气很好！是吗？", 3),
            ("- a\n- b\n", 1),
        ] {
            assert_eq!(sentences(text), count, "{text:?}");
        }
    }
}
