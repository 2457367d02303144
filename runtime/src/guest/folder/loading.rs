//! Loads module files, each on a thread of its own, and does not wait long for one: a file of a few KB can keep a compiler
//! busy for minutes, which must not keep others from starting.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::Duration;

use super::Stamp;
use crate::guest::{Engine, GuestLimits, GuestModule, LoadError};

/// How long a look at the folder waits for one file. An honest module takes some ten milliseconds, a large one a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// Most files that are waited for no longer, but still loaded. Each may take what `limits.compile_ms` and `compile_mib` allow;
/// with as many under way no other file is begun.
const SLOW_MAX: usize = 2;

pub(super) type Loaded = Result<(GuestModule, Arc<[u8]>), LoadError>;

/// What is being loaded.
pub(super) struct Loading {
    engine: Engine,
    limits: GuestLimits,
    slow: BTreeMap<String, (Stamp, Receiver<Loaded>)>,
    /// One for each thread, and this one: also of files that are gone since.
    threads: Arc<()>,
}

impl Loading {
    pub(super) fn new(engine: Engine, limits: GuestLimits) -> Self {
        Self {
            engine,
            limits,
            slow: BTreeMap::new(),
            threads: Arc::new(()),
        }
    }

    /// What became of the file; none while that is not known.
    pub(super) fn load(&mut self, dir: &Path, file: &str, stamp: Stamp) -> Option<Loaded> {
        if let Some((of, receiver)) = self.slow.get(file)
            && *of == stamp
        {
            let loaded = match receiver.try_recv() {
                Err(TryRecvError::Empty) => return None,
                loaded => loaded.unwrap_or_else(|_| Err(panicked())),
            };
            self.slow.remove(file);
            return Some(loaded);
        }
        if Arc::strong_count(&self.threads) > SLOW_MAX {
            return None;
        }
        let receiver = match self.begin(dir, file) {
            Ok(receiver) => receiver,
            Err(error) => return Some(Err(LoadError::NoThread(error))),
        };
        match receiver.recv_timeout(PATIENCE) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                tracing::warn!(
                    file,
                    hint = "other modules go on; a module that takes this long is too large, or made to keep a compiler busy",
                    "module is still being compiled after {} s",
                    PATIENCE.as_secs()
                );
                self.slow.insert(file.to_owned(), (stamp, receiver));
                None
            }
            loaded => Some(loaded.unwrap_or_else(|_| Err(panicked()))),
        }
    }

    /// Forgets files that are there no longer.
    pub(super) fn keep(&mut self, is_there: impl Fn(&str) -> bool) {
        self.slow.retain(|file, _| is_there(file));
    }

    fn begin(&self, dir: &Path, file: &str) -> std::io::Result<Receiver<Loaded>> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let (engine, limits, path) = (self.engine.clone(), self.limits, dir.join(file));
        let running = Arc::clone(&self.threads);
        let load = move || {
            let bytes = GuestModule::read(&path, limits)?;
            let module = GuestModule::from_bytes(&engine, &bytes, limits)?;
            Ok((module, bytes.into()))
        };
        let thread = std::thread::Builder::new().name("load".into());
        thread.spawn(move || {
            let loaded = load();
            drop(running);
            // Nobody waits for it any more when the file is gone or another one.
            let _not_taken = sender.send(loaded);
        })?;
        Ok(receiver)
    }
}

fn panicked() -> LoadError {
    LoadError::Invalid("loading it panicked".to_owned())
}
