//! How a version is read, and from where.

use super::digest::shorten;
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

/// How somebody read a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Asked which version a reference means.
    Resolve,
    /// Fetched the manifest.
    Manifest,
    /// Fetched a file, or a range of it.
    Blob,
    /// Had the prompt filled in.
    Render,
}

impl How {
    pub const ALL: [Self; 4] = [Self::Resolve, Self::Manifest, Self::Blob, Self::Render];

    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Manifest => "manifest",
            Self::Blob => "blob",
            Self::Render => "render",
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for How {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|how| how.name() == text)
            .ok_or_else(|| Error::invalid("read_invalid", format!("not a way of reading: {}", shorten(text))))
    }
}

/// Most addresses of the header that are looked at.
const HOPS_MAX: usize = 32;

/// Whom a chain of proxies speaks for: `peer` is who connected, `forwarded` what `X-Forwarded-For` says. It counts only from
/// proxies that are trusted, and only up to the last address that is not one of theirs: what is left of that, anybody may
/// have written. A header that cannot be read is as good as none.
pub fn behind(peer: IpAddr, forwarded: &[&str], is_trusted: impl Fn(IpAddr) -> bool) -> IpAddr {
    let mut found = peer.to_canonical();
    let hops = forwarded.iter().flat_map(|line| line.split(',')).map(str::trim).collect::<Vec<_>>();
    for hop in hops.into_iter().rev().take(HOPS_MAX) {
        if !is_trusted(found) {
            break;
        }
        match address(hop) {
            Some(address) => found = address.to_canonical(),
            None => return peer.to_canonical(),
        }
    }
    found
}

/// An address, as proxies write it: some add the port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = |text: &str| text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| with_port(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_speak_for_others() {
        let trusted = |address: IpAddr| address.to_string().starts_with("10.");
        for (peer, header, expected) in [
            // Nobody trusts a stranger's header.
            ("192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            // What is left of the first address that is not trusted, the client made up.
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            // A client inside the trusted network.
            ("10.0.0.1", &["10.0.0.7"], "10.0.0.7"),
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            // Not to be read: as if there were none.
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9, "], "10.0.0.1"),
            ("10.0.0.1", &["unknown, 10.0.0.3"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            // Behind an address that is to be believed, nothing else is looked at.
            ("10.0.0.1", &["garbage, 203.0.113.9"], "203.0.113.9"),
        ] {
            let found = behind(peer.parse().unwrap(), header, trusted);
            assert_eq!(found.to_string(), expected, "{peer} {header:?}");
        }
        let long = vec!["10.0.0.2"; 10_000].join(",");
        assert_eq!(behind("10.0.0.1".parse().unwrap(), &[&long], trusted).to_string(), "10.0.0.2");
    }

    #[test]
    fn ways_have_names() {
        for how in How::ALL {
            assert_eq!(how.name().parse::<How>().unwrap(), how);
            assert_eq!(serde_json::to_value(how).unwrap(), how.name());
        }
        assert_eq!("pull".parse::<How>().unwrap_err().code, "read_invalid");
    }
}
