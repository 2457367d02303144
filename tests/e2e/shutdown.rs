//! SIGTERM and Ctrl-C end the host at a commit; the next one goes on from there.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use foldline_tests::host::{self, Host};
use foldline_tests::model::Model;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;

use crate::examples::{ALL, assert_each_event_once_in_order, assert_rows, number};

#[test]
fn sigterm_drains_and_keeps_the_checkpoint() {
    a_signal_drains_and_keeps_the_checkpoint("TERM");
}

#[test]
fn ctrl_c_drains_and_keeps_the_checkpoint() {
    a_signal_drains_and_keeps_the_checkpoint("INT");
}

fn a_signal_drains_and_keeps_the_checkpoint(signal: &str) {
    let mut nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let history = Orders::new(1).events(20_000);
    let last = stream.publish(&history);
    let mut host = Host::start(&nats.url(), &ALL);

    let seen = wait_until("the ledger is on its way", || {
        Some(host.checkpoint("ledger")).filter(|&checkpoint| checkpoint > 0)
    });
    let ended = host.end_with(signal);
    assert_eq!(ended.code(), Some(0), "{}", host.log());
    for name in ALL {
        assert_eq!(
            host.log().lines_with(&["stopped", name]).len(),
            1,
            "{name}:\n{}",
            host.log()
        );
    }
    assert!(
        host.log().lines_with(&["ERROR"]).is_empty(),
        "{}",
        host.log()
    );

    // Without the server no event can be read: what the host shows now is what was committed.
    nats.kill();
    host.restart();
    let kept = wait_until("the ledger's read model is open", || {
        host.row("ledger", "heads", "head")
    });
    let kept = number(&kept["last_sequence"]);
    assert!(
        kept >= seen,
        "the checkpoint went back from {seen} to {kept}"
    );
    nats.restart();
    assert_rows(&host, &Model::of(&history), last);
    assert_each_event_once_in_order(&host, last);
}

#[test]
fn a_client_that_waits_does_not_keep_the_host_from_ending() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &["ledger"]);
    let last = stream.publish(&Orders::new(1).events(10));
    host.wait_applied("ledger", last);
    let address = host.address().trim_start_matches("http://").to_owned();
    let path = format!(
        "/v1/read-models/ledger/heads?min_sequence={}&timeout=60s",
        last + 1
    );
    let mut client = TcpStream::connect(&address).unwrap();
    write!(client, "GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").unwrap();
    // A later client is answered, so the host has the earlier one's request too.
    assert_eq!(host.get("/livez").code, 200);

    let begun = Instant::now();
    let ended = host.end_with("TERM");
    assert_eq!(ended.code(), Some(0), "{}", host.log());
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "it took {:?}",
        begun.elapsed()
    );
    let mut answer = String::new();
    let _closed_or_answered = client.read_to_string(&mut answer);
    assert!(
        !answer.contains("200 OK"),
        "the wait was not fulfilled: {answer}"
    );
}

/// Ends with the test, however that ends.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        // It has ended where the test went well.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
fn a_host_whose_log_nobody_reads_any_more_stops_in_order_all_the_same() {
    let host = Host::new("nats://127.0.0.1:1");
    let mut child = Ending(host.command().stderr(Stdio::piped()).spawn().unwrap());
    let mut log = BufReader::new(child.0.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("serves http://")));
    drop(log);

    host::send("TERM", child.0.id());
    let ended = wait_until("the host ends", || child.0.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
}
