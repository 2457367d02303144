//! The host is killed while generations are built and change places.

use std::collections::BTreeSet;

use foldline_tests::guests::{module, rebuilt};
use foldline_tests::host::Host;
use foldline_tests::model::Model;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::{Event, Orders};
use foldline_tests::stream::Stream;
use foldline_tests::{data, rows, seed};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{FILE, NAME, without_new_column};

const KILLS: usize = 30;
const EVENTS: usize = 300;

#[test]
fn a_host_killed_thirty_times_among_its_generations_has_one_live_one_that_is_right() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &[NAME]);
    let mut orders = Orders::new(seed);
    let mut history = orders.events(2_000);
    host.wait_applied(NAME, stream.publish(&history));
    // On a slow machine no later module may be compiled in the time that it is given.
    host.drop_module(FILE, &module("order-summary-next"));
    host.wait_status(NAME, "is its next version", |status| status["version"] == 2);

    let mut seen = BTreeSet::new();
    for kill in 0..KILLS {
        history.extend(orders.events(EVENTS));
        stream.publish(&history[history.len() - EVENTS..]);
        if random.random_bool(0.7) {
            host.wait_state(NAME, "live");
        }
        act(&host, &mut random, kill);
        // A moment: so many looks later.
        for _ in 0..random.random_range(0..200) {
            host.try_get("/v1/projections");
        }
        host.kill();
        seen.insert(assert_right(&host, &history));
        host.restart();
    }
    assert!(seen.len() > 1, "nothing changed places: {seen:?}");

    host.wait_applied(NAME, history.len() as u64);
    host.end_with("TERM");
    assert_right(&host, &history);
}

/// Begins something that ends with other generations.
fn act(host: &Host, random: &mut StdRng, kill: usize) {
    let path = format!("/v1/projections/{NAME}");
    match random.random_range(0..4) {
        0 => host.drop_module(
            FILE,
            &rebuilt(&module("order-summary-next"), &kill.to_string()),
        ),
        1 => drop(host.post(&format!("{path}/rebuild"))),
        // Refused when nothing is on standby.
        _ => drop(host.post(&format!("{path}/rollback"))),
    }
}

/// The live read model equals a clean run up to its checkpoint. Gives its file.
#[track_caller]
fn assert_right(host: &Host, history: &[Event]) -> String {
    let live = data::live(&host.data(), NAME, "orders", "order_id");
    let sequence = usize::try_from(live.sequence).expect("a sequence of this test");
    let rows = match live.version {
        2 => without_new_column(live.rows),
        _ => live.rows,
    };
    let model = Model::of(&history[..sequence]);
    rows::assert_equal(
        &format!("version {} at {sequence}", live.version),
        &rows,
        &model.orders,
    );
    live.file
}
