//! One or more files of one format.

use super::cell::{Cell, feed, rows_at_once};
use super::columnar::{Leaf, cells, descend, feed_array};
use super::input::{Input, Reader, Window};
use super::ipc::{Batches, IpcFile};
use super::parquet::ParquetFile;
use super::records::{Ends, Records};
use super::{Format, csv, ndjson};
use crate::drift::collect::Collector;
use crate::drift::profile::{Invalid, Kind, MAX_COLUMNS};
use crate::error::{Error, Result};
use arrow_array::{ArrayRef, RecordBatch};
use flate2::read::MultiGzDecoder;
use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;

/// Lines of an NDJSON file that say which columns it has.
const LOOKED_AT: usize = 10_000;

/// How many times longer a packed text usually is.
const UNPACKED: u64 = 16;

pub struct Table {
    format: Format,
    files: Vec<File>,
    names: Vec<String>,
    ambiguous: HashSet<String>,
    categories: HashSet<String>,
    bytes: u64,
}

enum File {
    Parquet(ParquetFile),
    Ipc(IpcFile),
    Csv(TextFile, csv::Header),
    Ndjson(TextFile, Vec<ndjson::Member>),
}

struct TextFile {
    input: Arc<dyn Input>,
}

/// Some rows of a table.
pub(super) struct Chunk<'t> {
    file: &'t File,
    rows: Rows,
}

enum Rows {
    Group(usize),
    Batch(RecordBatch),
    Text(Vec<u8>),
}

/// The values of a column in some rows.
pub(super) enum Values<'a> {
    /// The file has no such column.
    Absent,
    Array(ArrayRef),
    Cells(&'a [Cell<'a>]),
}

impl Table {
    /// Opens files that are read one after the other. Errors: no file, files of several formats, a format nobody can tell,
    /// a file that is not what it says, or too many columns.
    pub fn open(inputs: Vec<Arc<dyn Input>>, format: Option<Format>) -> Result<Self> {
        let nothing = || Error::invalid("table_empty", "there is no file to read");
        let first = inputs.first().ok_or_else(nothing)?.clone();
        let is_said = format.is_some();
        let format = format.map_or_else(|| Format::of(&*first), Ok)?;
        let size = |input: &Arc<dyn Input>| input.len() * if is_packed(&**input) { UNPACKED } else { 1 };
        let bytes = inputs.iter().map(size).sum();
        let mut table = Self {
            format,
            files: vec![],
            names: vec![],
            ambiguous: HashSet::new(),
            categories: HashSet::new(),
            bytes,
        };
        let mut known = HashSet::new();
        for input in &inputs {
            let own = if is_said { format } else { Format::of(&**input)? };
            if own != format {
                let message = format!("{} is {format}, and {} is {own}", first.name(), input.name());
                return Err(
                    Error::invalid("table_format", message).hint("read files of one format at a time")
                );
            }
        }
        for input in inputs {
            let name = input.name().to_owned();
            let file = File::open(input, format)?;
            let mut own = HashSet::new();
            for column in file.names() {
                if !own.insert(column.clone()) {
                    table.ambiguous.insert(column.clone());
                }
                if known.insert(column.clone()) {
                    table.names.push(column);
                }
            }
            if known.len() > MAX_COLUMNS {
                let message = format!("{name} brings the columns to more than {MAX_COLUMNS}");
                return Err(
                    Error::too_large("table_columns", message).hint("leave out what is not monitored")
                );
            }
            if let File::Parquet(parquet) = &file {
                table.categories.extend(parquet.categories());
            }
            table.files.push(file);
        }
        table.share_members();
        Ok(table)
    }

    /// A file of NDJSON may have what only another one's first lines show.
    fn share_members(&mut self) {
        let (mut all, mut known) = (vec![], HashSet::new());
        for file in &self.files {
            let File::Ndjson(_, members) = file else { return };
            all.extend(members.iter().filter(|member| known.insert(member.keys.clone())).cloned());
        }
        for file in &mut self.files {
            if let File::Ndjson(_, members) = file {
                members.clone_from(&all);
            }
        }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    /// The columns of all files, in the order in which they come.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The objects or structs that columns lie in, whose names are the first part of theirs.
    pub fn outers(&self) -> Vec<String> {
        let mut known: HashSet<&String> = self.names.iter().collect();
        let outers: Vec<String> = self.files.iter().flat_map(File::outers).collect();
        let new = outers.iter().filter(|name| known.insert(name));
        new.cloned().collect()
    }

    /// Whether a file has two columns of this name.
    pub fn is_ambiguous(&self, name: &str) -> bool {
        self.ambiguous.contains(name)
    }

    /// Whether a file says that this column is one of categories, whatever its values look like.
    pub(super) fn is_categorical(&self, name: &str) -> bool {
        self.categories.contains(name)
    }

    /// Of all files; of packed ones about as many as they have unpacked.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the files say it.
    pub fn rows(&self) -> Option<u64> {
        self.groups().map(|groups| groups.iter().map(|(file, group)| file.rows(*group)).sum())
    }

    /// Whether columns can be read apart from each other.
    pub fn is_columnar(&self) -> bool {
        self.format == Format::Parquet
    }

    /// The row groups of a table of Parquet.
    fn groups(&self) -> Option<Vec<(&ParquetFile, usize)>> {
        let mut groups = vec![];
        for file in &self.files {
            let File::Parquet(file) = file else { return None };
            groups.extend((0..file.row_groups()).map(|group| (file, group)));
        }
        Some(groups)
    }

    pub(super) fn chunks(&self) -> Chunks<'_> {
        Chunks { files: self.files.iter(), now: None }
    }
}

