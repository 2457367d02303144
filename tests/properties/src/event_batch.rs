//! Events in columns, from the host's packing to the guest's reading.

use std::borrow::Cow;

use arbitrary::{Arbitrary, Unstructured};
use foldline::batch::{Batch, BatchBuilder, BatchLimits, Column};
use foldline::definition::EventKey;
use foldline::event::{Event, Position};
use foldline::subject::SubjectFilter;
use foldline_sdk::columns;
use serde::Deserialize;

use crate::memory;

#[derive(Debug, Arbitrary)]
enum Input {
    /// As no host sends them, all of one batch.
    Columns(Columns),
    /// As they come from a stream.
    Events(Vec<Sample>, u8, u8, u8),
}

#[derive(Debug, Arbitrary)]
struct Columns {
    sequences: Vec<u8>,
    timestamps: Vec<i64>,
    subjects: (Vec<u8>, Vec<u8>),
    headers: (Vec<u8>, Vec<u8>),
    payloads: (Vec<u32>, Vec<u8>),
}

#[derive(Debug, Arbitrary)]
struct Sample {
    gap: u8,
    time: i64,
    subject: u8,
    headers: Vec<(u8, String)>,
    payload: Payload,
}

#[derive(Debug, Arbitrary)]
enum Payload {
    Bytes(Vec<u8>),
    Json {
        ty: u8,
        data: u8,
        first: bool,
        rest: String,
    },
}

/// Columns that do not fit together are refused; whatever fits is read without a panic. Events come out of the guest's
/// reading as they went into the host's packing, however the batch was cut in between.
///
/// # Panics
/// Where that does not hold.
pub fn holds(data: &[u8]) {
    match Unstructured::new(data).arbitrary::<Input>() {
        Ok(Input::Columns(columns)) => any_columns(columns),
        Ok(Input::Events(samples, from, to, after)) => {
            let events = events(samples);
            packed_and_read(&events);
            cut_and_joined(&events, from.into(), to.into(), after.into());
        }
        Err(_) => {}
    }
}

fn any_columns(input: Columns) {
    // Small ends, so that some fit.
    let small = |ends: Vec<u8>| ends.into_iter().map(u32::from).collect();
    let bytes = input.payloads.1.len() + input.subjects.1.len() + input.headers.1.len();
    let columns = [
        (small(input.subjects.0), input.subjects.1),
        (small(input.headers.0), input.headers.1),
        input.payloads,
    ];
    let sequences: Vec<_> = input.sequences.into_iter().map(u64::from).collect();
    let count = sequences.len();
    let room = 1 << 14 | (bytes + 64 * count) << 3;
    let read = memory::within(room, || {
        columns::events(sequences, input.timestamps, columns)
    });
    let Ok(events) = read else { return };
    assert_eq!(events.len(), count);
    let mut payloads = 0;
    for event in &events {
        payloads += event.payload().len();
        is_readable(event);
    }
    assert!(payloads <= bytes);
}

fn events(samples: Vec<Sample>) -> Vec<Event> {
    let mut sequence = 0;
    let event = |sample: Sample| {
        sequence += 1 + u64::from(sample.gap);
        const SUBJECTS: [&str; 5] = ["orders.o-1.Placed", "orders", "a.b", "ö.😀", "orders..x"];
        let mut names: Vec<_> = sample.headers;
        names.sort_by_key(|(name, _)| *name);
        let lines = names.iter().map(|(name, value)| {
            // A header's value is one line of visible text: the broker and its clients see to that.
            let value = value.replace(char::is_control, " ");
            format!("H{}: {value}\r\n", name % 4)
        });
        Event {
            sequence,
            time: sample.time,
            subject: SUBJECTS[usize::from(sample.subject) % SUBJECTS.len()].into(),
            headers: lines.collect::<String>().into(),
            payload: sample.payload.bytes().into(),
        }
    };
    samples.into_iter().map(event).collect()
}

impl Payload {
    fn bytes(self) -> Vec<u8> {
        const TYPES: [&str; 4] = ["Placed", "Moved", "Cancelled", "Other"];
        const DATA: [&str; 6] = [
            r#"{"id":"a\u00e9","total":1.5}"#,
            "[1,2]",
            "null",
            "{}",
            r#"{"id":7}"#,
            "[1,",
        ];
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Json {
                ty,
                data,
                first,
                rest,
            } => {
                let ty = format!(r#""eventType":"{}""#, TYPES[usize::from(ty) % 4]);
                let data = format!(r#""payload":{}"#, DATA[usize::from(data) % 6]);
                let (one, two) = if first { (ty, data) } else { (data, ty) };
                format!("{{{one},{two}{rest}}}").into_bytes()
            }
        }
    }
}

fn packed_and_read(events: &[Event]) {
    let batch: Batch = events.iter().cloned().collect();
    let read = read(&batch);
    assert_eq!(read.len(), events.len());
    for (i, (event, read)) in events.iter().zip(&read).enumerate() {
        assert_eq!(batch.event(i), *event);
        assert_eq!(read.sequence(), event.sequence);
        assert_eq!(read.subject(), event.subject);
        assert_eq!(read.payload(), event.payload);
        same_keys(event, read);
        is_readable(read);
    }
}

/// As the guest gets them.
fn read(batch: &Batch) -> Vec<foldline_sdk::Event> {
    let column = |column: &Column| (column.ends().to_vec(), column.bytes().to_vec());
    let columns = [batch.subjects(), batch.headers(), batch.payloads()].map(column);
    columns::events(
        batch.sequences().to_vec(),
        batch.timestamps().to_vec(),
        columns,
    )
    .unwrap()
}

/// An event's key is the same for the host, which holds events by it, and for the projection.
fn same_keys(event: &Event, read: &foldline_sdk::Event) {
    for name in ["H0", "H1", "H2", "H3", "H"] {
        let key = EventKey::Header(name.into());
        let key = key.of(event.subject.as_bytes(), &event.headers);
        assert_eq!(key, read.header(name).map(str::as_bytes));
    }
    for token in 0..5 {
        let key = EventKey::SubjectToken(token);
        let key = key.of(event.subject.as_bytes(), &event.headers);
        assert_eq!(key, read.subject_token(token as usize).map(str::as_bytes));
    }
}

#[derive(Debug, PartialEq, Deserialize)]
enum Order<'e> {
    Placed {
        #[serde(borrow)]
        id: Cow<'e, str>,
        total: f64,
    },
    Moved(i64, i64),
    Cancelled,
}

