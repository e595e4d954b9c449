//! What a monitor is told to do.

use super::alert::Hygiene;
use super::due::Misfire;
use super::schedule::Schedule;
use super::template::Template;
use super::window::{self, Length, Window};
use crate::check::{Performance, Request, check_sensitive};
use crate::drift::compare::{Concern, Options, Rules};
use crate::drift::profile::Kind;
use crate::drift::signals::{Schema, Signals};
use crate::error::{Error, Result};
use crate::model::name::Workload;
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

const NAME_MAX: usize = 64;
/// Stands for a source where profiles are pushed.
const PUSHED: &str = "pushed";
/// Labels may come months later.
const GRACE_MAX: u32 = 92 * 24 * 60;

/// A monitor's name within its workload: lower-case letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct MonitorName(String);

/// A monitor of a workload: `acme/ticket-triage/nightly`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorPath {
    pub workload: Workload,
    pub name: MonitorName,
}

/// What current data are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The newest baseline of the version in the stage.
    Baseline,
    /// The data right before the window, so long.
    Trailing(Length),
    /// The same window so much earlier.
    SamePhase(Length),
}

/// What follows from drift, besides its being evidence and an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDrift {
    #[default]
    Notify,
    /// The version is not promoted any further while drift lasts.
    Block,
    /// The stage moves back, once, until somebody promotes or arms the monitor again.
    Rollback,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Five fields of cron: minute, hour, day, month, weekday.
    pub every: String,
    /// A time zone of the IANA database.
    #[serde(default = "utc")]
    pub zone: String,
    /// Where the data are: `s3://bucket/triage/dt={date}/*.parquet`, within a source that the namespace may read; or `pushed`:
    /// profiles of them are.
    pub source: String,
    /// `1d` is the last whole day of the zone, `24h` the last 24 hours.
    #[schemars(with = "String")]
    pub window: String,
    /// `baseline`, `trailing:7d` or `same-phase:1w`.
    #[schemars(with = "String")]
    pub reference: String,
    #[serde(default)]
    pub on_drift: OnDrift,
    /// What must have drifted for the stage to move back. What a model is given or answers may change without anything being
    /// worse, and is not among it unless asked for.
    #[serde(default = "grave")]
    pub rollback_on: BTreeSet<Concern>,
    /// Minutes a run waits for data that come late.
    #[serde(default)]
    #[schemars(range(max = 132_480))]
    pub grace_minutes: u32,
    #[serde(default)]
    pub misfire: Misfire,
    #[serde(default)]
    pub hygiene: Hygiene,
    #[serde(default)]
    pub options: Options,
    /// Kinds of columns that are not to be inferred.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, Kind>,
    /// Only these columns, if there are any.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub columns: BTreeSet<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ignore: BTreeSet<String>,
    /// Columns whose values are not to be told: they are compared by hashes with a key of the namespace.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sensitive: BTreeSet<String>,
    /// Also how good the answers are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub performance: Option<Performance>,
    /// Also what can be said of the texts of a model's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signals: Option<Signals>,
    /// Where labels are that come apart from the data; give them time with `grace_minutes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
}

fn grave() -> BTreeSet<Concern> {
    [Concern::Violations, Concern::Health, Concern::Performance].into()
}

fn utc() -> String {
    "UTC".to_owned()
}

/// A spec whose parts were read.
#[derive(Clone, Debug)]
pub struct Plan {
    pub schedule: Schedule,
    /// `None`: profiles are pushed.
    pub source: Option<Template>,
    pub window: Length,
    pub reference: Compared,
    pub labels: Option<Template>,
    /// How long a run waits for data that come late.
    pub grace: TimeDelta,
}

impl Plan {
    /// When the first run is due after a time of the schedule that was dealt with; `None`: there is none any more.
    pub fn due_at(&self, handled: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedule.next(handled).map(|at| at + self.grace)
    }

    /// The last time of the schedule whose data may be there by now.
    pub fn last_ready(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.schedule.last(now - self.grace)
    }

    /// The window of a run at this time. Where files are of hours, it ends with the last whole one; where hours are pushed, with
    /// the last time of the schedule.
    pub fn window(&self, at: DateTime<Utc>) -> Window {
        let zone = self.schedule.zone();
        let at = match &self.source {
            Some(source) if source.is_hourly() => window::hour(at, zone),
            // Otherwise each push would have a window of its own.
            None if matches!(self.window, Length::Hours(_)) => self.schedule.last(at).unwrap_or(at),
            _ => at,
        };
        self.window.before(at, zone)
    }

    /// Where the data of a window are.
    pub fn paths(&self, window: Window) -> Vec<String> {
        let zone = self.schedule.zone();
        self.source.as_ref().map_or_else(Vec::new, |source| source.paths(window, zone))
    }

    /// The window that another one is compared with; `None`: it is compared with a baseline.
    pub fn reference_of(&self, window: Window) -> Option<Window> {
        let zone = self.schedule.zone();
        match self.reference {
            Compared::Baseline => None,
            Compared::Trailing(length) => {
                Some(Window { start: window.shifted_back(length, zone).start, end: window.start })
            }
            Compared::SamePhase(length) => Some(window.shifted_back(length, zone)),
        }
    }
}

/// Most bytes of a spec, as it is kept: whoever judges or ticks reads it.
pub const SPEC_MAX: usize = 64 << 10;

