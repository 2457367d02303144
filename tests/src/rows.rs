//! All rows of a table, and where they differ from what they must be.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::host::Host;

/// Rows as JSON objects, by the text of their key column.
pub type Rows = BTreeMap<String, Value>;

/// Rows asked for at once: the most that the host gives.
const PAGE: usize = 1_000;

/// All rows of a table with one text key, read page by page over HTTP. Nothing may be written meanwhile.
///
/// # Panics
/// If a page is refused, or a key comes twice.
pub fn all(host: &Host, projection: &str, table: &str, key: &str) -> Rows {
    let mut rows = Rows::new();
    for page in 0.. {
        let offset = page * PAGE;
        let answer = host.rows(
            projection,
            table,
            &format!("order={key}.asc&limit={PAGE}&offset={offset}"),
        );
        let count = answer.len();
        for row in answer {
            let id = row[key]
                .as_str()
                .expect("the key column is a text")
                .to_owned();
            let known = rows.insert(id, row);
            assert!(
                known.is_none(),
                "{projection}/{table} shows a row twice: {known:?}"
            );
        }
        if count < PAGE {
            break;
        }
    }
    rows
}

/// Fails with the first difference. Numbers are equal when their values are: 3 is 3.0.
///
/// # Panics
/// If there is a difference.
#[track_caller]
pub fn assert_equal(what: &str, actual: &Rows, expected: &Rows) {
    let differing = expected
        .keys()
        .chain(actual.keys())
        .find(|key| !same(actual.get(*key), expected.get(*key)));
    let Some(key) = differing else {
        return;
    };
    let show = |row: Option<&Value>| row.map_or("no such row".to_owned(), Value::to_string);
    panic!(
        "{what}: {} rows, expected {}; the first difference is at {key}:\n  actual   {}\n  expected {}",
        actual.len(),
        expected.len(),
        show(actual.get(key)),
        show(expected.get(key)),
    );
}

fn same(actual: Option<&Value>, expected: Option<&Value>) -> bool {
    match (actual, expected) {
        (Some(Value::Object(actual)), Some(Value::Object(expected))) => {
            actual.len() == expected.len()
                && actual.iter().all(|(name, value)| {
                    expected
                        .get(name)
                        .is_some_and(|other| same_value(value, other))
                })
        }
        _ => false,
    }
}

fn same_value(one: &Value, other: &Value) -> bool {
    match (one.as_f64(), other.as_f64()) {
        #[allow(
            clippy::float_cmp,
            reason = "amounts are multiples of 0.25: their sums are exact"
        )]
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}
