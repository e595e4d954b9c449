//! Opening the configured stores: one constructor for each URL scheme.

use super::{Backend, Store, local::Local, remote::Remote};
use crate::{
    config,
    error::{Error, Result},
};
use object_store::{
    ClientOptions, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, path::Path as ObjectPath,
};
use std::{path::Path, sync::Arc, time::Duration};

/// The store used where the configuration names none.
pub const LOCAL: &str = "local";

pub struct Stores(Vec<Arc<Store>>);

impl Stores {
    /// Opens what is configured, or local files below the data directory. `silence`: how long a bucket may take to
    /// answer.
    pub fn open(configured: &[config::Store], silence: Duration, data_dir: &Path) -> Result<Self> {
        if configured.is_empty() {
            let backend = Backend::Local(Local::open(data_dir)?);
            let store = Store { name: LOCAL.into(), region: LOCAL.into(), redirect_above: None, backend };
            return Ok(Self(vec![Arc::new(store)]));
        }
        configured.iter().map(|store| open(store, silence).map(Arc::new)).collect::<Result<_>>().map(Self)
    }

    pub fn get(&self, name: &str) -> Result<&Arc<Store>> {
        self.0.iter().find(|store| store.name == name).ok_or_else(|| {
            Error::unavailable("store_unknown", format!("no store of this name is configured: {name}"))
                .hint("a namespace stays in its store; put the store back into the configuration")
        })
    }

    pub fn default_store(&self) -> &Arc<Store> {
        &self.0[0]
    }

    pub fn all(&self) -> &[Arc<Store>] {
        &self.0
    }
}

/// Without a limit on a whole transfer.
pub(super) fn client_options() -> ClientOptions {
    ClientOptions::new()
        .with_timeout_disabled()
        .with_connect_timeout(Duration::from_secs(5))
        .with_allow_http(true)
}

fn open(store: &config::Store, silence: Duration) -> Result<Store> {
    let refuse = |why: String| {
        Error::invalid("config_invalid", format!("the store {} cannot be opened: {why}", store.name))
    };
    let (scheme, rest) =
        store.url.split_once("://").ok_or_else(|| refuse(format!("not a URL: {}", store.url)))?;
    let backend = match scheme {
        "file" => Backend::Local(Local::open(Path::new(rest))?),
        "s3" | "gs" | "az" => {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            let prefix =
                ObjectPath::parse(prefix.trim_matches('/')).map_err(|error| refuse(error.to_string()))?;
            let invalid = |error: object_store::Error| refuse(error.to_string());
            /// Applies the options of the configuration by their names; an unknown name is refused.
            macro_rules! build {
                ($builder:expr) => {{
                    let retries =
                        RetryConfig { max_retries: 5, retry_timeout: silence, ..RetryConfig::default() };
                    let mut builder = $builder.with_retry(retries);
                    for (name, value) in &store.options {
                        let key = name.parse().map_err(|_| refuse(format!("no such option: {name}")))?;
                        builder = builder.with_config(key, value);
                    }
                    // A connection that has died is noticed in time to try another one. While bytes are sent nothing is
                    // read, so for that there is no such limit.
                    let reading = client_options().with_read_timeout(silence / 2);
                    let reader = builder.clone().with_client_options(reading).build().map_err(invalid)?;
                    let sender = builder.with_client_options(client_options()).build().map_err(invalid)?;
                    Remote::new(reader, sender, prefix, silence)
                }};
            }
            Backend::Remote(match scheme {
                "s3" => {
                    build!(AmazonS3Builder::from_env().with_bucket_name(bucket).with_region(&store.region))
                }
                "gs" => build!(GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket)),
                _ => build!(MicrosoftAzureBuilder::from_env().with_container_name(bucket)),
            })
        }
        other => return Err(refuse(format!("unknown scheme: {other}")).hint("use file, s3, gs or az")),
    };
    Ok(Store {
        name: store.name.clone(),
        region: store.region.clone(),
        redirect_above: store.redirect_above,
        backend,
    })
}
