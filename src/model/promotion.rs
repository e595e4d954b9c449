//! Words for promotions and for the moves of a stage.

use crate::error::Error;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How far an attempt to move a stage has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A gate waits. It goes on by itself when the last gate passes.
    Pending,
    Promoted,
    Refused,
    Withdrawn,
    Expired,
}

/// What moved a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MoveKind {
    Promoted,
    /// Promoted against its gates, by an admin.
    Overridden,
    RolledBack,
}

/// Names for storing and showing a set of words.
macro_rules! words {
    ($type:ident, $($variant:ident => $name:literal),* $(,)?) => {
        impl $type {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),*
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.name())
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Self::ALL.iter().copied().find(|word| word.name() == text).ok_or_else(|| {
                    Error::invalid("word_invalid", format!("not one of the words: {}", crate::model::digest::shorten(text)))
                })
            }
        }
    };
}

words!(State, Pending => "pending", Promoted => "promoted", Refused => "refused", Withdrawn => "withdrawn", Expired => "expired");
words!(MoveKind, Promoted => "promoted", Overridden => "overridden", RolledBack => "rolled_back");
