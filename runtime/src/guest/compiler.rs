//! Compiling a module in a process of its own, which the system ends when it uses too much: a few KB of code can keep a
//! compiler busy for minutes and take gigabytes, and nothing within one process stops a thread of it.
//!
//! That process only fills the compile cache. Then the host does the same again and finds the code there, or what is
//! wrong with the module, which it could not tell from the end of a process.

use std::collections::HashSet;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::load::{LoadError, compile, digest, with_room};
use super::{Engine, bounds};

/// What compiling one module may use up. Set from `[limits]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Most memory, in bytes.
    pub memory_bytes: u64,
    /// Most time of all processors together; whole seconds count.
    pub time: Duration,
}

/// Starts the processes that compile.
#[derive(Debug)]
pub struct Compiler {
    program: PathBuf,
    cache: PathBuf,
    limits: CompileLimits,
    /// Digests of modules that were compiled within bounds before: one of 64 bytes for each that was loaded.
    known: Mutex<HashSet<String>>,
}

impl Compiler {
    /// One that starts `program`, which is `foldline`, and fills `cache`. What is `known` by its digest is not compiled
    /// apart again.
    pub fn new(
        program: PathBuf,
        cache: PathBuf,
        limits: CompileLimits,
        known: impl IntoIterator<Item = String>,
    ) -> Self {
        Self {
            program,
            cache,
            limits,
            known: Mutex::new(known.into_iter().collect()),
        }
    }

    /// Returns when compiling the module has been tried within bounds.
    ///
    /// # Errors
    /// If that takes too much, or no process can be started.
    pub(super) fn try_out(&self, module: &[u8]) -> Result<(), LoadError> {
        let digest = digest(module);
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known().contains(&digest) {
            return Ok(());
        }
        let ended = self.start().and_then(|mut child| {
            if let Some(mut input) = child.stdin.take() {
                // One that has ended takes no more; how it ended says why.
                let _ended = input.write_all(module);
            }
            child.wait()
        });
        self.judge(ended.map_err(LoadError::NoCompiler)?)?;
        known().insert(digest);
        Ok(())
    }

    fn start(&self) -> std::io::Result<Child> {
        let CompileLimits { memory_bytes, time } = self.limits;
        let mut command = Command::new(&self.program);
        command
            .arg("compile")
            .arg(&self.cache)
            .arg(memory_bytes.to_string())
            .arg(time.as_secs().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        bounds::set_apart(&mut command);
        command.spawn()
    }

    fn judge(&self, status: ExitStatus) -> Result<(), LoadError> {
        let limits = self.limits;
        match bounds::ended_by(status) {
            None => Ok(()),
            Some(bounds::End::Time) => Err(LoadError::CompileTime(limits.time)),
            Some(bounds::End::Memory) => Err(LoadError::CompileMemory(limits.memory_bytes)),
            Some(bounds::End::Other(signal)) => {
                let reason = format!("the compiler was ended by signal {signal}");
                Err(LoadError::Invalid(reason))
            }
        }
    }
}

/// What the process does that a [`Compiler`] starts: compiles the module that it reads from `input`, into `cache`.
///
/// # Errors
/// If it cannot bound itself, or what is wrong with the module; the host finds that, too.
pub fn compile_within(
    limits: CompileLimits,
    cache: &Path,
    input: &mut impl Read,
) -> anyhow::Result<()> {
    bounds::bound(limits)?;
    let mut module = Vec::new();
    input.read_to_end(&mut module)?;
    let engine = Engine::new(cache)?;
    Ok(with_room(|| compile(&engine, &module).map(drop))?)
}
