//! Commits in the background. That all orders of steps agree with a plain map is part of the stores'
//! conformance suite.

use std::sync::mpsc;

use super::*;
use crate::changes::Changes;
use crate::definition::{Column, ColumnType, EventKey};
use crate::store::memory::{MemoryReadModel, MemoryStore};

fn definition() -> Definition {
    Definition {
        name: "test".into(),
        version: 1,
        subjects: vec![">".into()],
        key: EventKey::None,
        tables: vec![Table {
            name: "notes".into(),
            columns: vec![Column {
                name: "id".into(),
                ty: ColumnType::Integer,
                nullable: false,
            }],
            key: vec![0],
            indexes: vec![],
        }],
    }
}

fn note(id: i64) -> Packed {
    Packed::from([Value::Integer(id)])
}

fn at(sequence: u64) -> Checkpoint {
    Checkpoint {
        stream: "S".into(),
        sequence,
        anchor: 0,
        epoch: 1,
    }
}

/// A store whose commits wait for a word each, and fail when there is none to come.
struct Gated {
    store: MemoryStore,
    gate: mpsc::Receiver<()>,
}

impl ReadModelStore for Gated {
    fn checkpoint(&self) -> Option<&Checkpoint> {
        self.store.checkpoint()
    }
    fn is_empty(&mut self, table: usize) -> Result<bool, StoreError> {
        self.store.is_empty(table)
    }
    fn get(&mut self, table: usize, key: &[Value]) -> Result<Option<Row>, StoreError> {
        self.store.get(table, key)
    }
    fn find(
        &mut self,
        table: usize,
        index: usize,
        key: &[Value],
        limit: FindLimit,
    ) -> Result<Vec<Row>, StoreError> {
        self.store.find(table, index, key, limit)
    }
    fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.store.write(changes)
    }
    fn write_dead_letters(&mut self, changes: &[DeadLetterChange]) -> Result<(), StoreError> {
        self.store.write_dead_letters(changes)
    }
    fn set_aside(&mut self) -> Result<SetAside, StoreError> {
        self.store.set_aside()
    }
    fn held_events(
        &mut self,
        key: Option<&[u8]>,
        limit: usize,
        bytes: u64,
    ) -> Result<Vec<Event>, StoreError> {
        self.store.held_events(key, limit, bytes)
    }
    fn dead_letter(&mut self, sequence: Sequence) -> Result<Option<DeadLetter>, StoreError> {
        self.store.dead_letter(sequence)
    }
    fn build_indexes(&mut self) -> Result<(), StoreError> {
        self.store.build_indexes()
    }
    fn commit(&mut self, next: &Checkpoint) -> Result<(), StoreError> {
        self.gate.recv().map_err(|_| StoreError::RollBackFirst)?;
        self.store.commit(next)
    }
    fn rollback(&mut self) -> Result<(), StoreError> {
        self.store.rollback()
    }
}

fn gated() -> (MemoryReadModel, mpsc::Sender<()>, Session) {
    let definition = definition();
    let read_model = MemoryReadModel::new(&definition);
    let store = MemoryStore::open(&read_model);
    let (open, gate) = mpsc::channel();
    let store = Box::new(Gated { store, gate });
    let session = Session::new(store, Arc::new(definition), 1 << 20).unwrap();
    (read_model, open, session)
}

#[test]
fn folding_goes_on_while_a_commit_is_on_its_way() {
    let (read_model, open, mut session) = gated();
    let (done, landed) = mpsc::channel();
    session.put(0, &note(1));
    session
        .commit_in_background(at(1), move || done.send(()).unwrap())
        .unwrap();
    session.put(0, &note(2));
    assert!(session.get(0, &note(1)).unwrap().is_some());
    assert!(landed.try_recv().is_err());
    assert_eq!(read_model.checkpoint(), None);
    open.send(()).unwrap();
    landed.recv().unwrap();
    assert_eq!(read_model.rows(0), [[Value::Integer(1)]]);
    open.send(()).unwrap();
    session.commit(&at(2)).unwrap();
    assert_eq!(read_model.rows(0).len(), 2);
    assert_eq!(read_model.checkpoint(), Some(at(2)));
}

#[test]
fn a_commit_that_fails_in_the_background_is_told_to_whatever_needs_the_store_next() {
    let (read_model, open, mut session) = gated();
    drop(open);
    session.put(0, &note(1));
    session
        .commit_in_background(at(1), || panic!("it failed"))
        .unwrap();
    assert!(matches!(
        session.commit(&at(2)),
        Err(StoreError::RollBackFirst)
    ));
    assert!(matches!(session.commit(&at(2)), Err(StoreError::Gone)));
    assert_eq!(read_model.checkpoint(), None);
}

#[test]
fn a_session_ends_after_its_commit() {
    let (read_model, open, mut session) = gated();
    session.commit_in_background(at(1), || {}).unwrap();
    open.send(()).unwrap();
    drop(session);
    assert_eq!(read_model.checkpoint(), Some(at(1)));
}
