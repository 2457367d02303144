//! What a program used.

use std::fs;

use anyhow::{Context as _, Result};

/// Linux counts processor time in this unit, whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process used since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time in user and kernel, in seconds.
    pub(crate) cpu: f64,
    /// Largest resident memory, in bytes.
    pub(crate) peak: u64,
    /// Handed to the kernel to be written, in bytes: to files, and little to sockets.
    pub(crate) written: u64,
}

/// What the process `id` has used so far.
pub(crate) fn usage(id: u32) -> Result<Usage> {
    let read = |file: &str| {
        let path = format!("/proc/{id}/{file}");
        fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    };
    let (stat, status, io) = (read("stat")?, read("status")?, read("io")?);
    let cpu =
        ticks(&stat).context("/proc/PID/stat has another form than expected")? / TICKS_PER_SECOND;
    let (peak, written) = (number(&status, "VmHWM:"), number(&io, "wchar:"));
    Ok(Usage {
        cpu,
        peak: peak * 1024,
        written,
    })
}

/// The number behind `name` at the beginning of a line; 0 where there is none.
fn number(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let digits = value.and_then(|value| value.split_whitespace().next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// User and system time, the 14th and 15th field. The second one, in brackets, may hold spaces.
fn ticks(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_past_a_name_with_brackets() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0";
        assert_eq!(ticks(stat), Some(200.0));
    }
}
