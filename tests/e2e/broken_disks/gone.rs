//! A read model's file is deleted, moved away or replaced.

use std::fs;

use super::{NAME, World, beside};

#[test]
fn a_file_that_was_deleted_while_the_host_was_away_is_named_and_built_again() {
    let mut world = World::new();
    let file = world.stop();
    fs::remove_file(file).expect("the file can be deleted");
    world.host.restart();
    world.assert_broken("read_model_missing", "was deleted or moved away");
    world.rebuild();
}

#[test]
fn a_file_that_is_deleted_while_the_host_runs_is_noticed_before_the_host_ends() {
    let mut world = World::new();
    fs::remove_file(world.file()).expect("the file can be deleted");
    world.assert_broken("read_model_missing", "was deleted or moved away");
    let verify = world.host.cli(&["verify", NAME]);
    verify.assert_explains(1, &["was deleted", "foldline rebuild"]);
    world.rebuild();
}

#[test]
fn a_log_that_is_deleted_while_the_host_runs_is_noticed() {
    let mut world = World::new();
    fs::remove_file(beside(&world.file(), "-wal")).expect("the log can be deleted");
    world.assert_broken("read_model_damaged", "-wal was deleted or replaced");
    world.rebuild();
}

#[test]
fn a_file_that_is_replaced_while_the_host_runs_is_noticed() {
    let mut world = World::new();
    let (file, copy) = (world.file(), world.host.folder("copy.db"));
    fs::copy(&file, &copy).expect("a copy can be made");
    fs::rename(copy, file).expect("the file can be replaced");
    world.assert_broken("read_model_damaged", "another file was put in its place");
    world.rebuild();
}

#[test]
fn a_file_that_was_moved_away_goes_on_when_it_is_back() {
    let mut world = World::new();
    let file = world.stop();
    let away = world.host.folder("away.db");
    fs::rename(&file, &away).expect("the file can be moved");
    world.host.restart();
    world.assert_broken("read_model_missing", "was deleted or moved away");
    fs::rename(&away, &file).expect("the file can be moved back");
    world.assert_exact();
}

/// What was built when it began to run is looked for like any other once it is live.
#[test]
fn a_promoted_version_goes_on_when_its_file_is_back() {
    let world = World::new();
    let next = foldline_tests::guests::module("order-summary-next");
    world.host.drop_module("order-summary.wasm", &next);
    world
        .host
        .wait_status(NAME, "is its next version", |status| {
            status["version"] == 2 && status["status"] == "live"
        });
    let (file, away) = (world.file(), world.host.folder("away.db"));
    for suffix in ["", "-wal", "-shm"] {
        let moved = fs::rename(beside(&file, suffix), beside(&away, suffix));
        moved.expect("the file can be moved");
    }
    world.host.wait_status(NAME, "misses its file", |status| {
        status["last_error"]["code"] == "read_model_missing"
    });
    for suffix in ["-wal", "-shm", ""] {
        // What the host has closed it has deleted.
        let _gone = fs::rename(beside(&away, suffix), beside(&file, suffix));
    }
    world.host.wait_state(NAME, "live");
}

#[test]
fn a_version_that_loses_its_file_while_it_is_built_is_named_and_built_again() {
    let world =
        World::with(|host| host.configured("[projection.order-summary]\npromote = \"manual\"\n"));
    let next = foldline_tests::guests::module("order-summary-next");
    world.host.drop_module("order-summary.wasm", &next);
    let building = |world: &World, state: &str| {
        let what = format!("has a version 2 that is {state}");
        let status = world.host.wait_status(NAME, &what, |status| {
            let one = &status["generations"][1];
            one["version"] == 2
                && one["state"] == state
                && one["lag"] == 0
                && one["checkpoint"] != 0
        });
        status["generations"][1].clone()
    };
    let file = building(&world, "building")["file"].clone();
    let file = world.host.data().join(file.as_str().expect("a file"));
    fs::remove_file(file).expect("the file can be deleted");
    let failed = building(&world, "failed");
    assert_eq!(
        failed["last_error"]["code"], "read_model_missing",
        "{failed}"
    );
    let promote = world.host.cli(&["promote", NAME]);
    promote.assert_explains(1, &["was deleted"]);

    let rebuilt = world.host.cli(&["rebuild", NAME]);
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    building(&world, "building");
    let promoted = world.host.cli(&["promote", NAME]);
    assert_eq!(promoted.code, 0, "{promoted:?}");
    assert_eq!(world.host.status(NAME)["version"], 2);
}
