//! What `describe` may say.

use arbitrary::{Arbitrary, Result, Unstructured};
use foldline::definition::{Column, ColumnType, Definition, EventKey, Table};
use foldline::event::Position;
use foldline::store::sqlite::SqliteStore;
use foldline::store::{Checkpoint, ReadModelStore as _};

/// A definition that is accepted keeps every rule that is relied on later, is the same after it was stored, and makes a
/// read model; any other is refused in a short text.
///
/// # Panics
/// Where that does not hold.
pub fn holds(data: &[u8]) {
    let Ok(definition) = any(&mut Unstructured::new(data)) else {
        return;
    };
    match definition.check() {
        Ok(()) => is_usable(&definition),
        Err(error) => {
            // Names and subjects are quoted, and quoting makes of a character ten.
            let longest = definition.subjects.iter().map(String::len).max();
            let said = error.to_string();
            assert!(said.len() <= 2_000 + 10 * longest.unwrap_or(0), "{said}");
        }
    }
}

fn is_usable(definition: &Definition) {
    assert_eq!(
        definition.filters().unwrap().len(),
        definition.subjects.len()
    );
    for table in &definition.tables {
        assert!((1..=200).contains(&table.columns.len()) && table.indexes.len() <= 16);
        let named = table.key.iter().chain(table.indexes.iter().flatten());
        assert!(named.into_iter().all(|&i| i < table.columns.len()));
        assert!(table.key.iter().all(|&i| !table.columns[i].nullable));
    }
    let stored = serde_json::to_string(definition).unwrap();
    assert_eq!(
        serde_json::from_str::<Definition>(&stored).unwrap(),
        *definition
    );
    makes_a_read_model(definition);
}

fn makes_a_read_model(definition: &Definition) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("read-model.db");
    let mut store = SqliteStore::create(&path, definition, "0123abcd").unwrap();
    store.build_indexes().unwrap();
    let checkpoint = Checkpoint {
        stream: "S".into(),
        sequence: 0,
        anchor: 0,
        epoch: 1,
    };
    let position = Position {
        sequence: 1,
        time: 1,
    };
    store.commit(&checkpoint.at(position)).unwrap();
    drop(store);
    SqliteStore::open(&path, definition).unwrap();
}

/// Mostly near the rules: texts from a few, numbers that are small.
fn any(input: &mut Unstructured<'_>) -> Result<Definition> {
    Ok(Definition {
        name: name(input)?,
        version: u32::arbitrary(input)?,
        subjects: list(input, 70, subject)?,
        key: match input.int_in_range(0..=2)? {
            0 => EventKey::None,
            1 => EventKey::SubjectToken(u32::arbitrary(input)?),
            _ => EventKey::Header(String::arbitrary(input)?),
        },
        tables: list(input, 66, table)?,
    })
}

fn table(input: &mut Unstructured<'_>) -> Result<Table> {
    Ok(Table {
        name: name(input)?,
        columns: list(input, 202, column)?,
        key: list(input, 5, position)?,
        indexes: list(input, 18, |input| list(input, 5, position))?,
    })
}

fn column(input: &mut Unstructured<'_>) -> Result<Column> {
    use ColumnType::{Blob, Boolean, Integer, Json, Real, Text};
    Ok(Column {
        name: name(input)?,
        ty: *input.choose(&[Boolean, Integer, Real, Text, Blob, Json])?,
        nullable: bool::arbitrary(input)?,
    })
}

fn position(input: &mut Unstructured<'_>) -> Result<usize> {
    match input.ratio(1, 20)? {
        true => u32::arbitrary(input).map(|position| position as usize),
        false => input.int_in_range(0..=3),
    }
}

/// Names that are allowed, words of SQL and ours among them, and any text.
fn name(input: &mut Unstructured<'_>) -> Result<String> {
    const NAMES: [&str; 14] = [
        "a",
        "b",
        "a_b",
        "b_c",
        "select",
        "order",
        "rowid",
        "oid",
        "_rowid_",
        "sqlite_x",
        "a_by_b",
        "a-b",
        "table",
        "x0123456789_123456789_123456789_123456789_123456789_123456789_12",
    ];
    match input.int_in_range(0..=3)? {
        0 => String::arbitrary(input),
        1 => Ok((*input.choose(&NAMES)?).to_owned()),
        _ => Ok(format!("n{}", input.int_in_range(0..=255_u8)?)),
    }
}

fn subject(input: &mut Unstructured<'_>) -> Result<String> {
    const PARTS: [&str; 8] = ["orders", "*", ">", ".", "..", " ", "\u{7f}", "ö"];
    match bool::arbitrary(input)? {
        true => String::arbitrary(input),
        false => Ok(list(input, 6, |input| Ok(*input.choose(&PARTS)?))?.concat()),
    }
}

fn list<T>(
    input: &mut Unstructured<'_>,
    most: usize,
    item: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut items = Vec::new();
    while items.len() < most && !input.is_empty() && input.ratio(3, 4)? {
        items.push(item(input)?);
    }
    Ok(items)
}
