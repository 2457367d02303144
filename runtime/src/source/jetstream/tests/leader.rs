//! A stream on three servers goes on with another leader: each event is read once and in order.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use super::follower::{Follower, assert_soon_after, publish_through_faults};
use super::*;
use crate::source::conformance::soon;

/// Elections begin with pauses of some seconds, and a busy machine makes them begin again.
const FORMED_WITHIN: Duration = Duration::from_secs(120);

/// Three servers of one cluster with the stream on all of them.
pub(super) async fn cluster() -> (Vec<NatsServer>, Context) {
    // Taken all at once, so that they differ. Somebody else may take one before its server does; then that server
    // routes through the others.
    let listeners: Vec<_> = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let ports: Vec<u16> = listeners
        .iter()
        .map(|listener| listener.local_addr().unwrap().port())
        .collect();
    drop(listeners);
    let routes: Vec<String> = ports
        .iter()
        .map(|port| format!("nats://127.0.0.1:{port}"))
        .collect();
    let routes = routes.join(", ");
    let start = |(number, port)| {
        NatsServer::start_with(&format!(
            "jetstream: enabled, server_name: s{number}
            cluster {{ name: c, listen: \"127.0.0.1:{port}\", routes: [{routes}] }}"
        ))
    };
    let servers: Vec<_> = ports.iter().enumerate().map(start).collect();
    let context = context(&servers[0]).await;
    let config = Config {
        name: STREAM.into(),
        subjects: vec!["orders.>".into()],
        num_replicas: 3,
        ..Config::default()
    };
    // The servers have to find each other and to choose a leader first.
    let made = async { while context.create_stream(&config).await.is_err() {} };
    timeout(FORMED_WITHIN, made)
        .await
        .expect("the servers form a cluster");
    (servers, context)
}

/// The number of the server that leads the stream, if it is known and not `other_than`.
async fn leader(context: &Context, other_than: Option<usize>) -> Option<usize> {
    let stream = context.get_stream(STREAM).await.ok()?;
    let name = stream.cached_info().cluster.as_ref()?.leader.clone()?;
    let number = name.strip_prefix('s')?.parse().ok()?;
    (Some(number) != other_than).then_some(number)
}

/// The same, waiting for it.
pub(super) async fn until_led(context: &Context, other_than: Option<usize>) -> usize {
    let led = async {
        loop {
            if let Some(number) = leader(context, other_than).await {
                return number;
            }
        }
    };
    soon(led).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_changes_its_leader_costs_no_event_and_no_order() {
    let (mut servers, context) = cluster().await;
    let urls: Vec<_> = servers.iter().map(NatsServer::url).collect();
    let (enough, stop) = watch::channel(false);
    let publishing = tokio::spawn(publish_through_faults(urls.join(","), 0, stop));
    let mut follower = Follower::start(&urls.join(","));
    follower.read_live_to(100).await;

    for _ in 0..3 {
        let old = until_led(&context, None).await;
        let subject = format!("STREAM.LEADER.STEPDOWN.{STREAM}");
        let stepped = context.request(subject, &serde_json::json!({})).await;
        let answer: serde_json::Value = stepped.unwrap();
        assert_eq!(answer["success"], true, "{answer}");
        until_led(&context, Some(old)).await;
        let (led, at) = (Instant::now(), follower.at.borrow().sequence);
        follower.read_live_to(at + 100).await;
        assert_soon_after(led);
    }

    let old = until_led(&context, None).await;
    servers[old].kill();
    let other = super::context(&servers[(old + 1) % 3]).await;
    until_led(&other, Some(old)).await;
    let (led, at) = (Instant::now(), follower.at.borrow().sequence);
    follower.read_live_to(at + 100).await;
    assert_soon_after(led);

    enough.send_replace(true);
    let last = soon(publishing).await.unwrap();
    follower.read_live_to(last).await;
    assert_eq!(follower.at.borrow().sequence, last);
}
