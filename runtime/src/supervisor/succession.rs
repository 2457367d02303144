//! What takes the place of a live generation that cannot go on: because its file is damaged or gone, or because its
//! stream is another one, or has lost events.

use tokio::sync::watch;

use super::message::Outcome;
use super::{CommandError, Hosted, Supervisor};
use crate::catalog::{GenerationRecord, GenerationState, Incident, Purpose};
use crate::event::Sequence;
use crate::projection::{Problem, State, Status, StreamPlace, named};
use crate::source::position::OnLostEvents;
use crate::store::{DAMAGED, MISSING, WRONG};
use crate::telemetry;

/// What is known of a read model whose place is one in another stream.
const OF_ANOTHER_STREAM: &str = "it is of another stream";

/// What is wrong with a stream so that only a rebuild helps, unless it is restored.
const OF_THE_STREAM: [&str; 4] = [
    "events_lost",
    "stream_replaced",
    "stream_went_back",
    "other_stream",
];

/// What is in the way of a generation that does not run, if that is one of these.
fn problem<'a>(status: &'a Status, codes: &[&str]) -> Option<&'a Problem> {
    let problem = status.obstacle();
    problem.filter(|problem| codes.contains(&problem.code.as_str()))
}

/// Why its file cannot be read as a whole, if so: nobody can say how far it has come.
pub(super) fn broken(status: &Status) -> Option<&Problem> {
    problem(status, &[DAMAGED, MISSING, WRONG])
}

/// That it is of another stream, where the server has gone away since that was found.
fn elsewhere(status: &Status) -> Option<Problem> {
    (status.place == StreamPlace::Elsewhere).then(|| Problem {
        code: "stream_replaced".into(),
        error: OF_ANOTHER_STREAM.into(),
        hint: None,
        lost: None,
        event: None,
        at: telemetry::now(),
    })
}

/// The live generation, as something that another one is to reach before it takes its place.
pub(super) struct Ahead {
    number: u32,
    pub(super) status: watch::Receiver<Status>,
    decided: bool,
}

impl Ahead {
    /// `decided` says that somebody wants a read model of the stream as it is now, if this one's is not what it was: an
    /// operator who promotes, or the configuration.
    pub(super) fn of(live: &Hosted, decided: bool) -> Self {
        Self {
            number: live.record.number,
            status: live.progress.subscribe(),
            decided,
        }
    }

    /// Whether a generation may take its place without having reached its checkpoint: that is a place in another stream,
    /// or not known.
    pub(super) fn is_given_up(&self, next: &GenerationRecord, of_next: &Status) -> bool {
        self.gives_up(&self.status.borrow(), next, of_next)
    }

    /// The same of a status that is borrowed already, which must not be done twice at once.
    fn gives_up(&self, live: &Status, next: &GenerationRecord, of_next: &Status) -> bool {
        if broken(live).is_some() {
            return true;
        }
        if live.place != StreamPlace::Elsewhere && problem(live, &OF_THE_STREAM).is_none() {
            return false;
        }
        // What reads the stream without a problem reads the stream as it is now.
        let reads = matches!(of_next.status, State::CatchingUp | State::Live);
        let replaces = next.purpose == Purpose::Promote;
        next.is_begun_for(self.number) || (self.decided && reads && replaces)
    }

    /// Whether a generation is not to take its place by itself: their places are of two streams, and nobody has decided for
    /// the one that there is now; or it has not looked yet at what stream that is.
    pub(super) fn is_elsewhere(&self, next: &GenerationRecord, of_next: &Status) -> bool {
        let live = self.status.borrow();
        let looks = live.status == State::Starting || problem(&live, &["stream_missing"]).is_some();
        let elsewhere = match live.place {
            StreamPlace::Here => false,
            StreamPlace::Unknown => looks,
            StreamPlace::Elsewhere => true,
        };
        elsewhere && !self.gives_up(&live, next, of_next)
    }

    /// The sequence that `next` has to reach before it takes its place: the live one's checkpoint, or the stream's end
    /// where the live one is given up.
    pub(super) fn aim(&self, next: &GenerationRecord, of_next: &Status) -> Sequence {
        let live = self.status.borrow();
        match self.gives_up(&live, next, of_next) {
            true => of_next.last_sequence,
            false => live.checkpoint,
        }
    }

    /// Whether a generation has passed the event that the live one has stopped at, if it has: what may stop there, too, is
    /// no better before. What is only compared need not be better.
    pub(super) fn is_passed(&self, next: &GenerationRecord, of_next: &Status) -> bool {
        let live = self.status.borrow();
        let obstacle = live.stands_before().map(|failed| failed.event.sequence);
        next.purpose == Purpose::Verify || obstacle.is_none_or(|it| of_next.checkpoint >= it)
    }
}

impl Hosted {
    /// Whether it is to take the place of this one as its next version.
    fn is_to_follow(&self, live: &Self) -> bool {
        let (next, live) = (&self.record, &live.record);
        next.purpose == Purpose::Promote && next.version > live.version
    }

    /// Whether it may take the place of the live one from wherever it is.
    pub(super) fn need_not_reach(&self, live: &Self, decided: bool) -> bool {
        let status = self.progress.subscribe();
        Ahead::of(live, decided).is_given_up(&self.record, &status.borrow())
    }

