//! Walks the protobuf wire format field by field: <https://protobuf.dev/programming-guides/encoding/>.
//! Nothing is copied unless asked for; what is not asked for is skipped without being read.

use super::reader::{Cursor, Reader, malformed};
use crate::error::Result;

const MAX_FIELDS: u64 = 4_000_000;

pub(super) struct Wire<'a> {
    cursor: Cursor<'a>,
    fields: u64,
}

/// A field's number and value. The bytes of a length-delimited field come next in the stream: the caller
/// reads, enters or skips them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    Varint(u64),
    Fixed,
    Length(u64),
}

impl<'a> Wire<'a> {
    pub(super) fn new(reader: Reader<'a>) -> Self {
        Self { cursor: reader.cursor(), fields: 0 }
    }

    pub(super) fn position(&self) -> u64 {
        self.cursor.position()
    }

    /// The position at which a message of `length` bytes that starts here ends; it must lie in `outer`.
    pub(super) fn end_of(&self, length: u64, outer: u64) -> Result<u64> {
        let end = self.position().checked_add(length).filter(|end| *end <= outer);
        end.ok_or_else(|| malformed("a field is longer than its message"))
    }

    /// The next field of the message that ends at `end`, or nothing at its end. Fixed-size values are
    /// passed over here.
    pub(super) fn field(&mut self, end: u64) -> Result<Option<(u64, Value)>> {
        if self.position() >= end {
            return if self.position() == end {
                Ok(None)
            } else {
                Err(malformed("a field is longer than its message"))
            };
        }
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(malformed("more fields than are looked at"));
        }
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number >= 1 << 29 {
            return Err(malformed("a field number that cannot be"));
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => {
                self.skip(8, end)?;
                Value::Fixed
            }
            5 => {
                self.skip(4, end)?;
                Value::Fixed
            }
            2 => {
                let length = self.varint()?;
                self.end_of(length, end)?;
                Value::Length(length)
            }
            wire_type => return Err(malformed(format!("unknown wire type: {wire_type}"))),
        };
        Ok(Some((number, value)))
    }

    pub(super) fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.cursor.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed("a number that does not fit 64 bits"))
    }

    pub(super) fn skip(&mut self, length: u64, end: u64) -> Result<()> {
        self.end_of(length, end)?;
        self.cursor.skip(length)
    }

    /// Passes over the bytes of a value that is not used.
    pub(super) fn pass(&mut self, value: Value) -> Result<()> {
        match value {
            Value::Length(length) => self.cursor.skip(length),
            Value::Varint(_) | Value::Fixed => Ok(()),
        }
    }

    /// A string field; only the first `keep` bytes are kept.
    pub(super) fn text(&mut self, value: Value, keep: usize) -> Result<String> {
        match value {
            Value::Length(length) => {
                let bytes = self.cursor.bytes(length, keep)?;
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            }
            Value::Varint(_) | Value::Fixed => Err(malformed("a text field without text")),
        }
    }
}
