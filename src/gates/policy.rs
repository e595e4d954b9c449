//! Policies: the stages of a workload, and what each tier must show to enter each. YAML, read strictly. A nearer
//! level's rule for a tier and stage replaces a farther one's whole; freezes add up.

use super::{Definition, Gate, Source, find};
use crate::{
    error::{Error, Result},
    model::{access::Role, deployment::BAKE_MAX, kind::Tier, stage::Stage, yaml},
};
use chrono::{DateTime, Utc};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error as _, MapAccess, Visitor},
    ser::SerializeMap as _,
};
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// Most bytes of a policy.
pub const MAX_BYTES: usize = 256 << 10;
const STAGES_MAX: usize = 10;
const GATES_MAX: usize = 50;
const FREEZES_MAX: usize = 200;

/// The policies that come with the registry: name and text. The first holds where nothing else is said.
pub const BUILT_IN: [(&str, &str); 2] = [
    ("default", include_str!("../../deploy/policies/default.yaml")),
    ("solo", include_str!("../../deploy/policies/solo.yaml")),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Format {
    #[serde(rename = "policy/v1")]
    V1,
}

/// One level's policy, as in the file.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    gradus: Format,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The promotion line, from first to last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stages: Option<Vec<Stage>>,
    /// Ranges and `latest` match only versions that have entered this stage. Without it: the last stage, as soon as
    /// anything has entered it, and any version before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranges_from: Option<Stage>,
    /// Days after which a promotion that still waits is given up; 14 if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 366))]
    pub pending_days: Option<u32>,
    /// Who may roll back; releasers if nothing is said. Admins always may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Vec<Role>>,
    /// What becomes of what is in quarantine, beside that it is not promoted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<QuarantineRule>,
    /// Times in which nothing enters the stages named. They add to those of the other levels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<FreezeWindow>,
    /// Tier → stage → what a version of the tier must show to enter it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<Tier, BTreeMap<Stage, Rule>>,
}

/// What becomes of what is in quarantine, beside that it is not promoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineRule {
    #[serde(default)]
    pub pulls: Pulls,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pulls {
    /// It is resolved and pulled as before, with a warning.
    #[default]
    Allow,
    /// It is not given out, by whatever name it is asked for.
    Refuse,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeWindow {
    #[serde(deserialize_with = "moment")]
    pub from: DateTime<Utc>,
    #[serde(deserialize_with = "moment")]
    pub until: DateTime<Utc>,
    pub reason: String,
    /// Without it: all stages after the first, or the only one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
}

fn moment<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    let text = String::deserialize(deserializer)?;
    DateTime::parse_from_rfc3339(&text).map(|time| time.with_timezone(&Utc)).map_err(|_| {
        let text = crate::model::digest::shorten(&text);
        serde::de::Error::custom(format!("not a time: {text}; write it as 2026-12-20T00:00:00Z"))
    })
}

/// What it takes to enter a stage.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Who may promote into the stage. Admins always may.
    #[serde(default = "releasers")]
    pub roles: Vec<Role>,
    /// A version may enter without having been in the stage before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip: bool,
    #[serde(default)]
    pub gates: Vec<GateSpec>,
    /// What follows from how it fares right after it has entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake: Option<Bake>,
}

/// The time after a promotion in which deployments that are not healthy have consequences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bake {
    /// Minutes since the promotion.
    #[schemars(range(min = 1, max = 43200))]
    pub minutes: u32,
    #[serde(default)]
    pub on_unhealthy: OnUnhealthy,
    /// So many targets must have been reported failed or unhealthy since the promotion, and not well since; one if nothing is
    /// said.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    pub targets: u32,
    /// Whose reports count; empty: anyone's who may report. Targets are named by whoever reports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<Source>,
}

impl Bake {
    fn check(&self) -> Result<(), String> {
        let minutes = 1..=BAKE_MAX.num_minutes();
        match minutes.contains(&i64::from(self.minutes)) && (1..=1000).contains(&self.targets) {
            true => Ok(()),
            false => Err(format!("1 to {} minutes, 1 to 1000 targets", minutes.end())),
        }
    }
}

fn one() -> u32 {
    1
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnUnhealthy {
    /// Hooks are told, no more.
    #[default]
    Notify,
    /// The stage goes back to the previous good version.
    Rollback,
}

pub(super) fn releasers() -> Vec<Role> {
    vec![Role::Releaser]
}

/// A gate in a policy: its name, or its name with parameters.
#[derive(Clone)]
pub struct GateSpec {
    pub definition: &'static Definition,
    pub(super) parameters: Map<String, Value>,
    gate: Arc<dyn Gate>,
}

impl GateSpec {
    pub fn new(name: &str, parameters: Map<String, Value>) -> Result<Self, String> {
        let definition = find(name).ok_or_else(|| {
            let names: Vec<&str> = super::GATES.iter().map(|gate| gate.name).collect();
            format!("no such gate: {} (gates are {})", crate::model::digest::shorten(name), names.join(", "))
        })?;
        let gate = (definition.read)(Value::Object(parameters.clone()))
            .map_err(|why| format!("gate {name}: {why}"))?;
        Ok(Self { definition, parameters, gate: gate.into() })
    }

    pub fn gate(&self) -> &dyn Gate {
        &*self.gate
    }
}

impl std::fmt::Debug for GateSpec {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {:?}", self.definition.name, self.parameters)
    }
}

