//! Rules that values must keep beyond their types.

use super::{Config, Limits, Projection, Recovery, Store};

/// 1 TiB of rows in memory per projection: more than that is a slip of the keyboard.
const CACHE_MIB_MAX: usize = 1024 * 1024;

/// A minute: a read model that is older than that while it catches up looks stuck.
const COMMIT_MS_MAX: u64 = 60_000;

/// Most bytes of a stream's name, which is JetStream's own limit, and of the beginning of a subject: a longer line is more
/// than a server takes, and it ends the connection that all projections share.
pub(super) const NAME_MAX: usize = 255;

/// A day: who waits longer before another attempt, has written another unit.
const WAIT_MS_MAX: u64 = 86_400_000;

/// An hour for one call of a module, or for the end of the host.
const CALL_MS_MAX: u64 = 3_600_000;

/// The program's own memory and the stacks of its threads come first, and an honest module takes some more.
const COMPILE_MIB_MIN: usize = 512;

/// A host that does nothing needs some milliseconds to end in order.
const DRAIN_MS_MIN: u64 = 100;

/// A value that cannot be used.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) section: String,
    pub(super) key: &'static str,
    pub(super) value: String,
    pub(super) reason: String,
}

pub(super) fn refuse(
    section: impl Into<String>,
    key: &'static str,
    value: impl Into<String>,
    reason: impl Into<String>,
) -> Result<(), Refused> {
    Err(Refused {
        section: section.into(),
        key,
        value: value.into(),
        reason: reason.into(),
    })
}

impl Config {
    /// The first rule that is broken.
    pub(super) fn check(&self) -> Result<(), Refused> {
        super::nats::check(&self.nats)?;
        self.check_token()?;
        self.check_folders()?;
        check_store(&self.store)?;
        check_limits(&self.limits)?;
        check_recovery(&self.recovery)?;
        within(
            "host",
            "drain_ms",
            self.host.drain_ms,
            DRAIN_MS_MIN,
            CALL_MS_MAX,
        )?;
        for (name, projection) in &self.projection {
            check_projection(name, projection)?;
        }
        Ok(())
    }

    fn check_token(&self) -> Result<(), Refused> {
        let token = self.http.token.as_ref().map(super::Secret::reveal);
        let sendable =
            |token: &str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        if token.is_some_and(|token| !sendable(token)) {
            let reason = "a token is made of one or more visible ASCII characters without spaces";
            return refuse("http", "token", "(secret)", reason);
        }
        Ok(())
    }

    fn check_folders(&self) -> Result<(), Refused> {
        for (section, dir) in [("modules", &self.modules.dir), ("store", &self.store.dir)] {
            if dir.as_os_str().is_empty() {
                return refuse(section, "dir", "\"\"", "name a folder; \".\" is this one");
            }
        }
        Ok(())
    }
}

fn check_recovery(recovery: &Recovery) -> Result<(), Refused> {
    // Taken apart, so that a new key cannot be left out here.
    let Recovery {
        restart_min_ms: min,
        restart_max_ms: max,
        // Any time will do.
        stall_ms: _,
        dead_letters,
        held_events,
        held_mib,
        dead_letter_kib,
    } = *recovery;
    within("recovery", "restart_min_ms", min, 1, WAIT_MS_MAX)?;
    within("recovery", "restart_max_ms", max, 0, WAIT_MS_MAX)?;
    if min > max {
        let reason = format!("must not be less than restart_min_ms, which is {min}");
        return refuse("recovery", "restart_max_ms", max.to_string(), reason);
    }
    for (key, value, max) in [
        ("dead_letters", dead_letters as u64, 100_000),
        ("held_events", held_events, 100_000_000),
        ("held_mib", held_mib, 65_536),
        ("dead_letter_kib", dead_letter_kib as u64, 65_536),
    ] {
        if !(1..=max).contains(&value) {
            let reason = format!("must be at least 1 and at most {max}");
            return refuse("recovery", key, value.to_string(), reason);
        }
    }
    Ok(())
}

