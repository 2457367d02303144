//! The data folder: one host at a time, a folder per projection, a file per generation.
//!
//! ```text
//! data/foldline.lock                          who uses the folder
//! data/catalog.db                             projections, generations and modules: see [`crate::catalog`]
//! data/order-summary/v2-9f86d081.db           version 2, built by the module whose digest begins so
//! data/order-summary/v2-9f86d081.2.db         the same, built once more
//! ```

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::StoreError;
use super::sqlite::{Meta, SqliteStore, read_meta};
use crate::definition::Definition;

const LOCK_FILE: &str = "foldline.lock";

/// Hexadecimal digits of the digest in a file's name: enough to tell builds of one version apart.
const DIGEST_DIGITS: usize = 8;

/// Who uses a data folder; written into its lock file for people and for the host that comes second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub pid: u32,
    /// The machine it runs on, where that is known.
    pub machine: Option<String>,
    /// Where its HTTP interface listens.
    pub address: String,
    /// Since when, RFC 3339.
    pub since: String,
}

impl Holder {
    fn this_process(address: &str) -> Self {
        let machine = fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let now = OffsetDateTime::now_utc().format(&Rfc3339);
        Self {
            pid: std::process::id(),
            machine: machine.map(|name| name.trim().to_owned()),
            address: address.to_owned(),
            since: now.unwrap_or_default(),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)?;
        if let Some(machine) = &self.machine {
            write!(f, " on {machine}")?;
        }
        write!(f, ", listening on {}, since {}", self.address, self.since)
    }
}

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
    // The system gives the lock back with the file, also when the process is killed.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder where it is missing, and locks it. `address` is where this host's HTTP interface
    /// listens: it tells people which host it is.
    ///
    /// # Errors
    /// [`FolderError::Held`] when another host uses it; others when it cannot be used.
    pub fn lock(path: &Path, address: &str) -> Result<Self, FolderError> {
        fs::create_dir_all(path).map_err(|e| StoreError::io(path, e))?;
        let file = path.join(LOCK_FILE);
        let unusable = |e| StoreError::io(&file, e);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = options.open(&file).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(e)) => return Err(unusable(e).into()),
            Err(TryLockError::WouldBlock) => {
                let folder = path.display().to_string();
                let holder = holder(&mut lock);
                return Err(FolderError::Held { folder, holder });
            }
        }
        sign(&mut lock, &Holder::this_process(address)).map_err(unusable)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The projection's generation of the highest version, if it has any.
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
                found.push(GenerationFile { path, meta });
            }
        }
        Ok(found
            .into_iter()
            .max_by_key(|file| (file.meta.definition.version, file.meta.created.clone())))
    }

    /// Opens the read model of a generation, or makes an empty one where its file is not there (yet).
    ///
    /// # Errors
    /// [`StoreError::WrongFile`] when the one that is there was built by another definition.
    pub fn open_or_create(
        &self,
        file: &str,
        definition: &Definition,
        digest: &str,
    ) -> Result<SqliteStore, StoreError> {
        let path = self.path_of(file);
        if path.exists() {
            return SqliteStore::open(&path, definition);
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

fn holder(lock: &mut File) -> Option<Holder> {
    let mut text = String::new();
    lock.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn sign(lock: &mut File, holder: &Holder) -> std::io::Result<()> {
    let text = serde_json::to_string_pretty(holder)?;
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{text}")
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
mod tests {
    use super::*;
    use crate::store::conformance::definition;
    use crate::store::sqlite::SqliteStore;

    const DIGEST: &str = "0123456789abcdef";

    fn locked() -> (tempfile::TempDir, DataFolder) {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::lock(&parent.path().join("data"), "127.0.0.1:7070").unwrap();
        (parent, folder)
    }

    fn create(folder: &DataFolder, version: u32) -> PathBuf {
        let definition = Definition {
            version,
            ..definition()
        };
        let path = folder.path_of(&file_name(&definition, DIGEST, 1));
        SqliteStore::create(&path, &definition, DIGEST).unwrap();
        path
    }

    #[test]
    fn a_second_host_is_refused_and_told_who_is_there() {
        let (_parent, folder) = locked();
        let refused = DataFolder::lock(folder.path(), "127.0.0.1:8080").unwrap_err();
        let text = refused.to_string();
        for expected in ["127.0.0.1:7070", &std::process::id().to_string()] {
            assert!(text.contains(expected), "{text}");
        }
        assert!(refused.hint().contains("--data"));
        let path = folder.path().to_owned();
        drop(folder);
        DataFolder::lock(&path, "127.0.0.1:8080").unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = DataFolder::lock(&file.path().join("data"), "").unwrap_err();
        assert!(refused.to_string().contains("data: "), "{refused}");
        assert!(
            refused.hint().contains("choose another folder"),
            "{}",
            refused.hint()
        );
    }

    #[test]
    fn the_generation_of_the_highest_version_is_found() {
        let (_parent, folder) = locked();
        assert_eq!(folder.generation("conformance").unwrap(), None);
        create(&folder, 9);
        let path = create(&folder, 10);
        assert!(path.ends_with("conformance/v10-01234567.db"), "{path:?}");
        for name in [
            "v11-01234567.db-wal",
            "v11-01234567.db.new",
            "notes.txt",
            "v12.db",
        ] {
            fs::write(path.with_file_name(name), "not a generation").unwrap();
        }
        let found = folder.generation("conformance").unwrap().unwrap();
        assert_eq!((found.path, found.meta.digest.as_str()), (path, DIGEST));
        assert_eq!(found.meta.definition.version, 10);
    }

    #[test]
    fn a_second_build_of_one_module_gets_a_file_of_its_own() {
        let (_parent, folder) = locked();
        let definition = definition();
        let name = |taken: &str| folder.free_name(&definition, DIGEST, |name| name == taken);
        assert_eq!(name(""), "conformance/v3-01234567.db");
        create(&folder, 3);
        assert_eq!(name(""), "conformance/v3-01234567.2.db");
        assert_eq!(
            name("conformance/v3-01234567.2.db"),
            "conformance/v3-01234567.3.db"
        );
        assert!(is_generation(Path::new("v3-01234567.2.db")));
        folder.delete("conformance/v3-01234567.db").unwrap();
        assert!(!folder.path().join("conformance").exists());
    }

    #[test]
    fn a_generation_that_cannot_be_read_is_not_passed_over() {
        let (_parent, folder) = locked();
        let path = create(&folder, 1);
        let damaged = path.with_file_name("v2-01234567.db");
        fs::write(&damaged, "damaged").unwrap();
        let refused = folder.generation("conformance").unwrap_err();
        assert!(refused.to_string().contains("v2-01234567.db"), "{refused}");
        fs::remove_file(damaged).unwrap();
        let elsewhere = folder.path().join("another");
        fs::rename(path.parent().unwrap(), elsewhere).unwrap();
        let refused = folder.generation("another").unwrap_err();
        assert!(refused.to_string().contains("\"conformance\""), "{refused}");
    }
}
