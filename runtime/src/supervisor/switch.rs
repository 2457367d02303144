//! How a generation takes the place of the live one: both stand still, the catalog is written, readers are shown the
//! other one, both go on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Supervisor;
use super::command_error::CommandError;
use super::compare::VERIFY_EXAMPLES;
use super::meeting::{Apart, Meeting, Place};
use super::message::{Aim, Message, Outcome, Reply};
use super::projection::{Hosted, Projection, checkpoint};
use super::succession::Ahead;
use crate::catalog::{GenerationRecord, GenerationState, Purpose};
use crate::config::Promote;
use crate::projection::{State, Status, named};
use crate::source::position::OnLostEvents;

/// A generation is at the heels of the live one when it needs no longer than this to reach it: for that time the live
/// one stands.
const AT_HEELS: Duration = Duration::from_millis(500);

/// Distances in events: one that counts as nothing, and one that is too far whatever the rate. Behind it a build has its
/// indexes, which the live one should not have to wait for ([`commit_events`](crate::config::Store::commit_events)).
pub(super) const NEAR: std::ops::RangeInclusive<u64> = 100..=25_000;

/// After an attempt that failed the next one waits as long, and after each further one twice as long, up to
/// [`AGAIN_MAX`]: the live one stands during each of them.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MAX: Duration = Duration::from_secs(30);

impl Supervisor {
    /// Whether a live generation gives way to one that reads the stream as it is now, without an operator.
    pub(super) fn is_decided(&self, name: &str) -> bool {
        self.settings(name).on_lost_events == OnLostEvents::Rebuild
    }

    /// Notices when what is being built is at the heels of the live one, if it is to be promoted by itself.
    pub(super) fn watch_building(&self, projection: &mut Projection) {
        // What comes of that says whether to go on watching.
        if projection.meeting {
            return;
        }
        let automatic = self.settings(&projection.name).promote == Promote::Auto;
        let Some(live) = projection.live() else {
            return;
        };
        let live = Ahead::of(live, self.is_decided(&projection.name));
        let verifying = projection.verifying;
        let building = projection
            .generations
            .iter_mut()
            .find(|hosted| hosted.record.state == GenerationState::Building);
        let Some(building) = building else { return };
        if verifying == Some(building.record.number) {
            return;
        }
        if building.is_watched() || !(automatic || building.record.purpose == Purpose::Verify) {
            return;
        }
        self.watch(&projection.name, building, live, Duration::ZERO);
    }

    fn watch(&self, name: &str, building: &mut Hosted, live: Ahead, after: Duration) {
        let caught_up = Message::CaughtUp {
            projection: name.to_owned(),
            number: building.record.number,
        };
        let (status, reports) = (building.progress.subscribe(), self.ground.reports.clone());
        let record = Arc::clone(&building.record);
        let watching = async move {
            tokio::time::sleep(after).await;
            wait_until_near(live, status, &record).await;
            // Nobody listens any more when the host stops.
            let _not_heard = reports.send(caught_up).await;
        };
        building.watched_by(tokio_util::task::AbortOnDropHandle::new(tokio::spawn(
            watching,
        )));
    }

    /// A building generation is at the heels of the live one.
    pub(super) fn caught_up(&mut self, name: &str, number: u32) {
        let Some(projection) = self.projections.get_mut(name) else {
            return;
        };
        let Some(building) = projection.numbered(number) else {
            return;
        };
        building.not_watched();
        if building.record.state != GenerationState::Building {
            return;
        }
        let aim = match building.record.purpose {
            Purpose::Promote => Aim::Switch,
            Purpose::Verify => Aim::Compare {
                examples: VERIFY_EXAMPLES,
            },
        };
        self.meet(name, number, aim, None);
    }

