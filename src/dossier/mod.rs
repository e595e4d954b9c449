//! Dossiers: what the registry knows of one version, as documents for auditors and for other tools. Pure: facts in, a
//! text out, the same for the same facts. Nothing is said that no fact says; what is missing is named as missing.
//!
//! Adding a format is one file, a variant of [`Format`] and its lines below.

mod annex_iv;
mod cyclonedx;
mod facts;
mod model_card;
mod page;
mod slsa;
#[cfg(test)]
mod tests;

pub use facts::{Ancestor, Asked, Changes, Earlier, Ended, Facts, Registry, Step, Waiting};

use crate::{
    error::{Error, Result},
    model::digest::shorten,
};
use std::{fmt, str::FromStr};

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The technical documentation of the EU AI Act, point by point.
    AnnexIv,
    /// A README as model hubs show it.
    ModelCard,
    /// A bill of materials.
    CycloneDx,
    /// How the version came to be, as an in-toto statement.
    Slsa,
}

impl Format {
    pub const ALL: [Self; 4] = [Self::AnnexIv, Self::ModelCard, Self::CycloneDx, Self::Slsa];

    pub fn name(self) -> &'static str {
        match self {
            Self::AnnexIv => "annex-iv",
            Self::ModelCard => "model-card",
            Self::CycloneDx => "cyclonedx",
            Self::Slsa => "slsa",
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::AnnexIv | Self::ModelCard => "text/markdown; charset=utf-8",
            Self::CycloneDx => "application/vnd.cyclonedx+json; version=1.6",
            Self::Slsa => "application/vnd.in-toto+json",
        }
    }

    pub fn is_json(self) -> bool {
        matches!(self, Self::CycloneDx | Self::Slsa)
    }

    /// The dossier; it ends with a line's end.
    pub fn write(self, facts: &Facts) -> String {
        match self {
            Self::AnnexIv => annex_iv::write(facts),
            Self::ModelCard => model_card::write(facts),
            Self::CycloneDx => format!("{}\n", page::json_text(&cyclonedx::document(facts))),
            Self::Slsa => format!("{}\n", page::json_text(&slsa::statement(facts))),
        }
    }

    /// For messages.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| {
            Error::invalid("dossier_format", format!("not a format of a dossier: {}", shorten(text)))
                .hint(format!("formats are {}", Self::names()))
        })
    }
}
