//! The module's side of the contract: only built for `wasm32`, called by the code of
//! `#[projection]`.

pub mod bindings;
mod convert;
mod log;
mod panic;

use std::marker::PhantomData;
use std::rc::Rc;

pub use wit_bindgen;

use self::bindings::foldline::projection::read_model;
use self::bindings::{EventBatch, Guest, Rejection};
use crate::event::{Batch, Column};
use crate::projection::project_batch;
use crate::read_model::Tables;
use crate::{Projection, ReadModel};

/// The exports of a module that holds the projection `P`.
#[derive(Debug)]
pub struct Module<P>(PhantomData<P>);

impl<P: Projection> Guest for Module<P> {
    fn describe() -> bindings::Definition {
        panic::report();
        convert::definition(&P::DEFINITION)
    }

    fn project(events: EventBatch) -> Result<(), Rejection> {
        panic::report();
        log::forward();
        let rejection = |index: usize, reason: String| {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            Rejection { index, reason }
        };
        let batch = batch(events).map_err(|error| {
            rejection(0, format!("the host sent a batch that is none: {error:#}"))
        })?;
        let projected = project_batch::<P>(
            &Rc::new(batch),
            &mut ReadModel::new(HostTables),
            panic::projecting,
        );
        projected.map_err(|rejected| rejection(rejected.index, rejected.reason))
    }
}

fn batch(events: EventBatch) -> crate::Result<Batch> {
    let [subjects, headers, payloads] = [events.subjects, events.headers, events.payloads]
        .map(|column| Column::new(column.ends, column.bytes));
    Batch::new(
        events.sequences,
        events.timestamps,
        subjects,
        headers,
        payloads,
    )
}

/// The tables behind the imports of the module.
struct HostTables;

impl Tables for HostTables {
    fn get(&self, table: u32, key: &[u8]) -> Option<Vec<u8>> {
        read_model::get(table, key)
    }

    fn find(&self, table: u32, index: u32, key: &[u8], limit: u32) -> Vec<Vec<u8>> {
        read_model::find(table, index, key, limit)
    }

    fn put(&mut self, table: u32, row: &[u8]) {
        read_model::put(table, row);
    }

    fn delete(&mut self, table: u32, key: &[u8]) {
        read_model::delete(table, key);
    }
}
