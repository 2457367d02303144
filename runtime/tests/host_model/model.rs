//! The plain model: what a generation must hold after each event of the stream.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use foldline::projection::poison::OnPoison;
use foldline::projection::requests::Action;

/// One of the two modules: `scribe`, and `scribe-mended` with fewer events that fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Module {
    Broken,
    Mended,
}

impl Module {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Broken => Self::Mended,
            Self::Mended => Self::Broken,
        }
    }

    fn fails_on(self, payload: &str) -> bool {
        match self {
            Self::Broken => payload != "fine",
            Self::Mended => payload == "hopeless",
        }
    }
}

/// One published event. Its sequence is its place in the history, counted from 1.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) key: String,
    pub(crate) payload: &'static str,
}

/// Everything that was published.
pub(crate) type History = Vec<Published>;

/// A row, as the guests write it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Note {
    pub(crate) events: i64,
    pub(crate) last_sequence: i64,
    pub(crate) trail: i64,
}

/// What a read model holds: this is what is compared with the product.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Contents {
    pub(crate) sequence: u64,
    pub(crate) rows: BTreeMap<String, Note>,
    pub(crate) held: BTreeMap<String, VecDeque<u64>>,
    /// Dead letters, and whether their key is held.
    pub(crate) letters: BTreeMap<u64, bool>,
}

/// The same, with what is needed to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Model {
    pub(crate) contents: Contents,
    /// The module that failed last on each dead letter.
    tried: BTreeMap<u64, Module>,
}

impl Model {
    /// The next event; false when the projection stops at it instead.
    fn event(&mut self, history: &History, module: Module, strategy: OnPoison) -> bool {
        let sequence = self.contents.sequence + 1;
        let event = &history[sequence as usize - 1];
        let fails = module.fails_on(event.payload);
        if let Some(held) = self.contents.held.get_mut(&event.key) {
            held.push_back(sequence);
        } else if !fails {
            self.apply(&event.key, sequence);
        } else if strategy == OnPoison::Fail {
            return false;
        } else {
            if strategy == OnPoison::Hold {
                let held = [sequence].into();
                self.contents.held.insert(event.key.clone(), held);
            }
            self.letter(sequence, strategy == OnPoison::Hold, module);
        }
        self.contents.sequence = sequence;
        true
    }

    fn apply(&mut self, key: &str, sequence: u64) {
        let note = self.contents.rows.entry(key.to_owned()).or_default();
        let sequence = sequence.cast_signed();
        *note = Note {
            events: note.events + 1,
            last_sequence: sequence,
            trail: (note.trail * 31 + sequence) % 1_000_000_007,
        };
    }

    fn letter(&mut self, sequence: u64, held: bool, module: Module) {
        self.contents.letters.insert(sequence, held);
        self.tried.insert(sequence, module);
    }

    fn settled(&mut self, sequence: u64) {
        self.contents.letters.remove(&sequence);
        self.tried.remove(&sequence);
    }

    /// Another module was taken up.
    pub(crate) fn reloaded(&mut self, history: &History, module: Module) {
        let keys: Vec<_> = self.contents.held.keys().cloned().collect();
        for key in keys {
            if self.tried[&self.contents.held[&key][0]] != module {
                self.drain(history, module, &key);
            }
        }
    }

    fn drain(&mut self, history: &History, module: Module, key: &str) {
        while let Some(sequence) = self.contents.held.get(key).and_then(|held| held.front().copied()) {
            if module.fails_on(history[sequence as usize - 1].payload) {
                return self.letter(sequence, true, module);
            }
            self.settled(sequence);
            self.apply(key, sequence);
            self.contents.held.get_mut(key).unwrap().pop_front();
        }
        self.contents.held.remove(key);
    }

