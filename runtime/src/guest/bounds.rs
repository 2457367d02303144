//! What the system does for the [`super::compiler`]: bounds on a process, and how it ended.

use std::process::{Command, ExitStatus};

use super::compiler::CompileLimits;

/// Which signal ended a process, by what it means here.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It used more time than it may.
    Time,
    /// It was refused memory, or killed for want of it.
    Memory,
    /// Any other.
    Other(i32),
}

#[cfg(unix)]
pub(super) fn ended_by(status: ExitStatus) -> Option<End> {
    use rustix::process::Signal;
    use std::os::unix::process::ExitStatusExt as _;

    let signal = status.signal()?;
    Some(match Signal::from_named_raw(signal) {
        Some(Signal::XCPU) => End::Time,
        // Rust's allocator aborts where there is no memory; the system kills where the machine has none.
        Some(Signal::ABORT | Signal::KILL) => End::Memory,
        _ => End::Other(signal),
    })
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
            current: Some(most.min(given)),
            // There the system kills; it is to say first that it was the time.
            maximum: Some(most.saturating_add(1).min(given)),
        };
        setrlimit(resource, limit)?;
    }
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn ended_by(_: ExitStatus) -> Option<End> {
    None
}

#[cfg(not(unix))]
pub(super) fn set_apart(_: &mut Command) {}

#[cfg(not(unix))]
pub(super) fn bound(_: CompileLimits) -> anyhow::Result<()> {
    Ok(())
}
