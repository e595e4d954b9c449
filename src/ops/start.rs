//! What happens once when a registry starts: its keys are checked, an empty one gets its first admin.

use super::{Context, tokens};
use crate::{
    config::{self, Config},
    db::{Db, Tx, backups, deliveries, drift_runs, log, principals, uploads},
    error::{Error, Result},
    model::{
        access::{EVERYWHERE, PrincipalKind, Role, Scope},
        digest::{hex, unhex},
        entry,
        event::Change,
        name::PrincipalName,
        note::Signer,
        seal::Sealer,
    },
};
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

/// The secret all replicas share: the signing key and the master key are derived from it. It is never in the
/// database, so a copy of the database signs and unseals nothing.
pub struct Secret([u8; 32]);

impl Secret {
    /// From the configured file, else the environment, else a file in the data directory, made if missing and the
    /// registry is new.
    pub fn load(config: &Config, data_dir: &Path, is_new: bool) -> Result<Self> {
        if let Some(file) = &config.keys.file {
            let text = std::fs::read_to_string(file).map_err(|source| {
                Error::invalid("secret_unreadable", format!("cannot read the secret: {}", file.display()))
                    .source(source)
                    .hint("[keys] file in the configuration names it; 64 hexadecimal digits, readable by this user")
            })?;
            return Self::parse(&text);
        }
        if let Some(text) = config::secret_from_environment() {
            return Self::parse(&text);
        }
        let file = data_dir.join("secret");
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::parse(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && is_new => Self::make(&file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::invalid(
                "secret_missing",
                format!("the registry's secret is not there: {}", file.display()),
            )
            .hint("give the secret it was first started with: GRADUS_SECRET, or [keys] file in the configuration")),
            Err(error) => Err(error.into()),
        }
    }

    fn parse(text: &str) -> Result<Self> {
        unhex(text.trim()).map(Self).ok_or_else(|| {
            Error::invalid("secret_invalid", "the registry's secret is not 64 hexadecimal digits")
                .hint("give the secret this registry was first started with; only a new registry takes a new one: openssl rand -hex 32")
        })
    }

    fn make(file: &Path) -> Result<Self> {
        let secret = random()?;
        // Whole or not at all: a registry that was killed here must be able to start again.
        let scratch = file.with_extension("new");
        let mut handle =
            std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&scratch)?;
        writeln!(handle, "{}", hex(&secret))?;
        handle.sync_all()?;
        std::fs::rename(&scratch, file)?;
        std::fs::File::open(file.parent().unwrap_or(file))?.sync_all()?;
        Ok(Self(secret))
    }

    /// The key that signs the log, under a name of the registry's own.
    pub fn signer(&self) -> Result<Signer> {
        let mut hash = Sha256::new();
        hash.update(b"gradus log signing key\0");
        hash.update(self.0);
        Signer::new(&format!("gradus/{}", self.id()), &hash.finalize().into())
    }

    /// The key that seals secrets in the database.
    pub fn sealer(&self) -> Result<Sealer> {
        let mut hash = Sha256::new();
        hash.update(b"gradus sealing key\0");
        hash.update(self.0);
        Sealer::new(&hash.finalize().into())
    }

    /// Names the secret without telling it.
    pub fn id(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"gradus secret id\0");
        hash.update(self.0);
        hex(&hash.finalize()[..8])
    }
}

/// 256 bits from the operating system.
pub fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::internal("no_randomness", format!("the operating system gives no random bytes: {error}"))
    })?;
    Ok(bytes)
}

/// Whether no registry was started on the database yet.
pub async fn is_new(db: &Db) -> Result<bool> {
    Ok(log::key_id(&mut db.read().await?).await?.is_none())
}

/// Gives the log's head the time of the latest entry where it has none, as programs of schema 2 did not keep it.
/// Once, and nobody writes as long as it takes to read the log.
pub async fn fill_latest(tx: &mut Tx) -> Result<()> {
    if log::head(tx).await?.1.is_some() {
        return Ok(());
    }
    let (size, None) = log::lock(tx).await? else { return Ok(()) };
    let (mut at, mut latest) = (0, None);
    while at < size {
        let page = log::list(tx, &log::Filter::default(), at, 10_000).await?;
        let Some((last, _)) = page.last() else { break };
        at = last + 1;
        let text = |bytes| std::str::from_utf8(entry::time(bytes)?).ok();
        let times = page.iter().filter_map(|(_, bytes)| text(bytes)?.parse::<DateTime<Utc>>().ok());
        latest = times.chain(latest).max();
    }
    match latest {
        Some(latest) => log::put_latest(tx, latest).await,
        None => Ok(()),
    }
}

