//! Hooks: subscriptions of deployment systems to events. Which events one listens to, and how it stands.

use super::{
    digest::shorten,
    event::{Change, STAGED},
    scope::Scope,
    stage::Stage,
};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fmt, str::FromStr};

/// Most patterns of one filter.
const PATTERNS_MAX: usize = 50;

/// Which events: `promoted:production,rolled_back:*`. A pattern is a kind of event, or `*`, and where the kind is about
/// a stage, the stage after a colon; without one, or with `*`, every stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(Vec<Pattern>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    /// `None`: any.
    kind: Option<String>,
    stage: Option<Stage>,
}

impl Filter {
    pub fn matches(&self, change: &Change) -> bool {
        self.0.iter().any(|pattern| {
            pattern.kind.as_deref().is_none_or(|kind| kind == change.kind())
                && pattern.stage.as_ref().is_none_or(|stage| change.stage() == Some(stage))
        })
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let patterns: Vec<&str> = text.split(',').map(str::trim).collect();
        if patterns.len() > PATTERNS_MAX {
            return Err(invalid(format!("more than {PATTERNS_MAX} kinds of events are listed")));
        }
        patterns.into_iter().map(pattern).collect::<Result<_>>().map(Self)
    }
}

fn pattern(text: &str) -> Result<Pattern> {
    let (kind, stage) = text.split_once(':').unwrap_or((text, "*"));
    let stage: Option<Stage> = match stage {
        "*" => None,
        name => Some(name.parse()?),
    };
    if kind == "*" {
        return Ok(Pattern { kind: None, stage });
    }
    if !Change::kinds().any(|known| known == kind) {
        return Err(invalid(format!("not a kind of event: {:?}", shorten(kind))));
    }
    if stage.is_some() && !STAGED.contains(&kind) {
        return Err(invalid(format!("events of this kind are about no stage: {kind}")));
    }
    Ok(Pattern { kind: Some(kind.to_owned()), stage })
}

fn invalid(why: String) -> Error {
    Error::invalid("hook_filter_invalid", why).hint(
        "for example promoted:production,rolled_back:* — gradus log --kind x lists all kinds; * is every event",
    )
}

impl fmt::Display for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Pattern { kind, stage }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}{}", kind.as_deref().unwrap_or("*"))?;
            if let Some(stage) = stage {
                write!(out, ":{stage}")?;
            }
        }
        Ok(())
    }
}

/// What the log must know of a hook when it appends.
#[derive(Clone, Debug)]
pub struct Subscription {
    pub id: String,
    pub scope: Scope,
    pub filter: Filter,
}

/// Where events of tests queue, so that they wait for nothing else. No workload has this name.
pub const TEST_LANE: &str = "test";

impl Subscription {
    pub fn wants(&self, change: &Change) -> bool {
        if let Change::HookTested { hook, .. } = change {
            return *hook == self.id;
        }
        let is_in_scope = match &self.scope {
            Scope::Everywhere => true,
            Scope::Namespace(namespace) => change.namespace().as_deref() == Some(namespace.as_str()),
            Scope::Workload(workload) => change.workload() == Some(workload),
        };
        is_in_scope && self.filter.matches(change)
    }
}

/// All that the log must know of hooks, by whose events they are about: who appends looks at no other namespace's.
#[derive(Default)]
pub struct Subscriptions {
    everywhere: Vec<Subscription>,
    namespaces: HashMap<String, Vec<Subscription>>,
}

impl Subscriptions {
    pub fn new(all: impl IntoIterator<Item = Subscription>) -> Self {
        let mut sorted = Self::default();
        for one in all {
            let namespace = match &one.scope {
                Scope::Everywhere => None,
                Scope::Namespace(namespace) => Some(namespace.to_string()),
                Scope::Workload(workload) => Some(workload.namespace().to_string()),
            };
            match namespace {
                None => sorted.everywhere.push(one),
                Some(namespace) => sorted.namespaces.entry(namespace).or_default().push(one),
            }
        }
        sorted
    }

    /// Those that listen to a change.
    pub fn wanting(&self, change: &Change) -> impl Iterator<Item = &Subscription> {
        let near = change.namespace().and_then(|namespace| self.namespaces.get(&namespace));
        self.everywhere.iter().chain(near.into_iter().flatten()).filter(|one| one.wants(change))
    }
}

/// Deliveries of one hook about one workload are made in order; those of different lanes do not wait for each other.
pub fn lane(change: &Change) -> &str {
    match change {
        Change::HookTested { .. } => TEST_LANE,
        _ => change.workload().map_or("", |workload| workload.as_str()),
    }
}

