//! Writing one object: hash while writing, make durable on request, take up again anywhere.

use super::{
    Hasher, Key,
    local::{Appender, Local},
    remote::Remote,
};
use crate::{
    error::{Error, Result},
    model::digest::{Algorithm, Digest},
};
use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

const MIB: u64 = 1024 * 1024;

/// Where an upload stands: what the next writer needs, as the database keeps it.
pub struct Resume {
    pub algorithm: Algorithm,
    /// Durable bytes.
    pub received: u64,
    /// Empty for a new upload.
    pub hash_state: Vec<u8>,
    pub multipart: Option<String>,
    pub parts: Vec<String>,
    /// Of the durable bytes, how many are staged as the tail.
    pub tail: u64,
}

impl Resume {
    pub fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, received: 0, hash_state: Vec::new(), multipart: None, parts: Vec::new(), tail: 0 }
    }
}

/// What is durable at a moment, to be recorded before it is acknowledged.
pub struct Checkpoint {
    pub received: u64,
    pub hash_state: Vec<u8>,
    pub multipart: Option<String>,
    pub tail: u64,
    /// Parts since the checkpoint before, with their numbers.
    pub parts: Vec<(usize, String)>,
}

/// Bytes of part `number`. S3 allows 10,000 parts of at least 5 MiB: 8 MiB for the first 2,000 (16 GiB), then
/// growing by 1 MiB every 6 parts, which holds 5 TiB in 10,000.
fn part_size(number: usize) -> usize {
    let grown = (number as u64).saturating_sub(2000) / 6;
    usize::try_from((8 + grown) * MIB).unwrap_or(usize::MAX)
}

pub struct Writer {
    hasher: Hasher,
    received: u64,
    sink: Sink,
    /// Bytes that were counted and hashed did not reach the store: nothing after them may be called durable.
    broken: bool,
}

enum Sink {
    Local(Appender),
    Remote(RemoteSink),
}

impl Writer {
    pub(super) async fn local(local: &Local, key: Key, resume: Resume) -> Result<Self> {
        let appender = local.append(key, resume.received).await?;
        Ok(Self {
            hasher: hasher(&resume)?,
            received: resume.received,
            sink: Sink::Local(appender),
            broken: false,
        })
    }

    pub(super) async fn remote(remote: Remote, key: Key, resume: Resume) -> Result<Self> {
        let (hasher, received) = (hasher(&resume)?, resume.received);
        let mut buffer = BytesMut::new();
        if resume.tail > 0 {
            let tail = remote.read_tail(key, received).await?;
            if tail.len() as u64 != resume.tail {
                return Err(Error::integrity("upload_lost", "some of the bytes received so far are gone"));
            }
            buffer.extend_from_slice(&tail);
        }
        let sink = RemoteSink {
            remote,
            key,
            multipart: resume.multipart,
            recorded: resume.parts.len(),
            parts: resume.parts,
            buffer,
            in_flight: None,
        };
        Ok(Self { hasher, received, sink: Sink::Remote(sink), broken: false })
    }

    /// Takes bytes; they are not durable before the next checkpoint.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.usable()?;
        self.hasher.update(&bytes);
        self.received += bytes.len() as u64;
        let written = match &mut self.sink {
            Sink::Local(appender) => appender.write(bytes).await,
            Sink::Remote(sink) => sink.write(&bytes).await,
        };
        self.broken = written.is_err();
        written
    }

    fn usable(&self) -> Result<()> {
        if self.broken {
            return Err(Error::unavailable("store_unavailable", "an earlier write to the store has failed")
                .hint("ask where the upload stands and go on from there"));
        }
        Ok(())
    }

    pub fn received(&self) -> u64 {
        self.received
    }

    pub fn digest(&self) -> Digest {
        self.hasher.digest()
    }

    /// The multipart upload, once the store has begun one.
    pub fn multipart(&self) -> Option<&str> {
        match &self.sink {
            Sink::Local(_) => None,
            Sink::Remote(sink) => sink.multipart.as_deref(),
        }
    }

    /// Makes durable all that was written.
    pub async fn checkpoint(&mut self) -> Result<Checkpoint> {
        self.usable()?;
        let durable = match &mut self.sink {
            Sink::Local(appender) => appender.sync().await.map(|()| (None, 0, Vec::new())),
            Sink::Remote(sink) => sink.checkpoint(self.received).await,
        };
        self.broken = durable.is_err();
        let (multipart, tail, parts) = durable?;
        Ok(Checkpoint { received: self.received, hash_state: self.hasher.state(), multipart, tail, parts })
    }

    /// Makes the object whole and durable.
    pub async fn finish(self) -> Result<()> {
        self.usable()?;
        match self.sink {
            Sink::Local(appender) => {
                appender.sync().await?;
                appender.close().await
            }
            Sink::Remote(sink) => sink.finish(self.received).await,
        }
    }

    /// Lets go without finishing; what was checkpointed stays.
    pub async fn close(self) -> Result<()> {
        match self.sink {
            Sink::Local(appender) => appender.close().await,
            Sink::Remote(mut sink) => sink.settle().await,
        }
    }
}

