//! Paths and query strings, and whether SQLite finds the rows that were asked for. The first byte chooses the table
//! and the route; for one row, its key and the query string stand on a line each.

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use foldline::definition::Table;
use foldline::query::{Asked, asked_of_row, asked_of_rows};
use foldline::session::Session;
use foldline::store::Checkpoint;
use foldline::store::sqlite::SqliteStore;
use foldline::store::sqlite::reader::{
    Comparison, Condition, Direction, ReadLimits, Reader, Select,
};
use foldline::value::{Packed, Row, Value};
use tempfile::TempDir;

use crate::memory;
use crate::tables::definition;

/// Longest request line that the host reads, in bytes; a fuzzer need not try longer ones.
const QUERY_BYTES: usize = 1 << 16;

/// What is understood is within the limits, and gives the rows that a look at each of them gives; anything else is
/// refused in a text that says what to do. Neither takes much memory.
///
/// # Panics
/// Where that does not hold.
pub fn holds(data: &[u8]) {
    let Some((&choice, text)) = data.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if text.len() > QUERY_BYTES {
        return;
    }
    let definition = definition();
    let table = usize::from(choice) % definition.tables.len();
    let room = (1 << 16) + 64 * text.len();
    let asked = memory::within(room, || {
        let table = &definition.tables[table];
        match choice & 2 {
            0 => asked_of_rows(table, text),
            _ => {
                let (key, query) = text.split_once('\n').unwrap_or((text, ""));
                asked_of_row(table, key, query)
            }
        }
    });
    match asked {
        Ok(asked) => is_answered(table, &definition.tables[table], &asked),
        Err(problem) => is_said(&problem, text),
    }
}

fn is_said(problem: &str, text: &str) {
    let problem: serde_json::Value = serde_json::from_str(problem).unwrap();
    assert_eq!(problem["status"], 400);
    assert!(
        problem["hint"]
            .as_str()
            .is_some_and(|hint| !hint.is_empty())
    );
    assert!(problem.to_string().len() < 4_000 + 40 * text.len());
}

fn is_answered(number: usize, table: &Table, asked: &Asked) {
    let select = &asked.select;
    assert!((1..=1_000).contains(&select.limit) && asked.timeout <= Duration::from_secs(60));
    assert!(!select.columns.is_empty());
    let columns = select
        .columns
        .iter()
        .chain(select.order.iter().map(|(column, _)| column));
    assert!(
        columns
            .into_iter()
            .all(|&column| column < table.columns.len())
    );
    let limits = ReadLimits {
        deadline: Instant::now() + Duration::from_secs(10),
        bytes_max: 1 << 20,
    };
    let page = FILLED.reader.select(table, select, limits).unwrap();
    assert_eq!(page.rows, looked_for(&FILLED.rows[number], table, select));
}

/// The rows found by looking at each.
fn looked_for(rows: &[Row], table: &Table, select: &Select) -> Vec<Row> {
    let holds =
        |condition: &Condition, row: &Row| is(&row[condition.column], &condition.comparison);
    let mut found: Vec<_> = rows
        .iter()
        .filter(|row| {
            select
                .conditions
                .iter()
                .all(|condition| holds(condition, row))
        })
        .collect();
    let key = table
        .key
        .iter()
        .map(|&column| (column, Direction::Ascending));
    let order: Vec<_> = select.order.iter().copied().chain(key).collect();
    found.sort_by(|a, b| compared(a, b, &order));
    let from = usize::try_from(select.offset).unwrap_or(usize::MAX);
    let found = found.into_iter().skip(from).take(select.limit as usize);
    let columns = |row: &Row| {
        select
            .columns
            .iter()
            .map(|&column| row[column].clone())
            .collect()
    };
    found.map(columns).collect()
}

