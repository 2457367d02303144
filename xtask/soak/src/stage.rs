//! Where everything runs: a server, a network before it that can fail, two streams, and a host.

use foldline_tests::guests::{module, rebuilt};
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::proxy::Proxy;
use foldline_tests::stream::{Config, Stream, SubjectTransform};

/// Projections of the stream of orders.
pub(crate) const OF_ORDERS: [&str; 4] = [
    "order-summary",
    "customer-totals",
    "product-sales",
    "ledger",
];

/// The one whose events fail until it is mended. It has a stream of its own, because nobody else understands its events.
pub(crate) const SCRIBE: &str = "scribe";

/// Caches are small, so that they are full soon and memory has no reason to grow later.
const CONFIG: &str = "[store]\ncache_mib = 4\n[projection.scribe]\nstream = \"NOTES\"\n";

/// The order of the fields matters: what uses something ends before it.
pub(crate) struct Stage {
    pub(crate) host: Host,
    pub(crate) streams: Streams,
    pub(crate) proxy: Proxy,
    pub(crate) nats: NatsServer,
    builds: u32,
}

pub(crate) struct Streams {
    pub(crate) orders: Stream,
    pub(crate) notes: Stream,
}

impl Stage {
    pub(crate) fn set() -> Self {
        let nats = NatsServer::start_synced();
        let proxy = Proxy::start(&nats.url());
        let notes = Config {
            name: "NOTES".to_owned(),
            subjects: vec!["scribe.>".to_owned()],
            // Stored under the subjects that the guest knows.
            subject_transform: Some(SubjectTransform {
                source: "scribe.>".to_owned(),
                destination: "orders.>".to_owned(),
            }),
            ..Config::default()
        };
        let streams = Streams {
            orders: Stream::of_orders(&nats.url()),
            notes: Stream::with_config(&nats.url(), notes),
        };
        let mut stage = Self {
            host: Host::new(&proxy.url()).configured(CONFIG),
            streams,
            proxy,
            nats,
            builds: 0,
        };
        for name in OF_ORDERS {
            stage.deploy(name, name);
        }
        stage.deploy(SCRIBE, SCRIBE);
        stage.host.restart();
        stage
    }

    /// Puts another build of `module` into the file of a projection.
    pub(crate) fn deploy(&mut self, projection: &str, guest: &str) {
        self.builds += 1;
        let build = rebuilt(&module(guest), &self.builds.to_string());
        self.host.drop_module(&format!("{projection}.wasm"), &build);
    }

    /// Asks for a command; it may be refused.
    pub(crate) fn ask(&self, projection: &str, command: &str) -> bool {
        let answer = self
            .host
            .post(&format!("/v1/projections/{projection}/{command}"));
        answer.is_some_and(|answer| answer.code == 200)
    }
}
