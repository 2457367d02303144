use super::*;
use crate::source::conformance::{Fixture, STREAM, event_source_conformance};

impl Fixture for MemorySource {
    fn source(&self) -> &dyn EventSource {
        self
    }

    async fn publish(&self, subject: &str, headers: &[(&str, &str)], payload: &[u8]) -> Sequence {
        let mut sorted = headers.to_vec();
        sorted.sort_by_key(|(name, _)| *name);
        let lines: String = sorted
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        MemorySource::publish(self, STREAM, subject, lines.as_bytes(), payload)
    }

    async fn create_stream(&self, name: &str, subjects: &[&str]) {
        MemorySource::create_stream(self, name, subjects).unwrap();
    }

    async fn create_work_queue(&self, name: &str) {
        MemorySource::create_stream(self, name, &["tasks"]).unwrap();
        self.set_retention(name, "work queue");
    }

    async fn purge_before(&self, sequence: Sequence) {
        MemorySource::purge_before(self, STREAM, sequence);
    }

    async fn delete_event(&self, sequence: Sequence) {
        MemorySource::delete_event(self, STREAM, sequence);
    }

    async fn interrupt(&self) {
        MemorySource::interrupt(self);
    }
}

async fn orders() -> MemorySource {
    let source = MemorySource::new();
    MemorySource::create_stream(&source, STREAM, &["orders.>"]).unwrap();
    source
}

event_source_conformance!(orders);
