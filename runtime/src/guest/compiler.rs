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
use std::time::{Duration, Instant};

use super::Engine;
use super::bounds::{self, End};
use super::load::{LoadError, compile, digest, with_room};

/// What compiling one module may use up. Set from `[limits]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Most memory, in bytes.
    pub memory_bytes: u64,
    /// Most time of all processors together; whole seconds count.
    pub time: Duration,
}

/// Threads that compile one module.
const THREADS: &str = "2";

/// How many times the processor time that it may take a process may last,
const PATIENCE: u32 = 3;
/// and how much longer than that: on a busy machine a few seconds of processor time take many.
const BUSY: Duration = Duration::from_secs(60);

/// Time between two looks at a process.
const LOOK: Duration = Duration::from_millis(5);

/// What a process ends with that panics.
const PANICKED: i32 = 101;

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
            self.wait(child)
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
            .arg(memory_bytes.to_string())
            .arg(time.as_secs().to_string())
            .arg("--")
            .arg(&self.cache)
            // Each thread takes of the memory that it may have, and the other processors are the projections'.
            .env("RAYON_NUM_THREADS", THREADS)
            // Writing one where there is no memory left can wait for ever.
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        bounds::set_apart(&mut command);
        command.spawn()
    }

    /// Waits for its end. The system counts only time in which it runs, and it might wait for something.
    fn wait(&self, mut child: Child) -> std::io::Result<ExitStatus> {
        let deadline = Instant::now() + self.limits.time * PATIENCE + BUSY;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                child.kill()?;
                return child.wait();
            }
            std::thread::sleep(LOOK);
        }
    }

    fn judge(&self, status: ExitStatus) -> Result<(), LoadError> {
        let limits = self.limits;
        match bounds::end(status) {
            End::Tried => Ok(()),
            End::Time => Err(LoadError::CompileTime(limits.time)),
            End::Memory => Err(LoadError::CompileMemory(limits.memory_bytes)),
            End::Other => Err(LoadError::Compiler(status)),
        }
    }
}

/// What the process does that a [`Compiler`] starts: compiles the module that it reads from `input`, into `cache`. What is
/// wrong with the module is no error: the host finds that, too. A panic ends the process.
///
/// # Errors
/// If it cannot bound itself, or there is no compiling.
pub fn compile_within(
    limits: CompileLimits,
    cache: &Path,
    input: &mut impl Read,
) -> anyhow::Result<()> {
    bounds::bound(limits)?;
    std::panic::set_hook(Box::new(|panic| {
        // Cranelift panics where some of its lists cannot grow.
        match panic.payload_as_str() {
            Some(said) if said.contains("memory") => std::process::abort(),
            _ => std::process::exit(PANICKED),
        }
    }));
    let mut module = Vec::new();
    input.read_to_end(&mut module)?;
    let engine = Engine::new(cache)?;
    match with_room(|| compile(&engine, &module).map(drop)) {
        Err(error @ LoadError::NoThread(_)) => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
