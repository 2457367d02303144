//! Notices that something in the modules folder changed. It does not say what: the catalog looks.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use notify_debouncer_full::notify::{RecommendedWatcher, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, Debouncer, RecommendedCache, new_debouncer};
use tokio::sync::mpsc;

/// Changes closer together than this are one change: a copied file gives several events.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// The folder is looked at this often even without an event: network file systems and some container
/// mounts send none, and a file that was still being written is looked at again.
const POLL: Duration = Duration::from_secs(1);

/// Watches one folder while it lives.
pub struct FolderWatch {
    changed: mpsc::Receiver<()>,
    /// Stops watching when dropped. None where the system cannot watch; polling still works.
    _debouncer: Option<Debouncer<RecommendedWatcher, RecommendedCache>>,
}

impl FolderWatch {
    /// Starts to watch `dir`.
    pub fn new(dir: &Path) -> Self {
        // One slot: "something changed" said twice is still one look.
        let (sender, changed) = mpsc::channel(1);
        let debouncer = watch(dir, sender).inspect_err(|error| {
            tracing::warn!("{error:#}; the folder is looked at every {POLL:?} instead");
        });
        Self {
            changed,
            _debouncer: debouncer.ok(),
        }
    }

    /// Waits until the folder should be looked at again.
    pub async fn changed(&mut self) {
        // Without a watcher the channel is closed; the time-out alone counts then.
        let event = async {
            if self.changed.recv().await.is_none() {
                std::future::pending::<()>().await;
            }
        };
        let _elapsed_or_event = tokio::time::timeout(POLL, event).await;
    }
}

fn watch(
    dir: &Path,
    changed: mpsc::Sender<()>,
) -> anyhow::Result<Debouncer<RecommendedWatcher, RecommendedCache>> {
    let on_event = move |_: DebounceEventResult| {
        // A full channel already says it.
        let _already_said = changed.try_send(());
    };
    let cannot = || format!("cannot watch {}", dir.display());
    let mut debouncer = new_debouncer(DEBOUNCE, None, on_event).with_context(cannot)?;
    debouncer
        .watch(dir, RecursiveMode::NonRecursive)
        .with_context(cannot)?;
    Ok(debouncer)
}
