//! `gradus audit`: checkpoints to keep elsewhere, proofs to hand over, and the check of the whole log.

use super::{
    argument,
    print::{Out, count},
};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{
        entry,
        event::{Change, Event},
        merkle::{self, Frontier, TILE},
        name::Workload,
        note::{Checkpoint, Verifier},
    },
    wire,
};
use base64::{Engine as _, prelude::BASE64_STANDARD as BASE64};
use clap::{Args, Subcommand};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// For a verb that is an entry of the log.
#[derive(Args)]
pub struct Proof {
    /// Write the proof that this is in the log (C2SP tlog-proof) to FILE, and the entry itself to FILE.entry
    #[arg(long = "proof", value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Proof {
    pub async fn write(
        &self,
        client: &Client,
        workload: &Workload,
        position: Option<i64>,
        out: &Out,
    ) -> Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let Some(position) = position.and_then(|position| u64::try_from(position).ok()) else {
            out.note("nothing was recorded, so there is no proof");
            return Ok(());
        };
        write_proof(file, &client.workload_proof(workload, position).await?, out)
    }
}

/// The file for the entry that a proof is about.
pub(super) fn entry_beside(file: &Path) -> PathBuf {
    let mut entry = file.to_owned().into_os_string();
    entry.push(".entry");
    entry.into()
}

/// Writes a proof to a file, and its entry to another beside it.
pub(super) fn write_proof(file: &Path, proof: &wire::LogProof, out: &Out) -> Result<()> {
    let entry = entry_beside(file);
    fs::write(file, &proof.proof)?;
    fs::write(&entry, &proof.entry)?;
    out.note(format!(
        "entry {} and its proof are written; check them with: gradus audit check {} --entry {} --key KEY",
        proof.position,
        file.display(),
        entry.display()
    ));
    Ok(())
}

