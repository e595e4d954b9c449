//! Arrow IPC, of files and of streams: batches with all columns.

use super::columnar::{Leaf, leaves, outers};
use super::input::{Input, Reader, Window};
use crate::error::{Error, Result};
use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, SchemaRef};
use std::sync::Arc;

pub(super) struct IpcFile {
    input: Arc<dyn Input>,
    pub leaves: Vec<Leaf>,
    /// The structs they lie in.
    pub outers: Vec<Leaf>,
}

/// The batches of a file, one after the other.
pub(super) enum Batches {
    File(Box<FileReader<Reader>>),
    Stream(Box<StreamReader<Reader>>),
}

impl IpcFile {
    /// Errors: it is not Arrow IPC.
    pub fn open(input: Arc<dyn Input>) -> Result<Self> {
        let mut file = Self { input, leaves: vec![], outers: vec![] };
        let schema = file.batches()?.schema();
        (file.leaves, file.outers) = (leaves(schema.fields()), outers(schema.fields()));
        Ok(file)
    }

    pub fn name(&self) -> &str {
        self.input.name()
    }

    pub fn batches(&self) -> Result<Batches> {
        let reader = || Reader::new(Window::whole(&self.input));
        let start = self.input.read_at(0, self.input.len().min(6) as usize).unwrap_or_default();
        let batches = if start.starts_with(b"ARROW1") {
            FileReader::try_new(reader(), None).map(|file| Batches::File(Box::new(file)))
        } else {
            StreamReader::try_new(reader(), None).map(|stream| Batches::Stream(Box::new(stream)))
        };
        batches.map_err(|error| self.unreadable(&error))
    }

    pub fn unreadable(&self, error: &ArrowError) -> Error {
        let message = format!("{} is not a whole Arrow IPC file: {error}", self.name());
        Error::invalid("table_unreadable", message).hint("write the file anew, or leave it out")
    }
}

impl Batches {
    fn schema(&self) -> SchemaRef {
        match self {
            Self::File(file) => file.schema(),
            Self::Stream(stream) => stream.schema(),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::File(file) => file.next(),
            Self::Stream(stream) => stream.next(),
        }
    }
}
