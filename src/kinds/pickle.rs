//! Recognises Python pickles by walking their opcodes (protocols 0 to 5, facts of CPython's
//! `pickletools`) without building anything. The walk is never stricter than CPython's reader: a stream
//! that would run code before it breaks must be seen even if the rest is garbage.

use super::inspection::bounded;
use super::reader::{Cursor, Reader, malformed};
use crate::error::Result;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

const MAX_OPCODES: u64 = 1_000_000;
const MAX_IMPORTS: usize = 32;
/// How much of a string is kept: it may become the name of an import.
const KEPT: usize = 200;

pub(super) enum Verdict {
    Not,
    /// Begins as pickles do and breaks off before it does anything.
    Broken,
    /// Could not be followed to its end.
    Unfinished,
    Pickle(String),
}

/// Walks the stream from its first byte. `whole`: the source is all there is, not a prefix of it.
pub(super) fn look(reader: Reader, whole: bool) -> Verdict {
    let mut walk = Walk::new(reader.cursor());
    let end = walk.run();
    let headed = walk.headed;
    let unfinished = match &end {
        Ok(()) => walk.opcodes >= MAX_OPCODES || !whole,
        Err(error) if error.code == "artifact_malformed" => !whole && walk.cursor.remaining() == 0,
        Err(_) => true,
    };
    let all_of_file = end.is_ok() && walk.cursor.remaining() == 0;
    let acts = walk.acted || walk.stops > 0 && (headed || !walk.imports.is_empty() || all_of_file);
    if acts || headed && !walk.imports.is_empty() {
        Verdict::Pickle(walk.description())
    } else if unfinished && walk.opcodes > 0 {
        Verdict::Unfinished
    } else if headed && walk.opcodes > 3 {
        Verdict::Broken
    } else {
        Verdict::Not
    }
}

#[derive(Clone)]
enum Item {
    Mark,
    Text(Rc<str>),
    Import,
    Other,
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    stack: Vec<Item>,
    memo: HashMap<u64, Item>,
    imports: BTreeSet<String>,
    protocol: u8,
    /// The stream begins with the header of protocols 2 and later.
    headed: bool,
    /// An opcode that calls something imported was reached.
    acted: bool,
    stops: u64,
    opcodes: u64,
}

impl<'a> Walk<'a> {
    fn new(cursor: Cursor<'a>) -> Self {
        Self {
            cursor,
            stack: Vec::new(),
            memo: HashMap::new(),
            imports: BTreeSet::new(),
            protocol: 0,
            headed: false,
            acted: false,
            stops: 0,
            opcodes: 0,
        }
    }

