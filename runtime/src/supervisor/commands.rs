//! What operators ask for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::command_error::CommandError;
use super::message::{Aim, BuildFrom, Command, Message, Outcome, Reply};
use super::succession::Ahead;
use super::switch::{NEAR, answer};
use super::{Hosted, Projection, Supervisor};
use crate::catalog::{GenerationState, Incident, Purpose};
use crate::config::Projection as Settings;
use crate::event::{Sequence, Timestamp};

/// Events that a generation may be behind when it is promoted by hand: it comes up while the live one stands, and where
/// that takes longer than a [meeting](super::meeting) allows, nothing is changed and the operator is told.
const NEAR_ENOUGH: u64 = 10_000;

/// What a command comes to.
enum Step {
    /// It is done.
    Done(Outcome),
    /// This generation is to be brought together with the live one.
    Meet(u32, Aim),
}

impl Supervisor {
    pub(super) fn command(&mut self, name: &str, command: &Command, reply: Reply) {
        let step = match command {
            Command::Rebuild { from: None } => self.rebuild(name, None).map(Step::Done),
            Command::Rebuild { from: Some(from) } => match *from {
                BuildFrom::Sequence(from) => self.rebuild(name, Some(from)).map(Step::Done),
                BuildFrom::Time(time) => return self.rebuild_since(name, time, reply),
            },
            Command::Promote => self
                .promotable(name)
                .map(|number| Step::Meet(number, Aim::Switch)),
            Command::Rollback => self
                .standby(name)
                .map(|number| Step::Meet(number, Aim::Switch)),
            Command::Diff { examples } => {
                let aim = Aim::Compare {
                    examples: *examples,
                };
                self.comparable(name).map(|number| Step::Meet(number, aim))
            }
            Command::DeadLetter {
                sequence,
                action,
                generation,
            } => return self.dead_letter(name, (*sequence, *action), *generation, reply),
            Command::Verify => self.verify(name),
            Command::Cancel => self.cancel(name).map(Step::Done),
            Command::Pause => self.pause(name, true),
            Command::Resume => self.pause(name, false),
            Command::Remove => self.remove(name),
        };
        match step {
            Ok(Step::Done(outcome)) => answer(Some(reply), Ok(outcome)),
            Ok(Step::Meet(number, aim)) => self.meet(name, number, aim, Some(reply)),
            Err(error) => answer(Some(reply), Err(self.rather_paused(name, error))),
        }
    }

    /// What is paused comes no nearer, whatever else is said of it.
    pub(super) fn rather_paused(&self, name: &str, error: CommandError) -> CommandError {
        let paused = self
            .projections
            .get(name)
            .is_some_and(Projection::is_paused);
        match error {
            CommandError::NotCaughtUp { .. } | CommandError::Apart(_) if paused => {
                CommandError::Paused { name: name.into() }
            }
            other => other,
        }
    }

    pub(super) fn settings(&self, name: &str) -> Settings {
        self.ground.shared.config.projection(name)
    }

    pub(super) fn unknown(&self, name: &str) -> CommandError {
        let names: Vec<_> = self.projections.keys().map(String::as_str).collect();
        let known = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        CommandError::Unknown {
            name: name.to_owned(),
            known,
        }
    }

    pub(super) fn find(&self, name: &str) -> Result<&Projection, CommandError> {
        self.projections.get(name).ok_or_else(|| self.unknown(name))
    }

    /// A projection that runs.
    pub(super) fn running(&self, name: &str) -> Result<&Projection, CommandError> {
        let projection = self.find(name)?;
        let name = name.to_owned();
        if projection.is_paused() {
            return Err(CommandError::Paused { name });
        }
        if projection.file.is_none() {
            return Err(CommandError::Stopped { name });
        }
        Ok(projection)
    }

    /// Number of the generation that can be promoted.
    fn promotable(&self, name: &str) -> Result<u32, CommandError> {
        let projection = self.find(name)?;
        let name = || name.to_owned();
        let Some(built) = projection.built() else {
            return Err(CommandError::NothingToPromote { name: name() });
        };
        let (record, status) = (&built.record, built.progress.subscribe());
        let version = record.version;
        if record.state == GenerationState::Failed {
            return Err(built.build_failed());
        }
        if record.purpose == Purpose::Verify {
            return Err(CommandError::NothingToPromote { name: name() });
        }
        built.usable()?;
        let status = status.borrow();
        let live = projection.live().map(|live| Ahead::of(live, true));
        let aim = live.as_ref().map_or(0, |live| live.aim(record, &status));
        let lag = aim.saturating_sub(status.checkpoint);
        // Nearer than that it comes up while the live one stands; where that is given up, nobody waits for it.
        let given_up = live.is_some_and(|live| live.is_given_up(record, &status));
        let near = if given_up { *NEAR.start() } else { NEAR_ENOUGH };
        if lag > near {
            return Err(CommandError::NotCaughtUp {
                name: name(),
                version,
                lag,
            });
        }
        Ok(record.number)
    }

    fn standby(&self, name: &str) -> Result<u32, CommandError> {
        let standby = self.find(name)?.of_state(GenerationState::Standby);
        let none = || CommandError::NoStandby {
            name: name.to_owned(),
        };
        let standby = standby.ok_or_else(none)?;
        standby.usable()?;
        Ok(standby.record.number)
    }

    /// Number of the generation that the live one can be compared with.
    fn comparable(&self, name: &str) -> Result<u32, CommandError> {
        let projection = self.find(name)?;
        let building = projection.of_state(GenerationState::Building);
        // One that is built to verify compares itself when it has caught up.
        if building.is_some_and(|building| building.record.purpose == Purpose::Promote) {
            return self.promotable(name);
        }
        let none = || CommandError::NothingToCompare {
            name: name.to_owned(),
        };
        let standby = projection.of_state(GenerationState::Standby);
        Ok(standby.ok_or_else(none)?.record.number)
    }

