//! One task per projection: started, restarted, reloaded, drained.
//!
//! The supervisor only compares what the modules folder holds with what runs, and makes the one follow the
//! other. A file that is refused changes nothing for what runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::guest::GuestModule;
use crate::guest::catalog::Finding;
use crate::projection::directory::{Directory, Entry};
use crate::projection::{Problem, RefusedModule};
use crate::telemetry;

mod runner;
mod verdict;

use runner::Runner;
pub use runner::Shared;
use verdict::{Module, Verdict};

/// Keeps the projections running that the modules folder asks for.
pub struct Supervisor {
    shared: Arc<Shared>,
    directory: Directory,
    /// Every loaded module by file name: also those that may not run.
    files: BTreeMap<String, GuestModule>,
    /// Files whose content of now failed its check. What they held before, if anything, is still in `files`
    /// and goes on running, but decides nothing any more.
    broken: BTreeSet<String>,
    running: BTreeMap<String, Running>,
    /// The last runs of projections that were stopped: the next run of the same name waits for it.
    ending: BTreeMap<String, JoinHandle<()>>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// One projection that was started.
struct Running {
    file: String,
    module: watch::Sender<GuestModule>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// A supervisor of nothing yet. `stop` ends all projections at their next commit boundary.
    pub fn new(shared: Arc<Shared>, directory: Directory, stop: CancellationToken) -> Self {
        Self {
            shared,
            directory,
            files: BTreeMap::new(),
            broken: BTreeSet::new(),
            running: BTreeMap::new(),
            ending: BTreeMap::new(),
            tracker: TaskTracker::new(),
            stop,
        }
    }

    /// Takes in what changed in the modules folder since the last look.
    pub fn take(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            match finding {
                Finding::Loaded { file, module } => {
                    self.broken.remove(&file);
                    self.files.insert(file, module);
                }
                Finding::Removed { file } => {
                    self.broken.remove(&file);
                    self.files.remove(&file);
                    self.directory.forget_refused(&file);
                }
                Finding::Refused { file, error } => {
                    self.refuse(&file, error.to_string(), error.hint());
                    self.broken.insert(file);
                }
            }
        }
        self.stop_without_file();
        // Also what is known already: a refusal's cause may be gone, a name or a data folder may be free.
        for (file, module) in self.files.clone() {
            if !self.broken.contains(&file) {
                self.consider(&file, &module);
            }
        }
        self.directory.fill();
    }

    /// Waits until every projection has stopped, after `stop` was cancelled.
    pub async fn drained(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// A projection whose file is gone stops. Its data stays.
    fn stop_without_file(&mut self) {
        let files = &self.files;
        let gone = self
            .running
            .extract_if(.., |_, running| !files.contains_key(&running.file));
        for (name, running) in gone.collect::<Vec<_>>() {
            self.stop(name, running);
        }
    }

    /// A file that has passed every check and now holds another projection leaves the one it held without
    /// a file.
    fn stop_replaced(&mut self, file: &str, name: &str) {
        let replaced = self.running.extract_if(.., |running_name, running| {
            running.file == file && running_name != name
        });
        for (name, running) in replaced.collect::<Vec<_>>() {
            self.stop(name, running);
        }
    }

    fn stop(&mut self, name: String, running: Running) {
        tracing::info!(
            projection = name,
            file = running.file,
            "module file is gone: stopping"
        );
        running.stop.cancel();
        self.ending.insert(name, running.task);
    }

    fn consider(&mut self, file: &str, module: &GuestModule) {
        let name = &module.definition.name;
        match self.verdict(Module::new(file, module)) {
            Verdict::Unchanged => self.directory.forget_refused(file),
            Verdict::Refused { error, hint } => self.refuse(file, error, hint),
            Verdict::Reload => {
                self.directory.forget_refused(file);
                let running = self.running.get(name);
                // The task's end of the channel lives as long as the task; one that ended is not told.
                running.map(|running| running.module.send_replace(module.clone()));
            }
            Verdict::Start => {
                self.directory.forget_refused(file);
                self.stop_replaced(file, name);
                self.start(file, module);
            }
        }
    }

    fn verdict(&self, new: Module<'_>) -> Verdict {
        let name = &new.definition.name;
        if let Some(running) = self.running.get(name) {
            return verdict::beside(new, Module::new(&running.file, &running.module.borrow()));
        }
        match self.shared.folder.generation(name) {
            Ok(stored) => {
                verdict::at_start(new, stored.as_ref().map(|stored| &stored.meta.definition))
            }
            Err(error) => Verdict::Refused {
                error: error.to_string(),
                hint: error.hint(),
            },
        }
    }

    fn start(&mut self, file: &str, module: &GuestModule) {
        let name = module.definition.name.clone();
        let stop = self.stop.child_token();
        let (sender, receiver) = watch::channel(module.clone());
        let (runner, status) = Runner::new(
            Arc::clone(&self.shared),
            self.directory.clone(),
            file,
            receiver,
            stop.clone(),
        );
        // A projection that ran before keeps serving its read model until the new run has opened it.
        let read_model = self.directory.get(&name).and_then(|entry| entry.read_model);
        self.directory.insert(&name, Entry { status, read_model });
        tracing::info!(
            projection = name,
            version = module.definition.version,
            digest = module.short_digest(),
            file,
            "starting"
        );
        let task = self.tracker.spawn(runner.run(self.ending.remove(&name)));
        let file = file.to_owned();
        self.running.insert(
            name,
            Running {
                file,
                module: sender,
                stop,
                task,
            },
        );
    }

    fn refuse(&self, file: &str, error: String, hint: &str) {
        let known = self.directory.refused();
        if known
            .iter()
            .any(|refused| refused.file == file && refused.problem.error == error)
        {
            return;
        }
        tracing::error!(file, hint, "module refused: {error}");
        self.directory.refuse(RefusedModule {
            file: file.to_owned(),
            verdict: "refused".into(),
            problem: Problem {
                code: "module_refused".into(),
                error,
                hint: Some(hint.to_owned()),
                lost: None,
                at: telemetry::now(),
            },
        });
    }
}
