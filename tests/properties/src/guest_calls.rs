//! Everything a guest may ask of its read model, in any order, beside a plain map.

use std::collections::BTreeMap;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use foldline::definition::{Definition, Table};
use foldline::guest::{GuestCalls, GuestFault, GuestLimits};
use foldline::store::memory::{MemoryReadModel, MemoryStore};
use foldline::store::{Checkpoint, ReadModelStore as _};
use foldline::value::{Packed, Row, Value};

use crate::row::is_said;
use crate::tables::definition;

const LIMITS: GuestLimits = GuestLimits {
    module_bytes: 0,
    memory_bytes: 0,
    call: Duration::ZERO,
    changes: 8,
    change_bytes: 400,
    row_bytes: 200,
    find_rows: 3,
    find_bytes: 600,
    log_lines: 3,
    batches: 0,
};

/// Longest text of a log line or a rejection that is kept, in bytes.
const TEXT_BYTES: usize = 4096;

#[derive(Debug, Arbitrary)]
enum Call {
    Get(u32, Sent),
    Find(u32, u32, Sent, u32),
    Put(u32, Sent),
    Delete(u32, Sent),
    Log(String),
    Reject(u32, String, u8),
    /// The call fails.
    Undo,
    /// The call succeeds and another one begins.
    Next,
    /// The same, and everything is committed.
    Commit,
}

/// What a guest sends: any bytes, or a row or key that has a chance of being one.
#[derive(Debug, Arbitrary)]
enum Sent {
    Bytes(Vec<u8>),
    Values(Vec<Sample>),
    Row(u8, u8),
    Key(u8),
}

#[derive(Debug, Clone, Arbitrary)]
enum Sample {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl From<Sample> for Value {
    fn from(sample: Sample) -> Self {
        match sample {
            Sample::Null => Self::Null,
            Sample::Boolean(v) => Self::Boolean(v),
            Sample::Integer(v) => Self::Integer(v),
            Sample::Real(v) => Self::Real(v),
            Sample::Text(v) => Self::Text(v),
            Sample::Blob(v) => Self::Blob(v),
        }
    }
}

impl Sent {
    fn bytes(self) -> Vec<u8> {
        let values = |values: Vec<Value>| Packed::from(values).to_vec();
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Values(samples) => values(samples.into_iter().map(Value::from).collect()),
            Self::Row(key, rest) => values(stock(key, rest)),
            Self::Key(key) => values(vec![
                Value::Integer(i64::from(key % 4)),
                Value::Text(format!("w{}", key % 3)),
            ]),
        }
    }
}

/// A row of the second table, one of a few.
fn stock(key: u8, rest: u8) -> Row {
    vec![
        Value::Text(format!("w{}", key % 3)),
        Value::Integer(i64::from(key % 4)),
        Value::Integer(i64::from(rest % 5)),
        match rest {
            0..100 => Value::Null,
            _ => Value::Text("x".repeat(usize::from(rest) / 2)),
        },
    ]
}

/// The guest sees exactly what a map would show, whatever lies between: failed calls, commits, an empty cache. What is
/// accepted is within the limits.
///
/// # Panics
/// Where that does not hold.
pub fn holds(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let cached = input.arbitrary::<bool>().unwrap_or_default();
    let mut beside = Beside::new(if cached { 1 << 20 } else { 0 });
    while !input.is_empty() {
        let Ok(call) = input.arbitrary::<Call>() else {
            return;
        };
        beside.ask(call);
    }
}

type Rows = Vec<BTreeMap<Vec<Value>, Row>>;

/// The product and the map.
struct Beside {
    definition: Definition,
    guest: GuestCalls,
    rows: Rows,
    /// What earlier calls left.
    settled: Rows,
    /// Changes and their bytes in this call.
    asked: (usize, usize),
    lines: usize,
    checkpoint: Checkpoint,
}

impl Beside {
    fn new(cache_bytes: usize) -> Self {
        let definition = definition();
        let store = MemoryStore::open(&MemoryReadModel::new(&definition));
        assert_eq!(store.checkpoint(), None);
        let rows = vec![BTreeMap::new(); definition.tables.len()];
        Self {
            guest: GuestCalls::new(definition.clone(), LIMITS, Box::new(store), cache_bytes)
                .unwrap(),
            definition,
            settled: rows.clone(),
            rows,
            asked: (0, 0),
            lines: 0,
            checkpoint: Checkpoint {
                stream: "S".into(),
                sequence: 0,
                anchor: 0,
                epoch: 1,
            },
        }
    }