impl File {
    fn open(input: Arc<dyn Input>, format: Format) -> Result<Self> {
        Ok(match format {
            Format::Parquet => Self::Parquet(ParquetFile::open(input)?),
            Format::ArrowIpc => Self::Ipc(IpcFile::open(input)?),
            Format::Csv => {
                let file = TextFile { input };
                let header = csv::Header::read(file.input.name(), &file.start()?)?;
                Self::Csv(file, header)
            }
            Format::Ndjson => {
                let file = TextFile { input };
                let start = file.start()?;
                let members = ndjson::members(&start, LOOKED_AT);
                if members.is_empty() && !start.trim_ascii().is_empty() {
                    let message =
                        format!("{} has no JSON object on any of its first lines", file.input.name());
                    return Err(Error::invalid("table_unreadable", message)
                        .hint("NDJSON is one object on each line; a single array is not read"));
                }
                Self::Ndjson(file, members)
            }
        })
    }

    fn names(&self) -> Vec<String> {
        match self {
            Self::Parquet(ParquetFile { leaves, .. }) | Self::Ipc(IpcFile { leaves, .. }) => {
                leaves.iter().map(|leaf| leaf.name.clone()).collect()
            }
            Self::Csv(_, header) => header.names.clone(),
            Self::Ndjson(_, members) => members.iter().map(|member| member.name.clone()).collect(),
        }
    }

    fn outers(&self) -> Vec<String> {
        match self {
            Self::Parquet(ParquetFile { outers, .. }) | Self::Ipc(IpcFile { outers, .. }) => {
                outers.iter().map(|leaf| leaf.name.clone()).collect()
            }
            Self::Csv(_, _) => vec![],
            Self::Ndjson(_, members) => ndjson::outers(members).into_iter().map(|outer| outer.name).collect(),
        }
    }
}

impl TextFile {
    /// The text, unpacked.
    fn text(&self) -> Result<Box<dyn Read + Send>> {
        let reader = Reader::new(Window::whole(&self.input));
        Ok(if is_packed(&*self.input) { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) })
    }

    /// The first whole lines.
    fn start(&self) -> Result<Vec<u8>> {
        let mut records = Records::new(self.text()?, self.input.name(), Ends::WithTheLine);
        Ok(records.next()?.unwrap_or_default())
    }
}

/// The chunks of a table in their order, never all at once.
pub(super) struct Chunks<'t> {
    files: std::slice::Iter<'t, File>,
    now: Option<Open<'t>>,
}

enum Open<'t> {
    Groups(&'t File, std::ops::Range<usize>),
    Batches(&'t File, &'t IpcFile, Batches),
    Records(&'t File, Records<Box<dyn Read + Send>>),
}

impl<'t> Chunks<'t> {
    pub fn next(&mut self) -> Result<Option<Chunk<'t>>> {
        loop {
            let chunk = match &mut self.now {
                None => None,
                Some(Open::Groups(file, groups)) => {
                    groups.next().map(|group| Chunk { file, rows: Rows::Group(group) })
                }
                Some(Open::Batches(file, ipc, batches)) => match batches.next() {
                    None => None,
                    Some(Ok(batch)) => Some(Chunk { file, rows: Rows::Batch(batch) }),
                    Some(Err(error)) => return Err(ipc.unreadable(&error)),
                },
                Some(Open::Records(file, records)) => {
                    records.next()?.map(|bytes| Chunk { file, rows: Rows::Text(bytes) })
                }
            };
            if chunk.is_some() {
                return Ok(chunk);
            }
            let Some(file) = self.files.next() else { return Ok(None) };
            self.now = Some(Open::file(file)?);
        }
    }
}

impl<'t> Open<'t> {
    fn file(file: &'t File) -> Result<Self> {
        Ok(match file {
            File::Parquet(parquet) => Self::Groups(file, 0..parquet.row_groups()),
            File::Ipc(ipc) => Self::Batches(file, ipc, ipc.batches()?),
            File::Csv(text, header) => {
                let mut source = text.text()?;
                let read = std::io::copy(&mut source.by_ref().take(header.length), &mut std::io::sink());
                read.map_err(|error| {
                    Error::unavailable(
                        "table_unavailable",
                        format!("cannot read {}: {error}", text.input.name()),
                    )
                })?;
                let ends = Ends::Csv { delimiter: header.delimiter };
                Self::Records(file, Records::new(source, text.input.name(), ends))
            }
            File::Ndjson(text, _) => {
                let records = Records::new(text.text()?, text.input.name(), Ends::WithTheLine);
                Self::Records(file, records)
            }
        })
    }
}

