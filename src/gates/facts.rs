//! What gates look at: a snapshot of everything that may matter to one promotion.

use crate::{
    kinds::Inspection,
    model::{
        access::{Person, PrincipalKind, Role},
        artifact::Dataset,
        card::Card,
        digest::{Digest, shorten},
        evidence::{Evidence, EvidenceKind, Examples, Statement},
        kind::Tier,
        name::PrincipalName,
        stage::Stage,
        version::Version,
    },
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::collections::{BTreeMap, BTreeSet};

/// All of it, at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    pub now: DateTime<Utc>,
    /// For messages: `namespace/name`.
    pub workload: String,
    pub tier: Tier,
    /// The stage to be entered, and the one before it.
    pub stage: Stage,
    pub before: Option<Stage>,
    /// The digest of the rules that are judged by.
    pub rules: Digest,
    pub candidate: Subject,
    /// What is in the stage now.
    pub current: Option<Subject>,
    /// Whether the number of the newer of the two claims what the contract changed; `None` with nothing to compare.
    pub contract: Option<Honesty>,
    /// Everyone who pushed the candidate's content in this namespace.
    pub authors: BTreeSet<PrincipalName>,
    /// Whoever made evidence, as they stand now.
    pub people: BTreeMap<PrincipalName, Person>,
    /// When the candidate's content was in which stage.
    pub stays: Vec<Stay>,
    /// The stages the candidate's content was rolled back from.
    pub rolled_back_from: BTreeSet<Stage>,
    pub freezes: Vec<Freeze>,
    /// The region of the store the namespace lives in.
    pub region: String,
    /// A version of the candidate's content that was yanked.
    pub yanked: Option<Version>,
    /// Monitors that stop the candidate's content, as it has drifted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
    /// What is said of the workload. What was judged before there were cards has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<Card>,
    /// What in quarantine the candidate is, or is made from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quarantines: Vec<Quarantine>,
}

/// Something is bad, and with it everything that is made from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quarantine {
    /// What is bad, as far as whoever may read the version may know.
    pub what: String,
    pub reason: String,
    pub by: PrincipalName,
    pub at: DateTime<Utc>,
}

impl std::fmt::Display for Quarantine {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {} ({})", self.what, self.reason, self.by)
    }
}

/// A monitor that stops content while its data drift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    pub monitor: String,
    /// What it found.
    pub reason: String,
}

/// A version, with what the registry found in it and what is said about it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subject {
    pub version: Version,
    pub digest: Digest,
    pub base: Option<String>,
    pub datasets: Vec<Dataset>,
    pub inspection: Inspection,
    /// What its prompt's lints say at the level of an error.
    pub lint_errors: Vec<String>,
    /// Oldest first.
    pub evidence: Vec<Evidence>,
    /// By the digest of the evaluation; only where a comparison may need them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub examples: BTreeMap<Digest, Examples>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Honesty {
    pub is_honest: bool,
    /// The two versions, and what changed.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stay {
    pub stage: Stage,
    pub from: DateTime<Utc>,
    /// `None`: it is there now.
    pub until: Option<DateTime<Utc>>,
}

/// A time in which nothing enters the stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    pub from: DateTime<Utc>,
    /// `None`: until somebody lifts it.
    pub until: Option<DateTime<Utc>>,
    pub reason: String,
}

/// Whose evidence counts. A list of these is met by any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A service, such as a CI system.
    Service,
    /// Anyone who did not push the content.
    NotAuthor,
    /// Whoever has this role in the namespace now.
    #[serde(untagged)]
    Role(Role),
}

impl Source {
    /// Whether what this person says counts, who pushed the content or did not. An empty list admits everyone.
    pub fn any_is(from: &[Self], person: Option<&Person>, is_author: bool) -> bool {
        from.is_empty()
            || from.iter().any(|source| match source {
                Self::Service => person.is_some_and(|person| person.kind == PrincipalKind::Service),
                Self::NotAuthor => !is_author,
                Self::Role(role) => person.is_some_and(|person| person.roles.contains(role)),
            })
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "service" => Ok(Self::Service),
            "not_author" => Ok(Self::NotAuthor),
            role => role.parse().map(Self::Role).map_err(|_| {
                let roles: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
                let known = roles.join(", ");
                D::Error::custom(format!(
                    "nobody's: {}; service, not_author or a role: {known}",
                    shorten(&text)
                ))
            }),
        }
    }
}

impl Facts {
    /// Evidence of a kind about the candidate that counts, oldest first. An empty `from` admits everyone's.
    pub fn evidence<'a>(
        &'a self,
        kind: EvidenceKind,
        from: &'a [Source],
    ) -> impl DoubleEndedIterator<Item = &'a Evidence> {
        self.of(&self.candidate, kind, from)
    }

    /// The same about any subject. For what is measured on the version now in the stage the same people count, so
    /// that an author cannot lower the bar.
    pub fn of<'a>(
        &'a self,
        subject: &'a Subject,
        kind: EvidenceKind,
        from: &'a [Source],
    ) -> impl DoubleEndedIterator<Item = &'a Evidence> {
        // Evidence about another digest never counts, however it got here.
        subject.evidence.iter().filter(move |evidence| {
            evidence.statement.kind() == kind
                && evidence.subject == subject.digest
                && self.counts(&evidence.by, from)
        })
    }

    /// Whether what somebody says counts.
    pub(super) fn counts(&self, by: &PrincipalName, from: &[Source]) -> bool {
        Source::any_is(from, self.people.get(by), self.authors.contains(by))
    }

    /// A digest of all of it but the time: equal while nothing has changed. Examples are named by their evidence.
    pub fn fingerprint(&self) -> Digest {
        let mut timeless = self.clone();
        timeless.now = DateTime::UNIX_EPOCH;
        timeless.drop_examples();
        // Freezes that ended between two looks are no change of their own: the judgement says until when it holds.
        timeless.freezes.retain(|freeze| freeze.until.is_none_or(|until| until > self.now));
        Digest::sha256(&serde_json::to_vec(&timeless).unwrap_or_default())
    }

    pub fn has_examples(&self) -> bool {
        self.subjects().any(|subject| !subject.examples.is_empty())
    }

    /// Forgets the results example by example, which are large and kept beside the evidence.
    pub fn drop_examples(&mut self) {
        self.candidate.examples.clear();
        if let Some(current) = &mut self.current {
            current.examples.clear();
        }
    }

    fn subjects(&self) -> impl Iterator<Item = &Subject> {
        std::iter::once(&self.candidate).chain(&self.current)
    }

    /// Takes other rules for granted: approvals for the rules of these facts count as approvals for the other ones.
    pub fn assume_rules(&mut self, rules: &Digest) {
        for evidence in &mut self.candidate.evidence {
            if let Statement::Approval(approval) = &mut evidence.statement
                && approval.rules == self.rules
            {
                approval.rules = rules.clone();
            }
        }
        self.rules = rules.clone();
    }

    /// The version as a reference, for messages.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.workload, self.candidate.version)
    }
}