    fn ask(&mut self, call: Call) {
        let done = match call {
            Call::Get(table, key) => self.get(table, &key.bytes()),
            Call::Find(table, index, key, limit) => self.find(table, index, &key.bytes(), limit),
            Call::Put(table, row) => self.put(table, &row.bytes()),
            Call::Delete(table, key) => self.delete(table, &key.bytes()),
            Call::Log(text) => {
                self.log(text);
                Ok(())
            }
            Call::Reject(index, reason, events) => {
                rejected(index, reason, events.into());
                Ok(())
            }
            Call::Undo => self.undo(),
            Call::Next => {
                self.guest.begin_call();
                self.succeeded();
                Ok(())
            }
            Call::Commit => self.commit(),
        };
        // A guest that did something wrong is stopped, and nothing of its call stays.
        if let Err(fault) = done {
            is_said(&fault);
            self.undo().unwrap();
        }
    }

    fn table(&self, table: u32) -> &Table {
        &self.definition.tables[table as usize]
    }

    fn get(&mut self, table: u32, key: &[u8]) -> Result<(), GuestFault> {
        let found = self.guest.get(table, key)?;
        let key = values(key);
        let expected = self.rows[table as usize].get(&key).map(Packed::from);
        assert_eq!(found, expected);
        Ok(())
    }

    fn find(&mut self, table: u32, index: u32, key: &[u8], limit: u32) -> Result<(), GuestFault> {
        let found = self.guest.find(table, index, key, limit)?;
        let (columns, key) = (&self.table(table).indexes[index as usize], values(key));
        let matches = |row: &&Row| columns.iter().zip(&key).all(|(&c, value)| row[c] == *value);
        let most = LIMITS.find_rows.min(limit as usize);
        let rows = self.rows[table as usize].values().filter(matches);
        assert!(found.iter().eq(rows.take(most)));
        let bytes: usize = found.iter().flatten().map(Value::size).sum();
        assert!(bytes <= LIMITS.find_bytes);
        Ok(())
    }

    fn put(&mut self, table: u32, row: &[u8]) -> Result<(), GuestFault> {
        self.guest.put(table, row)?;
        self.counted(row.len());
        // As it is kept: no zero has a sign.
        let row = Packed::from(values(row)).values();
        let key = self.table(table).key_of(&row);
        self.rows[table as usize].insert(key, row);
        Ok(())
    }

    fn delete(&mut self, table: u32, key: &[u8]) -> Result<(), GuestFault> {
        self.guest.delete(table, key)?;
        self.counted(key.len());
        self.rows[table as usize].remove(&values(key));
        Ok(())
    }

    /// What was accepted is within the limits.
    fn counted(&mut self, bytes: usize) {
        assert!(bytes <= LIMITS.row_bytes);
        self.asked = (self.asked.0 + 1, self.asked.1 + bytes);
        assert!(self.asked.0 <= LIMITS.changes && self.asked.1 <= LIMITS.change_bytes);
    }

    fn log(&mut self, text: String) {
        self.guest.log(text.clone()).unwrap();
        self.lines += 1;
        let kept = self.guest.logged();
        assert_eq!(kept.len(), self.lines.min(LIMITS.log_lines));
        if self.lines <= LIMITS.log_lines {
            is_beginning(&kept[self.lines - 1], &text);
        }
    }

    fn undo(&mut self) -> Result<(), GuestFault> {
        self.guest.undo()?;
        self.rows.clone_from(&self.settled);
        self.next_call();
        Ok(())
    }

    fn commit(&mut self) -> Result<(), GuestFault> {
        self.checkpoint.sequence += 1;
        self.guest.commit(&self.checkpoint)?;
        self.succeeded();
        Ok(())
    }

    fn succeeded(&mut self) {
        self.settled.clone_from(&self.rows);
        self.next_call();
    }

    fn next_call(&mut self) {
        (self.asked, self.lines) = ((0, 0), 0);
    }
}

fn values(row: &[u8]) -> Vec<Value> {
    let fields = foldline_row::Fields::new(row);
    fields.map(|field| field.unwrap().into()).collect()
}

fn rejected(index: u32, reason: String, events: usize) {
    match GuestCalls::reject(index, reason.clone(), events) {
        GuestFault::Rejected {
            index,
            reason: said,
        } => {
            assert!(index < events);
            is_beginning(&said, &reason);
        }
        fault => {
            assert!(index as usize >= events);
            is_said(&fault);
        }
    }
}

fn is_beginning(kept: &str, text: &str) {
    assert!(kept.len() <= TEXT_BYTES && text.starts_with(kept));
    assert!(kept.len() == text.len() || kept.len() > TEXT_BYTES - 4);
}