#[derive(Subcommand)]
pub enum Audit {
    /// Go through the whole log; names the first entry that is not what it was (exit code 6)
    Verify {
        /// A checkpoint kept from before, which the log must have come from
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// Check an export instead of a registry; needs --checkpoint and --key
        #[arg(long, value_name = "FILE", requires_all = ["checkpoint", "key"])]
        from: Option<PathBuf>,
        /// The log's public key, for --from
        #[arg(long, requires = "from")]
        key: Option<String>,
    },
    /// Print the log's size and root, signed; keep it where nobody who runs the registry can change it
    Checkpoint,
    /// Print the log's public key
    Key,
    /// Print the proof that an entry is in the log (C2SP tlog-proof)
    Proof {
        /// The entry's position, as `gradus log` shows it
        position: u64,
        /// The workload it is about: whoever may read it gets the proof, without the auditor's role
        #[arg(long, value_name = "WORKLOAD", value_parser = argument::<Workload>)]
        of: Option<Workload>,
    },
    /// Check a proof against an entry and the log's public key, without a registry
    Check {
        /// The proof
        proof: PathBuf,
        /// The entry's exact bytes
        #[arg(long, value_name = "FILE")]
        entry: PathBuf,
        /// The log's public key
        #[arg(long)]
        key: String,
    },
    /// Begin a new epoch of the log after an old backup was restored; needs an admin
    Recover {
        /// The last checkpoint that was kept, which the log does not fit any more
        #[arg(long, value_name = "FILE")]
        checkpoint: PathBuf,
        /// Why
        #[arg(long, short)]
        message: String,
        /// Also accept entries that were changed or are missing, and go on with them as they are
        #[arg(long)]
        accept_damage: bool,
    },
    /// Write the exact entries, a line each
    Export {
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

impl Audit {
    /// Whether no registry is needed.
    pub fn is_offline(&self) -> bool {
        matches!(self, Self::Verify { from: Some(_), .. } | Self::Check { .. })
    }

    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        match self {
            Self::Verify { checkpoint, .. } => {
                let checkpoint = checkpoint.as_deref().map(read).transpose()?;
                let report = client.verify_log(&wire::VerifyLog { checkpoint }).await?;
                tell(&report, out)
            }
            Self::Checkpoint => print(client.log_text("checkpoint").await?, out),
            Self::Key => print(client.log_text("key").await?, out),
            Self::Proof { position, of } => {
                let proof = match of {
                    Some(workload) => client.workload_proof(&workload, position).await?,
                    None => client.log_proof(position).await?,
                };
                out.data(&proof, |out| proof.proof.lines().for_each(|line| out.line(line)))
            }
            Self::Export { out: file } => export(client, &file, out).await,
            Self::Recover { checkpoint, message, accept_damage } => {
                let body =
                    wire::RecoverLog { checkpoint: read(&checkpoint)?, reason: message, accept_damage };
                recovered(&client.recover_log(&body).await?, out)
            }
            Self::Check { .. } => self.run_offline(out),
        }
    }

    pub fn run_offline(self, out: &Out) -> Result<()> {
        match self {
            Self::Verify { from: Some(from), checkpoint: Some(checkpoint), key: Some(key) } => {
                tell(&verify_export(&from, &read(&checkpoint)?, &key.parse()?)?, out)
            }
            Self::Check { proof, entry, key } => {
                let entry = super::files::read(&entry)?;
                let (position, epoch) = check(&read(&proof)?, &entry, &key.parse()?)?;
                out.data(&serde_json::json!({ "position": position, "epoch": epoch }), |out| {
                    let of = if epoch > 1 { format!(", epoch {epoch}") } else { String::new() };
                    out.line(format!("the entry is in the log{of}, at {position}"))
                })
            }
            _ => Err(Error::invalid("usage", "this needs a registry")),
        }
    }
}

fn print(text: String, out: &Out) -> Result<()> {
    out.data(&text, |out| text.lines().for_each(|line| out.line(line)))
}

fn read(path: &Path) -> Result<String> {
    let text = String::from_utf8(super::files::read(path)?);
    text.map_err(|_| Error::invalid("text_invalid", format!("not a text: {}", path.display())))
}

fn recovered(done: &wire::LogRecovered, out: &Out) -> Result<()> {
    let gap = gap(done.gap);
    out.done(done, format!("epoch {} of the log begins with entry {}: {gap}", done.epoch, done.position))?;
    if let Some(damage) = &done.damage {
        out.note(format!("accepted as it is, from entry {} on: {}", damage.position, damage.reason));
    }
    out.note("keep a checkpoint of the new epoch; the key has its name now: gradus audit checkpoint, gradus audit key");
    Ok(())
}

fn gap(gap: Option<u64>) -> String {
    match gap {
        Some(gap) => format!("{} known of and not there", count(gap, "event")),
        None => "an unknown number of events known of and not there, as the log went another way".to_owned(),
    }
}

fn tell(report: &wire::LogReport, out: &Out) -> Result<()> {
    out.data(report, |out| out.line(format!("{} {}", count(report.size, "event"), report.root)))?;
    for one in &report.epochs {
        out.note(format!(
            "epoch {} begins with entry {}: accepted by {}, {}: {}",
            one.epoch,
            one.first,
            one.by,
            gap(one.gap),
            one.reason
        ));
        if let Some(damage) = &one.damage {
            out.note(format!("accepted with it, from entry {} on: {}", damage.position, damage.reason));
        }
    }
    match &report.first_bad {
        None => {
            out.note("the log is what it was");
            Ok(())
        }
        Some(bad) => Err(Error::integrity(
            "log_tampered",
            format!("the log is not what it was, from entry {} on: {}", bad.position, bad.reason),
        )
        .hint("keep the database as it is, and compare it with a backup whose log verifies; after a backup was restored: gradus audit recover --checkpoint FILE -m WHY")),
    }
}

async fn export(client: &Client, file: &Path, out: &Out) -> Result<()> {
    let key: Verifier = client.log_text("key").await?.parse()?;
    let size = key.open(&client.log_text("checkpoint").await?)?.size;
    let mut text = Vec::new();
    for number in 0..size.div_ceil(TILE) {
        let width = (size - number * TILE).min(TILE);
        for entry in client.log_entries(number, width).await? {
            text.extend(entry);
            text.push(b'\n');
        }
    }
    fs::write(file, text)?;
    out.done(
        &serde_json::json!({ "entries": size, "file": file }),
        format!("{} written to {}", count(size, "event"), file.display()),
    )
}

/// The same walk as the registry's, over an export and with nothing but a checkpoint and the key.
fn verify_export(file: &Path, checkpoint: &str, key: &Verifier) -> Result<wire::LogReport> {
    Ok(compare(&super::files::read(file)?, &key.open(checkpoint)?))
}

/// Compares the lines of an export with a checkpoint.
fn compare(export: &[u8], known: &Checkpoint) -> wire::LogReport {
    let mut tree = Frontier::default();
    let (mut start, mut epochs, mut misplaced) = (0, Vec::new(), None);
    for end in memchr::memchr_iter(b'\n', export).chain([export.len()]) {
        let line = &export[start..end];
        start = end + 1;
        if tree.size() == known.size {
            break;
        }
        if line.is_empty() {
            continue;
        }
        let says = entry::position(line);
        if says != Some(tree.size()) && misplaced.is_none() {
            let reason = match says {
                Some(other) => format!("the entry is missing, or not in its place: here is entry {other}"),
                None => "the line is no event".to_owned(),
            };
            misplaced = Some((tree.size(), reason));
        }
        tree.push(merkle::leaf(line));
        epochs.extend(epoch(line));
    }
    // A log may have been accepted with an entry out of its place; then the checkpoint says so too.
    let bad = match (tree.size() == known.size, tree.root() == known.root) {
        (true, true) => None,
        (true, false) => misplaced.or_else(|| {
            let which = format!(
                "one of the {} entries up to the checkpoint is not what it says; which one, gradus audit verify tells \
                 on the server",
                known.size
            );
            Some((0, which))
        }),
        (false, _) => {
            misplaced.or_else(|| Some((tree.size(), "the export ends before the checkpoint".to_owned())))
        }
    };
    wire::LogReport {
        size: tree.size(),
        root: BASE64.encode(tree.root()),
        epochs,
        first_bad: bad.map(|(position, reason)| wire::BadEntry { position, reason }),
    }
}

/// The epoch that an entry begins, if it does.
fn epoch(line: &[u8]) -> Option<wire::LogEpoch> {
    if entry::kind(line) != Some(b"log_recovered") {
        return None;
    }
    let event = Event::from_bytes(line).ok()?;
    match event.change {
        Change::LogRecovered { epoch, known, gap, damage, reason, .. } => Some(wire::LogEpoch {
            epoch,
            first: u64::try_from(event.position).ok()?,
            by: event.actor,
            at: event.at,
            known,
            gap,
            damage: damage.map(|damage| wire::BadEntry { position: damage.position, reason: damage.found }),
            reason,
        }),
        _ => None,
    }
}

/// Checks a `tlog-proof` and answers the entry's position, and the epoch whose checkpoint it rests on.
pub(super) fn check(proof: &str, entry: &[u8], key: &Verifier) -> Result<(u64, u64)> {
    let refuse = |why: &str| {
        Error::integrity("proof_invalid", format!("the proof does not hold: {why}"))
            .hint("a proof goes with the exact bytes of its entry and the key of its log")
    };
    let (head, note) = proof.split_once("\n\n").ok_or_else(|| refuse("it has no checkpoint"))?;
    let checkpoint = key.open(note)?;
    let mut lines = head.lines();
    if lines.next() != Some("c2sp.org/tlog-proof@v1") {
        return Err(refuse("it is of another format"));
    }
    let index = lines.find(|line| !line.starts_with("extra ")).and_then(|line| line.strip_prefix("index "));
    let index: u64 = index.and_then(|index| index.parse().ok()).ok_or_else(|| refuse("it has no index"))?;
    let hashes: Option<Vec<merkle::Hash>> =
        lines.map(|line| BASE64.decode(line).ok()?.try_into().ok()).collect();
    let hashes = hashes.ok_or_else(|| refuse("a hash cannot be read"))?;
    let leaf = merkle::leaf(entry.strip_suffix(b"\n").unwrap_or(entry));
    match merkle::verify_inclusion(leaf, index, checkpoint.size, &hashes, &checkpoint.root) {
        true => Ok((index, checkpoint.epoch())),
        false => Err(refuse("the entry is not in the log at this place")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(position: u64) -> String {
        format!(
            r#"{{"actor":"ada","at":"2026-01-02T03:04:05.000000Z","data":{{"user":"bob"}},"kind":"user_disabled","position":{position}}}"#
        )
    }

    /// The checkpoint of a log with these lines.
    fn known(lines: &[String]) -> Checkpoint {
        let mut tree = Frontier::default();
        lines.iter().for_each(|line| tree.push(merkle::leaf(line.as_bytes())));
        Checkpoint { origin: "log".into(), size: tree.size(), root: tree.root() }
    }

    #[test]
    fn an_export_that_is_not_what_was_signed_is_told_as_far_as_it_can_be() {
        let lines: Vec<String> = (0..5).map(line).collect();
        let known = known(&lines);
        let said = |change: &dyn Fn(&mut Vec<String>)| {
            let mut lines = lines.clone();
            change(&mut lines);
            compare(lines.join("\n").as_bytes(), &known).first_bad.map(|bad| (bad.position, bad.reason))
        };
        assert_eq!(said(&|_| {}), None);
        assert_eq!(said(&|lines| lines.push("what came after".into())), None);
        let here = |other| format!("the entry is missing, or not in its place: here is entry {other}");
        assert_eq!(said(&|lines| drop(lines.remove(2))), Some((2, here(3))));
        assert_eq!(said(&|lines| lines.swap(1, 3)), Some((1, here(3))));
        assert_eq!(said(&|lines| lines[4] = "{}".into()), Some((4, "the line is no event".into())));
        assert_eq!(said(&|lines| lines.truncate(4)).unwrap().0, 4);
        let edited = said(&|lines| lines[1] = lines[1].replace("bob", "eve")).unwrap();
        assert!(edited.0 == 0 && edited.1.starts_with("one of the 5 entries"), "{edited:?}");
    }

    #[test]
    fn what_was_accepted_out_of_its_place_is_what_was_signed() {
        let lines = [line(0), line(2), line(2)];
        assert!(compare(lines.join("\n").as_bytes(), &known(&lines)).first_bad.is_none());
    }
}
