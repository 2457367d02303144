//! Whether a checkpoint belongs to a stream.

use super::*;
use crate::source::memory::MemorySource;

const STREAM: &str = "ORDERS";

fn stream_of(count: u64) -> MemorySource {
    let source = MemorySource::new();
    source.create_stream(STREAM, &["orders.>"]).unwrap();
    publish(&source, count);
    source
}

fn publish(source: &MemorySource, count: u64) {
    for _ in 0..count {
        source.publish(STREAM, "orders.1", b"", b"");
    }
}

async fn checkpoint(source: &MemorySource, sequence: Sequence) -> Checkpoint {
    let time = source.event_time(STREAM, sequence).await.unwrap();
    Checkpoint {
        stream: STREAM.into(),
        sequence,
        anchor: time.unwrap(),
        epoch: 1,
    }
}

async fn begin(source: &MemorySource, start: Start) -> Result<Sequence, String> {
    let resume = check(source, STREAM, None, start, OnLostEvents::Halt).await;
    resume
        .map(|resume| resume.after)
        .map_err(|error| error.to_string())
}

async fn go_on(source: &MemorySource, from: &Checkpoint) -> Result<Resume, SourceError> {
    check(
        source,
        STREAM,
        Some(from),
        Start::Beginning,
        OnLostEvents::Halt,
    )
    .await
}

#[tokio::test]
async fn a_new_projection_begins_where_it_is_told() {
    let source = stream_of(10);
    assert_eq!(begin(&source, Start::Beginning).await, Ok(0));
    assert_eq!(begin(&source, Start::First).await, Ok(0));
    assert_eq!(begin(&source, Start::Sequence(7)).await, Ok(6));
    assert_eq!(begin(&source, Start::Sequence(0)).await, Ok(0));
    assert_eq!(begin(&source, Start::Sequence(50)).await, Ok(49));
}

#[tokio::test]
async fn a_new_projection_does_not_begin_in_the_middle_unless_told() {
    let source = stream_of(10);
    source.purge_before(STREAM, 4);
    let lost = "events 1 to 3 of stream ORDERS are gone before they were read";
    assert_eq!(begin(&source, Start::Beginning).await, Err(lost.into()));
    assert_eq!(begin(&source, Start::First).await, Ok(3));
    assert_eq!(begin(&source, Start::Sequence(4)).await, Ok(3));
    assert!(begin(&source, Start::Sequence(3)).await.is_err());
    source.purge_before(STREAM, 11);
    assert!(begin(&source, Start::Beginning).await.is_err());
    assert_eq!(begin(&source, Start::First).await, Ok(10));
}

#[tokio::test]
async fn a_checkpoint_goes_on_behind_its_event() {
    let source = stream_of(10);
    let resume = go_on(&source, &checkpoint(&source, 6).await).await;
    let expected = Resume {
        after: 6,
        last_sequence: 10,
        lost: None,
        forgets: Vec::new(),
        takes: None,
    };
    assert_eq!(resume, Ok(expected));
}

#[tokio::test]
async fn a_checkpoint_before_the_first_event_begins_like_none() {
    let source = stream_of(10);
    source.purge_before(STREAM, 4);
    let first = checkpoint(&source, 5).await.at(Position::default());
    let resume = check(
        &source,
        STREAM,
        Some(&first),
        Start::First,
        OnLostEvents::Halt,
    )
    .await;
    assert_eq!(resume.unwrap().after, 3);
}

#[tokio::test]
async fn a_stream_that_reuses_sequences_is_recognised_by_the_time() {
    let source = stream_of(10);
    let checkpoint = checkpoint(&source, 6).await;
    source.create_stream(STREAM, &["orders.>"]).unwrap();
    let error = go_on(&source, &checkpoint).await.unwrap_err();
    assert!(matches!(error, SourceError::StreamWentBack { last: 0, .. }));
    publish(&source, 6);
    let error = go_on(&source, &checkpoint).await.unwrap_err();
    assert!(matches!(error, SourceError::StreamReplaced { .. }));
}

#[tokio::test]
async fn an_event_that_is_gone_is_no_obstacle_while_the_next_is_there() {
    let source = stream_of(10);
    let checkpoint = checkpoint(&source, 6).await;
    source.delete_event(STREAM, 6);
    assert_eq!(go_on(&source, &checkpoint).await.unwrap().after, 6);
    source.purge_before(STREAM, 7);
    assert_eq!(go_on(&source, &checkpoint).await.unwrap().after, 6);
    source.purge_before(STREAM, 9);
    let lost = SourceError::EventsLost {
        stream: STREAM.into(),
        first: 7,
        last: 8,
    };
    assert_eq!(go_on(&source, &checkpoint).await, Err(lost));
}

