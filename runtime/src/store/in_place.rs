//! Whether the files that are open are those that have their names.
//!
//! A file that is deleted lives on for whoever has it open, and everything written to it is gone when that one ends. So
//! it is looked whether each name still leads to the open file. Files are only asked about, never opened here: see
//! "a read model's file is only touched through SQLite" in ARCHITECTURE.md.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::StoreError;

/// Which file a name leads to. Two that are equal are the same file, or both unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileIdentity {
    /// Device and number of the file.
    Is(u64, u64),
    /// There is none.
    None,
}

impl FileIdentity {
    /// Of what is there now. A name that cannot be looked up counts as none.
    pub(crate) fn of(path: &Path) -> Self {
        Self::looked_up(path).unwrap_or(Self::None)
    }

    /// None when it cannot be said.
    fn looked_up(path: &Path) -> Option<Self> {
        match std::fs::metadata(path) {
            Ok(file) => Some(Self::Is(file.dev(), file.ino())),
            Err(error) if error.kind() == ErrorKind::NotFound => Some(Self::None),
            Err(_) => None,
        }
    }
}

/// The files that an open read model consists of.
#[derive(Debug, Clone)]
pub(crate) struct OpenFiles {
    database: (PathBuf, FileIdentity),
    companions: Vec<(PathBuf, FileIdentity)>,
}

impl OpenFiles {
    /// Of a read model that was just opened for writing: SQLite keeps its log as long as it is open.
    pub(crate) fn of(path: &Path) -> Self {
        let with_identity = |path: PathBuf| {
            let identity = FileIdentity::of(&path);
            (path, identity)
        };
        let companion = |suffix| with_identity(super::sqlite::beside(path, suffix));
        Self {
            database: with_identity(path.to_owned()),
            companions: ["-wal", "-shm"].map(companion).to_vec(),
        }
    }

    /// That each of them still has its name.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when the database is gone, [`StoreError::Damaged`] when another file has a name: what is
    /// written does not go where the next start looks for it.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let (path, opened) = &self.database;
        match FileIdentity::looked_up(path) {
            Some(FileIdentity::None) => return Err(StoreError::missing(path)),
            Some(now) if now != *opened => {
                let reason = "another file was put in its place while it was in use";
                return Err(StoreError::damaged(path, reason));
            }
            _ => {}
        }
        for (companion, opened) in &self.companions {
            if FileIdentity::looked_up(companion).is_some_and(|now| now != *opened) {
                let name = companion.display();
                let reason = format!("{name} was deleted or replaced while it was in use");
                return Err(StoreError::damaged(path, reason));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v1-01234567.db");
        for suffix in ["", "-wal", "-shm"] {
            std::fs::write(super::super::sqlite::beside(&path, suffix), "content").unwrap();
        }
        (folder, path)
    }

    #[test]
    fn files_that_grow_or_shrink_are_the_same_and_one_that_is_gone_is_missed() {
        let (_folder, path) = files();
        let open = OpenFiles::of(&path);
        std::fs::write(&path, "other content").unwrap();
        open.check().unwrap();
        std::fs::remove_file(&path).unwrap();
        let error = open.check().unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "{error}");
    }

    #[test]
    fn a_file_or_log_in_the_place_of_another_is_noticed() {
        for suffix in ["", "-wal", "-shm"] {
            let (folder, path) = files();
            let open = OpenFiles::of(&path);
            let other = folder.path().join("other");
            std::fs::write(&other, "content").unwrap();
            std::fs::rename(other, super::super::sqlite::beside(&path, suffix)).unwrap();
            let error = open.check().unwrap_err();
            assert!(error.to_string().contains("damaged"), "{suffix}: {error}");
        }
    }
}
