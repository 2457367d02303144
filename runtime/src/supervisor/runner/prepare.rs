//! Everything that comes before the loop: the file, the place in the stream, the events from there.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Runner, Shared, blocking};
use crate::catalog::GenerationRecord;
use crate::event::Position;
use crate::guest::GuestModule;
use crate::projection::directory::ReadModelFile;
use crate::projection::recovery::{Failure, Rules};
use crate::projection::task::{Inputs, Task};
use crate::session::Session;
use crate::source::position::{OnLostEvents, Resume, Start};
use crate::store::sqlite::{SqliteStore, look_through};
use crate::store::{Checkpoint, ReadModelStore};
use crate::subject::SubjectFilter;

impl Runner {
    /// Everything else the loop needs: its place in the stream, and the events from there.
    pub(super) async fn prepare(
        &self,
        store: SqliteStore,
        module: GuestModule,
        stop: CancellationToken,
    ) -> Result<Task, Failure> {
        let (checkpoint, resume) = self.place(store.checkpoint(), &module).await?;
        self.progress.place_found();
        let store = self.settle_place(store, &checkpoint, &resume).await?;
        let missing = self.what_is_missing(checkpoint.sequence).await?;
        self.losses.passed();
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
            warnings: Vec::from_iter(missing),
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
                stop,
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
        let known = self.read_model.get();
        let suspect = known.is_some_and(|known| known.take_damage().is_some());
        let store = blocking(move || open_file(&shared, &record, &module, suspect)).await??;
        self.read_model.get_or_init(|| {
            let path = self.shared.folder.path_of(&self.record.file);
            Arc::new(ReadModelFile::new(path, self.record.definition.clone()))
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
        // Without an anchor nothing has been read yet.
        let has_read = stored.is_some_and(|stored| stored.anchor != 0);
        let on_lost = match self.losses.pass() || (!has_read && self.takes_what_is_left()) {
            true => OnLostEvents::Accept,
            false => self.on_lost_events(),
        };
        let resume = self.check(&stream, stored, start, on_lost).await?;
        let resume = self.with_known_losses(&stream, resume, on_lost).await?;
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

    /// Commits the place where it goes on, where no event would: that lost events are passed over, so that it stays
    /// accepted, and says so; and that it begins at the end of a stream in which nothing is left.
    async fn settle_place(
        &self,
        mut store: SqliteStore,
        checkpoint: &Checkpoint,
        resume: &Resume,
    ) -> Result<SqliteStore, Failure> {
        if let Some(lost) = resume.lost {
            self.keep_accepted(lost).await;
            tracing::warn!(
                projection = self.name,
                stream = checkpoint.stream,
                "the loss of {lost} is accepted: changes are missing from the read model"
            );
        }
        let begins_at_end = store.checkpoint().is_none()
            && checkpoint.sequence > 0
            && checkpoint.sequence == resume.last_sequence;
        if resume.lost.is_none() && !begins_at_end {
            return Ok(store);
        }
        let place = checkpoint.clone();
        blocking(move || {
            store.commit(&place)?;
            Ok(store)
        })
        .await?
    }
}

/// Opens the file of a generation, or makes it, once. One that was found damaged, or is suspected of it by a reader, is
/// looked through first: somebody may have put a whole one in its place.
fn open_file(
    shared: &Shared,
    record: &GenerationRecord,
    module: &GuestModule,
    suspect: bool,
) -> Result<SqliteStore, Failure> {
    let (name, number) = (&module.definition.name, record.number);
    let history = shared.catalog.file_history(name, number)?;
    let path = shared.folder.path_of(&record.file);
    if (suspect || history.damaged) && path.exists() {
        look_through(&path)?;
    }
    let (definition, digest) = (&module.definition, &module.digest);
    let store = shared
        .folder
        .open_or_create(&record.file, definition, digest, history.made)?;
    if history.damaged || !history.made {
        shared.catalog.file_opened(name, number)?;
    }
    Ok(store)
}

/// The module's subject filters; the definition was checked when it was loaded.
fn filters(module: &GuestModule) -> Vec<SubjectFilter> {
    module.definition.filters().unwrap_or_default()
}
