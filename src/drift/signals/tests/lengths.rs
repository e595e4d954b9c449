use super::number;

#[test]
fn of_an_answer() {
    let answer = "Your order #4711 shipped on 12 March.\n\n- Carrier: DHL\n- It's expected in 2–3 days!\n";
    let lengths = ["characters", "words", "sentences", "lines"].map(|signal| number(signal, answer));
    assert_eq!(lengths, [83.0, 15.0, 2.0, 4.0]);
}

#[test]
fn tokens_are_about_as_many_as_tokenizers_make() {
    for (text, tokens) in [
        ("", 0.0),
        ("   \n\n", 0.0),
        ("Hello, world!", 4.0),
        ("don't", 2.0),
        ("internationalisation", 4.0),
        ("1234567", 3.0),
        ("......", 1.0),
        ("(see below)", 3.0),
        ("你好世界", 4.0),
        ("e\u{301}te\u{301}", 1.0),
    ] {
        assert_eq!(number("tokens", text), tokens, "{text:?}");
    }
    let english =
        "The quick brown fox jumps over the lazy dog, and nobody at the riverside seems to be surprised.";
    assert_eq!((number("words", english), number("tokens", english)), (18.0, 22.0));
}
