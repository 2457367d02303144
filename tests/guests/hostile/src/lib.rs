//! Does its worst when an event tells it to: the header `hostile: NAME KIND` makes the module of that name misbehave in
//! the way of that kind (see `misdeeds`). Every other event becomes a row. Written without the SDK, which cannot be made
//! to do most of this.

#![cfg(target_arch = "wasm32")]

#[allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    reason = "wit-bindgen writes this; projection.wit documents every item"
)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../guest-sdk/wit",
        world: "projection",
        default_bindings_module: "crate::bindings",
    });

    export!(Hostile);

    use super::Hostile;
}

mod misdeeds;
mod rows;

use std::sync::atomic::{AtomicI64, Ordering};

use bindings::foldline::projection::types::{
    Column, ColumnDefinition, ColumnType, EventKey, TableDefinition,
};
use bindings::{Definition, EventBatch, Guest, Rejection};

struct Hostile;

/// Tests replace it by another one of the same length, so that many of these modules run side by side.
const NAME: &str = "hostile-00";

/// State that a projection must not have: a fresh instance begins with none.
static BATCHES: AtomicI64 = AtomicI64::new(0);

impl Guest for Hostile {
    fn describe() -> Definition {
        let column = |name: &str, ty| ColumnDefinition {
            name: name.to_owned(),
            ty,
            nullable: false,
        };
        Definition {
            // Seen by nobody but the compiler, which would otherwise keep it in pieces.
            name: std::hint::black_box(NAME).to_owned(),
            version: 1,
            subjects: vec!["orders.>".to_owned(), "stock.>".to_owned()],
            key: EventKey::None,
            tables: vec![TableDefinition {
                name: "entries".to_owned(),
                columns: vec![
                    column("sequence", ColumnType::Integer),
                    column("batches", ColumnType::Integer),
                    column("subject", ColumnType::Text),
                ],
                key: vec![0],
                indexes: vec![vec![2]],
            }],
        }
    }

    fn project(events: EventBatch) -> Result<(), Rejection> {
        let batches = BATCHES.fetch_add(1, Ordering::Relaxed) + 1;
        let last = u32::try_from(events.sequences.len() - 1).unwrap_or(u32::MAX);
        for (index, &sequence) in events.sequences.iter().enumerate() {
            if let Some(kind) = told(item(&events.headers, index)) {
                misdeeds::commit(kind, last)?;
            }
            let subject = item(&events.subjects, index);
            rows::put(sequence.cast_signed(), batches, subject);
        }
        Ok(())
    }
}

/// The kind of misdeed that the headers tell the module of this name.
fn told(headers: &[u8]) -> Option<&str> {
    let lines = std::str::from_utf8(headers).ok()?.lines();
    let mut told = lines.filter_map(|line| line.strip_prefix("hostile: "));
    told.find_map(|told| {
        told.strip_prefix(std::hint::black_box(NAME))?
            .strip_prefix(' ')
    })
}

fn item(column: &Column, index: usize) -> &[u8] {
    let start = index.checked_sub(1).map_or(0, |before| column.ends[before]);
    &column.bytes[start as usize..column.ends[index] as usize]
}
