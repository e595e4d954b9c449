//! What a stored entry of the log says, read off its bytes: its keys are sorted, so kind and position come last, and no
//! quotation mark inside a text goes without its escape. Going through a long log would take several times longer if each
//! entry were parsed.

use memchr::memmem::Finder;
use std::sync::LazyLock;

static WORKLOAD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"workload\":\""));
static REPOSITORY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"repository\":\""));
static TIME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\",\"at\":\""));
const TIME_LENGTH: usize = "2026-01-02T03:04:05.000000Z".len();

/// The entry without its position, and the position's digits.
fn split(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let open = entry.strip_suffix(b"}")?;
    let digits = open.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (rest, digits) = open.split_at(open.len() - digits);
    Some((rest.strip_suffix(b",\"position\":")?, digits))
}

pub fn kind(entry: &[u8]) -> Option<&[u8]> {
    let rest = split(entry)?.0.strip_suffix(b"\"")?;
    let name = rest.iter().rev().take_while(|byte| **byte != b'"').count();
    let (before, name) = rest.split_at(rest.len() - name);
    before.ends_with(b",\"kind\":\"").then_some(name)
}

pub fn position(entry: &[u8]) -> Option<u64> {
    std::str::from_utf8(split(entry)?.1).ok()?.parse().ok()
}

/// The workload or repository it is about, if it is about one.
pub fn workload(entry: &[u8]) -> Option<&[u8]> {
    let after = |finder: &Finder| Some(&entry[finder.find(entry)? + finder.needle().len()..]);
    let rest = after(&WORKLOAD).or_else(|| after(&REPOSITORY))?;
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

/// When it was made. Of a fixed width, so that texts are ordered as times are.
pub fn time(entry: &[u8]) -> Option<&[u8]> {
    let at = TIME.find(entry)? + TIME.needle().len();
    entry.get(at..at + TIME_LENGTH).filter(|time| time.ends_with(b"Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        digest::Digest,
        event::{Change, Event, time_text},
        name::Workload,
    };

    #[test]
    fn what_is_read_off_the_bytes_is_what_the_event_says() {
        let (of, digest): (Workload, _) = ("a/b".parse().unwrap(), Digest::sha256(b""));
        // What looks like a key in a text is none.
        let tag = r#"","kind":"x","workload":"x/y","at":"#.to_owned();
        let tagged = Change::Tagged { repository: of.clone(), tag, digest: digest.clone() };
        let removed = Change::AliasRemoved { workload: of, alias: "champion".into(), from: digest };
        let disabled = Change::UserDisabled { user: "bob".parse().unwrap() };
        for (change, name) in [(tagged, "tagged"), (removed, "alias_removed"), (disabled, "user_disabled")] {
            let at = "2026-01-02T03:04:05Z".parse().unwrap();
            let event = Event { position: 17, at, actor: "ada".parse().unwrap(), change };
            let bytes = event.to_bytes().unwrap();
            assert_eq!(kind(&bytes), Some(name.as_bytes()));
            assert_eq!(position(&bytes), Some(17));
            assert_eq!(time(&bytes), Some(time_text(&event.at).as_bytes()));
            assert_eq!(
                workload(&bytes),
                event.change.workload().map(|workload| workload.as_str().as_bytes())
            );
        }
        for other in
            [&b""[..], b"}", b"{\"kind\":\"x\"}", b"\"kind\":\"x\",\"position\":7", b"{\"position\":7}"]
        {
            assert_eq!(
                (kind(other), position(other), time(other), workload(other)),
                (None, None, None, None)
            );
        }
    }
}
