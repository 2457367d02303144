//! Files that are no projection modules: each is refused with one clear error, and nothing else notices.

use std::process::Command;

use foldline_tests::guests::module;
use foldline_tests::host::{Host, foldline};
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;

use crate::examples::assert_each_event_once_in_order;

/// A host with a running ledger, and more events whenever it has to prove that it still runs.
struct Beside {
    host: Host,
    stream: Stream,
    orders: Orders,
    _nats: NatsServer,
}

impl Beside {
    fn new(modules: &[&str]) -> Self {
        let nats = NatsServer::start();
        let stream = Stream::of_orders(&nats.url());
        let host = Host::start(&nats.url(), modules);
        let mut beside = Self {
            host,
            stream,
            orders: Orders::new(1),
            _nats: nats,
        };
        beside.assert_ledger_goes_on();
        beside
    }

    #[track_caller]
    fn assert_ledger_goes_on(&mut self) {
        let last = self.stream.publish(&self.orders.events(50));
        assert_each_event_once_in_order(&self.host, last);
    }

    /// Waits until the file is refused, and looks everywhere a person would: HTTP, `status`, the log.
    #[track_caller]
    fn assert_refused(&mut self, file: &str, error: &str, hint: &str) {
        let refused = wait_until(&format!("{file} is refused"), || self.host.refused(file));
        assert_eq!(refused["verdict"], "refused", "{refused}");
        for (field, part) in [("error", error), ("hint", hint)] {
            let text = refused[field].as_str().unwrap_or_default();
            assert!(
                text.contains(part),
                "{field} of {file} does not say {part:?}: {refused}"
            );
        }
        let status = self.host.cli(&["status"]);
        let shown = status.stdout.contains(file) && status.stdout.contains(error);
        assert!(
            status.code == 0 && shown,
            "`foldline status` does not show it: {status:?}"
        );
        let lines = self.host.log().wait_for(&["refused", file]);
        assert_eq!(lines.len(), 1, "it is logged once: {lines:?}");
        assert!(
            lines[0].contains(error) && lines[0].contains(hint),
            "{lines:?}"
        );
        self.assert_ledger_goes_on();
    }

    /// Puts the file there, sees it refused, takes it away, and sees it forgotten.
    #[track_caller]
    fn assert_refuses(&mut self, file: &str, bytes: &[u8], error: &str, hint: &str) {
        self.host.drop_module(file, bytes);
        self.assert_refused(file, error, hint);
        self.host.remove_module(file);
        wait_until(&format!("{file} is forgotten"), || {
            self.host.refused(file).is_none().then_some(())
        });
    }
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("the text is well-formed")
}

#[test]
fn files_that_are_no_projections_are_refused_and_the_others_go_on() {
    let mut beside = Beside::new(&["ledger"]);
    let whole = module("ledger");
    let other_world = wat(r#"(component
        (core module $m (func (export "run")))
        (core instance $i (instantiate $m))
        (func (export "run") (canon lift (core func $i "run")))
    )"#);
    let wasi_component = wat(r#"(component
        (import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u64)))))
    )"#);
    let wasi_module = wat(r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    )"#);
    let build = "wasm32-unknown-unknown";

    beside.assert_refuses("text.wasm", b"to be written", "not WebAssembly", build);
    beside.assert_refuses("empty.wasm", b"", "not WebAssembly", build);
    // Within its code, and within the sections after it.
    for length in [whole.len() / 4, whole.len() / 2, whole.len() - 1] {
        let cut = &whole[..length];
        beside.assert_refuses(
            &format!("cut-at-{length}.wasm"),
            cut,
            "no valid WebAssembly",
            "again",
        );
    }
    beside.assert_refuses(
        "other-world.wasm",
        &other_world,
        "does not export",
        "#[projection]",
    );
    beside.assert_refuses(
        "wasi-component.wasm",
        &wasi_component,
        "wasi:clocks/monotonic-clock",
        build,
    );
    beside.assert_refuses("wasi-module.wasm", &wasi_module, "wasi", build);
    beside.assert_refuses(
        "describe.wasm",
        &module("describe-traps"),
        "`describe` failed",
        "#[projection]",
    );

    let projections = beside.host.get("/v1/projections").body["projections"].take();
    assert_eq!(
        projections.as_array().map(Vec::len),
        Some(1),
        "{projections}"
    );
}

