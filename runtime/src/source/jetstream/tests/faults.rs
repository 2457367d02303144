//! Faults of a real server: whatever happens, each event is read once and in order, or reading stops with the
//! reason.

use std::path::Path;
use std::time::Instant;

use tokio::sync::watch;

use super::follower::{Follower, assert_soon_after, publish_through_faults, resume};
use super::*;
use crate::event::Position;
use crate::source::conformance::{next, soon, take};
use crate::source::position;

#[tokio::test]
async fn a_restart_while_idle_after_a_resume_repeats_nothing() {
    let mut server = Server::start().await;
    server.publish_numbers(1_000).await;
    let at = server.position(1_000).await;
    let mut idle = server.read(at.sequence).await;
    server.restart().await;
    let back = Instant::now();
    let error = next(&mut idle).await.unwrap_err();
    assert!(matches!(error, SourceError::Interrupted { .. }), "{error}");
    assert_eq!(soon(resume(&server.source, at)).await.after, 1_000);
    let mut again = server.read(at.sequence).await;
    server.publish("orders.1", &[], b"1001").await;
    assert_eq!(take(&mut again, 1).await[0].sequence, 1_001);
    assert_soon_after(back);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_five_times_costs_no_event_and_no_order() {
    const BEFORE: u64 = 75_000;
    let mut server = Server::start().await;
    server.publish_quickly(1..=BEFORE).await;
    let (enough, stop) = watch::channel(false);
    let publishing = tokio::spawn(publish_through_faults(server.nats.url(), BEFORE, stop));
    let mut follower = Follower::start(&server.nats.url());
    for place in [10_000, 30_000, 50_000] {
        follower.read_to(place).await;
        // Further than anything is buffered, so that a reader must work again to get there.
        server.kill_under(&mut follower, 20_000).await;
    }
    for place in [2_000, 5_000] {
        follower.read_live_to(BEFORE + place).await;
        server.kill_under(&mut follower, 1_000).await;
    }
    enough.send_replace(true);
    let last = soon(publishing).await.unwrap();
    follower.read_live_to(last).await;
    assert_eq!(follower.at.borrow().sequence, last);
}

impl Server {
    /// Kills the server while it is read, brings it back and waits until `count` more events are read.
    async fn kill_under(&mut self, follower: &mut Follower, count: u64) {
        self.nats.kill();
        let place = follower.at.borrow().sequence + count;
        let before = *follower.begun.borrow();
        self.nats.restart();
        let back = Instant::now();
        let limit = place.max(*follower.limit.borrow());
        follower.limit.send_replace(limit);
        // A kill while a reader is opened anew, as at the change to live, does not end the subscription.
        tokio::select! {
            () = follower.until_begun_again(before) => {}
            () = follower.until(place) => {}
        }
        assert_soon_after(back);
        follower.until(place).await;
    }

    async fn position(&self, sequence: Sequence) -> Position {
        let time = self.source.event_time(STREAM, sequence).await.unwrap();
        let time = time.unwrap();
        Position { sequence, time }
    }
}

#[tokio::test]
async fn a_stream_deleted_and_made_again_is_recognised_however_long_it_is() {
    for count in [5, 10, 20] {
        let server = Server::start().await;
        server.publish_numbers(10).await;
        let at = server.position(10).await;
        let mut reader = server.read(10).await;
        server.context.delete_stream(STREAM).await.unwrap();
        server.create_stream(STREAM, &["orders.>"]).await;
        server.publish_numbers(count).await;
        let error = next(&mut reader).await.unwrap_err();
        assert!(matches!(error, SourceError::Interrupted { .. }), "{error}");
        let error = position::resume(&server.source, STREAM, at)
            .await
            .unwrap_err();
        match count {
            5 => assert!(
                matches!(error, SourceError::StreamWentBack { last: 5, .. }),
                "{error}"
            ),
            _ => assert!(
                matches!(error, SourceError::StreamReplaced { .. }),
                "{error}"
            ),
        }
    }
}

#[tokio::test]
async fn a_stream_restored_from_an_old_copy_is_recognised_even_when_it_grew_again() {
    let mut server = Server::start().await;
    server.publish_numbers(10).await;
    let (store, copy) = (server.nats.store(), tempfile::tempdir().unwrap());
    server.nats.kill();
    copy_folder(&store, copy.path());
    server.restart().await;
    server.publish_numbers(10).await;
    let at = server.position(20).await;
    server.nats.kill();
    std::fs::remove_dir_all(&store).unwrap();
    copy_folder(copy.path(), &store);
    server.restart().await;
    let error = position::resume(&server.source, STREAM, at)
        .await
        .unwrap_err();
    assert!(
        matches!(error, SourceError::StreamWentBack { last: 10, .. }),
        "{error}"
    );
    server.publish_numbers(20).await;
    let error = position::resume(&server.source, STREAM, at)
        .await
        .unwrap_err();
    assert!(
        matches!(error, SourceError::StreamReplaced { .. }),
        "{error}"
    );
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[tokio::test]
async fn events_that_are_gone_before_they_were_read_are_named() {
    let server = Server::start().await;
    server.publish_numbers(10).await;
    let at = server.position(4).await;
    let lost = async || match position::resume(&server.source, STREAM, at).await {
        Err(SourceError::EventsLost { first, last, .. }) => Some((first, last)),
        Ok(_) => None,
        Err(error) => panic!("{error}"),
    };
    server.purge_before(5).await;
    assert_eq!(lost().await, None, "the next event is still there");
    server.purge_before(8).await;
    assert_eq!(lost().await, Some((5, 7)));
    server.purge_before(11).await;
    assert_eq!(lost().await, Some((5, 10)));
}
