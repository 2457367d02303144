//! Watches a writer from outside: between two looks it derives, from what has changed, the steps by which SQLite
//! changed it, and checks that they lead to what is there.
//!
//! The order is that of SQLite's file format: a commit appends frames to the log, each a header and a page, after a header
//! of the log where it starts again; a checkpoint brings the log to the disk, then pages into the database in the order
//! of their numbers, then the database to the disk, and only then the log is cut, deleted or started again.

use std::path::{Path, PathBuf};

use crate::disk::{Disk, File, Step};

/// Length of the log's own header.
const LOG_HEADER: usize = 32;
/// Length of the header of each page in it.
const FRAME_HEADER: usize = 24;
/// Where the log's header says how long a page is.
const PAGE_SIZE: std::ops::Range<usize> = 8..12;
/// Pages of the databases, in bytes.
const PAGE: usize = 4096;

/// What a writer did to a database since it was first looked at.
#[derive(Debug, Clone)]
pub(crate) struct Recording {
    pub(crate) start: Disk,
    pub(crate) steps: Vec<Step>,
}

/// Records one database.
#[derive(Debug)]
pub(crate) struct Recorder {
    path: PathBuf,
    /// Commits are on the disk before they are reported: `synchronous=FULL`.
    syncs_commits: bool,
    seen: Disk,
    recording: Recording,
}

impl Recorder {
    /// Looks at the database for the first time.
    pub(crate) fn new(path: &Path, syncs_commits: bool) -> Self {
        let seen = Disk::read(path);
        Self {
            path: path.to_owned(),
            syncs_commits,
            recording: Recording {
                start: seen.clone(),
                steps: Vec::new(),
            },
            seen,
        }
    }

    /// Does something that commits at most once.
    pub(crate) fn commit<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.recording.steps.push(Step::Begun);
        let done = work();
        self.look();
        let kept = self.syncs_commits;
        if kept {
            self.recording.steps.push(Step::Sync(File::Log));
        }
        self.recording.steps.push(Step::Done { kept });
        done
    }

    /// Looks at what was done that commits nothing.
    pub(crate) fn look(&mut self) {
        let now = Disk::read(&self.path);
        let before = self.recording.steps.len();
        derive(&self.seen, &now, &mut self.recording.steps);
        for step in &self.recording.steps[before..] {
            self.seen.take(step);
        }
        assert!(self.seen == now, "the steps lead to what is there");
    }

    pub(crate) fn end(self) -> Recording {
        self.recording
    }
}

fn derive(before: &Disk, now: &Disk, steps: &mut Vec<Step>) {
    let pages = changed_pages(before.content(File::Database), now.content(File::Database));
    if !pages.is_empty() {
        steps.push(Step::Sync(File::Log));
        steps.extend(pages);
        steps.push(Step::Sync(File::Database));
    }
    let (old, new) = (before.content(File::Log), now.content(File::Log));
    if before.has(File::Log) && !now.has(File::Log) {
        steps.push(Step::Delete(File::Log));
    } else if new.is_empty() && !old.is_empty() {
        steps.push(Step::Truncate(File::Log));
    } else if old != new || before.has(File::Log) != now.has(File::Log) {
        append(old, new, steps);
    }
}

fn changed_pages(old: &[u8], new: &[u8]) -> Vec<Step> {
    assert!(new.len() >= old.len(), "nothing here vacuums");
    let pages = new.chunks(PAGE).enumerate();
    let changed = pages.filter(|(i, page)| old.get(i * PAGE..i * PAGE + page.len()) != Some(*page));
    let write = |(i, page): (usize, &[u8])| Step::Write(File::Database, i * PAGE, page.to_vec());
    changed.map(write).collect()
}

/// Frames at the log's end, or from its beginning where it started again.
fn append(old: &[u8], new: &[u8], steps: &mut Vec<Step>) {
    if new.is_empty() {
        // Made and not written yet.
        steps.push(Step::Truncate(File::Log));
        return;
    }
    assert_eq!(new[PAGE_SIZE], u32::to_be_bytes(PAGE as u32));
    let write = |at: usize, bytes: &[u8]| Step::Write(File::Log, at, bytes.to_vec());
    if old.get(..LOG_HEADER) != new.get(..LOG_HEADER) {
        steps.push(write(0, &new[..LOG_HEADER]));
        // What is written next must not come before it.
        steps.push(Step::Sync(File::Log));
    }
    let frames = new[LOG_HEADER..].chunks(FRAME_HEADER + PAGE);
    for (i, frame) in frames.enumerate() {
        let at = LOG_HEADER + i * (FRAME_HEADER + PAGE);
        if old.get(at..at + frame.len()) != Some(frame) {
            assert_eq!(frame.len(), FRAME_HEADER + PAGE, "whole frames");
            steps.push(write(at, &frame[..FRAME_HEADER]));
            steps.push(write(at + FRAME_HEADER, &frame[FRAME_HEADER..]));
        }
    }
}
