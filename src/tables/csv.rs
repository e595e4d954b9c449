//! CSV: a header, and then untyped text.

use super::cell::{Cell, Rows, rows_at_once};
use super::table::column_name;
use crate::error::{Error, Result};
use csv::{ByteRecord, ReaderBuilder};

#[derive(Clone, Debug)]
pub(super) struct Header {
    pub names: Vec<String>,
    pub delimiter: u8,
    /// Bytes of the file up to the first row.
    pub length: u64,
}

impl Header {
    /// From the beginning of a file. Errors: names that are no text. A file without any bytes has no columns.
    pub fn read(name: &str, start: &[u8]) -> Result<Self> {
        let mark: &[u8] = b"\xef\xbb\xbf";
        let text = start.strip_prefix(mark).unwrap_or(start);
        let delimiter = delimiter(text);
        let mut reader = ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(text);
        let mut record = ByteRecord::new();
        let unreadable = |why: &str| Error::invalid("table_unreadable", format!("{name} is not CSV: {why}"));
        reader.read_byte_record(&mut record).map_err(|error| unreadable(&error.to_string()))?;
        let names: Result<Vec<_>, _> = record.iter().map(|field| String::from_utf8(field.to_vec())).collect();
        let names = names.map_err(|_| unreadable("its first line is not UTF-8"))?;
        let names = names.into_iter().enumerate().map(|(place, name)| column_name(&name, place));
        let length = reader.position().byte() + (start.len() - text.len()) as u64;
        Ok(Self { names: names.collect(), delimiter, length })
    }
}

/// What the header has most of, outside of quotes.
fn delimiter(text: &[u8]) -> u8 {
    let mut is_quoted = false;
    let outside = |byte: &&u8| {
        is_quoted ^= **byte == b'"';
        !is_quoted
    };
    let header: Vec<u8> = text.iter().filter(outside).copied().take_while(|byte| *byte != b'\n').collect();
    let count = |delimiter: &u8| header.iter().filter(|byte| *byte == delimiter).count();
    // Of equals the last is found, and should be the first.
    *b"|;\t,".iter().max_by_key(|delimiter| count(delimiter)).unwrap_or(&b',')
}

/// Reads the columns at these places out of a chunk of rows, some thousands of rows at a time. A row that has more fields
/// than the header cannot be read; fields that a row lacks are missing.
pub(super) fn read(chunk: &[u8], header: &Header, places: &[usize], each: &mut Rows<'_>) -> Result<()> {
    let mut builder = ReaderBuilder::new();
    let builder = builder.has_headers(false).flexible(true).delimiter(header.delimiter);
    let mut reader = builder.from_reader(chunk);
    let mut rows = vec![ByteRecord::new(); rows_at_once(header.names.len())];
    loop {
        let mut count = 0;
        let unreadable = |error: csv::Error| Error::invalid("table_unreadable", format!("not CSV: {error}"));
        while count < rows.len() && reader.read_byte_record(&mut rows[count]).map_err(unreadable)? {
            count += 1;
        }
        if count == 0 {
            return Ok(());
        }
        let column = |place: &usize| rows[..count].iter().map(|row| field(row, *place, header)).collect();
        each(count as u64, &places.iter().map(column).collect::<Vec<_>>())?;
    }
}

fn field<'a>(row: &'a ByteRecord, place: usize, header: &Header) -> Cell<'a> {
    match row.get(place) {
        _ if row.len() > header.names.len() => Cell::Other,
        None => Cell::Missing,
        Some(field) => std::str::from_utf8(field).map_or(Cell::Other, Cell::untyped),
    }
}
