//! One case: a host and its model, and random steps of both.

use std::collections::BTreeSet;
use std::time::Instant;

use foldline::projection::directory::GenerationEntry;
use foldline::projection::poison::OnPoison;
use foldline::projection::{State, Status};
use foldline::source::memory::MemorySource;
use foldline::supervisor::Command;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng};
use tempfile::TempDir;

use crate::host::{Host, LOOK, MODULES, NAME, Settings, WITHIN};
use crate::model::{Contents, Generation, History, Module, Published, Rules};

pub(crate) const STREAM: &str = "ORDERS";
const KEYS: u32 = 4;

/// A host in the hands of a test, beside its model.
pub(crate) struct Case {
    pub(crate) random: StdRng,
    folder: TempDir,
    source: MemorySource,
    pub(crate) settings: Settings,
    host: Option<Host>,
    /// How often an event fails.
    poison: f64,
    pub(crate) history: History,
    /// The module that lies in the modules folder.
    pub(crate) file: Module,
    /// What was rolled back and lies there still.
    pub(crate) declined: Option<Module>,
    pub(crate) live: Generation,
    pub(crate) standby: Option<Generation>,
    /// What was built again and has failed, or has not come to its end yet.
    pub(crate) built: Option<Generation>,
    pub(crate) paused: bool,
    /// Events that an operator has given up.
    pub(crate) discarded: BTreeSet<u64>,
    /// What was done, for whoever reads of a failure.
    pub(crate) log: Vec<String>,
}

