//! A read model's file holds something else than was written to it.

use std::fs;

use super::{NAME, PAGE, World, beside, cut, garble, pages};

type Damage = fn(&std::path::Path);

#[test]
fn a_file_that_was_damaged_while_the_host_was_away_is_named_and_built_again() {
    let damages: [(&str, Damage); 4] = [
        ("its header", |file| garble(file, 0, 100)),
        ("everything behind its header", |file| {
            garble(file, PAGE, (pages(file) - 1) * PAGE);
        }),
        ("half of it is cut off", |file| {
            cut(file, pages(file) / 2 * PAGE);
        }),
        ("all of it is cut off", |file| cut(file, 0)),
    ];
    for (what, damage) in damages {
        eprintln!("{what}");
        let mut world = World::new();
        damage(&world.stop());
        world.host.restart();
        world.assert_broken("read_model_damaged", ".db is damaged: ");
        world.rebuild();
    }
}

/// One page of rows, behind the middle of the file. How rows and index lie there depends on how the events came, and a
/// reader of rows does not come upon a page of the index.
fn garble_one_page(file: &std::path::Path) {
    let content = fs::read(file).expect("the file can be read");
    let of_rows = |page: &u64| {
        let page = &content[(page * PAGE) as usize..][..PAGE as usize];
        let holds = |text: &[u8]| page.windows(text.len()).any(|window| window == text);
        holds(b"shipped") && holds(b"paid")
    };
    let page = (pages(file) / 2..pages(file)).find(of_rows);
    garble(file, page.expect("a page holds rows") * PAGE, PAGE);
}

#[test]
fn a_damaged_page_stops_the_projection_when_a_reader_comes_upon_it_also_after_a_restart() {
    let mut world = World::new();
    garble_one_page(&world.stop());
    world.host.restart();
    let refused = world.read_until_refused();
    let hint = refused["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("foldline rebuild order-summary"), "{refused}");
    world.assert_broken("read_model_damaged", ".db is damaged: ");

    // Nobody has to come upon it again.
    world.host.restart();
    world.assert_broken("read_model_damaged", ".db is damaged: ");
    let verify = world.host.cli(&["verify", NAME]);
    verify.assert_explains(1, &["is damaged", "foldline rebuild"]);
    world.rebuild();
}

#[test]
fn a_page_that_is_damaged_while_the_host_runs_stops_the_projection() {
    let mut world = World::new();
    world.stop();
    world.host.restart();
    world.host.wait_state(NAME, "live");
    garble_one_page(&world.file());
    world.read_until_refused();
    world.assert_broken("read_model_damaged", ".db is damaged: ");
    world.rebuild();
}

#[test]
fn a_file_that_is_put_back_from_a_copy_goes_on_after_a_restart() {
    let mut world = World::new();
    let file = world.stop();
    let copy = world.host.folder("copy.db");
    fs::copy(&file, &copy).expect("a copy can be made");
    garble_one_page(&file);
    world.host.restart();
    world.read_until_refused();
    world.assert_broken("read_model_damaged", ".db is damaged: ");

    world.host.kill();
    let _log = fs::remove_file(beside(&file, "-wal"));
    fs::copy(&copy, &file).expect("the copy can be put back");
    world.host.restart();
    world.assert_exact();
    assert_eq!(world.host.get("/readyz").code, 200);
}

#[test]
fn what_a_damaged_log_held_is_read_from_the_stream_again() {
    for from in [0, 16 * PAGE] {
        let mut world = World::new();
        let log = beside(&world.file(), "-wal");
        world.host.kill();
        let bytes = fs::metadata(&log).expect("there is a log").len();
        garble(&log, from, bytes - from);
        world.host.restart();
        world.assert_exact();
    }
}

#[test]
fn a_damaged_live_read_model_can_be_left_for_the_one_on_standby() {
    let settings = format!("[projection.{NAME}]\npromote = \"manual\"\n");
    let mut world = World::with(|host| host.configured(&settings));
    let next = foldline_tests::guests::module("order-summary-next");
    world.host.drop_module("order-summary.wasm", &next);
    world.promote_built();
    garble(&world.stop(), 0, 100);
    world.host.restart();
    world.assert_broken("read_model_damaged", ".db is damaged: ");

    let back = world.host.cli(&["rollback", NAME]);
    assert_eq!(back.code, 0, "{back:?}");
    assert!(back.stdout.contains("built again"), "{back:?}");
    let status = world.host.status(NAME);
    assert_eq!(status["version"], 1);
    let mut generations = status["generations"].as_array().into_iter().flatten();
    let damaged = generations.find(|generation| generation["number"] == 2);
    assert_eq!(damaged, None, "nobody can go back to it: {status}");
    world.assert_exact();
    // The module file that lies there is not what was wrong: it is built from the stream beside version 1.
    world.promote_built();
    assert_eq!(world.host.status(NAME)["version"], 2);
}

impl World {
    /// Waits until another generation has caught up, and promotes it.
    fn promote_built(&self) {
        self.host
            .wait_status(NAME, "has built another generation", |status| {
                let built = &status["generations"][1];
                built["state"] == "building" && built["status"] == "live"
            });
        let promoted = self.host.cli(&["promote", NAME]);
        assert_eq!(promoted.code, 0, "{promoted:?}");
    }
}
