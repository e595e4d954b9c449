//! What a version is made of, by the names under which it may be asked for.

use super::digest::{Digest, shorten};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// How a version stands to what it is made of, or what is known of it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// It was made from this model: as it was named, without the revision, and by digest.
    Base,
    /// It was trained on this, by digest and by name.
    Dataset,
    /// It has this file.
    File,
    /// This template comes along with it.
    Prompt,
    Licence,
    /// What the registry noticed in its files.
    Flag,
}

impl Relation {
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Dataset => "dataset",
            Self::File => "file",
            Self::Prompt => "prompt",
            Self::Licence => "licence",
            Self::Flag => "flag",
        }
    }
}

impl FromStr for Relation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Base, Self::Dataset, Self::File, Self::Prompt, Self::Licence, Self::Flag];
        all.into_iter().find(|relation| relation.name() == text).ok_or_else(|| {
            Error::invalid("relation_invalid", format!("versions have no such thing: {}", shorten(text)))
        })
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// One of the names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    pub relation: Relation,
    pub value: String,
    /// Of a file: the version is this itself, so that whoever has it too has the same. Of a base: the registry found the digest
    /// by the version that was named, which not everybody may read.
    pub body: bool,
}

impl Part {
    pub fn new(relation: Relation, value: impl Into<String>) -> Self {
        Self { relation, value: value.into(), body: false }
    }
}

/// What the registry notices in files.
pub const FLAGS: [(&str, &str); 5] = [
    ("unsafe", "something in it runs code when it is loaded"),
    ("pickle", "a pickle"),
    ("keras", "a Keras model that brings code of its own"),
    ("python", "compiled Python code"),
    ("unverified", "something in it could not be read or vouched for"),
];

/// Most characters of a name.
const BASE_MAX: usize = 512;
const DATASET_MAX: usize = 256;
pub const LICENCE_MAX: usize = 100;

/// A licence as it is looked up: SPDX ids are the same in upper and lower case. `None`: it is a text and no id.
pub fn licence(text: &str) -> Option<String> {
    let text = text.trim();
    let is_id =
        !text.is_empty() && text.chars().count() <= LICENCE_MAX && !text.chars().any(char::is_control);
    is_id.then(|| text.to_lowercase())
}

/// A base model's name without that of the hub where it is: files name models so, and people as they like.
fn without_hub(name: &str) -> &str {
    name.strip_prefix("hf:").filter(|name| !name.is_empty()).unwrap_or(name)
}

/// The names of a base model: as given, without its revision, each without the hub too, and the digest that pins it.
pub fn names_of_base(base: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::from([base.to_owned()]);
    if let Some((name, revision)) = base.rsplit_once('@') {
        if !name.is_empty() {
            names.insert(name.to_owned());
        }
        if revision.parse::<Digest>().is_ok() {
            names.insert(revision.to_owned());
        }
    }
    let plain: Vec<String> = names.iter().map(|name| without_hub(name).to_owned()).collect();
    names.extend(plain);
    names
}

/// Of the names of base models those that say most: without those that are part of another one.
pub fn fullest(names: &BTreeSet<String>) -> Vec<&String> {
    let is_part = |name: &str, of: &str| {
        of.strip_prefix(name).is_some_and(|rest| rest.starts_with('@'))
            || of.strip_suffix(name).is_some_and(|rest| rest.ends_with('@'))
            || of.strip_prefix("hf:").is_some_and(|of| {
                of == name || of.strip_prefix(name).is_some_and(|rest| rest.starts_with('@'))
            })
    };
    names.iter().filter(|name| !names.iter().any(|other| is_part(name, other))).collect()
}

