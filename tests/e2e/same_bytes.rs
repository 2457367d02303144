//! The same module over the same events gives the same rows, to the last bit, however the host cuts them into batches
//! and however often it begins with a fresh instance.

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use foldline_tests::{data, seed};

use crate::examples::ALL;

#[test]
fn batches_and_fresh_instances_change_no_bit_of_the_rows() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let last = stream.publish(&Orders::new(seed()).events(10_000));
    let mut first = None;
    for limits in [
        "",
        "batch_events = 1\nbatches_per_instance = 1",
        "batch_events = 7\nbatches_per_instance = 3",
        "batch_kib = 1\nbatches_per_instance = 1",
    ] {
        let mut host = Host::new(&nats.url()).configured(&format!("[limits]\n{limits}\n"));
        for name in ALL {
            host.drop_module(&format!("{name}.wasm"), &module(name));
        }
        host.restart();
        ALL.iter().for_each(|name| host.wait_applied(name, last));
        host.end_with("TERM");
        let dump = |name: &&str| data::everything(&host.data(), name);
        let everything: String = ALL.iter().map(dump).collect();
        assert!(everything.len() > 100_000, "there are rows");
        let first = first.get_or_insert_with(|| everything.clone());
        assert!(*first == everything, "other rows with {limits:?}");
    }
}

/// What a module keeps in its memory across batches is forgotten with its instance: it cannot be relied on.
#[test]
fn a_fresh_instance_knows_nothing_of_the_batches_before() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let last = stream.publish(&Orders::new(1).events(100));
    // How the events arrive may make more and smaller batches.
    for (instances, batches) in [("0", 10..=100), ("1", 1..=1), ("4", 4..=4)] {
        let limits = format!("[limits]\nbatch_events = 10\nbatches_per_instance = {instances}\n");
        let mut host = Host::new(&nats.url()).configured(&limits);
        host.drop_module("hostile.wasm", &module("hostile"));
        host.restart();
        host.wait_applied("hostile-00", last);
        let most = host.rows("hostile-00", "entries", "order=batches.desc&limit=1");
        let most = most[0]["batches"].as_u64().unwrap();
        assert!(batches.contains(&most), "{most} with {limits}");
    }
}
