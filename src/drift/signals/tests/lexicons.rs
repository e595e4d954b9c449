use super::super::{Lexicon, Text, Value};
use super::{LIBRARY, of};

const REFUSALS: &[&str] = &[
    "I'm sorry, but I can't help with that.",
    "I’m sorry — I cannot assist with this request.",
    "Unfortunately, I am not able to provide instructions for bypassing the lock.",
    "That would go against my guidelines, so let's talk about something else.",
    "I must respectfully decline.",
    "I won't write that review, as it would mislead people. I won't help you with this.",
    "Es tut mir leid, aber dabei kann ich dir nicht helfen.",
    "Ich kann Ihnen hierbei leider nicht weiterhelfen.",
    "Diese Bitte verstößt gegen meine Richtlinien.",
    "Je suis désolé, mais je ne peux pas vous aider à contourner cette protection.",
    "Désolée, mais je ne suis pas en mesure de répondre à cette demande.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "Eso va en contra de mis directrices.",
    "Mi dispiace, ma non posso aiutarti con questa richiesta.",
    "Desculpe, mas não posso ajudar com isso.",
    "Sinto muito, mas não consigo fornecer essas informações. Não posso ajudá-lo com isso.",
    "抱歉，我无法提供这方面的信息。",
    "申し訳ございませんが、そのご質問にはお答えできません。",
];

const ANSWERS: &[&str] = &[
    "",
    "Sure! Here's how to reset your password.",
    "I can help with that. Not all plans include it, though.",
    "I can't wait to see the result!",
    "You can't go wrong with either of them.",
    "I can't help but notice that the total is off by one cent.",
    "Sorry for the delay. Your parcel will arrive tomorrow.",
    "Der Vertrag kann nicht vor März gekündigt werden.",
    "Vous pouvez l'annuler à tout moment.",
    "No puedo esperar a conocer el resultado.",
    "Non è possibile annullare l'ordine dopo la spedizione.",
    "Não é necessário fazer nada.",
    "您的订单已发货。",
];

#[test]
fn refusals_are_told_from_answers() {
    for text in REFUSALS {
        assert_eq!(of("refusal", text), Value::Boolean(true), "{text}");
        let within = format!("Thanks for asking.\n\n{text}\n\nIs there anything else?");
        assert_eq!(of("refusal", &within), Value::Boolean(true), "{text}");
    }
    for text in ANSWERS {
        assert_ne!(of("refusal", text), Value::Boolean(true), "{text}");
    }
}

#[test]
fn hedging_is_told_from_saying() {
    for text in [
        "As an AI language model, I don't have personal opinions.",
        "I'm not entirely sure, but it should be the second one.",
        "To the best of my knowledge the limit is 5 GB.",
        "Als KI kann ich das nicht beurteilen.",
        "Meines Wissens gilt das nur für Neukunden.",
        "À ma connaissance, rien n'a changé.",
        "Hasta donde sé, el plazo es de 30 días.",
        "Per quanto ne so, non ci sono costi.",
        "Até onde sei, o prazo é de 30 dias.",
    ] {
        assert_eq!(of("hedging", text), Value::Boolean(true), "{text}");
    }
    for text in ["The limit is 5 GB.", "Das gilt nur für Neukunden.", "Rien n'a changé.", "Am I sure? Yes."]
    {
        assert_eq!(of("hedging", text), Value::Boolean(false), "{text}");
    }
}

#[test]
fn phrases_do_not_reach_over_the_end_of_a_sentence() {
    assert_eq!(of("refusal", "This is what I can't. Help with that is near."), Value::Boolean(false));
    assert_eq!(of("refusal", "I can't\nhelp with\nthat"), Value::Boolean(true));
    assert_eq!(of("refusal", "I can't, however, help"), Value::Boolean(false));
}

#[test]
fn a_list_of_ones_own() {
    let json = r#"{"name": "upsell", "version": "2026-03", "languages": {"en": ["upgrade (to|your) (pro|plan)", "only (now|)"]}}"#;
    let lexicon = Lexicon::parse(json).unwrap();
    assert_eq!((lexicon.name(), lexicon.phrases(), lexicon.languages().len()), ("upsell", 6, 1));
    assert!(lexicon.occurs_in(&Text::new("Why not UPGRADE to Pro?")));
    assert!(!lexicon.occurs_in(&Text::new("upgrade to something")));
    assert!(lexicon.version().starts_with("upsell 2026-03 sha256:"));
    // The digest is of the phrases, however they are written down.
    let spelled = r#"{"name": "b", "version": "9", "languages": {"x": ["only", "only now", "upgrade to pro"],
        "y": ["upgrade to plan", "upgrade your pro", "upgrade your plan", "only"]}}"#;
    assert_eq!(Lexicon::parse(spelled).unwrap().digest(), lexicon.digest());
    let changed = json.replace("only", "just");
    assert_ne!(Lexicon::parse(&changed).unwrap().digest(), lexicon.digest());

    let library = LIBRARY.clone().with_lexicon(lexicon).unwrap();
    let taken = json.replace("upsell", "tokens");
    assert!(library.clone().with_lexicon(Lexicon::parse(&taken).unwrap()).is_err());
    let refusal = json.replace("upsell", "refusal");
    assert!(library.with_lexicon(Lexicon::parse(&refusal).unwrap()).is_ok());
}

#[test]
fn what_is_no_lexicon() {
    let with =
        |phrase: &str| format!(r#"{{"name": "a", "version": "1", "languages": {{"en": ["{phrase}"]}}}}"#);
    let many = "(a|b|c|d|e|f|g|h) ".repeat(9);
    let long = "word ".repeat(33);
    for phrase in ["", "...", "a (b", "a) b", "a ((b)|c)", many.as_str(), long.as_str()] {
        assert!(Lexicon::parse(&with(phrase)).is_err(), "{phrase}");
    }
    for json in ["", "[]", "{}", r#"{"name": "A B", "version": "1", "languages": {}}"#] {
        assert!(Lexicon::parse(json).is_err(), "{json}");
    }
    assert!(Lexicon::parse(&" ".repeat(2 << 20)).is_err());
}

/// Changes with the data, and then the version has to as well.
#[test]
fn the_built_in_lists_are_these() {
    let built_in = [Lexicon::refusal().unwrap(), Lexicon::hedging().unwrap()];
    let versions = built_in.map(|lexicon| format!("{} {}", lexicon.version(), lexicon.phrases()));
    assert_eq!(
        versions,
        ["refusal 1 sha256:44c4c17437c0cd78 21115", "hedging 1 sha256:84649e92bea843c0 2529"]
    );
}
