//! Configuration: one struct, from a TOML file, with defaults that work for a laptop. The only reader of
//! environment variables besides the CLI's flags.

mod issuers;
mod sources;

pub(crate) use issuers::is_protected;
pub use issuers::{Issuer, Oidc};
pub use sources::DataSource;

use crate::{
    error::{Error, Result},
    hooks::backoff::Patience,
};
use chrono::TimeDelta;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where `serve` listens.
    pub listen: SocketAddr,
    /// How clients reach the server, for example `https://models.example.org`. Required unless the server
    /// listens on loopback only.
    pub public_url: Option<String>,
    pub database: Database,
    /// Named stores. The first is the default for new namespaces. Empty: local files in the data directory.
    pub stores: Vec<Store>,
    /// Data that drift monitors may read, which are never in the stores above.
    pub sources: Vec<DataSource>,
    pub tls: Option<Tls>,
    pub keys: Keys,
    pub limits: Limits,
    pub schedule: Schedule,
    pub garbage: Garbage,
    pub hooks: Hooks,
    pub reads: Reads,
    pub oidc: Oidc,
    /// Who else says who somebody is: providers of OpenID Connect. Empty: nobody.
    pub issuers: Vec<Issuer>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `postgres://…`; without it SQLite in the data directory.
    pub url: Option<String>,
    /// Most connections to PostgreSQL.
    pub connections: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Store {
    pub name: String,
    /// `file:///path`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
    pub url: String,
    /// Where the bytes are, for people and policies, for example `eu-central-1`.
    pub region: String,
    /// Settings of the backend by their usual names (`endpoint`, `access_key_id`, …). What is not set here is
    /// taken from the usual environment variables (`AWS_*`, `GOOGLE_*`, `AZURE_*`).
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Send clients to presigned URLs for downloads of at least this many bytes. Without it the server streams.
    #[serde(default)]
    pub redirect_above: Option<u64>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// PEM files.
    pub certificate: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// A file with the registry's secret: 64 hexadecimal digits. Without it `GRADUS_SECRET`, else a file in the
    /// data directory, made at first start. All replicas need the same.
    pub file: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests handled at a time; more wait.
    pub concurrency: usize,
    /// The same for uploads, downloads until they begin to stream, and pushes of versions.
    pub transfers: usize,
    /// Watchers of the log at a time.
    pub watchers: usize,
    /// Requests in a second of one principal, whatever tokens it uses, on each replica. 0: as many as come.
    pub requests_per_second: u32,
    /// How many of them may come at once after a pause. 0: those of one second.
    pub burst: u32,
    /// Requests of one principal at a time, downloads until they begin to stream. 0: as many as come.
    pub concurrent_per_principal: usize,
    /// Seconds for a request that is not a transfer.
    pub request_seconds: u64,
    /// Seconds without a byte after which an upload or download is cut.
    pub idle_seconds: u64,
    /// Seconds without an answer after which a bucket counts as unreachable. Large pieces get more, by their size.
    pub store_seconds: u64,
    /// Seconds that requests under way may take to end once the server is told to stop. What is cut off then can be
    /// resumed.
    pub shutdown_seconds: u64,
    /// Bytes of a JSON body.
    pub body_bytes: usize,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// Cron expressions with seconds, in UTC: `0 0 3 * * *` is daily at three. Empty: only by hand.
    pub gc: Option<String>,
    pub scrub: Option<String>,
    /// Lets versions go by the rules of their namespaces.
    pub retention: Option<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Garbage {
    /// Hours that something unused is kept.
    pub grace_hours: u32,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Hooks {
    /// Networks that hooks may send to although they are not public, for example `10.1.0.0/16`. Plain `http://` and
    /// `nats://` go to these only.
    pub allow: Vec<IpNet>,
    /// PEM file of authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Attempts of a delivery before it is given up.
    pub attempts: u32,
    /// Seconds before the second attempt; each later wait is four times as long as the one before.
    pub first_retry_seconds: u32,
    /// Hours of the longest wait between two attempts.
    pub longest_retry_hours: u32,
    /// Seconds for one attempt.
    pub timeout_seconds: u32,
    /// Days that the log of deliveries is kept after they ended, dead letters included; what waits is given up when it is
    /// so old, unless it is being sent. At least as long as a delivery is tried, by its own waits.
    pub keep_days: u32,
}

/// The access log: who read which version.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Reads {
    pub enabled: bool,
    /// Days that it is kept.
    pub keep_days: u32,
    /// Networks of proxies in front of the server, whose `X-Forwarded-For` says where a request comes from.
    pub trusted_proxies: Vec<IpNet>,
}

impl Hooks {
    /// How often, and how long, deliveries are tried.
    pub fn patience(&self) -> Patience {
        Patience {
            attempts: self.attempts,
            first: TimeDelta::seconds(self.first_retry_seconds.into()),
            longest: TimeDelta::hours(self.longest_retry_hours.into()),
        }
    }
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            ca_file: None,
            attempts: 11,
            first_retry_seconds: 5,
            longest_retry_hours: 24,
            timeout_seconds: 15,
            keep_days: 30,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8300)),
            public_url: None,
            database: Database::default(),
            stores: Vec::new(),
            sources: Vec::new(),
            tls: None,
            keys: Keys::default(),
            limits: Limits::default(),
            schedule: Schedule::default(),
            garbage: Garbage::default(),
            hooks: Hooks::default(),
            reads: Reads::default(),
            oidc: Oidc::default(),
            issuers: Vec::new(),
        }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self { url: None, connections: 16 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrency: 512,
            transfers: 256,
            watchers: 10_000,
            requests_per_second: 0,
            burst: 0,
            concurrent_per_principal: 0,
            request_seconds: 60,
            idle_seconds: 60,
            store_seconds: 30,
            shutdown_seconds: 20,
            body_bytes: 4 * 1024 * 1024,
        }
    }
}

