//! Chains of certificates. Whether each is signed by the next and may be used that way is for `webpki`;
//! what it does not tell, or leaves to TLS, is read here.

use super::{
    curve::P521_ALGORITHMS,
    der::{self, BIT_STRING, BOOLEAN, INTEGER, OCTET_STRING, OID, SEQUENCE},
    keys::PublicKey,
    names::{self, Name},
};
use crate::error::{Error, Result};
use crate::model::digest::Digest;
use chrono::{DateTime, NaiveDate, SecondsFormat};
use rustls_pki_types::{CertificateDer, UnixTime};
use std::time::Duration;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter};

/// The signer, a root and what lies between: more than six between are not followed by `webpki` either.
const CHAIN_MAX: usize = 8;

const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x1e];
const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
const DIGITAL_SIGNATURE: u8 = 0x80;
const CERTIFICATE_SIGNING: u8 = 0x04;

/// A chain that holds together up to its last certificate.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) key: PublicKey,
    pub(super) leaf: String,
    pub(super) root: String,
    /// Whom the leaf is made out to.
    pub(super) names: Vec<Name>,
    pub(super) not_after: i64,
}

/// Checks a chain of DER, the signer's certificate first, each signed by the next. With an `end` it must
/// lead there, whether the end is in the chain or not.
pub(super) fn check(chain: &[Vec<u8>], end: Option<&[u8]>, now: i64) -> Result<Checked> {
    let mut chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    if let Some(end) = end {
        let known = chain.iter().position(|der| *der == end).unwrap_or(chain.len());
        chain.truncate(known);
        chain.push(end);
    }
    let ([leaf, issuers @ ..], 1..=CHAIN_MAX) = (&chain[..], chain.len()) else {
        return Err(invalid(format!("a chain has one to {CHAIN_MAX} certificates")));
    };
    let fields = chain.iter().map(|der| Fields::read(der)).collect::<Result<Vec<_>>>()?;
    let key = signing_key(leaf, &fields[0])?;
    for field in &fields {
        field.check_time(now)?;
    }
    if let Some(other) = fields.iter().skip(1).find(|fields| !fields.may_issue()) {
        return Err(invalid(format!("{} may not issue certificates", other.label())));
    }
    // The root included: what it leaves out, nobody below it can be given.
    if let Some(other) = fields.iter().skip(1).find(|fields| !fields.is_for_code()) {
        return Err(invalid(format!("{} may not issue certificates to sign with", other.label()))
            .hint("its extended key usage leaves codeSigning out"));
    }
    let root = issuers.last().unwrap_or(leaf);
    check_signatures(leaf, issuers, now)?;
    Ok(Checked {
        key,
        leaf: fingerprint(leaf),
        root: fingerprint(root),
        names: names(&fields),
        not_after: fields.iter().map(|fields| fields.not_after).min().unwrap_or_default(),
    })
}

/// A common name is no alternative name, and constraints on names do not reach it: it counts only where a chain has
/// neither.
fn names(fields: &[Fields]) -> Vec<Name> {
    match fields[0].alternative_names {
        Some(names) => names::alternative(names),
        None if fields.iter().any(|fields| fields.constrains_names) => Vec::new(),
        None => names::common(fields[0].subject).into_iter().collect(),
    }
}

/// The key of a chain's first certificate, which must be one to sign with.
pub(super) fn signer(chain: &[Vec<u8>]) -> Result<PublicKey> {
    let leaf = chain.first().ok_or_else(|| invalid("there is no certificate"))?;
    signing_key(leaf, &Fields::read(leaf)?)
}

fn signing_key(leaf: &[u8], fields: &Fields) -> Result<PublicKey> {
    if !fields.may_sign() {
        return Err(invalid(format!("{} is not for signing", fields.label()))
            .hint(
                "the certificate needs the key usage digitalSignature or the extended one codeSigning, and no other \
                 extended one without it",
            ));
    }
    let der = CertificateDer::from(leaf);
    let parsed = EndEntityCert::try_from(&der).map_err(refused)?;
    PublicKey::from_spki(&parsed.subject_public_key_info())
}

