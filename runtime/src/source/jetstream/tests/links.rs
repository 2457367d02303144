//! What lies between the host and the server fails: whatever happens, each event is read once and in order, and
//! reading goes on soon.

use std::time::{Duration, Instant};

use foldline_tests::proxy::Proxy;

use super::follower::{Follower, assert_soon_after};
use super::*;
use crate::source::conformance::soon;

/// Between two looks at what has no way to call us.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A follower that reads through a proxy and has read everything there is.
async fn following(server: &Server, count: u64) -> (Proxy, Follower) {
    let proxy = Proxy::start(&server.nats.url());
    server.publish_quickly(1..=count).await;
    let mut follower = Follower::start(&proxy.url());
    follower.read_live_to(count).await;
    (proxy, follower)
}

/// Nobody says that the connection is dead, and both ends could wait for minutes to find out.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_without_a_sign_is_left_when_signs_of_life_are_missing() {
    let server = Server::start().await;
    let (proxy, mut follower) = following(&server, 1_000).await;
    for last in [2_000, 3_000] {
        let dead = Instant::now();
        proxy.forget_connections();
        server.publish_quickly(last - 999..=last).await;
        follower.read_live_to(last).await;
        assert_soon_after(dead);
    }
}

/// As above, with a projection far behind, which reads over a connection of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_replay_over_a_connection_that_died_without_a_sign_goes_on() {
    const COUNT: u64 = 100_000;
    let server = Server::start().await;
    server.publish_quickly(1..=COUNT).await;
    let proxy = Proxy::start(&server.nats.url());
    let mut follower = Follower::start(&proxy.url());
    follower.read_to(20_000).await;
    let dead = Instant::now();
    proxy.forget_connections();
    let begun = *follower.begun.borrow();
    follower.limit.send_replace(Sequence::MAX);
    follower.until_begun_again(begun).await;
    assert_soon_after(dead);
    follower.until(COUNT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_comes_back_after_a_while_costs_no_event_and_no_order() {
    let server = Server::start().await;
    let (proxy, mut follower) = following(&server, 1_000).await;
    proxy.freeze();
    server.publish_quickly(1_001..=2_000).await;
    // The old connection is doubted, and others are tried that do not get through either.
    let before = proxy.opened();
    let others_tried = async {
        while proxy.opened() < before + 2 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    soon(others_tried).await;
    let back = Instant::now();
    proxy.thaw();
    follower.read_live_to(2_000).await;
    assert_soon_after(back);
}

/// The server hangs up on whoever does not take what it sends.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_too_slow_for_the_server_costs_no_event_and_no_order() {
    let server = Server::start_with(
        "jetstream: enabled, max_payload: 64KB, max_pending: 512KB, write_deadline: \"200ms\"",
    )
    .await;
    let (proxy, mut follower) = following(&server, 1_000).await;
    proxy.freeze();
    // More than what lies between the two can hold.
    let padding = "x".repeat(48 * 1024);
    for number in 1_001..=1_600 {
        let payload = number.to_string();
        let headers = [("Padding", padding.as_str())];
        server
            .publish("orders.1", &headers, payload.as_bytes())
            .await;
    }
    let dropped = async {
        while server.nats.log_lines_with("Slow Consumer").is_empty() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    soon(dropped).await;
    let back = Instant::now();
    proxy.thaw();
    follower.read_live_to(1_600).await;
    assert_soon_after(back);
}

/// A server that is being stopped tells its clients and closes their connections one by one.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_in_lame_duck_mode_costs_no_event_and_no_order() {
    let mut server = Server::start_with(
        "jetstream: enabled, lame_duck_duration: \"30s\", lame_duck_grace_period: \"1s\"",
    )
    .await;
    let (_proxy, mut follower) = following(&server, 1_000).await;
    server.nats.lame_duck();
    server.nats.wait_until_ended();
    server.restart().await;
    let back = Instant::now();
    server.publish_quickly(1_001..=2_000).await;
    follower.read_live_to(2_000).await;
    assert_soon_after(back);
}
