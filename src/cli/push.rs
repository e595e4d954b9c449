//! `gradus push`.

pub(super) use super::files::collect;
use super::{
    argument,
    evidence::attached,
    files::{self, read},
    print::{Out, bytes, count, quoted},
};
use crate::{
    client::{Client, Digests, Sent, Upload},
    config::Config,
    error::{Error, Result},
    model::{
        artifact::Dataset,
        contract::Contract,
        digest::shorten,
        json,
        kind::Tier,
        name::Workload,
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
    #[arg(long = "dataset", value_name = "NAME=DIGEST|FILE", value_parser = dataset)]
    datasets: Vec<Dataset>,
    /// A file that says something about it, such as SLSA provenance; may be given again. Where one is refused, no version
    /// is made
    #[arg(long, value_name = "FILE")]
    evidence: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum BumpBy {
    Auto,
    Major,
    Minor,
    Patch,
}

fn dataset(text: &str) -> Result<Dataset, String> {
    let (name, digest) = text.split_once('=').ok_or("a dataset is NAME=sha256:… or NAME=FILE")?;
    if let Ok(mut file) = std::fs::File::open(digest) {
        let digest = crate::model::digest::Digest::of_reader(&mut file)
            .map_err(|error| format!("the dataset cannot be read: {error}"))?;
        return Ok(Dataset { name: name.to_owned(), digest });
    }
    Ok(Dataset { name: name.to_owned(), digest: argument(digest)? })
}

impl Push {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let (tier, path) = self.tier_and_path(out)?;
        let contract = self.contract.as_deref().map(read_contract).transpose()?;
        let files = collect(&path).map_err(|error| match error.code {
            "file_not_found" => {
                let next = out.command(&format!("push PATH --to {}", self.to));
                error.hint(format!("{next}, where PATH is a file or a directory"))
            }
            _ => error,
        })?;
        let prompt = self.prompt.as_deref().map(single).transpose()?;
        let evidence: Vec<Upload> = self.evidence.iter().map(|file| said(file)).collect::<Result<_>>()?;
        // What the registry would refuse is refused here, before anything is sent or made.
        files::refuse_unfit(&files, prompt.as_ref(), tier).map_err(|error| match error.code {
            "tier_mismatch" => {
                let next = out.command(&format!("push {} --to {}", quoted(&path.to_string_lossy()), self.to));
                error.hint(format!("leave the word out to push what the files are: {next}"))
            }
            _ => error,
        })?;
        let notes = [files::hidden(&files), files::other_base(&files, self.base.as_deref())];
        notes.into_iter().flatten().for_each(|note| out.note(format!("note: {note}")));
        ensure_namespace(client, &self.to, out).await?;

        let (files, with_prompt) = (files.len(), files.into_iter().chain(prompt.clone()));
        let all: Vec<Upload> = with_prompt.chain(evidence).collect();
        let total = all.iter().map(|file| file.size).sum();
        let digests = Digests::open(Config::default_cache_dir().ok());
        let (progress, done) = out.progress("pushing", total);
        let sent = client.upload(&self.to, all, &digests, progress).await;
        done();
        let mut sent = sent?;
        out.note(moved(&sent));
        let mut rest = sent.split_off(files).into_iter().map(|sent| sent.file);
        let prompt = prompt.and_then(|_| rest.next());
        let evidence = rest.map(|file| file.digest).collect();

        let new = wire::NewVersion {
            tier,
            files: sent.into_iter().map(|sent| sent.file).collect(),
            contract,
            prompt,
            base: self.base,
            datasets: self.datasets,
            evidence,
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

    fn tier_and_path(&self, out: &Out) -> Result<(Option<Tier>, PathBuf)> {
        match &self.what[..] {
            [path] if !path.exists() && is_tier(path) => {
                Err(Error::invalid("usage", format!("a PATH is missing after: {}", path.display()))
                    .hint(out.command(&format!("push {} PATH --to {}", path.display(), self.to))))
            }
            [path] => Ok((None, path.clone())),
            [word, path] => {
                let tier = word.to_string_lossy().parse::<Tier>().map_err(|_| {
                    let word = shorten(&word.to_string_lossy());
                    let path = quoted(&path.to_string_lossy());
                    let next = out.command(&format!("push weights {path} --to {}", self.to));
                    Error::invalid("usage", format!("not a kind of artifact: {word}"))
                        .hint(format!("{next}, or adapter, or prompt"))
                })?;
                Ok((Some(tier), path.clone()))
            }
            _ => Err(Error::invalid("usage", "one path is needed")),
        }
    }
}

fn is_tier(path: &Path) -> bool {
    path.to_str().is_some_and(|word| word.parse::<Tier>().is_ok())
}

fn moved(files: &[Sent]) -> String {
    let sent: Vec<u64> = files.iter().filter(|file| file.sent).map(|file| file.file.size).collect();
    let all = count(files.len(), "file");
    match sent.len() {
        0 => format!("{all}, all there already, 0 B sent"),
        some if some == files.len() => format!("{all} sent, {}", bytes(sent.iter().sum())),
        some => format!("{some} of {all} sent, {}", bytes(sent.iter().sum())),
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
        out.line(format!("{}:{} {} {}", version.workload, version.version, version.digest, version.tier));
        for one in &pushed.evidence {
            out.line(attached(one, &version.workload, &version.version));
        }
    })
}

pub(super) fn read_contract(path: &Path) -> Result<serde_json::Value> {
    let bytes = read(path).map_err(|error| {
        error.hint("--contract names a JSON file with input and output schemas, see: gradus push --help")
    })?;
    // Checked here too, so that a mistake shows before anything is sent.
    Contract::parse(&bytes).map_err(|mut error| {
        error.message = format!("{}: {}", path.display(), error.message);
        error
    })?;
    json::parse_strict(&bytes, 100)
}

/// A file of evidence, which the registry reads; only what it could never take is refused here.
fn said(path: &Path) -> Result<Upload> {
    super::evidence::read(path)?;
    let mut files = collect(path)?;
    files.pop().ok_or_else(|| Error::not_found("file_not_found", format!("no file: {}", path.display())))
}

fn single(path: &Path) -> Result<Upload> {
    let mut files = collect(path).map_err(|error| match error.code {
        "file_not_found" => error.hint("--prompt names a prompt file, see: gradus push --help"),
        _ => error,
    })?;
    match (files.pop(), files.is_empty()) {
        (Some(file), true) => Ok(file),
        _ => Err(Error::invalid("prompt_invalid", format!("a prompt is one file: {}", path.display()))),
    }
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