/// Binds the database to the secret, or refuses another one. From then on the log is signed.
pub async fn check_secret(db: &Db, secret: &Secret) -> Result<()> {
    let mut tx = db.write().await?;
    log::initialise(&mut tx, &secret.id()).await?;
    let stored = log::key_id(&mut tx).await?.unwrap_or_default();
    if stored != secret.id() {
        return Err(Error::invalid("secret_mismatch", "this database belongs to another secret")
            .hint("give the secret the registry was first started with: GRADUS_SECRET, or [keys] file in the configuration"));
    }
    fill_latest(&mut tx).await?;
    tx.commit().await?;
    db.use_keys(secret.signer()?, secret.sealer()?);
    Ok(())
}

/// Lets uploads, deliveries and drift runs go on at once that a killed process was at, and ends backups that it took. Only on SQLite: there one process has the whole
/// data directory, so whoever held them is gone. On PostgreSQL another replica may be at them, and leases run out.
pub async fn release_leases(db: &Db, now: DateTime<Utc>) -> Result<()> {
    if db.is_sqlite() {
        let mut tx = db.write().await?;
        uploads::release_all(&mut tx).await?;
        deliveries::release_all(&mut tx, now).await?;
        drift_runs::release_all(&mut tx, now).await?;
        backups::end_all(&mut tx, now).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Gives an empty registry its first admin. Answers the token, to be printed once, or `None` if there is
/// somebody already.
pub async fn bootstrap(cx: &Context) -> Result<Option<String>> {
    let admin: PrincipalName = "admin".parse()?;
    let mut tx = cx.db.write().await?;
    log::lock(&mut tx).await?;
    if principals::count(&mut tx).await? > 0 {
        return Ok(None);
    }
    let mut changes = Vec::new();
    if !add_admin(cx, &mut tx, &admin, PrincipalKind::Person, &mut changes).await? {
        return Ok(None); // another replica was first
    }
    let (secret, change) =
        tokens::issue(cx, &mut tx, &admin, "bootstrap", Scope::default(), None, None).await?;
    changes.push(change);
    log::append(&mut tx, cx.clock.now(), &admin, changes).await?;
    tx.commit().await?;
    Ok(Some(secret))
}

/// In local mode: makes sure the local user is known, as an admin.
pub async fn ensure_local_user(cx: &Context, user: &PrincipalName) -> Result<()> {
    if principals::find(&mut cx.db.read().await?, user).await?.is_some() {
        return Ok(());
    }
    let mut tx = cx.db.write().await?;
    let mut changes = Vec::new();
    if add_admin(cx, &mut tx, user, PrincipalKind::Local, &mut changes).await? {
        log::append(&mut tx, cx.clock.now(), user, changes).await?;
        tx.commit().await?;
    }
    Ok(())
}

async fn add_admin(
    cx: &Context,
    tx: &mut Tx,
    name: &PrincipalName,
    kind: PrincipalKind,
    changes: &mut Vec<Change>,
) -> Result<bool> {
    let row =
        principals::PrincipalRow { name: name.clone(), kind, disabled: false, created_at: cx.clock.now() };
    if !principals::insert(tx, &row).await? {
        return Ok(false);
    }
    changes.push(Change::UserAdded { user: name.clone(), kind });
    principals::add_member(tx, EVERYWHERE, name, Role::Admin).await?;
    changes.push(Change::MemberAdded {
        namespace: EVERYWHERE.into(),
        principal: name.clone(),
        role: Role::Admin,
    });
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_64_digits_and_their_id_tells_nothing() {
        let digits = "0123456789abcdef".repeat(4);
        let secret = Secret::parse(&format!("{digits}\n")).unwrap();
        assert_eq!(hex(&secret.0), digits);
        assert!(!digits.contains(&secret.id()));
        for bad in ["", "xyz", &digits[1..], &format!("{digits}0")] {
            assert_eq!(Secret::parse(bad).err().map(|error| error.code), Some("secret_invalid"));
        }
    }
}
