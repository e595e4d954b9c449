//! `gradus doctor`: looks whether a registry can work where it is, changes nothing, and says what to do.

use super::{
    Global,
    connect::{self, DATABASE},
    print::{Out, bytes},
};
use crate::{
    blobs::Stores,
    config::{self, Config},
    db::look::{self, Look},
    error::{Error, Result},
    ops::start::Secret,
};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use serde::Serialize;
use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Args)]
pub struct Doctor {
    /// Also go through the whole of a SQLite file
    #[arg(long)]
    deep: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Health {
    Ok,
    Warning,
    Bad,
}

#[derive(Serialize)]
struct Finding {
    of: String,
    health: Health,
    what: String,
    /// What to do.
    hint: Option<String>,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, of: &str, health: Health, what: impl Into<String>, hint: Option<String>) {
        self.0.push(Finding { of: of.to_owned(), health, what: what.into(), hint });
    }

    fn ok(&mut self, of: &str, what: impl Into<String>) {
        self.add(of, Health::Ok, what, None);
    }

    fn warn(&mut self, of: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.add(of, Health::Warning, what, Some(hint.into()));
    }

    fn bad(&mut self, of: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.add(of, Health::Bad, what, Some(hint.into()));
    }

    fn error(&mut self, of: &str, error: &Error) {
        let because = std::error::Error::source(error).map(|cause| format!(" ({cause})")).unwrap_or_default();
        self.add(of, Health::Bad, format!("{}{because}", error.message), error.hint.clone());
    }
}

/// Less than this is too little to go on.
const SPACE_BAD: u64 = 256 << 20;
const SPACE_LOW: u64 = 2 << 30;
/// Clocks may differ by so much.
const SKEW: TimeDelta = TimeDelta::seconds(5);

impl Doctor {
    pub async fn run(self, global: &Global, out: &Out) -> Result<()> {
        let mut findings = Findings::default();
        match connect::remote(global)? {
            Some(client) => server(&client, &mut findings).await,
            None => self.place(global, &mut findings).await?,
        }
        out.data(&findings.0, |out| {
            let word = |health| match health {
                Health::Ok => "ok",
                Health::Warning => "warn",
                Health::Bad => "BAD",
            };
            for finding in &findings.0 {
                out.line(format!("{:<5} {:<14} {}", word(finding.health), finding.of, finding.what));
                if let Some(hint) = &finding.hint {
                    out.line(format!("      {:<14} -> {hint}", ""));
                }
            }
        })?;
        let bad = findings.0.iter().filter(|finding| finding.health == Health::Bad).count();
        match bad {
            0 => Ok(()),
            1 => Err(Error::unavailable("unwell", "1 thing keeps the registry from working")
                .hint("see the arrow above")),
            more => {
                Err(Error::unavailable("unwell", format!("{more} things keep the registry from working"))
                    .hint("see the arrows above"))
            }
        }
    }

    /// Where a registry is, or is to be: configuration, directory, database, secret, stores.
    async fn place(self, global: &Global, findings: &mut Findings) -> Result<()> {
        let config = match connect::load_config(global) {
            Ok(config) => config,
            Err(error) => {
                let hint = match (error.hint.clone(), error.code) {
                    (Some(hint), _) => hint,
                    (None, "config_unreadable") => {
                        "name a file that is there and may be read: --config FILE".to_owned()
                    }
                    (None, _) => "mend the file; all settings with their meaning: deploy/config.example.toml"
                        .to_owned(),
                };
                findings.error("configuration", &error.hint(hint));
                return Ok(());
            }
        };
        let data_dir = global.data_dir.clone().map_or_else(Config::default_data_dir, Ok)?;
        configuration(&config, global, findings);
        directory(&data_dir, findings);
        let known = database(&data_dir, &config, self.deep, findings).await;
        let key_id = known.as_ref().and_then(|look| look.key_id.clone());
        let ours = secret(&data_dir, &config, key_id.as_deref(), findings);
        let registry = known.map(|look| Registry { is_there: look.key_id.is_some(), stores: look.stores });
        stores(&data_dir, &config, ours.as_deref(), registry.as_ref(), findings).await;
        Ok(())
    }
}

fn configuration(config: &Config, global: &Global, findings: &mut Findings) {
    let from = global.config.as_ref().map_or("the defaults".to_owned(), |file| file.display().to_string());
    findings.ok("configuration", from);
    if !config.listen.ip().is_loopback() && config.public_url.is_none() {
        let what = format!("listening on {} needs public_url", config.listen);
        findings.bad("configuration", what, "set public_url: it is the name clients reach the server by");
    }
    if let Some(tls) = &config.tls {
        for file in [&tls.certificate, &tls.key] {
            if let Err(error) = fs::File::open(file) {
                let what = format!("a file of [tls] cannot be read: {}: {error}", file.display());
                findings.bad("tls", what, "name readable PEM files in [tls]");
            }
        }
    } else if config.public_url.as_deref().is_some_and(|url| url.starts_with("http://")) {
        let hint = "serve TLS by [tls], or by a proxy in front, and name that URL";
        findings.warn("tls", "public_url is plain http: clients send no tokens there", hint);
    }
}

