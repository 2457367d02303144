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
    /// How long a process may last.
    patience: Duration,
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
            patience: limits.time * PATIENCE + BUSY,
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
        let ended = self.start().and_then(|child| self.feed(child, module));
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

    /// Gives it the module, and waits for its end.
    fn feed(&self, mut child: Child, module: &[u8]) -> std::io::Result<Option<ExitStatus>> {
        let input = child.stdin.take();
        std::thread::scope(|scope| {
            // A thread of its own, because a process that reads nothing would hold up who writes.
            let writes = std::thread::Builder::new().spawn_scoped(scope, move || {
                // One that has ended takes no more; how it ended says why.
                let _ended = input.map(|mut input| input.write_all(module));
            });
            if let Err(error) = writes {
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
            self.wait(child)
        })
    }

    /// Waits for its end; none if it was ended because that took too long. The system counts only time in which it runs, and
    /// it might wait for something.
    fn wait(&self, mut child: Child) -> std::io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + self.patience;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn judge(&self, ended: Option<ExitStatus>) -> Result<(), LoadError> {
        let limits = self.limits;
        let Some(status) = ended else {
            return Err(LoadError::CompileWait(self.patience));
        };
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

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// What a compiler comes to that is this program, in words.
    fn tried_by(program: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{program}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let limits = CompileLimits {
            memory_bytes: 1 << 20,
            time: Duration::from_secs(1),
        };
        let compiler = Compiler {
            patience: Duration::from_millis(300),
            ..Compiler::new(path, folder.path().to_owned(), limits, [])
        };
        // More than a pipe holds.
        match compiler.try_out(&vec![0; 1 << 20]) {
            Ok(()) => "tried".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_process_that_reads_nothing_and_does_not_end_is_ended() {
        let said = tried_by("exec sleep 1000");
        assert!(said.starts_with("time limit reached: "), "{said}");
    }

    #[test]
    fn how_a_process_has_ended_is_said() {
        assert_eq!(tried_by("exit 0"), "tried");
        let panicked = tried_by("exit 101");
        assert!(panicked.contains("exit status: 101"), "{panicked}");
        let no_memory = tried_by("kill -ABRT $$");
        assert!(
            no_memory.starts_with("memory limit reached: "),
            "{no_memory}"
        );
        let no_time = tried_by("kill -XCPU $$");
        assert!(
            no_time.contains("more than 1 s of processor time"),
            "{no_time}"
        );
    }
}
