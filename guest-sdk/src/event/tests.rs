use std::rc::Rc;

use super::{Batch, Column, Event};
use crate::testing::{batch, event};

fn column(items: &[&[u8]]) -> Column<Vec<u8>> {
    let mut column = Column::default();
    items.iter().for_each(|item| column.push(item));
    column
}

fn events(events: &[crate::testing::TestEvent]) -> Vec<Event> {
    let batch = Rc::new(batch(events, 0));
    (0..batch.len())
        .map(|index| Event::new(Rc::clone(&batch), index))
        .collect()
}

#[test]
fn an_event_has_the_parts_it_was_sent_with() {
    let [first, second] = &events(&[
        event("orders.o-1.OrderPlaced")
            .payload("{}")
            .header("Trace", "a: b")
            .header("trace", " c ")
            .header("Trace", "d"),
        event("ö"),
    ])[..] else {
        panic!("two events")
    };
    assert_eq!((first.sequence(), second.sequence()), (1, 2));
    assert_eq!(second.time().to_string(), "2026-01-01T00:00:01.000000000Z");
    assert_eq!(
        (first.subject(), second.subject()),
        ("orders.o-1.OrderPlaced", "ö")
    );
    assert_eq!(first.subject_token(0), Some("orders"));
    assert_eq!(
        (first.subject_token(2), first.subject_token(3)),
        (Some("OrderPlaced"), None)
    );
    assert_eq!((first.payload(), second.payload()), (&b"{}"[..], &b""[..]));
    assert_eq!(
        first.headers().collect::<Vec<_>>(),
        [("Trace", "a: b"), ("Trace", "d"), ("trace", "c")]
    );
    assert_eq!(
        (first.header("Trace"), first.header("trace")),
        (Some("a: b"), Some("c"))
    );
    assert_eq!(
        (first.header("TRACE"), second.headers().next()),
        (None, None)
    );
}

#[test]
fn a_header_is_the_same_text_as_the_key_that_the_host_reads_from_it() {
    let [event] = &events(&[event("a").header("Order-Id", "\u{a0}o-1\u{2003} \t")])[..] else {
        panic!("one event")
    };
    assert_eq!(event.header("Order-Id"), Some("\u{a0}o-1\u{2003}"));
}

#[test]
fn json_without_an_envelope_is_read_whole() {
    let events = events(&[
        event("numbers").payload("[1, 2]"),
        event("numbers").payload("[1"),
    ]);
    assert_eq!(events[0].json::<Vec<u8>>().unwrap(), [1, 2]);
    let error = format!("{:#}", events[1].json::<Vec<u8>>().unwrap_err());
    assert!(
        error.starts_with("the payload of `numbers`: EOF"),
        "{error}"
    );
}

#[test]
fn columns_that_do_not_fit_together_are_refused() {
    let one = || column(&[b"x"]);
    let refused = |sequences: &[u64], subjects, headers, payloads| {
        let error =
            Batch::new(sequences.to_vec(), vec![0], subjects, headers, payloads).unwrap_err();
        format!("{error:#}")
    };
    assert!(refused(&[1, 2], one(), one(), one()).contains("timestamps"));
    assert!(refused(&[1], column(&[]), one(), one()).contains("subjects: "));
    assert!(refused(&[1], one(), column(&[b"\xff"]), one()).contains("headers: invalid utf-8"));
    assert!(refused(&[1], one(), one(), column(&[b"x", b"y"])).contains("payloads: "));
    let short = Column::new(vec![7], b"x".to_vec());
    assert!(refused(&[1], one(), one(), short).contains("ends do not match"));
}

#[test]
fn a_character_is_not_cut_in_two() {
    let subjects = column(&[&"ö".as_bytes()[..1], &"ö".as_bytes()[1..]]);
    let two = || column(&[b"", b""]);
    let error = Batch::new(vec![1, 2], vec![0, 0], subjects, two(), two()).unwrap_err();
    assert!(format!("{error:#}").contains("cut inside a character"));
}