fn check_signatures(leaf: &[u8], issuers: &[&[u8]], now: i64) -> Result<()> {
    let Some((root, between)) = issuers.split_last() else {
        return Ok(());
    };
    let now = now.try_into().map_err(|_| invalid("there is no time to check it at"))?;
    let (leaf, root) = (CertificateDer::from(leaf), CertificateDer::from(*root));
    let between: Vec<_> = between.iter().map(|der| CertificateDer::from(*der)).collect();
    let anchors = [webpki::anchor_from_trusted_cert(&root).map_err(refused)?];
    let algorithms = [webpki::ALL_VERIFICATION_ALGS, &P521_ALGORITHMS].concat();
    let path = EndEntityCert::try_from(&leaf).and_then(|leaf| {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(now));
        let path = leaf.verify_for_usage(&algorithms, &anchors, &between, time, Any, None, None)?;
        Ok(path.intermediate_certificates().map(|used| used.der()).eq(between.iter().cloned()))
    });
    match path {
        Ok(true) => Ok(()),
        Ok(false) => Err(invalid("its certificates are not in order, each signed by the next")),
        Err(error) => Err(refused(error)),
    }
}

/// What `webpki` refuses, in words.
fn refused(error: webpki::Error) -> Error {
    use webpki::Error::*;
    let in_order = "the chain starts with the signer's certificate, and each is signed by the next";
    let (why, hint) = match &error {
        UnsupportedSignatureAlgorithmContext(_) | UnsupportedSignatureAlgorithmForPublicKeyContext(_) => (
            "one of its certificates is signed in a way that cannot be checked",
            "what can be checked is ECDSA on P-256, P-384 and P-521, RSA of at least 2048 bits, and Ed25519",
        ),
        UnknownIssuer | InvalidSignatureForPublicKey => {
            ("its certificates do not make a chain, each signed by the next", in_order)
        }
        CaUsedAsEndEntity => ("the first certificate is an authority's, not a signer's", in_order),
        NameConstraintViolation => (
            "an issuer in its chain may not vouch for the name in it",
            "ask an authority that may for a certificate",
        ),
        PathLenConstraintViolated => (
            "an issuer in its chain may not have as many issuers below it",
            "ask an authority that may for a certificate",
        ),
        UnsupportedCriticalExtension => (
            "a certificate has a critical extension that is not known here",
            "ask for a certificate without it",
        ),
        UnsupportedCertVersion => ("a certificate is not X.509 version 3", "ask for one that is"),
        _ => ("a certificate is malformed", "look at it with: openssl x509 -in FILE -text"),
    };
    invalid(why).hint(hint).source(error)
}

/// What certificates may be used for is checked in `check`, the root's included.
struct Any;

impl ExtendedKeyUsageValidator for Any {
    fn validate(&self, mut usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        usages.try_for_each(|usage| usage.map(|_| ()))
    }
}

/// An extended key usage: whether it names signing code, and whether it names everything.
#[derive(Clone, Copy)]
struct Extended {
    code_signing: bool,
    any: bool,
}