impl Serialize for GateSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.parameters.is_empty() {
            return serializer.serialize_str(self.definition.name);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.definition.name, &self.parameters)?;
        map.end()
    }
}

impl<'de> Deserialize<'de> for GateSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(GateVisitor)
    }
}

/// Makes the gate while the reader still knows where in the file it is.
struct GateVisitor;

impl<'de> Visitor<'de> for GateVisitor {
    type Value = GateSpec;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a gate: its name, or its name with a map of parameters")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<GateSpec, E> {
        GateSpec::new(name, Map::new()).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<GateSpec, A::Error> {
        let Some((name, parameters)) = access.next_entry::<String, Value>()? else {
            return Err(A::Error::custom("a gate needs a name"));
        };
        if access.next_key::<String>()?.is_some() {
            return Err(A::Error::custom("one gate has two names; each needs a dash of its own"));
        }
        let parameters = match parameters {
            Value::Object(parameters) => parameters,
            Value::Null => Map::new(),
            _ => return Err(A::Error::custom("the parameters of a gate are a map")),
        };
        GateSpec::new(&name, parameters).map_err(A::Error::custom)
    }
}

impl JsonSchema for GateSpec {
    fn schema_name() -> Cow<'static, str> {
        "Gate".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = super::GATES.iter().map(|gate| gate.name).collect();
        let mut choices = vec![serde_json::json!({ "type": "string", "enum": names })];
        for gate in super::GATES {
            let parameters = (gate.schema)(generator);
            choices.push(serde_json::json!({
                "type": "object",
                "description": gate.summary,
                "properties": { gate.name: parameters },
                "required": [gate.name],
                "additionalProperties": false,
            }));
        }
        json_schema!({ "oneOf": choices })
    }
}

impl Policy {
    /// Reads a policy file. Errors: `policy_invalid`, with the place in the file.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let invalid = |why: String| {
            Error::invalid("policy_invalid", format!("the policy cannot be read: {why}"))
                .hint("see the gates and their parameters with: gradus policy gates")
        };
        if bytes.len() > MAX_BYTES {
            return Err(Error::too_large(
                "policy_too_large",
                format!("the policy has {} bytes", bytes.len()),
            )
            .hint(format!("at most {MAX_BYTES}")));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| invalid("it is not UTF-8".to_owned()))?;
        let policy: Self = yaml::read_into(text).map_err(invalid)?;
        policy.check().map_err(invalid)?;
        Ok(policy)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(stages) = &self.stages {
            let mut sorted = stages.clone();
            sorted.sort();
            sorted.dedup();
            if stages.is_empty() || stages.len() > STAGES_MAX {
                return Err(format!("stages: one to {STAGES_MAX} are needed"));
            }
            if sorted.len() != stages.len() {
                return Err("stages: one is named twice".to_owned());
            }
        }
        if self.pending_days.is_some_and(|days| !(1..=366).contains(&days)) {
            return Err("pending_days: 1 to 366".to_owned());
        }
        if self.freezes.len() > FREEZES_MAX {
            return Err(format!("freezes: at most {FREEZES_MAX}"));
        }
        for (index, freeze) in self.freezes.iter().enumerate() {
            if freeze.until <= freeze.from {
                return Err(format!("freezes[{index}]: it ends before it begins"));
            }
        }
        for (tier, stages) in &self.rules {
            for (stage, rule) in stages {
                if rule.gates.len() > GATES_MAX {
                    return Err(format!("rules.{tier}.{stage}.gates: at most {GATES_MAX}"));
                }
                if let Some(Err(why)) = rule.bake.as_ref().map(Bake::check) {
                    return Err(format!("rules.{tier}.{stage}.bake: {why}"));
                }
                if rule.roles.is_empty() {
                    return Err(format!("rules.{tier}.{stage}.roles: nobody could promote"));
                }
            }
        }
        Ok(())
    }
}

impl Rule {
    /// The roles that approvals are asked of; `None` if no gate asks for any.
    pub fn approvers(&self) -> Option<Vec<Role>> {
        let gates: Vec<&GateSpec> =
            self.gates.iter().filter(|gate| gate.definition.name == super::approvals::GATE.name).collect();
        let roles = |gate: &&GateSpec| match gate.parameters.get("roles") {
            Some(roles) => serde_json::from_value(roles.clone()).unwrap_or_default(),
            None => vec![Role::Approver],
        };
        let mut asked: Vec<Role> = gates.iter().flat_map(roles).collect();
        asked.sort_unstable();
        asked.dedup();
        (!gates.is_empty()).then_some(asked)
    }
}