impl Plan {
    /// Refuses to compare data with themselves. `at`: some time of a run.
    pub fn check_reference(&self, at: DateTime<Utc>) -> Result<()> {
        let window = self.window(at);
        let Some(reference) = self.reference_of(window) else { return Ok(()) };
        let wrong = |why: &str| {
            Err(Error::invalid("monitor_reference", why.to_owned())
                .hint("name the day or hour in the source, and compare with a time before the window"))
        };
        if reference.end > window.start {
            return wrong("the window would be compared with some of itself");
        }
        let paths = self.paths(window);
        match self.paths(reference).iter().any(|path| paths.contains(path)) {
            true => wrong("the source has the same files for the window and for what it is compared with"),
            false => Ok(()),
        }
    }
}

impl Spec {
    /// What a check of its data asks for.
    pub fn request(&self) -> Request {
        Request {
            rules: Rules::Sound(self.options.clone()),
            kinds: self.types.clone(),
            only: self.columns.clone(),
            ignored: self.ignore.clone(),
            sensitive: self.sensitive.clone(),
            performance: self.performance.clone(),
            signals: self.signals.clone(),
            ..Request::default()
        }
    }

    /// Errors: a part that makes no sense.
    pub fn plan(&self) -> Result<Plan> {
        self.hygiene.check()?;
        if self.grace_minutes > GRACE_MAX {
            return Err(Error::invalid("monitor_grace", "a run waits for late data for at most 92 days"));
        }
        if self.on_drift == OnDrift::Rollback && self.reference != "baseline" {
            let why = "the stage goes back only where the other version can be compared as well";
            return Err(Error::invalid("monitor_rollback", why)
                .hint("compare with the baseline, or notify or block instead"));
        }
        if self.rollback_on.is_empty() {
            let why = "something must have drifted for the stage to go back";
            return Err(
                Error::invalid("monitor_rollback", why).hint("data, violations, health or performance")
            );
        }
        check_sensitive(&self.sensitive, &self.types, self.signals.as_ref(), self.performance.as_ref())?;
        if self.labels.is_some() && self.source == PUSHED {
            let why = "profiles that are pushed have no rows that labels could find";
            return Err(Error::invalid("monitor_labels", why)
                .hint("profile them with --labels, and leave them out here"));
        }
        if self.labels.is_some() && self.performance.as_ref().is_none_or(|asked| asked.id.is_none()) {
            let why =
                "labels that come apart find their rows by an id, for the performance that is asked for";
            return Err(
                Error::invalid("monitor_labels", why).hint("give --target, --prediction and --id too")
            );
        }
        self.options.check().map_err(|error| {
            Error::invalid("monitor_options", error.to_string())
                .hint("such as alpha 0.05, floors of 0.1, bins of 0,10,100")
        })?;
        self.request().check_bins_wanted()?;
        if let Some(schema) = self.signals.as_ref().and_then(|signals| signals.output_schema.as_ref()) {
            Schema::new(schema).map_err(|error| {
                Error::invalid("monitor_signals", format!("the schema of outputs: {error}"))
                    .hint("a JSON Schema that refers to nothing outside of itself")
            })?;
        }
        let plan = Plan {
            schedule: Schedule::new(&self.every, &self.zone)?,
            source: (self.source != PUSHED).then(|| self.source.parse()).transpose()?,
            window: self.window.parse()?,
            reference: self.reference.parse()?,
            labels: self.labels.as_deref().map(str::parse).transpose()?,
            grace: TimeDelta::minutes(self.grace_minutes.into()),
        };
        if matches!(plan.window, Length::Hours(_)) && plan.source.as_ref().is_some_and(Template::is_daily) {
            let why = "the hours of a window cannot be told from files of whole days";
            return Err(Error::invalid("monitor_window", why).hint(
                "name the hour in the source, as dt={date}/{date:%H}/*.parquet, or check whole days: 1d",
            ));
        }
        Ok(plan)
    }
}

impl MonitorName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MonitorName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        let is_name =
            (1..=NAME_MAX).contains(&text.len()) && text.bytes().all(fits) && !text.starts_with('-');
        if is_name {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(NAME_MAX).collect();
        Err(Error::invalid("monitor_name", format!("not a name for a monitor: {shown}"))
            .hint("lower-case letters, digits and hyphens, for example nightly"))
    }
}

impl TryFrom<String> for MonitorName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<MonitorName> for String {
    fn from(name: MonitorName) -> Self {
        name.0
    }
}

impl fmt::Display for MonitorName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for MonitorPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (workload, name) =
            text.rsplit_once('/').filter(|(workload, _)| workload.contains('/')).ok_or_else(|| {
                let shown: String = text.chars().take(NAME_MAX).collect();
                Error::invalid("monitor_name", format!("not a monitor: {shown}"))
                    .hint("WORKLOAD/NAME, for example acme/ticket-triage/nightly")
            })?;
        Ok(Self { workload: workload.parse()?, name: name.parse()? })
    }
}

impl fmt::Display for MonitorPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.workload, self.name)
    }
}

impl FromStr for Compared {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.split_once(':') {
            None if text == "baseline" => Self::Baseline,
            Some(("trailing", length)) => Self::Trailing(length.parse()?),
            Some(("same-phase", length)) => Self::SamePhase(length.parse()?),
            _ => {
                return Err(Error::invalid("monitor_reference", "not something to compare with")
                    .hint("baseline, trailing:7d or same-phase:1w"));
            }
        })
    }
}

impl fmt::Display for OnDrift {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Notify => "notify",
            Self::Block => "block",
            Self::Rollback => "rollback",
        })
    }
}

impl FromStr for OnDrift {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "notify" => Self::Notify,
            "block" => Self::Block,
            "rollback" => Self::Rollback,
            _ => {
                return Err(Error::invalid(
                    "monitor_consequence",
                    "not something that can follow from drift",
                )
                .hint("notify, block or rollback"));
            }
        })
    }
}
