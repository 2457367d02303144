//! The HTTP interface over hand-made read models.

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{QueryState, router};
use crate::catalog::{GenerationRecord, GenerationState, Purpose};
use crate::projection::directory::{Directory, Entry, GenerationEntry, ReadModelFile};
use crate::projection::lag::{Behind, Waiting};
use crate::projection::{State, Status};
use crate::store::sqlite::reader::fixture::{Fixture, definition};
use crate::supervisor::Supervision;

mod freshness;
mod projections;
mod rows;
mod serve;
mod slow;

/// A host with one projection, `order-summary`, live at sequence 42.
struct Host {
    fixture: Fixture,
    directory: Directory,
    status: watch::Sender<Status>,
    token: Option<&'static str>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Everything a person would read of a problem, after checking that it is one.
    fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["status"], self.status.as_u16());
        let kind = self.body["type"].as_str().unwrap();
        assert!(kind.starts_with("urn:foldline:problem:"), "{kind}");
        let text = |key: &str| self.body[key].as_str().unwrap_or_default().to_owned();
        format!(
            "{}: {} hint: {}",
            text("title"),
            text("detail"),
            text("hint")
        )
    }
}

fn status(name: &str, state: State) -> Status {
    Status {
        name: name.into(),
        version: 1,
        digest: "ab".into(),
        file: format!("{name}.wasm"),
        status: state,
        stream: Some("ORDERS".into()),
        checkpoint: 42,
        last_sequence: 42,
        lag: 0,
        events_per_second: 0.0,
        arriving_per_second: 0.0,
        behind: Behind::default(),
        waiting: Waiting::default(),
        replay_rate: None,
        reloads: 0,
        promote: Default::default(),
        generations: Vec::new(),
        verified: None,
        tables: vec!["orders".into(), "stock".into()],
        dead_letters: 0,
        held_keys: 0,
        last_error: None,
        failed_at: None,
        warnings: Vec::new(),
        place: crate::projection::StreamPlace::default(),
    }
}

/// A projection whose only generation is live.
fn entry(status: watch::Receiver<Status>, read_model: Option<ReadModelFile>) -> Entry {
    let live = GenerationEntry {
        record: Arc::new(GenerationRecord {
            number: 1,
            version: 1,
            digest: "ab".into(),
            file: "order-summary/v1-ab.db".into(),
            definition: definition(),
            state: GenerationState::Live,
            purpose: Purpose::Promote,
            started_from: None,
            created: "2026-01-01T00:00:00Z".into(),
            promoted: None,
            retired: None,
            failure: None,
            replay_rate: None,
            incident: None,
        }),
        status,
        read_model: Arc::new(read_model.map_or_else(OnceLock::new, |file| Arc::new(file).into())),
    };
    Entry {
        live,
        others: Vec::new(),
        decided: false,
        declined: None,
        verified: None,
    }
}

impl Host {
    fn new() -> Self {
        let fixture = Fixture::filled();
        let directory = Directory::default();
        directory.fill();
        let (status, receiver) = watch::channel(status("order-summary", State::Live));
        let read_model = ReadModelFile::new(fixture.path(), definition());
        directory.insert("order-summary", entry(receiver, Some(read_model)));
        Self {
            fixture,
            directory,
            status,
            token: None,
        }
    }

    /// Another generation takes the place of the live one.
    fn serve(&self, file: ReadModelFile) {
        let entry = entry(self.status.subscribe(), Some(file));
        self.directory.insert("order-summary", entry);
    }

    fn state(&self) -> QueryState {
        let nobody = Supervision::without_supervisor();
        QueryState::new(self.directory.clone(), nobody, self.token)
    }

    fn router(&self) -> Router {
        router(self.state())
    }

    async fn get(&self, uri: &str) -> Answer {
        self.send(Request::get(uri).body(Body::empty()).unwrap())
            .await
    }

    async fn post(&self, uri: &str) -> Answer {
        self.send(Request::post(uri).body(Body::empty()).unwrap())
            .await
    }

    async fn orders(&self, query: &str) -> Answer {
        self.get(&format!("/v1/read-models/order-summary/orders?{query}"))
            .await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    /// Another projection, without a read model.
    fn also(&self, name: &str, state: State) -> watch::Sender<Status> {
        let (sender, receiver) = watch::channel(status(name, state));
        self.directory.insert(name, entry(receiver, None));
        sender
    }
}
