//! Which files are meant: `logs/dt=2026-11-25/*.parquet`.

use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// More files than this are a mistake in the pattern.
const FILES_MAX: usize = 10_000;

/// A path in which `*` stands for any characters but `/`, `?` for one of them, and `**` for any at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The directory in which everything lies that matches; ends with `/` unless empty.
    pub fn directory(&self) -> &str {
        let plain = self.0.find(['*', '?']).unwrap_or(self.0.len());
        let end = self.0[..plain].rfind('/').map_or(0, |at| at + 1);
        &self.0[..end]
    }

    /// Of a pattern that is plain.
    pub fn directory_and_name(&self) -> &str {
        &self.0
    }

    pub fn is_plain(&self) -> bool {
        !self.0.contains(['*', '?'])
    }

    pub fn matches(&self, path: &str) -> bool {
        matches(self.0.as_bytes(), path.as_bytes())
    }

    /// The files here that match, by name. Errors: none does, or too many do, or a directory cannot be read.
    pub fn local_files(&self) -> Result<Vec<PathBuf>> {
        if self.is_plain() {
            return Ok(vec![PathBuf::from(&self.0)]);
        }
        let directory = if self.directory().is_empty() { "." } else { self.directory() };
        let mut found = vec![];
        self.walk(Path::new(directory), &mut found)?;
        found.sort();
        if found.is_empty() {
            return Err(self.nothing());
        }
        Ok(found)
    }

    /// What to say where nothing matches.
    pub fn nothing(&self) -> Error {
        let message = format!("no file matches {}", self.0);
        Error::not_found("table_missing", message)
            .hint("* stands for anything within a directory, ** for anything; quote it, so that the shell leaves it alone")
    }

    pub fn too_many(&self) -> Error {
        Error::too_large("table_files", format!("more than {FILES_MAX} files match {}", self.0))
            .hint("narrow it, or profile the parts and merge them: gradus drift profile, gradus drift merge")
    }

    pub fn check_count(&self, files: usize) -> Result<()> {
        if files > FILES_MAX { Err(self.too_many()) } else { Ok(()) }
    }

    fn walk(&self, directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
        let unreadable = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => self.nothing(),
            _ => Error::invalid("table_unreadable", format!("cannot list {}: {error}", directory.display())),
        };
        for entry in std::fs::read_dir(directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let text = path.to_string_lossy();
            let text = if self.directory().is_empty() { text.trim_start_matches("./") } else { &text };
            // Links to directories are not followed: they may lead in a circle.
            if entry.file_type().map_err(unreadable)?.is_dir() {
                if self.may_lie_below(text) {
                    self.walk(&path, found)?;
                }
            } else if self.matches(text) && path.is_file() {
                found.push(if self.directory().is_empty() {
                    path.strip_prefix("./").unwrap_or(&path).to_owned()
                } else {
                    path.clone()
                });
                self.check_count(found.len())?;
            }
        }
        Ok(())
    }

    /// Whether something in this directory could match.
    fn may_lie_below(&self, directory: &str) -> bool {
        let depth = directory.split('/').count();
        let parts: Vec<&str> = self.0.split('/').collect();
        self.0.contains("**")
            || (parts.len() > depth && matches(parts[..depth].join("/").as_bytes(), directory.as_bytes()))
    }
}

/// Tries each place the last `*` may reach to; a `**` is tried anew where the `*` behind it has failed.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // What stands behind a star, and where in the path that is tried next.
    type Retry = Option<(usize, usize)>;
    let (mut star, mut deep): (Retry, Retry) = (None, None);
    loop {
        match pattern.get(p) {
            Some(b'*') if pattern.get(p + 1) == Some(&b'*') => {
                p += 2;
                // `a/**/b` is also `a/b`.
                if pattern.get(p) == Some(&b'/') && (p < 3 || pattern[p - 3] == b'/') {
                    p += 1;
                }
                (deep, star) = (Some((p, t)), None);
            }
            Some(b'*') => {
                p += 1;
                star = Some((p, t));
            }
            Some(b'?') if path.get(t).is_some_and(|c| *c != b'/') => (p, t) = (p + 1, t + 1),
            Some(c) if path.get(t) == Some(c) && *c != b'?' => (p, t) = (p + 1, t + 1),
            None if t == path.len() => return true,
            _ => {
                let next = star.filter(|(_, at)| path.get(*at).is_some_and(|c| *c != b'/'));
                if let Some((after, at)) = next {
                    star = Some((after, at + 1));
                    (p, t) = (after, at + 1);
                } else if let Some((after, at)) = deep.filter(|(_, at)| *at < path.len()) {
                    (deep, star) = (Some((after, at + 1)), None);
                    (p, t) = (after, at + 1);
                } else {
                    return false;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_within_a_directory_unless_there_are_two() {
        let is = |pattern: &str, path: &str| Pattern::new(pattern).matches(path);
        assert!(is("a/*.csv", "a/b.csv") && !is("a/*.csv", "a/b/c.csv") && !is("a/*.csv", "a/b.csvx"));
        assert!(
            is("a/**/*.csv", "a/b/c/d.csv") && is("a/**/*.csv", "a/d.csv") && !is("a/**/*.csv", "b/d.csv")
        );
        assert!(is("**", "a/b") && is("dt=????-??-??/*", "dt=2026-11-25/x") && !is("?", "/"));
        assert!(is("*a*b", "xaxxb") && !is("*a*b", "xaxx") && is("", "") && !is("", "a"));
    }

    #[test]
    fn a_directory_is_listed_from_where_the_pattern_begins() {
        assert_eq!(Pattern::new("logs/dt=*/x.csv").directory(), "logs/");
        assert_eq!(Pattern::new("*.csv").directory(), "");
        assert_eq!(Pattern::new("logs/a.csv").directory(), "logs/");
    }

    #[test]
    fn local_files_come_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(at("dt=1/deep")).unwrap();
        for name in ["dt=1/b.csv", "dt=1/a.csv", "dt=1/deep/c.csv", "dt=1/a.txt"] {
            std::fs::write(at(name), "").unwrap();
        }
        let files = |pattern: &str| {
            let pattern = at(pattern).display().to_string();
            Pattern::new(&pattern).local_files()
        };
        assert_eq!(files("*/*.csv").unwrap(), [at("dt=1/a.csv"), at("dt=1/b.csv")]);
        assert_eq!(files("**/*.csv").unwrap().len(), 3);
        assert_eq!(files("*/*.pq").unwrap_err().code, "table_missing");
        assert_eq!(files("gone/*.pq").unwrap_err().code, "table_missing");
    }
}
