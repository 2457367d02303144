//! Reading what was just written.

use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::oneshot;

use super::{Host, definition};
use crate::projection::directory::ReadModelFile;
use crate::projection::{Problem, State};
use crate::store::sqlite::reader::fixture::Fixture;

#[tokio::test]
async fn a_sequence_that_is_reached_is_answered_at_once() {
    let answer = Host::new().orders("min_sequence=42&timeout=0").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("foldline-sequence"), "42");
}

#[tokio::test]
async fn a_read_waits_until_its_sequence_is_committed() {
    let host = Host::new();
    let committed = async {
        // Lets the read start waiting first; were it slower, it would only find the commit done.
        tokio::task::yield_now().await;
        host.fixture.checkpoint(43);
        host.status.send_modify(|status| status.checkpoint = 43);
    };
    let (answer, ()) = tokio::join!(host.orders("min_sequence=43&timeout=60s"), committed);
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(answer.header("foldline-sequence"), "43");
}

#[tokio::test(start_paused = true)]
async fn a_sequence_not_reached_in_time_is_answered_with_the_current_one() {
    let host = Host::new();
    host.status.send_modify(|status| {
        status.last_error = Some(Problem {
            code: "unreachable".into(),
            lost: None,
            event: None,
            error: "NATS does not answer".into(),
            hint: Some("start it".into()),
            at: String::new(),
        });
    });
    let started = tokio::time::Instant::now();
    let answer = host.orders("min_sequence=43&timeout=1500ms").await;
    assert_eq!(started.elapsed().as_millis() / 100, 15);
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.header("foldline-sequence"), "42");
    assert_eq!(answer.body["sequence"], 42);
    let problem = answer.problem();
    assert!(
        problem.contains("did not reach 43 within 1.5s: NATS does not answer"),
        "{problem}"
    );
    assert!(problem.ends_with("start it"), "{problem}");
}

#[tokio::test(start_paused = true)]
async fn without_a_timeout_a_read_waits_five_seconds() {
    let host = Host::new();
    let started = tokio::time::Instant::now();
    host.orders("min_sequence=43").await.problem();
    assert_eq!(started.elapsed().as_secs(), 5);
}

#[tokio::test]
async fn nobody_waits_for_a_projection_that_has_stopped() {
    let host = Host::new();
    let (waiting, started) = oneshot::channel();
    let stopped = async {
        started.await.unwrap();
        host.status
            .send_modify(|status| status.status = State::Stopped);
    };
    let read = async {
        waiting.send(()).unwrap();
        host.orders("min_sequence=43&timeout=60s").await
    };
    let (answer, ()) = tokio::time::timeout(Duration::from_secs(30), async {
        tokio::join!(read, stopped)
    })
    .await
    .unwrap();
    assert!(answer.problem().contains("is stopped at sequence 42"));
}

#[tokio::test]
async fn rows_older_than_asked_for_are_never_answered() {
    let host = Host::new();
    // The status says 43, but the file that is served by now is another one, at 42.
    host.status.send_modify(|status| status.checkpoint = 43);
    let answer = host.orders("min_sequence=43").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("foldline-sequence"), "42");
}

#[tokio::test]
async fn who_waits_for_a_sequence_is_answered_by_the_generation_that_is_served_by_then() {
    let host = Host::new();
    let other = Fixture::empty();
    other.checkpoint(50);
    let file = ReadModelFile::new(other.path(), definition());
    let (answer, ()) = tokio::join!(host.orders("min_sequence=50&timeout=10s"), async {
        tokio::task::yield_now().await;
        // What was live comes as far a moment later than what takes its place.
        host.serve(file);
        host.status.send_modify(|status| status.checkpoint = 50);
    });
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("foldline-sequence"), "50");
}

#[tokio::test]
async fn another_file_is_read_as_soon_as_it_is_served() {
    let host = Host::new();
    let router = host.router();
    let ask = async || {
        use tower::ServiceExt as _;
        let uri = "/v1/read-models/order-summary/orders";
        let request = axum::http::Request::get(uri)
            .body(axum::body::Body::empty())
            .unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        answer.headers()["foldline-sequence"].clone()
    };
    assert_eq!(ask().await, "42");
    let other = Fixture::empty();
    other.checkpoint(50);
    let file = ReadModelFile::new(other.path(), definition());
    host.serve(file);
    assert_eq!(ask().await, "50");
}
