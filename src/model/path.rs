//! Paths of files inside an artifact. What passes here can be written below a directory on
//! Linux and macOS without leaving it and without two files falling on one name.

use super::{digest::shorten, name::text_type};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};
use unicode_normalization::UnicodeNormalization as _;

const PATH_MAX: usize = 1024;
const COMPONENT_MAX: usize = 255;

/// A relative path with `/` between components, in Unicode NFC.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(String);
text_type!(FilePath);

impl FilePath {
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl FromStr for FilePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str| {
            Err(Error::invalid("path_invalid", format!("not a usable file path ({why}): {}", shorten(text)))
                .hint("a path inside an artifact is relative, with '/' between names, without '.' or '..'"))
        };
        if text.is_empty() || text.len() > PATH_MAX {
            return refuse("empty or too long");
        }
        if text.chars().any(|c| c.is_control() || matches!(c, '\\' | ':')) {
            return refuse("control character, backslash or colon");
        }
        if text.starts_with('/') {
            return refuse("absolute");
        }
        if !text.nfc().eq(text.chars()) {
            return refuse("not in Unicode NFC");
        }
        for component in text.split('/') {
            if matches!(component, "" | "." | "..") || component.len() > COMPONENT_MAX {
                return refuse("empty, '.', '..' or too long a name");
            }
            if component.starts_with(".gradus-") {
                return refuse("a name like those of files that are still being fetched");
            }
            if component.ends_with(['.', ' ']) {
                return refuse("a name ends in a dot or a space");
            }
        }
        Ok(Self(text.to_owned()))
    }
}

/// Refuses two paths that would be one file where case does not count, and a file that is also a folder.
pub fn refuse_collisions<'a>(paths: impl IntoIterator<Item = &'a FilePath>) -> Result<()> {
    let mut folded: BTreeMap<String, &FilePath> = BTreeMap::new();
    for path in paths {
        if let Some(other) = folded.insert(path.as_str().to_lowercase(), path) {
            return Err(Error::invalid(
                "path_collision",
                format!("two files would be one on some systems: {other}, {path}"),
            )
            .hint("rename one of them; upper and lower case do not make a difference everywhere"));
        }
    }
    for (lower, path) in &folded {
        let parents = lower.match_indices('/').map(|(at, _)| &lower[..at]);
        for parent in parents {
            if let Some(file) = folded.get(parent) {
                return Err(Error::invalid(
                    "path_collision",
                    format!("{file} is a file and a folder of: {path}"),
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_paths_that_could_leave_or_collide() {
        for good in ["a", "a/b.safetensors", ".gitignore", "weights-00001-of-00002.bin", "ä/ö"] {
            assert!(good.parse::<FilePath>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "../x",
            "a/../b",
            "a/./b",
            "a//b",
            "a/",
            "a\\b",
            "C:/x",
            "a\0b",
            "a\nb",
            "a.",
            "a ",
            "a\u{308}",
            &"a".repeat(256),
            &"a/".repeat(600),
        ] {
            assert_eq!(bad.parse::<FilePath>().unwrap_err().code, "path_invalid", "{bad:?}");
        }
        let paths =
            |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<FilePath>>();
        assert!(refuse_collisions(&paths(&["a", "b/a", "b/c"])).is_ok());
        assert!(refuse_collisions(&paths(&["README", "readme"])).is_err());
        assert!(refuse_collisions(&paths(&["Ä", "ä"])).is_err());
        assert!(refuse_collisions(&paths(&["a", "A/b"])).is_err());
    }
}
