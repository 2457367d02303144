//! A writer of a read model as the host is one, with a plain model of every commit beside it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use foldline::event::Event;
use foldline::session::Session;
use foldline::store::dead_letters::{Attempt, DeadLetter, DeadLetterChange, HeldEvent};
use foldline::store::sqlite::SqliteStore;
use foldline::store::{Checkpoint, FindLimit, ReadModelStore as _};
use foldline::value::{Packed, Row, Value};
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rusqlite::Connection;

use crate::read_model::{MARKS, NOTES, State, at, definition};
use crate::recorder::{Recorder, Recording};

/// Few keys, so that rows change and go.
const KEYS: i64 = 40;

/// The session of a host, its read model under the eyes of a recorder, and the state after each commit.
pub(crate) struct Writer {
    path: PathBuf,
    random: StdRng,
    recorder: Recorder,
    session: Option<Session>,
    /// Somebody who reads, and keeps the log from starting again.
    reader: Option<Connection>,
    now: State,
    states: Vec<State>,
}

impl Writer {
    /// Makes an empty read model.
    pub(crate) fn create(path: &Path, seed: u64) -> Self {
        drop(SqliteStore::create(path, &definition(), "0123abcd").unwrap());
        Self::open(path, State::default(), seed)
    }

    /// Opens a read model that is in this state; opening it is the first thing that is recorded.
    pub(crate) fn open(path: &Path, state: State, seed: u64) -> Self {
        let mut writer = Self {
            path: path.to_owned(),
            random: StdRng::seed_from_u64(seed),
            recorder: Recorder::new(path, false),
            session: None,
            reader: None,
            now: state.clone(),
            states: vec![state],
        };
        writer.reopen();
        writer
    }

    /// The state before the recording and after each commit in it, and the recording.
    pub(crate) fn end(mut self) -> (Vec<State>, Recording) {
        self.close();
        (self.states, self.recorder.end())
    }

    /// Does something that a host does.
    pub(crate) fn step(&mut self) {
        match self.random.random_range(0..20) {
            0 => {
                self.close();
                self.reopen();
            }
            1..=3 => self.copy_log_into_database(),
            4 => self.read(),
            5..=7 => self.drain(),
            _ => self.fold(),
        }
    }

    fn reopen(&mut self) {
        let (path, definition) = (&self.path, definition());
        let store = self
            .recorder
            .commit(|| SqliteStore::open(path, &definition).unwrap());
        self.now.checkpoint = self
            .now
            .checkpoint
            .map(|(sequence, epoch)| (sequence, epoch + 1));
        self.states.push(self.now.clone());
        assert_eq!(at(store.checkpoint()), self.now.checkpoint);
        let session = Session::new(Box::new(store), Arc::new(definition), 1 << 20);
        self.session = Some(session.unwrap());
    }

    /// What must never be done: rows first, and the checkpoint in a transaction of its own.
    pub(crate) fn commit_checkpoint_apart(&mut self) {
        self.close();
        let connection = Connection::open(&self.path).unwrap();
        let id = KEYS + 1;
        self.recorder.commit(|| {
            let row = "INSERT INTO notes VALUES (?, 0, 'apart')";
            connection.execute(row, [id]).unwrap();
            let checkpoint = "UPDATE _foldline_checkpoint SET sequence = sequence + 1";
            connection.execute(checkpoint, []).unwrap();
        });
        let row = vec![
            Value::Integer(id),
            Value::Integer(0),
            Value::Text("apart".into()),
        ];
        self.now.rows[NOTES].insert(id, row);
        self.now.checkpoint = self
            .now
            .checkpoint
            .map(|(sequence, epoch)| (sequence + 1, epoch));
        self.states.push(self.now.clone());
        drop(connection);
        self.recorder.look();
    }

    /// The last one who closes a database copies its log into it and deletes it.
    fn close(&mut self) {
        self.reader = None;
        self.session = None;
        self.recorder.look();
    }

    fn copy_log_into_database(&mut self) {
        let how = ["PASSIVE", "RESTART", "TRUNCATE"][self.random.random_range(0..3)];
        let other = Connection::open(&self.path).unwrap();
        other.busy_timeout(Duration::ZERO).unwrap();
        let sql = format!("PRAGMA wal_checkpoint({how})");
        other.query_row(&sql, [], |_| Ok(())).unwrap();
        drop(other);
        self.recorder.look();
    }

    fn read(&mut self) {
        self.reader = match self.reader.take() {
            Some(_) => None,
            None => {
                let reader = Connection::open(&self.path).unwrap();
                reader
                    .execute_batch("BEGIN; SELECT count(*) FROM notes;")
                    .unwrap();
                Some(reader)
            }
        };
        self.recorder.look();
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().unwrap()
    }