#[test]
fn of_two_files_with_one_name_the_first_goes_on_and_the_second_takes_over_when_it_is_gone() {
    let mut beside = Beside::new(&["ledger"]);
    beside
        .host
        .drop_module("copy-of-ledger.wasm", &module("ledger"));
    beside.assert_refused(
        "copy-of-ledger.wasm",
        "already runs from ledger.wasm",
        "remove one",
    );

    beside.host.remove_module("ledger.wasm");
    beside
        .host
        .wait_status("ledger", "runs from the other file", |status| {
            status["file"] == "copy-of-ledger.wasm" && status["status"] == "live"
        });
    assert_eq!(beside.host.refused("copy-of-ledger.wasm"), None);
    beside.assert_ledger_goes_on();
}

#[test]
fn a_file_overwritten_with_a_module_that_runs_elsewhere_is_refused_and_goes_on_with_what_it_held() {
    let mut beside = Beside::new(&["ledger", "order-summary"]);
    beside
        .host
        .drop_module("ledger.wasm", &module("order-summary"));
    beside.assert_refused(
        "ledger.wasm",
        "already runs from order-summary.wasm",
        "remove one",
    );
    beside.assert_ledger_goes_on();
}

#[test]
fn of_two_files_with_one_name_at_the_start_the_first_by_file_name_runs() {
    let mut beside = Beside::new(&["ledger"]);
    beside.host.end_with("TERM");
    beside.host.drop_module("z-copy.wasm", &module("ledger"));
    beside.host.restart();

    beside.assert_refused("z-copy.wasm", "already runs from ledger.wasm", "remove one");
    assert_eq!(beside.host.status("ledger")["file"], "ledger.wasm");
}

#[test]
fn another_definition_of_the_same_version_is_refused_and_the_running_one_goes_on() {
    let mut beside = Beside::new(&["ledger", "order-summary"]);
    let last = beside.stream.last_sequence();
    beside.host.wait_applied("order-summary", last);
    let before = beside.host.status("order-summary");

    beside
        .host
        .drop_module("order-summary.wasm", &module("order-summary-redefined"));
    beside.assert_refused(
        "order-summary.wasm",
        "does not fit its read model: table orders",
        "count the version up",
    );

    let after = beside.host.status("order-summary");
    assert_eq!(
        (&after["digest"], &after["version"]),
        (&before["digest"], &before["version"])
    );
    beside
        .host
        .wait_applied("order-summary", beside.stream.last_sequence());
    beside
        .host
        .drop_module("order-summary.wasm", &module("order-summary-changed"));
    beside
        .host
        .wait_status("order-summary", "was reloaded", |status| {
            status["reloads"] == 1
        });
    assert_eq!(beside.host.refused("order-summary.wasm"), None);
}

#[test]
fn a_lower_version_is_refused_and_the_higher_goes_on() {
    let mut beside = Beside::new(&["ledger", "order-summary-next"]);
    beside
        .host
        .wait_applied("order-summary", beside.stream.last_sequence());

    beside
        .host
        .drop_module("order-summary-next.wasm", &module("order-summary"));
    let refused = wait_until("version 1 is refused", || {
        beside.host.refused("order-summary-next.wasm")
    });
    let error = refused["error"].as_str().unwrap_or_default();
    assert!(error.contains("version is 1, not 2"), "{refused}");

    beside.assert_ledger_goes_on();
    beside
        .host
        .wait_applied("order-summary", beside.stream.last_sequence());
    assert_eq!(beside.host.status("order-summary")["version"], 2);
}

/// A few KB that keep a compiler busy for a long time: each of many loops within each other carries all of many values.
fn costly() -> Vec<u8> {
    let (loops, locals) = (300, 300);
    let values: String = (0..locals)
        .map(|i| format!("(local.set {i} (i32.add (local.get {i}) (i32.const 1)))"))
        .collect();
    let (open, declared) = ("(loop ".repeat(loops), "i32 ".repeat(locals));
    let close = "(br_if 0 (local.get 0)))".repeat(loops);
    wat(&format!(
        "(component (core module (func (local {declared}) {open}{values}{close})))"
    ))
}

