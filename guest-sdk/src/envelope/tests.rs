use std::borrow::Cow;

use serde::Deserialize;

use super::Envelope;
use crate::Result;
use crate::event::Payload;

/// The functions under test, with payloads that nobody has looked at yet.
fn decode<'e, E: Deserialize<'e>>(payload: &'e [u8]) -> Result<Option<(Envelope<'e>, E)>> {
    super::decode(Payload::Bytes(payload))
}

fn decode_as<'e, E: Deserialize<'e>>(event_type: &str, payload: &'e [u8]) -> Result<Option<E>> {
    super::decode_as(event_type, Payload::Bytes(payload))
}

fn read<'e, D: Deserialize<'e>>(payload: &'e [u8]) -> Result<(Envelope<'e>, D)> {
    super::read(Payload::Bytes(payload))
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all_fields = "camelCase")]
enum OrderEvent<'e> {
    OrderPlaced {
        #[serde(borrow)]
        customer_id: Cow<'e, str>,
        total_amount: f64,
    },
    #[serde(rename = "order.shipped")]
    OrderShipped(Shipment),
    Moved(i64, i64),
    OrderCancelled,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Shipment {
    carrier: String,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind")]
#[allow(dead_code)]
enum Tagged {
    OrderPlaced { total_amount: f64 },
}

const PLACED: &str = r#"{ "customerId": "c-1", "totalAmount": 1.5, "more": [] }"#;

fn event(payload: &str) -> Option<OrderEvent<'_>> {
    decode(payload.as_bytes()).unwrap().map(|(_, event)| event)
}

fn error(payload: &str) -> String {
    let error = decode::<OrderEvent<'_>>(payload.as_bytes()).unwrap_err();
    format!("{error:#}")
}

fn placed() -> OrderEvent<'static> {
    OrderEvent::OrderPlaced {
        customer_id: "c-1".into(),
        total_amount: 1.5,
    }
}

#[test]
fn every_field_of_the_envelope_is_read() {
    let payload = format!(
        r#"{{ "eventId": "e-1", "eventType": "OrderPlaced", "aggregateId": "o-1", "aggregateType": "Order",
            "timestamp": "2026-01-01T00:00:00Z", "version": 3, "payload": {PLACED}, "somethingElse": {{}},
            "metadata": {{ "correlationId": "c", "causationId": "x", "userId": 7, "schemaVersion": 2 }} }}"#
    );
    let (envelope, event): (Envelope<'_>, OrderEvent<'_>) =
        decode(payload.as_bytes()).unwrap().unwrap();
    assert_eq!(event, placed());
    assert_eq!(envelope.event_type(), "OrderPlaced");
    assert_eq!(envelope.event_id().unwrap(), "e-1");
    assert_eq!(envelope.aggregate_id().unwrap(), "o-1");
    assert_eq!(envelope.aggregate_type().unwrap(), "Order");
    assert_eq!(envelope.timestamp().unwrap(), "2026-01-01T00:00:00Z");
    assert_eq!(envelope.version().unwrap(), 3);
    let metadata = envelope.metadata().unwrap();
    assert_eq!(metadata.correlation_id(), Some("c"));
    assert_eq!(metadata.causation_id(), Some("x"));
    assert_eq!(metadata.user_id(), Some("7"));
    assert_eq!(metadata.schema_version(), Some("2"));
}

