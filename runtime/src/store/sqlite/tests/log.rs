//! The write-ahead log has a limit, whoever reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::*;

const LIMIT_BYTES: u64 = 1024 * 1024;

/// A store whose log is bounded by [`LIMIT_BYTES`].
fn open(file: &TestFile) -> SqliteStore {
    let mut store = file.open();
    (store.log_bytes_max, store.log_bytes_due) = (LIMIT_BYTES, LIMIT_BYTES);
    store
}

/// Commits about 100 kB, and gives the log's bytes afterwards.
fn grow(store: &mut SqliteStore, sequence: u64) -> u64 {
    write(store, ORDER, &[noted("a", &"x".repeat(100_000))], &[]);
    store.commit(&at(sequence, 1)).unwrap();
    fs::metadata(&store.log_path).unwrap().len()
}

/// Reads through two connections in turn, so that one of them always holds a snapshot.
fn read_without_a_gap(path: &Path, started: &AtomicBool, stop: &CancellationToken) {
    let connections = [
        Connection::open(path).unwrap(),
        Connection::open(path).unwrap(),
    ];
    let begin = |connection: &Connection| {
        connection
            .execute_batch("BEGIN; SELECT count(*) FROM \"order\";")
            .unwrap();
    };
    begin(&connections[0]);
    started.store(true, Ordering::SeqCst);
    let mut turn = 0;
    while !stop.is_cancelled() {
        begin(&connections[1 - turn]);
        connections[turn].execute_batch("COMMIT").unwrap();
        turn = 1 - turn;
    }
}

#[test]
fn the_log_stays_bounded_while_reads_follow_each_other_without_a_gap() {
    let file = TestFile::create(&definition());
    let mut store = open(&file);
    let (started, stop) = (AtomicBool::new(false), CancellationToken::new());
    let path = file.path();
    let largest = std::thread::scope(|scope| {
        scope.spawn(|| read_without_a_gap(&path, &started, &stop));
        while !started.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        // Also where a commit fails: a test that went wrong must not go on for ever.
        let _stop = stop.clone().drop_guard();
        let largest = (1..=100).map(|sequence| grow(&mut store, sequence)).max();
        largest.unwrap()
    });
    // About 10 MB were written.
    assert!(largest <= 4 * LIMIT_BYTES, "{largest}");
}

#[test]
fn a_read_that_does_not_end_holds_no_commit_up_and_the_log_is_emptied_after_it() {
    let file = TestFile::create(&definition());
    let mut store = open(&file);
    let reader = Connection::open(file.path()).unwrap();
    let begin = "BEGIN; SELECT count(*) FROM \"order\";";
    reader.execute_batch(begin).unwrap();
    let mut sequences = 1..;
    let mut grow = || grow(&mut store, sequences.next().unwrap());
    loop {
        let started = Instant::now();
        let bytes = grow();
        // Less than the writer waits for a lock of another writer.
        assert!(started.elapsed() < file::BUSY_TIMEOUT);
        if bytes > 2 * LIMIT_BYTES {
            break;
        }
    }
    reader.execute_batch("COMMIT").unwrap();
    assert!((0..10).any(|_| grow() == 0));
    // Other writers are waited for as before.
    let timeout = "PRAGMA busy_timeout";
    let timeout = store.connection.query_row(timeout, [], |row| row.get(0));
    assert_eq!(timeout, Ok(5_000));
}
