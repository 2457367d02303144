//! The catalog is damaged, deleted or replaced.

use std::fs;

use foldline_tests::data::empty_log;
use foldline_tests::wait::wait_until;

use super::{NAME, World, beside, garble};

#[test]
fn a_damaged_catalog_is_named_and_read_models_are_taken_over_without_it() {
    for from in [0, 4096] {
        let mut world = World::new();
        world.stop();
        let catalog = world.host.data().join("catalog.db");
        // What a host leaves in the log when it ends would cover what is written into the file.
        empty_log(&catalog);
        garble(&catalog, from, 4096);
        let refused = world.host.run_to_end();
        let parts = ["catalog.db is damaged", "move it away", "taken over"];
        refused.assert_explains(1, &parts);

        fs::rename(&catalog, beside(&catalog, ".damaged")).expect("it can be moved");
        world.host.restart();
        world.host.log().wait_for(&[NAME, "taken over"]);
        world.assert_exact();
    }
}

#[test]
fn a_catalog_that_was_deleted_while_the_host_was_away_costs_no_read_model() {
    let mut world = World::new();
    world.stop();
    fs::remove_file(world.host.data().join("catalog.db")).expect("it can be deleted");
    world.host.restart();
    world.host.log().wait_for(&[NAME, "taken over"]);
    world.assert_exact();
}

#[test]
fn a_catalog_that_is_deleted_while_the_host_runs_is_written_again() {
    let mut world = World::new();
    let paused = world.host.cli(&["pause", "ledger"]);
    assert_eq!(paused.code, 0, "{paused:?}");
    let catalog = world.host.data().join("catalog.db");
    fs::remove_file(&catalog).expect("it can be deleted");
    wait_until("the catalog is there again", || {
        catalog.exists().then_some(())
    });
    world
        .host
        .log()
        .wait_for(&["the catalog was deleted or replaced"]);
    world.host.restart();
    world.host.wait_state("ledger", "paused");
    let resumed = world.host.cli(&["resume", "ledger"]);
    assert_eq!(resumed.code, 0, "{resumed:?}");
    world.assert_exact();
    assert!(world.host.log().lines_with(&["taken over"]).is_empty());
}
