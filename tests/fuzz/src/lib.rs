//! The parsers under test, and what must hold whatever the bytes are.

#[path = "../../../src/error.rs"]
pub mod error;
#[path = "../../../src/kinds/mod.rs"]
pub mod kinds;
#[path = "../../../src/model/mod.rs"]
pub mod model;

use kinds::{FileView, Inspection, Safety, Source};

/// Inspects files twice and checks what every inspection promises: same bytes, same answer; nothing
/// unexplained; a report of bounded size.
pub fn inspect(files: &[(&str, &[u8])]) -> Inspection {
    let sources: Vec<Vec<u8>> = files.iter().map(|(_, bytes)| bytes.to_vec()).collect();
    let views: Vec<FileView> = files
        .iter()
        .zip(&sources)
        .map(|((path, _), source)| FileView { path, source: source as &dyn Source })
        .collect();
    let found = kinds::inspect(&views);
    assert_eq!(found, kinds::inspect(&views));
    assert_eq!(found.safety == Safety::Unsafe, !found.findings.is_empty());
    assert_eq!(found.safety == Safety::Safe, found.findings.is_empty() && found.problems.is_empty());
    assert_eq!(found.kind, kinds::detect(&views).expect("sources in memory can be read"));
    let report = serde_json::to_string(&found).expect("a report is JSON");
    assert!(report.len() < 4 << 20, "a report of {} bytes", report.len());
    assert_eq!(serde_json::from_str::<Inspection>(&report).expect("a report reads back"), found);
    found
}
