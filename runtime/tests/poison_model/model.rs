//! The plain model: what must be applied, held and recorded.

use std::collections::{BTreeMap, VecDeque};

use foldline::event::Event;
use foldline::projection::requests::Action;
use foldline::value::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Module {
    Broken,
    Mended,
}

pub(crate) fn fails(module: Module, payload: &str) -> bool {
    match module {
        Module::Broken => payload != "fine",
        Module::Mended => payload == "hopeless",
    }
}

/// What must be true of the committed read model.
#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    pub(crate) applied: BTreeMap<String, Vec<u64>>,
    pub(crate) held: BTreeMap<String, VecDeque<u64>>,
    /// Dead letters with the module that failed last.
    pub(crate) letters: BTreeMap<u64, Option<Module>>,
}

impl Model {
    pub(crate) fn event(&mut self, history: &[Event], module: Module, sequence: u64) {
        let key = key_of(history, sequence);
        match self.held.get_mut(&key) {
            Some(held) => held.push_back(sequence),
            None => {
                self.held.insert(key.clone(), [sequence].into());
                self.drain(history, module, &key);
            }
        }
    }

    pub(crate) fn drain(&mut self, history: &[Event], module: Module, key: &str) {
        let held = self.held.get_mut(key).unwrap();
        while let Some(&sequence) = held.front() {
            if fails(module, payload_of(history, sequence)) {
                self.letters.insert(sequence, Some(module));
                return;
            }
            held.pop_front();
            self.letters.remove(&sequence);
            self.applied.entry(key.into()).or_default().push(sequence);
        }
        self.held.remove(key);
    }

    pub(crate) fn drain_due(&mut self, history: &[Event], module: Module) {
        let keys: Vec<_> = self.held.keys().cloned().collect();
        for key in keys {
            if self.letters[&self.held[&key][0]] != Some(module) {
                self.drain(history, module, &key);
            }
        }
    }

    pub(crate) fn settle(
        &mut self,
        history: &[Event],
        module: Module,
        sequence: u64,
        action: Action,
    ) {
        let key = key_of(history, sequence);
        if action == Action::Discard {
            self.letters.remove(&sequence);
            self.held.get_mut(&key).unwrap().pop_front();
        }
        self.drain(history, module, &key);
    }

    /// Rows as the guests write them.
    pub(crate) fn rows(&self) -> Vec<Vec<Value>> {
        let row = |(key, applied): (&String, &Vec<u64>)| {
            let mut applied = applied.iter().map(|&sequence| sequence.cast_signed());
            let trail = applied
                .clone()
                .fold(0, |trail, s| (trail * 31 + s) % 1_000_000_007);
            vec![
                Value::Text(key.clone()),
                Value::Integer(applied.len() as i64),
                Value::Integer(applied.next_back().unwrap_or_default()),
                Value::Integer(trail),
            ]
        };
        self.applied.iter().map(row).collect()
    }
}

pub(crate) fn key_of(history: &[Event], sequence: u64) -> String {
    let subject = &history[sequence as usize - 1].subject;
    subject.split('.').nth(1).unwrap().to_owned()
}

pub(crate) fn payload_of(history: &[Event], sequence: u64) -> &str {
    std::str::from_utf8(&history[sequence as usize - 1].payload).unwrap()
}
