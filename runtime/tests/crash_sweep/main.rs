//! A stop at every step of every write: what is opened afterwards equals the model after one commit, the last one that was
//! reported done or the one that was under way. After a power cut it may be an older one of a read model, whose log is
//! not synced with every commit; never a mixture, and never an older one of the catalog.
//!
//! **How.** The steps are derived from outside: after each thing the writer does, the bytes of the database and its log are
//! compared with those before, and what changed is put in the order in which SQLite writes it ([`recorder`]). Each prefix
//! of the steps, and each write torn in three places, is a disk that a `kill -9` can leave; what a power cut can leave
//! is random: any sectors of what was written since the last sync ([`sweep`]). Every such disk is opened as a host opens
//! it, compared completely, and written once more.
//!
//! **Why not a file system of our own under SQLite**, which would be told each write: the safe crate for it,
//! `sqlite-plugin`, runs bindgen when it is built, so whoever builds the tests would need libclang; `sqlite-vfs` has
//! no WAL. SQLite's order of writes is documented and stable, and the derived steps must lead to the bytes that
//! are there.
//!
//! That the sweep can fail is shown by a writer that commits its checkpoint apart from the rows, and by a disk that ignores
//! one sync: both are found out.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "this is test code: a panic is how a test fails, and stderr is where it explains itself"
)]

mod catalog;
mod disk;
mod read_model;
mod recorder;
mod sweep;
mod writer;

use std::path::{Path, PathBuf};

use foldline_tests::seed;
use tempfile::TempDir;

use disk::{Disk, File, Step};
use read_model::{State, check};
use recorder::Recording;
use sweep::{kills, power_cuts};
use writer::Writer;

/// Things a host does in one run; `FOLDLINE_CRASH_STEPS` sets another number.
const STEPS: usize = 60;

/// Random disks after each step of a power cut.
const POWER_CUTS: usize = 2;

/// A folder for disks: thousands are written and read once, so they stay in memory where there is a place for that.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let in_memory = tempfile::tempdir_in(memory);
    in_memory.or_else(|_| tempfile::tempdir()).unwrap()
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("v1-0123abcd.db")
}

fn steps() -> usize {
    let steps = std::env::var("FOLDLINE_CRASH_STEPS");
    steps.map_or(STEPS, |steps| steps.parse().expect("a number"))
}

/// A read model's life from its first commit on.
fn recorded(seed: u64, steps: usize) -> (Vec<State>, Recording) {
    let folder = folder();
    let mut writer = Writer::create(&path(&folder), seed);
    (0..steps).for_each(|_| writer.step());
    writer.end()
}

#[test]
fn a_read_model_killed_at_every_step_is_in_the_state_of_one_commit() {
    let seed = seed();
    let (states, recording) = recorded(seed, steps());
    let folder = folder();
    let mut again: Vec<(Disk, usize)> = Vec::new();
    let mut number = 0;
    let swept = kills(&recording, 1, &mut |disk, may_be| {
        let found = check(&path(&folder), disk, &states, may_be)?;
        number += 1;
        if number % 150 == 0 {
            again.push((disk.clone(), found));
        }
        Ok(found)
    });
    let swept = swept.unwrap();
    eprintln!("{} commits, {swept:?}", states.len());
    assert!(swept.undone > 0 && swept.stands > 0, "{swept:?}");
    assert_eq!(swept.older, 0);
    // Whoever goes on from such a disk may be stopped at every step, too.
    for (disk, state) in again {
        disk.write(&path(&folder));
        let mut writer = Writer::open(&path(&folder), states[state].clone(), seed);
        (0..3).for_each(|_| writer.step());
        let (states, recording) = writer.end();
        let swept = kills(&recording, 3, &mut |disk, may_be| {
            check(&path(&folder), disk, &states, may_be)
        });
        swept.unwrap();
    }
}

#[test]
fn a_read_model_whose_power_is_cut_is_in_the_state_of_one_commit() {
    let seed = seed();
    let (states, recording) = recorded(seed, steps());
    let folder = folder();
    let swept = power_cuts(&recording, POWER_CUTS, seed, &mut |disk, may_be| {
        check(&path(&folder), disk, &states, may_be)
    });
    let swept = swept.unwrap();
    eprintln!("{} commits, {swept:?}", states.len());
    assert!(swept.older > 0, "nothing was ever lost: {swept:?}");
}

#[test]
fn a_catalog_killed_at_every_step_is_in_the_state_before_or_after_it() {
    let (recorded, folder) = (folder(), folder());
    let (states, recording) = catalog::recorded(recorded.path());
    let swept = kills(&recording, 1, &mut |disk, may_be| {
        catalog::check(folder.path(), disk, &states, may_be)
    });
    let swept = swept.unwrap();
    eprintln!("{} commits, {swept:?}", states.len());
    assert!(swept.undone > 0 && swept.stands > 0, "{swept:?}");
}

#[test]
fn a_catalog_whose_power_is_cut_keeps_everything_that_was_reported_done() {
    let seed = seed();
    let (recorded, folder) = (folder(), folder());
    let (states, recording) = catalog::recorded(recorded.path());
    let swept = power_cuts(&recording, 4 * POWER_CUTS, seed, &mut |disk, may_be| {
        catalog::check(folder.path(), disk, &states, may_be)
    });
    let swept = swept.unwrap();
    eprintln!("{} commits, {swept:?}", states.len());
    assert!(swept.undone > 0 && swept.stands > 0, "{swept:?}");
    assert_eq!(swept.older, 0);
}

/// The sweep must find this writer out.
#[test]
fn a_writer_that_commits_the_checkpoint_apart_from_the_rows_is_found_out() {
    let (recorded, folder) = (folder(), folder());
    let mut writer = Writer::create(&path(&recorded), 1);
    writer.fold();
    writer.commit_checkpoint_apart();
    let (states, recording) = writer.end();
    let swept = kills(&recording, 1, &mut |disk, may_be| {
        check(&path(&folder), disk, &states, may_be)
    });
    let torn = swept.unwrap_err();
    assert!(torn.contains("not what was committed with it"), "{torn}");
}

/// The sweep must find a torn read model out where there is one.
#[test]
fn a_disk_that_ignores_the_syncs_before_the_log_is_copied_is_found_out() {
    let seed = seed();
    let (states, mut recording) = recorded(seed, steps());
    recording
        .steps
        .retain(|step| !matches!(step, Step::Sync(File::Log)));
    let folder = folder();
    let swept = power_cuts(&recording, POWER_CUTS, seed, &mut |disk, may_be| {
        check(&path(&folder), disk, &states, may_be)
    });
    let torn = swept.unwrap_err();
    assert!(torn.contains("power cut after step"), "{torn}");
}
