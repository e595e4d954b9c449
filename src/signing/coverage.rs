//! Whether a signature is about the files at hand.

use super::{Resource, Verified};
use crate::error::{Error, Result};
use crate::model::artifact::File;
use crate::model::digest::{Digest, shorten};
use std::collections::{BTreeMap, BTreeSet};

impl From<&File> for Resource {
    fn from(file: &File) -> Self {
        Self { name: file.path.to_string(), digest: file.digest.clone() }
    }
}

/// The signed files are exactly these, under these names: none is missing, none more, none different.
///
/// Error: `signature_mismatch`, naming the first file that differs.
pub fn covers(verified: &Verified, files: &[Resource]) -> Result<()> {
    fn by_name(files: &[Resource]) -> BTreeMap<&str, &Digest> {
        files.iter().map(|file| (file.name.as_str(), &file.digest)).collect()
    }
    let (signed, ours) = (by_name(&verified.resources), by_name(files));
    let names: BTreeSet<&str> = signed.keys().chain(ours.keys()).copied().collect();
    let differing = names.iter().find(|name| signed.get(*name) != ours.get(*name));
    let mismatch = |text: String| Err(Error::integrity("signature_mismatch", text));
    match differing {
        Some(name) => {
            let shown = shorten(name);
            match (signed.contains_key(name), ours.contains_key(name)) {
                (true, true) => mismatch(format!("{shown} is not the file that was signed")),
                (true, false) => mismatch(format!("{shown} was signed and is missing")),
                // The reference tool leaves these out unless told otherwise, which nobody expects.
                _ if name.starts_with(".git") => mismatch(format!("{shown} is not covered by the signature"))
                    .map_err(|error| error.hint("sign again with: model_signing sign --no-ignore-git-paths")),
                _ => mismatch(format!("{shown} is not covered by the signature")),
            }
        }
        None if ours.len() != files.len() => mismatch("two files have one name".to_owned()),
        None => Ok(()),
    }
}

/// Every file of a version is signed, and no other. The prompt that goes with an adapter or weights, one of `files`, may
/// be left out: it is not in the directory that was trained. It is answered if it was.
///
/// Error: `signature_mismatch`, naming the first file that differs.
pub fn covers_version<'a>(
    verified: &Verified,
    files: &[File],
    prompt: Option<&'a File>,
) -> Result<Option<&'a File>> {
    let is_signed = |file: &File| verified.resources.iter().any(|signed| signed.name == file.path.as_str());
    let left_out = prompt.filter(|prompt| !is_signed(prompt));
    let counted = files.iter().filter(|file| Some(*file) != left_out);
    covers(verified, &counted.map(Resource::from).collect::<Vec<_>>())?;
    Ok(left_out)
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;

    fn file(path: &str) -> File {
        File { path: path.parse().unwrap(), digest: Digest::sha256(path.as_bytes()), size: 1 }
    }

    fn over(files: &[File]) -> Verified {
        Verified {
            method: Method::Key,
            key: "k".into(),
            root: None,
            names: Vec::new(),
            name: "m".into(),
            resources: files.iter().map(Resource::from).collect(),
            not_after: None,
        }
    }

    #[test]
    fn every_difference_of_files_is_named() {
        let verified = over(&["a/b", "a.bin"].map(file));
        let said = |change: &dyn Fn(&mut Vec<Resource>)| {
            let mut files = verified.resources.clone();
            change(&mut files);
            let error = covers(&verified, &files).unwrap_err();
            assert_eq!(error.code, "signature_mismatch");
            error.message
        };
        let more = |path: &str| Resource { name: path.into(), digest: Digest::sha256(b"more") };
        assert!(
            said(&|files| files[1].name = "aa.bin".into()).starts_with("a.bin was signed and is missing")
        );
        assert!(said(&|files| files[0].digest = Digest::sha256(b"")).starts_with("a/b is not the file"));
        assert!(said(&|files| files.push(more("z"))).starts_with("z is not covered"));
        assert!(said(&|files| files.push(more(".git/hooks/x"))).starts_with(".git/hooks/x is not covered"));
        assert!(said(&|files| files.push(files[1].clone())).starts_with("two files"));
        assert!(said(&|files| files.clear()).starts_with("a.bin was signed"));
        let swapped = said(&|files| {
            let [first, second] = &mut files[..] else { return };
            std::mem::swap(&mut first.digest, &mut second.digest);
        });
        assert!(swapped.starts_with("a.bin is not the file"));
    }

    #[test]
    fn only_the_prompt_may_be_left_out() {
        let files = ["prompt.yaml", "z.bin"].map(file);
        let [prompt, weights] = &files;
        let message = |result: Result<Option<&File>>| result.unwrap_err().message;
        let both = over(&files);
        assert_eq!(covers_version(&both, &files, Some(prompt)).unwrap(), None);
        assert_eq!(covers_version(&both, &files, None).unwrap(), None);
        let own = over(std::slice::from_ref(weights));
        assert_eq!(covers_version(&own, &files, Some(prompt)).unwrap(), Some(prompt));
        assert!(message(covers_version(&own, &files, None)).starts_with("prompt.yaml is not covered"));
        // A prompt that is signed must be this one, and what else differs is named rather than the prompt.
        let other = [File { digest: Digest::sha256(b"other"), ..prompt.clone() }, weights.clone()];
        assert!(
            message(covers_version(&over(&other), &files, Some(prompt)))
                .starts_with("prompt.yaml is not the")
        );
        let changed = over(&[File { digest: Digest::sha256(b"other"), ..weights.clone() }]);
        assert!(message(covers_version(&changed, &files, Some(prompt))).starts_with("z.bin is not the file"));
        let none = over(std::slice::from_ref(prompt));
        assert!(message(covers_version(&none, &files, Some(prompt))).starts_with("z.bin is not covered"));
    }
}
