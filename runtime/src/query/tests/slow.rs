//! Clients that take what a host has only so much of.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::Host;
use crate::query::server::{Limits, serve};
use crate::query::{bound, router};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(50);

/// Far longer than any test: what waits for this never ends in time.
const NEVER: Limits = Limits {
    connections: 8,
    head: Duration::from_secs(3_600),
    stall: Duration::from_secs(3_600),
};

/// More than the buffers of a connection take without its client.
const LARGE: usize = 64 * 1024 * 1024;

struct Server {
    address: std::net::SocketAddr,
    shutdown: CancellationToken,
    ended: JoinHandle<std::io::Result<()>>,
}

impl Server {
    async fn with(app: Router, limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let ended = tokio::spawn(serve(listener, app, shutdown.clone(), limits));
        Self {
            address,
            shutdown,
            ended,
        }
    }

    async fn small(limits: Limits) -> Self {
        let large = || async { Bytes::from(vec![b'x'; LARGE]) };
        let small = || async { "small" };
        let app = Router::new().route("/large", get(large));
        Self::with(app.route("/small", get(small)), limits).await
    }

    async fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    /// A connection that has been answered once, and is kept open by its client.
    async fn answered(&self) -> TcpStream {
        let mut stream = self.send("GET /small HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut answer = Vec::new();
        while !answer.ends_with(b"small") {
            assert_ne!(in_time(stream.read_buf(&mut answer)).await.unwrap(), 0);
        }
        stream
    }

    async fn ends(self) {
        self.shutdown.cancel();
        in_time(self.ended).await.unwrap().unwrap();
    }
}

async fn in_time<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(LONG, what).await.unwrap()
}

/// Everything that still comes, up to the connection's end.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // How it ends does not matter: closed by either side is closed.
    let _ = in_time(stream.read_to_end(&mut rest)).await;
    rest
}

#[tokio::test]
async fn clients_that_have_not_asked_do_not_delay_the_end() {
    let server = Server::small(NEVER).await;
    let silent = server.send("").await;
    let half = server.send("GET /small HTTP/1.1\r\nho").await;
    let idle = server.answered().await;
    let mut half_of_a_second = server.answered().await;
    half_of_a_second.write_all(b"GET /sm").await.unwrap();
    server.ends().await;
    for stream in [silent, half, idle, half_of_a_second] {
        assert_eq!(rest(stream).await, b"");
    }
}

#[tokio::test]
async fn an_answer_under_way_at_the_end_arrives_whole() {
    let server = Server::small(NEVER).await;
    let mut reading = server.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    in_time(reading.readable()).await.unwrap();
    let mut head = vec![0; 1024];
    in_time(reading.read_exact(&mut head)).await.unwrap();
    server.shutdown.cancel();
    let rest = rest(reading).await;
    let body = [head, rest].concat();
    let body = body.splitn(2, |b| *b == b'x').nth(1).unwrap();
    assert_eq!(body.len() + 1, LARGE);
    server.ends().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_closes_the_connection() {
    let head = SHORT;
    let server = Server::small(Limits { head, ..NEVER }).await;
    let half = server.send("GET /small HTTP/1.1\r\nho").await;
    rest(half).await;
    let idle = server.answered().await;
    assert_eq!(rest(idle).await, b"");
    server.ends().await;
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_loses_the_connection() {
    let stall = SHORT;
    let server = Server::small(Limits { stall, ..NEVER }).await;
    let mut taking = server.send("GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await;
    in_time(taking.read_u8()).await.unwrap();
    server.ends().await;
    assert!(rest(taking).await.len() < LARGE);
}

#[tokio::test]
async fn beyond_the_most_connections_clients_wait_for_their_turn() {
    let connections = 2;
    let server = Server::small(Limits {
        connections,
        ..NEVER
    })
    .await;
    let (first, second) = (server.answered().await, server.answered().await);
    let mut third = server
        .send("GET /small HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    let answer = tokio::time::timeout(SHORT, third.read_u8()).await;
    assert!(answer.is_err(), "answered beyond the limit");
    drop(first);
    assert!(rest(third).await.ends_with(b"small"));
    drop(second);
    server.ends().await;
}

#[tokio::test]
async fn probes_are_answered_however_many_requests_wait() {
    let host = Host::new();
    let state = host.state();
    let all = u32::try_from(bound::REQUESTS_MAX).unwrap();
    let _waiting = state.requests.clone().try_acquire_many_owned(all).unwrap();
    let server = Server::with(router(state), NEVER).await;
    let status = async |path: &str| {
        let mut stream = server
            .send(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await;
        let mut line = [0; "HTTP/1.1 200".len()];
        in_time(stream.read_exact(&mut line)).await.unwrap();
        StatusCode::from_bytes(&line[line.len() - 3..]).unwrap()
    };
    assert_eq!(status("/livez").await, StatusCode::OK);
    assert_eq!(status("/readyz").await, StatusCode::OK);
    let busy = StatusCode::SERVICE_UNAVAILABLE;
    assert_eq!(status("/v1/projections").await, busy);
    server.ends().await;
}
