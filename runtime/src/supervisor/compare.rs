//! Comparing the live generation with another one: both stand for as long as two snapshots take, and are read then.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::Supervisor;
use super::command_error::CommandError;
use super::message::{Message, Outcome, Reply};
use super::projection::Hosted;
use super::switch::answer;
use crate::projection::{Comparison, named};
use crate::store::StoreError;
use crate::store::sqlite::compare::{CompareError, Snapshot};
use crate::telemetry;

/// Comparisons at once: each reads two read models through, and keeps their write-ahead logs from being emptied.
pub(super) const COMPARISONS_MAX: usize = 2;

/// What to do about a read model that is not what its module gives.
const DIFFERS: &str = "`foldline status NAME --json` has examples; `foldline rebuild NAME` replaces the live read model";

/// Rows that differ, for each table, that a `verify` keeps.
pub(super) const VERIFY_EXAMPLES: usize = 10;

/// The live read model and the other one, at one sequence.
pub(super) struct Pair {
    live: One,
    other: One,
    projection: String,
    /// Events that were given up, which either may lack.
    discarded: usize,
    /// One of [`COMPARISONS_MAX`].
    _permit: OwnedSemaphorePermit,
}

struct One {
    number: u32,
    version: u32,
    snapshot: Snapshot,
}

impl Supervisor {
    /// Takes the snapshots that are compared. Neither generation commits anything meanwhile.
    pub(super) fn snapshots(&self, name: &str, number: u32) -> Result<Pair, CommandError> {
        let projection = self.projections.get(name);
        let projection = projection.ok_or_else(|| self.unknown(name))?;
        let mut generations = projection.generations.iter();
        let other = generations.find(|hosted| hosted.record.number == number);
        let (Some(live), Some(other)) = (projection.live(), other) else {
            let name = name.to_owned();
            return Err(CommandError::NothingToCompare { name });
        };
        let permit = Arc::clone(&self.ground.comparisons).try_acquire_owned();
        let pair = Pair {
            _permit: permit.map_err(|_| CommandError::Comparing)?,
            live: self.snapshot(live)?,
            other: self.snapshot(other)?,
            projection: name.to_owned(),
            discarded: self
                .ground
                .shared
                .catalog
                .discards(name, 0, usize::MAX)?
                .len(),
        };
        let (at, to) = (
            pair.other.snapshot.sequence(),
            pair.live.snapshot.sequence(),
        );
        if at != to {
            let name = name.to_owned();
            return Err(CommandError::NotTogether { name, at, to });
        }
        Ok(pair)
    }

    fn snapshot(&self, hosted: &Hosted) -> Result<One, StoreError> {
        let record = &hosted.record;
        let path = self.ground.shared.folder.path_of(&record.file);
        Ok(One {
            number: record.number,
            version: record.version,
            snapshot: Snapshot::take(&path, &record.definition)?,
        })
    }

    /// Compares the two on another thread. Without anybody who waits for it, it was a `verify`.
    pub(super) fn compare(&self, name: &str, pair: Pair, examples: usize, reply: Option<Reply>) {
        let (projection, reports) = (name.to_owned(), self.ground.reports.clone());
        let stop = self.ground.stop.clone();
        self.ground.tracker.spawn_blocking(move || {
            let number = pair.other.number;
            let compared = pair.compare(examples, &|| stop.is_cancelled());
            let compared = compared.map_err(CommandError::from);
            if reply.is_some() {
                return answer(reply, compared.map(|found| outcome(&projection, found)));
            }
            let message = Message::Verified {
                projection,
                number,
                compared,
            };
            // Nobody listens any more when the host stops; what was built is compared after the next start.
            let _not_heard = reports.blocking_send(message);
        });
    }

    /// Compares what was built to verify the live read model, once.
    pub(super) fn compare_to_verify(&mut self, name: &str, number: u32, pair: Pair) {
        if let Some(projection) = self.projections.get_mut(name) {
            projection.verifying = Some(number);
        }
        self.compare(name, pair, VERIFY_EXAMPLES, None);
    }

    /// What was built to verify the live read model is compared, and not needed any more.
    pub(super) fn verified(
        &mut self,
        name: &str,
        number: u32,
        compared: Result<Comparison, CommandError>,
    ) {
        match compared {
            Ok(found) if found.difference.equal => {
                tracing::info!(
                    projection = name,
                    sequence = found.difference.sequence,
                    "verified: built again, the read model is the same"
                );
                self.keep(name, found);
            }
            Ok(found) => {
                tracing::error!(
                    projection = name,
                    sequence = found.difference.sequence,
                    hint = named(DIFFERS, name),
                    "verified: built again, the read model is another one"
                );
                self.keep(name, found);
            }
            Err(error) => {
                tracing::error!(
                    projection = name,
                    hint = named(&error.hint(), name),
                    "cannot be verified: {error}"
                );
            }
        }
        let retired = self.ground.shared.catalog.retire(name, number);
        if let Err(error) = retired.and_then(|()| self.follow(name)) {
            tracing::error!(projection = name, hint = error.hint(), "{error}");
        }
    }

    fn keep(&mut self, name: &str, found: Comparison) {
        if let Some(projection) = self.projections.get_mut(name) {
            projection.verified = Some(Arc::new(found));
        }
    }
}

impl Pair {
    fn compare(
        &self,
        examples: usize,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Comparison, CompareError> {
        let (live, other) = (&self.live.snapshot, &self.other.snapshot);
        Ok(Comparison {
            live: self.live.number,
            live_version: self.live.version,
            other: self.other.number,
            other_version: self.other.version,
            at: telemetry::now(),
            difference: live.compare(other, examples, stopped)?,
            set_aside: self.set_aside()?,
        })
    }
}

impl Pair {
    /// What either lacks because it was set aside, in words.
    fn set_aside(&self) -> Result<Option<String>, CompareError> {
        let mut found = Vec::new();
        for (which, one) in [("live", &self.live), ("other", &self.other)] {
            let (letters, keys) = one.snapshot.set_aside()?;
            if letters > 0 {
                found.push(format!(
                    "the {which} one (generation {}) has {letters} dead letters and {keys} held keys",
                    one.number
                ));
            }
        }
        let rows = "their events are not in its rows, so rows may differ for that reason alone";
        let mut said = Vec::new();
        if !found.is_empty() {
            said.push(format!("{}: {rows}", found.join(", ")));
        }
        if self.discarded > 0 {
            said.push(format!(
                "discarded events: {}, which are in the rows of neither, or of the one whose module applies them (`foldline \
                 dead-letters list {} --discarded`)",
                self.discarded, self.projection
            ));
        }
        Ok((!said.is_empty()).then(|| said.join("; ")))
    }
}

fn outcome(name: &str, found: Comparison) -> Outcome {
    let verdict = if found.difference.equal {
        "are equal"
    } else {
        "differ"
    };
    let (live, other) = (found.live_version, found.other_version);
    let sequence = found.difference.sequence;
    let set_aside = found.set_aside.as_deref();
    let set_aside = set_aside.map_or_else(String::new, |text| format!("; {text}"));
    Outcome {
        message: format!(
            "versions {live} (live) and {other} of {name} {verdict} at sequence {sequence}{set_aside}"
        ),
        generation: Some(found.other),
        comparison: Some(found),
        settled: None,
    }
}
