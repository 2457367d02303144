//! One call of the example order-summary: events in, rows looked up, rows out. No store is asked: all rows are
//! in memory.

use std::sync::Arc;

use divan::Bencher;
use divan::counter::ItemsCount;
use foldline::config::{Limits, Store};
use foldline::guest::{Engine, GuestInstance, GuestModule};
use foldline::session::Session;
use foldline::store::memory::{MemoryReadModel, MemoryStore};

use crate::events::{orders, pack};

/// An instance of `module` over an empty read model.
fn start(module: GuestModule) -> GuestInstance {
    let store = MemoryStore::open(&MemoryReadModel::new(&module.definition));
    let definition = Arc::clone(&module.definition);
    let cache = Store::default().cache_bytes();
    let session = Session::new(Box::new(store), definition, cache).unwrap();
    GuestInstance::new(module, Limits::default().guest(), session).unwrap()
}

pub(crate) fn order_summary() -> GuestModule {
    let engine = Engine::uncached().unwrap();
    let bytes = foldline_tests::guests::module("order-summary");
    GuestModule::from_bytes(&engine, &bytes, Limits::default().guest()).unwrap()
}

#[divan::bench(args = [1, 10, 100, 1_000])]
fn call_order_summary(bencher: Bencher<'_, '_>, events: usize) {
    let mut guest = start(order_summary());
    let history = orders(10_000);
    guest.project(&pack(&history)).unwrap();
    let batch = pack(&history[history.len() - events..]);
    bencher
        .counter(ItemsCount::new(events))
        .bench_local(|| guest.project(&batch).unwrap());
}
