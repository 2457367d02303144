//! The data folder: one host at a time, and where each read model's file lies.

use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::sqlite::{Meta, SqliteStore, read_meta};
use crate::definition::Definition;
use crate::telemetry;

/// The file whose lock says that a host uses the folder. It holds a sentence about who does.
const LOCK_FILE: &str = "foldline.lock";

/// A data folder that belongs to this process until it is dropped.
#[derive(Debug)]
pub struct DataFolder {
    dir: PathBuf,
    _lock: File,
}

/// A read model's file that was found.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The file.
    pub path: PathBuf,
    /// What it says about itself.
    pub meta: Meta,
}

impl DataFolder {
    /// Takes the folder for this process, making it where it is missing. `address` is said to a second host.
    ///
    /// # Errors
    /// [`StoreError::FolderTaken`] when another process has it; others when it cannot be written.
    pub fn lock(dir: &Path, address: &str) -> Result<Self, StoreError> {
        fs::create_dir_all(dir).map_err(|e| StoreError::io(dir, e))?;
        let path = dir.join(LOCK_FILE);
        let io = |e| StoreError::io(&path, e);
        let options = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let mut file = options.map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(e)) => return Err(io(e)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(io)?;
                return Err(StoreError::FolderTaken {
                    folder: dir.display().to_string(),
                    holder: holder.trim().to_owned(),
                });
            }
        }
        file.set_len(0).map_err(io)?;
        let (pid, now) = (std::process::id(), telemetry::now());
        writeln!(file, "process {pid}, serving {address}, since {now}").map_err(io)?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: file,
        })
    }

    /// The read model of a projection: the one of the highest version where there are several.
    ///
    /// # Errors
    /// If the projection's folder or one of its files cannot be read.
    pub fn generation(&self, name: &str) -> Result<Option<Found>, StoreError> {
        let dir = self.dir.join(name);
        let entries = match fs::read_dir(&dir) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(|e| StoreError::io(&dir, e))?,
        };
        let mut newest = None::<Found>;
        for entry in entries {
            let path = entry.map_err(|e| StoreError::io(&dir, e))?.path();
            if path.extension().is_none_or(|extension| extension != "db") {
                continue;
            }
            let meta = read_meta(&path)?;
            let version = |found: &Found| found.meta.definition.version;
            if newest
                .as_ref()
                .is_none_or(|newest| version(newest) < meta.definition.version)
            {
                newest = Some(Found { path, meta });
            }
        }
        Ok(newest)
    }

    /// Opens the read model of a projection, or makes an empty one where there is none.
    ///
    /// # Errors
    /// [`StoreError::WrongFile`] when the one that is there was built by another definition.
    pub fn open_or_create(
        &self,
        definition: &Definition,
        digest: &str,
        cache_bytes: usize,
    ) -> Result<(PathBuf, SqliteStore), StoreError> {
        if let Some(found) = self.generation(&definition.name)? {
            let store = SqliteStore::open(&found.path, definition, cache_bytes)?;
            return Ok((found.path, store));
        }
        let file = format!(
            "v{}-{}.db",
            definition.version,
            &digest[..8.min(digest.len())]
        );
        let path = self.dir.join(&definition.name).join(file);
        let store = SqliteStore::create(&path, definition, digest, cache_bytes)?;
        Ok((path, store))
    }
}
