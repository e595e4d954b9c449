use super::*;

#[test]
fn bytes_are_canonical_and_read_back() {
    let event = Event {
        position: 7,
        at: "2026-01-02T03:04:05Z".parse().unwrap(),
        actor: "ada".parse().unwrap(),
        change: Change::UserDisabled { user: "bob".parse().unwrap() },
    };
    let bytes = event.to_bytes().unwrap();
    assert_eq!(
        String::from_utf8(bytes.clone()).unwrap(),
        r#"{"actor":"ada","at":"2026-01-02T03:04:05.000000Z","data":{"user":"bob"},"kind":"user_disabled","position":7}"#
    );
    assert_eq!(Event::from_bytes(&bytes).unwrap(), event);
}

#[test]
fn refuses_an_event_that_is_too_large() {
    let event = Event {
        position: 0,
        at: DateTime::UNIX_EPOCH,
        actor: "ada".parse().unwrap(),
        change: Change::Yanked {
            workload: "a/b".parse().unwrap(),
            version: Version::new(1, 0, 0),
            digest: Digest::sha256(b""),
            reason: "x".repeat(EVENT_MAX),
        },
    };
    assert_eq!(event.to_bytes().unwrap_err().code, "event_too_large");
}
