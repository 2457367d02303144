//! The disk is full, forbidden, or does not hold what was written to it: a named error, the other projections go on, and
//! there is a way back to exact rows.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::model::Model;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::rows;
use foldline_tests::stream::Stream;
use serde_json::Value;

use crate::examples::assert_each_event_once_in_order;

mod catalog;
mod damaged;
mod forbidden;
mod full;
mod gone;
mod two_hosts;

/// The projection to which it happens.
const NAME: &str = "order-summary";

/// Bytes of a page of a read model's file.
const PAGE: u64 = 4096;

/// A host with the projection to which it happens, and a ledger beside it.
struct World {
    _nats: NatsServer,
    stream: Stream,
    orders: Orders,
    host: Host,
}

impl World {
    /// Both have applied a history.
    fn new() -> Self {
        Self::with(|host| host)
    }

    fn with(prepare: impl FnOnce(Host) -> Host) -> Self {
        let nats = NatsServer::start();
        let stream = Stream::of_orders(&nats.url());
        let host = prepare(Host::new(&nats.url()));
        for name in [NAME, "ledger"] {
            host.drop_module(&format!("{name}.wasm"), &module(name));
        }
        let mut world = Self {
            _nats: nats,
            stream,
            orders: Orders::new(7),
            host,
        };
        world.host.restart();
        let last = world.publish(3_000);
        for name in [NAME, "ledger"] {
            world.host.wait_applied(name, last);
        }
        world
    }

    fn publish(&mut self, count: usize) -> u64 {
        self.stream.publish(&self.orders.events(count))
    }

    /// The file of the live generation.
    fn file(&self) -> PathBuf {
        let status = self.host.status(NAME);
        let generations = status["generations"].as_array().into_iter().flatten();
        let mut live = generations.filter(|one| one["state"] == "live");
        let file = live.next().and_then(|live| live["file"].as_str());
        self.host.data().join(file.expect("a generation is live"))
    }

    /// Stops the host in order, and has everything in the file itself; gives the file.
    fn stop(&mut self) -> PathBuf {
        let file = self.file();
        assert!(self.host.end_with("TERM").success());
        foldline_tests::data::empty_log(&file);
        file
    }

    /// Waits until the projection has stopped for this reason, looks everywhere a person or a program would, and sees
    /// the other projection go on.
    #[track_caller]
    fn assert_broken(&mut self, code: &str, error: &str) {
        let host = &self.host;
        let what = format!("is failed with {code}: {error:?}");
        host.wait_status(NAME, &what, |status| {
            status["status"] == "failed" && says(&status["last_error"], code, error)
        });
        let ready = host.get("/readyz");
        assert_eq!(ready.code, 503, "{ready:?}");
        let mut reasons = ready.body["reasons"].as_array().into_iter().flatten();
        assert!(reasons.any(|reason| reason["code"] == code), "{ready:?}");
        host.log().wait_for(&[NAME, error, "foldline rebuild"]);
        let shown = host.cli(&["status"]).stdout;
        assert!(shown.contains(error), "{shown}");
        assert!(shown.contains("foldline rebuild"), "{shown}");
        let last = self.publish(100);
        assert_each_event_once_in_order(&self.host, last);
    }

    /// Builds the read model again, waits until that is live, and compares its rows.
    #[track_caller]
    fn rebuild(&mut self) {
        let broken = self.host.status(NAME)["generations"][0]["number"].clone();
        let rebuilt = self.host.cli(&["rebuild", NAME]);
        assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
        let status = self.host.wait_status(NAME, "is live again", |status| {
            let generations = status["generations"].as_array();
            let only = generations.is_some_and(|all| all.len() == 1);
            status["status"] == "live" && only
        });
        assert_ne!(status["generations"][0]["number"], broken, "{status}");
        self.assert_exact();
        assert_eq!(self.host.get("/readyz").code, 200);
        self.host.restart();
        self.assert_exact();
    }

    /// Everything that is published is in the rows, and so is what is published now.
    #[track_caller]
    fn assert_exact(&mut self) {
        let last = self.publish(50);
        self.host.wait_applied(NAME, last);
        let model = Model::of(&self.stream.read_back());
        let rows = rows::all(&self.host, NAME, "orders", "order_id");
        rows::assert_equal(NAME, &rows, &model.orders);
        assert_each_event_once_in_order(&self.host, last);
    }

    /// Reads all rows until one page of them is refused.
    fn read_until_refused(&self) -> Value {
        let page = |offset| {
            let path = format!("/v1/read-models/{NAME}/orders?limit=100&offset={offset}");
            self.host.get(&path)
        };
        let mut answers = (0..100).map(|i| page(i * 100));
        let refused = answers.find(|answer| answer.code != 200);
        refused.expect("a read comes upon the damage").body
    }
}

fn says(problem: &Value, code: &str, error: &str) -> bool {
    let text = problem["error"].as_str().unwrap_or_default();
    problem["code"] == code && text.contains(error)
}

/// Writes garbage over a part of a file, in place.
fn garble(file: &Path, from: u64, bytes: u64) {
    let open = OpenOptions::new().write(true).open(file);
    let garbage: Vec<u8> = (0..bytes).map(|i| (i * 31 + 7) as u8 | 0x80).collect();
    let written = open.and_then(|file| file.write_all_at(&garbage, from));
    written.expect("the file can be written");
}

/// Pages of a read model's file.
fn pages(file: &Path) -> u64 {
    fs::metadata(file).expect("the file is there").len() / PAGE
}

/// The same name with this behind it: `-wal`.
fn beside(file: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", file.display()))
}

/// Cuts a file off.
fn cut(file: &Path, bytes: u64) {
    let open = OpenOptions::new().write(true).open(file);
    let cut = open.and_then(|file: File| file.set_len(bytes));
    cut.expect("the file can be cut off");
}