fn directory(data_dir: &Path, findings: &mut Findings) {
    match fs::metadata(data_dir) {
        Ok(metadata) if !metadata.is_dir() => {
            let what = format!("not a directory: {}", data_dir.display());
            findings.bad("data directory", what, "name another one with --data-dir");
        }
        Ok(metadata) => {
            findings.ok("data directory", data_dir.display().to_string());
            if metadata.permissions().mode() & 0o077 != 0 {
                let hint = format!("chmod 700 {}", super::print::quoted(&data_dir.to_string_lossy()));
                findings.warn("data directory", "others on this machine may look into it", hint);
            }
            if rustix::fs::access(data_dir, rustix::fs::Access::WRITE_OK).is_err() {
                findings.bad(
                    "data directory",
                    "it cannot be written to",
                    "let the user that runs gradus own it",
                );
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.ok("data directory", format!("{}, made at the first start", data_dir.display()));
        }
        Err(error) => findings.bad(
            "data directory",
            format!("{}: {error}", data_dir.display()),
            "let the user that runs gradus own it",
        ),
    }
    space("data directory", data_dir, findings);
}

/// Free space where a path is, or will be.
fn space(of: &str, path: &Path, findings: &mut Findings) {
    let Some(there) = path.ancestors().find(|path| path.exists()) else { return };
    let Ok(found) = rustix::fs::statvfs(there) else { return };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let what = format!("{} free", bytes(free));
    let hint =
        "make room: gradus gc finds what nothing needs; artifacts may also go into a bucket, see [[stores]]";
    match free {
        ..SPACE_BAD => findings.bad(of, what, hint),
        SPACE_BAD..SPACE_LOW => findings.warn(of, what, hint),
        _ => findings.ok(of, what),
    }
}

/// What the database knows of stores; none where it could not be looked at.
struct Registry {
    is_there: bool,
    stores: Vec<String>,
}

/// Answers what there is, an empty look where there is no database, and nothing where that cannot be told.
async fn database(data_dir: &Path, config: &Config, deep: bool, findings: &mut Findings) -> Option<Look> {
    let looked = match &config.database.url {
        Some(url) => look::postgres(url).await.map(Some),
        None => look::sqlite(&data_dir.join(DATABASE), deep).await,
    };
    let found = match looked {
        Ok(Some(found)) => found,
        Ok(None) => {
            findings.ok("database", "none yet, made at the first start");
            return Some(Look::default());
        }
        Err(error) => {
            findings.error("database", &error);
            return None;
        }
    };
    if let Some(damage) = &found.damage {
        findings.bad(
            "database",
            format!("the file is damaged: {damage}"),
            "restore a backup: gradus restore DIR",
        );
    }
    match found.schema {
        Some(schema) if schema > found.known => {
            let what = format!(
                "{}, of schema {schema}, newer than this gradus knows ({})",
                found.version, found.known
            );
            findings.bad("database", what, "run the version that brought it up to date, or a later one");
        }
        Some(schema) if schema < found.known => {
            let what =
                format!("{}, of schema {schema}; the next start brings it to {}", found.version, found.known);
            findings.warn(
                "database",
                what,
                "back it up first, with the version that has run so far: gradus backup --out DIR",
            );
        }
        Some(schema) => findings.ok("database", format!("{}, schema {schema}", found.version)),
        None => findings.ok("database", format!("{}, empty", found.version)),
    }
    if let Some(clock) = found.clock {
        skew("that of the database", clock, findings);
    }
    Some(found)
}

fn skew(of: &str, theirs: DateTime<Utc>, findings: &mut Findings) {
    let apart = (Utc::now() - theirs).abs();
    if apart > SKEW {
        let what = format!("this machine's clock and {of} are {} s apart", apart.num_seconds());
        findings.warn(
            "clock",
            what,
            "let NTP set both: times of events and of tokens go by the registry's clock",
        );
    } else {
        findings.ok("clock", format!("as {of}"));
    }
}

/// Answers the id of the secret, if there is one and the database has no other.
fn secret(data_dir: &Path, config: &Config, key_id: Option<&str>, findings: &mut Findings) -> Option<String> {
    let secret = match Secret::load(config, data_dir, false) {
        Ok(secret) => secret.id(),
        Err(error) if error.code == "secret_missing" && key_id.is_none() => {
            findings.ok("secret", "none yet, made at the first start");
            return None;
        }
        Err(error) => {
            findings.error("secret", &error);
            return None;
        }
    };
    let is_other = key_id.is_some_and(|key_id| key_id != secret);
    match key_id {
        Some(_) if is_other => findings.bad(
            "secret",
            "the database belongs to another secret",
            "give the secret the registry was first started with: GRADUS_SECRET, or [keys] file in the configuration",
        ),
        Some(_) => findings.ok("secret", "the one of the database"),
        None => findings.ok("secret", "given; no registry was started with it here yet"),
    }
    let file = config.keys.file.clone().unwrap_or_else(|| data_dir.join("secret"));
    if fs::metadata(&file).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
        let hint = format!("chmod 600 {}", super::print::quoted(&file.to_string_lossy()));
        findings.warn("secret", format!("others on this machine may read it: {}", file.display()), hint);
    }
    (!is_other).then_some(secret)
}