fn compared(a: &Row, b: &Row, order: &[(usize, Direction)]) -> Ordering {
    let by = |&(column, direction): &(usize, Direction)| {
        let ordering = a[column].cmp(&b[column]);
        match direction {
            Direction::Ascending => ordering,
            Direction::Descending => ordering.reverse(),
        }
    };
    order
        .iter()
        .map(by)
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn is(value: &Value, comparison: &Comparison) -> bool {
    let ordering = |other: &Value| match value {
        Value::Null => None,
        _ => value_order(value, other),
    };
    match comparison {
        Comparison::Equal(other) => ordering(other).is_some_and(Ordering::is_eq),
        Comparison::NotEqual(other) => ordering(other).is_some_and(Ordering::is_ne),
        Comparison::Greater(other) => ordering(other).is_some_and(Ordering::is_gt),
        Comparison::GreaterOrEqual(other) => ordering(other).is_some_and(Ordering::is_ge),
        Comparison::Less(other) => ordering(other).is_some_and(Ordering::is_lt),
        Comparison::LessOrEqual(other) => ordering(other).is_some_and(Ordering::is_le),
        Comparison::IsNull => matches!(value, Value::Null),
        Comparison::IsNotNull => !matches!(value, Value::Null),
    }
}

/// The two zeroes are one number.
fn value_order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Real(a), Value::Real(b)) => a.partial_cmp(b),
        _ => Some(a.cmp(b)),
    }
}

const CHECKPOINT: Checkpoint = Checkpoint {
    stream: String::new(),
    sequence: 1,
    anchor: 1,
    epoch: 1,
};

static FILLED: LazyLock<Filled> = LazyLock::new(Filled::new);

/// A read model with a few rows.
struct Filled {
    _folder: TempDir,
    reader: Reader,
    rows: [Vec<Row>; 2],
}

impl Filled {
    fn new() -> Self {
        let (definition, folder) = (Arc::new(definition()), tempfile::tempdir().unwrap());
        let path = folder.path().join("read-model.db");
        let store = SqliteStore::create(&path, &definition, "0123abcd").unwrap();
        let mut session = Session::new(Box::new(store), definition, 1 << 20).unwrap();
        let rows = [orders(), stock()];
        for (table, rows) in rows.iter().enumerate() {
            for row in rows {
                session.put(table, &Packed::from(row));
            }
        }
        session.commit(&CHECKPOINT).unwrap();
        Self {
            _folder: folder,
            reader: Reader::new(path),
            rows,
        }
    }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// Rows whose values are close to each other, and to what a client may write.
fn orders() -> Vec<Row> {
    let order = |id: &str, n: i64, total: f64, null: bool| {
        let or_null = |value: Value| if null { Value::Null } else { value };
        vec![
            text(id),
            Value::Boolean(n % 2 == 0),
            Value::Integer(n),
            Value::Real(total),
            text("{\"gift\":true}"),
            Value::Blob(id.as_bytes().to_vec()),
            or_null(text("a \"quoted\" note")),
            or_null(Value::Boolean(n > 1)),
            or_null(Value::Integer(n.wrapping_neg())),
            or_null(Value::Real(-total)),
            or_null(text("[]")),
            or_null(Value::Blob(vec![0, 255])),
        ]
    };
    vec![
        order("o-1", 1, 10.0, false),
        order("o-10", i64::MAX, 1e300, false),
        order("o-2", 2, 0.1, true),
        order("", 0, 0.0, true),
        order("a,b", i64::MIN, -1.5, false),
        order("zürich", 7, 7.25, true),
        order("null", 10, 9_007_199_254_740_993.0, false),
    ]
}

fn stock() -> Vec<Row> {
    let stock = |warehouse: &str, sku, limit, order: Option<&str>| {
        vec![
            text(warehouse),
            Value::Integer(sku),
            Value::Integer(limit),
            order.map_or(Value::Null, text),
        ]
    };
    vec![
        stock("zürich", 7, 100, Some("first")),
        stock("a,b", 7, 5, None),
        stock("zürich", 8, 5, Some("")),
        stock("", -1, 5, None),
    ]
}