impl Default for Reads {
    fn default() -> Self {
        Self { enabled: true, keep_days: 90, trusted_proxies: Vec::new() }
    }
}

impl Default for Garbage {
    fn default() -> Self {
        Self { grace_hours: 24 }
    }
}

impl Config {
    /// Reads a TOML file. Unknown keys are refused with their place.
    pub fn load(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).map_err(|source| {
            Error::invalid("config_unreadable", format!("cannot read the configuration: {}", file.display()))
                .source(source)
        })?;
        Self::parse(&text)
    }

    pub fn parse(text: &str) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|error| {
            Error::invalid("config_invalid", format!("the configuration is not valid: {error}"))
        })?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let refuse = |why: String| {
            Err(Error::invalid("config_invalid", format!("the configuration is not valid: {why}")))
        };
        let (mut names, mut places) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for store in &self.stores {
            if store.name.parse::<crate::model::name::Namespace>().is_err() {
                return refuse(format!("not a store name: {:?}", store.name));
            }
            if !names.insert(&store.name) {
                return refuse(format!("two stores have the name: {}", store.name));
            }
            if !places.insert((store.url.trim_end_matches('/'), store.options.get("endpoint"))) {
                return refuse(format!("two stores are in one place: {}", store.url));
            }
        }
        if let Some(url) = &self.public_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return refuse(format!("public_url must start with https:// or http://: {url}"));
        }
        let Limits { concurrency, transfers, store_seconds, .. } = self.limits;
        let least = concurrency.min(transfers);
        if least == 0 || store_seconds == 0 || self.database.connections == 0 {
            return refuse("limits and connections must be above zero".into());
        }
        if self.limits.burst > 0 && self.limits.requests_per_second == 0 {
            return refuse("limits.burst needs limits.requests_per_second".into());
        }
        let Hooks { attempts, first_retry_seconds, longest_retry_hours, timeout_seconds, keep_days, .. } =
            self.hooks;
        if [attempts, first_retry_seconds, longest_retry_hours, timeout_seconds, keep_days].contains(&0) {
            return refuse("numbers of [hooks] must be above zero".into());
        }
        if attempts > 100 || timeout_seconds > 300 || longest_retry_hours > 720 || keep_days > 3660 {
            let most = "at most 100 attempts, 300 seconds for one, 720 hours between two and 3660 days kept";
            return refuse(format!("[hooks] has a number that is too large: {most}"));
        }
        let patience = self.hooks.patience();
        let tries: TimeDelta = (1..attempts).filter_map(|failed| patience.wait(failed, 0.0, None)).sum();
        if TimeDelta::days(keep_days.into()) < tries {
            let days = (tries.num_seconds() + 86_399) / 86_400;
            return refuse(format!(
                "[hooks] keep_days must be at least {days}: a delivery is tried for so long"
            ));
        }
        if !(1..=36_600).contains(&self.reads.keep_days) {
            return refuse("[reads] keep_days must be 1 to 36600".into());
        }
        sources::check(self).or_else(refuse)?;
        issuers::check(self).or_else(refuse)
    }

    /// Where data lives when no directory is named: `$GRADUS_DATA`, else `$XDG_DATA_HOME/gradus`, else
    /// `~/.local/share/gradus`.
    pub fn default_data_dir() -> Result<PathBuf> {
        if let Some(directory) = set("GRADUS_DATA") {
            return Ok(directory.into());
        }
        home("XDG_DATA_HOME", ".local/share").map(|directory| directory.join("gradus"))
    }

    /// Where the CLI keeps its own files (the login): `$XDG_CONFIG_HOME/gradus` or `~/.config/gradus`.
    pub fn default_config_dir() -> Result<PathBuf> {
        home("XDG_CONFIG_HOME", ".config").map(|directory| directory.join("gradus"))
    }

    /// Where `gradus watch` remembers how far it has come.
    pub fn default_state_dir() -> Result<PathBuf> {
        home("XDG_STATE_HOME", ".local/state").map(|directory| directory.join("gradus"))
    }

    /// Where the CLI remembers the digests of files it pushed.
    pub fn default_cache_dir() -> Result<PathBuf> {
        home("XDG_CACHE_HOME", ".cache").map(|directory| directory.join("gradus"))
    }
}

