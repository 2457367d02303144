//! Every state in which a stop at any step can leave the disk, each handed to a check.

use std::ops::RangeInclusive;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::disk::{Disk, File, Step};
use crate::recorder::Recording;

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

/// Checks what is on a disk: the number of the state that it equals, one of those that it may equal; or what is wrong.
pub(crate) type Check<'c> =
    &'c mut dyn FnMut(&Disk, RangeInclusive<usize>) -> Result<usize, String>;

/// What a sweep came across.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Swept {
    /// States of the disk that were checked.
    pub(crate) images: usize,
    /// Of them, while a commit was under way: those in which it was undone, and those in which it stands already.
    pub(crate) undone: usize,
    pub(crate) stands: usize,
    /// Of them, those that came back with less than was reported done.
    pub(crate) older: usize,
}

/// Commits so far.
#[derive(Debug, Clone, Copy, Default)]
struct Commits {
    begun: usize,
    done: usize,
    /// On the disk whatever happens.
    kept: usize,
}

impl Commits {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Begun => self.begun += 1,
            Step::Done { kept } => {
                self.done += 1;
                if *kept {
                    self.kept = self.done;
                }
            }
            Step::Sync(File::Log) => self.kept = self.done,
            _ => {}
        }
    }
}

impl Swept {
    fn check(
        &mut self,
        disk: &Disk,
        may_be: RangeInclusive<usize>,
        commits: Commits,
        check: Check<'_>,
    ) -> Result<(), String> {
        let found = check(disk, may_be)?;
        self.images += 1;
        self.older += usize::from(found < commits.done);
        if commits.begun > commits.done {
            self.undone += usize::from(found == commits.done);
            self.stands += usize::from(found == commits.begun);
        }
        Ok(())
    }
}

/// The process is killed at every step, and in the middle of every write. State 0 is what the recording starts from, state
/// `n` what its `n`th commit makes.
pub(crate) fn kills(
    recording: &Recording,
    stride: usize,
    check: Check<'_>,
) -> Result<Swept, String> {
    let (mut disk, mut commits) = (recording.start.clone(), Commits::default());
    let mut swept = Swept::default();
    for (number, step) in recording.steps.iter().enumerate() {
        if number % stride == 0 {
            let may_be = commits.done..=commits.begun;
            let told = |wrong| format!("killed at step {number} ({}): {wrong}", name(step));
            if !matches!(step, Step::Sync(_) | Step::Begun) {
                swept
                    .check(&disk, may_be.clone(), commits, check)
                    .map_err(told)?;
            }
            for torn in torn(step) {
                let mut disk = disk.clone();
                disk.take(&torn);
                swept
                    .check(&disk, may_be.clone(), commits, check)
                    .map_err(told)?;
            }
        }
        disk.take(step);
        commits.take(step);
    }
    let all = commits.done..=commits.done;
    swept.check(&disk, all, commits, check)?;
    Ok(swept)
}

/// A write that was stopped after its first byte, in its middle, and before its last byte.
fn torn(step: &Step) -> Vec<Step> {
    let Step::Write(file, at, bytes) = step else {
        return Vec::new();
    };
    let ends = [1, bytes.len() / 2, bytes.len() - 1];
    let part = |end: &usize| Step::Write(*file, *at, bytes[..*end].to_vec());
    ends.iter().map(part).collect()
}

/// The power fails after random steps: of what was written since the last sync of a file, any sectors are there, and others
/// are as they were, zero, or garbage. `per_step` of these after every step.
pub(crate) fn power_cuts(
    recording: &Recording,
    per_step: usize,
    seed: u64,
    check: Check<'_>,
) -> Result<Swept, String> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut durable, mut commits) = (recording.start.clone(), Commits::default());
    let mut cache: Vec<&Step> = Vec::new();
    let mut swept = Swept::default();
    for (number, step) in recording.steps.iter().enumerate() {
        commits.take(step);
        match step {
            Step::Sync(file) => {
                let is_of_file = |step: &Step| step.changes() == Some(*file);
                let synced = cache.extract_if(.., |step| is_of_file(step));
                synced.for_each(|step| durable.take(step));
            }
            Step::Begun | Step::Done { .. } => continue,
            _ => cache.push(step),
        }
        for _ in 0..per_step {
            let mut disk = durable.clone();
            for file in File::ALL {
                lose(&mut disk, file, &cache, &mut random);
            }
            let told = |wrong| format!("power cut after step {number} ({}): {wrong}", name(step));
            let may_be = commits.kept..=commits.begun;
            swept.check(&disk, may_be, commits, check).map_err(told)?;
        }
    }
    Ok(swept)
}

/// Applies a random part of what was written to this file and not synced.
fn lose(disk: &mut Disk, file: File, cache: &[&Step], random: &mut StdRng) {
    let mut steps: Vec<_> = cache
        .iter()
        .filter(|step| step.changes() == Some(file))
        .collect();
    // A file that was deleted or cut and written again: either the old one is there, or something of the new one.
    let emptied = steps
        .iter()
        .rposition(|step| !matches!(step, Step::Write(..)));
    if let Some(emptied) = emptied {
        match random.random_bool(0.5) {
            true => disk.take(steps[emptied]),
            false => steps.truncate(emptied),
        }
    }
    let kept = [0.0, 0.5, 0.95, 1.0][random.random_range(0..4)];
    for step in steps {
        let Step::Write(file, at, bytes) = step else {
            continue;
        };
        for (i, sector) in bytes.chunks(SECTOR).enumerate() {
            let at = at + i * SECTOR;
            match random.random_bool(kept) {
                true => disk.overwrite(*file, at, sector),
                // Where the file grew, its length may be on the disk before its content.
                false if at >= disk.content(*file).len() && random.random_bool(0.3) => {
                    let garbage = [0, random.random()][random.random_range(0..2)];
                    disk.overwrite(*file, at, &vec![garbage; sector.len()]);
                }
                false => {}
            }
        }
    }
}

fn name(step: &Step) -> String {
    match step {
        Step::Write(file, at, bytes) => format!("write {} bytes of {file:?} at {at}", bytes.len()),
        other => format!("{other:?}"),
    }
}
