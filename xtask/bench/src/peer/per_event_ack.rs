//! What the tutorials show: a durable consumer with explicit acknowledgements; each event is one transaction and
//! one acknowledgement. The transaction holds the sequence too, so that a redelivery could be told.

use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use async_nats::jetstream::consumer::pull;
use futures::TryStreamExt as _;

use super::Job;
use super::table::{self, Orders};

/// When an acknowledgement is done.
#[derive(Clone, Copy)]
pub(super) enum Ack {
    /// When it is on its way. It may be lost, and the event comes again.
    Sent,
    /// When the server has answered it, which NATS calls a double ack: what its documentation asks for where an event must
    /// count once.
    Confirmed,
}

pub(super) async fn run(job: &Job, ack: Ack) -> Result<()> {
    let database = table::create(&job.database)?;
    let mut orders = Orders::new(&database)?;
    // One for each run, because the server remembers how far it got.
    let name = format!("tutorial-{}", std::process::id());
    let config = pull::Config {
        durable_name: Some(name),
        inactive_threshold: Duration::from_secs(10),
        ..Default::default()
    };
    let consumer = job.stream().await?.create_consumer(config).await?;
    let mut messages = consumer.messages().await?;
    loop {
        let message = messages.try_next().await?.context("the stream ended")?;
        let sequence = message.info().map_err(Error::from_boxed)?.stream_sequence;
        orders.begin()?;
        orders
            .apply(&message.payload)
            .with_context(|| format!("applying event {sequence}"))?;
        orders.commit(sequence)?;
        match ack {
            Ack::Sent => message.ack().await,
            Ack::Confirmed => message.double_ack().await,
        }
        .map_err(Error::from_boxed)?;
        if sequence >= job.last {
            return Ok(());
        }
    }
}
