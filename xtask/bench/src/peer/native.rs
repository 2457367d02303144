//! What a good engineer writes by hand for one read model: a pull consumer without acknowledgements, typed JSON,
//! prepared statements, and transactions of 1,000 events that hold the checkpoint. No Wasm.

use anyhow::{Context as _, Result};
use futures::TryStreamExt as _;

use super::Job;
use super::table::{self, Orders};

const EVENTS_PER_TRANSACTION: u64 = 1_000;

pub(super) async fn run(job: &Job) -> Result<()> {
    let database = table::create(&job.database)?;
    let mut orders = Orders::new(&database)?;
    let mut messages = job.read().await?;
    let mut applied = 0;
    loop {
        let message = messages.try_next().await?.context("the stream ended")?;
        let sequence = message
            .info()
            .map_err(anyhow::Error::from_boxed)?
            .stream_sequence;
        if applied % EVENTS_PER_TRANSACTION == 0 {
            orders.begin()?;
        }
        orders
            .apply(&message.payload)
            .with_context(|| format!("applying event {sequence}"))?;
        applied += 1;
        let is_last = sequence >= job.last;
        if is_last || applied % EVENTS_PER_TRANSACTION == 0 {
            orders.commit(sequence)?;
        }
        if is_last {
            return Ok(());
        }
    }
}
