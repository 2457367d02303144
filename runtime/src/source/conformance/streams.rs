//! What a source says of its streams without reading them.

use super::{Fixture, LIMITS, STREAM, take};
use crate::source::{Lane, ReadFrom, SourceError};

pub(in crate::source) async fn the_state_tells_first_and_last_sequence(fixture: impl Fixture) {
    let state = async || {
        let state = fixture.source().stream_state(STREAM).await.unwrap();
        (state.first_sequence, state.last_sequence)
    };
    assert_eq!(state().await, (1, 0));
    fixture.publish_numbers(5).await;
    assert_eq!(state().await, (1, 5));
    fixture.purge_before(3).await;
    assert_eq!(state().await, (3, 5));
    fixture.purge_before(6).await;
    assert_eq!(state().await, (6, 5));
}

pub(in crate::source) async fn the_state_tells_when_the_oldest_event_was_stored(
    fixture: impl Fixture,
) {
    let oldest = async || {
        let state = fixture.source().stream_state(STREAM).await.unwrap();
        state.first_time
    };
    assert_eq!(oldest().await, None);
    fixture.publish_numbers(5).await;
    fixture.purge_before(3).await;
    let events = take(&mut fixture.read(2).await, 3).await;
    assert_eq!(oldest().await, Some(events[0].time));
    fixture.purge_before(6).await;
    assert_eq!(oldest().await, None);
}

pub(in crate::source) async fn an_event_that_is_read_alone_is_the_one_that_comes_with_others(
    fixture: impl Fixture,
) {
    let headers = [("Order-Id", "b"), ("Trace", "2"), ("Author", "a")];
    fixture.publish("orders.1", &headers, &[0, 255, 7]).await;
    fixture.publish("orders.2.Placed", &[], b"").await;
    let events = take(&mut fixture.read(0).await, 2).await;
    let event = async |sequence| fixture.source().event(STREAM, sequence).await;
    assert_eq!(event(1).await, Ok(Some(events[0].clone())));
    assert_eq!(event(2).await, Ok(Some(events[1].clone())));
    assert_eq!(event(3).await, Ok(None));
}

pub(in crate::source) async fn the_time_of_an_event_is_the_one_it_is_read_with(
    fixture: impl Fixture,
) {
    fixture.publish_numbers(2).await;
    let events = take(&mut fixture.read(0).await, 2).await;
    let time = async |sequence| fixture.source().event_time(STREAM, sequence).await;
    assert!(events[0].time > 1_500_000_000_000_000_000, "nanoseconds");
    assert_eq!(time(1).await, Ok(Some(events[0].time)));
    assert_eq!(time(2).await, Ok(Some(events[1].time)));
    fixture.delete_event(1).await;
    assert_eq!(time(1).await, Ok(None));
    assert_eq!(time(3).await, Ok(None));
}

pub(in crate::source) async fn the_next_event_is_the_first_that_is_left(fixture: impl Fixture) {
    fixture.publish_numbers(4).await;
    let next = async |after| fixture.source().next_sequence(STREAM, after).await.unwrap();
    fixture.delete_event(2).await;
    assert_eq!(next(0).await, Some(1));
    assert_eq!(next(1).await, Some(3));
    assert_eq!(next(4).await, None);
    fixture.purge_before(4).await;
    assert_eq!(next(0).await, Some(4));
}

pub(in crate::source) async fn an_end_that_was_deleted_is_told_from_one_that_was_lost(
    fixture: impl Fixture,
) {
    fixture.publish_numbers(6).await;
    let end = async |from| fixture.source().end_behind(STREAM, from).await.unwrap();
    fixture.delete_event(4).await;
    assert_eq!(end(ReadFrom::After(3)).await, None, "5 is left");
    fixture.delete_event(6).await;
    fixture.delete_event(5).await;
    assert_eq!(end(ReadFrom::After(3)).await, Some(6));
    assert_eq!(end(ReadFrom::OldestAfter(3)).await, Some(6));
    assert_eq!(end(ReadFrom::After(2)).await, None, "3 is left");
    for at_the_end in [6, 7] {
        assert_eq!(end(ReadFrom::After(at_the_end)).await, None);
    }
    fixture.purge_before(7).await;
    assert_eq!(end(ReadFrom::After(3)).await, None, "it is lost");
    assert_eq!(end(ReadFrom::OldestAfter(3)).await, Some(6));
}

pub(in crate::source) async fn a_time_is_the_sequence_of_the_first_event_from_then_on(
    fixture: impl Fixture,
) {
    fixture.publish_numbers(5).await;
    let events = take(&mut fixture.read(0).await, 5).await;
    let at = async |time| fixture.source().sequence_at(STREAM, time).await.unwrap();
    assert_eq!(at(0).await, 1);
    assert_eq!(at(events[2].time).await, 3);
    assert_eq!(at(events[2].time + 1).await, 4);
    assert_eq!(at(events[4].time + 1).await, 6);
    fixture.purge_before(3).await;
    assert_eq!(at(events[0].time).await, 3);
}

pub(in crate::source) async fn the_stream_is_found_by_its_subjects(fixture: impl Fixture) {
    fixture.create_stream("PAYMENTS", &["payments.>"]).await;
    let find = async |filters: &[&str]| {
        let filters: Vec<_> = filters.iter().map(|text| text.parse().unwrap()).collect();
        fixture.source().find_stream(&filters).await
    };
    assert_eq!(find(&["orders.*.OrderPlaced"]).await.unwrap(), STREAM);
    assert_eq!(find(&["payments.>"]).await.unwrap(), "PAYMENTS");
    let none = find(&["invoices.>", "bills.*"]).await.unwrap_err();
    assert_eq!(
        none.to_string(),
        "no stream holds the subjects invoices.>, bills.*"
    );
    let half = find(&["orders.>", "bills.*"]).await.unwrap_err();
    assert_eq!(half.to_string(), "no stream holds the subjects bills.*");
    let several = find(&["orders.1", "payments.1"]).await.unwrap_err();
    assert!(
        several
            .to_string()
            .ends_with("several streams: ORDERS, PAYMENTS")
    );
}

pub(in crate::source) async fn a_stream_that_is_not_there_is_named(fixture: impl Fixture) {
    let missing = SourceError::StreamMissing {
        stream: "NONE".into(),
        read: 0,
    };
    let source = fixture.source();
    assert_eq!(source.stream_state("NONE").await.unwrap_err(), missing);
    assert_eq!(source.event_time("NONE", 1).await.unwrap_err(), missing);
    let reading = source
        .read("NONE", ReadFrom::After(0), Lane::Live, LIMITS)
        .await;
    assert_eq!(reading.unwrap_err(), missing);
}

pub(in crate::source) async fn streams_that_do_not_keep_events_are_refused(fixture: impl Fixture) {
    fixture.create_work_queue("TASKS").await;
    let refused = SourceError::Retention {
        stream: "TASKS".into(),
        retention: "work queue".into(),
    };
    assert_eq!(fixture.source().stream_state("TASKS").await, Err(refused));
}
