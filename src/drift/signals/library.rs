//! The signals there are, built in and of one's own.

use super::{Field, Invalid, Kind, Lexicon, Patterns, Role, Schema, Signal};
use super::{base_mismatch, language, lengths, repetition, script, structure, tools, win};

/// Signals with the data they rest on, ready to be asked.
#[derive(Clone, Debug)]
pub struct Library {
    language: Signal,
    refusal: Signal,
    hedging: Signal,
    patterns: Vec<Signal>,
    own: Vec<Signal>,
    schema: Vec<Signal>,
    fields: Vec<Signal>,
    base: Option<Signal>,
}

impl Library {
    /// Errors: none, as far as the tests know.
    pub fn built_in() -> Result<Self, Invalid> {
        Ok(Self {
            language: language()?,
            refusal: Lexicon::refusal()?.signal(),
            hedging: Lexicon::hedging()?.signal(),
            patterns: Patterns::built_in()?.signals(),
            own: vec![],
            schema: vec![],
            fields: vec![],
            base: None,
        })
    }

    /// Phrases to look for in answers. Those called `refusal` or `hedging` take the place of the ones built in. Errors:
    /// there is a signal of that name.
    pub fn with_lexicon(mut self, lexicon: Lexicon) -> Result<Self, Invalid> {
        let signal = lexicon.signal();
        match signal.name() {
            "refusal" => self.refusal = signal,
            "hedging" => self.hedging = signal,
            name if self.signals(Role::Output).iter().any(|other| other.name() == name) => {
                return Err(Invalid::new(format!("there is a signal called {name}")));
            }
            _ => self.own.push(signal),
        }
        Ok(self)
    }

    /// Patterns in place of the ones built in.
    pub fn with_patterns(self, patterns: Patterns) -> Self {
        Self { patterns: patterns.signals(), ..self }
    }

    /// What answers are to satisfy.
    pub fn with_schema(self, schema: Schema) -> Self {
        Self { schema: schema.signals().into(), ..self }
    }

    /// What to read out of answers.
    pub fn with_fields(self, fields: Vec<(Field, Kind)>) -> Self {
        Self { fields: fields.into_iter().map(|(field, kind)| field.signal(kind)).collect(), ..self }
    }

    /// The digest of the base model that an adapter was made for.
    pub fn with_base(self, digest: &str) -> Self {
        Self { base: Some(base_mismatch(digest)), ..self }
    }

    /// What is computed for a column of this role; nothing for those that are compared as they are.
    pub fn signals(&self, role: Role) -> Vec<Signal> {
        let of_texts = || {
            let mut signals = lengths::signals();
            signals.push(self.language.clone());
            signals.extend(script::signals());
            signals.extend_from_slice(&self.patterns);
            signals
        };
        match role {
            Role::Input | Role::Context => of_texts(),
            Role::Output => {
                let mut signals = of_texts();
                signals.extend([self.refusal.clone(), self.hedging.clone()]);
                signals.extend(repetition::signals());
                signals.push(structure::json());
                for more in [&self.own, &self.schema, &self.fields] {
                    signals.extend_from_slice(more);
                }
                signals
            }
            Role::Tools => tools::signals(),
            Role::Win => vec![win()],
            Role::BaseDigest => self.base.iter().cloned().collect(),
            _ => vec![],
        }
    }
}
