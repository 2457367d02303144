//! `foldline compile`: the part of a host that compiles modules, in a process of its own. Not for people.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use foldline::guest::CompileLimits;
use foldline::guest::compiler::compile_within;

use super::CliError;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Most memory, in bytes.
    memory: u64,
    /// Most processor time, in seconds.
    seconds: u64,
    /// Folder of the compile cache.
    cache: PathBuf,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<(), CliError> {
    let limits = CompileLimits {
        memory_bytes: arguments.memory,
        time: Duration::from_secs(arguments.seconds),
    };
    compile_within(limits, &arguments.cache, &mut io::stdin().lock())
        .map_err(|error| CliError::failed(format!("{error:#}")))
}
