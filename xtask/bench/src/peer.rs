//! What the host is compared with. Each of them is a process of its own, this same program started with
//! `peer NAME`: it prints `done` when everything is committed, and ends when its stdin is closed, so that what it
//! used can be read in between.

mod drain;
mod native;
mod order;
mod per_event_ack;
mod table;

use std::io::{Read as _, stdin};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, stream::Stream};
use clap::{Args, Subcommand};

use crate::load::STREAM;
use per_event_ack::Ack;

/// What a peer prints when it has read and committed everything.
pub(crate) const DONE: &str = "done";

/// Messages asked for at once; the fastest of those tried in `BENCHMARKS.md`.
const BATCH: usize = 5_000;

/// Which one to be.
#[derive(Subcommand)]
pub(crate) enum Peer {
    /// Reads every message and drops it
    Drain(Job),
    /// What a good Rust service does
    Native(Job),
    /// What the tutorials show: one transaction and one acknowledgement for each event
    PerEventAck(Job),
    /// The same, waiting until the server has confirmed each acknowledgement
    PerEventDoubleAck(Job),
}

/// What to read and where to put it.
#[derive(Args)]
pub(crate) struct Job {
    /// `nats://127.0.0.1:PORT`
    #[arg(long)]
    url: String,
    /// Sequence of the last event to read
    #[arg(long)]
    last: u64,
    /// SQLite file to make
    #[arg(long)]
    database: PathBuf,
}

impl Peer {
    /// Does its job, says so, and waits for the end of stdin.
    pub(crate) fn run(&self) -> Result<()> {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(async {
            match self {
                Self::Drain(job) => drain::run(job).await,
                Self::Native(job) => native::run(job).await,
                Self::PerEventAck(job) => per_event_ack::run(job, Ack::Sent).await,
                Self::PerEventDoubleAck(job) => per_event_ack::run(job, Ack::Confirmed).await,
            }
        })?;
        println!("{DONE}");
        stdin().read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

impl Job {
    async fn stream(&self) -> Result<Stream> {
        let client = async_nats::connect(&self.url).await;
        let client = client.with_context(|| format!("connecting to {}", self.url))?;
        Ok(jetstream::new(client).get_stream(STREAM).await?)
    }

    /// Everything from event 1 on, unacknowledged, in large pulls: the fastest plain consumer.
    async fn read(&self) -> Result<pull::Stream> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::None,
            memory_storage: true,
            ..Default::default()
        };
        let consumer = self.stream().await?.create_consumer(config).await?;
        let messages = consumer.stream().max_messages_per_batch(BATCH).messages();
        messages.await.context("reading the stream")
    }
}
