use super::super::{Patterns, Role, Text, Value};
use super::{LIBRARY, of};

/// Numbers and keys that are made up, in the shapes of real ones; in parts, so that nobody takes them for real.
fn found() -> Vec<(&'static str, String)> {
    let long = |prefix: &str, n: usize| {
        format!("{prefix}{}", "a1B2c3D4".chars().cycle().take(n).collect::<String>())
    };
    vec![
        ("pii_email", "Write to first.last+tag@mail.example.co.uk, please".into()),
        ("pii_phone", "Call +49 (30) 901820-00 after 9".into()),
        ("pii_phone", "or +15550100123".into()),
        ("pii_phone", "or (555) 010-0199.".into()),
        ("pii_phone", "or 555-010-0199".into()),
        ("pii_phone", "oder 0049 30 9018200".into()),
        ("pii_iban", "IBAN: DE89 3704 0044 0532 0130 00, BIC below".into()),
        ("pii_iban", "to GB82WEST12345698765432".into()),
        ("pii_iban", "AB12 DE89370400440532013000 AND MORE".into()),
        ("pii_card", "My card is 4111 1111 1111 1111, exp 12/29".into()),
        ("pii_card", "ref 12345 378282246310005".into()),
        ("pii_card", "5555-5555-5555-4444".into()),
        ("pii_ssn", "SSN 219-09-9999".into()),
        ("pii_ipv4", "from 192.168.17.43:8080.".into()),
        ("pii_ipv4", "at 10.0.0.1.".into()),
        ("secret_url_password", "postgres://app:hunter2@db.internal:5432/app".into()),
        ("secret_url_password", "see redis://:pa55@[::1]/0".into()),
        ("secret_private_key", format!("-----BEGIN {}PRIVATE KEY-----", "OPENSSH ")),
        ("secret_private_key", format!("-----BEGIN {}KEY BLOCK-----", "PGP PRIVATE ")),
        ("secret_jwt", format!("Bearer {}.{}.{}", long("eyJ", 20), long("eyJ", 40), long("", 43))),
        ("secret_api_key", format!("key AKIA{}", "Q".repeat(16))),
        ("secret_api_key", long("gh", 0) + &long("p_", 36)),
        ("secret_api_key", long("sk-", 40)),
        ("secret_api_key", long("AIza", 35)),
        ("secret_api_key", format!("{}_live_{}", "sk", long("", 24))),
    ]
}

const CLEAN: &[(&str, &str)] = &[
    ("pii_email", "meet @ noon, or user@localhost, or @handle"),
    ("pii_phone", "order 4711-0815 of 2026-03-12, 1,234,567.89"),
    ("pii_phone", "2 + 3456 = 3458"),
    ("pii_iban", "DE89 3704 0044 0532 0130 01"),
    ("pii_iban", "GB82 WEST 1234"),
    ("pii_iban", "DE893704004405320130000"),
    ("pii_iban", "ZZ82WEST12345698765432"),
    ("pii_card", "4111 1111 1111 1112"),
    ("pii_card", "0000000000000000 and 1234567890123456789012345"),
    ("pii_ssn", "000-12-3456 666-12-3456 900-12-3456 219-00-9999 219-09-0000"),
    ("pii_ssn", "part 219-09-9999-1 of 1-219-09-9999"),
    ("pii_ipv4", "version 1.2.3.4.5, 300.1.1.1 and 1.2.3"),
    ("secret_url_password", "https://example.org:8443/a:b@c and mailto:me@example.org"),
    ("secret_private_key", "-----BEGIN CERTIFICATE----- and -----BEGIN PUBLIC KEY-----"),
    ("secret_jwt", "eyJ.eyJ. and header.payload.signature"),
    ("secret_api_key", "task-sk-1 AKIA sk-short risk-assessment-of-the-whole-year"),
];

#[test]
fn each_shape_is_found_and_only_where_it_is() {
    for (signal, text) in found() {
        assert_eq!(of(signal, &text), Value::Boolean(true), "{signal} {text}");
        let any = format!("{}_any", signal.split('_').next().unwrap());
        assert_eq!(of(&any, &text), Value::Boolean(true), "{text}");
        let around = format!("Grüße 👋 ({text})\u{0}\n");
        assert_eq!(of(signal, &around), Value::Boolean(true), "{around}");
    }
    for (signal, text) in CLEAN {
        assert_eq!(of(signal, text), Value::Boolean(false), "{signal} {text}");
    }
    for text in ["", "Thanks, that worked!", "Bestellung 4711 vom 12.03.2026 über 1.299,00 €"] {
        assert_eq!(
            [of("pii_any", text), of("secret_any", text)],
            [Value::Boolean(false), Value::Boolean(false)]
        );
    }
}

#[test]
fn patterns_of_ones_own_beside_the_ones_built_in() {
    let json = r#"{"name": "ours", "version": "3", "patterns": [{"group": "pii", "name": "badge", "regex": "\\bB-[0-9]{6}\\b"}]}"#;
    let ours = Patterns::parse(json).unwrap();
    assert!(ours.version().starts_with("ours 3 sha256:") && ours.digest().len() == 64);
    let own = ours.signals();
    let built_in = Patterns::built_in().unwrap().signals();
    // One text remembers what it was found to have for one set only.
    let text = Text::new("Badge B-123456, mail a@example.org");
    for (signals, name, is_there) in [
        (&own, "pii_badge", true),
        (&built_in, "pii_email", true),
        (&built_in, "pii_card", false),
        (&own, "pii_any", true),
    ] {
        let signal = signals.iter().find(|signal| signal.name() == name).unwrap();
        assert_eq!(signal.of(&text), Value::Boolean(is_there), "{name}");
    }
    let library = LIBRARY.clone().with_patterns(Patterns::parse(json).unwrap());
    let names = library.signals(Role::Input).iter().filter(|signal| signal.name().starts_with("pii")).count();
    assert_eq!(names, 2);
}

#[test]
fn what_are_no_patterns() {
    let with = |name: &str, regex: &str| {
        format!(
            r#"{{"name": "a", "version": "1", "patterns": [{{"group": "g", "name": "{name}", "regex": "{regex}"}}]}}"#
        )
    };
    for (name, regex) in [
        ("x", "("),
        ("x", "a*"),
        ("x", "(?=a)"),
        ("x", "[a-z]{1000}{1000}"),
        ("any", "a"),
        ("X y", "a"),
        ("", "a"),
    ] {
        assert!(Patterns::parse(&with(name, regex)).is_err(), "{name} {regex}");
    }
    assert!(Patterns::parse(&with("x", "a+")).is_ok());
    assert!(Patterns::parse("{}").is_err());
    let checked = with("x", "a").replace("\"regex\"", "\"check\": \"palm\", \"regex\"");
    assert!(Patterns::parse(&checked).is_err());
}

#[test]
fn the_built_in_patterns_are_these() {
    assert_eq!(Patterns::built_in().unwrap().version(), "patterns 1 sha256:f6e7b4e76a935c65");
}
