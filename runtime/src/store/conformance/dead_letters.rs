//! Dead letters and held events: committed with the rows, rolled back with them, given back in order.

use super::*;
use crate::event::Event;
use crate::store::dead_letters::{
    Attempt, DeadLetter, DeadLetterChange, HeldEvent, HeldOutline, KeyBytes, LetterOutline,
};

fn event(sequence: Sequence) -> Event {
    Event {
        sequence,
        time: sequence.cast_signed() * 10,
        subject: format!("orders.o-{sequence}.Paid"),
        headers: b"A: 1\r\n".to_vec().into(),
        payload: vec![0, 255, sequence as u8].into(),
    }
}

fn letter(sequence: Sequence, key: &KeyBytes) -> DeadLetter {
    let event = event(sequence);
    DeadLetter {
        sequence,
        time: event.time,
        key: key.clone(),
        held: true,
        headers: event.headers.to_vec(),
        headers_bytes: 6,
        payload: vec![0],
        payload_bytes: 3,
        subject: event.subject,
        attempts_made: 2,
        attempts: vec![Attempt {
            at: "2026-11-21T08:00:00Z".into(),
            digest: "abc".into(),
            error: "it broke".into(),
            log: vec!["line".into()],
            backtrace: None,
        }],
    }
}

fn held(sequence: Sequence, key: &KeyBytes) -> HeldEvent {
    let key = key.clone();
    let event = event(sequence);
    HeldEvent { key, event }
}

fn key(text: &str) -> KeyBytes {
    Some(text.as_bytes().to_vec())
}

/// A dead letter with its event, and another event held behind it.
fn two_of(key: &KeyBytes, first: Sequence) -> [DeadLetterChange; 3] {
    [
        DeadLetterChange::Record(Box::new(letter(first, key))),
        DeadLetterChange::Hold(held(first, key)),
        DeadLetterChange::Hold(held(first + 2, key)),
    ]
}

pub(in crate::store) fn what_is_set_aside_is_committed_with_the_rows_or_not_at_all<M: ReadModel>() {
    let read_model = M::create(&definition());
    let mut store = read_model.open();
    store.write_dead_letters(&two_of(&key("a"), 5)).unwrap();
    assert_eq!(store.dead_letter(5).unwrap(), Some(letter(5, &key("a"))));
    store.rollback().unwrap();
    assert_eq!(store.set_aside().unwrap(), Default::default());
    assert_eq!(store.dead_letter(5).unwrap(), None);

    store.write_dead_letters(&two_of(&key("a"), 5)).unwrap();
    store.commit(&at(7, 1)).unwrap();
    let committed = store.set_aside().unwrap();
    store
        .write_dead_letters(&[DeadLetterChange::Settle(5), DeadLetterChange::Release(5)])
        .unwrap();
    drop(store);
    let mut store = read_model.open();
    assert_eq!(store.set_aside().unwrap(), committed);
    let outline = LetterOutline {
        sequence: 5,
        key: key("a"),
        held: true,
        digest: "abc".into(),
    };
    assert_eq!(committed.letters, [outline]);
    let bytes = held(5, &key("a")).bytes() + held(7, &key("a")).bytes();
    let outline = HeldOutline {
        key: key("a"),
        events: 2,
        bytes,
    };
    assert_eq!(committed.held, [outline]);
}

pub(in crate::store) fn held_events_come_by_key_in_order_and_within_the_limits<M: ReadModel>() {
    let mut store = M::create(&definition()).open();
    let keys = [key("a"), key(""), None];
    for (i, key) in keys.iter().enumerate() {
        let changes = two_of(key, 10 * (i as u64 + 1));
        store.write_dead_letters(&changes).unwrap();
    }
    for (i, key) in keys.iter().enumerate() {
        let first = 10 * (i as u64 + 1);
        let mut events = |limit, bytes| {
            let events = store.held_events(key.as_deref(), limit, bytes);
            events.unwrap()
        };
        assert_eq!(events(9, u64::MAX), [event(first), event(first + 2)]);
        assert_eq!(events(1, u64::MAX), [event(first)]);
        assert_eq!(events(9, 1), [event(first)], "one at least");
    }
    store
        .write_dead_letters(&[DeadLetterChange::Release(30)])
        .unwrap();
    assert_eq!(store.held_events(None, 9, u64::MAX).unwrap(), [event(32)]);
    assert_eq!(store.held_events(Some(b"b"), 9, 1).unwrap(), []);
}
