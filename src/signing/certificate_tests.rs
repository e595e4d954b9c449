//! Chains made on the spot, each with one thing in it that matters.

use super::super::keys::PrivateKey;
use super::super::{golden, names::Name};
use super::*;
use rustls_pki_types::alg_id;

const NOW: i64 = 1_800_000_000;
const SERVER_AUTH: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];

/// A certificate and its key.
struct Made {
    der: Vec<u8>,
    subject: Vec<u8>,
    key: PrivateKey,
}

fn on_p256() -> PrivateKey {
    PrivateKey::generate().unwrap().1
}

fn on_p521() -> PrivateKey {
    let [.., (private, _)] = golden::PRIVATE_KEYS;
    PrivateKey::from_pem(private).unwrap()
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der::wrap(SEQUENCE, parts)
}

/// Issued by `issuer`, or by itself. `hash` names what the issuer's key signs with.
fn issued(name: &str, key: PrivateKey, issuer: Option<&Made>, hash: &[u8], extensions: &[Vec<u8>]) -> Made {
    let common = sequence(&[&der::wrap(OID, &[&[0x55, 0x04, 0x03]]), &der::wrap(0x0c, &[name.as_bytes()])]);
    let subject = sequence(&[&der::wrap(der::SET, &[&common])]);
    let hash = sequence(&[hash]);
    let time = |text: &str| der::wrap(0x17, &[text.as_bytes()]);
    let body = sequence(&[
        &der::wrap(0xa0, &[&[INTEGER, 1, 2]]),
        &[INTEGER, 1, 1],
        &hash,
        issuer.map_or(&subject, |issuer| &issuer.subject),
        &sequence(&[&time("260101000000Z"), &time("360101000000Z")]),
        &subject,
        &key.public().spki(),
        &der::wrap(0xa3, &[&sequence(&[&extensions.concat()])]),
    ]);
    let signature = issuer.map_or(&key, |issuer| &issuer.key).sign(&body).unwrap();
    let der = sequence(&[&body, &hash, &der::wrap(BIT_STRING, &[&[0], &signature])]);
    Made { der, subject, key }
}

fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    sequence(&[&der::wrap(OID, &[oid]), &[BOOLEAN, 1, 0xff], &der::wrap(OCTET_STRING, &[value])])
}

fn usage(bits: u8) -> Vec<u8> {
    extension(KEY_USAGE, &der::wrap(BIT_STRING, &[&[0, bits]]))
}

fn extended(usages: &[&[u8]]) -> Vec<u8> {
    let usages: Vec<u8> = usages.iter().flat_map(|usage| der::wrap(OID, &[usage])).collect();
    extension(EXTENDED_KEY_USAGE, &sequence(&[&usages]))
}

fn alternative(names: &[(u8, &str)]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|(tag, name)| der::wrap(*tag, &[name.as_bytes()])).collect();
    extension(ALTERNATIVE_NAMES, &sequence(&[&names]))
}

/// Issuers may vouch for host names below this one only.
fn constrained(domain: &str) -> Vec<u8> {
    let base = sequence(&[&der::wrap(0x82, &[domain.as_bytes()])]);
    extension(NAME_CONSTRAINTS, &sequence(&[&der::wrap(0xa0, &[&base])]))
}

fn authority(name: &str, issuer: Option<&Made>, more: &[Vec<u8>]) -> Made {
    let mut extensions =
        vec![extension(BASIC_CONSTRAINTS, &sequence(&[&[BOOLEAN, 1, 0xff]])), usage(CERTIFICATE_SIGNING)];
    extensions.extend_from_slice(more);
    issued(name, on_p256(), issuer, alg_id::ECDSA_SHA256.as_ref(), &extensions)
}

fn leaf(issuer: &Made, extensions: &[Vec<u8>]) -> Made {
    issued("release@acme.example", on_p256(), Some(issuer), alg_id::ECDSA_SHA256.as_ref(), extensions)
}

fn checked(chain: &[&Made]) -> Result<Checked> {
    let chain: Vec<Vec<u8>> = chain.iter().map(|made| made.der.clone()).collect();
    check(&chain, None, NOW)
}

fn message<T>(result: Result<T>) -> String {
    result.map(|_| String::new()).unwrap_or_else(|error| {
        assert_eq!(error.code, "certificate_invalid");
        error.message
    })
}