    /// Some calls of the guest, and a commit.
    pub(crate) fn fold(&mut self) {
        for _ in 0..self.random.random_range(1..=3) {
            self.call();
        }
        let (sequence, epoch) = self.now.checkpoint.unwrap_or((0, 1));
        let to = sequence + self.random.random_range(1..=3);
        for sequence in sequence + 1..=to {
            if self.random.random_ratio(1, 6) {
                self.hold(sequence);
            }
        }
        self.commit((to, epoch));
    }

    fn call(&mut self) {
        let before = self.now.clone();
        self.session().begin_call();
        for _ in 0..self.random.random_range(0..6) {
            self.change();
        }
        if self.random.random_ratio(1, 4) {
            let kind = Value::Integer(self.random.random_range(0..3));
            self.session()
                .find(NOTES, 0, &[kind], FindLimit::rows(3))
                .unwrap();
        }
        if self.random.random_ratio(1, 6) {
            self.session().undo_call().unwrap();
            self.now = before;
        }
    }

    fn change(&mut self) {
        let id = self.random.random_range(0..KEYS);
        let key = Packed::from([Value::Integer(id)]);
        let table = if self.random.random_ratio(1, 5) {
            MARKS
        } else {
            NOTES
        };
        if self.random.random_ratio(1, 5) {
            self.session().delete(table, &key);
            self.now.rows[table].remove(&id);
            return;
        }
        let row = if table == MARKS {
            vec![Value::Integer(id)]
        } else {
            self.note(id)
        };
        self.session().put(table, &Packed::from(&row));
        self.now.rows[table].insert(id, row);
    }

    /// Some are longer than a page.
    fn note(&mut self, id: i64) -> Row {
        let kind = self.random.random_range(0..3);
        let length = [3, 200, 9_000][self.random.random_range(0..3)];
        let text = char::from(self.random.random_range(b'a'..=b'z')).to_string();
        vec![
            Value::Integer(id),
            Value::Integer(kind),
            Value::Text(text.repeat(length)),
        ]
    }

    /// An event is set aside, as a poison event or behind one.
    fn hold(&mut self, sequence: u64) {
        let key = Some(vec![b'k', self.random.random_range(0..3)]);
        let behind = self.now.held.values().any(|held| held.key == key);
        let event = Event {
            sequence,
            time: sequence.cast_signed() * 10,
            subject: format!("orders.k.{sequence}"),
            headers: "A: b\r\n".into(),
            payload: vec![b'x'; self.random.random_range(0..3_000)].into(),
        };
        if !behind {
            let letter = letter(&event, key.clone());
            self.now.letters.insert(sequence, letter.clone());
            self.session()
                .set_aside(DeadLetterChange::Record(Box::new(letter)));
        }
        let held = HeldEvent { key, event };
        self.now.held.insert(sequence, held.clone());
        self.session().set_aside(DeadLetterChange::Hold(held));
    }

    /// The events of a held key are applied after all: other rows at the same sequence.
    fn drain(&mut self) {
        let letters = self.now.letters.keys().copied();
        let (Some(letter), Some((sequence, epoch))) =
            (letters.choose(&mut self.random), self.now.checkpoint)
        else {
            return;
        };
        let key = self.now.letters.remove(&letter).unwrap().key;
        self.session().set_aside(DeadLetterChange::Settle(letter));
        let held = self.now.held.extract_if(.., |_, held| held.key == key);
        let released: Vec<_> = held.map(|(sequence, _)| sequence).collect();
        for sequence in released {
            self.session()
                .set_aside(DeadLetterChange::Release(sequence));
            self.change();
        }
        self.commit((sequence, epoch + 1));
    }

    fn commit(&mut self, (sequence, epoch): (u64, u64)) {
        let next = Checkpoint {
            stream: "ORDERS".into(),
            sequence,
            anchor: sequence.cast_signed() * 10,
            epoch,
        };
        let in_background = self.random.random_bool(0.5);
        let session = self.session.as_mut().unwrap();
        self.recorder.commit(|| {
            if !in_background {
                return session.commit(&next).unwrap();
            }
            let (done, landed) = mpsc::channel();
            session
                .commit_in_background(next, move || done.send(()).unwrap())
                .unwrap();
            landed.recv().unwrap();
        });
        self.now.checkpoint = Some((sequence, epoch));
        self.states.push(self.now.clone());
    }
}

fn letter(event: &Event, key: Option<Vec<u8>>) -> DeadLetter {
    DeadLetter {
        sequence: event.sequence,
        time: event.time,
        subject: event.subject.clone(),
        key,
        held: true,
        headers: event.headers.to_vec(),
        headers_bytes: event.headers.len() as u64,
        payload: event.payload.to_vec(),
        payload_bytes: event.payload.len() as u64,
        attempts_made: 1,
        attempts: vec![Attempt {
            at: "2026-01-01T00:00:00Z".into(),
            digest: "0123abcd".into(),
            error: "poison".into(),
            log: vec!["a line".into()],
            backtrace: None,
        }],
    }
}
