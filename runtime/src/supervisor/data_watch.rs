//! Keeps what the host has open in the data folder where the next start looks for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::Shared;
use crate::store::folder::FolderError;

/// How often it is looked. What was written to a file without a name is lost when the host dies before.
const LOOK: Duration = Duration::from_secs(1);

/// Looks after the lock file and the catalog; generations look after their own files.
pub struct DataWatch {
    shared: Arc<Shared>,
}

impl DataWatch {
    /// Of the data folder that is in use.
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Runs until another host uses the folder: that is what it ends with.
    pub async fn keep(self) -> FolderError {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = String::new();
        loop {
            look.tick().await;
            let shared = Arc::clone(&self.shared);
            let looked = tokio::task::spawn_blocking(move || look_after(&shared)).await;
            match looked {
                Ok(Err(lost)) => return lost,
                Ok(Ok(trouble)) => say(&mut said, trouble),
                // It panicked; the next look may not.
                Err(_) => {}
            }
        }
    }
}

/// Something that could not be put in order, and what to do.
type Trouble = Option<(String, &'static str)>;

fn look_after(shared: &Shared) -> Result<Trouble, FolderError> {
    match shared.folder.keep_lock() {
        Ok(false) => {}
        Ok(true) => tracing::warn!("the data folder's lock file was deleted: it is made again"),
        Err(held @ FolderError::Held { .. }) => return Err(held),
        Err(other) => return Ok(Some((other.to_string(), other.hint()))),
    }
    match shared.catalog.keep_in_place() {
        Ok(false) => Ok(None),
        Ok(true) => {
            tracing::warn!(
                "the catalog was deleted or replaced while it was in use: it is written again as it was; what lay in its \
                 place is kept as catalog.db.found"
            );
            Ok(None)
        }
        Err(error) => Ok(Some((error.to_string(), error.hint()))),
    }
}

/// Says it once, and again when it is another one.
fn say(said: &mut String, trouble: Trouble) {
    let Some((error, hint)) = trouble else {
        said.clear();
        return;
    };
    if *said != error {
        tracing::error!(hint, "{error}");
        *said = error;
    }
}
