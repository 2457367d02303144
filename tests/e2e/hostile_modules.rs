//! Modules that do their worst, all at once in one host: each is stopped and named with its limit, what it wanted and the
//! event; nothing else notices.

use std::time::{Duration, Instant};

use foldline_tests::guests::{module, renamed};
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;
use serde_json::Value;

use crate::examples::assert_each_event_once_in_order;

/// What a module is told to do, and what is said of it.
const MISDEEDS: [(&str, &[&str]); 27] = [
    ("loop", &["time limit", "more than 1000 ms"]),
    ("recurse", &["trapped"]),
    ("grow", &["memory limit", "wanted", "67108864 allowed"]),
    ("allocate", &["memory limit", "wanted", "67108864 allowed"]),
    ("many-changes", &["changes limit", "more than 100000"]),
    (
        "large-changes",
        &["changes limit", "more than 33554432 bytes"],
    ),
    (
        "large-row",
        &["row limit", "entries has 15728", "1048576 allowed"],
    ),
    ("giant-row", &["size limit", "more than 2097152 bytes"]),
    (
        "find-much",
        &["find limit", "entries", "more than 8388608 bytes"],
    ),
    ("short-row", &["entries has 3 columns, a row of 1 given"]),
    ("long-row", &["entries has 3 columns, a row of 4 given"]),
    ("wrong-type", &["entries.batches (integer)", "text"]),
    ("not-a-number", &["entries.batches (integer)", "real"]),
    ("null", &["entries.batches (integer)", "null"]),
    ("no-utf8", &["entries.subject (text)", "not UTF-8"]),
    ("no-row", &["is no row", "byte 0 is 77"]),
    ("cut-off", &["is no row", "cut off"]),
    ("no-table", &["no table number 7"]),
    ("no-index", &["entries has no index number 9"]),
    ("wrong-key", &["entries.sequence (integer)", "text"]),
    ("beyond-memory", &["out of bounds"]),
    ("log-giant", &["size limit", "more than 2097152 bytes"]),
    ("log-no-utf8", &["trapped", "utf-8"]),
    ("reject-elsewhere", &["rejected event number 4294967295"]),
    ("reject-last", &["the last one"]),
    (
        "reject-at-length",
        &["size limit", "more than 2097152 bytes"],
    ),
    ("panic", &["trapped"]),
];

/// Small enough that breaches come soon.
const LIMITS: &str = "[limits]\ncall_ms = 1000\nbatch_events = 50\nmemory_mib = 64\nchanges_mib = 32\nfind_mib = 8\nlog_lines_per_batch = 10\n";

/// The lag of a projection that notices nothing. On a machine where nothing else runs it is some milliseconds.
const BESIDE_WITHIN: Duration = Duration::from_secs(10);

/// What the host may hold in memory, in MiB, after many greedy guests have gone, over what it held after a few. Its
/// allocator keeps some for the next one; each guest of these takes more than this.
const LEFT_BEHIND_MIB: u64 = 60;

fn name(number: usize) -> String {
    format!("hostile-{number:02}")
}

fn hostile(number: usize) -> Vec<u8> {
    renamed(&module("hostile"), "hostile-00", &name(number))
}

#[test]
fn hostile_modules_are_stopped_and_named_and_nothing_else_notices() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::new(&nats.url()).configured(LIMITS);
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    let mut orders = Orders::new(1);
    host.wait_applied("ledger", stream.publish(&orders.events(1_000)));
    for number in 0..MISDEEDS.len() {
        host.drop_module(&format!("{}.wasm", name(number)), &hostile(number));
    }
    for number in 0..MISDEEDS.len() {
        host.wait_applied(&name(number), 1_000);
    }

    let bad: Vec<u64> = (MISDEEDS.iter().enumerate())
        .map(|(number, (kind, _))| {
            stream.publish(&orders.events(20));
            let order = format!("{} {kind}", name(number));
            stream.publish_one("stock.p-1.Counted", "", &[("hostile", &order)])
        })
        .collect();
    let mut worst = Duration::ZERO;
    for (number, ((kind, said), sequence)) in MISDEEDS.iter().zip(&bad).enumerate() {
        worst = worst.max(lag(&host, &stream, &mut orders));
        let status = host.wait_state(&name(number), "failed");
        assert_eq!(status["checkpoint"], sequence - 1, "{kind}: {status}");
        assert_named(&status, *sequence, kind, said);
    }
    eprintln!("the ledger came {worst:?} after an event at worst");
    assert!(worst < BESIDE_WITHIN, "{worst:?}");
    assert_each_event_once_in_order(&host, stream.last_sequence());
    assert!(host.is_running());
}

