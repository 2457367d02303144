//! One packed row, as a guest sends it. The first byte chooses the table.

use foldline::config::Limits;
use foldline::definition::Table;
use foldline::guest::{GuestCalls, GuestFault};
use foldline::store::memory::{MemoryReadModel, MemoryStore};
use foldline::value::{Packed, Value};
use foldline_row::{Field, Fields};

use crate::memory;
use crate::tables::definition;

/// What is read is what was written, and nothing is made room for that is not there. A row that the host accepts
/// fits its table, and comes back as the same bytes but for the sign of zero.
///
/// # Panics
/// Where that does not hold.
pub fn holds(data: &[u8]) {
    let Some((&choice, row)) = data.split_first() else {
        return;
    };
    reads_what_was_written(row);
    let definition = definition();
    let table = usize::from(choice) % definition.tables.len();
    let table_definition = definition.tables[table].clone();
    let store = MemoryStore::open(&MemoryReadModel::new(&definition));
    let limits = Limits::default().guest();
    let mut guest = GuestCalls::new(definition, limits, Box::new(store), 1 << 20).unwrap();
    // The row itself some times over, its key, and the text of an error.
    let put = memory::within(8 * row.len() + (1 << 16), || guest.put(table as u32, row));
    match put {
        Ok(()) => is_kept(&mut guest, table, &table_definition, row),
        Err(fault) => is_said(&fault),
    }
}

/// A fault's text is short, whatever it is about.
pub(crate) fn is_said(fault: &GuestFault) {
    let text = fault.to_string();
    assert!(text.len() < 5_000, "{} bytes of text", text.len());
    assert!(!fault.hint().is_empty());
}

fn reads_what_was_written(row: &[u8]) {
    let mut fields = Fields::new(row);
    let mut written = Vec::new();
    while let Some(field) = fields.next() {
        let Ok(field) = field else {
            assert_eq!(fields.position(), row.len(), "an error is the end");
            assert!(fields.next().is_none());
            return;
        };
        foldline_row::push(&mut written, field);
        assert_eq!(written, row[..fields.position()]);
    }
    assert_eq!(written, row);
}

fn is_kept(guest: &mut GuestCalls, number: usize, table: &Table, row: &[u8]) {
    let fields: Vec<_> = Fields::new(row).map(Result::unwrap).collect();
    assert_eq!(fields.len(), table.columns.len());
    for (column, field) in table.columns.iter().zip(&fields) {
        fits(field);
        assert!(column.accepts(field), "{}: {field:?}", column.name);
    }
    let values: Vec<_> = fields.into_iter().map(Value::from).collect();
    let key = Packed::from(table.key_of(&values));
    let kept = guest.get(number as u32, &key).unwrap().unwrap();
    assert_eq!(kept, Packed::from(&values));
    assert_eq!(kept.values().len(), values.len());
    // A second time it is the same row.
    guest.put(number as u32, &kept).unwrap();
    assert_eq!(guest.get(number as u32, &key).unwrap(), Some(kept));
}

fn fits(field: &Field<'_>) {
    match field {
        Field::Real(real) => assert!(!real.is_nan()),
        Field::Text(text) => assert!(std::str::from_utf8(text).is_ok()),
        _ => {}
    }
}
