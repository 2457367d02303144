//! What the system does for the [`super::compiler`]: bounds on a process, and how that ended.

use std::process::{Command, ExitStatus};

use super::compiler::CompileLimits;

/// How a process ended, by what that means here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It came to its end within its bounds.
    Tried,
    /// It used more time than it may.
    Time,
    /// It was refused memory.
    Memory,
    /// It could not begin, panicked, or somebody ended it.
    Other,
}

pub(super) fn end(status: ExitStatus) -> End {
    match signal(status) {
        _ if status.success() => End::Tried,
        Some(signal) if signal == signals::TIME => End::Time,
        // Rust's allocator aborts where there is no memory.
        Some(signal) if signal == signals::MEMORY => End::Memory,
        _ => End::Other,
    }
}

#[cfg(unix)]
mod signals {
    use rustix::process::Signal;

    pub(super) const TIME: i32 = Signal::XCPU.as_raw();
    pub(super) const MEMORY: i32 = Signal::ABORT.as_raw();
}

#[cfg(not(unix))]
mod signals {
    pub(super) const TIME: i32 = -1;
    pub(super) const MEMORY: i32 = -1;
}

#[cfg(unix)]
fn signal(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal()
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}

/// The terminal's Ctrl-C is for the host, which then ends by itself.
#[cfg(unix)]
pub(super) fn set_apart(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0).arg0("foldline");
}

/// Bounds this process, for good, and ends it with the one that started it.
#[cfg(unix)]
pub(super) fn bound(limits: CompileLimits) -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let seconds = limits.time.as_secs().max(1);
    for (resource, most) in [
        (Resource::Cpu, seconds),
        (Resource::Data, limits.memory_bytes),
        // What it ends with is nothing to look at.
        (Resource::Core, 0),
    ] {
        // Only a privileged process may raise what it was given.
        let given = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = Rlimit {
            // At the maximum the system kills; it is to say first that it was the time.
            current: Some(most.min(given.saturating_sub(1))),
            maximum: Some(most.saturating_add(1).min(given)),
        };
        setrlimit(resource, limit)?;
    }
    #[cfg(target_os = "linux")]
    {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // Where the machine has no memory left, this is what can be missed. Not every system lets it say so.
        let _unheard = std::fs::write("/proc/self/oom_score_adj", "1000");
    }
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn set_apart(_: &mut Command) {}

#[cfg(not(unix))]
pub(super) fn bound(_: CompileLimits) -> anyhow::Result<()> {
    Ok(())
}