#[track_caller]
fn assert_named(status: &Value, sequence: u64, kind: &str, said: &[&str]) {
    let last_error = &status["last_error"];
    assert_eq!(last_error["code"], "poison_event", "{kind}: {status}");
    let error = last_error["error"].as_str().unwrap_or_default();
    let event = format!("event {sequence} ");
    for part in said.iter().copied().chain([event.as_str()]) {
        assert!(error.contains(part), "{kind} without {part:?}: {error}");
    }
    assert!(last_error["hint"].is_string(), "{kind}: {status}");
    assert!(error.len() < 8_000, "{kind}: {} bytes", error.len());
}

/// How long the ledger takes for one more event.
fn lag(host: &Host, stream: &Stream, orders: &mut Orders) -> Duration {
    let published = Instant::now();
    host.wait_applied("ledger", stream.publish(&orders.events(1)));
    published.elapsed()
}

#[test]
fn the_memory_of_modules_that_are_gone_is_used_again() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::new(&nats.url()).configured(LIMITS);
    host.restart();
    let mut held = Vec::new();
    for number in 0..12 {
        let (file, greed) = (
            format!("{}.wasm", name(number)),
            ["grow", "large-changes", "find-much"],
        );
        let order = format!("{} {}", name(number), greed[number % 3]);
        host.drop_module(&file, &hostile(number));
        stream.publish_one("stock.p-1.Counted", "", &[("hostile", &order)]);
        host.wait_state(&name(number), "failed");
        host.remove_module(&file);
        host.wait_status(&name(number), "is gone", |status| {
            status["status"] != "failed"
        });
        held.push(resident_mib(&host));
    }
    eprintln!("held after each, in MiB: {held:?}");
    let most = |held: &[u64]| held.iter().max().copied();
    let (early, late) = (most(&held[..6]), most(&held[6..]));
    assert!(late <= early.map(|mib| mib + LEFT_BEHIND_MIB), "{held:?}");
}

/// The host's memory that is not swapped out.
fn resident_mib(host: &Host) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid()));
    let status = status.expect("these tests run on Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.expect("it is a number of KiB") / 1024
}

/// Events, of which every tenth makes the module trap.
const WITH_TRAPS: u64 = 1_000;

#[test]
fn a_module_that_traps_on_every_tenth_event_loses_those_alone_and_holds_nobody_back() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let skips = "[projection.hostile-00]\non_poison = \"skip\"\n";
    let mut host = Host::new(&nats.url()).configured(skips);
    host.drop_module("hostile.wasm", &module("hostile"));
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    let (mut orders, mut bad) = (Orders::new(1), Vec::new());
    for _ in 0..WITH_TRAPS / 10 {
        stream.publish(&orders.events(9));
        let trap = [("hostile", "hostile-00 panic")];
        bad.push(stream.publish_one("stock.p-1.Counted", "", &trap));
    }
    let behind = lag(&host, &stream, &mut orders);
    assert!(behind < BESIDE_WITHIN, "{behind:?}");
    let last = stream.last_sequence();
    host.wait_applied("hostile-00", last);
    host.wait_status("hostile-00", "each trap is recorded", |status| {
        status["dead_letters"] == bad.len()
    });
    let rows = host.rows("hostile-00", "entries", "limit=1000");
    let found: Vec<_> = rows
        .iter()
        .filter_map(|row| row["sequence"].as_u64())
        .collect();
    let fine: Vec<_> = (1..=last)
        .filter(|sequence| !bad.contains(sequence))
        .collect();
    assert_eq!(found, fine);
    assert_each_event_once_in_order(&host, last);
}

