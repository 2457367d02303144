//! Crashes, stops and deployments in random order, all in one run: the rows are those of a clean one.

use foldline_tests::guests::{module, rebuilt};
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

/// Events that are in the stream before the first fault.
const PAST: usize = 30_000;
/// And with those that are published between the faults.
const EVENTS: usize = 40_000;
const FAULTS: usize = 16;

#[test]
fn faults_of_all_kinds_in_one_run_give_the_rows_of_a_clean_run() {
    let seed = seed();
    let history = Orders::new(seed).events(EVENTS);
    let mut random = StdRng::seed_from_u64(seed);
    let mut nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    stream.publish(&history[..PAST]);
    nats.restart_synced();
    let mut host = Host::start(&nats.url(), &ALL);

    std::thread::scope(|scope| {
        let publisher = scope.spawn(|| stream.publish_through_crashes(&history));
        for number in 0..FAULTS {
            let projection = ALL.choose(&mut random).unwrap();
            let moment = host.checkpoint(projection) + random.random_range(0..2_000);
            wait_until(&format!("{projection} has come further"), || {
                let reached = host.checkpoint(projection) >= moment.min(EVENTS as u64);
                (reached || publisher.is_finished()).then_some(())
            });
            fault(
                random.random_range(0..4),
                number,
                projection,
                &mut host,
                &mut nats,
            );
        }
        publisher.join().expect("everything was published");
    });

    assert_rows(&host, &Model::of(&history), EVENTS as u64);
    assert_each_event_once_in_order(&host, EVENTS as u64);
}

fn fault(kind: u8, number: usize, projection: &str, host: &mut Host, nats: &mut NatsServer) {
    match kind {
        0 => {
            eprintln!("{number}: the host is killed");
            host.restart();
        }
        1 => {
            eprintln!("{number}: the server is killed");
            nats.restart();
        }
        2 => {
            eprintln!("{number}: {projection} is reloaded");
            let build = rebuilt(&module(projection), &number.to_string());
            host.drop_module(&format!("{projection}.wasm"), &build);
        }
        _ => {
            eprintln!("{number}: the host is stopped while the server is away");
            nats.kill();
            let ended = host.end_with("TERM");
            assert_eq!(ended.code(), Some(0), "{}", host.log());
            host.restart();
            nats.restart();
        }
    }
}
