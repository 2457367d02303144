//! Poison events against a plain model: whatever fails, whenever the host crashes, reloads, retries and discards, each
//! event is applied once and in the order of its key, or was given up by name.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "this is test code: a panic is how a test fails"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use foldline::batch::Batch;
use foldline::config::{Limits, Store};
use foldline::event::Event;
use foldline::guest::{Engine, GuestModule};
use foldline::projection::poison::{OnPoison, PoisonLimits, PoisonPolicy};
use foldline::projection::progress::Progress;
use foldline::projection::recovery::{CommitLimits, Failure, Fold, Rules};
use foldline::projection::requests::{Action, Requests};
use foldline::session::Session;
use foldline::store::memory::{MemoryReadModel, MemoryStore};
use foldline::store::{Checkpoint, ReadModelStore as _};
use foldline_tests::guests::module;
use foldline_tests::{cases, seed};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use rand::{RngExt as _, SeedableRng};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

mod model;

use model::{Model, Module, payload_of};

const CASES: u64 = 60;
const EVENTS: u64 = 120;
const KEYS: u32 = 4;

/// What an event does to the guests `scribe` and `scribe-mended`.
const PAYLOADS: [&str; 4] = ["fine", "reject", "panic", "hopeless"];

/// The loop of a projection in the hands of a test, beside its model.
struct Run {
    random: StdRng,
    history: Vec<Event>,
    modules: [GuestModule; 2],
    running: Module,
    read_model: MemoryReadModel,
    status: watch::Sender<foldline::projection::Status>,
    fold: Option<Fold>,
    model: Model,
    /// The model at each sequence that may be a checkpoint.
    models: BTreeMap<u64, Model>,
}

impl Run {
    fn new(seed: u64, modules: &[GuestModule; 2]) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let poison = random.random_range(0.0..0.3);
        let history = (1..=EVENTS).map(|sequence| event(&mut random, sequence, poison));
        let history: Vec<_> = history.collect();
        let mut run = Self {
            read_model: MemoryReadModel::new(&modules[0].definition),
            modules: modules.clone(),
            running: Module::Broken,
            status: watch::Sender::new(first_status()),
            fold: None,
            model: Model::default(),
            models: [(0, Model::default())].into(),
            history,
            random,
        };
        run.start();
        run
    }

    fn module(&self) -> GuestModule {
        self.modules[self.running as usize].clone()
    }

    fn start(&mut self) {
        let module = self.module();
        let store = MemoryStore::open(&self.read_model);
        let first = Checkpoint {
            stream: "S".into(),
            sequence: 0,
            anchor: 0,
            epoch: 1,
        };
        let checkpoint = store.checkpoint().cloned().unwrap_or(first);
        let definition = Arc::clone(&module.definition);
        let cache = Store::default().cache_bytes();
        let session = Session::new(Box::new(store), definition, cache).unwrap();
        let fold = Fold::start(
            module,
            session,
            checkpoint,
            rules(OnPoison::Hold, LIMITS),
            Progress::new(self.status.clone()),
            CancellationToken::new(),
        );
        self.fold = Some(fold.and_then(Fold::drain_due).unwrap());
        self.model.drain_due(&self.history, self.running);
        self.remember();
    }

    /// Everything is committed, or will be at its place.
    fn remember(&mut self) {
        let sequence = self.fold.as_ref().unwrap().sequence();
        self.models.insert(sequence, self.model.clone());
    }

    fn step(&mut self) {
        match self.random.random_range(0..10) {
            0 => self.crash(),
            1 => self.reload(),
            2 => self.settle(Action::Retry),
            3 => self.settle(Action::Discard),
            _ => self.apply(),
        }
        self.check();
    }

    fn apply(&mut self) {
        let fold = self.fold.take().unwrap();
        let from = fold.sequence();
        let to = EVENTS.min(from + self.random.random_range(1..20));
        let events = self.history[from as usize..to as usize].iter().cloned();
        if events.len() == 0 {
            self.fold = Some(fold);
            return;
        }
        let batch: Batch = events.collect();
        let more_wait = self.random.random_bool(0.5);
        self.fold = Some(fold.apply(&batch, more_wait).unwrap());
        for sequence in from + 1..=to {
            // Any part of a batch that fails may be committed alone.
            self.model.event(&self.history, self.running, sequence);
            self.models.insert(sequence, self.model.clone());
        }
    }

    /// What is not committed is gone.
    fn crash(&mut self) {
        self.fold = None;
        let sequence = self.read_model.checkpoint().map_or(0, |at| at.sequence);
        self.model = self.models[&sequence].clone();
        self.start();
    }

    fn reload(&mut self) {
        self.running = match self.running {
            Module::Broken => Module::Mended,
            Module::Mended => Module::Broken,
        };
        let fold = self.fold.take().unwrap().reload(self.module()).unwrap();
        self.fold = Some(fold.drain_due().unwrap());
        self.model.drain_due(&self.history, self.running);
        self.remember();
    }

    fn settle(&mut self, action: Action) {
        let letters = self.model.letters.keys().copied();
        let Some(sequence) = letters.choose(&mut self.random) else {
            return;
        };
        self.ask(sequence, action).unwrap();
        self.model
            .settle(&self.history, self.running, sequence, action);
        self.remember();
        if action == Action::Discard && !self.model.letters.contains_key(&sequence) {
            assert!(
                self.ask(sequence, action).is_err(),
                "it was discarded already"
            );
        }
    }

    fn ask(&mut self, sequence: u64, action: Action) -> Result<(), String> {
        let requests = Requests::default();
        let mut answer = requests.ask(sequence, action);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let request = runtime.block_on(requests.next());
        self.fold = Some(self.fold.take().unwrap().answer(request).unwrap());
        let answer = answer.try_recv().unwrap();
        answer.map(drop).map_err(|refused| format!("{refused:?}"))
    }

    fn check(&self) {
        let sequence = self.read_model.checkpoint().map_or(0, |at| at.sequence);
        let committed = &self.models[&sequence];
        let status = self.status.borrow();
        // Commits in the background may come in between.
        if self.fold.as_ref().unwrap().sequence() != sequence {
            return;
        }
        assert_eq!(self.read_model.rows(0), committed.rows());
        let counts = (committed.letters.len() as u64, committed.held.len() as u64);
        assert_eq!((status.dead_letters, status.held_keys), counts);
    }

    /// Gives every event up that no module can apply.
    fn finish(&mut self) -> BTreeSet<u64> {
        while self.fold.as_ref().unwrap().sequence() < EVENTS {
            self.apply();
        }
        self.fold.as_mut().unwrap().commit().unwrap();
        if self.running == Module::Broken {
            self.reload();
        }
        let mut given_up = BTreeSet::new();
        while let Some(&sequence) = self.model.letters.keys().next() {
            assert_eq!(payload_of(&self.history, sequence), "hopeless");
            self.ask(sequence, Action::Discard).unwrap();
            self.model
                .settle(&self.history, self.running, sequence, Action::Discard);
            given_up.insert(sequence);
            self.remember();
            self.check();
        }
        given_up
    }
}

