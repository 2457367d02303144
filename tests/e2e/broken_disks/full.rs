//! No room is left for what is to be written. It passes, so nobody has to do anything but make room.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use super::{NAME, World};

/// Waits until both projections say that they cannot write, and where they can still be read.
#[track_caller]
fn assert_waits_for_room(world: &World, name: &str, code: &str, hint: &str) {
    world
        .host
        .wait_status(name, &format!("waits with {code}"), |status| {
            let problem = &status["last_error"];
            let hints = problem["hint"]
                .as_str()
                .is_some_and(|text| text.contains(hint));
            problem["code"] == code && status["status"] == "starting" && hints
        });
    world.host.log().wait_for(&[name, code]);
    assert_eq!(world.host.get("/readyz").code, 503);
}

/// Sets the largest file that the host may write, in bytes.
fn limit_files(world: &World, bytes: &str) {
    let pid = world.host.pid().to_string();
    let limit = Command::new("prlimit")
        .args(["--pid", &pid, &format!("--fsize={bytes}:")])
        .status();
    assert!(limit.expect("prlimit runs").success());
}

/// Each file may become only so large, which everybody may ask for: what is written beyond fails as on a broken disk.
#[test]
fn a_file_that_cannot_grow_stops_its_projection_until_it_can_and_no_other() {
    // Without the trap the system would end the host.
    let trap = "trap '' XFSZ; exec \"$0\" \"$@\"";
    let mut world = World::with(|host| host.started_by(&["sh", "-c", trap]));
    let sales = "product-sales";
    let module = foldline_tests::guests::module(sales);
    world.host.drop_module("product-sales.wasm", &module);
    world.host.wait_state(sales, "live");
    limit_files(&world, "1000000");
    let last = world.publish(60_000);
    assert_waits_for_room(&world, "ledger", "disk_failed", "check the disk");
    world.host.wait_applied(sales, last);
    assert!(
        world.host.row("ledger", "heads", "head").is_some(),
        "it is served"
    );

    limit_files(&world, "unlimited");
    world.assert_exact();
    assert_eq!(world.host.get("/readyz").code, 200);
}

/// The system ends programs that write beyond such a limit and do not listen.
#[test]
fn a_limit_on_files_does_not_end_the_host() {
    let mut world = World::new();
    limit_files(&world, "1000000");
    world.publish(60_000);
    assert_waits_for_room(&world, "ledger", "disk_failed", "check the disk");
    limit_files(&world, "unlimited");
    world.assert_exact();
}

/// A disk of 24 MiB that only the host sees.
#[test]
fn a_full_disk_is_named_and_projections_go_on_by_themselves_when_there_is_room() {
    let mount = "mount -t tmpfs -o size=24m tmpfs \"$0\"; exec \"$@\"";
    if !super::forbidden::may_mount() {
        return;
    }
    let mut world = World::with(|host| {
        let data = host.data().display().to_string();
        fs::create_dir_all(&data).expect("a folder can be made");
        host.started_by(&["unshare", "-rm", "sh", "-c", mount, &data])
    });
    // The disk as the host sees it.
    let root = PathBuf::from(format!("/proc/{}/root", world.host.pid()));
    let data = world.host.data();
    let filler = root
        .join(data.strip_prefix("/").expect("an absolute path"))
        .join("filler");
    let mut file = File::create(&filler).expect("a file can be made");
    while file.write_all(&[0; 4096]).is_ok() {}
    world.publish(20_000);
    for name in [NAME, "ledger"] {
        assert_waits_for_room(&world, name, "disk_full", "free some disk space");
    }
    assert!(
        world.host.row("ledger", "heads", "head").is_some(),
        "it is served"
    );

    fs::remove_file(filler).expect("the file can be deleted");
    drop(file);
    world.assert_exact();
    assert_eq!(world.host.get("/readyz").code, 200);
}
