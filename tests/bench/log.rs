//! Fills a log for the benchmark, and hashes an export of it: what verifying is compared with.
//!
//! `log fill DATA_DIR COUNT` appends events to the SQLite registry there, each with a checkpoint of its own, as if each
//! were a transaction. `log hash EXPORT` prints the seconds for hashing its lines, on one thread, from memory.
#![allow(clippy::print_stdout)]

use gradus::{
    config::Config,
    db::{Db, log},
    error::{Error, Result},
    model::{digest::Digest, event::Change, merkle},
    ops::start::{Secret, check_secret},
};
use std::{path::Path, time::Instant};

/// Events in one SQL transaction.
const AT_ONCE: u64 = 20_000;

async fn fill(directory: &Path, count: u64) -> Result<()> {
    let db = Db::sqlite(&directory.join("gradus.db")).await?;
    check_secret(&db, &Secret::load(&Config::default(), directory, false)?).await?;
    let (admin, workload) = ("admin".parse()?, "acme/ticket-triage".parse()?);
    let mut from = None;
    for start in (0..count).step_by(AT_ONCE as usize) {
        let mut tx = db.write().await?;
        for number in start..(start + AT_ONCE).min(count) {
            let to = Digest::sha256(&number.to_be_bytes());
            let alias = "champion".to_owned();
            let change = Change::AliasSet {
                workload: Clone::clone(&workload),
                alias,
                from: from.replace(to.clone()),
                to,
            };
            log::append(&mut tx, chrono::Utc::now(), &admin, vec![change]).await?;
        }
        tx.commit().await?;
    }
    db.close().await;
    Ok(())
}

fn hash(file: &Path) -> Result<()> {
    let bytes = std::fs::read(file)?;
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let began = Instant::now();
    for line in &lines {
        std::hint::black_box(merkle::leaf(line));
    }
    println!("{}", began.elapsed().as_secs_f64());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let given: Vec<String> = std::env::args().skip(1).collect();
    match given.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", directory, count] => {
            let count = count.parse().map_err(|_| Error::invalid("usage", "COUNT is a number"))?;
            fill(Path::new(directory), count).await
        }
        ["hash", file] => hash(Path::new(file)),
        _ => Err(Error::invalid("usage", "log fill DATA_DIR COUNT, or log hash EXPORT")),
    }
}