    /// Brings the live generation and this one together; what comes of it is a message.
    pub(super) fn meet(&mut self, name: &str, number: u32, aim: Aim, reply: Option<Reply>) {
        let decided = reply.is_some() || self.is_decided(name);
        let Some(projection) = self.projections.get_mut(name) else {
            return;
        };
        if projection.meeting {
            let busy = CommandError::Busy { name: name.into() };
            return self.not_done(name, number, busy, reply);
        }
        let mut generations = projection.generations.iter();
        let other = generations.find(|hosted| hosted.record.number == number);
        let (Some(live), Some(other)) = (projection.live(), other) else {
            return;
        };
        let place = match aim {
            Aim::Switch if other.need_not_reach(live, decided) => Place::Any,
            Aim::Switch => Place::Reached,
            Aim::Compare { .. } => Place::Same,
        };
        let (live, other) = (live.party(), other.party());
        projection.meeting = true;
        let (projection, reports) = (name.to_owned(), self.ground.reports.clone());
        tokio::spawn(async move {
            let met = Meeting::arrange(live, other, place).await;
            let message = Message::Met {
                projection,
                number,
                aim,
                met,
                reply,
            };
            // A supervisor that is gone needs no meeting; dropping it lets both go on.
            let _not_heard = reports.send(message).await;
        });
    }

    /// Both stand, or do not; lets them go on when it is done.
    pub(super) fn met(
        &mut self,
        name: &str,
        number: u32,
        aim: Aim,
        met: Result<Meeting, Apart>,
        reply: Option<Reply>,
    ) {
        if let Some(projection) = self.projections.get_mut(name) {
            projection.meeting = false;
        }
        let decided = reply.is_some() || self.is_decided(name);
        let meeting = match met {
            Ok(meeting) => meeting,
            Err(apart) => return self.not_done(name, number, apart.into(), reply),
        };
        match aim {
            // What the live one is, and where it stops, may have been found since the two were asked to stand.
            Aim::Switch if reply.is_none() && !self.may_take_over(name, number) => {
                drop(meeting);
                self.try_again(name, number, true);
            }
            Aim::Switch => {
                let switched = self.switch(name, number, decided);
                drop(meeting);
                match switched {
                    Ok(outcome) => answer(reply, Ok(outcome)),
                    Err(error) => self.not_done(name, number, error, reply),
                }
            }
            Aim::Compare { examples } => {
                let pair = self.snapshots(name, number);
                // What is compared does not move any more; the generations may.
                drop(meeting);
                match pair {
                    Ok(pair) if reply.is_none() => self.compare_to_verify(name, number, pair),
                    Ok(pair) => self.compare(name, pair, examples, reply),
                    Err(error) => self.not_done(name, number, error, reply),
                }
            }
        }
    }

    /// Says why it was not done, or tries again where nobody asked.
    fn not_done(&mut self, name: &str, number: u32, error: CommandError, reply: Option<Reply>) {
        if reply.is_some() {
            return answer(reply, Err(self.rather_paused(name, error)));
        }
        // Why it failed was said, and so was that it was given up.
        let generations = self.projections.get(name).map(|found| &found.generations);
        let mut generations = generations.into_iter().flatten();
        let goes_on = generations.any(|one| one.record.number == number && !one.has_stopped());
        if !goes_on || matches!(error, CommandError::BuildFailed { .. }) {
            return;
        }
        // One that is busy is so because of this very generation, mostly.
        if matches!(error, CommandError::Busy { .. }) {
            return self.try_again(name, number, false);
        }
        tracing::warn!(
            projection = name,
            generation = number,
            hint = named(&error.hint(), name),
            "tried again soon: {error}"
        );
        self.try_again(name, number, true);
    }

