//! Random operations against a plain map: whatever the order of writes, commits, rollbacks and crashes,
//! both must say the same.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Put(Row),
    Delete(Key),
    Get(Key),
    Find(Value, usize),
    /// The changes go into the open transaction.
    Write,
    Commit,
    Rollback,
    /// Drop the writer and open again.
    Crash,
}

/// Few keys, so that they meet again; few notes, so that `find` finds several.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = || (0..40u8).prop_map(|i| format!("order {i}"));
    let note = || prop_oneof![1 => Just(Value::Null), 4 => (0..4u8).prop_map(|i| text(&"n".repeat(usize::from(i))))];
    let row = (id(), note(), any::<bool>(), any::<i64>());
    let row = row.prop_map(|(id, note, flag, count)| {
        order(&id, note, Value::Boolean(flag), Value::Integer(count))
    });
    let key = || id().prop_map(|id| vec![text(&id)]);
    let step = prop_oneof![
        30 => row.prop_map(Step::Put),
        10 => key().prop_map(Step::Delete),
        30 => key().prop_map(Step::Get),
        10 => (note(), 0..12usize).prop_map(|(note, limit)| Step::Find(note, limit)),
        10 => Just(Step::Write),
        8 => Just(Step::Commit),
        3 => Just(Step::Rollback),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..400)
}

/// A writer beside the map that it must agree with.
struct Run<M: ReadModel> {
    read_model: M,
    store: Option<M::Store>,
    cache_bytes: usize,
    changes: Changes,
    committed: (Sequence, BTreeMap<Key, Row>),
    current: BTreeMap<Key, Row>,
}

impl<M: ReadModel> Run<M> {
    fn new(cache_bytes: usize) -> Self {
        let read_model = M::create(&definition());
        Self {
            store: Some(read_model.open(cache_bytes)),
            read_model,
            cache_bytes,
            changes: Changes::new(definition().tables.len()),
            committed: (0, BTreeMap::new()),
            current: BTreeMap::new(),
        }
    }

    fn store(&mut self) -> &mut M::Store {
        self.store.as_mut().unwrap()
    }

    fn write(&mut self) {
        let store = self.store.as_mut().unwrap();
        store.write(&mut self.changes).unwrap();
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put(row) => {
                let key = row[..1].to_vec();
                self.current.insert(key.clone(), row.clone());
                self.changes.insert(ORDER, key, Change::Put(row));
            }
            Step::Delete(key) => {
                self.current.remove(&key);
                self.changes.insert(ORDER, key, Change::Delete);
            }
            Step::Get(key) => self.get(&key),
            Step::Find(note, limit) => self.find(note, limit),
            Step::Write => self.write(),
            Step::Commit => self.commit(),
            Step::Rollback => {
                self.forget();
                self.store().rollback().unwrap();
            }
            Step::Crash => self.crash(),
        }
    }

    /// As the host does it: what is pending in memory first, then the store.
    fn get(&mut self, key: &Key) {
        let found = match self.changes.get(ORDER, key) {
            Some(change) => change.row().cloned(),
            None => self.store().get(ORDER, key).unwrap(),
        };
        assert_eq!(found.as_ref(), self.current.get(key), "{key:?}");
    }

    fn find(&mut self, note: Value, limit: usize) {
        self.write();
        let matches = self.current.values().filter(|row| row[4] == note);
        let expected: Vec<_> = matches.take(limit).cloned().collect();
        let found = self.store().find(ORDER, BY_TEXT, &[note], limit).unwrap();
        assert_eq!(found, expected);
    }

    fn commit(&mut self) {
        self.write();
        let epoch = self.store().checkpoint().map_or(1, |at| at.epoch);
        self.committed = (self.committed.0 + 1, self.current.clone());
        let next = at(self.committed.0, epoch);
        self.store().commit(&next).unwrap();
    }

    fn forget(&mut self) {
        self.changes.clear();
        self.current = self.committed.1.clone();
    }

    fn crash(&mut self) {
        self.forget();
        drop(self.store.take());
        let store = self.read_model.open(self.cache_bytes);
        let sequence = store.checkpoint().map_or(0, |at| at.sequence);
        assert_eq!(sequence, self.committed.0);
        self.store = Some(store);
    }

    fn check_everything(&mut self) {
        for i in 0..40 {
            self.get(&vec![text(&format!("order {i}"))]);
        }
        for i in 0..4 {
            self.find(text(&"n".repeat(i)), usize::MAX);
        }
        self.find(Value::Null, usize::MAX);
    }
}

fn agrees<M: ReadModel>(cache_bytes: usize) {
    let config = ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let run = |steps: Vec<Step>| {
        let mut run = Run::<M>::new(cache_bytes);
        steps.into_iter().for_each(|step| run.step(step));
        run.check_everything();
        run.crash();
        run.check_everything();
        Ok(())
    };
    TestRunner::new(config).run(&steps(), run).unwrap();
}

pub(in crate::store) fn random_operations_agree_with_a_plain_map<M: ReadModel>() {
    agrees::<M>(ROOMY);
}

/// Room for about five rows: most of them are dropped again and again.
pub(in crate::store) fn random_operations_agree_with_a_plain_map_when_the_cache_is_tiny<
    M: ReadModel,
>() {
    agrees::<M>(2_500);
}
