//! What the columns of a log are.

use super::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a column of a model's log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// What was asked.
    Input,
    /// What was found and put beside it.
    Context,
    /// What was answered.
    Output,
    /// Which tools were called.
    Tools,
    /// The model that answered, as its vendor names it.
    Model,
    /// The vendor's mark of the system that answered.
    Fingerprint,
    FinishReason,
    Latency,
    Cost,
    Tokens,
    /// Failed and repeated attempts.
    Retries,
    JudgeScore,
    /// The judge and its version.
    JudgeId,
    /// Whether the row is of the frozen set that each judge scores again.
    Anchor,
    /// The digest of the base model under an adapter.
    BaseDigest,
    /// Whether the answer beat the base model's.
    Win,
    /// An embedding.
    Vector,
}

struct Known {
    role: Role,
    /// What its values are; `None` for texts, and for what signals are made of.
    kind: Option<Kind>,
    /// Usual names, by their letters and digits in lower case, the most telling one first.
    names: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        role: Role::Input,
        kind: None,
        names: "prompt input question query usermessage userinput userprompt request instruction inputtext \
            prompttext inputs messages genaiinputmessages genaiprompt inputvalue",
    },
    Known {
        role: Role::Context,
        kind: None,
        names: "context retrievedcontext contexts documents chunks passages retrieved",
    },
    Known {
        role: Role::Output,
        kind: None,
        names: "completion output answer response generation prediction reply modeloutput outputtext \
            responsetext assistantmessage genaioutputmessages genaicompletion outputvalue \
            generatedtext completiontext outputs",
    },
    Known {
        role: Role::Tools,
        kind: None,
        names: "toolcalls toolscalled toolsused toolnames tool toolname functioncall",
    },
    Known {
        role: Role::Model,
        kind: Some(Kind::Categorical),
        names: "resolvedmodel responsemodel genairesponsemodel model modelid modelname llmmodelname \
            modelversion engine",
    },
    Known {
        role: Role::Fingerprint,
        kind: Some(Kind::Categorical),
        names: "systemfingerprint fingerprint genaiopenairesponsesystemfingerprint backendfingerprint",
    },
    Known {
        role: Role::FinishReason,
        kind: Some(Kind::Categorical),
        names: "finishreason stopreason finishreasons genairesponsefinishreasons completionreason",
    },
    Known {
        role: Role::Latency,
        kind: Some(Kind::Numeric),
        names: "latencyms latency durationms duration latencys latencyseconds responsetime responsetimems \
            elapsedms elapsed ttft ttftms timetofirsttoken timetofirsttokenms",
    },
    Known {
        role: Role::Cost,
        kind: Some(Kind::Numeric),
        names: "cost costusd totalcost price usdcost costeur costcents",
    },
    Known {
        role: Role::Tokens,
        kind: Some(Kind::Numeric),
        names: "tokensin tokensout inputtokens outputtokens prompttokens completiontokens totaltokens tokens \
            genaiusageinputtokens genaiusageoutputtokens reasoningtokens cachedtokens",
    },
    Known {
        role: Role::Retries,
        kind: Some(Kind::Numeric),
        names: "retries retrycount attempts toolerrors errors errorcount",
    },
    Known {
        role: Role::JudgeScore,
        kind: Some(Kind::Numeric),
        names: "judgescore score rating evalscore grade evaluationscore",
    },
    Known {
        role: Role::JudgeId,
        kind: Some(Kind::Categorical),
        names: "judgemodel judgeid judge judgeversion evaluator grader judgename",
    },
    Known { role: Role::Anchor, kind: Some(Kind::Boolean), names: "anchor isanchor judgeanchor anchorset" },
    Known {
        role: Role::BaseDigest,
        kind: Some(Kind::Categorical),
        names: "basedigest basemodeldigest basemodel basesha256 basemodelsha256",
    },
    Known { role: Role::Win, kind: None, names: "win beatsbase preferred winner preference wonagainstbase" },
    Known {
        role: Role::Vector,
        kind: None,
        names: "embedding vector embeddings inputembedding outputembedding promptembedding",
    },
];

impl Role {
    /// A role as people write it.
    pub fn by_name(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }

    /// As people write it.
    pub fn name(self) -> String {
        let name = serde_json::to_value(self).ok();
        name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// What the values of such a column are compared as; `None` where only signals made of it are, or nothing is.
    pub fn kind(self) -> Option<Kind> {
        known(self).and_then(|known| known.kind)
    }

    /// Whether a new category is an alert of its own: the vendor has changed something.
    pub fn is_pinned(self) -> bool {
        matches!(
            self,
            Self::Model | Self::Fingerprint | Self::FinishReason | Self::JudgeId | Self::BaseDigest
        )
    }

    /// Whether more of it says that the service does worse.
    pub fn is_health(self) -> bool {
        matches!(self, Self::Latency | Self::Retries)
    }

    /// What a column of this name usually is; only the name's letters and digits count, and no case.
    pub fn of(name: &str) -> Option<Self> {
        KNOWN.iter().find(|known| rank(known, name).is_some()).map(|known| known.role)
    }
}

fn known(role: Role) -> Option<&'static Known> {
    KNOWN.iter().find(|known| known.role == role)
}

fn rank(known: &Known, name: &str) -> Option<usize> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    known.names.split(' ').position(|usual| usual.eq_ignore_ascii_case(&plain))
}

/// The columns of a table by their roles, several of which may have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// In the order of the table.
    pub columns: Vec<(String, Role)>,
    /// Columns that stay what they are.
    pub unrecognised: Vec<String>,
}

impl Roles {
    /// `given` is what people say themselves: the role of a column, or `None` if it has none whatever it is called.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>, given: &[(&str, Option<Role>)]) -> Self {
        let mut roles = Self::default();
        for name in names {
            let said = given.iter().find(|(column, _)| *column == name).map(|(_, role)| *role);
            match said.unwrap_or_else(|| Role::of(name)) {
                Some(role) => roles.columns.push((name.to_owned(), role)),
                None => roles.unrecognised.push(name.to_owned()),
            }
        }
        roles
    }

    /// The column of a role; of several the one with the most telling name, or else the first.
    pub fn column(&self, role: Role) -> Option<&str> {
        let names = self.columns.iter().filter(|(_, its)| *its == role).map(|(name, _)| name.as_str());
        names.min_by_key(|name| known(role).and_then(|known| rank(known, name)).unwrap_or(0))
    }
}