fn check_store(store: &Store) -> Result<(), Refused> {
    if store.cache_mib > CACHE_MIB_MAX {
        let reason = format!("must be at most {CACHE_MIB_MAX}");
        return refuse("store", "cache_mib", store.cache_mib.to_string(), reason);
    }
    for (key, value, max) in [
        ("commit_events", store.commit_events, 10_000_000),
        ("commit_mib", store.commit_mib, 65_536),
    ] {
        if !(1..=max).contains(&value) {
            let reason = format!("must be at least 1 and at most {max}");
            return refuse("store", key, value.to_string(), reason);
        }
    }
    if store.commit_ms > COMMIT_MS_MAX {
        let reason = format!("must be at most {COMMIT_MS_MAX}");
        return refuse("store", "commit_ms", store.commit_ms.to_string(), reason);
    }
    Ok(())
}

fn check_limits(limits: &Limits) -> Result<(), Refused> {
    // Taken apart, so that a new limit cannot be left out here.
    let Limits {
        module_mib,
        compile_mib,
        compile_ms,
        memory_mib,
        call_ms,
        batch_events,
        batch_kib,
        changes_per_batch,
        changes_mib,
        row_kib,
        find_rows,
        find_mib,
        log_lines_per_batch: _,  // 0 is fine: a module then logs nothing.
        batches_per_instance: _, // 0 is fine: an instance then lives as long as its projection runs.
    } = *limits;
    within("limits", "call_ms", call_ms, 1, CALL_MS_MAX)?;
    within("limits", "compile_ms", compile_ms, 1, CALL_MS_MAX)?;
    if compile_mib < COMPILE_MIB_MIN {
        let reason = format!("must be at least {COMPILE_MIB_MIN}, which honest modules take");
        return refuse("limits", "compile_mib", compile_mib.to_string(), reason);
    }
    for (key, value, max) in [
        ("module_mib", module_mib, 1_024),
        ("compile_mib", compile_mib, 1_048_576),
        ("memory_mib", memory_mib, 4_096), // Wasm's memories are addressed with 32 bits.
        ("batch_events", batch_events, 1_000_000),
        ("batch_kib", batch_kib, 1_048_576), // Columns of a batch end at 32-bit positions.
        ("changes_per_batch", changes_per_batch, 100_000_000),
        ("changes_mib", changes_mib, 65_536),
        ("row_kib", row_kib, 524_288), // SQLite takes rows of up to 1 GB.
        ("find_rows", find_rows, 100_000_000),
        ("find_mib", find_mib, 4_096),
    ] {
        if !(1..=max).contains(&value) {
            let reason = format!("must be at least 1 and at most {max}");
            return refuse("limits", key, value.to_string(), reason);
        }
    }
    Ok(())
}

fn check_projection(name: &str, projection: &Projection) -> Result<(), Refused> {
    let section = format!("projection.{name}");
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(allowed) {
        let reason =
            "projection names are lower-case letters, digits and `-`, beginning with a letter";
        return refuse("projection", "NAME", quoted(name), reason);
    }
    let stream = projection.stream.as_deref();
    let nameable = |c: char| !c.is_whitespace() && !c.is_control() && !".*>/\\".contains(c);
    if let Some(stream) = stream.filter(|s| s.is_empty() || !s.chars().all(nameable)) {
        let reason = "no stream name: it has no spaces and none of . * > / \\";
        return refuse(section, "stream", quoted(stream), reason);
    }
    if stream.is_some_and(|stream| stream.len() > NAME_MAX) {
        let reason = format!("no stream name: it has more than {NAME_MAX} bytes");
        return refuse(section, "stream", "(too long)", reason);
    }
    Ok(())
}

fn within(section: &str, key: &'static str, value: u64, min: u64, max: u64) -> Result<(), Refused> {
    match value {
        value if value < min => refuse(
            section,
            key,
            value.to_string(),
            format!("must be at least {min}"),
        ),
        value if value > max => refuse(
            section,
            key,
            value.to_string(),
            format!("must be at most {max}"),
        ),
        _ => Ok(()),
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("{text:?}")
}
