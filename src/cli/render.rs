//! `gradus render`.

use super::{argument, files::read, print::Out};
use crate::{
    client::Client,
    error::{Error, Result},
    model::{json, reference::Reference},
    wire,
};
use clap::Args;
use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

#[derive(Args)]
pub struct Render {
    /// For example acme/ticket-triage:^1
    #[arg(value_parser = argument::<Reference>)]
    reference: Reference,
    /// The input as JSON
    #[arg(long, value_name = "JSON", conflicts_with = "input_file")]
    input: Option<String>,
    /// The input from a file; - is standard input
    #[arg(long, value_name = "FILE")]
    input_file: Option<PathBuf>,
    /// The model the messages are for
    #[arg(long)]
    model: Option<String>,
}

impl Render {
    pub async fn run(self, client: &Client, out: &Out) -> Result<()> {
        let bytes = match (&self.input, &self.input_file) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(file)) if file == Path::new("-") => {
                let mut bytes = Vec::new();
                std::io::stdin().take(2 << 20).read_to_end(&mut bytes)?;
                bytes
            }
            (None, Some(file)) => read(file)?,
            (None, None) => b"{}".to_vec(),
        };
        let input = json::parse_strict(&bytes, 64).map_err(|error| {
            Error::invalid("input_invalid", format!("the input is not JSON: {}", error.message))
                .hint("for example --input '{\"body\": \"…\"}'")
        })?;
        let rendered = client.render(&self.reference, &wire::Render { input, model: self.model }).await?;
        out.data(&rendered, |out| {
            for message in &rendered.messages {
                let role = serde_json::to_value(message.role).unwrap_or_default();
                out.line(format!("--- {}", role.as_str().unwrap_or("message")));
                out.line(message.content.trim_end());
            }
        })
    }
}
