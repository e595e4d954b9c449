//! `gradus backup` and `gradus restore`.

use super::{
    Global,
    connect::{self, DATABASE},
    print::{Out, bytes, count, quoted},
};
use crate::{
    blobs::Stores,
    client::{Client, Taking},
    config::Config,
    db::look,
    error::{Error, Result},
    model::digest::Digest,
    ops::{
        restore::{self, Choices, Restored, Source},
        start::Secret,
        verify,
    },
};
use clap::Args;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

#[derive(Args)]
pub struct Backup {
    /// The folder; one that has backups already gets only what it lacks
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Read again what the folder has, and fetch anew what is rotten
    #[arg(long)]
    verify: bool,
    /// Delete from the folder the blobs that no facts in it name any more
    #[arg(long)]
    prune: bool,
}

/// Ends when somebody asks the process to stop, so that the registry can be told.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

impl Backup {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let mut bar: Option<Box<dyn FnOnce()>> = None;
        let taking = Taking { verify: self.verify, prune: self.prune };
        let taken = client
            .take_backup(&self.out, taking, asked_to_stop(), |total| {
                let (progress, done) = out.progress("backing up", total);
                bar = Some(Box::new(done));
                progress
            })
            .await;
        if let Some(done) = bar {
            done();
        }
        let taken = taken?;
        out.data(&taken, |out| {
            out.line(format!(
                "backed up {} and {} ({}), of which {} ({}) were new: {}",
                count(taken.facts, "fact"),
                count(taken.blobs, "blob"),
                bytes(taken.bytes),
                taken.fetched,
                bytes(taken.fetched_bytes),
                taken.facts_file.display()
            ));
        })?;
        if self.prune {
            let pruned = count(taken.pruned, "blob");
            out.note(format!("deleted {pruned} ({}) that no facts here name", bytes(taken.pruned_bytes)));
        }
        if !taken.left_out.is_empty() {
            let some: Vec<&str> = taken.left_out.iter().take(5).map(Digest::as_str).collect();
            let lost = count(taken.left_out.len(), "blob");
            out.note(format!(
                "{lost} that the registry has set aside as rotten could not be backed up: {}",
                some.join(", ")
            ));
            out.note("gradus scrub says who needs them; pushing the files again heals them");
        }
        out.note(
            "the registry's secret is not in it: keep that elsewhere, as nothing can be restored without it",
        );
        let folder = quoted(&self.out.to_string_lossy());
        out.note(format!("next: GRADUS_SECRET=$(cat OLD/secret) gradus --data-dir NEW restore {folder}"));
        Ok(())
    }
}

#[derive(Args)]
pub struct Restore {
    /// The folder that `gradus backup --out` wrote
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Facts of the folder, where the newest are not meant
    #[arg(long, value_name = "FILE")]
    facts: Option<PathBuf>,
    /// Where the contents of a store of the original go; may be given again
    #[arg(long = "store", value_name = "OLD=NEW", value_parser = store)]
    stores: Vec<(String, String)>,
    /// Go on without blobs whose bytes the backup does not have
    #[arg(long)]
    accept_missing: bool,
    /// Write into the original's own stores, whose database is lost
    #[arg(long)]
    reuse_stores: bool,
}

fn store(text: &str) -> Result<(String, String), String> {
    let (old, new) = text
        .split_once('=')
        .ok_or("a store is OLD=NEW: a name of the original, and one that is configured")?;
    Ok((old.to_owned(), new.to_owned()))
}