/// The parts of a certificate that decide something.
#[derive(Default)]
struct Fields<'a> {
    not_before: i64,
    not_after: i64,
    subject: &'a [u8],
    /// The first eight bits of it.
    key_usage: Option<u8>,
    extended: Option<Extended>,
    is_authority: bool,
    constrains_names: bool,
    alternative_names: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn read(der: &'a [u8]) -> Result<Self> {
        Self::parse(der).ok_or_else(|| invalid("a certificate cannot be read"))
    }

    fn parse(mut der: &'a [u8]) -> Option<Self> {
        let mut certificate = der::expect(&mut der, SEQUENCE)?;
        let mut rest = der::expect(&mut certificate, SEQUENCE)?;
        let rest = &mut rest;
        der::optional(rest, 0xa0);
        der::expect(rest, INTEGER)?;
        der::expect(rest, SEQUENCE)?;
        der::expect(rest, SEQUENCE)?;
        let mut validity = der::expect(rest, SEQUENCE)?;
        let not_before = time(der::take(&mut validity)?)?;
        let not_after = time(der::take(&mut validity)?)?;
        let subject = der::expect(rest, SEQUENCE)?;
        der::expect(rest, SEQUENCE)?;
        der::optional(rest, 0xa1);
        der::optional(rest, 0xa2);
        let mut fields = Self { not_before, not_after, subject, ..Self::default() };
        if let Some(mut extensions) = der::optional(rest, 0xa3) {
            for (_, extension) in der::values(der::expect(&mut extensions, SEQUENCE)?) {
                fields.extend(extension)?;
            }
        }
        (der.is_empty() && rest.is_empty()).then_some(fields)
    }

    fn extend(&mut self, mut extension: &'a [u8]) -> Option<()> {
        let oid = der::expect(&mut extension, OID)?;
        der::optional(&mut extension, BOOLEAN);
        let mut value = der::expect(&mut extension, OCTET_STRING)?;
        match oid {
            KEY_USAGE => {
                // The number of unused bits comes first.
                let bits = der::expect(&mut value, BIT_STRING)?;
                self.key_usage = Some(bits.get(1).copied().unwrap_or_default());
            }
            EXTENDED_KEY_USAGE => {
                let usages = der::expect(&mut value, SEQUENCE)?;
                let has = |wanted| der::values(usages).any(|usage| usage == (OID, wanted));
                self.extended = Some(Extended { code_signing: has(CODE_SIGNING), any: has(ANY_USAGE) });
            }
            BASIC_CONSTRAINTS => {
                let mut constraints = der::expect(&mut value, SEQUENCE)?;
                self.is_authority =
                    der::optional(&mut constraints, BOOLEAN).is_some_and(|value| value == [0xff]);
            }
            NAME_CONSTRAINTS => self.constrains_names = true,
            ALTERNATIVE_NAMES => self.alternative_names = Some(der::expect(&mut value, SEQUENCE)?),
            _ => {}
        }
        Some(())
    }

    /// The reference tool asks for one of the two and takes a server's certificate, too.
    fn may_sign(&self) -> bool {
        let code_signing = self.extended.is_some_and(|extended| extended.code_signing);
        let signs = self.key_usage.is_some_and(|usage| usage & DIGITAL_SIGNATURE != 0);
        self.is_for_code() && (code_signing || signs)
    }

    /// Where a certificate lists what it is for, signing code has to be on the list.
    fn is_for_code(&self) -> bool {
        self.extended.is_none_or(|extended| extended.code_signing || extended.any)
    }

    fn may_issue(&self) -> bool {
        self.is_authority && self.key_usage.is_none_or(|usage| usage & CERTIFICATE_SIGNING != 0)
    }

    /// The reference tool asks whether the certificate was good when it was issued, which says nothing.
    fn check_time(&self, now: i64) -> Result<()> {
        if now > self.not_after {
            return Err(Error::invalid(
                "certificate_expired",
                format!("the certificate of {} expired at {}", self.label(), show(self.not_after)),
            )
            .hint("sign again with a certificate that is valid"));
        }
        match now < self.not_before {
            true => Err(invalid(format!("{} is valid from {} only", self.label(), show(self.not_before)))),
            false => Ok(()),
        }
    }

    fn label(&self) -> String {
        let own = self.alternative_names.map(names::alternative).unwrap_or_default();
        let name = own.into_iter().next().or_else(|| names::common(self.subject));
        name.map_or_else(|| "no name".to_owned(), |name| crate::model::digest::shorten(&name.to_string()))
    }
}

/// Seconds of Unix time of a UTCTime (two digits of the year) or a GeneralizedTime (four), both in UTC.
fn time((tag, content): (u8, &[u8])) -> Option<i64> {
    let digits = content.strip_suffix(b"Z").filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let (digits, century) = match (tag, digits.len()) {
        (0x17, 12) if digits[0] >= b'5' => (digits, 1900),
        (0x17, 12) => (digits, 2000),
        (0x18, 14) => (&digits[2..], 100 * i32::from((digits[0] - b'0') * 10 + digits[1] - b'0')),
        _ => return None,
    };
    let pairs: Vec<u32> =
        digits.chunks_exact(2).map(|d| u32::from((d[0] - b'0') * 10 + d[1] - b'0')).collect();
    let &[year, month, day, hour, minute, second] = &pairs[..] else { return None };
    let date = NaiveDate::from_ymd_opt(century + i32::try_from(year).ok()?, month, day)?;
    Some(date.and_hms_opt(hour, minute, second)?.and_utc().timestamp())
}

fn show(time: i64) -> String {
    let time = DateTime::from_timestamp(time, 0).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn fingerprint(der: &[u8]) -> String {
    Digest::sha256(der).hex().to_owned()
}

fn invalid(why: impl std::fmt::Display) -> Error {
    Error::invalid("certificate_invalid", format!("the signer's certificate is not acceptable: {why}"))
}

#[cfg(test)]
#[path = "certificate_tests.rs"]
mod tests;
