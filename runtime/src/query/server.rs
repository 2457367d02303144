//! Connections: how many there are, how slow their clients may be, and how they end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// Connections at once; further clients wait to be accepted. Many systems allow a process 1,024 open files, so this
/// leaves some to the read models.
pub(super) const CONNECTIONS_MAX: usize = 768;

/// Time for the head of a request, counted from the connection's start or from the last answer: how long a
/// connection may be idle, too.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a client may take nothing of its answer. Below the usual time of a drain, which such a client must not
/// use up.
const STALL_TIME_MAX: Duration = Duration::from_secs(5);

/// Bytes of a request's head, and of an answer copied for sending, per connection.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

const _: () = assert!(super::bound::REQUESTS_MAX < CONNECTIONS_MAX);

/// What clients may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at once.
    pub(super) connections: usize,
    /// Time for the head of a request.
    pub(super) head: Duration,
    /// Time in which nothing of an answer is taken.
    pub(super) stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS_MAX,
            head: HEAD_TIME_MAX,
            stall: STALL_TIME_MAX,
        }
    }
}

/// Serves until `shutdown`, then ends with the requests under way. Dropped, it takes its connections with it.
pub(super) async fn serve(
    mut listener: TcpListener,
    app: Router,
    shutdown: CancellationToken,
    limits: Limits,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => {}
            // Logs what goes wrong, and tries again.
            (stream, _) = Listener::accept(&mut listener), if connections.len() < limits.connections => {
                let connection = Connection { app: app.clone(), shutdown: shutdown.clone(), limits };
                connections.spawn(connection.serve(stream));
            }
        }
    }
    // New clients are refused from here on, instead of waiting for somebody to accept them.
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

struct Connection {
    app: Router,
    shutdown: CancellationToken,
    limits: Limits,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.limits.stall));
        let asked = Arc::new(AtomicBool::new(false));
        let service = service_fn(|request: Request<Incoming>| {
            asked.store(true, Ordering::Relaxed);
            answer(self.app.clone(), request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                // hyper closes connections that are idle after a request, but lets the head of a first one arrive.
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }
}

async fn answer(app: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    app.oneshot(request).await
}
