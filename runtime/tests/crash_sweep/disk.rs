//! A database file and its write-ahead log as bytes, and the steps by which they change.

use std::fs;
use std::path::{Path, PathBuf};

/// What SQLite keeps on disk in WAL mode. The third file, `-shm`, is made anew after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    Database,
    Log,
}

impl File {
    pub(crate) const ALL: [Self; 2] = [Self::Database, Self::Log];

    pub(crate) fn path(self, database: &Path) -> PathBuf {
        let suffix = match self {
            Self::Database => "",
            Self::Log => "-wal",
        };
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        path.into()
    }
}

/// One step of the writer, in the order of the steps.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write(File, usize, Vec<u8>),
    Truncate(File),
    Delete(File),
    /// What was written to this file before outlives a power cut.
    Sync(File),
    /// A commit begins. What it commits is the next state.
    Begun,
    /// It was reported done.
    Done {
        /// It outlives a power cut.
        kept: bool,
    },
}

impl Step {
    /// The file whose content it changes.
    pub(crate) fn changes(&self) -> Option<File> {
        match self {
            Self::Write(file, ..) | Self::Truncate(file) | Self::Delete(file) => Some(*file),
            Self::Sync(_) | Self::Begun | Self::Done { .. } => None,
        }
    }
}

/// The bytes of both files; none where a file is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Disk([Option<Vec<u8>>; 2]);

impl Disk {
    /// As it is now.
    pub(crate) fn read(database: &Path) -> Self {
        Self(File::ALL.map(|file| fs::read(file.path(database)).ok()))
    }

    /// Writes both files, and nothing beside them.
    pub(crate) fn write(&self, database: &Path) {
        for file in File::ALL {
            let path = file.path(database);
            match &self.0[file as usize] {
                Some(bytes) => fs::write(path, bytes).unwrap(),
                None => drop(fs::remove_file(path)),
            }
        }
        let _none = fs::remove_file(format!("{}-shm", database.display()));
    }

    /// A file's content, none and empty being the same.
    pub(crate) fn content(&self, file: File) -> &[u8] {
        self.0[file as usize].as_deref().unwrap_or_default()
    }

    pub(crate) fn has(&self, file: File) -> bool {
        self.0[file as usize].is_some()
    }

    pub(crate) fn take(&mut self, step: &Step) {
        match step {
            Step::Write(file, at, bytes) => self.overwrite(*file, *at, bytes),
            Step::Truncate(file) => self.0[*file as usize] = Some(Vec::new()),
            Step::Delete(file) => self.0[*file as usize] = None,
            Step::Sync(_) | Step::Begun | Step::Done { .. } => {}
        }
    }

    /// Overwrites a part, with zeroes in a gap before it.
    pub(crate) fn overwrite(&mut self, file: File, at: usize, bytes: &[u8]) {
        let content = self.0[file as usize].get_or_insert_default();
        content.resize(content.len().max(at + bytes.len()), 0);
        content[at..at + bytes.len()].copy_from_slice(bytes);
    }
}
