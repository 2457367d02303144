//! One visible step of a command: a heading, the work, and the time it took.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Prints `heading`, runs `work`, and prints how long it took. An error gets the heading in front.
///
/// # Errors
/// Those of `work`.
pub fn step<T>(heading: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let started = begin(heading);
    end(heading, started, work())
}

/// [`step`] for work that waits.
///
/// # Errors
/// Those of `work`.
pub async fn step_async<T>(heading: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    let started = begin(heading);
    end(heading, started, work.await)
}

fn begin(heading: &str) -> Instant {
    println!("==> {heading}");
    Instant::now()
}

fn end<T>(heading: &str, started: Instant, result: Result<T>) -> Result<T> {
    let value = result.with_context(|| format!("{heading}: failed"))?;
    println!("    done in {}", seconds(started.elapsed()));
    Ok(value)
}

/// A duration as people read it: `0.4 s`, `83 s`.
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}
