//! Work that blocks its thread: reads of SQLite.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{block_in_place, spawn_blocking};

use super::HttpProblem;

/// Does `work` where the request is: another thread takes over what else this one had to do. Handing the work to a
/// thread for such and waiting for that one takes as long as reading one row. A runtime of one thread, as some tests
/// have it, has no other to take over.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HttpProblem> {
    let done = match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => spawn_blocking(work).await.ok(),
        // What a panic leaves behind is dropped with the work: a connection of its own.
        _ => block_in_place(|| catch_unwind(AssertUnwindSafe(work))).ok(),
    };
    done.ok_or_else(|| HttpProblem::internal("the read failed; see the host's log"))
}
