//! One host at a time uses a data folder: the lock file, and who holds it.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::FolderError;
use crate::store::{FileIdentity, StoreError};

const LOCK_FILE: &str = "foldline.lock";

/// How long a lock that is held is waited for. A process that a host has just started shares its lock until it has become
/// another program, and so holds it for a moment longer than a host that is killed then.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time between two attempts.
const LOOK: Duration = Duration::from_millis(10);

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

/// The lock of a data folder, as long as the value lives.
#[derive(Debug)]
pub(super) struct Lock {
    folder: PathBuf,
    address: String,
    // The system gives the lock back with the file, also when the process is killed.
    held: Mutex<(File, FileIdentity)>,
}

impl Lock {
    pub(super) fn take(folder: &Path, address: &str) -> Result<Self, FolderError> {
        Ok(Self {
            folder: folder.to_owned(),
            address: address.to_owned(),
            held: Mutex::new(acquire(folder, address)?),
        })
    }

    /// As [`keep_lock`](super::DataFolder::keep_lock).
    pub(super) fn keep(&self) -> Result<bool, FolderError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if FileIdentity::of(&self.folder.join(LOCK_FILE)) == held.1 {
            return Ok(false);
        }
        fs::create_dir_all(&self.folder).map_err(|e| StoreError::io(&self.folder, e))?;
        *held = acquire(&self.folder, &self.address)?;
        Ok(true)
    }
}

/// The locked lock file.
fn acquire(folder: &Path, address: &str) -> Result<(File, FileIdentity), FolderError> {
    let file = folder.join(LOCK_FILE);
    let unusable = |e| StoreError::io(&file, e);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut lock = options.open(&file).map_err(unusable)?;
    match try_lock(&lock) {
        Ok(()) => {}
        Err(TryLockError::Error(e)) => return Err(unusable(e).into()),
        Err(TryLockError::WouldBlock) => {
            let folder = folder.display().to_string();
            let holder = holder(&mut lock);
            return Err(FolderError::Held { folder, holder });
        }
    }
    sign(&mut lock, &Holder::this_process(address)).map_err(unusable)?;
    Ok((lock, FileIdentity::of(&file)))
}

/// Tries it for [`PATIENCE`].
fn try_lock(lock: &File) -> Result<(), TryLockError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(LOOK);
            }
            tried => return tried,
        }
    }
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
