//! Which signals of texts to compute.

use crate::check::{self, Signals};
use crate::drift::signals::{Role, Tier};
use crate::error::{Error, Result};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};

/// Looks at the texts of a model's log.
#[derive(Args)]
#[command(next_help_heading = "Logs of language models")]
pub struct SignalsArgs {
    /// The data are a model's log: compute signals of the texts in it, as fits what is watched
    #[arg(long, value_enum, value_name = "TIER")]
    preset: Option<Preset>,
    /// What a column of the log holds, where its name does not tell: NAME=input, context, output, tools, model, …, or none
    #[arg(long = "role", value_name = "NAME=ROLE", value_parser = role, requires = "preset")]
    roles: Vec<(String, Option<Role>)>,
    /// A JSON Schema that outputs are to satisfy
    #[arg(long, value_name = "FILE", requires = "preset")]
    output_schema: Option<PathBuf>,
    /// The digest of the base model that the adapter was made for
    #[arg(long, value_name = "DIGEST", requires = "preset")]
    base: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Preset {
    /// Texts, calls of tools, and what the log says of each answer
    Prompt,
    /// What prompt has, the base model, and wins against it
    Adapter,
    /// What prompt has, and embeddings
    Weights,
}

impl From<Preset> for Tier {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Prompt => Self::Prompt,
            Preset::Adapter => Self::Adapter,
            Preset::Weights => Self::Weights,
        }
    }
}

fn role(text: &str) -> Result<(String, Option<Role>), String> {
    let (name, role) = text.rsplit_once('=').ok_or("write NAME=ROLE, for example body=output")?;
    let role = check::role(role)
        .map_err(|error| format!("{} ({})", error.message, error.hint.unwrap_or_default()))?;
    Ok((name.to_owned(), role))
}

impl SignalsArgs {
    /// What was asked for. Errors: the schema of outputs cannot be read.
    pub fn signals(self) -> Result<Option<Signals>> {
        let Self { preset, roles, output_schema, base } = self;
        let output_schema = output_schema.as_deref().map(schema).transpose()?;
        let roles = roles.into_iter().collect();
        Ok(preset.map(|preset| Signals { preset: preset.into(), roles, output_schema, base }))
    }
}

fn schema(path: &Path) -> Result<serde_json::Value> {
    let unreadable = |why: String| {
        Error::invalid("drift_output_schema", format!("{} is no JSON Schema: {why}", path.display()))
            .hint("a file of JSON")
    };
    let text = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))
}
