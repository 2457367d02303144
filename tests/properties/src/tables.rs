//! The tables that the properties are about.

use foldline::definition::{Column, ColumnType, Definition, EventKey, Table};

/// Two tables: one with a column of every type, once nullable and once not, and one with a key of two columns and
/// names that are SQL's and the query string's own words.
pub(crate) fn definition() -> Definition {
    use ColumnType::{Blob, Boolean, Integer, Json, Real, Text};
    let every = [
        ("id", Text, false),
        ("paid", Boolean, false),
        ("items", Integer, false),
        ("total", Real, false),
        ("meta", Json, false),
        ("raw", Blob, false),
        ("note", Text, true),
        ("sent", Boolean, true),
        ("rank", Integer, true),
        ("tax", Real, true),
        ("more", Json, true),
        ("photo", Blob, true),
    ];
    let stock = [
        ("warehouse", Text, false),
        ("sku", Integer, false),
        ("limit", Integer, false),
        ("order", Text, true),
    ];
    Definition {
        name: "properties".into(),
        version: 1,
        subjects: vec!["orders.>".into()],
        key: EventKey::SubjectToken(1),
        tables: vec![
            table("orders", &every, &[0], &[&[6, 8], &[5]]),
            table("stock", &stock, &[1, 0], &[&[2]]),
        ],
    }
}

fn table(
    name: &str,
    columns: &[(&str, ColumnType, bool)],
    key: &[usize],
    indexes: &[&[usize]],
) -> Table {
    let column = |&(name, ty, nullable): &(&str, ColumnType, bool)| Column {
        name: name.into(),
        ty,
        nullable,
    };
    Table {
        name: name.into(),
        columns: columns.iter().map(column).collect(),
        key: key.to_vec(),
        indexes: indexes.iter().map(|index| index.to_vec()).collect(),
    }
}
