//! Parquet: columns are read apart from each other, a row group at a time.

use super::columnar::{Leaf, descend, leaves, outers};
use super::input::{Input, Window};
use crate::error::{Error, Result};
use arrow_array::ArrayRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use serde_json::Value;
use std::fmt::Display;
use std::sync::Arc;

const ROWS: usize = 8_192;

pub(super) struct ParquetFile {
    input: Arc<dyn Input>,
    metadata: ArrowReaderMetadata,
    pub leaves: Vec<Leaf>,
    /// The structs they lie in.
    pub outers: Vec<Leaf>,
}

impl ParquetFile {
    /// Reads what stands at the end of the file. Errors: it is not a whole Parquet file.
    pub fn open(input: Arc<dyn Input>) -> Result<Self> {
        // What pyarrow adds of its own types may contradict the columns, which makes the reader panic.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(&Window::whole(&input), options);
        let metadata = metadata.map_err(|error| unreadable(input.name(), error))?;
        let mut leaves = leaves(metadata.schema().fields());
        // What pandas keeps of its index is no column.
        leaves.retain(|leaf| !leaf.name.starts_with("__index_level_"));
        let outers = outers(metadata.schema().fields());
        Ok(Self { input, metadata, leaves, outers })
    }

    /// Columns that were categories in pandas, which says so beside the data.
    pub fn categories(&self) -> Vec<String> {
        let said = self.metadata.metadata().file_metadata().key_value_metadata();
        let pandas =
            said.into_iter().flatten().find(|said| said.key == "pandas").and_then(|said| said.value.as_ref());
        let pandas: Option<Value> = pandas.and_then(|text| serde_json::from_str(text).ok());
        let columns = pandas.as_ref().and_then(|pandas| pandas["columns"].as_array()).into_iter().flatten();
        let categories = columns.filter(|column| column["pandas_type"] == "categorical");
        categories.filter_map(|column| column["name"].as_str().map(str::to_owned)).collect()
    }

    pub fn row_groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    pub fn rows(&self, group: usize) -> u64 {
        u64::try_from(self.metadata.metadata().row_group(group).num_rows()).unwrap_or(0)
    }

    /// Reads leaves of a row group, some thousands of rows at a time.
    pub fn read(
        &self,
        group: usize,
        wanted: &[&Leaf],
        each: &mut dyn FnMut(u64, &[ArrayRef]) -> Result<()>,
    ) -> Result<()> {
        let failed = |error: &dyn Display| unreadable(self.input.name(), error);
        let mut roots: Vec<usize> = wanted.iter().filter_map(|leaf| leaf.path.first().copied()).collect();
        roots.sort_unstable();
        roots.dedup();
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots.iter().copied());
        let columns = self.metadata.metadata().row_group(group).columns().iter().enumerate();
        let ends = columns.filter(|(leaf, _)| mask.leaf_included(*leaf)).map(|(_, column)| {
            let (start, length) = column.byte_range();
            start.saturating_add(length)
        });
        let window = Window::new(&self.input, ends.max().unwrap_or(0));
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(window, self.metadata.clone());
        let builder = builder.with_row_groups(vec![group]).with_projection(mask).with_batch_size(ROWS);
        for batch in builder.build().map_err(|error| failed(&error))? {
            let batch = batch.map_err(|error| failed(&error))?;
            let array = |leaf: &&Leaf| {
                let (root, inner) = leaf.path.split_first()?;
                descend(batch.columns().get(roots.binary_search(root).ok()?)?, inner)
            };
            let arrays: Option<Vec<ArrayRef>> = wanted.iter().map(array).collect();
            each(batch.num_rows() as u64, &arrays.ok_or_else(|| failed(&"a column is not where it was"))?)?;
        }
        Ok(())
    }
}

pub(super) fn unreadable(name: &str, why: impl Display) -> Error {
    Error::invalid("table_unreadable", format!("{name} is not a whole Parquet file: {why}"))
        .hint("write the file anew, or leave it out")
}