impl Case {
    pub(crate) async fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let source = MemorySource::new();
        source.create_stream(STREAM, &["orders.>"]).unwrap();
        let settings = settings(&mut random);
        let folder = tempfile::tempdir().unwrap();
        let file = *[Module::Broken, Module::Mended]
            .choose(&mut random)
            .unwrap();
        let host = Host::start(folder.path(), settings, &source, file).await;
        let rules = Rules {
            module: file,
            strategy: settings.strategies[0],
        };
        Self {
            poison: random.random_range(0.0..0.25),
            random,
            folder,
            source,
            settings,
            host: Some(host),
            history: History::new(),
            file,
            declined: None,
            live: Generation::new(1, rules, &BTreeSet::new()),
            standby: None,
            built: None,
            paused: false,
            discarded: BTreeSet::new(),
            log: vec![format!("{settings:?} with {file:?}")],
        }
    }

    pub(crate) fn host(&self) -> &Host {
        self.host
            .as_ref()
            .expect("it is only away while it restarts")
    }

    pub(crate) fn said(&mut self, what: impl Into<String>) {
        self.log.push(what.into());
    }

    pub(crate) fn publish(&mut self) {
        let events = self.random.random_range(1..15);
        for _ in 0..events {
            let payload = match self.random.random_bool(self.poison) {
                true => ["reject", "panic", "hopeless"]
                    .choose(&mut self.random)
                    .unwrap(),
                false => "fine",
            };
            let key = format!("k{}", self.random.random_range(0..KEYS));
            let subject = format!("orders.{key}.Noted");
            self.source
                .publish(STREAM, &subject, b"", payload.as_bytes());
            self.said(format!("{} {key} {payload}", self.history.len() + 1));
            self.history.push(Published { key, payload });
        }
    }

    pub(crate) fn interrupt(&mut self) {
        self.said("the source is interrupted");
        self.source.interrupt();
    }

    /// The host ends and starts again. In order or not is the same for what it holds in the end.
    pub(crate) async fn restart(&mut self, crash: bool) {
        self.said(if crash { "crash" } else { "restart" });
        let host = self.host.take().expect("it runs");
        match crash {
            true => host.crash().await,
            false => host.stop().await,
        }
        let data = self.folder.path();
        self.host = Some(Host::start(data, self.settings, &self.source, self.file).await);
        self.has_taken_over();
        self.live_runs_file();
    }

    /// Another module is put into the modules folder: of the same version, so it takes the place of the live one's.
    pub(crate) async fn reload(&mut self) {
        self.file = self.file.other();
        self.said(format!("reload to {:?}", self.file));
        self.host().put(self.file).await;
        self.has_taken_over();
        self.live_runs_file();
    }

    /// The host looks at the modules folder every second.
    pub(crate) async fn look_at_folder(&mut self) {
        self.host().look_at_folder().await;
        self.live_runs_file();
    }

    /// From some place on that is not known. What is built of the same version begins anew with it.
    fn live_runs_file(&mut self) {
        let module = self.file;
        // What was rolled back is given to nothing before another module lay there.
        if self.declined == Some(module) {
            return;
        }
        self.declined = None;
        if module == self.live.rules.module {
            return;
        }
        let rules = Rules {
            module,
            ..self.live.rules
        };
        self.live.changes(rules, 0);
        if let Some(built) = self.built.take() {
            self.built = Some(Generation::new(
                built.number + 1,
                Rules {
                    module,
                    ..built.rules
                },
                &self.discarded,
            ));
        }
    }

    /// Waits until everything is applied as far as it can be, and compares it.
    pub(crate) async fn rest(&mut self) {
        if self.paused {
            return;
        }
        self.build_ends().await;
        let seen = self.seen_at_end(&self.live).await;
        self.live.rests(&self.history, &seen);
        if let Some(mut standby) = self.standby.take() {
            let seen = self.seen_at_end(&standby).await;
            standby.rests(&self.history, &seen);
            self.standby = Some(standby);
        }
        let digest = MODULES.digest(self.live.rules.module);
        let is_entered = |host: &Host| host.entry().live.record.digest == digest;
        let what = "the module that runs is in the catalog";
        self.host().until(what, is_entered).await;
        assert_eq!(self.host().entry().live.record.number, self.live.number);
    }

    async fn seen_at_end(&self, generation: &Generation) -> Contents {
        let ends = generation.ends(&self.history);
        let deadline = Instant::now() + WITHIN;
        loop {
            let entry = self.host().generation(generation.number);
            let entry = entry.expect("it is not retired");
            let (seen, status) = (self.host().contents(&entry), entry.status.borrow().clone());
            if let Some(seen) = &seen
                && ends.contains(seen)
                && self.is_told(&status, generation, seen)
            {
                return seen.clone();
            }
            assert!(
                Instant::now() < deadline,
                "generation {} never came to rest.\nseen: {seen:?}\nexpected one of: {ends:?}\n{status:?}",
                generation.number
            );
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether the status says the same as the read model.
    fn is_told(&self, status: &Status, generation: &Generation, seen: &Contents) -> bool {
        let state = match seen.sequence == self.history.len() as u64 {
            true => State::Live,
            false => State::Failed,
        };
        let counts = (seen.letters.len() as u64, seen.held.len() as u64);
        (status.dead_letters, status.held_keys) == counts
            && status.checkpoint == seen.sequence
            && status.digest == MODULES.digest(generation.rules.module)
            // Before the first event there is nothing to be live with.
            && (status.status == state || self.history.is_empty())
    }

    /// Looks while the host is at work: whatever is committed is what belongs to its checkpoint.
    pub(crate) fn look(&self) {
        if self.live.is_changing() {
            return;
        }
        let entry = self.host().entry().live;
        if let Some(seen) = self.host().contents(&entry) {
            self.is_on_its_way(&seen);
        }
    }

    fn is_on_its_way(&self, seen: &Contents) {
        let passes = self.live.passes(&self.history);
        assert!(
            passes.contains(seen),
            "seen: {seen:?}\nexpected one of: {passes:?}"
        );
    }

    pub(crate) async fn pause(&mut self) {
        if self.live.is_changing() {
            self.rest().await;
        }
        self.said("pause");
        self.host().command(Command::Pause).await.unwrap();
        self.paused = true;
        self.is_paused().await;
        let entry = self.host().entry();
        self.stands(&entry.live);
        if let Some(mut standby) = self.standby.take() {
            let generation = self.host().generation(standby.number).expect("it is there");
            let seen = self.host().contents(&generation).unwrap_or_default();
            standby.stands(&self.history, seen.sequence);
            self.standby = Some(standby);
        }
    }

    fn stands(&mut self, generation: &GenerationEntry) {
        let seen = self.host().contents(generation).unwrap_or_default();
        self.is_on_its_way(&seen);
        self.live.stands(&self.history, seen.sequence);
    }

    pub(crate) async fn is_paused(&self) {
        let all_paused = |host: &Host| {
            let entry = host.entry();
            let all = entry.others.iter().chain([&entry.live]);
            let mut run = all.filter(|generation| generation.record.state.is_current());
            run.all(|generation| generation.status.borrow().status == State::Paused)
        };
        self.host().until("paused", all_paused).await;
    }

    /// Nothing moves while it is paused, also over a restart.
    pub(crate) async fn stays_paused(&self) {
        self.is_paused().await;
        let entry = self.host().entry();
        let seen = self.host().contents(&entry.live).unwrap_or_default();
        assert_eq!(seen, *self.live.contents());
        let refused = self.host().command(Command::Rebuild { from: None }).await;
        assert!(refused.is_err(), "{NAME} is paused");
    }

    pub(crate) async fn resume(&mut self) {
        self.stays_paused().await;
        self.said("resume");
        self.host().command(Command::Resume).await.unwrap();
        self.paused = false;
    }

    pub(crate) async fn end(mut self) {
        self.host.take().expect("it runs").stop().await;
    }
}

fn settings(random: &mut StdRng) -> Settings {
    let strategies = [
        OnPoison::Hold,
        OnPoison::Hold,
        OnPoison::Skip,
        OnPoison::Fail,
    ];
    Settings {
        strategies: [(); 2].map(|()| *strategies.choose(random).unwrap()),
        batch_events: random.random_range(1..30),
        commit_events: random.random_range(1..40),
        batches_per_instance: random.random_range(0..4),
        cache_mib: random.random_range(0..2),
    }
}