#[test]
fn a_module_that_floods_the_log_is_cut_short_and_goes_on() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::new(&nats.url()).configured(LIMITS);
    host.drop_module("hostile.wasm", &module("hostile"));
    host.restart();
    let flood = [("hostile", "hostile-00 log-flood")];
    host.wait_applied(
        "hostile-00",
        stream.publish_one("stock.p-1.Counted", "", &flood),
    );
    host.wait_applied("hostile-00", stream.publish(&Orders::new(1).events(10)));
    let dropped = host.log().wait_for(&["hostile-00", "were dropped"]);
    assert!(dropped[0].contains("99990"), "{dropped:?}");
    assert_eq!(host.log().lines_with(&["line 9"]).len(), 1);
    assert!(host.log().lines_with(&["line 10"]).is_empty());
}

#[test]
fn a_module_for_another_version_of_the_contract_is_refused_by_name() {
    let nats = NatsServer::start();
    let mut host = Host::new(&nats.url());
    let newer = renamed(&module("ledger"), "@0.1.0", "@0.9.0");
    host.drop_module("newer.wasm", &newer);
    host.restart();
    let refused = wait_until("it is refused", || host.refused("newer.wasm"));
    let error = refused["error"].as_str().unwrap_or_default();
    for part in ["@0.9.0", "@0.1.0"] {
        assert!(error.contains(part), "{refused}");
    }
}

#[test]
fn a_module_larger_than_allowed_is_refused_with_the_limit_and_its_size() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &["ledger"]);
    host.drop_module("huge.wasm", &module_with_code(40 << 20));
    let refused = wait_until("it is refused", || host.refused("huge.wasm"));
    let error = refused["error"].as_str().unwrap_or_default();
    assert!(
        error.contains("more than the limit of 33554432"),
        "{refused}"
    );
    assert!(error.contains("it has 419"), "its size: {refused}");
    let last = stream.publish(&Orders::new(1).events(100));
    assert_each_event_once_in_order(&host, last);
    assert!(host.is_running());
}

/// As much code as is allowed takes the compiler seconds; it must not take them from others.
#[test]
fn a_module_that_keeps_the_compiler_busy_holds_nobody_back() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    let mut orders = Orders::new(1);
    host.wait_applied("ledger", stream.publish(&orders.events(1_000)));
    host.drop_module("large.wasm", &module_with_code(24 << 20));
    let (mut worst, dropped) = (Duration::ZERO, Instant::now());
    let refused = wait_until("it is refused", || {
        worst = worst.max(lag(&host, &stream, &mut orders));
        host.refused("large.wasm")
    });
    eprintln!("compiled in {:?}, worst lag {worst:?}", dropped.elapsed());
    assert!(
        refused["error"].to_string().contains("does not export"),
        "{refused}"
    );
    assert!(worst < BESIDE_WITHIN, "{worst:?}");
}

/// A module with this many bytes of code, which is no projection.
fn module_with_code(bytes: usize) -> Vec<u8> {
    const FUNCTION_BYTES: usize = 100_000;
    let functions = bytes / FUNCTION_BYTES;
    // A body: no locals, then `i32.const 1` and `drop` again and again, and the end.
    let mut body = vec![0];
    body.extend([0x41, 1, 0x1a].repeat(FUNCTION_BYTES / 3));
    body.push(0x0b);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    section(&mut module, 1, 1, &[0x60, 0, 0]);
    section(&mut module, 3, functions, &vec![0; functions]);
    let sized = [leb(body.len()), body].concat();
    section(&mut module, 10, functions, &sized.repeat(functions));
    module
}

/// Appends a section that is a list of `count` things.
fn section(module: &mut Vec<u8>, id: u8, count: usize, content: &[u8]) {
    let count = leb(count);
    module.push(id);
    module.extend(leb(count.len() + content.len()));
    module.extend(count);
    module.extend(content);
}

/// An unsigned number as WebAssembly writes it.
fn leb(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(number & 0x7f).expect("7 bits");
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