#[test]
fn data_is_read_before_and_after_the_event_type_and_by_both_names() {
    for name in ["payload", "data"] {
        let after = format!(r#"{{ "eventType": "OrderPlaced", "{name}": {PLACED} }}"#);
        let before = format!(r#"{{ "{name}": {PLACED}, "eventType": "OrderPlaced" }}"#);
        assert_eq!(event(&after), Some(placed()));
        assert_eq!(event(&before), Some(placed()));
    }
}

#[test]
fn a_variant_takes_its_data_in_every_shape_serde_knows() {
    let shipped = r#"{ "eventType": "order.shipped", "data": { "carrier": "DHL" } }"#;
    assert_eq!(
        event(shipped),
        Some(OrderEvent::OrderShipped(Shipment {
            carrier: "DHL".into()
        }))
    );
    let moved = r#"{ "eventType": "Moved", "data": [1, 2] }"#;
    assert_eq!(event(moved), Some(OrderEvent::Moved(1, 2)));
    for cancelled in [
        r#"{ "eventType": "OrderCancelled" }"#,
        r#"{ "eventType": "OrderCancelled", "data": null }"#,
        r#"{ "eventType": "OrderCancelled", "data": { "reason": "why" } }"#,
    ] {
        assert_eq!(
            event(cancelled),
            Some(OrderEvent::OrderCancelled),
            "{cancelled}"
        );
    }
}

#[test]
fn data_that_stands_alone_may_be_missing_where_a_variant_has_none() {
    let cancelled = decode_as::<OrderEvent<'_>>("OrderCancelled", b" ").unwrap();
    assert_eq!(cancelled, Some(OrderEvent::OrderCancelled));
    let audited = decode_as::<OrderEvent<'_>>("OrderAudited", b"").unwrap();
    assert_eq!(audited, None);
    let error = decode_as::<OrderEvent<'_>>("OrderPlaced", b"").unwrap_err();
    assert!(error.to_string().contains("EOF"), "{error}");
}

#[test]
fn a_version_is_read_when_somebody_asks_for_it() {
    let version = |written: &str| {
        let payload = format!(r#"{{ "version": {written}, "eventType": "OrderCancelled" }}"#);
        let (envelope, _) = decode::<OrderEvent<'_>>(payload.as_bytes())
            .unwrap()
            .unwrap();
        envelope.version().map_err(|error| error.to_string())
    };
    for (written, number) in [("7", 7), ("\"7\"", 7), ("-1", -1)] {
        assert_eq!(version(written), Ok(number));
    }
    assert!(version("null").unwrap_err().contains("has no `version`"));
    let others = [
        "\"1.0\"",
        "1.5",
        "true",
        "[1]",
        "{\"a\":1}",
        "9223372036854775808",
    ];
    for (written, named) in others.into_iter().zip([
        "\"1.0\"",
        "1.5",
        "true",
        "a list",
        "an object",
        "9223372036854775808",
    ]) {
        let error = version(written).unwrap_err();
        assert!(
            error.contains(named) && error.contains("no 64-bit integer"),
            "{error}"
        );
    }
}

#[test]
fn an_event_type_without_a_variant_is_ignored_whatever_its_data() {
    for data in ["{}", "17", r#"{ "customerId": 4 }"#] {
        assert_eq!(
            event(&format!(
                r#"{{ "eventType": "OrderAudited", "payload": {data} }}"#
            )),
            None
        );
        assert_eq!(
            event(&format!(
                r#"{{ "payload": {data}, "eventType": "OrderAudited" }}"#
            )),
            None
        );
    }
    assert_eq!(event(r#"{ "eventType": "OrderAudited" }"#), None);
    assert_eq!(
        decode_as::<OrderEvent<'_>>("OrderAudited", b"17").unwrap(),
        None
    );
}

#[test]
fn text_is_read_like_bytes() {
    let payload =
        format!(r#"{{ "eventType": "OrderPlaced", "aggregateId": "ü", "data": {PLACED} }}"#);
    let text = Payload::Text(&payload);
    let (envelope, event) = super::decode::<OrderEvent<'_>>(text).unwrap().unwrap();
    assert_eq!((envelope.aggregate_id().unwrap(), event), ("ü", placed()));
    let placed = super::decode_as("OrderPlaced", Payload::Text(PLACED)).unwrap();
    assert_eq!(placed, Some(self::placed()));
}

#[test]
fn an_unknown_variant_inside_the_data_is_an_error() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    enum Paid {
        PaymentProcessed { status: Status },
    }
    #[derive(Debug, Deserialize)]
    enum Status {
        #[serde(rename = "success")]
        Success,
    }
    let payload = br#"{ "eventType": "PaymentProcessed", "data": { "status": "perhaps" } }"#;
    let error = decode::<Paid>(payload).unwrap_err().to_string();
    assert!(error.contains("unknown variant `perhaps`"), "{error}");
}

#[test]
fn text_is_borrowed_and_escapes_are_understood() {
    let payload = |id: &str| {
        format!(
            r#"{{ "aggregateId": "{id}", "eventType": "OrderPlaced", "data": {{ "customerId": "{id}", "totalAmount": 0 }} }}"#
        )
    };
    for (written, meant, borrowed) in [("c-1", "c-1", true), (r"a\u00e9\n", "aé\n", false)] {
        let payload = payload(written);
        let (envelope, event) = decode::<OrderEvent<'_>>(payload.as_bytes())
            .unwrap()
            .unwrap();
        assert_eq!(envelope.aggregate_id().unwrap(), meant);
        let OrderEvent::OrderPlaced { customer_id, .. } = event else {
            panic!("{event:?}")
        };
        assert_eq!(customer_id, meant);
        assert_eq!(matches!(customer_id, Cow::Borrowed(_)), borrowed);
    }
}

#[test]
fn a_missing_field_is_an_error_only_when_it_is_asked_for() {
    let (envelope, _) =
        decode::<OrderEvent<'_>>(br#"{ "eventType": "OrderCancelled", "version": null }"#)
            .unwrap()
            .unwrap();
    assert_eq!(
        envelope.aggregate_id().unwrap_err().to_string(),
        "the envelope has no `aggregateId`"
    );
    assert_eq!(
        envelope.version().unwrap_err().to_string(),
        "the envelope has no `version`"
    );
    assert_eq!(envelope.metadata().unwrap().user_id(), None);
}

#[test]
fn errors_say_what_is_wrong_with_the_payload() {
    for (payload, expected) in [
        ("nope", "expected ident at line 1 column 2"),
        ("", "EOF while parsing"),
        (
            "[1]",
            "expected an event's envelope, a JSON object with `eventType`",
        ),
        ("{}", "the envelope has no `eventType`"),
        (
            r#"{ "eventType": "OrderPlaced", "data": {} }"#,
            "missing field `customerId`",
        ),
        (
            r#"{ "data": {}, "eventType": "OrderPlaced" }"#,
            "missing field `customerId`",
        ),
        (r#"{ "eventType": "OrderPlaced" }"#, "invalid type: null"),
        (
            r#"{ "eventType": "OrderCancelled", "data": 1, "payload": 2 }"#,
            "duplicate field `payload`",
        ),
        (
            r#"{ "eventType": "OrderCancelled" } x"#,
            "trailing characters",
        ),
        (r#"{ "eventType": true }"#, "expected text"),
    ] {
        let error = error(payload);
        assert!(error.contains(expected), "{payload}: {error}");
    }
}

#[test]
fn other_kinds_of_enum_are_refused_with_advice() {
    let tagged = decode::<Tagged>(br#"{ "eventType": "OrderPlaced", "data": {} }"#)
        .unwrap_err()
        .to_string();
    assert!(
        tagged.contains("a plain enum with one variant per event type"),
        "{tagged}"
    );
}

#[test]
fn data_can_be_read_as_one_type_whatever_the_event_type() {
    let payload = br#"{ "data": { "carrier": "DHL" }, "eventType": "Whatever" }"#;
    let (envelope, shipment): (_, Shipment) = read(payload).unwrap();
    assert_eq!(
        (envelope.event_type(), shipment.carrier.as_str()),
        ("Whatever", "DHL")
    );
    let (_, raw): (_, &serde_json::value::RawValue) = read(payload).unwrap();
    assert_eq!(raw.get(), r#"{ "carrier": "DHL" }"#);
}

#[test]
fn data_without_an_envelope_is_read_by_a_type_from_elsewhere() {
    assert_eq!(
        decode_as("OrderPlaced", PLACED.as_bytes()).unwrap(),
        Some(placed())
    );
    let trailing = decode_as::<OrderEvent<'_>>("Moved", b"[1, 2] x")
        .unwrap_err()
        .to_string();
    assert!(trailing.contains("trailing characters"), "{trailing}");
}
