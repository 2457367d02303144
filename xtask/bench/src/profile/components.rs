//! Sums a profile up by what the host was doing, which is not what it was executing: a copy in `memmove` belongs to
//! whoever called it.

use std::collections::BTreeMap;

/// What a frame of the call stack stands for. The first rule that the innermost frames match decides, so the
/// narrow ones come first. The pieces are parts of symbols as perf prints them.
const RULES: [(&str, &[&str]); 9] = [
    (
        "store: WAL checkpoint",
        &["sqlite3WalCheckpoint", "walCheckpoint"],
    ),
    (
        "store: commit to the WAL",
        &[
            "sqlite3PagerCommitPhaseOne",
            "pagerWalFrames",
            "vdbeCommit",
            "sqlite3BtreeCommitPhase",
        ],
    ),
    ("store: rows, read and written", &["foldline::store"]),
    (
        "session: rows kept in memory",
        &["foldline::session", "indexmap::"],
    ),
    ("guest: what it sends, checked", &["foldline::guest::rows"]),
    (
        "guest: call, values in and out",
        &["foldline::guest", "wasmtime"],
    ),
    (
        "reader: packing batches",
        &["foldline::source", "foldline::batch"],
    ),
    ("reader: async-nats", &["async_nats"]),
    ("projection loop", &["foldline::projection"]),
];

/// Generated code has no symbols and comes from no file.
const GUEST: &str = "guest: its own code";
/// Only where nothing else is on the stack: everybody runs on it.
const RUNTIME: (&str, &str) = ("runtime", "tokio");
const REST: &str = "rest";

/// Samples of each component, from the output of `perf script -F tid,ip,sym,dso`: one stack after another, each
/// with its innermost frame first and an empty line behind.
pub(super) fn count(script: &str) -> BTreeMap<&'static str, u64> {
    let mut samples = BTreeMap::new();
    for stack in script.split("\n\n") {
        let frames = stack
            .lines()
            .filter(|line| line.starts_with([' ', '\t']) && line.contains('('));
        if frames.clone().next().is_some() {
            *samples.entry(component(&frames)).or_default() += 1;
        }
    }
    samples
}

fn component<'s>(frames: &(impl Iterator<Item = &'s str> + Clone)) -> &'static str {
    let (name, piece) = RUNTIME;
    let rest = || match frames.clone().any(|frame| frame.contains(piece)) {
        true => name,
        false => REST,
    };
    frames.clone().find_map(of_frame).unwrap_or_else(rest)
}

fn of_frame(frame: &str) -> Option<&'static str> {
    if frame.contains("(/tmp/perf-") || frame.contains("//anon") {
        return Some(GUEST);
    }
    let matches = |pieces: &&[&str]| pieces.iter().any(|piece| frame.contains(piece));
    RULES
        .iter()
        .find(|(_, pieces)| matches(pieces))
        .map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_belongs_to_who_called_it() {
        let script = "\
 7
 1 memmove (/lib/libc.so.6)
 2 foldline::batch::Batch::push (/bin/foldline)
 3 async_nats::poll (/bin/foldline)

 7
 1 [unknown] (/tmp/perf-7.map)

 8
 1 idle (/lib/libc.so.6)
";
        let expected = [(GUEST, 1), ("reader: packing batches", 1), (REST, 1)];
        assert_eq!(count(script), BTreeMap::from(expected));
    }
}
