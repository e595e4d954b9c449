//! The statement that is signed: in-toto v1 with the predicate of OpenSSF Model Signing v1.0.

use super::{Resource, invalid};
use crate::error::{Error, Result};
use crate::model::digest::{Digest, hex, shorten};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const TYPE: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://model_signing/signature/v1.0";
const SHA256: &str = "sha256";

/// Read before the rest, so that a statement about something else is called that.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "_type")]
    kind: String,
    #[serde(rename = "predicateType")]
    predicate_type: String,
}

#[derive(Serialize, Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Predicate,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: Root,
}

#[derive(Serialize, Deserialize)]
struct Root {
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Signed>,
}

/// What else a signer notes here (paths it left out) decides nothing: the signed files are compared with
/// ours one by one.
#[derive(Serialize, Deserialize)]
struct Serialization {
    method: String,
    hash_type: String,
    #[serde(default)]
    allow_symlinks: bool,
}

#[derive(Serialize, Deserialize)]
struct Signed {
    name: String,
    algorithm: String,
    digest: String,
}

/// What a checked statement says.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) name: String,
    pub(super) resources: Vec<Resource>,
}

/// The statement to sign for a model of this name. The order of `resources` does not matter.
///
/// Error: `signature_invalid` when these files cannot be signed.
pub fn statement(name: &str, resources: &[Resource]) -> Result<Vec<u8>> {
    let mut sorted: Vec<&Resource> = resources.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let signed = |file: &Resource| Signed {
        name: file.name.clone(),
        algorithm: file.digest.algorithm().name().to_owned(),
        digest: file.digest.hex().to_owned(),
    };
    let resources: Vec<Signed> = sorted.into_iter().map(signed).collect();
    let statement = Statement {
        kind: TYPE.to_owned(),
        subject: vec![Subject { name: name.to_owned(), digest: Root { sha256: root(&resources)? } }],
        predicate_type: PREDICATE.to_owned(),
        predicate: Predicate {
            serialization: Serialization {
                method: "files".to_owned(),
                hash_type: SHA256.to_owned(),
                allow_symlinks: false,
            },
            resources,
        },
    };
    let bytes = serde_json::to_vec(&statement).map_err(|error| {
        Error::internal("signature_write", "the statement cannot be written").source(error)
    })?;
    // Nothing leaves that would not be accepted back.
    read(&bytes).map(|_| bytes)
}

/// Reads a statement and checks its form. Whether it is signed is not known here.
pub(super) fn read(bytes: &[u8]) -> Result<Said> {
    let unreadable = |error| invalid("its statement cannot be read").source(error);
    let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
    if head.kind != TYPE || head.predicate_type != PREDICATE {
        return Err(invalid(format!("it is about something else: {}", shorten(&head.predicate_type))));
    }
    let statement: Statement = serde_json::from_slice(bytes).map_err(|error| {
        invalid(format!("its statement is not of the form: {}", shorten(&error.to_string())))
    })?;
    let [subject] = &statement.subject[..] else {
        return Err(invalid("it is not about exactly one model"));
    };
    let Predicate { serialization, resources } = statement.predicate;
    if serialization.hash_type != SHA256 {
        return Err(Error::invalid(
            "signature_unsupported",
            format!("the files were hashed with {}, not with sha256", shorten(&serialization.hash_type)),
        )
        .hint("sign again with sha256, which is what the reference tool takes by itself"));
    }
    match serialization.method.as_str() {
        "files" => {}
        "shards" => return Err(shards(&resources)),
        other => return Err(invalid(format!("its files were read in an unknown way: {}", shorten(other)))),
    }
    if resources.is_empty() {
        return Err(invalid("it covers no file"));
    }
    for file in &resources {
        check_name(&file.name)?;
        if file.algorithm != SHA256 {
            return Err(invalid(format!("{} has no sha256 digest", shorten(&file.name))));
        }
    }
    if !is_sorted(&resources) {
        return Err(invalid("its files are not in order, or one is there twice"));
    }
    if root(&resources)? != subject.digest.sha256 {
        return Err(invalid("its root digest is not that of its files"));
    }
    let resource = |file: &Signed| Ok(Resource { name: file.name.clone(), digest: digest(file)? });
    let resources = resources.iter().map(resource).collect::<Result<_>>()?;
    Ok(Said { name: subject.name.clone(), resources })
}

fn digest(file: &Signed) -> Result<Digest> {
    let digest = format!("{}:{}", file.algorithm, file.digest).parse();
    digest.map_err(|_| invalid(format!("{} has no usable digest", shorten(&file.name))))
}

/// The hash over the raw digests in their order. Names are not in it, so it identifies nothing.
fn root(resources: &[Signed]) -> Result<String> {
    let mut hash = Sha256::new();
    for file in resources {
        hash.update(unhex(digest(file)?.hex()));
    }
    Ok(hex(&hash.finalize()))
}

/// The bytes of a digest's digits, which are known to be hexadecimal.
fn unhex(digits: &str) -> Vec<u8> {
    let value = |digit: u8| if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 };
    digits.as_bytes().chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])).collect()
}

/// A path below the model's folder and nowhere else, spelled in the one way there is.
fn check_name(name: &str) -> Result<()> {
    if name == "." {
        return Err(invalid("it covers a single file without a name").hint("sign the folder the file is in"));
    }
    let bad = name.chars().any(|c| c.is_control() || c == '\\')
        || name.split('/').any(|part| matches!(part, "" | "." | ".."));
    match bad {
        true => Err(invalid(format!("not a clean relative path: {}", shorten(name)))),
        false => Ok(()),
    }
}

