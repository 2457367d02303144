//! The limit: a pull consumer that looks at every payload and drops it.

use anyhow::{Context as _, Result};
use futures::TryStreamExt as _;

use super::Job;

pub(super) async fn run(job: &Job) -> Result<()> {
    let mut messages = job.read().await?;
    let mut sum = 0_u64;
    loop {
        let message = messages.try_next().await?.context("the stream ended")?;
        let payload = &message.payload;
        sum += payload.len() as u64 + u64::from(payload.last().copied().unwrap_or(0));
        let sequence = message
            .info()
            .map_err(anyhow::Error::from_boxed)?
            .stream_sequence;
        if sequence >= job.last {
            break;
        }
    }
    std::hint::black_box(sum);
    Ok(())
}
