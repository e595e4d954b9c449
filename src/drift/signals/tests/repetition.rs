use super::super::{Text, Value};
use super::{number, of};

const PROSE: &str = "Reset links are valid for fifteen minutes, but they are used up by the first request, and some mail \
    scanners open them before you do. Request a new one from the page where you sign in, and paste it into a private window.";

#[test]
fn what_repeats_itself_compresses() {
    let prose = number("compression", PROSE);
    let twice = number("compression", &format!("{PROSE}\n{PROSE}"));
    let looping = number("compression", &"I am sorry. ".repeat(200));
    assert!(prose > 0.85 && prose <= 1.0, "{prose}");
    assert!((0.45..0.6).contains(&twice), "{twice}");
    assert!(looping < 0.02, "{looping}");
    assert_eq!(of("compression", "too short to say"), Value::Missing);
}

/// Numbers of profiles made years apart are compared, so the rule must not change.
#[test]
fn compression_stays_the_same() {
    // 6 of its own and one reference, of 100.
    let text = "abcdef".repeat(17);
    assert_eq!(number("compression", &text[..100]), 0.09);
    assert_eq!(number("compression", &"x".repeat(64)), 4.0 / 64.0);
}

#[test]
fn shares_of_distinct_words_in_a_row() {
    assert_eq!(number("distinct_2", "to be or not to be"), 4.0 / 5.0);
    assert_eq!(number("distinct_3", "to be or not to be"), 1.0);
    assert_eq!(number("distinct_2", "No, no! NO no. nó"), 0.25);
    assert_eq!(of("distinct_3", "only two"), Value::Missing);
    let long = "go on ".repeat(5_000);
    assert_eq!(number("distinct_2", &long), 2.0 / 999.0);
}

#[test]
fn equal_lines_in_a_row() {
    for (text, run) in [
        ("", 0.0),
        ("\n \n", 0.0),
        ("one", 1.0),
        ("- a\n- b\n- a", 1.0),
        ("start\n  again\nagain\r\n\nagain\nend\nend", 3.0),
    ] {
        assert_eq!(number("repeated_lines", text), run, "{text:?}");
    }
    assert!(Text::new("").is_whole());
}
