//! The log as a stream of server-sent events.

use super::{Client, api::get};
use crate::{
    error::{Error, Result},
    model::event::Event,
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use http::{HeaderName, header};

/// Longest line of a stream: an event is at most 32 KiB.
const LINE_MAX: usize = 64 * 1024;

/// A stream under way.
pub struct Watching {
    /// Where it began.
    pub position: i64,
    body: BoxStream<'static, Result<Bytes>>,
    rest: Vec<u8>,
}

impl Client {
    /// Follows the log from a position on, or from now. `query` holds filters, each with `&` before it.
    pub async fn watch(&self, query: &str, cursor: Option<i64>) -> Result<Watching> {
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let call =
            get(format!("/v1/events?limit=1000{cursor}{query}")).header(header::ACCEPT, "text/event-stream");
        let reply = self.send(call).await?;
        let position =
            reply.header(HeaderName::from_static("gradus-position")).and_then(|text| text.parse().ok());
        let position = position.ok_or_else(|| {
            Error::unavailable("answer_invalid", "the server does not stream the log")
                .hint("are the server and this client of the same version?")
        })?;
        Ok(Watching { position, body: reply.stream(), rest: Vec::new() })
    }
}

impl Watching {
    /// The next event; `None` when the server has ended the stream.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                if let Some(data) = line.strip_prefix(b"data: ") {
                    return Event::from_bytes(data.trim_ascii_end()).map(Some);
                }
            }
            match self.body.next().await {
                Some(bytes) => self.rest.extend_from_slice(&bytes?),
                None => return Ok(None),
            }
            if self.rest.len() > LINE_MAX * 1000 {
                return Err(Error::unavailable(
                    "answer_invalid",
                    "the server's stream has a line without end",
                ));
            }
        }
    }
}