    /// Goes on after a STOP: files may hold several streams one after another, as torch once wrote.
    fn run(&mut self) -> Result<()> {
        while self.cursor.remaining() > 0 && self.opcodes < MAX_OPCODES {
            let opcode = self.cursor.byte()?;
            self.step(opcode)?;
            self.opcodes += 1;
        }
        Ok(())
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            b'(' => self.push(Item::Mark),
            b'.' => {
                self.pop(1)?;
                self.stops += 1;
                self.stack.clear();
                self.memo.clear();
            }
            b'0' => self.pop(1)?,
            b'1' => self.pop_mark()?,
            b'2' => self.push(self.stack.last().cloned().ok_or_else(underflow)?),
            b'F' => self.number_line(b"+-.eEinfatyINFATY_")?,
            b'I' => self.number_line(b"+-xXoObBacdefACDEF_")?,
            b'L' => self.number_line(b"+-xXoObBacdefACDEF_lL")?,
            b'S' => {
                let line = self.cursor.line(KEPT)?;
                match line.split_first() {
                    Some((b'\'' | b'"', text)) => {
                        self.push_text(text.strip_suffix(&[line[0]]).unwrap_or(text))
                    }
                    _ => return Err(malformed("an unquoted string")),
                }
            }
            b'V' => {
                let line = self.cursor.line(KEPT)?;
                self.push_text(&line);
            }
            b'P' => {
                self.cursor.line(0)?;
                self.push(Item::Other);
            }
            b'N' | 0x88 | 0x89 => self.push(Item::Other),
            b'K' => self.fixed(1)?,
            b'M' => self.fixed(2)?,
            b'J' => self.fixed(4)?,
            b'G' => self.fixed(8)?,
            b'U' | 0x8c => self.counted::<1>()?,
            b'T' | b'X' => self.counted::<4>()?,
            0x8d => self.counted::<8>()?,
            b'C' | 0x8a => self.blob::<1>()?,
            b'B' | 0x8b => self.blob::<4>()?,
            0x8e | 0x96 => self.blob::<8>()?,
            b']' | b'}' | b')' | 0x8f | 0x97 => self.push(Item::Other),
            b'l' | b'd' | b't' | 0x91 => {
                self.pop_mark()?;
                self.push(Item::Other);
            }
            0x85..=0x87 => self.reduce_to_one(usize::from(opcode - 0x84))?,
            b'Q' => self.reduce_to_one(1)?,
            b'a' => self.apply(1)?,
            b's' => self.apply(2)?,
            b'b' => self.apply(1)?,
            b'e' | b'u' | 0x90 => {
                self.pop_mark()?;
                self.stack.last().ok_or_else(underflow)?;
                self.acted |= !self.imports.is_empty();
            }
            b'g' | b'p' => {
                let line = self.cursor.line(KEPT)?;
                let key = std::str::from_utf8(&line).ok().and_then(|text| text.trim().parse().ok());
                let key = key.ok_or_else(|| malformed("a memo key that is no number"))?;
                if opcode == b'g' { self.recall(key)? } else { self.remember(key)? }
            }
            b'h' | b'j' | b'q' | b'r' => {
                let key = match opcode {
                    b'h' | b'q' => u64::from(self.cursor.byte()?),
                    _ => u64::from(self.cursor.u32_le()?),
                };
                if matches!(opcode, b'h' | b'j') { self.recall(key)? } else { self.remember(key)? }
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            b'c' | b'i' => {
                let (module, name) = (self.cursor.line(KEPT)?, self.cursor.line(KEPT)?);
                let (Ok(module), Ok(name)) = (std::str::from_utf8(&module), std::str::from_utf8(&name))
                else {
                    return Err(malformed("an import that is not text"));
                };
                if module.is_empty() || format!("{module}{name}").contains(char::is_control) {
                    return Err(malformed("an import without a name"));
                }
                if opcode == b'i' {
                    self.pop_mark()?;
                    self.acted = true;
                }
                self.import(module, name);
            }
            0x93 => {
                let text = |item: Option<Item>| match item {
                    Some(Item::Text(text)) => Ok(text),
                    Some(_) => Ok("?".into()),
                    None => Err(underflow()),
                };
                let name = text(self.stack.pop())?;
                let module = text(self.stack.pop())?;
                self.import(&module, &name);
            }
            b'R' | 0x81 => self.call(2)?,
            0x92 => self.call(3)?,
            b'o' => {
                self.pop_mark()?;
                self.call(0)?;
            }
            0x82..=0x84 => {
                self.cursor.skip([1, 2, 4][usize::from(opcode - 0x82)])?;
                self.call(0)?;
            }
            0x80 => {
                let protocol = self.cursor.byte()?;
                if protocol > 5 {
                    return Err(malformed("a pickle protocol that does not exist"));
                }
                self.headed |= self.opcodes == 0;
                self.protocol = self.protocol.max(protocol);
            }
            0x95 => self.cursor.skip(8)?,
            0x98 => {}
            _ => return Err(malformed("not a pickle opcode")),
        }
        Ok(())
    }

    fn push(&mut self, item: Item) {
        self.stack.push(item);
    }

    fn push_text(&mut self, bytes: &[u8]) {
        self.push(Item::Text(String::from_utf8_lossy(bytes).into()));
    }

    fn pop(&mut self, count: usize) -> Result<()> {
        let left = self.stack.len().checked_sub(count).ok_or_else(underflow)?;
        self.stack.truncate(left);
        Ok(())
    }

    fn pop_mark(&mut self) -> Result<()> {
        let mark = self.stack.iter().rposition(|item| matches!(item, Item::Mark)).ok_or_else(underflow)?;
        self.stack.truncate(mark);
        Ok(())
    }

    fn reduce_to_one(&mut self, count: usize) -> Result<()> {
        self.pop(count)?;
        self.push(Item::Other);
        Ok(())
    }

    fn call(&mut self, operands: usize) -> Result<()> {
        self.pop(operands)?;
        self.acted = true;
        self.push(Item::Other);
        Ok(())
    }

    /// APPEND, SETITEM, BUILD: run code if what they are applied to was imported. A word list whose lines
    /// begin with `c` reads like imports only, so an import as the operand does not count.
    fn apply(&mut self, operands: usize) -> Result<()> {
        let operand_is_import = matches!(self.stack.last(), Some(Item::Import));
        self.pop(operands)?;
        self.stack.last().ok_or_else(underflow)?;
        self.acted |= !self.imports.is_empty() && !operand_is_import;
        Ok(())
    }

    fn fixed(&mut self, length: u64) -> Result<()> {
        self.cursor.skip(length)?;
        self.push(Item::Other);
        Ok(())
    }

    fn length<const N: usize>(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        bytes[..N].copy_from_slice(&self.cursor.array::<N>()?);
        Ok(u64::from_le_bytes(bytes))
    }

    fn counted<const N: usize>(&mut self) -> Result<()> {
        let length = self.length::<N>()?;
        let text = self.cursor.bytes(length, KEPT)?;
        self.push_text(&text);
        Ok(())
    }

