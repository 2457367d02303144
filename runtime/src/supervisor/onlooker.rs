//! Looks at a stream's end for a generation, whether that runs or not: also one that is paused or cannot go on says
//! truly how far behind it is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::task::AbortOnDropHandle;

use super::runner::Shared;
use crate::projection::progress::Progress;

/// How often: a person who waits for an event sees it within a second.
const LOOK: Duration = Duration::from_secs(1);

/// Looks until the handle is dropped.
pub(super) fn look_on(shared: Arc<Shared>, progress: Progress) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            progress.look();
            let Some(stream) = progress.stream() else {
                continue;
            };
            // The reader reports the same trouble with more detail; here it only means "not now".
            if let Ok(state) = shared.source.stream_state(&stream).await {
                progress.stream_seen(state.last_sequence);
            }
        }
    }))
}
