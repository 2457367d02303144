//! What a host wrote to stderr.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::wait::wait_until;

/// Says where the host answers, as in `… serves http://127.0.0.1:41234, …`.
const SERVES: &str = "serves http://";

/// Lines of all runs of one host, growing while it runs. Clones are the same log.
#[derive(Debug, Clone, Default)]
pub struct Log {
    lines: Arc<Mutex<Vec<String>>>,
}

impl Log {
    /// The lines so far that contain all of `parts`.
    pub fn lines_with(&self, parts: &[&str]) -> Vec<String> {
        let lines = self.lines();
        let matching = lines
            .iter()
            .filter(|line| parts.iter().all(|part| line.contains(part)));
        matching.cloned().collect()
    }

    /// The same, once there is one: what is logged arrives a little after it shows elsewhere.
    ///
    /// # Panics
    /// If none comes.
    #[track_caller]
    pub fn wait_for(&self, parts: &[&str]) -> Vec<String> {
        wait_until(&format!("the log says {parts:?}"), || {
            Some(self.lines_with(parts)).filter(|lines| !lines.is_empty())
        })
    }

    /// Lines so far.
    pub fn len(&self) -> usize {
        self.lines().len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.lines().is_empty()
    }

    pub(super) fn push(&self, line: String) {
        self.lines().push(line);
    }

    /// The address that was announced after the first `before` lines.
    pub(super) fn address_after(&self, before: usize) -> Option<String> {
        let lines = self.lines();
        let announced = lines[before..]
            .iter()
            .find_map(|line| line.split_once(SERVES))?
            .1;
        let end = announced.find([',', ' ']).unwrap_or(announced.len());
        Some(format!("http://{}", &announced[..end]))
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().expect("nothing panics with the lock")
    }
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines()
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}
