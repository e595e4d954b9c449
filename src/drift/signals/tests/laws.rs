//! What holds for every text.

use super::super::{Kind, LOOKED_AT, Lexicon, Role, Signal, Text, Value};
use super::{LIBRARY, of};

const PIECES: &[&str] = &[
    "I'm sorry, but I can't help with that. ",
    "Ich kann dir dabei leider nicht helfen!",
    "désolé, je ne peux pas vous aider",
    "de\u{301}sole\u{301} ",
    "我无法提供这些信息。",
    "申し訳ありませんが、お答えできません。",
    "مرحبا، كيف يمكنني مساعدتك؟ ",
    "שלום \u{202e}abc\u{202c} ",
    "नमस्ते। ",
    "👩‍👩‍👧‍👦🏳️‍🌈 ",
    "{\"a\": [1, 2, {\"b\": null}], \"c\": \"x\"}",
    "[[[[",
    "\"\\ud800\"",
    "\u{0}\u{7}\u{1b}[31m",
    "\u{feff}\u{200b}\u{ad}",
    "\r\n\n\t",
    "...?!…",
    "''`’",
    "4111 1111 1111 1111 ",
    "DE89 3704 0044 0532 0130 00",
    "a@b.co ",
    "+49 30 1234567 ",
    "10.0.0.1.",
    "-----BEGIN RSA PRIVATE KEY-----",
    "ß ſ ﬁ İ ı Σς ",
    "1e999 -0 NaN ",
    "word ",
    "word ",
    "\u{10ffff}\u{e000}",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ",
    ", ",
];

/// Texts of some pieces in an order that looks random and is always the same.
fn texts() -> impl Iterator<Item = String> {
    let mut state = 7_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    (0..400).map(move |_| (0..random(9)).map(|_| PIECES[random(PIECES.len())]).collect())
}

fn signals() -> Vec<Signal> {
    [Role::Output, Role::Tools, Role::Win].into_iter().flat_map(|role| LIBRARY.signals(role)).collect()
}

#[test]
fn the_same_text_has_the_same_value_whoever_asks_first() {
    let signals = signals();
    for text in texts() {
        let read = Text::new(&text);
        let forwards: Vec<Value> = signals.iter().map(|signal| signal.of(&read)).collect();
        let read = Text::new(&text);
        let mut backwards: Vec<Value> = signals.iter().rev().map(|signal| signal.of(&read)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards, "{text:?}");
    }
}

#[test]
fn values_are_of_the_kind_and_in_range() {
    let signals = signals();
    for text in texts() {
        let read = Text::new(&text);
        for signal in &signals {
            match (signal.of(&read), signal.kind()) {
                (Value::Missing, _) | (Value::Boolean(_), Kind::Boolean) => {}
                (Value::Number(number), Kind::Numeric) => {
                    let most = match signal.name() {
                        "script_share" | "compression" | "distinct_2" | "distinct_3" | "win" => 1.0,
                        _ => text.len() as f64,
                    };
                    assert!((0.0..=most).contains(&number), "{} of {text:?}: {number}", signal.name());
                }
                (Value::Label(label), Kind::Categorical) => assert!(label.chars().count() <= 600),
                (Value::Other, _) if signal.name() == "win" => {}
                (value, kind) => panic!("{} of {text:?} is {value:?} and no {kind:?}", signal.name()),
            }
        }
    }
}

#[test]
fn what_is_appended_makes_no_length_smaller() {
    let lengths = ["characters", "words", "sentences", "tokens", "lines", "repeated_lines"];
    let signals: Vec<Signal> =
        signals().into_iter().filter(|signal| lengths.contains(&signal.name())).collect();
    for text in texts() {
        for signal in &signals {
            let mut before = 0.0;
            for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
                let Value::Number(length) = signal.of(&Text::new(&text[..end])) else { panic!("{text:?}") };
                // The run of equal lines may end within what was its last line.
                let is_run = signal.name() == "repeated_lines";
                assert!(length >= before || is_run, "{} of {:?}", signal.name(), &text[..end]);
                before = length;
            }
        }
    }
}

#[test]
fn case_accents_and_apostrophes_do_not_change_what_lexicons_find() {
    let lexicons = [Lexicon::refusal().unwrap(), Lexicon::hedging().unwrap()];
    for (number, text) in texts().enumerate() {
        let mixed: String = text
            .char_indices()
            .flat_map(|(at, c)| -> Vec<char> {
                match (at + number) % 3 {
                    0 => c.to_uppercase().collect(),
                    1 => c.to_lowercase().collect(),
                    _ => vec![c],
                }
            })
            .collect();
        for other in
            [mixed, text.to_uppercase(), text.to_lowercase(), text.replace('\'', "’"), text.replace('\'', "")]
        {
            for lexicon in &lexicons {
                let found = [&text, &other].map(|text| lexicon.occurs_in(&Text::new(text)));
                assert_eq!(found[0], found[1], "{text:?} {other:?}");
            }
        }
    }
}

#[test]
fn huge_texts_are_looked_at_in_part_and_soon() {
    let signals = signals();
    for piece in
        ["1", "1 ", "a", "a.", "a@", "\"", "[", "é", "-----BEGIN ", "eyJ", "4111-", "://:", "\n", "+1", "我"]
    {
        let text = piece.repeat((3 * LOOKED_AT) / piece.len());
        let read = Text::new(&text);
        assert!(!read.is_whole() && read.as_str().len() <= LOOKED_AT && read.as_str().len() > LOOKED_AT - 4);
        let start = std::time::Instant::now();
        for signal in &signals {
            signal.of(&read);
        }
        // Slow builds on busy machines included; anything quadratic would take hours.
        assert!(start.elapsed().as_secs() < 20, "{piece:?} {:?}", start.elapsed());
    }
    assert_eq!(of("json", &format!("[{}1]", "1,".repeat(LOOKED_AT))), Value::Missing);
}

#[test]
fn names_are_different_and_every_signal_is_explained() {
    let signals = signals();
    let mut names: Vec<&str> = signals.iter().map(Signal::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), signals.len());
    assert!(signals.iter().all(|signal| signal.about().len() > 10 && !signal.about().contains('\n')));
}