macro_rules! words {
    ($(#[$meta:meta])* $name:ident ($code:literal, $what:literal) { $($(#[$of:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$of])* $variant),* }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == text).ok_or_else(|| {
                    let names: Vec<&str> = Self::ALL.iter().map(|one| one.name()).collect();
                    Error::invalid($code, format!("not {}: {}", $what, shorten(text)))
                        .hint(format!("one of {}", names.join(", ")))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.name())
            }
        }
    };
}

words! {
    /// What is sent.
    Template("hook_template_invalid", "a template") {
        /// CloudEvents 1.0 in JSON, signed by Standard Webhooks.
        Cloudevents = "cloudevents",
        /// A `repository_dispatch` of GitHub.
        Github = "github",
        /// A pipeline trigger of GitLab.
        Gitlab = "gitlab",
        /// A message for an incoming webhook of Slack.
        Slack = "slack",
    }
}

words! {
    /// How a hook stands.
    HookState("hook_state_invalid", "a state of hooks") {
        Active = "active",
        /// Events queue and are not sent.
        Paused = "paused",
        /// The receiver said that it is gone for good. Nothing queues.
        Disabled = "disabled",
    }
}

words! {
    /// What has become of a delivery.
    DeliveryState("delivery_state_invalid", "a state of deliveries") {
        /// To be sent, or to be tried again.
        Pending = "pending",
        Delivered = "delivered",
        /// Given up after the last attempt; it can be replayed.
        Dead = "dead",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promoted(stage: &str) -> Change {
        Change::Promoted {
            workload: "acme/x".parse().unwrap(),
            version: "1.0.0".parse().unwrap(),
            digest: crate::model::digest::Digest::sha256(b""),
            stage: stage.parse().unwrap(),
            number: 1,
            from: None,
            judgement: crate::model::digest::Digest::sha256(b""),
            overridden: None,
        }
    }

    #[test]
    fn filters_name_kinds_and_stages() {
        let filter: Filter = "promoted:production, rolled_back:*,pushed".parse().unwrap();
        assert_eq!(filter.to_string(), "promoted:production,rolled_back,pushed");
        assert!(filter.matches(&promoted("production")) && !filter.matches(&promoted("staging")));
        assert!("*".parse::<Filter>().unwrap().matches(&promoted("dev")));
        let staged: Filter = "*:staging".parse().unwrap();
        assert!(staged.matches(&promoted("staging")));
        assert!(!staged.matches(&Change::EntryLost { epoch: 1 }), "about no stage");
        for bad in ["", "promotd", "pushed:production", "promoted:", "promoted:1.2", "promoted,,pushed"] {
            assert!(bad.parse::<Filter>().is_err(), "{bad:?}");
        }
        assert!(vec!["*"; 51].join(",").parse::<Filter>().is_err());
    }

    fn hook(scope: &str) -> Subscription {
        Subscription { id: "h".into(), scope: scope.parse().unwrap(), filter: "*".parse().unwrap() }
    }

    #[test]
    fn scopes_bound_what_is_seen() {
        for (scope, expected) in
            [("*", true), ("acme", true), ("acme/x", true), ("acme/y", false), ("rival", false)]
        {
            assert_eq!(hook(scope).wants(&promoted("dev")), expected, "{scope}");
        }
        let everywhere = Change::GarbageCollected { objects: 1, bytes: 1 };
        assert!(hook("*").wants(&everywhere) && !hook("acme").wants(&everywhere));
        let test = |id: &str| Change::HookTested { hook: id.into(), scope: "*".into() };
        assert!(hook("*").wants(&test("h")) && !hook("*").wants(&test("other")));
    }

    #[test]
    fn sorted_by_namespace_none_is_missed() {
        let scopes = ["*", "acme", "acme/x", "acme/y", "rival", "rival/x"];
        let all: Vec<Subscription> =
            scopes.iter().map(|scope| Subscription { id: (*scope).into(), ..hook(scope) }).collect();
        let sorted = Subscriptions::new(all.clone());
        let test = |scope: &str| Change::HookTested { hook: scope.into(), scope: scope.into() };
        let mut changes = vec![promoted("dev"), Change::EntryLost { epoch: 1 }];
        changes.extend(scopes.map(test));
        for change in &changes {
            let ids = |found: Vec<&Subscription>| found.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
            let expected = ids(all.iter().filter(|one| one.wants(change)).collect());
            assert_eq!(ids(sorted.wanting(change).collect()), expected, "{change:?}");
            assert!(!expected.is_empty());
        }
    }
}
