//! Everything that comes before the loop: the file, the place in the stream, the events from there.

use std::sync::Arc;

use super::{Runner, blocking};
use crate::event::Position;
use crate::guest::GuestModule;
use crate::projection::directory::ReadModelFile;
use crate::projection::recovery::{Failure, Rules};
use crate::projection::task::{Inputs, Task};
use crate::session::Session;
use crate::source::LostEvents;
use crate::source::position::{self, OnLostEvents, Resume, Start};
use crate::store::sqlite::SqliteStore;
use crate::store::{Checkpoint, ReadModelStore};
use crate::subject::SubjectFilter;

impl Runner {
    /// Everything else the loop needs: its place in the stream, and the events from there.
    pub(super) async fn prepare(
        &self,
        store: SqliteStore,
        module: GuestModule,
    ) -> Result<Task, Failure> {
        let (checkpoint, resume) = self.place(store.checkpoint(), &module).await?;
        let store = self.pass_over_lost(store, &checkpoint, &resume).await?;
        let readers = &self.shared.readers;
        let subscription = readers
            .subscribe(&checkpoint.stream, checkpoint.position())
            .await?;
        Ok(Task {
            session: self.session(store, &module)?,
            checkpoint,
            rules: Rules {
                guest: self.shared.guest_limits,
                commits: self.shared.config.store.commits(),
                poison: self.poison.clone(),
            },
            resume,
            progress: self.progress.clone(),
            brake: self.brake.clone(),
            turn: self.turn.clone(),
            inputs: Inputs {
                subscription,
                ahead: None,
                filters: filters(&module),
                limits: self.shared.batch_limits,
                module: self.module.clone(),
                requests: self.requests.clone(),
                stop: self.stop.clone(),
            },
            guest: module,
        })
    }

    fn session(&self, store: SqliteStore, module: &GuestModule) -> Result<Session, Failure> {
        let cache = self.shared.config.store.cache_bytes();
        let definition = Arc::clone(&module.definition);
        Ok(Session::new(Box::new(store), definition, cache)?)
    }

    /// Opens the read model, making it where there is none, and serves it.
    pub(super) async fn open(&self, module: GuestModule) -> Result<SqliteStore, Failure> {
        let (shared, record) = (Arc::clone(&self.shared), Arc::clone(&self.record));
        let store = blocking(move || {
            let definition = &module.definition;
            shared
                .folder
                .open_or_create(&record.file, definition, &module.digest)
        })
        .await??;
        self.read_model.get_or_init(|| {
            Arc::new(ReadModelFile {
                path: self.shared.folder.path_of(&self.record.file),
                definition: self.record.definition.clone(),
            })
        });
        self.progress.opened(store.checkpoint());
        Ok(store)
    }

    /// Finds the stream and checks that the read model's checkpoint belongs to it.
    async fn place(
        &self,
        stored: Option<&Checkpoint>,
        module: &GuestModule,
    ) -> Result<(Checkpoint, Resume), Failure> {
        let source = &*self.shared.source;
        let settings = self.shared.config.projection(&self.name);
        let stream = match (&settings.stream, stored) {
            (Some(stream), Some(checkpoint)) if checkpoint.stream != *stream => {
                return Err(Failure::OtherStream {
                    configured: stream.clone(),
                    stored: checkpoint.stream.clone(),
                });
            }
            (Some(stream), _) => stream.clone(),
            (None, Some(checkpoint)) => checkpoint.stream.clone(),
            (None, None) => source.find_stream(&filters(module)).await?,
        };
        self.progress.found(&stream);
        let start = self.record.started_from.map(Start::Sequence);
        let start = start.unwrap_or(settings.start);
        let on_lost = match self.losses.pass() {
            true => OnLostEvents::Accept,
            false => settings.on_lost_events,
        };
        let resume = position::check(source, &stream, stored, start, on_lost).await?;
        let first = || Checkpoint {
            stream,
            sequence: resume.after,
            anchor: 0,
            epoch: 1,
        };
        let checkpoint = match (stored, resume.lost) {
            (Some(stored), None) => stored.clone(),
            (Some(stored), Some(lost)) => stored.at(Position {
                sequence: lost.last,
                // Nobody knows when that event was stored, so it is no anchor.
                time: 0,
            }),
            (None, _) => first(),
        };
        Ok((checkpoint, resume))
    }

    /// Commits that lost events are passed over, so that it stays accepted, and says so.
    async fn pass_over_lost(
        &self,
        mut store: SqliteStore,
        checkpoint: &Checkpoint,
        resume: &Resume,
    ) -> Result<SqliteStore, Failure> {
        let Some(LostEvents { first, last }) = resume.lost else {
            return Ok(store);
        };
        tracing::warn!(
            projection = self.name,
            stream = checkpoint.stream,
            "the loss of events {first} to {last} is accepted: their changes are missing from the read model"
        );
        if store.checkpoint().is_none() {
            return Ok(store);
        }
        let next = checkpoint.clone();
        blocking(move || {
            store.commit(&next)?;
            Ok(store)
        })
        .await?
    }
}

/// The module's subject filters; the definition was checked when it was loaded.
fn filters(module: &GuestModule) -> Vec<SubjectFilter> {
    module.definition.filters().unwrap_or_default()
}
