//! Only decodes a Parquet file, column by column on all cores: the limit that a profile of it is measured against.

#![allow(clippy::print_stdout)]

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};

fn main() {
    let path = std::env::args().nth(1).expect("a file");
    let file = File::open(&path).expect("the file");
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).expect("Parquet");
    let columns = metadata.schema().fields().len();
    let groups = metadata.metadata().num_row_groups();
    let (next, values) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let decode = || loop {
        let task = next.fetch_add(1, Ordering::Relaxed);
        if task >= columns * groups {
            return;
        }
        let file = File::open(&path).expect("the file");
        let mask = ProjectionMask::roots(metadata.parquet_schema(), [task / groups]);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
            .with_row_groups(vec![task % groups])
            .with_projection(mask)
            .with_batch_size(8_192)
            .build()
            .expect("a reader");
        for batch in reader {
            values.fetch_add(batch.expect("a batch").num_rows(), Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (0..cores).for_each(|_| drop(scope.spawn(decode)));
    });
    println!("{}", values.into_inner());
}
