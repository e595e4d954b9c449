//! Files of this machine on their way into a version: found, looked at, and refused early if the registry would
//! refuse them late.

use super::print::{count, quoted};
use crate::{
    client::Upload,
    error::{Error, Result},
    kinds::{self, FileView, Source, prompt},
    model::{
        artifact::FILES_MAX,
        digest::shorten,
        json,
        kind::Tier,
        path::{FilePath, refuse_collisions},
    },
};
use std::{fs::File, io, os::unix::fs::FileExt as _, path::Path};

/// Hidden files that are named; of more only the number is told.
const NAMED: usize = 5;

/// A file that is opened for each read, since an artifact may have more files than a process may open.
struct OnDisk<'a>(&'a Upload);

impl Source for OnDisk<'_> {
    fn size(&self) -> u64 {
        self.0.size
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let read = || {
            let file = File::open(&self.0.source)?;
            let mut bytes = vec![0; length.min(self.0.size.saturating_sub(offset) as usize)];
            file.read_exact_at(&mut bytes, offset)?;
            Ok(bytes)
        };
        read().map_err(|source| unreadable(&self.0.source, source))
    }
}

pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: io::Error) -> Error {
    let what = path.display();
    match source.kind() {
        io::ErrorKind::NotFound => {
            Error::not_found("file_not_found", format!("there is no such file or directory: {what}"))
        }
        _ => Error::invalid("file_unreadable", format!("cannot be read: {what}"))
            .source(source)
            .hint(format!("ls -l {}", quoted(&path.to_string_lossy()))),
    }
}

/// Refuses what the registry would refuse after it has been sent.
pub fn refuse_unfit(files: &[Upload], prompt: Option<&Upload>, insisted: Option<Tier>) -> Result<()> {
    refuse_collisions(files.iter().map(|file| &file.path))?;
    let sources: Vec<OnDisk> = files.iter().map(OnDisk).collect();
    let views: Vec<FileView> = files
        .iter()
        .zip(&sources)
        .map(|(file, source)| FileView { path: file.path.as_str(), source })
        .collect();
    let kind = kinds::detect(&views)?;
    if let Some(tier) = insisted
        && tier != kind.tier()
    {
        return Err(Error::invalid(
            "tier_mismatch",
            format!("these files are not {tier} but {}: {kind}", kind.tier()),
        ));
    }
    match (kind.tier(), prompt) {
        (Tier::Prompt, Some(_)) => {
            Err(Error::invalid("prompt_twice", "a prompt artifact is its own prompt")
                .hint("leave out --prompt"))
        }
        (Tier::Prompt, None) => files.iter().try_for_each(refuse_unreadable_prompt),
        (_, prompt) => prompt.map_or(Ok(()), refuse_unreadable_prompt),
    }
}

fn refuse_unreadable_prompt(file: &Upload) -> Result<()> {
    let bytes = OnDisk(file).read_at(0, prompt::MAX_BYTES + 1)?;
    prompt::parse(file.path.as_str(), &bytes).map(drop).map_err(|mut error| {
        error.message = format!("{}: {}", file.source.display(), error.message);
        error.hint.get_or_insert("correct the file and push it again".to_owned());
        error
    })
}

/// Tells of files that are easily overlooked.
pub fn hidden(files: &[Upload]) -> Option<String> {
    let is_hidden = |file: &&Upload| file.path.as_str().split('/').any(|name| name.starts_with('.'));
    let names: Vec<&str> = files.iter().filter(is_hidden).map(|file| file.path.as_str()).collect();
    let more = if names.len() > NAMED { ", …" } else { "" };
    let verb = if names.len() == 1 { "goes" } else { "go" };
    let number = count(names.len(), "hidden file");
    (!names.is_empty())
        .then(|| format!("{number} {verb} along: {}{more}", names[..names.len().min(NAMED)].join(", ")))
}

