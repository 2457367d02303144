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
    /// What was given up, here or in another read model of the projection.
    discarded: BTreeSet<u64>,
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
        } else if self.discarded.contains(&sequence) {
            // It is passed over.
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
        while let Some(sequence) = self
            .contents
            .held
            .get(key)
            .and_then(|held| held.front().copied())
        {
            let fails = module.fails_on(history[sequence as usize - 1].payload);
            let is_known = self.contents.letters.contains_key(&sequence);
            let discarded = !is_known && self.discarded.contains(&sequence);
            if fails && !discarded {
                return self.letter(sequence, true, module);
            }
            self.settled(sequence);
            if !fails {
                self.apply(key, sequence);
            }
            self.contents.held.get_mut(key).unwrap().pop_front();
        }
        self.contents.held.remove(key);
    }

    /// An operator retries or discards a dead letter.
    pub(crate) fn settle(
        &mut self,
        history: &History,
        module: Module,
        sequence: u64,
        action: Action,
    ) {
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
            (Action::Retry, false) if module.fails_on(event.payload) => {
                self.letter(sequence, false, module);
            }
            (Action::Retry, false) => {
                self.settled(sequence);
                self.apply(&event.key, sequence);
            }
        }
    }
}

/// What a generation goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) module: Module,
    pub(crate) strategy: OnPoison,
}

/// One way in which a generation may have come here. Where the host took up other rules cannot be told from outside, so
/// there are several until one is seen.
#[derive(Debug, Clone)]
struct Way {
    rules: Rules,
    /// After each event since the last time it was at rest.
    models: Vec<Model>,
}

impl Way {
    /// From here to where the rules let it come.
    fn from(model: Model, rules: Rules, history: &History) -> Self {
        let models = vec![model];
        let mut way = Self { rules, models };
        while way.last().contents.sequence < history.len() as u64 {
            let mut next = way.last().clone();
            if !next.event(history, way.rules.module, way.rules.strategy) {
                break;
            }
            way.models.push(next);
        }
        way
    }

    fn last(&self) -> &Model {
        self.models.last().expect("the first one is always there")
    }
}

/// One generation.
#[derive(Debug, Clone)]
pub(crate) struct Generation {
    pub(crate) number: u32,
    at_rest: Model,
    /// What it goes by, or will when it comes to it.
    pub(crate) rules: Rules,
    /// The same when it was last at rest.
    before: Rules,
    /// The first event behind which it may go by the new ones.
    change_at: u64,
}

impl Generation {
    pub(crate) fn new(number: u32, rules: Rules, discarded: &BTreeSet<u64>) -> Self {
        Self {
            number,
            at_rest: Model {
                discarded: discarded.clone(),
                ..Model::default()
            },
            rules,
            before: rules,
            change_at: 0,
        }
    }

    /// It goes by other rules, from some place on that is not before this one.
    pub(crate) fn changes(&mut self, rules: Rules, from: u64) {
        (self.rules, self.change_at) = (rules, from);
    }

    /// Whether it was given other rules since it was last at rest.
    pub(crate) fn is_changing(&self) -> bool {
        self.rules != self.before
    }

    pub(crate) fn contents(&self) -> &Contents {
        &self.at_rest.contents
    }

    fn ways(&self, history: &History) -> Vec<Way> {
        let old = Way::from(self.at_rest.clone(), self.before, history);
        if !self.is_changing() {
            return vec![old];
        }
        let changed = |model: &Model| {
            let mut model = model.clone();
            model.reloaded(history, self.rules.module);
            Way::from(model, self.rules, history)
        };
        let models = old.models.iter();
        let models = models.filter(|model| model.contents.sequence >= self.change_at);
        models.map(changed).collect()
    }

    /// What it may hold when it has come as far as it can.
    pub(crate) fn ends(&self, history: &History) -> BTreeSet<Contents> {
        let ways = self.ways(history);
        ways.iter().map(|way| way.last().contents.clone()).collect()
    }

    /// What it may hold on its way there, while it goes by the same rules.
    pub(crate) fn passes(&self, history: &History) -> Vec<Contents> {
        assert!(!self.is_changing());
        let way = self.ways(history).remove(0);
        way.models.into_iter().map(|model| model.contents).collect()
    }

    /// It was seen at rest with these contents.
    pub(crate) fn rests(&mut self, history: &History, seen: &Contents) {
        let ways = self.ways(history);
        let way = ways.iter().rev().find(|way| way.last().contents == *seen);
        self.at_rest = way.expect("it was compared before").last().clone();
        self.before = self.rules;
    }

    /// It was stopped on its way, at this place.
    pub(crate) fn stands(&mut self, history: &History, sequence: u64) {
        let mut models = self.ways(history).remove(0).models.into_iter();
        let at = models.find(|model| model.contents.sequence == sequence);
        self.at_rest = at.expect("it was compared before");
    }

    /// An event was given up, in this read model or another one: it goes on, if that is where it has stopped.
    pub(crate) fn discarded(&mut self, sequence: u64) {
        self.at_rest.discarded.insert(sequence);
    }

    /// While it rests.
    pub(crate) fn settle(&mut self, history: &History, sequence: u64, action: Action) {
        let module = self.rules.module;
        self.at_rest.settle(history, module, sequence, action);
    }
}
