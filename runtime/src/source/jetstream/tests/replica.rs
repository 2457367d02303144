//! A stream on three servers, of which some lack an event: their disks have damaged it.

use super::leader::{cluster, until_led};
use super::*;
use crate::source::Lane;
use crate::source::conformance::{LIMITS, soon};

const EVENTS: u64 = 100;
const DAMAGED: u64 = 50;

fn payload(number: u64) -> String {
    format!("this is event number {number}")
}

/// Starts a server anew, so that it has nothing in memory, and changes one byte of the event on its disk.
async fn damage(server: &mut NatsServer, context: &Context) {
    server.restart();
    soon(until_current(context)).await;
    let block = server
        .store()
        .join("jetstream/$G/streams/ORDERS/msgs/1.blk");
    let mut bytes = std::fs::read(&block).unwrap();
    let event = payload(DAMAGED).into_bytes();
    let at = bytes.windows(event.len()).position(|it| it == event);
    bytes[at.expect("it holds the event")] ^= 0xff;
    std::fs::write(&block, bytes).unwrap();
}

/// Waits until every replica has everything.
async fn until_current(context: &Context) {
    loop {
        let stream = context.get_stream(STREAM).await;
        let cluster = stream.ok().and_then(|it| it.cached_info().cluster.clone());
        let replicas = cluster.map(|cluster| cluster.replicas).unwrap_or_default();
        if replicas.len() == 2 && replicas.iter().all(|it| it.current && !it.offline) {
            return;
        }
    }
}

/// Reads from the beginning to the last event, or to an error.
async fn read(source: &JetStreamSource) -> Result<Vec<Sequence>, SourceError> {
    let from = ReadFrom::After(0);
    let mut reader = source.read(STREAM, from, Lane::Live, LIMITS).await?;
    let mut read = Vec::new();
    while read.last() != Some(&EVENTS) {
        let batch = reader.batches.recv().await.expect("it says how it ended")?;
        read.extend(batch.sequences());
    }
    Ok(read)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_one_replica_lacks_is_read_from_another() {
    let (mut servers, context) = cluster().await;
    for number in 1..=EVENTS {
        let sent = context.publish("orders.1", payload(number).into()).await;
        sent.unwrap().await.unwrap();
    }
    let led = until_led(&context, None).await;
    let context = super::context(&servers[led]).await;
    for number in (0..3).filter(|&number| number != led) {
        damage(&mut servers[number], &context).await;
    }

    let source = source(&servers[led].url());
    let (mut read_all, mut interrupted) = (0, 0);
    // A consumer is placed on one of the three by chance.
    while read_all == 0 || interrupted == 0 {
        match soon(read(&source)).await {
            Ok(read) => {
                assert_eq!(read, Vec::from_iter(1..=EVENTS));
                read_all += 1;
            }
            Err(SourceError::Interrupted { reason, .. }) => {
                let expected = "a replica did not give event 50, which the leader has";
                assert_eq!(reason, expected);
                interrupted += 1;
            }
            // While the servers choose who leads the cluster, after one was restarted, none makes a consumer.
            Err(SourceError::Unreachable { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}
