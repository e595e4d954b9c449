//! The normal form of a prompt: one JSON shape for both file formats, as `resolve` answers it, so that a
//! consumer may also fill in the templates itself.

use super::{Entry, Example, Override, Prompt};
use serde::{Serialize, Serializer, ser::SerializeMap as _};

impl Serialize for Prompt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("format", &self.format)?;
        map.serialize_entry("description", &self.description)?;
        map.serialize_entry("model", &self.model)?;
        map.serialize_entry("messages", &self.messages)?;
        map.serialize_entry("examples", &self.examples)?;
        map.serialize_entry("parameters", &self.parameters)?;
        map.serialize_entry("models", &self.models)?;
        map.serialize_entry("response_format", &self.response_format)?;
        map.end()
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Message { role, name, content } => {
                map.serialize_entry("role", role)?;
                if let Some(name) = name {
                    map.serialize_entry("name", name)?;
                }
                map.serialize_entry("content", content)?;
            }
            Self::Placeholder(variable) => map.serialize_entry("placeholder", variable)?,
        }
        map.end()
    }
}

impl Serialize for Example {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("input", &self.input)?;
        map.serialize_entry("output", &self.output)?;
        map.end()
    }
}

impl Serialize for Override {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("parameters", &self.parameters)?;
        if let Some(messages) = &self.messages {
            map.serialize_entry("messages", messages)?;
        }
        if let Some(format) = &self.response_format {
            map.serialize_entry("response_format", format)?;
        }
        map.end()
    }
}

impl Prompt {
    /// The models (names or patterns) the prompt was written for: its own, and those it has settings for.
    pub fn models(&self) -> Vec<String> {
        let mut models: Vec<String> = self.model.iter().chain(self.models.keys()).cloned().collect();
        models.sort();
        models.dedup();
        models
    }
}