/// The specification sorts whole names by code point; the reference tool sorts them folder by folder, which
/// differs where one name goes on with what comes before '/'. Neither order lets a name occur twice.
fn is_sorted(resources: &[Signed]) -> bool {
    let names = || resources.iter().map(|file| file.name.as_str());
    names().is_sorted_by(|a, b| a < b) || names().is_sorted_by(|a, b| a.split('/').lt(b.split('/')))
}

/// Resources are then `path:start:end`, and their digests those of pieces.
fn shards(resources: &[Signed]) -> Error {
    for shard in resources {
        let mut parts = shard.name.rsplitn(3, ':');
        let (end, start) = (parts.next(), parts.next());
        let number = |part: Option<&str>| part.and_then(|part| part.parse::<u64>().ok());
        let (Some(end), Some(start), Some(path)) = (number(end), number(start), parts.next()) else {
            return invalid(format!("not a piece of a file: {}", shorten(&shard.name)));
        };
        if start > end || check_name(path).is_err() {
            return invalid(format!("not a piece of a file: {}", shorten(&shard.name)));
        }
    }
    Error::invalid(
        "signature_shards",
        "the files were signed in pieces, which cannot be checked without reading the weights again; \
         only signatures over whole files can",
    )
    .hint("sign again by files, which is what the reference tool does by itself")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Algorithm;

    fn file(name: &str) -> Resource {
        Resource { name: name.into(), digest: Digest::sha256(name.as_bytes()) }
    }

    #[test]
    fn statements_are_sorted_and_read_back() {
        let files = ["a/b", "a.bin", "é", "z", "Z"].map(file);
        let bytes = statement("m", &files).unwrap();
        let said = read(&bytes).unwrap();
        let names: Vec<_> = said.resources.iter().map(|file| file.name.as_str()).collect();
        assert_eq!((said.name.as_str(), names), ("m", vec!["Z", "a.bin", "a/b", "z", "é"]));
        let mut expected = Sha256::new();
        for file in &said.resources {
            expected.update(Sha256::digest(file.name.as_bytes()));
        }
        assert!(String::from_utf8(bytes).unwrap().contains(&hex(&expected.finalize())));
    }

    #[test]
    fn files_that_cannot_be_signed_are_refused() {
        for name in ["", ".", "..", "/a", "a/../b", "a/./b", "a//b", "a/", "a\\b", "a\nb"] {
            assert_eq!(statement("m", &[file(name)]).unwrap_err().code, "signature_invalid", "{name:?}");
        }
        assert!(statement("m", &[]).is_err());
        assert!(statement("m", &[file("a"), file("a")]).is_err());
        let long = Resource { name: "a".into(), digest: Algorithm::Sha512.digest(b"") };
        assert!(statement("m", &[long]).is_err());
    }

    #[test]
    fn only_the_one_form_is_accepted() {
        let good = String::from_utf8(statement("m", &["a.bin", "a/b"].map(file)).unwrap()).unwrap();
        let code = |text: &str| read(text.as_bytes()).map(|_| "").unwrap_or_else(|error| error.code);
        let digest = file("a/b").digest;
        let b = format!("{{\"name\":\"a/b\",\"algorithm\":\"sha256\",\"digest\":\"{}\"}}", digest.hex());
        let subject = good.split("\"subject\":[").nth(1).unwrap().split(']').next().unwrap();
        let noted = good.replace("\"hash_type\"", "\"ignore_paths\":[\".git\"],\"hash_type\"");
        assert_eq!(code(&noted), "");
        for (bad, expected) in [
            (good.replace("signature/v1.0", "signature/v1.1"), "signature_invalid"),
            (good.replace("Statement/v1", "Statement/v2"), "signature_invalid"),
            (good.replace(subject, ""), "signature_invalid"),
            (good.replace(subject, &format!("{subject},{subject}")), "signature_invalid"),
            (good.replace(&b, &format!("{b},{b}")), "signature_invalid"),
            (good.replace("a.bin", "b.bin"), "signature_invalid"),
            (good.replace("a.bin", "../bin"), "signature_invalid"),
            (good.replace(file("a/b").digest.hex(), file("c").digest.hex()), "signature_invalid"),
            (good.replace(file("a/b").digest.hex(), "00"), "signature_invalid"),
            (good.replace("\"algorithm\":\"sha256\"", "\"algorithm\":\"sha512\""), "signature_invalid"),
            (good.replace("\"files\"", "\"parts\""), "signature_invalid"),
            (good.replace("\"hash_type\":\"sha256\"", "\"hash_type\":\"blake3\""), "signature_unsupported"),
            (good.replace("\"files\"", "\"shards\""), "signature_invalid"),
            (
                good.replace("\"files\"", "\"shards\"").replace("a/b", "a:b:0:1").replace("a.bin", "c:0:9"),
                "signature_shards",
            ),
            (format!("{good} x"), "signature_invalid"),
            (String::new(), "signature_invalid"),
        ] {
            assert_ne!(bad, good);
            assert_eq!(code(&bad), expected, "{bad}");
        }
        // The order in which the reference tool writes these two.
        let files: Vec<_> = ["a/b", "a.bin"].iter().map(|name| file(name)).collect();
        let signed = |file: &Resource| Signed {
            name: file.name.clone(),
            algorithm: SHA256.into(),
            digest: file.digest.hex().into(),
        };
        assert!(is_sorted(&files.iter().map(signed).collect::<Vec<_>>()));
        assert!(!is_sorted(&["b", "a"].map(file).iter().map(signed).collect::<Vec<_>>()));
    }
}
