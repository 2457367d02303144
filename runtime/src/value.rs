//! Values, rows and keys of a read model, as host and store see them.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

mod packed;

pub use packed::{Packed, compare, fetch, fields};

/// One column of one row. JSON columns hold [`Value::Text`].
#[derive(Debug, Clone)]
pub enum Value {
    /// No value; only in nullable columns.
    Null,
    /// Stored as 0 or 1.
    Boolean(bool),
    /// 64 bits, signed.
    Integer(i64),
    /// 64-bit IEEE 754; compared bit by bit, so that equal means the same bytes on disk.
    Real(f64),
    /// UTF-8.
    Text(String),
    /// Any bytes.
    Blob(Vec<u8>),
}

/// The values of a row in the order of the table's columns.
pub type Row = Vec<Value>;

/// The values of a primary key in the order of the key's columns.
pub type Key = Vec<Value>;

impl Value {
    /// Bytes this value occupies in memory, roughly.
    pub fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Text(text) => text.len(),
                Self::Blob(bytes) => bytes.len(),
                _ => 0,
            }
    }

    /// Its type and size, for messages: never the data itself, which may be long or private.
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Boolean(_) => "a boolean".into(),
            Self::Integer(_) => "an integer".into(),
            Self::Real(_) => "a real".into(),
            Self::Text(text) => format!("a text of {} bytes", text.len()),
            Self::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
        }
    }

    /// A type's place in SQLite's ordering across types.
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => 1,
            Self::Integer(_) => 2,
            Self::Real(_) => 3,
            Self::Text(_) => 4,
            Self::Blob(_) => 5,
        }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Blob(a), Self::Blob(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Null => {}
            Self::Boolean(v) => v.hash(state),
            Self::Integer(v) => v.hash(state),
            Self::Real(v) => v.to_bits().hash(state),
            Self::Text(v) => v.hash(state),
            Self::Blob(v) => v.hash(state),
        }
    }
}
