//! Backups: the facts as JSON lines, and where they lie in the folder. Published as `schemas/backup-line.schema.json`.

use super::digest::Digest;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One line: the first is `backup`, the last is `end`, between them are facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    Backup(Head),
    Fact(Fact),
    End(End),
}

/// What was backed up, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Of the format: 1.
    pub format: u32,
    pub id: String,
    /// The registry's own version, for people.
    pub gradus: String,
    /// The last migration of the database.
    pub schema: i64,
    /// Of the registry's secret, which is not in the backup.
    pub key_id: String,
    pub taken_at: DateTime<Utc>,
}

/// A row of a table: numbers, texts and flags as they are, times as RFC 3339 with six decimals, bytes in base64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fact {
    pub table: String,
    pub row: Map<String, Value>,
}

/// What a whole file ends with. One that does not was cut short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct End {
    pub facts: u64,
    /// SHA-256 of all bytes of the file before this line.
    pub digest: Digest,
    /// By the log's key over `gradus backup`, a line feed, the digest and another line feed; base64. So facts that somebody
    /// made up are told from those the registry wrote.
    pub signature: String,
}

pub const FORMAT: u32 = 1;

/// The text that is signed.
pub fn signed_text(digest: &Digest) -> String {
    format!("gradus backup\n{digest}\n")
}

/// The longest line that is read. An event has at most 32 KiB; manifests and documents may have some MiB.
pub const LINE_MAX: usize = 96 * 1024 * 1024;

/// The name of the facts of a time, below the backup's folder. Later ones sort behind.
pub fn facts_name(taken_at: DateTime<Utc>) -> String {
    format!("facts-{}.jsonl", taken_at.format("%Y%m%dT%H%M%S%.6fZ"))
}

/// Where the bytes of a digest lie below the backup's folder.
pub fn blob_path(digest: &Digest) -> String {
    let hex = digest.hex();
    let (algorithm, _) = digest.as_str().split_once(':').unwrap_or_default();
    format!("blobs/{algorithm}/{}/{hex}", &hex[..2])
}
