//! Random operations against a plain map: whatever the order of calls, failed calls, commits in front or in
//! the background, and crashes, both must say the same. The store is used as the host uses it: by a session.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::session::Session;
use crate::value::{Packed, fields};

#[derive(Debug, Clone)]
enum Step {
    Put(Row),
    Delete(Key),
    Get(Key),
    Find(Value, usize),
    /// The call ends well, and another one begins.
    NextCall,
    /// The call fails: what it asked for is undone.
    FailedCall,
    /// Ends the call, too.
    Commit {
        background: bool,
    },
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
        10 => Just(Step::NextCall),
        4 => Just(Step::FailedCall),
        8 => any::<bool>().prop_map(|background| Step::Commit { background }),
        1 => Just(Step::Crash),
    ];
    prop::collection::vec(step, 1..400)
}

type Rows = BTreeMap<Key, Row>;

/// A session beside the map that it must agree with.
struct Run<M: ReadModel> {
    read_model: M,
    session: Option<Session>,
    cache_bytes: usize,
    epoch: u64,
    committed: (Sequence, Rows),
    /// As it was when the current call began.
    before_call: Rows,
    current: Rows,
}

impl<M: ReadModel<Store: 'static>> Run<M> {
    fn new(cache_bytes: usize) -> Self {
        let mut run = Self {
            session: None,
            read_model: M::create(&definition()),
            cache_bytes,
            epoch: 1,
            committed: (0, Rows::new()),
            before_call: Rows::new(),
            current: Rows::new(),
        };
        run.open();
        run
    }

    fn open(&mut self) {
        let store = self.read_model.open();
        self.epoch = store.checkpoint().map_or(1, |at| at.epoch);
        let sequence = store.checkpoint().map_or(0, |at| at.sequence);
        assert_eq!(sequence, self.committed.0);
        let session = Session::new(Box::new(store), Arc::new(definition()), self.cache_bytes);
        self.session = Some(session.unwrap());
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().unwrap()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Put(row) => {
                self.current.insert(row[..1].to_vec(), row.clone());
                self.session().put(ORDER, &Packed::from(row));
            }
            Step::Delete(key) => {
                self.current.remove(&key);
                self.session().delete(ORDER, &Packed::from(key));
            }
            Step::Get(key) => self.get(&key),
            Step::Find(note, limit) => self.find(note, limit),
            Step::NextCall => self.next_call(),
            Step::FailedCall => {
                self.session().undo_call().unwrap();
                self.current = self.before_call.clone();
                self.next_call();
            }
            Step::Commit { background } => self.commit(background),
            Step::Crash => self.crash(),
        }
    }

    fn next_call(&mut self) {
        self.before_call = self.current.clone();
        self.session().begin_call();
    }

    fn get(&mut self, key: &Key) {
        let found = self.session().get(ORDER, &Packed::from(key)).unwrap();
        let found = found.map(|row| fields(row).map(Value::from).collect());
        assert_eq!(found.as_ref(), self.current.get(key), "{key:?}");
    }

    fn find(&mut self, note: Value, limit: usize) {
        let matches = self.current.values().filter(|row| row[4] == note);
        let expected: Vec<_> = matches.take(limit).cloned().collect();
        let found = self
            .session()
            .find(ORDER, BY_TEXT, &[note], FindLimit::rows(limit))
            .unwrap();
        assert_eq!(found, expected);
    }

    fn commit(&mut self, background: bool) {
        self.committed = (self.committed.0 + 1, self.current.clone());
        let next = at(self.committed.0, self.epoch);
        if background {
            self.session().commit_in_background(next, || {}).unwrap();
        } else {
            self.session().commit(&next).unwrap();
        }
        self.next_call();
    }

    fn crash(&mut self) {
        drop(self.session.take());
        self.current = self.committed.1.clone();
        self.open();
        self.next_call();
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

fn agrees<M: ReadModel<Store: 'static>>(cache_bytes: usize) {
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

pub(in crate::store) fn random_operations_agree_with_a_plain_map<M: ReadModel<Store: 'static>>() {
    agrees::<M>(64 * 1024 * 1024);
}

/// Room for about five rows: most of them are dropped again and again.
pub(in crate::store) fn random_operations_agree_with_a_plain_map_when_few_rows_are_kept<
    M: ReadModel<Store: 'static>,
>() {
    agrees::<M>(3_000);
}
