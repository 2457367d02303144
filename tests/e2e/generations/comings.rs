//! How generations come and go beside promotions: given up, replaced, not kept, found again.

use foldline_tests::guests::{module, rebuilt};
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;

use super::{FILE, NAME, assert_states, command, states, wait_version};

/// A host of version 1 with 500 events, and this in the projection's section of its configuration.
fn host(nats: &NatsServer, stream: &Stream, setting: &str) -> Host {
    let section = format!("[projection.{NAME}]\n{setting}\n");
    let mut host = Host::new(&nats.url()).configured(&section);
    host.drop_module(FILE, &module(NAME));
    host.restart();
    host.wait_applied(NAME, stream.publish(&Orders::new(1).events(500)));
    host
}

#[test]
fn another_module_replaces_what_is_being_built_and_the_live_one_ends_it() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = host(&nats, &stream, "promote = \"manual\"");
    let next = module("order-summary-next");
    for (number, file) in [(2, next.clone()), (3, rebuilt(&next, "again"))] {
        host.drop_module(FILE, &file);
        host.wait_status(NAME, "builds the module in the file", |status| {
            let built = &status["generations"][1];
            built["number"] == number && built["checkpoint"] == 500
        });
        host.restart();
        host.wait_state(NAME, "live");
        assert_states(&host, &[(1, "live"), (2, "building")]);
    }
    host.drop_module(FILE, &module(NAME));
    host.wait_status(NAME, "builds nothing", |status| {
        states(status) == [(1, "live")]
    });
    let refused = host.cli(&["promote", NAME]);
    refused.assert_explains(1, &["nothing to promote"]);
    // Their files go away a little later.
    foldline_tests::wait::wait_until("one file is left", || {
        let folder = std::fs::read_dir(host.data().join(NAME)).ok()?;
        let names = folder.flatten().map(|entry| entry.file_name());
        let files = names.filter(|name| name.to_string_lossy().ends_with(".db"));
        (files.count() == 1).then_some(())
    });
}

#[test]
fn without_a_standby_there_is_nothing_to_go_back_to() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = host(&nats, &stream, "standby = false");
    host.drop_module(FILE, &module("order-summary-next"));
    wait_version(&host, 2);
    assert_states(&host, &[(2, "live")]);
    host.cli(&["rollback", NAME])
        .assert_explains(1, &["no generation on standby", "standby = false"]);
}

#[test]
fn who_rolls_back_while_the_live_version_is_built_again_does_not_get_it_back() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = host(&nats, &stream, "promote = \"manual\"");
    host.drop_module(FILE, &module("order-summary-next"));
    foldline_tests::wait::wait_until("version 2 can be promoted", || {
        (host.cli(&["promote", NAME]).code == 0).then_some(())
    });
    command(&host, &["rebuild", NAME]);
    command(&host, &["rollback", NAME]);
    assert_states(&host, &[(1, "live"), (2, "standby")]);
}

#[test]
fn a_read_model_is_taken_over_when_the_catalog_is_lost() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = host(&nats, &stream, "");
    let before = host.rows(NAME, "orders", "");
    host.end_with("TERM");
    for file in ["catalog.db", "catalog.db-wal", "catalog.db-shm"] {
        // The last two are only there after a crash.
        let _gone = std::fs::remove_file(host.data().join(file));
    }
    host.restart();
    host.wait_state(NAME, "live");
    assert_states(&host, &[(1, "live")]);
    assert_eq!(host.rows(NAME, "orders", ""), before);
    let log = host.log();
    assert_eq!(log.lines_with(&["taken over into the catalog"]).len(), 1);
    host.wait_applied(NAME, stream.publish(&Orders::new(2).events(10)));
}

#[test]
fn a_projection_whose_file_was_overwritten_stays_stopped_after_a_restart() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = host(&nats, &stream, "");
    host.drop_module(FILE, &module("ledger"));
    host.wait_applied("ledger", 500);
    host.wait_state(NAME, "stopped");
    host.restart();
    let last = stream.publish(&Orders::new(2).events(100));
    host.wait_applied("ledger", last);
    let status = host.status(NAME);
    assert_eq!(
        (&status["status"], &status["checkpoint"]),
        (&"stopped".into(), &500.into()),
        "{status}"
    );
}

#[test]
fn two_projections_whose_files_are_swapped_go_on_from_each_others() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = host(&nats, &stream, "");
    host.drop_module("ledger.wasm", &module("ledger"));
    host.wait_applied("ledger", 500);
    for away in [false, true] {
        if away {
            assert!(host.end_with("TERM").success());
        }
        for (from, to) in [
            (FILE, "aside"),
            ("ledger.wasm", FILE),
            ("aside", "ledger.wasm"),
        ] {
            host.rename_module(from, to);
        }
        if away {
            host.restart();
        }
        let (held, of_ledger) = match away {
            false => ("ledger.wasm", FILE),
            true => (FILE, "ledger.wasm"),
        };
        for (name, file) in [(NAME, held), ("ledger", of_ledger)] {
            host.wait_status(name, &format!("runs from {file}"), |status| {
                status["status"] == "live" && status["file"] == *file
            });
        }
        let last = stream.publish(&Orders::new(3).events(100));
        for name in [NAME, "ledger"] {
            host.wait_applied(name, last);
        }
        for file in [FILE, "ledger.wasm"] {
            assert_eq!(host.refused(file), None);
        }
    }
}
