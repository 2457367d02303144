//! Measures a loop from outside while it runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{Runner, blocking};
use crate::store::{OpenFiles, StoreError};

/// How often the rate is measured: often enough to say after the first tenth of a few seconds how long the rest takes.
const LOOK: Duration = Duration::from_millis(250);

/// The files are looked at with each so-many-th look.
const LOOKS_PER_FILE_CHECK: u32 = 4;

impl Runner {
    /// Measures the rate, and looks at the read model's files, until these are not what they should be.
    pub(super) async fn look(&self, files: &OpenFiles) -> StoreError {
        let mut replay_rate = self.progress.replay_rate();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut number = 0_u32;
        loop {
            look.tick().await;
            self.progress.look();
            number = number.wrapping_add(1);
            if let Some(damage) = self.damage() {
                return damage;
            }
            if !number.is_multiple_of(LOOKS_PER_FILE_CHECK) {
                continue;
            }
            if let Some(unfit) = self.unfit(files).await {
                return unfit;
            }
            let measured = self.progress.replay_rate();
            if measured != replay_rate {
                replay_rate = measured;
                self.keep_replay_rate(measured).await;
            }
        }
    }

    /// What readers have come upon.
    fn damage(&self) -> Option<StoreError> {
        let found = self.read_model.get()?.take_damage()?;
        let path = self.shared.folder.path_of(&self.record.file);
        Some(StoreError::damaged(&path, found))
    }

    /// Whether the files that are open are those that the next start will find. Asked on another thread: a disk may
    /// take its time.
    async fn unfit(&self, files: &OpenFiles) -> Option<StoreError> {
        let files = files.clone();
        let looked = blocking(move || files.check()).await;
        looked.ok()?.err()
    }

    /// For the next who asks how long a rebuild takes.
    async fn keep_replay_rate(&self, rate: Option<f64>) {
        let Some(rate) = rate else { return };
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let number = self.record.number;
        let kept = blocking(move || shared.catalog.replayed(&name, number, rate)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(projection = self.name, "{error}");
        }
    }
}
