//! Whom a certificate is made out to. A name of one kind never passes for one of another: an authority that vouches
//! for host names has not looked at who reads which mail.

use super::der::{self, OID, SET};
use std::fmt;

const URI: u8 = 0x86;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    Uri(String),
    Email(String),
    Dns(String),
    /// The subject's common name. Nobody is bound to check it, so it counts only where there is nothing else.
    Common(String),
}

impl Name {
    /// Whether this is who is wanted: `someone@example.org`, a URI with its scheme, or else a DNS name. A common name
    /// is compared as it stands.
    pub fn is(&self, wanted: &str) -> bool {
        match (self, Self::of(wanted)) {
            (Self::Common(name), _) => name == wanted,
            (Self::Dns(name), Self::Dns(wanted)) => name.eq_ignore_ascii_case(&wanted),
            // Mailboxes may tell cases apart, hosts do not.
            (Self::Email(name), Self::Email(wanted)) => {
                let ((box_, host), (wanted_box, wanted_host)) = (halves(name), halves(&wanted));
                box_ == wanted_box && host.eq_ignore_ascii_case(wanted_host)
            }
            (Self::Uri(name), Self::Uri(wanted)) => *name == wanted,
            _ => false,
        }
    }

    /// A text as the kind of name it can only be.
    fn of(text: &str) -> Self {
        let is_scheme = |scheme: &str| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
        };
        match text.split_once(':') {
            Some((scheme, _)) if is_scheme(scheme) => Self::Uri(text.to_owned()),
            _ if text.contains('@') => Self::Email(text.to_owned()),
            _ => Self::Dns(text.to_owned()),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Uri(name) | Self::Email(name) | Self::Dns(name) | Self::Common(name)) = self;
        out.write_str(name)
    }
}

fn halves(email: &str) -> (&str, &str) {
    email.rsplit_once('@').unwrap_or((email, ""))
}

/// The URIs among alternative names, then the mail addresses, then the DNS names, each as they come: the first is the
/// one that is recorded. What is not formed like what it says it is, is passed over, so that a recorded name shows its
/// kind.
pub(super) fn alternative(names: &[u8]) -> Vec<Name> {
    let of_kind = |(tag, make): (u8, fn(String) -> Name)| {
        let texts = der::values(names).filter(move |(found, _)| *found == tag);
        texts.filter_map(|(_, name)| text(name)).map(make)
    };
    let all = [(URI, Name::Uri as fn(String) -> Name), (EMAIL, Name::Email), (DNS, Name::Dns)];
    all.into_iter().flat_map(of_kind).filter(|name| Name::of(&name.to_string()) == *name).collect()
}

pub(super) fn common(subject: &[u8]) -> Option<Name> {
    const STRINGS: [u8; 3] = [0x0c, 0x13, 0x16];
    let sets = der::values(subject).filter(|(tag, _)| *tag == SET);
    let name = |mut attribute: &[u8]| {
        der::expect(&mut attribute, OID).filter(|oid| *oid == COMMON_NAME)?;
        der::take(&mut attribute).filter(|(tag, _)| STRINGS.contains(tag)).and_then(|(_, name)| text(name))
    };
    sets.flat_map(|(_, set)| der::values(set)).find_map(|(_, attribute)| name(attribute)).map(Name::Common)
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = str::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_only_what_its_kind_says() {
        let uri = |text: &str| Name::Uri(text.into());
        let (email, dns) = (|text: &str| Name::Email(text.into()), |text: &str| Name::Dns(text.into()));
        for (name, wanted) in [
            (email("Boss@Acme.example"), "Boss@acme.EXAMPLE"),
            (dns("build.acme.example"), "Build.acme.example"),
            (uri("https://ci.acme.example/x"), "https://ci.acme.example/x"),
            (uri("spiffe://acme/ci"), "spiffe://acme/ci"),
            (uri("urn:acme:ci"), "urn:acme:ci"),
            (uri("mailto:boss@acme.example"), "mailto:boss@acme.example"),
            (Name::Common("Release Team".into()), "Release Team"),
        ] {
            assert!(name.is(wanted), "{name:?} {wanted}");
        }
        for (name, wanted) in [
            (email("boss@acme.example"), "Boss@acme.example"),
            (email("boss@acme.example"), "acme.example"),
            (dns("acme.example"), "boss@acme.example"),
            (dns("boss@acme.example"), "boss@acme.example"),
            (uri("boss@acme.example"), "boss@acme.example"),
            (uri("acme.example"), "acme.example"),
            (email("https://x@acme.example"), "https://x@acme.example"),
            (uri("https://ci.acme.example/X"), "https://ci.acme.example/x"),
            (Name::Common("Release Team".into()), "release team"),
        ] {
            assert!(!name.is(wanted), "{name:?} {wanted}");
        }
    }

    #[test]
    fn ill_formed_names_are_passed_over_and_the_order_is_by_kind() {
        let name = |tag: u8, text: &str| der::wrap(tag, &[text.as_bytes()]);
        let all = [
            name(DNS, "boss@acme.example"),
            name(URI, "boss@acme.example"),
            name(EMAIL, "acme.example"),
            name(DNS, "b.acme.example"),
            name(DNS, "a.acme.example"),
            name(0x87, "\x7f\0\0\x01"),
            name(EMAIL, "boss@acme.example\n"),
            name(EMAIL, "boss@acme.example"),
        ];
        let found: Vec<String> = alternative(&all.concat()).iter().map(Name::to_string).collect();
        assert_eq!(found, ["boss@acme.example", "b.acme.example", "a.acme.example"]);
    }
}