fn event(random: &mut StdRng, sequence: u64, poison: f64) -> Event {
    let payload = match random.random_bool(poison) {
        true => PAYLOADS[random.random_range(1..PAYLOADS.len())],
        false => PAYLOADS[0],
    };
    Event {
        sequence,
        time: sequence.cast_signed(),
        subject: format!("orders.k{}.Noted", random.random_range(0..KEYS)),
        headers: Default::default(),
        payload: payload.into(),
    }
}

const LIMITS: PoisonLimits = PoisonLimits {
    dead_letters: 100,
    dead_letter_bytes: 4,
    held_events: 1_000,
    held_bytes: 1 << 20,
};

fn rules(on_poison: OnPoison, limits: PoisonLimits) -> Rules {
    Rules {
        guest: Limits::default().guest(),
        commits: CommitLimits {
            events: 30,
            bytes: 1 << 20,
            time: Duration::from_secs(60),
        },
        poison: PoisonPolicy::new(on_poison, OnPoison::Fail, false, limits),
    }
}

fn first_status() -> foldline::projection::Status {
    serde_json::from_value(serde_json::json!({
        "name": "scribe", "version": 1, "digest": "", "file": "", "status": "starting", "stream": null,
        "checkpoint": 0, "last_sequence": 0, "lag": 0, "events_per_second": 0.0, "reloads": 0,
        "generations": [], "tables": [], "dead_letters": 0, "held_keys": 0, "last_error": null,
    }))
    .unwrap()
}

fn modules() -> [GuestModule; 2] {
    let engine = Engine::uncached().unwrap();
    ["scribe", "scribe-mended"].map(|name| {
        GuestModule::from_bytes(&engine, &module(name), Limits::default().guest()).unwrap()
    })
}

#[test]
fn whatever_fails_each_event_is_applied_once_and_in_order_or_given_up() {
    let (seed, modules) = (seed(), modules());
    for case in 0..cases(CASES) {
        let mut run = Run::new(seed.wrapping_add(case), &modules);
        for _ in 0..60 {
            run.step();
        }
        run.finish();
        assert_eq!(run.read_model.rows(0), run.model.rows());
        assert_eq!(run.status.borrow().held_keys, 0);
    }
}

#[test]
fn at_a_limit_the_projection_stops_by_name_and_nothing_is_lost() {
    let modules = modules();
    let run = Run::new(1, &modules);
    let events = |payloads: &[&'static str]| {
        let event = |(i, payload): (usize, &&'static str)| Event {
            sequence: i as u64 + 1,
            time: 0,
            subject: format!("orders.k{}.Noted", i % 2),
            headers: Default::default(),
            payload: (*payload).into(),
        };
        payloads.iter().enumerate().map(event).collect::<Batch>()
    };
    let failure = |limits: PoisonLimits, payloads: &[&'static str]| {
        let read_model = MemoryReadModel::new(&modules[0].definition);
        let store = Box::new(MemoryStore::open(&read_model));
        let definition = Arc::clone(&modules[0].definition);
        let fold = Fold::start(
            modules[0].clone(),
            Session::new(store, definition, 1 << 20).unwrap(),
            Checkpoint {
                stream: "S".into(),
                sequence: 0,
                anchor: 0,
                epoch: 1,
            },
            rules(OnPoison::Hold, limits),
            Progress::new(run.status.clone()),
            CancellationToken::new(),
        );
        let failure = fold.unwrap().apply(&events(payloads), false).err().unwrap();
        (failure, read_model.checkpoint().map_or(0, |at| at.sequence))
    };
    let limits = PoisonLimits {
        dead_letters: 1,
        ..LIMITS
    };
    let (full, at) = failure(limits, &["reject", "panic", "fine"]);
    assert!(
        matches!(full, Failure::SetAsideFull { sequence: 2, .. }),
        "{full}"
    );
    assert_eq!(at, 1, "the first one is set aside");
    let limits = PoisonLimits {
        held_events: 2,
        ..LIMITS
    };
    let (full, at) = failure(limits, &["reject", "fine", "fine", "fine", "fine"]);
    assert!(
        matches!(full, Failure::SetAsideFull { sequence: 5, .. }),
        "{full}"
    );
    assert_eq!((full.code(), at), ("set_aside_full", 1));
}
