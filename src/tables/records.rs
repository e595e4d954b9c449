//! Cutting text into chunks of whole records.

use crate::error::{Error, Result};
use memchr::{memchr2_iter, memrchr};
use std::io::{ErrorKind, Read};

const CHUNK: usize = 4 << 20;
/// The longest record. A quote that is never closed would otherwise make one of all that follows.
const RECORD_MAX: usize = 16 << 20;

/// Where a record ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ends {
    WithTheLine,
    /// With the line, but for lines within quotes.
    Csv {
        delimiter: u8,
    },
}

/// Chunks of some megabytes, the same for the same text.
pub(super) struct Records<R> {
    source: R,
    name: String,
    ends: Ends,
    rest: Vec<u8>,
    is_done: bool,
}

impl<R: Read> Records<R> {
    pub fn new(source: R, name: &str, ends: Ends) -> Self {
        Self { source, name: name.to_owned(), ends, rest: vec![], is_done: false }
    }

    /// The next chunk. Errors: what reading gave, or a record that is too long.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut chunk = std::mem::take(&mut self.rest);
        for length in (CHUNK..=RECORD_MAX).step_by(CHUNK) {
            let wanted = length.saturating_sub(chunk.len()) as u64;
            let read = self.source.by_ref().take(wanted).read_to_end(&mut chunk);
            self.is_done = (read.map_err(|error| self.unreadable(&error))? as u64) < wanted;
            if self.is_done {
                return Ok((!chunk.is_empty()).then_some(chunk));
            }
            if let Some(end) = self.ends.last(&chunk) {
                self.rest = chunk.split_off(end);
                return Ok(Some(chunk));
            }
        }
        let message = format!("{} has a record of more than {} MiB", self.name, RECORD_MAX >> 20);
        Err(Error::invalid("table_unreadable", message).hint(match self.ends {
            Ends::WithTheLine => "each line is a record; a single array is not read",
            Ends::Csv { .. } => "is there a quote that is never closed?",
        }))
    }

    fn unreadable(&self, error: &std::io::Error) -> Error {
        let message = format!("cannot read {}: {error}", self.name);
        match error.kind() {
            // Of a compressed file.
            ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                Error::invalid("table_unreadable", message)
            }
            _ => Error::unavailable("table_unavailable", message),
        }
    }
}

impl Ends {
    /// The end of the last record that ends within bytes that begin with a record.
    fn last(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::WithTheLine => memrchr(b'\n', bytes).map(|at| at + 1),
            Self::Csv { delimiter } => last_csv(bytes, delimiter),
        }
    }
}

/// A quote opens only where a field begins, and two in a row within quotes stand for one.
fn last_csv(bytes: &[u8], delimiter: u8) -> Option<usize> {
    let (mut is_quoted, mut closed_at, mut end) = (false, None, None);
    for at in memchr2_iter(b'"', b'\n', bytes) {
        if bytes[at] == b'\n' {
            end = if is_quoted { end } else { Some(at + 1) };
        } else if is_quoted {
            (is_quoted, closed_at) = (false, Some(at));
        } else {
            let before = at.checked_sub(1);
            let begins = before.is_none_or(|before| [delimiter, b'\n', b'\r'].contains(&bytes[before]));
            is_quoted = begins || (closed_at.is_some() && closed_at == before);
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(text: &[u8], ends: Ends) -> Result<Vec<Vec<u8>>> {
        let mut records = Records::new(text, "t", ends);
        std::iter::from_fn(|| records.next().transpose()).collect()
    }

    #[test]
    fn no_record_is_cut() {
        let record = b"1,\"two\nlines, and \"\"quotes\"\"\",5\" disk\r\n";
        let text = record.repeat(3 * CHUNK / record.len());
        let chunks = chunks(&text, Ends::Csv { delimiter: b',' }).unwrap();
        assert_eq!((chunks.len(), chunks.concat() == text), (3, true));
        assert!(chunks.iter().all(|chunk| chunk.starts_with(b"1,\"two") && chunk.ends_with(b"disk\r\n")));
    }

    #[test]
    fn the_last_record_needs_no_end_and_nothing_has_no_chunk() {
        assert_eq!(chunks(b"{}\n{}", Ends::WithTheLine).unwrap(), [b"{}\n{}".to_vec()]);
        assert!(chunks(b"", Ends::WithTheLine).unwrap().is_empty());
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_somewhere() {
        let text = [b"a\n\"".to_vec(), b"x\n".repeat(RECORD_MAX)].concat();
        assert_eq!(chunks(&text, Ends::Csv { delimiter: b',' }).unwrap_err().code, "table_unreadable");
    }
}
