//! Names of namespaces, workloads, principals and aliases. A value of these types is valid and
//! canonical: lower-case ASCII, so two names that look alike to a person cannot differ to the machine.

use super::digest::shorten;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Length of one path segment of a name, in bytes.
pub const SEGMENT_MAX: usize = 64;
/// Length of an OCI tag, in bytes (distribution-spec 1.1, `<reference>`).
pub const TAG_MAX: usize = 128;

/// An OCI path component: runs of `a-z0-9` joined by `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if text.is_empty() || text.len() > SEGMENT_MAX {
        return false;
    }
    let bytes = text.as_bytes();
    if !alphanumeric(bytes[0]) || !alphanumeric(bytes[bytes.len() - 1]) {
        return false;
    }
    text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|separator| matches!(separator, "" | "." | "_" | "__") || separator.bytes().all(|b| b == b'-'))
}

fn refuse(what: &str, text: &str) -> Error {
    Error::invalid("name_invalid", format!("not a valid {what}: {}", shorten(text))).hint(format!(
        "lower-case letters and digits, joined by '.', '_', '__' or '-', at most {SEGMENT_MAX} characters"
    ))
}

macro_rules! text_type {
    ($name:ident) => {
        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}
pub(crate) use text_type;

/// A tenant, for example `acme`.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Namespace(String);
text_type!(Namespace);

impl FromStr for Namespace {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if is_component(text) { Ok(Self(text.to_owned())) } else { Err(refuse("namespace", text)) }
    }
}

/// `namespace/name`: a workload, and the OCI repository of the same name. Always two segments.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Workload(String);
text_type!(Workload);

impl Workload {
    pub fn new(namespace: &Namespace, name: &str) -> Result<Self> {
        format!("{namespace}/{name}").parse()
    }

    pub fn namespace(&self) -> Namespace {
        Namespace(self.0.split('/').next().unwrap_or_default().to_owned())
    }

    pub fn name(&self) -> &str {
        self.0.split('/').next_back().unwrap_or_default()
    }
}

impl FromStr for Workload {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('/') {
            Some((namespace, name)) if is_component(namespace) && is_component(name) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(refuse("workload name", text)
                .hint("a workload is namespace/name, for example acme/ticket-triage")),
        }
    }
}

/// An OCI tag that is not a version: a free label such as `champion`, or a tag of other content.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(String);
text_type!(Tag);

impl FromStr for Tag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let valid = !text.is_empty()
            && text.len() <= TAG_MAX
            && word(text.as_bytes()[0])
            && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-');
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::invalid("tag_invalid", format!("not a valid tag: {}", shorten(text))).hint(
                "letters, digits, '_', '.' and '-', at most 128 characters, not starting with '.' or '-'",
            ))
        }
    }
}

/// Who acts: a person (`ada`), a service (`ci`), or the local user (`local:ada`).
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct PrincipalName(String);
text_type!(PrincipalName);

impl PrincipalName {
    /// The user of the machine in local mode. Characters outside the grammar become `-`.
    pub fn local(user: &str) -> Self {
        let clean: String = user
            .to_ascii_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .take(SEGMENT_MAX)
            .collect();
        let clean = clean.trim_matches('-');
        Self(format!("local:{}", if clean.is_empty() { "user" } else { clean }))
    }
}

impl FromStr for PrincipalName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if is_component(text.strip_prefix("local:").unwrap_or(text)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(refuse("user or service name", text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_canonical_names_only() {
        for good in ["acme/ticket-triage", "a/b", "a.b/c_d", "a__b/c--d", "0/9"] {
            assert_eq!(good.parse::<Workload>().unwrap().as_str(), good);
        }
        let long = format!("acme/{}", "a".repeat(10_000));
        for bad in [
            "",
            "acme",
            "acme/",
            "/x",
            "a/b/c",
            "Acme/x",
            "a/..",
            "../a",
            "a/.b",
            "a/b-",
            "a/b.",
            "a/b..c",
            "a/b___c",
            "a/b_-c",
            "a/b%2e%2e",
            "a/b\0",
            "a/b c",
            "a/\u{0430}",
            "a//b",
            "a\\b/c",
            &long,
        ] {
            assert_eq!(bad.parse::<Workload>().unwrap_err().code, "name_invalid", "{bad:?}");
        }
    }

    #[test]
    fn tags_follow_oci() {
        assert!("latest".parse::<Tag>().is_ok());
        assert!("_x.y-z".parse::<Tag>().is_ok());
        for bad in ["", ".x", "-x", "a/b", "a b", "^1.2", &"a".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn local_users_always_have_a_name() {
        assert_eq!(PrincipalName::local("Ada L.").as_str(), "local:ada-l");
        assert_eq!(PrincipalName::local("").as_str(), "local:user");
        assert!(PrincipalName::local("ää").as_str().parse::<PrincipalName>().is_ok());
    }
}
