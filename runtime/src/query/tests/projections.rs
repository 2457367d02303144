//! Status, health, and who may ask.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use super::Host;
use crate::projection::lag::Waiting;
use crate::projection::{Problem, RefusedModule, State};
use crate::source::LostEvents;

fn problem(error: &str) -> Problem {
    Problem {
        code: "a_code".into(),
        lost: None,
        event: None,
        error: error.into(),
        hint: Some("do this".into()),
        at: "2026-01-01T00:00:00Z".into(),
    }
}

#[tokio::test]
async fn projections_and_refused_modules_are_listed() {
    let host = Host::new();
    host.also("another", State::Starting);
    host.directory.refuse(RefusedModule {
        file: "bad.wasm".into(),
        verdict: "refused".into(),
        problem: problem("it is not WebAssembly"),
    });
    let answer = host.get("/v1/projections").await;
    assert_eq!(answer.status, StatusCode::OK);
    let names: Vec<_> = [0, 1]
        .map(|i| answer.body["projections"][i]["name"].clone())
        .into();
    assert_eq!(names, ["another", "order-summary"]);
    assert_eq!(
        answer.body["modules"],
        json!([{"file": "bad.wasm", "verdict": "refused", "code": "a_code", "error": "it is not WebAssembly",
                "hint": "do this", "at": "2026-01-01T00:00:00Z"}])
    );
}

#[tokio::test]
async fn one_projections_status_has_every_promised_field() {
    let host = Host::new();
    let answer = host.get("/v1/projections/order-summary").await;
    for field in [
        "name",
        "version",
        "digest",
        "status",
        "stream",
        "checkpoint",
        "last_sequence",
        "lag",
        "generations",
        "dead_letters",
        "held_keys",
        "last_error",
    ] {
        assert!(answer.body.get(field).is_some(), "{field}");
    }
    assert_eq!(answer.body["status"], "live");
    let unknown = host.get("/v1/projections/nobody").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.problem().contains("there are: order-summary"));
}

#[tokio::test]
async fn the_host_is_ready_when_nothing_is_starting_or_failed() {
    let host = Host::new();
    assert_eq!(host.get("/livez").await.status, StatusCode::OK);
    assert_eq!(
        host.get("/readyz").await.body,
        json!({"ready": true, "reasons": []})
    );

    let another = host.also("another", State::Starting);
    let answer = host.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        answer.body,
        json!({"ready": false, "reasons": [{"projection": "another", "status": "starting"}]})
    );

    another.send_modify(|status| {
        status.status = State::Failed;
        status.last_error = Some(problem("event 7 failed"));
    });
    let answer = host.get("/readyz").await;
    assert_eq!(
        answer.body["reasons"],
        json!([{"projection": "another", "status": "failed", "code": "a_code", "error": "event 7 failed",
                "hint": "do this"}])
    );

    another.send_modify(|status| status.status = State::CatchingUp);
    assert_eq!(host.get("/readyz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_projection_that_stalls_says_so_and_the_host_is_not_ready() {
    let host = Host::new();
    let another = host.also("another", State::CatchingUp);
    another.send_modify(|status| {
        (status.last_sequence, status.lag) = (45, 3);
        status.waiting = Waiting::new(Some(Duration::ZERO));
        status.waiting.seen(Instant::now(), 3);
    });
    let answer = host.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let reason = &answer.body["reasons"][0];
    assert_eq!(reason["code"], "stalled");
    let error = reason["error"].to_string();
    assert!(
        error.contains("3 events wait (sequences 43 to 45)"),
        "{error}"
    );

    another.send_modify(|status| status.status = State::Paused);
    assert_eq!(host.get("/readyz").await.status, StatusCode::OK);
    let paused = host.get("/v1/projections/another").await;
    assert_eq!(paused.body["stalled"], false);
    assert_eq!(paused.body["last_error"], json!(null));
}

#[tokio::test]
async fn lost_events_are_accepted_only_where_a_projection_waits_for_that() {
    let host = Host::new();
    let gate = host.directory.losses().gate("order-summary");
    let accept = async || host.post("/v1/projections/order-summary/accept").await;
    let answer = accept().await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert!(answer.body["hint"].to_string().contains("events_lost"));

    gate.stopped(Some(LostEvents { first: 5, last: 9 }));
    let answer = accept().await;
    assert_eq!(answer.status, StatusCode::OK);
    let expected = json!({"projection": "order-summary", "accepted": [{"first": 5, "last": 9}]});
    assert_eq!(answer.body, expected);
    assert!(gate.pass());
    assert_eq!(accept().await.status, StatusCode::CONFLICT);
    let nobody = host.post("/v1/projections/nobody/accept").await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_host_that_has_not_looked_for_modules_is_not_ready() {
    let mut host = Host::new();
    host.directory = crate::projection::directory::Directory::default();
    let answer = host.get("/readyz").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body["reasons"][0]["status"], "starting");
    assert!(
        answer.body["reasons"][0]["error"]
            .as_str()
            .unwrap()
            .contains("modules folder")
    );
    // Whether there is such a projection is not known yet.
    let path = "/v1/projections/order-summary";
    assert!(
        host.get(path)
            .await
            .problem()
            .contains("the host is starting")
    );
    host.directory.fill();
    assert_eq!(host.get("/readyz").await.status, StatusCode::OK);
    assert_eq!(host.get(path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_token_is_asked_for_everywhere_but_at_the_probes() {
    let mut host = Host::new();
    host.token = Some("secret-1");
    for (authorization, path, expected) in [
        (None, "/v1/projections", 401),
        (Some("Bearer secret-2"), "/v1/projections", 401),
        (Some("secret-1"), "/v1/projections", 401),
        (Some("Basic secret-1"), "/v1/projections", 401),
        (Some("Bearer secret-1"), "/v1/projections", 200),
        (
            Some("bearer  secret-1"),
            "/v1/read-models/order-summary/orders",
            200,
        ),
        (None, "/v1/read-models/order-summary/orders", 401),
        (None, "/nothing", 401),
        (None, "/livez", 200),
        (None, "/readyz", 200),
    ] {
        let mut request = Request::get(path);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = host.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), expected, "{authorization:?} {path}");
        if expected == 401 {
            assert!(answer.header("www-authenticate").starts_with("Bearer"));
            assert!(!answer.problem().contains("secret-1"));
        }
    }
}
