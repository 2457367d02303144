//! On what, and beside what, it was measured.

use std::fs;
use std::process::Command;
use std::thread;

use serde::Serialize;
use xtask::process;

use crate::stage::Programs;

/// The machine as it was during the measurement.
#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) kernel: String,
    pub(crate) nats_server: String,
    /// Revision of the project, with `-dirty` when files differ from it.
    pub(crate) revision: String,
    /// Average number of running threads over the minute before it began: others' work, which makes it slower.
    pub(crate) load_before: f64,
}

impl Machine {
    pub(crate) fn look(programs: &Programs) -> Self {
        let memory = field("/proc/meminfo", "MemTotal")
            .trim_end_matches(" kB")
            .parse::<f64>();
        let git = || {
            Command::new("git")
                .args(["describe", "--always", "--dirty"])
                .output()
        };
        let revision =
            git().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        Self {
            processor: field("/proc/cpuinfo", "model name"),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_gib: memory.unwrap_or(0.0) / 1024.0 / 1024.0,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .unwrap_or_default()
                .trim()
                .to_owned(),
            nats_server: process::read(Command::new(&programs.nats_server).arg("--version"))
                .unwrap_or_default(),
            revision: revision.unwrap_or_default(),
            load_before: load(),
        }
    }
}

/// Load average of the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .next()
        .and_then(|load| load.parse().ok())
        .unwrap_or(f64::NAN)
}

/// The value of the first line `name: value`.
fn field(file: &str, name: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_once(':'))
        .map_or_else(String::new, |(_, value)| value.trim().to_owned())
}
