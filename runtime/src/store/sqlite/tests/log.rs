//! The write-ahead log has a limit, whoever reads.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// Reads through two connections in turn, so that one of them always holds a snapshot.
fn read_without_a_gap(path: &Path, started: &AtomicBool, stop: &AtomicBool) {
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
    while !stop.load(Ordering::SeqCst) {
        begin(&connections[1 - turn]);
        connections[turn].execute_batch("COMMIT").unwrap();
        turn = 1 - turn;
    }
}

#[test]
fn the_log_stays_bounded_while_reads_follow_each_other_without_a_gap() {
    const LIMIT_BYTES: u64 = 1024 * 1024;
    let file = TestFile::create(&definition());
    let mut store = file.open(0);
    (store.log_bytes_max, store.log_bytes_due) = (LIMIT_BYTES, LIMIT_BYTES);
    let (started, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let path = file.path();
    let largest = std::thread::scope(|scope| {
        scope.spawn(|| read_without_a_gap(&path, &started, &stop));
        while !started.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let grow = |sequence| {
            write(&mut store, ORDER, &[noted("a", &"x".repeat(100_000))], &[]);
            store.commit(&at(sequence, 1)).unwrap();
            fs::metadata(&store.log_path).unwrap().len()
        };
        let largest = (1..=100).map(grow).max().unwrap();
        stop.store(true, Ordering::SeqCst);
        largest
    });
    // About 10 MB were written.
    assert!(largest <= 2 * LIMIT_BYTES, "{largest}");
}
