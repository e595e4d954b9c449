//! What people ask for.

use super::{Invalid, Library, Role, Schema, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Which signals to compute of which columns of a model's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signals {
    /// What is watched: a prompt, an adapter or weights.
    pub preset: Tier,
    /// What columns hold, where their names do not tell; null of a column that has none of the roles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Option<Role>>,
    /// A JSON Schema that outputs are to satisfy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// The digest of the base model that an adapter was made for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
}

impl Signals {
    pub fn of(preset: Tier) -> Self {
        Self { preset, roles: BTreeMap::new(), output_schema: None, base: None }
    }

    /// The signals that are built in, and those of what is given. Errors: the schema of outputs is none.
    pub fn library(&self) -> Result<Library, Invalid> {
        let mut library = Library::built_in()?;
        if let Some(schema) = &self.output_schema {
            library = library.with_schema(Schema::new(schema)?);
        }
        if let Some(digest) = &self.base {
            library = library.with_base(digest);
        }
        Ok(library)
    }
}
