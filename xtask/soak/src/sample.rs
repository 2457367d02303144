//! Memory, open files and disk of the host, every second.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};

const EVERY: Duration = Duration::from_secs(1);

const KIB: u64 = 1024;

/// SQLite keeps so many bytes of each read model's pages in memory: what the host asks it for.
const PAGE_CACHE: u64 = 8 * 1024 * KIB;

/// One look at a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// Since it was started.
    pub(crate) at: Duration,
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    /// Bytes of read models that SQLite may keep in memory; more as they grow, up to [`PAGE_CACHE`] of each.
    pub(crate) pages: u64,
    /// Open file descriptors.
    pub(crate) files: usize,
    /// Bytes in the data folder.
    pub(crate) disk: u64,
}

/// One process of the host, from its start to its end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Life {
    pub(crate) samples: Vec<Sample>,
    /// How it ended; empty while it goes on.
    pub(crate) end: String,
}

/// Looks at whatever process is the host's now.
pub(crate) struct Sampler {
    lives: Arc<Mutex<Lives>>,
}

#[derive(Default)]
struct Lives {
    running: Option<(u32, Instant)>,
    all: Vec<Life>,
    is_over: bool,
}

impl Sampler {
    pub(crate) fn start(data: &Path) -> Self {
        let lives = Arc::<Mutex<Lives>>::default();
        let (looking, data) = (Arc::clone(&lives), data.to_owned());
        std::thread::spawn(move || look(&looking, &data));
        Self { lives }
    }

    pub(crate) fn begin_life(&self, pid: u32) {
        let mut lives = lock(&self.lives);
        lives.running = Some((pid, Instant::now()));
        lives.all.push(Life::default());
    }

    pub(crate) fn end_life(&self, how: &str) {
        let mut lives = lock(&self.lives);
        lives.running = None;
        if let Some(life) = lives.all.last_mut() {
            life.end = how.to_owned();
        }
    }

    pub(crate) fn lives(&self) -> Vec<Life> {
        lock(&self.lives).all.clone()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        lock(&self.lives).is_over = true;
    }
}

fn lock(lives: &Mutex<Lives>) -> MutexGuard<'_, Lives> {
    lives.lock().expect("nothing panics with the lock")
}

fn look(lives: &Mutex<Lives>, data: &Path) {
    loop {
        sleep(EVERY);
        let (is_over, running) = {
            let lives = lock(lives);
            (lives.is_over, lives.running)
        };
        if is_over {
            return;
        }
        let sample = running.and_then(|(pid, since)| sample(pid, since.elapsed(), data));
        let mut lives = lock(lives);
        // Another process may have come meanwhile.
        if let (Some(sample), true) = (sample, lives.running == running)
            && let Some(life) = lives.all.last_mut()
        {
            life.samples.push(sample);
        }
    }
}

/// None when the process is gone.
fn sample(pid: u32, at: Duration, data: &Path) -> Option<Sample> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let status = fs::read_to_string(process.join("status")).ok()?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = resident.trim().trim_end_matches(" kB").parse().ok()?;
    Some(Sample {
        at,
        memory: kib * KIB,
        pages: pages(data),
        files: fs::read_dir(process.join("fd")).ok()?.count(),
        disk: size(data),
    })
}

/// What the read models in a data folder have, as far as SQLite keeps it.
fn pages(data: &Path) -> u64 {
    let folders = fs::read_dir(data).into_iter().flatten().flatten();
    let files =
        folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
    let databases = files.map(|file| file.path());
    let databases =
        databases.filter(|path| path.extension().is_some_and(|extension| extension == "db"));
    // One that was retired meanwhile has none.
    let bytes = databases.filter_map(|path| database_bytes(&path).ok());
    bytes.map(|bytes| bytes.min(PAGE_CACHE)).sum()
}

/// The size of a database with what is still in its log only.
fn database_bytes(path: &Path) -> rusqlite::Result<u64> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    Ok((number("page_count")? * number("page_size")?).cast_unsigned())
}

/// Bytes of all files in a folder. Files that go away meanwhile count nothing.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let size_of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size_of).sum()
}
