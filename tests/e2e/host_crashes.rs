//! The host is killed at any moment: the read models equal those of a clean run.

use foldline_tests::host::Host;
use foldline_tests::model::Model;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::seed;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::examples::{ALL, assert_each_event_once_in_order, assert_rows};

const EVENTS: usize = 100_000;
const KILLS: usize = 30;

#[test]
fn a_host_killed_thirty_times_gives_the_rows_of_a_clean_run() {
    let seed = seed();
    let history = Orders::new(seed).events(EVENTS);
    let mut random = StdRng::seed_from_u64(seed);
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &ALL);

    let chunks: Vec<_> = history.chunks(EVENTS.div_ceil(KILLS + 1)).collect();
    let (last_chunk, chunks) = chunks.split_last().unwrap();
    assert_eq!(chunks.len(), KILLS);
    let mut published = 0;
    for chunk in chunks {
        let through = published + chunk.len() as u64;
        let moment = random.random_range(published + 1..=through);
        let projection = ALL.choose(&mut random).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| stream.publish(chunk));
            wait_until(&format!("{projection} has applied event {moment}"), || {
                (host.checkpoint(projection) >= moment).then_some(())
            });
            host.kill();
        });
        host.restart();
        published = through;
    }
    let last = stream.publish(last_chunk);

    assert_rows(&host, &Model::of(&history), last);
    assert_each_event_once_in_order(&host, last);
}

#[test]
fn a_host_killed_while_it_starts_goes_on_from_its_checkpoint() {
    let seed = seed();
    let history = Orders::new(seed).events(20_000);
    let mut random = StdRng::seed_from_u64(seed);
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let last = stream.publish(&history);

    let mut host = Host::start(&nats.url(), &ALL);
    for _ in 0..10 {
        // Some of these are before the first read model is open, some after the first commits.
        let started = random.random_range(0..=ALL.len());
        wait_until(&format!("{started} projections are started"), || {
            let projections = host.get("/v1/projections").body["projections"].take();
            (projections.as_array()?.len() >= started).then_some(())
        });
        host.restart();
    }

    assert_rows(&host, &Model::of(&history), last);
    assert_each_event_once_in_order(&host, last);
}
