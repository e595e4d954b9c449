//! `gradus push`.

use super::{
    argument,
    print::{Out, bytes},
};
use crate::{
    client::{Client, Digests, Upload},
    config::Config,
    error::{Error, Result},
    model::{
        artifact::{Dataset, FILES_MAX},
        contract::Contract,
        json,
        kind::Tier,
        name::Workload,
        path::FilePath,
        version::{Bump, Version},
    },
    wire,
};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Push {
    /// [prompt|adapter|weights] PATH: a file or a directory; the word only insists
    #[arg(value_name = "PATH", num_args = 1..=2, required = true)]
    what: Vec<PathBuf>,
    /// The workload, NAMESPACE/NAME
    #[arg(long, value_name = "WORKLOAD", value_parser = argument::<Workload>)]
    to: Workload,
    /// An explicit version
    #[arg(long, value_name = "VERSION", value_parser = argument::<Version>, conflicts_with = "bump")]
    version: Option<Version>,
    /// Which part of the version to raise; `auto` goes by the contract
    #[arg(long, value_enum, default_value_t = BumpBy::Auto)]
    bump: BumpBy,
    /// The contract: a JSON file with input and output schemas; without it the version before's
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// The prompt that goes with an adapter or weights; without it the version before's
    #[arg(long, value_name = "FILE")]
    prompt: Option<PathBuf>,
    /// The base model, for example hf:org/model@REVISION
    #[arg(long, value_name = "MODEL")]
    base: Option<String>,
    /// A training dataset; may be given again
    #[arg(long = "dataset", value_name = "NAME=DIGEST", value_parser = dataset)]
    datasets: Vec<Dataset>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum BumpBy {
    Auto,
    Major,
    Minor,
    Patch,
}

fn dataset(text: &str) -> Result<Dataset, String> {
    let (name, digest) = text.split_once('=').ok_or("a dataset is NAME=sha256:…")?;
    Ok(Dataset { name: name.to_owned(), digest: argument(digest)? })
}

impl Push {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let (tier, path) = self.tier_and_path()?;
        let contract = self.contract.as_deref().map(read_contract).transpose()?;
        let files = collect(&path)?;
        let prompt = self.prompt.as_deref().map(single).transpose()?;
        ensure_namespace(client, &self.to, out).await?;

        let all: Vec<Upload> = files.into_iter().chain(prompt.clone()).collect();
        let total = all.iter().map(|file| file.size).sum();
        let digests = Digests::open(Config::default_cache_dir().ok());
        let (progress, done) = out.progress("pushing", total);
        let sent = client.upload(&self.to, all, &digests, progress).await;
        done();
        let mut sent = sent?;
        let (count, moved) =
            sent.iter().filter(|file| file.sent).fold((0, 0), |(n, b), file| (n + 1, b + file.file.size));
        let prompt = prompt.and_then(|_| sent.pop()).map(|sent| sent.file);
        out.note(format!(
            "{} of {} files sent, {}",
            count,
            sent.len() + usize::from(prompt.is_some()),
            bytes(moved)
        ));

        let new = wire::NewVersion {
            tier,
            files: sent.into_iter().map(|sent| sent.file).collect(),
            contract,
            prompt,
            base: self.base,
            datasets: self.datasets,
            version: self.version,
            bump: match self.bump {
                BumpBy::Auto => None,
                BumpBy::Major => Some(Bump::Major),
                BumpBy::Minor => Some(Bump::Minor),
                BumpBy::Patch => Some(Bump::Patch),
            },
        };
        let pushed = client.create_version(&self.to, &new).await?;
        report(&pushed, out)
    }

    fn tier_and_path(&self) -> Result<(Option<Tier>, PathBuf)> {
        match &self.what[..] {
            [path] => Ok((None, path.clone())),
            [word, path] => {
                let tier = word.to_string_lossy().parse::<Tier>().map_err(|_| {
                    Error::invalid("usage", format!("not a kind of artifact: {}", word.display()))
                        .hint("gradus push [prompt|adapter|weights] PATH --to WORKLOAD")
                })?;
                Ok((Some(tier), path.clone()))
            }
            _ => Err(Error::invalid("usage", "one path is needed")),
        }
    }
}

/// Says what became of a push: the version on stdout, why on stderr.
pub(super) fn report(pushed: &wire::PushedView, out: &Out) -> Result<()> {
    let version = &pushed.version;
    for note in &pushed.notes {
        out.note(format!("note: {note}"));
    }
    if let Some(diff) = &pushed.diff {
        for entry in diff.entries.iter().take(10) {
            out.note(format!("contract: {} {}: {}", entry.side, entry.path, entry.reason));
        }
    }
    if !pushed.created {
        out.note(format!("nothing new: this content is {}:{} already", version.workload, version.version));
    }
    out.data(pushed, |out| {
        out.line(format!("{}:{} {} {}", version.workload, version.version, version.digest, version.tier))
    })
}

pub(super) fn read_contract(path: &Path) -> Result<serde_json::Value> {
    let bytes = read(path)?;
    // Checked here too, so that a mistake shows before anything is sent.
    Contract::parse(&bytes).map_err(|mut error| {
        error.message = format!("{}: {}", path.display(), error.message);
        error
    })?;
    json::parse_strict(&bytes, 100)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| {
        Error::not_found("file_not_found", format!("cannot read the file: {}", path.display())).source(source)
    })
}

fn single(path: &Path) -> Result<Upload> {
    let mut files = collect(path)?;
    match (files.pop(), files.is_empty()) {
        (Some(file), true) => Ok(file),
        _ => Err(Error::invalid("prompt_invalid", format!("a prompt is one file: {}", path.display()))),
    }
}

/// The files of an artifact: one file, or all regular files below a directory. Links are refused, since what
/// they point at is not what is here.
pub(super) fn collect(path: &Path) -> Result<Vec<Upload>> {
    let metadata = std::fs::symlink_metadata(path).map_err(|source| {
        Error::not_found("file_not_found", format!("there is no such file or directory: {}", path.display()))
            .source(source)
            .hint("gradus push PATH --to NAMESPACE/NAME, where PATH is a file or a directory")
    })?;
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
        ));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn walk(root: &Path, directory: &Path, files: &mut Vec<Upload>, depth: usize) -> Result<()> {
    if depth > 32 {
        return Err(Error::invalid(
            "path_invalid",
            format!("directories nest too deep: {}", directory.display()),
        ));
    }
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        let metadata = entry.metadata()?;
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
            ));
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
    })?;
    text.parse()
}

/// In local mode a namespace is made when it is first used; on a server an admin makes it.
pub(super) async fn ensure_namespace(client: &Client, workload: &Workload, out: &Out) -> Result<()> {
    if !client.is_local() {
        return Ok(());
    }
    let namespace = workload.namespace();
    match client.show_namespace(&namespace).await {
        Err(error) if error.code == "namespace_unknown" => {
            client.create_namespace(&wire::NewNamespace { name: namespace.clone(), store: None }).await?;
            out.note(format!("made the namespace {namespace}"));
            Ok(())
        }
        other => other.map(drop),
    }
}