#[tokio::test]
async fn what_the_source_has_lost_is_no_deletion_wherever_it_was() {
    let source = stream_of(20);
    for deleted in [7, 8, 9, 10, 15] {
        source.delete_event(STREAM, deleted);
    }
    for lost in [8, 9, 16] {
        source.lose_event(STREAM, lost);
    }
    let lost = |first, last| SourceError::EventsLost {
        stream: STREAM.into(),
        first,
        last,
    };
    for (read, expected) in [
        (5, Ok(5)),
        (6, Err(lost(8, 9))),
        (11, Ok(11)),
        (14, Err(lost(16, 16))),
    ] {
        let found = go_on(&source, &checkpoint(&source, read).await).await;
        assert_eq!(found.map(|resume| resume.after), expected, "{read}");
    }
    let (read, start) = (checkpoint(&source, 6).await, Start::Beginning);
    let accepted = check(&source, STREAM, Some(&read), start, OnLostEvents::Accept).await;
    assert_eq!(accepted.unwrap().after, 9);
    assert!(begin(&source, Start::Sequence(8)).await.is_err());
    assert_eq!(begin(&source, Start::Sequence(10)).await, Ok(9));
}

#[tokio::test]
async fn a_replaced_stream_is_recognised_although_the_event_at_the_checkpoint_is_deleted() {
    let source = stream_of(10);
    let checkpoint = checkpoint(&source, 6).await;
    source.create_stream(STREAM, &["orders.>"]).unwrap();
    publish(&source, 20);
    source.delete_event(STREAM, 6);
    let error = go_on(&source, &checkpoint).await.unwrap_err();
    assert!(
        matches!(error, SourceError::StreamReplaced { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_stream_that_was_read_and_is_gone_is_told_from_one_that_never_was() {
    let source = stream_of(10);
    let checkpoint = checkpoint(&source, 6).await;
    let gone = check(
        &source,
        "OTHER",
        Some(&checkpoint),
        Start::Beginning,
        OnLostEvents::Halt,
    )
    .await;
    let text = gone.unwrap_err().to_string();
    assert_eq!(
        text,
        "stream OTHER does not exist any more; it was read up to event 6"
    );
    let never = check(&source, "OTHER", None, Start::Beginning, OnLostEvents::Halt).await;
    assert_eq!(
        never.unwrap_err().to_string(),
        "stream OTHER does not exist"
    );
}

#[tokio::test]
async fn a_loss_that_is_accepted_is_passed_over_and_named() {
    let source = stream_of(10);
    let read = checkpoint(&source, 3).await;
    source.purge_before(STREAM, 7);
    let accept = async |checkpoint, start| {
        let resume = check(&source, STREAM, checkpoint, start, OnLostEvents::Accept)
            .await
            .unwrap();
        (
            resume.after,
            resume.lost.map(|lost| (lost.first, lost.last)),
        )
    };
    assert_eq!(
        accept(Some(&read), Start::Beginning).await,
        (6, Some((4, 6)))
    );
    assert_eq!(accept(None, Start::Beginning).await, (6, Some((1, 6))));
    assert_eq!(accept(None, Start::Sequence(9)).await, (8, None));
    // The place behind the loss has no event that could be recognised.
    let behind = read.at(Position {
        sequence: 6,
        time: 0,
    });
    assert_eq!(accept(Some(&behind), Start::Beginning).await, (6, None));
    let halted = go_on(&source, &behind).await;
    assert_eq!(halted.unwrap().after, 6);
}

#[test]
fn what_would_wait_for_ever_is_doubted() {
    let filters = |texts: &[&str]| -> Vec<SubjectFilter> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    };
    let resume = |after, takes: Option<&[&str]>| Resume {
        after,
        last_sequence: 10,
        lost: None,
        forgets: Vec::new(),
        takes: takes.map(filters),
    };
    let doubts = |resume: Resume| {
        let doubts = resume.doubts(&filters(&["orders.>", "stock.*.Counted"]));
        doubts.join("; ")
    };
    assert_eq!(doubts(resume(10, Some(&["other", "stock.>"]))), "");
    // A mirror does not say what it stores.
    assert_eq!(doubts(resume(0, None)), "");
    let untaken = doubts(resume(0, Some(&["stock.*", "other.>"])));
    assert!(
        untaken.contains("takes no new events of orders.>, stock.*.Counted:"),
        "{untaken}"
    );
    let ahead = doubts(resume(11, None));
    assert!(
        ahead.contains("begins with event 12, and the stream had 10"),
        "{ahead}"
    );
}