#[test]
fn a_module_that_keeps_the_compiler_busy_keeps_no_other_from_starting() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &["order-summary"]);
    let last = stream.publish(&Orders::new(1).events(500));
    host.wait_applied("order-summary", last);
    // Before the others in the order of names.
    host.drop_module("costly.wasm", &costly());
    host.drop_module("ledger.wasm", &module("ledger"));
    host.wait_applied("ledger", last);
    host.log()
        .wait_for(&["costly.wasm", "still being compiled"]);
    host.restart();
    let last = stream.publish(&Orders::new(2).events(500));
    for name in ["order-summary", "ledger"] {
        host.wait_applied(name, last);
    }
    assert_eq!(host.refused("costly.wasm"), None, "it is compiled by now");
}

/// A module of one function that does this.
fn only(instructions: &str) -> Vec<u8> {
    wat(&format!("(component (core module (func {instructions})))"))
}

#[test]
fn a_module_that_takes_the_compiler_too_much_is_refused_and_the_host_stays() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let limits = "[limits]\ncompile_ms = 5000\ncompile_mib = 512\n";
    let mut host = Host::new(&nats.url()).configured(limits);
    let (open, close) = ("loop ", "i32.const 0 br_if 0 end ");
    let nested = [open.repeat(3_000), close.repeat(3_000)].concat();
    let in_a_row = [open, close].concat().repeat(200_000);
    host.drop_module("nested.wasm", &only(&nested));
    host.drop_module("row.wasm", &only(&in_a_row));
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(500)));
    for (file, said, setting) in [
        (
            "nested.wasm",
            "more than 5 s of processor time",
            "compile_ms",
        ),
        ("row.wasm", "more than 536870912 bytes", "compile_mib"),
    ] {
        host.log().wait_for(&[file, said, setting]);
        let refused = wait_until("the refusal is shown", || host.refused(file)).to_string();
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn a_stop_does_not_wait_for_the_compiler_of_a_plan() {
    let nats = NatsServer::start();
    let mut host = Host::start(&nats.url(), &[]);
    let (open, close) = ("loop ", "i32.const 0 br_if 0 end ");
    let nested = only(&[open.repeat(3_000), close.repeat(3_000)].concat());
    let desk = tempfile::tempdir().expect("a temporary folder");
    let file = desk.path().join("nested.wasm");
    std::fs::write(&file, nested).expect("the file can be written");
    let file = file.display().to_string();
    let address = host.address().to_owned();
    let plans = std::thread::spawn(move || foldline(&["plan", &file, "--host", &address]));
    wait_until("the compiler runs", || children(host.pid()).pop());
    assert!(host.end_with("TERM").success(), "{}", host.log());
    let planned = plans.join().expect("it ends");
    planned.assert_explains(1, &["the host is stopping"]);
}

/// As the system does it where no memory is left.
#[test]
fn a_compiler_that_is_killed_takes_nothing_with_it_and_is_started_again_when_the_file_is_copied_again()
 {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    host.wait_state("ledger", "live");
    let (open, close) = ("loop ", "i32.const 0 br_if 0 end ");
    let nested = only(&[open.repeat(3_000), close.repeat(3_000)].concat());
    for _ in 0..2 {
        host.drop_module("nested.wasm", &nested);
        let compiler = wait_until("the compiler runs", || children(host.pid()).pop());
        kill(compiler);
        wait_until("the compiler has ended", || {
            children(host.pid()).is_empty().then_some(())
        });
        let refused = wait_until("the refusal is shown", || host.refused("nested.wasm"));
        let refused = refused.to_string();
        for part in ["did not come to its end", "copy the file again"] {
            assert!(refused.contains(part), "{refused}");
        }
    }
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(500)));
    host.drop_module("nested.wasm", &module("order-summary"));
    host.wait_state("order-summary", "live");
}

fn kill(process: u32) {
    let process = process.to_string();
    let killed = Command::new("kill").args(["-KILL", &process]).status();
    assert!(killed.is_ok_and(|killed| killed.success()));
}

/// The processes that threads of this one have started and that still run.
fn children(pid: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let children = threads.map(|thread| std::fs::read_to_string(thread.path().join("children")));
    let children: Vec<_> = children.flatten().collect();
    let pids = children.iter().flat_map(|pids| pids.split_whitespace());
    pids.filter_map(|pid| pid.parse().ok()).collect()
}
