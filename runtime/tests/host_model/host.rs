//! A host without HTTP and NATS: the product's supervisor over its SQLite store and the stream in memory, in this
//! process. It is restarted, and crashes, over the same data folder.

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use foldline::catalog::Catalog;
use foldline::config::{Config, Projection, Recovery};
use foldline::guest::folder::Finding;
use foldline::guest::{Engine, GuestModule};
use foldline::projection::directory::{Directory, Entry, GenerationEntry};
use foldline::projection::poison::OnPoison;
use foldline::projection::turn::Turns;
use foldline::source::memory::MemorySource;
use foldline::source::shared::SharedReaders;
use foldline::store::folder::DataFolder;
use foldline::store::sqlite::SqliteStore;
use foldline::supervisor::{Command, CommandError, Outcome, Shared, Supervised, Supervisor};
use foldline_tests::guests::module;
use tokio_util::sync::CancellationToken;

use crate::model::{Contents, Module};
use crate::seen;

/// The projection's name, that of its only table's stream, and its module's file.
pub(crate) const NAME: &str = "scribe";
const FILE: &str = "scribe.wasm";

/// Longest wait for anything.
pub(crate) const WITHIN: Duration = Duration::from_secs(30);

/// How often is looked for what nothing tells of.
pub(crate) const LOOK: Duration = Duration::from_millis(1);

/// The modules, compiled once for all cases of a test.
pub(crate) struct Modules {
    engine: Engine,
    loaded: [(GuestModule, Arc<[u8]>); 2],
}

pub(crate) static MODULES: LazyLock<Modules> = LazyLock::new(|| {
    // A generation on standby may need a module that is only in the catalog: it is compiled once, too.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile-cache");
    let engine = Engine::new(&cache).unwrap();
    let limits = Config::default().limits.guest();
    let loaded = ["scribe", "scribe-mended"].map(|name| {
        let bytes = module(name);
        let module = GuestModule::from_bytes(&engine, &bytes, limits).unwrap();
        (module, Arc::from(bytes))
    });
    Modules { engine, loaded }
});

impl Modules {
    fn finding(&self, module: Module) -> Finding {
        let (module, bytes) = self.loaded[module as usize].clone();
        Finding::Loaded {
            file: FILE.into(),
            module,
            bytes,
        }
    }

    pub(crate) fn digest(&self, module: Module) -> &str {
        &self.loaded[module as usize].0.digest
    }
}

/// What is different from case to case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Live, and while a generation is built.
    pub(crate) strategies: [OnPoison; 2],
    pub(crate) batch_events: usize,
    pub(crate) commit_events: usize,
    /// Batches after which an instance is replaced; 0 is never.
    pub(crate) batches_per_instance: usize,
    pub(crate) cache_mib: usize,
}

impl Settings {
    fn config(&self, data: &Path) -> Config {
        let mut config = Config {
            recovery: Recovery {
                restart_min_ms: 1,
                restart_max_ms: 20,
                ..Recovery::default()
            },
            ..Config::default()
        };
        config.store.dir = data.to_owned();
        config.store.commit_events = self.commit_events;
        config.store.cache_mib = self.cache_mib;
        config.limits.batch_events = self.batch_events;
        config.limits.batches_per_instance = self.batches_per_instance;
        let [on_poison, on_poison_building] = self.strategies;
        let projection = Projection {
            on_poison,
            on_poison_building,
            ..Projection::default()
        };
        config.projection.insert(NAME.into(), projection);
        config
    }
}

/// A host that runs.
pub(crate) struct Host {
    shared: Arc<Shared>,
    pub(crate) directory: Directory,
    supervised: Supervised,
    stop: CancellationToken,
}

impl Host {
    pub(crate) async fn start(
        data: &Path,
        settings: Settings,
        source: &MemorySource,
        module: Module,
    ) -> Self {
        let config = settings.config(data);
        let source = Arc::new(source.clone());
        let batch_limits = config.limits.batch();
        let shared = Arc::new(Shared {
            guest_limits: config.limits.guest(),
            batch_limits,
            folder: lock(data).await,
            catalog: Catalog::open(data).unwrap().into(),
            engine: MODULES.engine.clone(),
            readers: SharedReaders::new(source.clone(), batch_limits),
            source,
            turns: Turns::default(),
            config,
        });
        let (directory, stop) = (Directory::default(), CancellationToken::new());
        let supervised =
            Supervisor::start(Arc::clone(&shared), directory.clone(), stop.clone()).unwrap();
        let host = Self {
            shared,
            directory,
            supervised,
            stop,
        };
        host.put(module).await;
        host.until("the projection is there", |host| host.directory.is_filled())
            .await;
        host
    }

    /// Puts a module into the modules folder.
    pub(crate) async fn put(&self, module: Module) {
        self.take(vec![MODULES.finding(module)]).await;
    }

    /// Nothing changed there.
    pub(crate) async fn look_at_folder(&self) {
        self.take(Vec::new()).await;
    }

    /// Returns when it is done: whatever the supervisor is told is done in the order in which it is told.
    async fn take(&self, findings: Vec<Finding>) {
        let supervision = &self.supervised.supervision;
        assert!(supervision.take(findings).await);
        let nobody = supervision.command("nobody", Command::Resume).await;
        assert!(
            matches!(nobody, Err(CommandError::Unknown { .. })),
            "{nobody:?}"
        );
    }

    pub(crate) async fn command(&self, command: Command) -> Result<Outcome, CommandError> {
        let done = self.supervised.supervision.command(NAME, command);
        tokio::time::timeout(WITHIN, done)
            .await
            .expect("an answer in time")
    }

    pub(crate) fn entry(&self) -> Entry {
        self.directory
            .get(NAME)
            .expect("the projection is in the directory")
    }

    /// The generation of this number, if it is not retired.
    pub(crate) fn generation(&self, number: u32) -> Option<GenerationEntry> {
        let entry = self.entry();
        let mut all = entry.others.into_iter().chain([entry.live]);
        all.find(|generation| generation.record.number == number)
    }

    pub(crate) fn contents(&self, generation: &GenerationEntry) -> Option<Contents> {
        seen::contents(&self.shared.folder.path_of(&generation.record.file))
    }

    pub(crate) async fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + WITHIN;
        while !holds(self) {
            assert!(Instant::now() < deadline, "{what}: not within {WITHIN:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends in order: what is folded is committed.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.supervised.drained().await.unwrap();
    }

    /// Ends without committing anything any more: another writer opens each read model, and from then on the commits of
    /// this one are refused. What a run that was refused opens again before the stop is a crash a little later.
    pub(crate) async fn crash(self) {
        let entry = self.entry();
        for generation in entry.others.iter().chain([&entry.live]) {
            let file = self.shared.folder.path_of(&generation.record.file);
            if file.exists() {
                // One that is being made, or deleted, cannot be opened; nothing of it counts.
                let _fenced = SqliteStore::open(&file, &generation.record.definition);
            }
        }
        self.stop().await;
    }
}

/// The last host lets go of its folder with its last task.
async fn lock(data: &Path) -> DataFolder {
    let deadline = Instant::now() + WITHIN;
    loop {
        match DataFolder::lock(data, "test") {
            Ok(folder) => return folder,
            Err(held) => assert!(Instant::now() < deadline, "{held}"),
        }
        tokio::time::sleep(LOOK).await;
    }
}
