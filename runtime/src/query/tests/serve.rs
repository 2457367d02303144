//! Over a real socket.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Host;
use crate::query::serve;

const LONG: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_are_answered_before_the_server_ends() {
    let host = Host::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let state = host.state();
    let server = tokio::spawn(serve(listener, state, shutdown.clone()));

    let url =
        format!("http://{address}/v1/read-models/order-summary/orders?min_sequence=43&timeout=60s");
    // The reader of the status that the waiting request holds is the sign that it has arrived.
    let idle = host.status.receiver_count();
    let read = tokio::task::spawn_blocking(move || ureq::get(url).call().unwrap());
    let arrived = async {
        while host.status.receiver_count() <= idle {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, arrived).await.unwrap();

    shutdown.cancel();
    host.fixture.checkpoint(43);
    host.status.send_modify(|status| status.checkpoint = 43);
    let answer = tokio::time::timeout(LONG, read).await.unwrap().unwrap();
    assert_eq!(answer.headers()["foldline-sequence"], "43");
    tokio::time::timeout(LONG, server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(ureq::get(format!("http://{address}/livez")).call().is_err());
}

/// 4 clients that query while the read model moves see no error, and only go forward.
#[tokio::test(flavor = "multi_thread")]
async fn clients_beside_a_writer_see_no_error_and_go_forward() {
    const COMMITS: u64 = 200;
    let host = Host::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let state = host.state();
    let server = tokio::spawn(serve(listener, state, shutdown.clone()));
    let client = move || {
        let (agent, mut seen) = (ureq::agent(), 42);
        while seen < 42 + COMMITS {
            let url = format!(
                "http://{address}/v1/read-models/order-summary/orders?min_sequence={}",
                seen + 1
            );
            let answer = agent.get(url).call().unwrap();
            let sequence: u64 = answer.headers()["foldline-sequence"]
                .to_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!(sequence > seen);
            seen = sequence;
        }
    };
    let clients: Vec<_> = (0..4)
        .map(|_| tokio::task::spawn_blocking(client))
        .collect();
    for sequence in 43..=42 + COMMITS {
        host.fixture.checkpoint(sequence);
        host.status
            .send_modify(|status| status.checkpoint = sequence);
        tokio::task::yield_now().await;
    }
    for client in clients {
        tokio::time::timeout(LONG, client).await.unwrap().unwrap();
    }
    shutdown.cancel();
    tokio::time::timeout(LONG, server)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