fn hasher(resume: &Resume) -> Result<Hasher> {
    if resume.hash_state.is_empty() {
        Ok(Hasher::new(resume.algorithm))
    } else {
        Hasher::resume(resume.algorithm, &resume.hash_state)
    }
}

struct RemoteSink {
    remote: Remote,
    key: Key,
    multipart: Option<String>,
    parts: Vec<String>,
    /// How many of the parts a checkpoint has told of.
    recorded: usize,
    buffer: BytesMut,
    /// The part being sent while the next one fills.
    in_flight: Option<JoinHandle<Result<String>>>,
}

impl RemoteSink {
    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.buffer.extend_from_slice(bytes);
        loop {
            let size = part_size(self.parts.len() + usize::from(self.in_flight.is_some()));
            if self.buffer.len() < size {
                return Ok(());
            }
            self.settle().await?;
            let part = self.buffer.split_to(size).freeze();
            self.send(part).await?;
        }
    }

    async fn send(&mut self, part: Bytes) -> Result<()> {
        let multipart = match &self.multipart {
            Some(multipart) => multipart.clone(),
            None => self.multipart.insert(self.remote.begin(self.key).await?).clone(),
        };
        let (remote, key, number) = (self.remote.clone(), self.key, self.parts.len());
        self.in_flight =
            Some(tokio::spawn(async move { remote.put_part(key, &multipart, number, part).await }));
        Ok(())
    }

    /// Waits for the part under way.
    async fn settle(&mut self) -> Result<()> {
        if let Some(task) = self.in_flight.take() {
            let part = task
                .await
                .map_err(|_| Error::unavailable("store_unavailable", "sending a part has stopped"))??;
            self.parts.push(part);
        }
        Ok(())
    }

    async fn checkpoint(&mut self, received: u64) -> Result<(Option<String>, u64, Vec<(usize, String)>)> {
        self.settle().await?;
        if !self.buffer.is_empty() {
            self.remote.put_tail(self.key, received, Bytes::copy_from_slice(&self.buffer)).await?;
        }
        let new = self.parts.iter().cloned().enumerate().skip(self.recorded).collect();
        self.recorded = self.parts.len();
        Ok((self.multipart.clone(), self.buffer.len() as u64, new))
    }

    async fn finish(mut self, size: u64) -> Result<()> {
        self.settle().await?;
        let rest = self.buffer.split().freeze();
        match &self.multipart {
            // Few bytes: one plain object.
            None => self.remote.put(self.key, rest).await,
            Some(multipart) => {
                let multipart = multipart.clone();
                let (remote, key) = (self.remote.clone(), self.key);
                match self.complete(&multipart, rest, size).await {
                    Ok(()) => Ok(()),
                    // Safe to repeat: when the answer of an earlier try was lost, the object is there.
                    Err(error) => match remote.size(key).await? {
                        Some(stored) if stored == size => Ok(()),
                        _ => Err(error),
                    },
                }
            }
        }
    }

    async fn complete(mut self, multipart: &str, rest: Bytes, size: u64) -> Result<()> {
        if !rest.is_empty() {
            self.send(rest).await?;
            self.settle().await?;
        }
        self.remote.complete(self.key, &multipart.to_owned(), self.parts, size).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_tebibytes_fit_into_ten_thousand_parts() {
        let mut total = 0u64;
        let parts = (0..).take_while(|&number| {
            let more = total < 5 * 1024 * 1024 * MIB;
            total += part_size(number) as u64;
            more
        });
        assert!(parts.count() <= 10_000);
        assert!(part_size(0) as u64 >= 5 * MIB);
        // At 8 GiB a part is still small, since it is held in memory.
        assert_eq!(part_size(1024) as u64, 8 * MIB);
    }
}