    fn blob<const N: usize>(&mut self) -> Result<()> {
        let length = self.length::<N>()?;
        self.fixed(length)
    }

    fn number_line(&mut self, besides_digits: &[u8]) -> Result<()> {
        let line = self.cursor.line(KEPT)?;
        let allowed =
            |byte: &u8| byte.is_ascii_digit() || byte.is_ascii_whitespace() || besides_digits.contains(byte);
        if line.is_empty() || !line.iter().all(allowed) {
            return Err(malformed("a number that is none"));
        }
        self.push(Item::Other);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<()> {
        let item =
            self.memo.get(&key).cloned().ok_or_else(|| malformed("a memo entry that was never made"))?;
        self.push(item);
        Ok(())
    }

    fn remember(&mut self, key: u64) -> Result<()> {
        let item = self.stack.last().cloned().ok_or_else(underflow)?;
        self.memo.insert(key, item);
        Ok(())
    }

    fn import(&mut self, module: &str, name: &str) {
        if self.imports.len() < MAX_IMPORTS {
            self.imports.insert(bounded(&format!("{module}.{name}")));
        }
        self.push(Item::Import);
    }

    fn description(&self) -> String {
        let imports: Vec<&str> = self.imports.iter().map(String::as_str).collect();
        match imports.is_empty() {
            true => format!("pickle, protocol {}, names no import", self.protocol),
            false => format!("pickle, protocol {}, imports {}", self.protocol, imports.join(", ")),
        }
    }
}

fn underflow() -> crate::error::Error {
    malformed("an opcode without its operands")
}

#[cfg(test)]
mod tests {
    use super::super::Safety;
    use super::super::reader::Budget;
    use super::super::tests::safety_of;
    use super::*;

    fn described(bytes: &[u8]) -> String {
        match look(Reader::new(&bytes.to_vec(), &Budget::for_files(1)), true) {
            Verdict::Pickle(what) => what,
            Verdict::Broken => "broken".into(),
            Verdict::Unfinished => "unfinished".into(),
            Verdict::Not => "not".into(),
        }
    }

    #[test]
    fn imports_are_named_however_their_names_are_put_on_the_stack() {
        for stream in [
            &b"cos\nsystem\n(S'id'\ntR."[..],
            b"(S'id'\nios\nsystem\n.",
            b"(cos\nsystem\nS'id'\no.",
            b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.",
            b"\x80\x04X\x02\0\0\0osU\x06system\x93)R.",
            b"\x80\x04\x8d\x02\0\0\0\0\0\0\0osVsystem\n\x93)\x81.",
            b"\x80\x05\x95\x00\x00\x00\x00\x00\x00\x00\x00cos\nsystem\n)}\x92.",
            b"N0]0}0I1\n0cos\nsystem\nN\x85R",
        ] {
            assert!(described(stream).ends_with("imports os.system"), "{stream:?}: {}", described(stream));
        }
        assert_eq!(described(b"\x80\x02\x82\x01."), "pickle, protocol 2, names no import");
    }

    #[test]
    fn code_that_runs_before_the_stream_breaks_is_found() {
        for end in [&b""[..], b"\xff", b"0000000", b"cos", b"B\xff\xff\xff\xff"] {
            assert_eq!(safety_of(&[b"cos\ngetpid\n)R", end].concat()), Safety::Unsafe, "{end:?}");
            assert_eq!(safety_of(&[b"\x80\x02cos\ngetpid\n", end].concat()), Safety::Unsafe, "{end:?}");
        }
        assert_eq!(safety_of(b"csys\npath\nS'evil'\na"), Safety::Unsafe, "APPEND calls the import's method");
    }

    #[test]
    fn what_the_reader_of_python_refuses_at_once_is_no_pickle() {
        for harmless in [
            &b"R."[..],
            b"cos\nsystem\nR",
            b".",
            b"0.",
            b"h\x01.",
            b"g1\n.",
            b"Snot quoted\n.",
            b"Ione\n.",
            b"(.x",
            b"\x80\x06N.",
            b"\x80\x02",
            b"cos\nsystem",
            b"certifi\ncharset\n",
        ] {
            assert_eq!(described(harmless), "not", "{harmless:?}");
            assert_eq!(safety_of(harmless), Safety::Safe, "{harmless:?}");
        }
        assert_eq!(described(b"\x80\x02NNNN\xff"), "broken");
    }

    #[test]
    fn streams_too_long_to_follow_are_unknown() {
        assert_eq!(safety_of(&b"N0".repeat(600_000)), Safety::Unknown);
        let prefix = b"N0N0N0".to_vec();
        assert!(matches!(look(Reader::new(&prefix, &Budget::for_files(1)), false), Verdict::Unfinished));
    }
}
