//! From messages to a batch: packing, and whether a projection wants what it holds.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use foldline::subject::SubjectFilter;

use crate::events::{orders, pack};

#[divan::bench(args = [1, 1_000])]
fn pack_a_batch(bencher: Bencher<'_, '_>, events: usize) {
    let events = orders(events);
    bencher
        .counter(ItemsCount::of_iter(&events))
        .bench_local(|| pack(black_box(&events)));
}

#[divan::bench(args = ["orders.>", "orders.*.OrderPlaced", "shipments.>"])]
fn match_1000_subjects(bencher: Bencher<'_, '_>, filter: &str) {
    let events = orders(1_000);
    let filter: SubjectFilter = filter.parse().unwrap();
    bencher
        .counter(ItemsCount::of_iter(&events))
        .bench_local(|| {
            let matching = events.iter().filter(|event| filter.matches(&event.subject));
            black_box(matching.count())
        });
}

#[divan::bench]
fn look_through_a_batch_of_1000(bencher: Bencher<'_, '_>) {
    let batch = pack(&orders(1_000));
    let filters = ["orders.>".parse::<SubjectFilter>().unwrap()];
    bencher
        .counter(ItemsCount::new(batch.len()))
        .bench_local(|| black_box(&batch).all_wanted(0, black_box(&filters)));
}
