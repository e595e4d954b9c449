//! A named rule from texts to values.

use super::{Kind, Text};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// What a signal says of one text.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// There is nothing to say: too little text, or the field is not there.
    Missing,
    /// Finite.
    Number(f64),
    Boolean(bool),
    /// A category, or the text of a field.
    Label(Cow<'static, str>),
    /// There is something which is no value of a column: a list or an object where a value is expected.
    Other,
}

type Rule = dyn Fn(&Text<'_>) -> Value + Send + Sync;

/// A rule that gives a value for each text: always the same one for the same text, in time linear in its length.
#[derive(Clone)]
pub struct Signal {
    name: Cow<'static, str>,
    kind: Kind,
    about: &'static str,
    version: Option<Arc<str>>,
    quotes: bool,
    rule: Arc<Rule>,
}

impl Signal {
    /// `about` is one line: what it is, its unit or range, where the rule is from.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        kind: Kind,
        about: &'static str,
        rule: impl Fn(&Text<'_>) -> Value + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), kind, about, version: None, quotes: false, rule: Arc::new(rule) }
    }

    /// Names the data that the rule rests on.
    pub(super) fn with_version(self, version: &str) -> Self {
        Self { version: Some(version.into()), ..self }
    }

    /// Says that its values are pieces of the text.
    pub(super) fn quoting(self) -> Self {
        Self { quotes: true, ..self }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether its values are pieces of the text, which may be of any part of it.
    pub fn quotes(&self) -> bool {
        self.quotes
    }

    /// What its values are. Only a field can have a value of another kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn about(&self) -> &'static str {
        self.about
    }

    /// Name, version and digest of the data that the rule rests on, if it rests on any.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    pub fn of(&self, text: &Text<'_>) -> Value {
        (self.rule)(text)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, version, .. } = self;
        out.debug_struct("Signal")
            .field("name", name)
            .field("kind", kind)
            .field("version", version)
            .finish_non_exhaustive()
    }
}

impl Value {
    pub(super) fn number(value: impl Into<f64>) -> Self {
        Self::Number(value.into())
    }

    /// A count; above 2^53 the nearest float.
    pub(super) fn count(count: usize) -> Self {
        Self::Number(count as f64)
    }

    pub(super) fn label(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Label(text.into())
    }
}

impl From<Option<f64>> for Value {
    fn from(value: Option<f64>) -> Self {
        value.filter(|value| value.is_finite()).map_or(Self::Missing, Self::Number)
    }
}