/// Tells when an adapter names another base model than the one that will be recorded.
pub fn other_base(files: &[Upload], given: Option<&str>) -> Option<String> {
    const MAX: usize = 1 << 20;
    let given = given?;
    let config = files.iter().find(|file| file.path.as_str() == "adapter_config.json")?;
    let config = json::parse_strict(&OnDisk(config).read_at(0, MAX).ok()?, 16).ok()?;
    let named = config["base_model_name_or_path"].as_str().filter(|name| !name.is_empty())?;
    (!is_same_model(named, given)).then(|| {
        format!(
            "adapter_config.json names another base model: {}; recorded is --base: {given}",
            shorten(named)
        )
    })
}

/// Whether a name or local path in a configuration may mean the model of `--base`, as `hf:org/model@REVISION`.
fn is_same_model(named: &str, given: &str) -> bool {
    let bare = |text: &str| {
        let text = text.split_once(':').map_or(text, |(_, name)| name);
        text.split('@').next().unwrap_or_default().trim_end_matches('/').to_lowercase()
    };
    let (named, given) = (bare(named), bare(given));
    let is_path = named.starts_with(['.', '/', '~']) || !named.contains('/');
    let last = |text: &str| text.rsplit('/').next().unwrap_or_default().to_owned();
    named == given || (is_path && last(&named) == last(&given))
}

/// The files of an artifact: one file, or all regular files below a directory. Links are refused, since what
/// they point at is not what is here.
pub fn collect(path: &Path) -> Result<Vec<Upload>> {
    let metadata = std::fs::symlink_metadata(path).map_err(|source| unreadable(path, source))?;
    if metadata.is_file() {
        let name = path.file_name().unwrap_or_default();
        return Ok(vec![Upload {
            path: file_path(Path::new(name))?,
            source: path.to_owned(),
            size: metadata.len(),
        }]);
    }
    let mut files = Vec::new();
    if metadata.is_dir() {
        walk(path, path, &mut files, 0)?;
    } else {
        return Err(not_regular(path));
    }
    if files.is_empty() {
        return Err(Error::invalid(
            "artifact_empty",
            format!("the directory has no files: {}", path.display()),
        )
        .hint("name a file, or a directory that has files"));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(root: &Path, directory: &Path, files: &mut Vec<Upload>, depth: usize) -> Result<()> {
    if depth > 32 {
        return Err(Error::invalid(
            "path_invalid",
            format!("directories nest too deep: {}", directory.display()),
        )
        .hint("at most 32 levels below the directory that is named"));
    }
    let cannot = |source| unreadable(directory, source);
    for entry in std::fs::read_dir(directory).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let path = entry.path();
        let metadata = entry.metadata().map_err(|source| unreadable(&path, source))?;
        if metadata.is_dir() {
            walk(root, &path, files, depth + 1)?;
        } else if metadata.is_file() {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            files.push(Upload { path: file_path(relative)?, source: path.clone(), size: metadata.len() });
        } else {
            return Err(not_regular(&path));
        }
        if files.len() > FILES_MAX {
            return Err(Error::too_large(
                "too_many_files",
                format!("more than {FILES_MAX} files below: {}", root.display()),
            )
            .hint("name a directory further down, or pack small files into archives"));
        }
    }
    Ok(())
}

fn not_regular(path: &Path) -> Error {
    Error::invalid("symlink_refused", format!("neither a regular file nor a directory: {}", path.display()))
        .hint("replace links by what they point at")
}

fn file_path(relative: &Path) -> Result<FilePath> {
    let text = relative.to_str().ok_or_else(|| {
        Error::invalid("path_invalid", format!("a file name is not UTF-8: {}", relative.display()))
            .hint("rename the file")
    })?;
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::is_same_model;

    #[test]
    fn a_base_is_the_same_by_name_or_by_the_end_of_a_path() {
        for (named, given, same) in [
            ("org/model", "hf:org/model@4f2a", true),
            ("/models/Model", "hf:org/model@4f2a", true),
            ("model", "org/model", true),
            ("org/model", "hf:other/model", false),
            ("org/model-7b", "hf:org/model-13b@4f2a", false),
        ] {
            assert_eq!(is_same_model(named, given), same, "{named} {given}");
        }
    }
}