impl Chunk<'_> {
    /// Reads columns, some thousands of rows at a time: as many values for each as there are rows, unless the file has no
    /// such column.
    pub fn read(&self, names: &[&str], each: &mut dyn FnMut(u64, &[Values<'_>]) -> Result<()>) -> Result<()> {
        match (self.file, &self.rows) {
            (File::Parquet(file), Rows::Group(group)) => {
                let columns: Vec<&Leaf> = file.leaves.iter().chain(&file.outers).collect();
                let places = places(names, &columns, |leaf| &leaf.name);
                if places.iter().all(Option::is_none) {
                    let absent: Vec<Values<'_>> = names.iter().map(|_| Values::Absent).collect();
                    return each(file.rows(*group), &absent);
                }
                let leaves: Vec<&Leaf> = places.iter().flatten().map(|place| columns[*place]).collect();
                file.read(*group, &leaves, &mut |rows, arrays| {
                    let mut arrays = arrays.iter();
                    each(rows, &spread(&places, |_| arrays.next().cloned().map(Values::Array)))
                })
            }
            (File::Ipc(file), Rows::Batch(batch)) => {
                let columns: Vec<&Leaf> = file.leaves.iter().chain(&file.outers).collect();
                let places = places(names, &columns, |leaf| &leaf.name);
                // A batch may be the whole file.
                let step = rows_at_once(names.len()).max(256);
                for start in (0..batch.num_rows()).step_by(step) {
                    let rows = batch.slice(start, step.min(batch.num_rows() - start));
                    let array = |place: usize| {
                        let (root, inner) = columns[place].path.split_first()?;
                        descend(rows.columns().get(*root)?, inner).map(Values::Array)
                    };
                    each(rows.num_rows() as u64, &spread(&places, array))?;
                }
                Ok(())
            }
            (File::Csv(_, header), Rows::Text(bytes)) => {
                let columns: Vec<&String> = header.names.iter().collect();
                let places = places(names, &columns, |name| name);
                let wanted: Vec<usize> = places.iter().flatten().copied().collect();
                csv::read(bytes, header, &wanted, &mut |rows, cells| {
                    let mut cells = cells.iter();
                    each(rows, &spread(&places, |_| cells.next().map(|cells| Values::Cells(cells))))
                })
            }
            (File::Ndjson(_, members), Rows::Text(bytes)) => {
                let outers = ndjson::outers(members);
                let columns: Vec<&ndjson::Member> = members.iter().chain(&outers).collect();
                let places = places(names, &columns, |member| &member.name);
                let wanted: Vec<&ndjson::Member> =
                    places.iter().flatten().map(|place| columns[*place]).collect();
                ndjson::read(bytes, &wanted, &mut |rows, cells| {
                    let mut cells = cells.iter();
                    each(rows, &spread(&places, |_| cells.next().map(|cells| Values::Cells(cells))))
                })
            }
            _ => Ok(()),
        }
    }
}

fn is_packed(input: &dyn Input) -> bool {
    input.len() > 2 && input.read_at(0, 2).is_ok_and(|start| start.as_ref() == [0x1f, 0x8b])
}

/// A name that profiles can have: one that is empty becomes that of its place, a very long one is cut.
pub(super) fn column_name(name: &str, place: usize) -> String {
    const MAX: usize = 500;
    match name.trim() {
        "" => format!("column_{}", place + 1),
        name if name.len() > MAX => {
            let end = (0..=MAX).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
            format!("{}…", &name[..end])
        }
        name => name.to_owned(),
    }
}

/// Where each name is first found.
fn places<'c, T>(
    names: &[&str],
    columns: &[&'c T],
    name: impl Fn(&'c T) -> &'c String,
) -> Vec<Option<usize>> {
    names.iter().map(|wanted| columns.iter().position(|column| name(column) == wanted)).collect()
}

fn spread<'a>(
    places: &[Option<usize>],
    mut values: impl FnMut(usize) -> Option<Values<'a>>,
) -> Vec<Values<'a>> {
    places.iter().map(|place| place.and_then(&mut values).unwrap_or(Values::Absent)).collect()
}

impl Values<'_> {
    /// Feeds a column of this kind; what is absent is not fed.
    pub fn feed(&self, kind: Kind, collector: &mut Collector) -> Result<(), Invalid> {
        match self {
            Self::Absent => Ok(()),
            Self::Array(array) => feed_array(array, kind, collector),
            Self::Cells(cells) => feed(cells.iter(), kind, collector),
        }
    }

    /// As many as there are rows; none of a column that is absent.
    pub fn cells(&self) -> Vec<Cell<'_>> {
        match self {
            Self::Absent => vec![],
            Self::Array(array) => cells(array),
            Self::Cells(cells) => cells.to_vec(),
        }
    }

    pub fn each(&self, mut look: impl FnMut(&Cell<'_>)) {
        match self {
            Self::Absent => {}
            Self::Array(array) => cells(array).iter().for_each(look),
            Self::Cells(cells) => cells.iter().for_each(&mut look),
        }
    }
}
