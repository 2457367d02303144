//! The last events of a stream are deleted, as people do with what they must not keep: nothing is left to wait for.

use foldline_tests::wait::wait_until;

use super::*;

#[test]
fn a_projection_is_live_although_the_events_it_had_still_to_read_were_deleted() {
    let (_nats, stream, mut host) = at_500();
    host.kill();
    let last = stream.publish(&Orders::new(2).events(3));
    (0..3).for_each(|i| stream.delete_message(last - i));
    host.restart();
    host.wait_applied("ledger", last);
    assert_eq!(host.wait_state("ledger", "live")["lag"], 0);
    assert_eq!(host.get("/readyz").code, 200);
    let fresh = host.get(&format!(
        "/v1/read-models/ledger/heads/head?min_sequence={last}"
    ));
    assert_eq!(fresh.body["last_sequence"], 500, "{fresh:?}");

    // The place behind them is one that a host goes on from.
    host.restart();
    assert_eq!(host.wait_state("ledger", "live")["checkpoint"], last);
    let last = stream.publish(&Orders::new(3).events(10));
    host.wait_applied("ledger", last);
    let head = host.row("ledger", "heads", "head").expect("a row");
    assert_eq!(head["events"], 510, "{head}");
    // While it runs, too.
    let last = stream.publish(&Orders::new(4).events(1));
    stream.delete_message(last);
    host.wait_applied("ledger", last);
}

#[test]
fn a_rebuild_takes_its_place_although_the_last_event_that_was_applied_is_deleted() {
    let (_nats, stream, host) = at_500();
    stream.delete_message(500);
    let rebuilt = host.cli(&["rebuild", "ledger", "--wait"]);
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    let status = host.status("ledger");
    assert_eq!(status["generations"][1]["state"], "live", "{status}");
    assert_eq!(status["checkpoint"], 500, "{status}");
    let head = host.row("ledger", "heads", "head").expect("a row");
    assert_eq!(head["events"], 499, "{head}");
}

#[test]
fn a_stream_made_anew_is_noticed_also_where_the_last_place_was_a_deleted_event() {
    let (nats, stream, mut host) = at_500();
    let last = stream.publish(&Orders::new(2).events(1));
    stream.delete_message(last);
    host.wait_applied("ledger", last);
    host.kill();
    stream.delete();
    let anew = Stream::of_orders(&nats.url());
    anew.publish(&Orders::new(3).events(600));
    host.restart();
    let error = "not the one this read model was built from";
    assert_says(&host, "failed", error, "restore the stream");
}

/// It answers that it finds no message, as where there is none.
#[test]
fn a_server_that_cannot_read_its_disk_has_not_deleted_what_it_does_not_give() {
    let (mut nats, stream, mut host) = at_500();
    host.kill();
    let last = stream.publish(&Orders::new(2).events(3));
    // A server that was started anew has nothing in memory.
    nats.restart();
    let block = nats.store().join("jetstream/$G/streams/ORDERS/msgs/1.blk");
    let away = block.with_extension("away");
    std::fs::rename(&block, &away).unwrap();
    std::fs::create_dir(&block).unwrap();
    host.restart();
    // Once for each heartbeat that the host asks for, long enough for it to look several times.
    let failed = || {
        nats.log_lines_with("Received an error looking up message")
            .len()
    };
    wait_until("the server has failed to read", || {
        (failed() >= 10).then_some(())
    });
    assert_eq!(host.status("ledger")["checkpoint"], 500);

    std::fs::remove_dir(&block).unwrap();
    std::fs::rename(&away, &block).unwrap();
    host.wait_applied("ledger", last);
    let head = host.row("ledger", "heads", "head").expect("a row");
    assert_eq!(head["events"], 503, "{head}");
}
