//! What is watched for each tier of artifact.

use super::{Kind, Library, Role, Roles, Signal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether a prompt, an adapter or weights are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Preset")]
pub enum Tier {
    Prompt,
    Adapter,
    Weights,
}

/// A column to compute from another one.
#[derive(Clone, Debug)]
pub struct Derived {
    /// `SOURCE:SIGNAL`, or `SOURCE:$.path` for a field.
    pub name: String,
    pub source: String,
    pub signal: Signal,
}

/// A column to compare as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    pub name: String,
    pub role: Role,
    pub kind: Kind,
    /// Whether a new category is an alert of its own.
    pub is_pinned: bool,
}

/// What to do with the columns of a table.
#[derive(Clone, Debug, Default)]
pub struct Preset {
    /// Those of one source follow each other, so that a text is read once.
    pub derived: Vec<Derived>,
    pub plain: Vec<Plain>,
    /// Where embeddings are, if the tier uses them.
    pub vectors: Vec<String>,
    /// Columns of no role that the tier uses: ordinary columns.
    pub unrecognised: Vec<String>,
    /// What the tier would use and the table does not have.
    pub absent: Vec<Role>,
}

const PROMPT: [Role; 14] = [
    Role::Input,
    Role::Context,
    Role::Output,
    Role::Tools,
    Role::Model,
    Role::Fingerprint,
    Role::FinishReason,
    Role::Latency,
    Role::Cost,
    Role::Tokens,
    Role::Retries,
    Role::JudgeScore,
    Role::JudgeId,
    Role::Anchor,
];

impl Tier {
    /// As people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Adapter => "adapter",
            Self::Weights => "weights",
        }
    }

    /// The roles whose columns are watched: those of a prompt; of an adapter also what ties it to its base, and of weights
    /// also embeddings.
    pub fn roles(self) -> Vec<Role> {
        let more: &[Role] = match self {
            Self::Prompt => &[],
            Self::Adapter => &[Role::BaseDigest, Role::Win],
            Self::Weights => &[Role::Vector],
        };
        [&PROMPT, more].concat()
    }
}

impl Preset {
    pub fn new(tier: Tier, roles: &Roles, library: &Library) -> Self {
        let used = tier.roles();
        let mut preset = Self { unrecognised: roles.unrecognised.clone(), ..Self::default() };
        for (name, role) in &roles.columns {
            if !used.contains(role) {
                preset.unrecognised.push(name.clone());
                continue;
            }
            preset.derived.extend(library.signals(*role).into_iter().map(|signal| Derived {
                name: format!("{name}:{}", signal.name()),
                source: name.clone(),
                signal,
            }));
            let plain = |kind| Plain { name: name.clone(), role: *role, kind, is_pinned: role.is_pinned() };
            preset.plain.extend(role.kind().map(plain));
            preset.vectors.extend((*role == Role::Vector).then(|| name.clone()));
        }
        let is_there = |role: &Role| roles.columns.iter().any(|(_, its)| its == role);
        preset.absent = used.into_iter().filter(|role| !is_there(role)).collect();
        preset
    }

    /// The data that the derived columns rest on, for the report to name.
    pub fn versions(&self) -> Vec<&str> {
        let mut versions: Vec<&str> =
            self.derived.iter().filter_map(|derived| derived.signal.version()).collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }
}
