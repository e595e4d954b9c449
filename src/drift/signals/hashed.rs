//! Values that are told apart without being told: of each only a keyed hash is looked at.

use super::{Derived, Field, Kind, Signal, Text, Value};
use ring::hmac;
use std::fmt;

const SUFFIX: &str = ":hashed";

/// What values are hashed with. Without it nobody can try which value has which hash.
#[derive(Clone)]
pub struct HashKey {
    key: hmac::Key,
    id: String,
}

impl HashKey {
    pub fn new(bytes: &[u8; 32]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, bytes);
        let id = hexadecimal(&hmac::sign(&key, b"gradus drift key id").as_ref()[..4]);
        Self { key, id }
    }

    /// Names the key, and does not tell it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What profiles say of columns that were hashed with it.
    pub fn version(&self) -> String {
        format!("HMAC-SHA-256 with key {}", self.id)
    }

    /// 64 bits of HMAC-SHA-256 over the column's name, a zero byte and the value. The same value in another column has another
    /// hash.
    fn hash(&self, column: &str, value: &str) -> String {
        let mut context = hmac::Context::with_key(&self.key);
        [column.as_bytes(), &[0], canonical(value).as_bytes()]
            .into_iter()
            .for_each(|part| context.update(part));
        format!("#{}", hexadecimal(&context.sign().as_ref()[..8]))
    }
}

impl fmt::Debug for HashKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("HashKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Derived {
    /// The hashes of a column, or of a field of one: `email:hashed`, `output:$.customer:hashed`.
    pub fn hashed(column: &str, key: &HashKey) -> Self {
        let (source, field) = match Self::field(column) {
            Some((source, field)) => (source, Some(field)),
            None => (column.to_owned(), None),
        };
        let (name, key) = (column.to_owned(), key.clone());
        let version = key.version();
        let rule = move |text: &Text<'_>| {
            let value = match &field {
                Some(field) => field.of(text),
                None => Value::label(text.as_str().to_owned()),
            };
            match value {
                Value::Label(text) => Value::label(key.hash(&name, &text)),
                Value::Number(number) => Value::label(key.hash(&name, &number.to_string())),
                Value::Boolean(value) => Value::label(key.hash(&name, &value.to_string())),
                other => other,
            }
        };
        let about = "a keyed hash in the place of a value that is not to be told";
        let signal = Signal::new("hashed", Kind::Categorical, about, rule).with_version(&version);
        Self { name: Self::hash_of(column), source, signal }
    }

    /// How the column of a column's hashes is called.
    pub fn hash_of(column: &str) -> String {
        format!("{column}{SUFFIX}")
    }

    /// The column and the field in it that a name such as `output:$.customer` means.
    pub fn field(name: &str) -> Option<(String, Field)> {
        let (column, path) = name.split_at(name.find(":$")?);
        Some((column.to_owned(), Field::parse(&path[1..]).ok()?))
    }

    /// The column whose hashes a column of this name holds.
    pub fn hashes_of(name: &str) -> Option<&str> {
        name.strip_suffix(SUFFIX)
    }
}

/// One value is written as `1.5`, `1.50` or `15e-1`, and as `true` or `True`, in different formats.
fn canonical(value: &str) -> String {
    match value.trim() {
        "True" | "TRUE" => "true".to_owned(),
        "False" | "FALSE" => "false".to_owned(),
        text if text.contains('.') || text.contains("e-") => {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.map_or_else(|| value.to_owned(), |number| number.to_string())
        }
        _ => value.to_owned(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