impl Restore {
    /// Works on a data directory and what its configuration names, never through a server.
    pub async fn run(self, global: &Global, out: &Out) -> Result<()> {
        if global.server.is_some() && global.data_dir.is_none() {
            return Err(Error::invalid(
                "usage",
                "a backup is restored where the database and the stores are, not through a server",
            )
            .hint(format!(
                "gradus --data-dir NEW --config FILE restore {}",
                quoted(&self.folder.to_string_lossy())
            )));
        }
        let data_dir = global.data_dir.clone().map_or_else(Config::default_data_dir, Ok)?;
        let config = connect::load_config(global)?;
        connect::make_data_dir(&data_dir)?;
        let secret = Secret::load(&config, &data_dir, false)?;
        let (folder, facts, key_id, signer) =
            (self.folder.clone(), self.facts.clone(), secret.id(), secret.signer()?);
        let reading =
            tokio::task::spawn_blocking(move || Source::read(&folder, facts.as_deref(), &key_id, &signer));
        let source = reading.await.map_err(|error| {
            Error::internal("reading_stopped", "reading the backup has stopped").source(error)
        })??;
        let (taken_at, hooks) = (source.head.taken_at, source.hooks);
        let choices = Choices {
            stores: self.stores.into_iter().collect(),
            accept_missing: self.accept_missing,
            reuse_stores: self.reuse_stores,
        };
        let restored = restore_into(&data_dir, &config, &secret, source, &choices, out).await?;
        // From here on it is a registry: brought up to date, and looked through as its auditors would.
        let lacks_secret = config.keys.file.is_none() && !data_dir.join("secret").exists();
        let local = connect::open_local(&data_dir, config, None).await?;
        let log = verify::verify(&local.context, None).await?;
        local.context.db.close().await;
        out.data(&restored, |out| {
            out.line(format!(
                "restored {} and {} ({}) as of {}",
                count(restored.facts, "fact"),
                count(restored.blobs, "blob"),
                bytes(restored.bytes),
                super::print::time(taken_at)
            ));
        })?;
        if lacks_secret {
            out.note("keep GRADUS_SECRET set for it, or put the secret into the file `secret` of the data directory");
        }
        if !restored.missing.is_empty() {
            let missing = count(restored.missing.len(), "blob");
            out.note(format!("{missing} without bytes: pulling them fails until they are pushed again; gradus scrub names them"));
        }
        match log.first_bad {
            None => {
                out.note(format!("its log is whole, all {} events of it", log.size));
                if hooks > 0 {
                    let hooks = count(hooks, "hook");
                    out.note(format!("{hooks} as they were: while the original still runs, both tell the same receivers"));
                }
                Ok(())
            }
            Some((position, what)) => Err(Error::integrity(
                "log_damaged",
                format!("it is restored, and its log was damaged before it was backed up, from entry {position} on: {what}"),
            )
            .hint("gradus audit verify")),
        }
    }
}

async fn restore_into(
    data_dir: &Path,
    config: &Config,
    secret: &Secret,
    source: Source,
    choices: &Choices,
    out: &Out,
) -> Result<Restored> {
    // The lock first: what is looked at then is what there is until we are done.
    let lock = connect::lock(data_dir, config).await?;
    refuse_used(data_dir, config, source.head.schema).await?;
    let db = connect::open_database(data_dir, config, source.head.schema).await?;
    let stores = Stores::open(&config.stores, Duration::from_secs(config.limits.store_seconds), data_dir);
    let total = source.blobs.iter().map(|blob| blob.size).sum();
    let (progress, done) = out.progress("restoring", total);
    let restored = match &stores {
        Ok(stores) => {
            restore::restore(&db, stores, &secret.id(), source, choices, |bytes| progress(bytes)).await
        }
        Err(_) => Err(Error::internal("stores", "the stores did not open")),
    };
    done();
    db.close().await;
    if lock.is_some() && restored.as_ref().is_err_and(|error| error.code != "registry_not_empty") {
        for name in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(data_dir.join(format!("{DATABASE}{name}")));
        }
    }
    drop(lock);
    stores.and(restored)
}

/// Before anything is made or brought up to date: what is there must be no registry's.
async fn refuse_used(data_dir: &Path, config: &Config, schema: i64) -> Result<()> {
    let found = match &config.database.url {
        Some(url) => Some(look::postgres(url).await?),
        None => look::sqlite(&data_dir.join(DATABASE), false).await?,
    };
    let Some(found) = found else { return Ok(()) };
    if found.key_id.is_some() || found.schema.is_some_and(|there| there > schema) {
        return Err(Error::conflict(
            "registry_not_empty",
            "there is a registry in this database already, or was one",
        )
        .hint("restore into an empty data directory or a new database; nothing was changed"));
    }
    Ok(())
}