/// Everything the SDK offers to read of an event; text and bytes are read alike.
fn is_readable(event: &foldline_sdk::Event) {
    let headers = event.headers().count();
    assert!(
        headers
            <= event
                .headers()
                .map(|(name, _)| name.len() + 2)
                .sum::<usize>()
    );
    let _ = (
        event.time().to_string(),
        event.json::<serde_json::Value>().is_ok(),
    );
    let decoded = event.decode::<Order<'_>>();
    if let Ok(Some((envelope, order))) = &decoded {
        let named = matches!(
            (envelope.event_type(), order),
            ("Placed", Order::Placed { .. })
                | ("Moved", Order::Moved(..))
                | ("Cancelled", Order::Cancelled)
        );
        assert!(named, "{} is no {order:?}", envelope.event_type());
        let _ = (envelope.aggregate_id().is_ok(), envelope.metadata().is_ok());
    }
    let alone = beside_what_is_no_text(event);
    let bytes = alone.decode::<Order<'_>>();
    assert_eq!(told(&decoded), told(&bytes));
    let _ = event.envelope::<&serde_json::value::RawValue>().is_ok();
    let _ = event.decode_as::<Order<'_>>("Placed").is_ok();
}

type Decoded<'d, 'e> = foldline_sdk::Result<Option<(foldline_sdk::Envelope<'e>, Order<'e>)>>;

fn told(decoded: &Decoded<'_, '_>) -> Option<String> {
    let decoded = decoded.as_ref().ok()?;
    Some(format!("{:?}", decoded.as_ref().map(|(_, order)| order)))
}

/// The same payload in a batch that is not all text, so that it is read as bytes.
fn beside_what_is_no_text(event: &foldline_sdk::Event) -> foldline_sdk::Event {
    let payload = event.payload();
    let end = payload.len() as u32;
    let bytes = [payload, &[0xff]].concat();
    let none = || (vec![0, 0], Vec::new());
    let columns = [none(), none(), (vec![end, end + 1], bytes)];
    columns::events(vec![1, 2], vec![0, 0], columns)
        .unwrap()
        .swap_remove(0)
}

fn cut_and_joined(events: &[Event], from: usize, to: usize, after: u64) {
    let whole: Batch = events.iter().cloned().collect();
    let [from, to] = [from, to].map(|place| place % (whole.len() + 1));
    let (from, to) = (from.min(to), from.max(to));
    let mut joined = whole.slice(0..from);
    joined.append(&whole.slice(from..to));
    joined.append(&whole.slice(to..whole.len()));
    assert_eq!(joined, whole);
    let behind = whole.after(after);
    assert!(behind.sequences().iter().all(|&sequence| sequence > after));
    let filters: [SubjectFilter; 1] = ["orders.>".parse().unwrap()];
    let selected = whole.select(after, &filters);
    let wanted = |i| whole.sequences()[i] > after && filters[0].matches(whole.subject(i));
    assert_eq!(selected, whole.keep(wanted));
    assert_eq!(selected == whole, whole.all_wanted(after, &filters));
    assert_eq!(selected.through(), whole.through());
    built_within_limits(events, from.max(1), 64 * to);
}

/// Behind every event.
const LAST: Position = Position {
    sequence: u64::MAX,
    time: 0,
};

/// Bytes of an event in a batch beside its subject, headers and payload.
const OVERHEAD: usize = 8 + 8 + 3 * 4;

/// Each batch keeps to its limits, but for a single event that is larger.
fn built_within_limits(events: &[Event], most: usize, bytes: usize) {
    let limits = BatchLimits {
        events: most,
        bytes,
    };
    let mut builder = BatchBuilder::default();
    for event in events {
        let size = event.subject.len() + event.headers.len() + event.payload.len();
        if builder.is_full(size, limits) {
            let full = std::mem::take(&mut builder).finish(LAST, 0);
            assert!((1..=most).contains(&full.len()));
            assert!(full.len() == 1 || full.bytes() <= bytes + OVERHEAD);
        }
        builder.push_event(event);
    }
}
