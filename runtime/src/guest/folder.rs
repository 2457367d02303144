//! The modules folder: which files are there, and what became of each.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use loading::Loading;

use super::{Engine, GuestLimits, GuestModule, LoadError};

mod loading;

/// A file that fails its check while it is younger than this may still be being written: it is looked at
/// again before anything is said about it.
const SETTLE: Duration = Duration::from_millis(700);

/// What changed in the folder since the last look.
pub enum Finding {
    /// A module that passed every check.
    Loaded {
        /// File name in the folder.
        file: String,
        /// The module.
        module: GuestModule,
        /// The file's bytes.
        bytes: Arc<[u8]>,
    },
    /// A file that did not.
    Refused {
        /// File name in the folder.
        file: String,
        /// Why not.
        error: LoadError,
    },
    /// A file of which nothing can be said yet: it may still be being written.
    Unfinished {
        /// File name in the folder.
        file: String,
    },
    /// A file that is gone.
    Removed {
        /// File name in the folder.
        file: String,
    },
}

/// What is known of the folder.
pub struct ModulesFolder {
    dir: PathBuf,
    seen: BTreeMap<String, Stamp>,
    loading: Loading,
}

/// Tells whether a file was written since it was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    size: u64,
    /// Inode and change time: a copy that keeps its time and has the same size is still another file.
    identity: (u64, i64, i64),
}

impl Stamp {
    /// That of no file.
    const NEVER: Self = Self {
        modified: SystemTime::UNIX_EPOCH,
        size: u64::MAX,
        identity: (0, 0, 0),
    };
}

impl ModulesFolder {
    /// The folder `dir` that has not looked yet.
    pub fn new(engine: Engine, dir: PathBuf, limits: GuestLimits) -> Self {
        Self {
            loading: Loading::new(engine, limits),
            dir,
            seen: BTreeMap::new(),
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Looks at the folder and loads what is new. Blocks: compiling takes from milliseconds to seconds. What takes longer
    /// is unfinished until a later look finds it done.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn scan(&mut self) -> std::io::Result<Vec<Finding>> {
        // Taken first: however long the rest takes, it makes no file look older than it was.
        let looked = SystemTime::now();
        let present = list(&self.dir)?;
        let mut findings = self.removed(&present);
        for (file, stamp) in present {
            if self.seen.get(&file) == Some(&stamp) {
                continue;
            }
            // Until it is known what it is, it is looked at again; it may go away before.
            self.seen.insert(file.clone(), Stamp::NEVER);
            let Some(loaded) = self.loading.load(&self.dir, &file, stamp) else {
                findings.push(Finding::Unfinished { file });
                continue;
            };
            match loaded {
                Err(error) if is_gone(&error) => continue,
                Err(error) if may_be_unfinished(&error, stamp, looked) => {
                    findings.push(Finding::Unfinished { file });
                    continue;
                }
                // A machine that is short of something now.
                Err(error @ (LoadError::NoCompiler(_) | LoadError::NoThread(_))) => {
                    findings.push(Finding::Refused { file, error });
                    continue;
                }
                Err(error) => findings.push(Finding::Refused {
                    file: file.clone(),
                    error,
                }),
                Ok((module, bytes)) => findings.push(Finding::Loaded {
                    file: file.clone(),
                    module,
                    bytes,
                }),
            }
            self.seen.insert(file, stamp);
        }
        Ok(findings)
    }

    fn removed(&mut self, present: &BTreeMap<String, Stamp>) -> Vec<Finding> {
        let gone: Vec<_> = self
            .seen
            .keys()
            .filter(|&file| !present.contains_key(file))
            .cloned()
            .collect();
        self.loading.keep(|file| present.contains_key(file));
        for file in &gone {
            self.seen.remove(file);
        }
        gone.into_iter()
            .map(|file| Finding::Removed { file })
            .collect()
    }
}

/// The `.wasm` files of a folder. Hidden files are somebody's unfinished copies.
fn list(dir: &Path) -> std::io::Result<BTreeMap<String, Stamp>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.starts_with('.') || path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        // A file that vanished since it was listed is simply not there.
        if let Some(stamp) = stamp(&path) {
            files.insert(name.to_owned(), stamp);
        }
    }
    Ok(files)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?;
    Some(Stamp {
        modified: metadata.modified().ok()?,
        size: metadata.len(),
        identity: identity(&metadata),
    })
}

#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> (u64, i64, i64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> (u64, i64, i64) {
    (0, 0, 0)
}

/// Removed since it was listed: the next look finds that out.
fn is_gone(error: &LoadError) -> bool {
    matches!(error, LoadError::Unreadable(error) if error.kind() == ErrorKind::NotFound)
}

fn may_be_unfinished(error: &LoadError, stamp: Stamp, looked: SystemTime) -> bool {
    let broken = matches!(
        error,
        LoadError::NotWasm | LoadError::Invalid(_) | LoadError::Unreadable(_)
    );
    // It may also have been written since. A clock that went back further makes the age unknown; then the file is
    // taken as it is.
    let age = looked.duration_since(stamp.modified);
    broken && age.unwrap_or_else(|error| error.duration()) < SETTLE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_file_that_goes_away_before_it_is_known_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::new(&folder.path().join("cache")).unwrap();
        let limits = Config::default().limits.guest();
        let mut modules = ModulesFolder::new(engine, folder.path().to_owned(), limits);
        let file = folder.path().join("x.wasm");
        std::fs::write(&file, b"\0asm").unwrap();
        for _ in 0..2 {
            let found = modules.scan().unwrap();
            let is_unfinished =
                matches!(&found[..], [Finding::Unfinished { file }] if file == "x.wasm");
            assert!(is_unfinished, "{}", found.len());
        }
        std::fs::remove_file(&file).unwrap();
        let found = modules.scan().unwrap();
        assert!(matches!(&found[..], [Finding::Removed { file }] if file == "x.wasm"));
        assert!(modules.scan().unwrap().is_empty());
    }
}