async fn stores(
    data_dir: &Path,
    config: &Config,
    ours: Option<&str>,
    registry: Option<&Registry>,
    findings: &mut Findings,
) {
    let is_there = registry.is_some_and(|registry| registry.is_there);
    let is_empty = registry.is_some_and(|registry| !registry.is_there);
    const LOST: &str = "is it mounted, and is this the right place? Do not start the registry without it";
    // Opening local files would make their directory.
    let local = |store: &config::Store| store.url.strip_prefix("file://").map(PathBuf::from);
    let places: Vec<(String, Option<PathBuf>, Vec<config::Store>)> = if config.stores.is_empty() {
        vec![("local".into(), Some(data_dir.to_owned()), Vec::new())]
    } else {
        config.stores.iter().map(|store| (store.name.clone(), local(store), vec![store.clone()])).collect()
    };
    for (name, place, configured) in places {
        let of = format!("store {name}");
        if let Some(place) = &place {
            if place != data_dir {
                space(&of, place, findings);
            }
            if !place.join("blobs").exists() {
                match is_there {
                    true => findings.bad(&of, format!("nothing is there: {}", place.display()), LOST),
                    false => {
                        findings.ok(&of, format!("none yet, made at the first start: {}", place.display()))
                    }
                }
                continue;
            }
        }
        let silence = Duration::from_secs(config.limits.store_seconds.min(10));
        let owner = match Stores::open(&configured, silence, data_dir) {
            Ok(stores) => match stores.default_store().check().await {
                Ok(()) => stores.default_store().owner().await,
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        match owner {
            Err(error) => findings.error(&of, &error),
            Ok(Some(owner)) if ours.is_some_and(|ours| ours != owner) => findings.bad(
                &of,
                "it belongs to another registry",
                "give each registry a place of its own: another bucket, prefix or directory",
            ),
            Ok(Some(_)) if is_empty => findings.bad(
                &of,
                "it is a registry's, and the database has none",
                "is this the right database? If it is lost, restore a backup: gradus restore DIR --reuse-stores",
            ),
            Ok(Some(_)) if ours.is_none() => {
                findings.ok(&of, "answers; whether it is this registry's cannot be told without the secret");
            }
            Ok(Some(_)) => findings.ok(&of, "answers, and is this registry's"),
            Ok(None) if is_there => findings.bad(&of, "answers, and has nothing of this registry", LOST),
            Ok(None) => findings.ok(&of, "answers, and is nobody's yet"),
        }
    }
    let names: Vec<&str> = match config.stores.is_empty() {
        true => vec!["local"],
        false => config.stores.iter().map(|store| store.name.as_str()).collect(),
    };
    let wanted = registry.iter().flat_map(|registry| &registry.stores);
    for name in wanted.filter(|name| !names.contains(&name.as_str())) {
        let what = "namespaces are in it, and it is not configured";
        findings.bad(
            &format!("store {name}"),
            what,
            "put it back: [[stores]] in the configuration, by this name",
        );
    }
}

/// What can be seen of a server from here.
async fn server(client: &crate::client::Client, findings: &mut Findings) {
    let url = client.server().unwrap_or_default().to_owned();
    match client.ready().await {
        Ok(clock) => {
            findings.ok("server", format!("{url} is ready: its database and its stores answer"));
            // To the second, as it is told in a header.
            if let Some(clock) = clock {
                skew("that of the server", clock, findings);
            }
        }
        Err(error) => return findings.error("server", &error),
    }
    match client.whoami().await {
        Ok(who) => {
            findings.ok("token", format!("of {}", who.principal));
            let left = who.expires_at.map(|expires| expires - Utc::now());
            if left.is_some_and(|left| left < TimeDelta::days(7)) {
                findings.warn("token", "it expires within a week", "make another one: gradus token create");
            }
        }
        Err(error) if error.code == "token_missing" => {
            findings.warn("token", "none given", format!("gradus login {url}"));
        }
        Err(error) => findings.error("token", &error),
    }
}
