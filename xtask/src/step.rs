//! One visible step of a command: a heading, the work, and the time it took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Prints `heading`, runs `work`, and prints how long it took. An error gets the heading in front.
pub(crate) fn step<T>(heading: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {heading}");
    let started = Instant::now();
    let value = work().with_context(|| format!("{heading}: failed"))?;
    println!("    done in {}", seconds(started.elapsed()));
    Ok(value)
}

/// A duration as people read it: `0.4 s`, `83 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}