    /// Whether it was being built and came to a stop that does not pass by itself.
    pub(super) fn has_stopped(&self) -> bool {
        match self.record.state {
            GenerationState::Failed => true,
            GenerationState::Building => self.progress.subscribe().borrow().status == State::Failed,
            _ => false,
        }
    }

    /// Why its file cannot be read as a whole, if so.
    pub(super) fn broken(&self) -> Option<Problem> {
        broken(&self.progress.subscribe().borrow()).cloned()
    }

    /// What would be answered by building it again, if something would.
    pub(super) fn incident(&self) -> Option<Incident> {
        let status = self.progress.subscribe();
        let status = status.borrow();
        let found = broken(&status).or(problem(&status, &OF_THE_STREAM));
        Some(Incident {
            generation: self.record.number,
            checkpoint: status.checkpoint,
            problem: found.cloned().or_else(|| elsewhere(&status))?,
        })
    }

    /// Why nothing can be compared with it: it is not of the stream that there is now.
    pub(super) fn no_comparison(&self) -> Option<String> {
        let status = self.progress.subscribe();
        let status = status.borrow();
        let missing = problem(&status, &["stream_missing"]);
        let found = problem(&status, &OF_THE_STREAM).or(missing);
        // What is in the way now may be that the server is away.
        let found = found.cloned().or_else(|| elsewhere(&status));
        found.map(|problem| problem.error)
    }

    /// That its file can be read.
    pub(super) fn usable(&self) -> Result<(), CommandError> {
        let definition = &self.record.definition;
        self.broken().map_or(Ok(()), |problem| {
            Err(CommandError::Broken {
                name: definition.name.clone(),
                version: definition.version,
                reason: problem.error,
            })
        })
    }
}

impl Incident {
    /// Whether it is the stream that is not what it was.
    pub(super) fn is_about_the_stream(&self) -> bool {
        OF_THE_STREAM.contains(&self.problem.code.as_str())
    }
}

impl Supervisor {
    /// Builds the live read model again, or what was to take its place and has failed.
    pub(super) fn rebuild(
        &mut self,
        name: &str,
        from: Option<Sequence>,
    ) -> Result<Outcome, CommandError> {
        let live = self.buildable(name)?;
        let (checkpoint, incident) = (live.progress.checkpoint(), live.incident());
        let is_later = |&from: &Sequence| incident.is_none() && from > checkpoint.max(1);
        if let Some(from) = from.filter(is_later) {
            let name = name.to_owned();
            return Err(CommandError::StartsLater {
                name,
                from,
                checkpoint,
            });
        }
        let next = self.find(name)?.built().filter(|it| it.is_to_follow(live));
        // Where the live one cannot go on it comes first, unless the other one only lost its file: any may follow then.
        let next = next.filter(|it| incident.is_none() || it.broken().is_some());
        let (again, purpose) = (next.unwrap_or(live), Purpose::Promote);
        let version = again.record.version;
        let given_up = match next {
            Some(_) => None,
            None => self.makes_way_for_live(self.find(name)?),
        };
        let number = self.build_again(name, again, purpose, from, incident.as_ref())?;
        self.follow(name)?;
        let note = given_up.map_or_else(String::new, |later| {
            format!("; version {later}, which could not be built, is given up until its file has held another module")
        });
        let message = format!(
            "version {version} of {name} is being built again beside the live read model{note}"
        );
        Ok(Outcome::said(message, Some(number)))
    }

    /// A generation is halted by what became of its stream: where the configuration says so, the live one is built again
    /// from the stream as it is now, once for each incident.
    pub(super) fn halted(&mut self, name: &str, number: u32) {
        if self.settings(name).on_lost_events != OnLostEvents::Rebuild {
            return;
        }
        if let Err(error) = self.answer_incident(name, number) {
            let hint = named(&error.hint(), name);
            tracing::error!(projection = name, hint, "{error}");
        }
    }

    fn answer_incident(&mut self, name: &str, number: u32) -> Result<(), CommandError> {
        let projection = self.find(name)?;
        let live = projection.of_state(GenerationState::Live);
        let Some(live) = live.filter(|live| live.record.number == number) else {
            return Ok(());
        };
        // Whatever is built already comes first: the newer version, or what an operator wants. There is nothing that it could
        // be compared with.
        let is_next = |built: &Hosted| built.record.purpose == Purpose::Promote;
        if projection.built().is_some_and(is_next) || !projection.is_wanted() {
            return Ok(());
        }
        let incident = live.incident().filter(Incident::is_about_the_stream);
        let Some(incident) = incident.filter(|incident| incident.checkpoint > 0) else {
            return Ok(());
        };
        if self.ground.shared.catalog.is_answered(name, &incident)? {
            return Ok(());
        }
        let built = self.build_again(name, live, Purpose::Promote, None, Some(&incident))?;
        tracing::warn!(
            projection = name,
            generation = built,
            code = incident.problem.code,
            "on_lost_events = \"rebuild\": built again from the stream as it is now; generation {number} is served meanwhile"
        );
        Ok(self.follow(name)?)
    }
}
