//! The data folder: one host at a time, a folder per projection, a file per generation.
//!
//! ```text
//! data/foldline.lock                          who uses the folder
//! data/catalog.db                             projections, generations and modules: see [`crate::catalog`]
//! data/order-summary/v2-9f86d081.db           version 2, built by the module whose digest begins so
//! data/order-summary/v2-9f86d081.2.db         the same, built once more
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::sqlite::{Meta, SqliteStore, read_meta};
use crate::definition::Definition;
pub use lock::Holder;
use lock::Lock;

mod lock;

/// Events that one generation may be behind another although both have read all there was: both were advancing when the
/// host ended.
const ABOUT: u64 = 10_000;

/// Hexadecimal digits of the digest in a file's name: enough to tell builds of one version apart.
const DIGEST_DIGITS: usize = 8;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another host uses it.
    #[error(
        "data folder {folder} is in use by {}",
        holder.as_ref().map_or("another host".into(), Holder::to_string)
    )]
    Held {
        /// The folder.
        folder: String,
        /// Who; none when it has not written it down yet.
        holder: Option<Holder>,
    },
    /// It cannot be made, read or written.
    #[error(transparent)]
    Unusable(#[from] StoreError),
}

impl FolderError {
    /// What the person can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Held { .. } => {
                "stop that host first, or give this one a folder of its own with [store] dir or --data"
            }
            Self::Unusable(error) => error.hint(),
        }
    }
}

/// A generation's file, and what it says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenerationFile {
    /// The SQLite database file.
    pub path: PathBuf,
    /// What it says about itself.
    pub meta: Meta,
}

/// The data folder, locked for this host as long as the value lives.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    lock: Lock,
}

impl DataFolder {
    /// Makes the folder where it is missing, and locks it. `address` is where this host's HTTP interface
    /// listens: it tells people which host it is.
    ///
    /// # Errors
    /// [`FolderError::Held`] when another host uses it; others when it cannot be used.
    pub fn lock(path: &Path, address: &str) -> Result<Self, FolderError> {
        fs::create_dir_all(path).map_err(|e| StoreError::io(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            lock: Lock::take(path, address)?,
        })
    }

    /// Locks the folder again where somebody has deleted the lock file. Says whether that was so.
    ///
    /// # Errors
    /// [`FolderError::Held`] when another host has come in meanwhile.
    pub fn keep_lock(&self) -> Result<bool, FolderError> {
        self.lock.keep()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The generation to go on with where nobody knows which one was live: the highest version of those that have come
    /// about as far as any. One that was only being built is behind them.
    ///
    /// # Errors
    /// If a file named like a generation is none of this projection, or cannot be read: passing over it
    /// would build a read model again without a word.
    pub fn generation(&self, projection: &str) -> Result<Option<GenerationFile>, StoreError> {
        let folder = self.path.join(projection);
        let mut found = Vec::new();
        for path in files(&folder).map_err(|e| StoreError::io(&folder, e))? {
            if is_generation(&path) {
                let meta = read_meta(&path)?;
                if meta.definition.name != projection {
                    let reason = format!("it holds projection {:?}", meta.definition.name);
                    return Err(StoreError::wrong_file(&path, reason));
                }
                found.push((
                    super::sqlite::sequence_of(&path)?,
                    GenerationFile { path, meta },
                ));
            }
        }
        let furthest = found.iter().map(|(sequence, _)| *sequence).max();
        let built = furthest.unwrap_or(0).saturating_sub(ABOUT);
        found.retain(|(sequence, _)| *sequence >= built);
        let newest = |(_, file): &(_, GenerationFile)| {
            (file.meta.definition.version, file.meta.created.clone())
        };
        Ok(found.into_iter().max_by_key(newest).map(|(_, file)| file))
    }

    /// Opens the read model of a generation, or makes an empty one where there never was a file.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when it `was_made` before and is gone: an empty one in its place would be served as if
    /// nothing had happened. [`StoreError::WrongFile`] when the one that is there was built by another definition.
    pub fn open_or_create(
        &self,
        file: &str,
        definition: &Definition,
        digest: &str,
        was_made: bool,
    ) -> Result<SqliteStore, StoreError> {
        let path = self.path_of(file);
        if path.exists() {
            return SqliteStore::open(&path, definition);
        }
        if was_made {
            return Err(StoreError::missing(&path));
        }
        SqliteStore::create(&path, definition, digest)
    }

    /// Where a generation's file is.
    pub fn path_of(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// A free name, within this folder, for a generation that the module with this digest builds.
    pub fn free_name(
        &self,
        definition: &Definition,
        digest: &str,
        is_taken: impl Fn(&str) -> bool,
    ) -> String {
        let first = file_name(definition, digest, 1);
        let further = (2..).map(|build| file_name(definition, digest, build));
        let is_free = |name: &String| !is_taken(name) && !self.path.join(name).exists();
        std::iter::once(first.clone())
            .chain(further)
            .find(is_free)
            .unwrap_or(first)
    }

    /// The file's name within this folder.
    pub fn name_of(&self, path: &Path) -> String {
        let name = path.strip_prefix(&self.path).unwrap_or(path);
        name.to_string_lossy().into_owned()
    }

    /// Deletes a generation's file with everything that SQLite keeps beside it, and its folder when it was the last.
    ///
    /// # Errors
    /// If something of it cannot be deleted.
    pub fn delete(&self, file: &str) -> Result<(), StoreError> {
        let path = self.path_of(file);
        super::sqlite::remove_with_companions(&path)?;
        if let Some(folder) = path.parent() {
            // It stays when something else is in it.
            let _not_empty = fs::remove_dir(folder);
        }
        Ok(())
    }

    /// Bytes of a generation's file and of its log.
    pub fn size_of(&self, file: &str) -> u64 {
        let size = |suffix: &str| {
            let path = format!("{}{suffix}", self.path_of(file).display());
            fs::metadata(path).map_or(0, |file| file.len())
        };
        size("") + size("-wal")
    }
}

/// `order-summary/v2-9f86d081.db`, and with a number for builds after the first.
fn file_name(definition: &Definition, digest: &str, build: u32) -> String {
    let digits: String = digest.chars().take(DIGEST_DIGITS).collect();
    let build = if build > 1 {
        format!(".{build}")
    } else {
        String::new()
    };
    let (name, version) = (&definition.name, definition.version);
    format!("{name}/v{version}-{digits}{build}.db")
}

/// The files of a folder; none when it is not there.
fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// Whether a file is named like a generation: `v<version>-<digits of the digest>[.<build>].db`.
fn is_generation(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let parts = name
        .and_then(|name| name.strip_prefix('v')?.strip_suffix(".db"))
        .and_then(|middle| middle.split_once('-'));
    parts.is_some_and(|(version, digest)| {
        let digest = match digest.split_once('.') {
            Some((digest, build)) if build.parse::<u32>().is_ok() => digest,
            _ => digest,
        };
        version.parse::<u32>().is_ok()
            && digest.len() == DIGEST_DIGITS
            && digest.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests;
