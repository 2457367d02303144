//! The data folder, or a file in it, cannot be written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use foldline_tests::host::Host;

use super::{NAME, World, beside};

/// Whether this test may mount something where only its own host sees it. Not every machine lets it.
pub(super) fn may_mount() -> bool {
    let tried = Command::new("unshare").args(["-rm", "true"]).output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("skipped: this machine lets nobody mount a disk of their own (unshare -rm)");
    }
    may
}

/// A host that cannot write to this folder: by the folder's mode, or, for who is not bound by modes, by a mount.
fn forbidden(host: Host, folder: &Path) -> Option<Host> {
    let mode = fs::Permissions::from_mode(0o555);
    fs::set_permissions(folder, mode).expect("the mode can be set");
    if fs::write(folder.join("try"), "").is_err() {
        return Some(host);
    }
    let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\"; exec \"$@\"";
    let folder = folder.display().to_string();
    may_mount().then(|| host.started_by(&["unshare", "-rm", "sh", "-c", mount, &folder]))
}

#[test]
fn a_data_folder_that_cannot_be_written_ends_the_start_with_what_to_do() {
    let host = Host::new("nats://127.0.0.1:1");
    let data = host.data();
    fs::create_dir_all(&data).expect("a folder can be made");
    let Some(host) = forbidden(host, &data) else {
        return;
    };
    let refused = host.run_to_end();
    let named = data.display().to_string();
    refused.assert_explains(1, &[&named, "let the host's user write", "--data"]);
    let writable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&data, writable).expect("the mode can be set");
}

#[test]
fn a_file_in_the_place_of_the_data_folder_ends_the_start_with_what_to_do() {
    let host = Host::new("nats://127.0.0.1:1");
    fs::write(host.data(), "a file").expect("a file can be made");
    let named = host.data().display().to_string();
    let refused = host.run_to_end();
    refused.assert_explains(
        1,
        &[&named, "a file stands where the data folder should be"],
    );
}

/// Lets nobody change the files, or everybody again; false where the machine cannot.
fn set_immutable(files: &[std::path::PathBuf], immutable: bool) -> bool {
    let flag = if immutable { "+i" } else { "-i" };
    let set = Command::new("chattr").arg(flag).args(files).output();
    set.is_ok_and(|output| output.status.success())
}

#[test]
fn a_read_model_that_may_not_be_written_any_more_stops_alone_and_goes_on_by_itself() {
    let mut world = World::new();
    let files = [world.file(), beside(&world.file(), "-wal")];
    if !set_immutable(&files, true) {
        eprintln!("skipped: this machine or user cannot make a file immutable (chattr +i)");
        return;
    }
    let last = world.publish(100);
    let waits = world
        .host
        .wait_status(NAME, "says that it may not write", |status| {
            status["last_error"]["code"] == "disk_read_only"
        });
    // Before anything can fail: files that nobody may delete would outlive the test.
    assert!(set_immutable(&files, false));
    assert_eq!(waits["status"], "starting", "{waits}");
    let hint = waits["last_error"]["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("let the host's user write"), "{waits}");
    world.host.wait_applied("ledger", last);
    world.assert_exact();
}