/// A value as it is looked up, or why there can be no such one.
pub fn wanted(relation: Relation, text: &str) -> Result<String> {
    let refuse = |why: String| Err(Error::invalid("lineage_invalid", why));
    let may_be_digest = text.starts_with("sha256:") || text.starts_with("sha512:");
    match relation {
        Relation::File | Relation::Prompt => text.parse::<Digest>().map(String::from),
        Relation::Base | Relation::Dataset if may_be_digest => text.parse::<Digest>().map(String::from),
        Relation::Base => {
            let fits =
                !text.is_empty() && text.len() <= BASE_MAX && text.bytes().all(|b| b.is_ascii_graphic());
            match fits {
                true => Ok(without_hub(text).to_owned()),
                false => refuse(format!("a base model's name is 1 to {BASE_MAX} printable ASCII characters")),
            }
        }
        Relation::Dataset => {
            let length = text.chars().count();
            match (1..=DATASET_MAX).contains(&length) && !text.chars().any(char::is_control) {
                true => Ok(text.to_owned()),
                false => refuse(format!("a dataset's name is 1 to {DATASET_MAX} characters, or its digest")),
            }
        }
        Relation::Licence => licence(text)
            .map_or_else(|| refuse(format!("a licence is an SPDX id, at most {LICENCE_MAX} characters")), Ok),
        Relation::Flag => match FLAGS.iter().any(|(flag, _)| *flag == text) {
            true => Ok(text.to_owned()),
            false => {
                let known: Vec<&str> = FLAGS.iter().map(|(flag, _)| *flag).collect();
                Err(Error::invalid("flag_unknown", format!("no such flag: {}", shorten(text)))
                    .hint(format!("flags are {}", known.join(", "))))
            }
        },
    }
}

/// What others may have been made from, and what may be put in quarantine.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum RootKind {
    /// A version's content, by the digest of its manifest.
    Version,
    Base,
    Dataset,
    File,
}

impl RootKind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Base => "base",
            Self::Dataset => "dataset",
            Self::File => "file",
        }
    }

    /// How versions name it; a version is named by its digest, as a base.
    pub fn relation(self) -> Relation {
        match self {
            Self::Version | Self::Base => Relation::Base,
            Self::Dataset => Relation::Dataset,
            Self::File => Relation::File,
        }
    }
}

impl FromStr for RootKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::Version, Self::Base, Self::Dataset, Self::File];
        all.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            Error::invalid("root_invalid", format!("nothing is made from such a thing: {}", shorten(text)))
        })
    }
}

/// One of these.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    pub kind: RootKind,
    pub value: String,
}

impl fmt::Display for Root {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.kind.name(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_has_a_name_for_each_way_of_asking() {
        let digest = Digest::sha256(b"base").to_string();
        let names = |base: &str| names_of_base(base).into_iter().collect::<Vec<_>>();
        assert_eq!(
            names("hf:org/model@abc"),
            ["hf:org/model", "hf:org/model@abc", "org/model", "org/model@abc"]
        );
        assert_eq!(names(&digest), std::slice::from_ref(&digest));
        let pinned = format!("acme/x@{digest}");
        assert_eq!(names(&pinned), ["acme/x".to_owned(), pinned.clone(), digest.clone()]);
        let mut all = names_of_base(&pinned);
        all.extend(names_of_base("hf:org/model@abc"));
        all.insert("org/model".into());
        assert_eq!(fullest(&all), [&pinned, &"hf:org/model@abc".to_owned()]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let code = |relation, text: &str| wanted(relation, text).unwrap_err().code;
        assert_eq!(code(Relation::File, "model.safetensors"), "digest_invalid");
        assert_eq!(code(Relation::Base, "sha256:abc"), "digest_invalid");
        assert_eq!(code(Relation::Dataset, "sha512:"), "digest_invalid");
        assert_eq!(code(Relation::Base, ""), "lineage_invalid");
        assert_eq!(code(Relation::Base, "a b"), "lineage_invalid");
        assert_eq!(code(Relation::Dataset, &"a".repeat(257)), "lineage_invalid");
        assert_eq!(code(Relation::Licence, "\n"), "lineage_invalid");
        assert_eq!(code(Relation::Flag, "picle"), "flag_unknown");
        for same in ["hf:org/model", "org/model"] {
            assert_eq!(wanted(Relation::Base, same).unwrap(), "org/model");
        }
        assert_eq!(wanted(Relation::Licence, " Apache-2.0 ").unwrap(), "apache-2.0");
    }
}