    /// The live generation of a projection that builds nothing else, or nothing that goes on.
    pub(super) fn buildable(&self, name: &str) -> Result<&Hosted, CommandError> {
        let projection = self.running(name)?;
        let building = projection.of_state(GenerationState::Building);
        // What is compared with a read model that cannot go on is in nobody's way.
        let halted = projection
            .live()
            .is_some_and(|live| live.incident().is_some());
        let gives_way = |building: &Hosted| {
            building.has_stopped() || (halted && building.record.purpose == Purpose::Verify)
        };
        if let Some(building) = building.filter(|building| !gives_way(building)) {
            let (version, purpose) = (building.record.version, building.record.purpose);
            return Err(CommandError::Building {
                name: name.to_owned(),
                version,
                purpose,
                goes_on: !halted,
            });
        }
        projection.live().ok_or_else(|| self.unknown(name))
    }

    /// Asks the stream for the sequence of that time, and comes back with it.
    fn rebuild_since(&self, name: &str, time: Timestamp, reply: Reply) {
        let stream = self.buildable(name).and_then(|live| {
            let stream = live.progress.subscribe().borrow().stream.clone();
            stream.ok_or_else(|| CommandError::NoStream { name: name.into() })
        });
        let stream = match stream {
            Ok(stream) => stream,
            Err(error) => return answer(Some(reply), Err(error)),
        };
        let (source, reports) = (
            Arc::clone(&self.ground.shared.source),
            self.ground.reports.clone(),
        );
        let projection = name.to_owned();
        tokio::spawn(async move {
            let from = match source.sequence_at(&stream, time).await {
                Ok(sequence) => Some(BuildFrom::Sequence(sequence)),
                Err(error) => return answer(Some(reply), Err(error.into())),
            };
            let again = Message::Command {
                projection,
                command: Command::Rebuild { from },
                reply,
            };
            // A supervisor that is gone drops the reply, which says so.
            let _not_heard = reports.send(again).await;
        });
    }

    fn verify(&mut self, name: &str) -> Result<Step, CommandError> {
        let live = self.buildable(name)?;
        live.usable()?;
        if let Some(problem) = live.no_comparison() {
            let name = name.to_owned();
            return Err(CommandError::Halted { name, problem });
        }
        // The two would have to stand at the same event: what passes that one leaves the live one behind for good.
        if let Some(error) = live.stopped_at_event() {
            return Err(error);
        }
        // One that has come to a stop may wait for a decision, such as to accept what its stream has lost.
        let building = self.find(name)?.of_state(GenerationState::Building);
        let waits = building.filter(|building| building.record.purpose == Purpose::Promote);
        if let Some(waits) = waits {
            return Err(CommandError::Building {
                name: name.to_owned(),
                version: waits.record.version,
                purpose: Purpose::Promote,
                goes_on: true,
            });
        }
        let built = self.find(name)?.built().map(|built| built.record.version);
        if let Some(version) = built.filter(|&version| version > live.record.version) {
            let name = name.to_owned();
            return Err(CommandError::BeginsAgain { name, version });
        }
        let from = live.record.started_from;
        let number = self.build_again(name, live, Purpose::Verify, from, None)?;
        self.follow(name)?;
        let message =
            format!("{name} is being built again, to be compared with the live read model");
        Ok(Step::Done(Outcome::said(message, Some(number))))
    }

    /// Enters a generation that the same module builds as this one.
    pub(super) fn build_again(
        &self,
        name: &str,
        same: &Hosted,
        purpose: Purpose,
        from: Option<Sequence>,
        incident: Option<&Incident>,
    ) -> Result<u32, CommandError> {
        let module = self.module(&same.record.digest);
        let module = module.map_err(|(reason, _)| CommandError::Module {
            name: name.to_owned(),
            reason,
        })?;
        let state = GenerationState::Building;
        Ok(self.add(&module, state, purpose, from, incident)?)
    }

    fn pause(&mut self, name: &str, paused: bool) -> Result<Step, CommandError> {
        let projection = self.find(name)?;
        let was = projection.is_paused();
        let word = if paused { "paused" } else { "resumed" };
        let mut message = format!("{name} is {word}");
        if was == paused {
            message = match paused {
                true => format!("{name} is paused already"),
                false => format!("{name} was not paused"),
            };
        } else {
            self.ground.shared.catalog.pause(name, paused)?;
            projection.paused.store(paused, Ordering::Relaxed);
            self.follow(name)?;
            tracing::info!(projection = name, "{word}");
        }
        Ok(Step::Done(Outcome::said(message, None)))
    }

    fn remove(&mut self, name: &str) -> Result<Step, CommandError> {
        let projection = self.find(name)?;
        if let Some(file) = projection.file.clone() {
            let name = name.to_owned();
            return Err(CommandError::StillThere { name, file });
        }
        let files: Vec<_> = projection
            .generations
            .iter()
            .map(|hosted| hosted.record.file.clone())
            .collect();
        let shared = &self.ground.shared;
        // Nothing runs without a file, but a last run may still be ending; deleting waits for nothing, since nobody
        // opens these files again.
        for file in &files {
            shared.folder.delete(file)?;
        }
        shared.catalog.remove(name)?;
        self.projections.remove(name);
        self.directory.remove(name);
        tracing::info!(projection = name, files = files.join(", "), "removed");
        let message = format!("{name} is removed with {} read model files", files.len());
        Ok(Step::Done(Outcome::said(message, None)))
    }
}
