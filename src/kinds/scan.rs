//! Looks in every file for content that runs code when loaded: by content, never by extension, from both
//! ends of the file (a zip is found from its end), and inside archives down to a bounded depth.

use super::pickle::{self, Verdict};
use super::reader::{Budget, Reader};
use super::{Files, Inspection, Source, archive, npy, zip};

const MAX_DEPTH: u8 = 4;
const HEAD: usize = 4 << 10;

pub(super) fn scan(files: &Files, found: &mut Inspection) {
    let mut scan = Scan { budget: &files.budget, found };
    for view in files.views {
        scan.content(view.path, view.source, 0, true);
    }
}

pub(super) struct Scan<'a> {
    pub(super) budget: &'a Budget,
    pub(super) found: &'a mut Inspection,
}

impl Scan<'_> {
    /// Looks at one file or archive member. `whole`: `source` is all of it, not only its beginning.
    pub(super) fn content(&mut self, path: &str, source: &dyn Source, depth: u8, whole: bool) {
        if depth > MAX_DEPTH {
            return self.found.problem(path, "archives are nested too deeply to look into");
        }
        let reader = Reader::new(source, self.budget);
        let head = match reader.head(HEAD) {
            Ok(head) => head,
            Err(error) => return self.found.failed(path, &error),
        };
        match pickle::look(reader, whole) {
            Verdict::Pickle(what) => self.found.finding(path, what),
            Verdict::Broken => self.found.problem(path, "begins like a pickle and breaks off"),
            Verdict::Unfinished => self.found.problem(path, "begins like a pickle and could not be followed"),
            Verdict::Not => {}
        }
        if head.starts_with(npy::MAGIC) {
            match npy::holds_objects(reader) {
                Ok(true) => self.found.finding(path, "NumPy array of pickled Python objects"),
                Ok(false) => {}
                Err(error) => self.found.failed(path, &error),
            }
        }
        if is_python_bytecode(&head) {
            self.found.finding(path, "compiled Python code");
        }
        if let Some(format) = archive::opaque(&head) {
            self.found.problem(path, format!("{format} content cannot be looked into"));
        }
        // A file can be several of these at once, so a failure of one does not spare it the others.
        for look_inside in [zip::scan, archive::scan_compressed, archive::scan_tar] {
            if let Err(error) = look_inside(self, path, reader, &head, depth) {
                self.found.failed(path, &error);
            }
        }
    }
}

/// A `.pyc` (magic number, CR LF, flags, then a marshalled code object) or a bare marshalled code object.
fn is_python_bytecode(head: &[u8]) -> bool {
    let is_code = |bytes: Option<&[u8]>| {
        // TYPE_CODE with or without the reference flag, then the argument counts, all small.
        bytes.is_some_and(|bytes| {
            matches!(bytes.first(), Some(0xe3 | b'c'))
                && bytes
                    .get(1..13)
                    .is_some_and(|counts| counts.chunks(4).all(|count| count[1..] == [0, 0, 0]))
        })
    };
    let has_magic = head.get(2..4) == Some(b"\r\n") && head.get(6..8) == Some(b"\0\0");
    is_code(Some(head)) || has_magic && [8, 12, 16].into_iter().any(|start| is_code(head.get(start..)))
}