    /// An operator retries or discards a dead letter.
    pub(crate) fn settle(&mut self, history: &History, module: Module, sequence: u64, action: Action) {
        let held = self.contents.letters[&sequence];
        let event = &history[sequence as usize - 1];
        match (action, held) {
            (Action::Discard, true) => {
                self.settled(sequence);
                self.contents.held.get_mut(&event.key).unwrap().pop_front();
                self.drain(history, module, &event.key);
            }
            (Action::Discard, false) => self.settled(sequence),
            (Action::Retry, true) => self.drain(history, module, &event.key),
            (Action::Retry, false) if module.fails_on(event.payload) => self.letter(sequence, false, module),
            (Action::Retry, false) => {
                self.settled(sequence);
                self.apply(&event.key, sequence);
            }
        }
    }
}

/// One way in which a generation may have come here: where the host took another module up cannot be told from
/// outside, so there are several until one is seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    module: Module,
    /// After each event since the last time it was at rest.
    models: Vec<Model>,
}

impl Way {
    fn last(&self) -> &Model {
        self.models.last().unwrap()
    }

    fn go_on(&mut self, history: &History, strategy: OnPoison) {
        while self.last().contents.sequence < history.len() as u64 {
            let mut next = self.last().clone();
            if !next.event(history, self.module, strategy) {
                return;
            }
            self.models.push(next);
        }
    }
}

/// One generation.
#[derive(Debug, Clone)]
pub(crate) struct Generation {
    pub(crate) number: u32,
    at_rest: Model,
    /// The module that it runs, or will when it comes to it.
    pub(crate) module: Module,
    /// The one that it ran when it was last at rest.
    before: Module,
}

impl Generation {
    pub(crate) fn new(number: u32, module: Module) -> Self {
        Self {
            number,
            at_rest: Model::default(),
            module,
            before: module,
        }
    }

    /// Whether another module was given to it since it was last at rest.
    pub(crate) fn is_reloading(&self) -> bool {
        self.module != self.before
    }

    pub(crate) fn model(&self) -> &Model {
        &self.at_rest
    }

    fn ways(&self, history: &History, strategy: OnPoison) -> Vec<Way> {
        let mut old = Way {
            module: self.before,
            models: vec![self.at_rest.clone()],
        };
        if !self.is_reloading() {
            old.go_on(history, strategy);
            return vec![old];
        }
        old.go_on(history, strategy);
        let reloaded = |model: &Model| {
            let mut model = model.clone();
            model.reloaded(history, self.module);
            let mut way = Way {
                module: self.module,
                models: vec![model],
            };
            way.go_on(history, strategy);
            way
        };
        old.models.iter().map(reloaded).collect()
    }

    /// What it may hold when it has come as far as it can.
    pub(crate) fn ends(&self, history: &History, strategy: OnPoison) -> BTreeSet<Contents> {
        let ways = self.ways(history, strategy);
        ways.iter().map(|way| way.last().contents.clone()).collect()
    }

    /// What it may hold on its way there, if it is not reloading.
    pub(crate) fn passes(&self, history: &History, strategy: OnPoison) -> Vec<Contents> {
        assert!(!self.is_reloading());
        let mut ways = self.ways(history, strategy);
        let way = ways.remove(0);
        way.models.into_iter().map(|model| model.contents).collect()
    }

    /// It was seen at rest with these contents.
    pub(crate) fn rests(&mut self, history: &History, strategy: OnPoison, seen: &Contents) {
        let ways = self.ways(history, strategy);
        let way = ways.into_iter().rev().find(|way| way.last().contents == *seen);
        self.at_rest = way.expect("it was compared before").last().clone();
        self.before = self.module;
    }

    /// It was stopped on its way, at this place.
    pub(crate) fn stands(&mut self, history: &History, strategy: OnPoison, sequence: u64) {
        let mut ways = self.ways(history, strategy);
        let mut models = ways.remove(0).models.into_iter();
        let at = models.find(|model| model.contents.sequence == sequence);
        self.at_rest = at.expect("it was compared before");
    }

    /// While it rests.
    pub(crate) fn settle(&mut self, history: &History, sequence: u64, action: Action) {
        self.at_rest.settle(history, self.module, sequence, action);
    }
}
