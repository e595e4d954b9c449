//! The tiers of the ladder and the kinds of artifact that stand on them. The order of `Tier` is the
//! order of governance: a higher tier must show more before it moves.

use crate::error::{Error, Result};
use crate::model::digest::shorten;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    Prompt,
    Adapter,
    Weights,
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::Prompt, Self::Adapter, Self::Weights];

    pub fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Adapter => "adapter",
            Self::Weights => "weights",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A prompt template file.
    Prompt,
    /// An adapter directory as the PEFT library writes it.
    Peft,
    /// A fine-tune that the vendor keeps: a descriptor, no weights.
    VendorFinetune,
    Safetensors,
    Gguf,
    Onnx,
    /// Anything else. Stands on the highest tier: what the registry cannot read gets no lighter rules.
    Files,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Prompt,
        Self::Peft,
        Self::VendorFinetune,
        Self::Safetensors,
        Self::Gguf,
        Self::Onnx,
        Self::Files,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Peft => "peft",
            Self::VendorFinetune => "vendor-finetune",
            Self::Safetensors => "safetensors",
            Self::Gguf => "gguf",
            Self::Onnx => "onnx",
            Self::Files => "files",
        }
    }

    pub fn tier(self) -> Tier {
        match self {
            Self::Prompt => Tier::Prompt,
            Self::Peft | Self::VendorFinetune => Tier::Adapter,
            Self::Safetensors | Self::Gguf | Self::Onnx | Self::Files => Tier::Weights,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

impl FromStr for Tier {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == text).ok_or_else(|| {
            Error::invalid("tier_invalid", format!("not a tier: {}", shorten(text)))
                .hint(format!("the tiers are {}", Self::ALL.map(Self::name).join(", ")))
        })
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            Error::invalid("kind_invalid", format!("not a kind of artifact: {}", shorten(text)))
                .hint(format!("the kinds are {}", Self::ALL.map(Self::name).join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_are_what_serde_writes() {
        for tier in Tier::ALL {
            assert_eq!(tier.name().parse::<Tier>().unwrap(), tier);
            assert_eq!(serde_json::to_value(tier).unwrap(), tier.name());
        }
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse::<Kind>().unwrap(), kind);
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert_eq!("Weights".parse::<Tier>().unwrap_err().code, "tier_invalid");
        assert_eq!("pickle".parse::<Kind>().unwrap_err().code, "kind_invalid");
    }

    #[test]
    fn tiers_are_ordered_by_governance() {
        assert!(Tier::Prompt < Tier::Adapter && Tier::Adapter < Tier::Weights);
        assert_eq!(Kind::Files.tier(), Tier::Weights);
    }
}
