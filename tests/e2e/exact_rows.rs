//! Events go in, exactly the right rows come out.

use foldline_tests::host::Host;
use foldline_tests::model::Model;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::seed;
use foldline_tests::stream::Stream;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::examples::{EXAMPLES, assert_rows};

#[test]
fn a_hundred_thousand_random_events_give_exactly_the_rows_of_the_model() {
    let seed = seed();
    let history = Orders::new(seed).events(100_000);
    let mut random = StdRng::seed_from_u64(seed);
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &EXAMPLES);

    let mut rest = &history[..];
    while !rest.is_empty() {
        // From one event to thousands, each size class as likely as the others.
        let size = 1 << random.random_range(0..13);
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        let last = stream.publish(chunk);
        // Sometimes at the live tail, sometimes with a backlog.
        if random.random_ratio(1, 2) {
            host.wait_applied(EXAMPLES.choose(&mut random).unwrap(), last);
        }
        rest = after;
    }

    assert_rows(&host, &Model::of(&history), 100_000);
}
