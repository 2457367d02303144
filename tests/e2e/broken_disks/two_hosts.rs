//! A second host on the same data folder.

use std::fs;

use foldline_tests::wait::wait_until;

use super::World;

#[test]
fn a_second_host_is_refused_and_does_not_disturb_the_first() {
    let mut world = World::new();
    let pid = world.host.pid().to_string();
    for _ in 0..3 {
        let refused = world.host.run_to_end();
        refused.assert_explains(1, &["is in use by", &pid, "--data"]);
        world.assert_exact();
    }
}

#[test]
fn a_second_host_is_refused_also_after_somebody_has_deleted_the_lock_file() {
    let mut world = World::new();
    let pid = world.host.pid().to_string();
    let lock = world.host.data().join("foldline.lock");
    fs::remove_file(&lock).expect("it can be deleted");
    wait_until("the lock is there again", || lock.exists().then_some(()));
    world.host.log().wait_for(&["lock file was deleted"]);
    let refused = world.host.run_to_end();
    refused.assert_explains(1, &["is in use by", &pid]);
    world.assert_exact();
}
