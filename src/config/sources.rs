//! Data that drift monitors may read: whose, and where.

use super::Config;
use crate::model::name::Namespace;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct DataSource {
    pub name: String,
    /// `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`: what lies below it is read.
    pub url: String,
    /// Whose monitors may read it: namespaces, or `*` for all.
    pub namespaces: BTreeSet<String>,
    /// As of a store.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

impl DataSource {
    /// The path below the prefix that a URL names, if it names one.
    pub fn within<'a>(&self, url: &'a str) -> Option<&'a str> {
        let rest = url.strip_prefix(self.url.trim_end_matches('/'))?;
        rest.strip_prefix('/')
    }

    pub fn is_of(&self, namespace: &Namespace) -> bool {
        self.namespaces.contains("*") || self.namespaces.contains(namespace.as_str())
    }
}

pub(super) fn check(config: &Config) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for source in &config.sources {
        let name = &source.name;
        if name.parse::<Namespace>().is_err() || !names.insert(name) {
            return Err(format!("not a name for a source, or given twice: {name:?}"));
        }
        let (scheme, place) = source.url.split_once("://").unwrap_or_default();
        let bucket = place.split('/').next().unwrap_or_default();
        if !["s3", "gs", "az"].contains(&scheme)
            || bucket.is_empty()
            || place.contains(['*', '?', '{'])
            || place.trim_end_matches('/').contains("//")
        {
            return Err(format!(
                "source {name} is no place in a bucket, as s3://BUCKET/PREFIX: {}",
                source.url
            ));
        }
        if source.namespaces.is_empty() {
            return Err(format!("source {name} is granted to no namespace; '*' grants it to all"));
        }
        let is_grant = |namespace: &String| namespace == "*" || namespace.parse::<Namespace>().is_ok();
        if let Some(wrong) = source.namespaces.iter().find(|namespace| !is_grant(namespace)) {
            return Err(format!("source {name} is granted to what is no namespace: {wrong:?}"));
        }
        // What the registry keeps is read by its own rules only, whatever a bucket is called elsewhere.
        if let Some(store) = config.stores.iter().find(|store| overlap(&store.url, &source.url)) {
            return Err(format!("source {name} overlaps with store {}: {}", store.name, source.url));
        }
    }
    Ok(())
}

fn overlap(a: &str, b: &str) -> bool {
    let parts = |url: &str| url.trim_end_matches('/').split('/').map(str::to_owned).collect::<Vec<_>>();
    parts(a).iter().zip(&parts(b)).all(|(a, b)| a == b)
}