#[test]
fn a_list_of_usages_has_to_name_signing_code() {
    let root = authority("Root", None, &[]);
    let signs = || usage(DIGITAL_SIGNATURE);
    for (extensions, is_good) in [
        (vec![signs()], true),
        (vec![signs(), extended(&[CODE_SIGNING])], true),
        (vec![extended(&[SERVER_AUTH, CODE_SIGNING])], true),
        (vec![signs(), extended(&[ANY_USAGE])], true),
        (vec![signs(), extended(&[SERVER_AUTH])], false),
        (vec![extended(&[ANY_USAGE])], false),
        (vec![usage(CERTIFICATE_SIGNING)], false),
        (vec![], false),
    ] {
        let signer = leaf(&root, &extensions);
        let said = message(checked(&[&signer, &root]));
        assert_eq!(said.is_empty(), is_good, "{said}");
        assert!(is_good || said.ends_with("is not for signing"), "{said}");
    }
    for (usages, is_good) in [(&[SERVER_AUTH][..], false), (&[CODE_SIGNING], true), (&[ANY_USAGE], true)] {
        let between = authority("Between", Some(&root), &[extended(usages)]);
        let signer = leaf(&between, &[signs()]);
        let said = message(checked(&[&signer, &between, &root]));
        assert_eq!(said.is_empty(), is_good, "{said}");
        assert!(is_good || said.ends_with("Between may not issue certificates to sign with"), "{said}");
    }
}

#[test]
fn a_common_name_counts_only_where_nothing_else_is_said_about_names() {
    let root = authority("Root", None, &[]);
    let common = Name::Common("release@acme.example".into());
    let signs = usage(DIGITAL_SIGNATURE);
    let signer = leaf(&root, std::slice::from_ref(&signs));
    assert_eq!(checked(&[&signer, &root]).unwrap().names, [common]);
    let between = authority("Between", Some(&root), &[constrained("acme.example")]);
    let signer = leaf(&between, std::slice::from_ref(&signs));
    assert_eq!(checked(&[&signer, &between, &root]).unwrap().names, []);
    let signer = leaf(&root, &[signs.clone(), alternative(&[(0x87, "\x7f\0\0\x01")])]);
    assert_eq!(checked(&[&signer, &root]).unwrap().names, []);
    // Constraints hold for the names they are about.
    let inside = leaf(&between, &[signs.clone(), alternative(&[(0x82, "ci.acme.example")])]);
    assert_eq!(checked(&[&inside, &between, &root]).unwrap().names, [Name::Dns("ci.acme.example".into())]);
    let outside = leaf(&between, &[signs, alternative(&[(0x82, "evil.example")])]);
    assert!(message(checked(&[&outside, &between, &root])).ends_with("may not vouch for the name in it"));
}

#[test]
fn all_alternative_names_are_read() {
    let root = authority("Root", None, &[]);
    let names = [
        (0x82, "ci.acme.example"),
        (0x81, "boss@acme.example"),
        (0x86, "https://ci.acme.example/a"),
        (0x86, "https://ci.acme.example/b"),
    ];
    let signer = leaf(&root, &[usage(DIGITAL_SIGNATURE), alternative(&names)]);
    let found: Vec<String> = checked(&[&signer, &root]).unwrap().names.iter().map(Name::to_string).collect();
    assert_eq!(
        found,
        ["https://ci.acme.example/a", "https://ci.acme.example/b", "boss@acme.example", "ci.acme.example"]
    );
}

#[test]
fn p521_is_followed_and_what_cannot_be_checked_is_named() {
    let ca = [extension(BASIC_CONSTRAINTS, &sequence(&[&[BOOLEAN, 1, 0xff]]))];
    let root = issued("Root", on_p521(), None, alg_id::ECDSA_SHA512.as_ref(), &ca);
    let signs = [usage(DIGITAL_SIGNATURE)];
    let signer = issued("Signer", on_p521(), Some(&root), alg_id::ECDSA_SHA512.as_ref(), &signs);
    assert_eq!(checked(&[&signer, &root]).unwrap().key, *signer.key.public());
    for wrong in [alg_id::ECDSA_SHA256, alg_id::RSA_PKCS1_SHA256] {
        let signer = issued("Signer", on_p256(), Some(&root), wrong.as_ref(), &signs);
        assert_ne!(message(checked(&[&signer, &root])), "");
    }
    let root = authority("Root", None, &[]);
    let signer = issued("Signer", on_p256(), Some(&root), alg_id::ECDSA_SHA512.as_ref(), &signs);
    let error = checked(&[&signer, &root]).unwrap_err();
    assert_eq!(
        error.message,
        "the signer's certificate is not acceptable: one of its certificates is signed in a way that cannot be checked"
    );
    assert!(error.hint.unwrap().contains("P-521"));
}
