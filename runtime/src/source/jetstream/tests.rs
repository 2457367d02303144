//! Against a real nats-server.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config, RetentionPolicy};
use foldline_tests::nats::NatsServer;
use futures::TryStreamExt;

use super::*;
use crate::source::conformance::{Fixture, STREAM, event_source_conformance, soon};

mod encrypted;
mod faults;
mod follower;
mod leader;
mod links;
mod reach;
mod replica;
mod sign_in;

/// A server with a stream, a source under test, and a connection of the test's own.
struct Server {
    nats: NatsServer,
    context: Context,
    source: JetStreamSource,
}

fn source(url: &str) -> JetStreamSource {
    JetStreamSource::new(&JetStreamOptions {
        url: url.into(),
        ..JetStreamOptions::default()
    })
}

async fn context(nats: &NatsServer) -> Context {
    async_nats::jetstream::new(async_nats::connect(nats.url()).await.unwrap())
}

impl Server {
    async fn start() -> Self {
        Self::start_with("jetstream: enabled").await
    }

    /// With a configuration of one's own.
    async fn start_with(config: &str) -> Self {
        let nats = NatsServer::start_with(config);
        let server = Self {
            source: source(&nats.url()),
            context: context(&nats).await,
            nats,
        };
        server.create_stream(STREAM, &["orders.>"]).await;
        server
    }

    /// Kills the server and brings it back; the test gets a fresh connection, the source does not.
    async fn restart(&mut self) {
        self.nats.restart();
        self.context = context(&self.nats).await;
    }

    async fn create(&self, name: &str, subjects: &[&str], retention: RetentionPolicy) {
        let config = Config {
            name: name.into(),
            subjects: subjects.iter().map(ToString::to_string).collect(),
            retention,
            ..Config::default()
        };
        self.context.create_stream(config).await.unwrap();
    }

    async fn consumers(&self) -> Vec<String> {
        let stream = self.stream().await;
        stream.consumer_names().try_collect().await.unwrap()
    }

    /// Publishes without waiting for each acknowledgement.
    async fn publish_quickly(&self, numbers: RangeInclusive<u64>) {
        let mut acks = VecDeque::new();
        for number in numbers {
            let payload = number.to_string().into();
            acks.push_back(self.context.publish("orders.1", payload).await.unwrap());
            if acks.len() > 1_000 {
                acks.pop_front().unwrap().await.unwrap();
            }
        }
        for ack in acks {
            ack.await.unwrap();
        }
    }

    async fn stream(&self) -> async_nats::jetstream::stream::Stream {
        self.context.get_stream(STREAM).await.unwrap()
    }
}

impl Fixture for Server {
    fn source(&self) -> &dyn EventSource {
        &self.source
    }

    async fn publish(&self, subject: &str, headers: &[(&str, &str)], payload: &[u8]) -> Sequence {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, *value);
        }
        let (subject, payload) = (subject.to_owned(), payload.to_vec().into());
        let sent = match headers.is_empty() {
            true => self.context.publish(subject, payload).await,
            false => {
                self.context
                    .publish_with_headers(subject, map, payload)
                    .await
            }
        };
        sent.unwrap().await.unwrap().sequence
    }

    async fn create_stream(&self, name: &str, subjects: &[&str]) {
        self.create(name, subjects, RetentionPolicy::Limits).await;
    }

    async fn create_work_queue(&self, name: &str) {
        self.create(name, &["tasks"], RetentionPolicy::WorkQueue)
            .await;
    }

    async fn purge_before(&self, sequence: Sequence) {
        self.stream()
            .await
            .purge()
            .sequence(sequence)
            .await
            .unwrap();
    }

    async fn delete_event(&self, sequence: Sequence) {
        self.stream().await.delete_message(sequence).await.unwrap();
    }

    async fn interrupt(&self) {
        let stream = self.stream().await;
        for consumer in self.consumers().await {
            stream.delete_consumer(&consumer).await.unwrap();
        }
    }
}

event_source_conformance!(Server::start);

#[tokio::test]
async fn a_reader_leaves_no_consumer_behind() {
    let server = Server::start().await;
    let reader = server.read(0).await;
    assert_eq!(server.consumers().await.len(), 1);
    drop(reader);
    let gone = async { while !server.consumers().await.is_empty() {} };
    soon(gone).await;
}