/// The registry's secret from the environment.
pub fn secret_from_environment() -> Option<String> {
    set("GRADUS_SECRET")
}

/// Networks from the environment that hooks may send to, besides the configuration's: separated by commas.
pub fn hooks_allow_from_environment() -> Result<Vec<IpNet>> {
    let Some(text) = set("GRADUS_HOOKS_ALLOW") else { return Ok(Vec::new()) };
    let network = |one: &str| {
        one.trim().parse().map_err(|_| {
            Error::invalid("config_invalid", format!("GRADUS_HOOKS_ALLOW names no network: {one:?}"))
                .hint("networks with commas between them, for example 127.0.0.0/8,10.1.0.0/16")
        })
    };
    text.split(',').map(network).collect()
}

/// Where a job finds the proof of who it is. Of a token only whether it is there may be shown.
pub enum JobIdentity {
    /// The token itself, as GitLab and others put it into the environment.
    Token(String),
    /// GitHub Actions: where to ask for one, and the permission to do so.
    GitHub { url: String, permission: String },
}

/// What the environment says of who this job is.
pub fn job_identity() -> Option<JobIdentity> {
    if let Some(token) = set("GRADUS_ID_TOKEN") {
        return Some(JobIdentity::Token(token));
    }
    let (url, permission) = (set("ACTIONS_ID_TOKEN_REQUEST_URL")?, set("ACTIONS_ID_TOKEN_REQUEST_TOKEN")?);
    Some(JobIdentity::GitHub { url, permission })
}

/// The name of the user of this machine.
pub fn local_user() -> String {
    set("USER").or_else(|| set("LOGNAME")).unwrap_or_else(|| "user".to_owned())
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn home(variable: &str, below_home: &str) -> Result<PathBuf> {
    if let Some(directory) = set(variable) {
        return Ok(directory.into());
    }
    let home = set("HOME").ok_or_else(|| {
        Error::invalid("no_home", "neither HOME nor the data directory is set")
            .hint("give --data-dir or set GRADUS_DATA")
    })?;
    Ok(PathBuf::from(home).join(below_home))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_is_valid_and_shows_the_defaults() {
        let example = include_str!("../deploy/config.example.toml");
        assert_eq!(Config::parse(example).unwrap(), Config::default());
        // With its commented settings on, it is still valid.
        let all: String =
            example.lines().map(|line| line.strip_prefix("#~ ").unwrap_or(line).to_owned() + "\n").collect();
        let config = Config::parse(&all).unwrap();
        assert!(config.database.url.is_some() && !config.stores.is_empty() && config.tls.is_some());
        assert!(!config.issuers.is_empty() && !config.sources.is_empty());
    }

    #[test]
    fn unknown_and_contradicting_settings_are_refused() {
        for bad in [
            "lissten = '127.0.0.1:1'",
            "public_url = 'example.org'",
            "[database]\nconnections = 0",
            "[limits]\nburst = 5",
            "[limits]\nrequests_per_second = -1",
            "[hooks]\nkeep_days = 2",
            "[hooks]\nallow = ['localhost']",
            "[hooks]\nattempts = 0",
            "[hooks]\ntimeout_seconds = 301",
            "[reads]\nkeep_days = 0",
            "[reads]\nkeep_days = -1",
            "[reads]\ntrusted_proxies = ['proxy.example.org']",
            "[[sources]]\nname = 'logs'\nurl = 'file:///x'\nnamespaces = ['*']",
            "[[sources]]\nname = 'logs'\nurl = 's3://logs'\nnamespaces = ['no/name']",
            "[[sources]]\nname = 'logs'\nurl = 's3://logs'\nnamespaces = []",
            "[[sources]]\nname = 'logs'\nurl = 's3://logs'\nnamespaces = ['*']\n[[stores]]\nname = 'a'\nurl = 's3://logs/a'\nregion = 'r'",
            "[[stores]]\nname = '../x'\nurl = 'file:///x'\nregion = 'r'",
            "[[stores]]\nname = 'a'\nurl = 'file:///x'\nregion = 'r'\n[[stores]]\nname = 'a'\nurl = 'file:///y'\nregion = 'r'",
        ] {
            assert_eq!(Config::parse(bad).unwrap_err().code, "config_invalid", "{bad}");
        }
    }
}