    /// The generation is served from now on. Neither it nor the live one commits anything meanwhile.
    fn switch(&mut self, name: &str, number: u32, decided: bool) -> Result<Outcome, CommandError> {
        let unknown = || self.unknown(name);
        let projection = self.projections.get(name).ok_or_else(unknown)?;
        let next = projection.generations.iter();
        let next = next.clone().find(|hosted| hosted.record.number == number);
        let (Some(live), Some(next)) = (projection.live(), next) else {
            return Err(CommandError::NothingToPromote { name: name.into() });
        };
        next.usable()?;
        // It may have failed since the two were asked to stand.
        if next.record.state == GenerationState::Failed {
            return Err(next.build_failed());
        }
        let shared = &self.ground.shared;
        let given_up = next.need_not_reach(live, decided);
        // What readers see is what the files say, not what a status says.
        let of = |hosted: &Hosted| checkpoint(&shared.folder.path_of(&hosted.record.file));
        let (shown, at, version) = (of(live), of(next), next.record.version);
        if at < shown && !given_up {
            return Err(CommandError::Apart(Apart::Behind {
                version,
                at,
                missing: shown - at,
            }));
        }
        let (was, was_number) = (live.record.version, live.record.number);
        // There is no going back to a file that cannot be read.
        let keep_standby = self.settings(name).standby && live.broken().is_none();
        let declined = self.declined_by_switch(projection, live, next);
        let declined = declined.as_deref();
        let is_new = declined.is_some() && declined != projection.declined.as_deref();
        let mut notes = String::new();
        if is_new {
            notes += "; its module file brings it back only after it held another module";
        }
        if let Some(problem) = next.progress.subscribe().borrow().obstacle() {
            notes += &format!("; it does not go on: {}", problem.error);
        }
        let catalog = &shared.catalog;
        catalog.make_live(name, number, keep_standby, declined)?;
        self.follow(name)?;
        tracing::info!(
            projection = name,
            version,
            generation = number,
            checkpoint = at,
            "promoted"
        );
        let was_is = match keep_standby {
            true => "on standby",
            // Its module file may still be there, and nothing that it built.
            false if version < was && declined.is_none() => {
                "retired, and built again if its file is there"
            }
            false => "retired",
        };
        let (new, old) = match version == was {
            true => (
                format!("generation {number}"),
                format!("generation {was_number}"),
            ),
            false => (format!("version {version}"), format!("version {was}")),
        };
        let message = format!("{new} of {name} is live at sequence {at}; {old} is {was_is}{notes}");
        Ok(Outcome::said(message, Some(number)))
    }

    /// Whether nothing is in the way of this generation's taking the place of the live one by itself, other than its own
    /// state.
    fn may_take_over(&self, name: &str, number: u32) -> bool {
        let projection = self.projections.get(name);
        let Some((projection, live)) = projection.and_then(|found| Some((found, found.live()?)))
        else {
            return true;
        };
        let mut all = projection.generations.iter();
        let next = all.find(|hosted| hosted.record.number == number);
        next.is_none_or(|next| {
            let (status, record) = (next.progress.subscribe(), &next.record);
            let (live, status) = (Ahead::of(live, self.is_decided(name)), status.borrow());
            !live.is_elsewhere(record, &status) && live.is_passed(record, &status)
        })
    }

    /// `has_stood` says that the live one stood for the attempt before.
    fn try_again(&mut self, name: &str, number: u32, has_stood: bool) {
        let decided = self.is_decided(name);
        let Some(mut projection) = self.projections.remove(name) else {
            return;
        };
        let live = projection.live().map(|live| Ahead::of(live, decided));
        if let (Some(live), Some(building)) = (live, projection.numbered(number))
            && building.record.state == GenerationState::Building
            && building.is_running()
        {
            let setbacks = if has_stood { building.setback() } else { 0 };
            let after = AGAIN.saturating_mul(2_u32.saturating_pow(setbacks));
            self.watch(name, building, live, after.min(AGAIN_MAX));
        }
        self.projections.insert(name.to_owned(), projection);
    }
}

pub(super) fn answer(reply: Option<Reply>, outcome: Result<Outcome, CommandError>) {
    if let Some(reply) = reply {
        // A client that has gone away is not told.
        let _not_heard = reply.send(outcome);
    }
}

/// Returns when the building generation would reach the live one within [`AT_HEELS`]; never, when one of them is gone.
async fn wait_until_near(
    mut live: Ahead,
    mut building: watch::Receiver<Status>,
    record: &GenerationRecord,
) {
    loop {
        live.status.mark_unchanged();
        if is_near(&live, &building.borrow_and_update(), record) {
            return;
        }
        let changed = tokio::select! {
            changed = building.changed() => changed,
            changed = live.status.changed() => changed,
        };
        if changed.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn is_near(live: &Ahead, building: &Status, record: &GenerationRecord) -> bool {
    let runs = matches!(building.status, State::CatchingUp | State::Live);
    let per_wait = building.events_per_second * AT_HEELS.as_secs_f64();
    let near = (per_wait as u64).clamp(*NEAR.start(), *NEAR.end());
    // Nobody waits for one that is given up, so there is no need to hurry.
    let near = match live.is_given_up(record, building) {
        true => 0,
        false => near,
    };
    let elsewhere = live.is_elsewhere(record, building);
    let passed = live.is_passed(record, building);
    runs && !elsewhere && passed && building.checkpoint + near >= live.aim(record, building)
}
