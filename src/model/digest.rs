//! Digests as OCI writes them. Storage paths and SQL keys are built from this type only, so a
//! string from a caller can never become a path.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    Sha256,
    Sha512,
}

impl Algorithm {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    pub fn digest(self, bytes: &[u8]) -> Digest {
        match self {
            Self::Sha256 => Digest::new(self, &sha2::Sha256::digest(bytes)),
            Self::Sha512 => Digest::new(self, &sha2::Sha512::digest(bytes)),
        }
    }
}

impl FromStr for Algorithm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(Error::invalid(
                "digest_unsupported",
                format!("unsupported digest algorithm: {}", shorten(text)),
            )
            .hint("use sha256 or sha512")),
        }
    }
}

/// `sha256:` or `sha512:` followed by lower-case hexadecimal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    pub fn new(algorithm: Algorithm, hash: &[u8]) -> Self {
        Self(format!("{}:{}", algorithm.name(), hex(hash)))
    }

    pub fn sha256(bytes: &[u8]) -> Self {
        Algorithm::Sha256.digest(bytes)
    }

    /// The SHA-256 of everything a reader gives.
    pub fn of_reader(reader: &mut impl std::io::Read) -> std::io::Result<Self> {
        let mut hash = sha2::Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match reader.read(&mut buffer)? {
                0 => return Ok(Self::new(Algorithm::Sha256, &hash.finalize())),
                read => hash.update(&buffer[..read]),
            }
        }
    }

    pub fn algorithm(&self) -> Algorithm {
        if self.0.starts_with("sha256:") { Algorithm::Sha256 } else { Algorithm::Sha512 }
    }

    pub fn hex(&self) -> &str {
        &self.0[7..]
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..7 + 12]
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let invalid = || {
            Error::invalid("digest_invalid", format!("not a digest: {}", shorten(text)))
                .hint("a digest is sha256: and 64 lower-case hexadecimal digits, or sha512: and 128")
        };
        let (algorithm, hex) = text.split_once(':').ok_or_else(invalid)?;
        let algorithm: Algorithm = algorithm.parse()?;
        let digits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if hex.len() != algorithm.hex_length() || !hex.bytes().all(digits) {
            return Err(invalid());
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl schemars::JsonSchema for Digest {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Digest".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^(sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$"
        })
    }
}

/// Lower-case hexadecimal of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// 32 bytes from 64 hexadecimal digits, in whichever case.
pub fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        text.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let pairs: [[u8; 2]; 32] = digits.as_chunks().0.try_into().ok().filter(|_| digits.len() == 64)?;
    Some(pairs.map(|[high, low]| high << 4 | low))
}

/// A caller's string made safe to print back: no control characters, at most 80 characters.
pub fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().nth(80).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_canonical_digests() {
        let good = format!("sha256:{}", "a0".repeat(32));
        assert_eq!(good.parse::<Digest>().unwrap().as_str(), good);
        assert!(format!("sha512:{}", "a0".repeat(64)).parse::<Digest>().is_ok());
        for bad in [
            "",
            "sha256:",
            "sha256",
            "md5:00",
            &good.to_uppercase(),
            &format!("{good}0"),
            &good[..70],
            &format!("sha256:../{}", "a".repeat(61)),
            &format!("sha512:{}", "a0".repeat(32)),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
