//! Held events are applied in their order: after a reload, when somebody asks for it, and where that was interrupted.

use super::super::requests::{Action, NotSettled, Request, Settled};
use super::isolate::{add_attempt, suspected};
use super::{Failure, Fold};
use crate::batch::Batch;
use crate::event::{Event, Sequence};
use crate::guest::GuestFault;
use crate::guest::instance::Evidence;
use crate::store::dead_letters::{DeadLetter, DeadLetterChange, HeldEvent, KeyBytes};

/// Most held events in one transaction, and about as many bytes: a stop signal waits for no more than that.
const DRAIN_EVENTS: usize = 500;
const DRAIN_BYTES: u64 = 4 * 1024 * 1024;

/// What came of a request, with the fold to go on with.
type Answered = (Fold, Result<Settled, NotSettled>);

impl Fold {
    /// Applies what is held and was not tried with this module, and goes on with what was interrupted.
    ///
    /// # Errors
    /// If the read model cannot be read or written, or the module cannot be started.
    pub fn drain_due(mut self) -> Result<Self, Failure> {
        let digest = self.instance.module().digest.to_string();
        for key in self.held.due(&digest) {
            if self.stop.is_cancelled() {
                break;
            }
            (self, _) = self.drain(&key)?;
        }
        Ok(self)
    }

    /// Does what somebody asks for a dead letter.
    ///
    /// # Errors
    /// As [`Self::drain_due`]; the asker is told that it was interrupted. That the event fails again is none of them.
    pub fn answer(self, request: Request) -> Result<Self, Failure> {
        let (fold, answer) = self.settle(request.sequence, request.action)?;
        // Somebody who does not wait any more finds it done.
        let _not_heard = request.reply.send(answer);
        Ok(fold)
    }

    fn settle(mut self, sequence: Sequence, action: Action) -> Result<Answered, Failure> {
        self.commit()?;
        let Some(letter) = self.instance.session().dead_letter(sequence)? else {
            let refused = match sequence > self.checkpoint.sequence {
                true => NotSettled::NotReached,
                false => NotSettled::NoDeadLetter,
            };
            return Ok((self, Err(refused)));
        };
        match action {
            Action::Discard => self.discard(&letter),
            Action::Retry if letter.held => self.drain_asked(&letter.key),
            Action::Retry if letter.is_cut_off() => Ok((self, Err(NotSettled::CutOff))),
            Action::Retry => self.retry_passed_over(letter),
        }
    }

    fn drain_asked(self, key: &KeyBytes) -> Result<Answered, Failure> {
        let (fold, settled) = self.drain(key)?;
        Ok((fold, Ok(settled)))
    }

    /// Gives a poison event up; the events behind it are applied.
    fn discard(mut self, letter: &DeadLetter) -> Result<Answered, Failure> {
        let key = letter.key.as_deref();
        let mut first = match letter.held {
            true => self.instance.session().held_events(key, 1, 0)?,
            false => Vec::new(),
        };
        first.retain(|event| event.sequence == letter.sequence);
        // Before the letter is settled: in between a crash leaves one that can be discarded again.
        self.rules.poison.discard(&letter.reference())?;
        self.settled(letter.sequence);
        self.release(&letter.key, first);
        self.commit_again()?;
        tracing::warn!(
            projection = self.instance.module().definition.name,
            sequence = letter.sequence,
            "dead letter discarded: event {} is given up",
            letter.sequence
        );
        match letter.held {
            true => self.drain_asked(&letter.key),
            false => Ok((self, Ok(Settled::Applied { events: 0 }))),
        }
    }

    /// Applies an event that was passed over, after events that came later.
    fn retry_passed_over(mut self, mut letter: DeadLetter) -> Result<Answered, Failure> {
        let batch = Batch::from_iter([letter.event()]);
        let sequence = letter.sequence;
        let settled = match self.instance.project(&batch) {
            Ok(()) => {
                self.settled(sequence);
                Settled::Applied { events: 1 }
            }
            Err(GuestFault::Store(error)) => return Err(error.into()),
            Err(fault) => {
                let evidence = self.instance.evidence();
                self = self.restarted()?;
                add_attempt(&mut letter, self.attempt(&fault, evidence));
                self.record(letter);
                Settled::Failed {
                    events: 0,
                    sequence,
                    error: fault.to_string(),
                    left: 0,
                }
            }
        };
        self.commit_again()?;
        Ok((self, Ok(settled)))
    }

    /// Applies the held events of a key in their order, until none is left or one fails.
    fn drain(mut self, key: &KeyBytes) -> Result<(Self, Settled), Failure> {
        self.commit()?;
        let (mut applied, mut limit) = (0, DRAIN_EVENTS);
        // As where a batch is isolated: a guest that blames one event after the other is believed once.
        let mut believed = true;
        loop {
            let session = self.instance.session();
            let mut events = session.held_events(key.as_deref(), limit, DRAIN_BYTES)?;
            if events.is_empty() {
                self.freed(key, applied);
                return Ok((self, Settled::Applied { events: applied }));
            }
            if self.stop.is_cancelled() {
                return Ok((self, Settled::Interrupted { events: applied }));
            }
            let batch: Batch = events.iter().cloned().collect();
            match self.instance.project(&batch) {
                Ok(()) => {
                    applied += batch.len() as u64;
                    believed = true;
                    self.release(key, events);
                    self.commit_again()?;
                }
                Err(GuestFault::Store(error)) => return Err(error.into()),
                Err(fault) => {
                    let evidence = self.instance.evidence();
                    self = self.restarted()?;
                    let place = match std::mem::replace(&mut believed, false) {
                        true => suspected(&fault, batch.len()),
                        false => batch.len() / 2,
                    };
                    match place {
                        0 if self.is_given_up_elsewhere(&events, &fault)? => {
                            events.truncate(1);
                            self.say_passed_over(&events[0].reference(), &fault);
                            self.release(key, events);
                            self.commit_again()?;
                            (believed, limit) = (true, DRAIN_EVENTS);
                        }
                        0 => return self.failed_again(key, events, applied, &(fault, evidence)),
                        // So many events before it go through, or one of them is suspected next.
                        place => limit = place,
                    }
                }
            }
        }
    }

    fn freed(&mut self, key: &KeyBytes, applied: u64) {
        self.held.free(key);
        self.progress.set_aside(self.held.counts());
        tracing::info!(
            projection = self.instance.module().definition.name,
            events = applied,
            "held events applied: their key is held no longer"
        );
    }

    /// Whether the first of the held events was given up in another read model. One that has a dead letter here is given
    /// up here, or tried again; so is one that took too long once, which may pass.
    fn is_given_up_elsewhere(&self, events: &[Event], fault: &GuestFault) -> Result<bool, Failure> {
        let first = events.first();
        let first = first.filter(|_| !matches!(fault, GuestFault::Time { .. }));
        let unknown = first.filter(|event| self.held.letter(event.sequence).is_none());
        let discarded = unknown.map(|event| self.rules.poison.was_discarded(&event.reference()));
        Ok(discarded.transpose()?.unwrap_or(false))
    }

    /// The first of the held events fails: it has a dead letter from now on, or another attempt in it.
    fn failed_again(
        mut self,
        key: &KeyBytes,
        events: Vec<Event>,
        applied: u64,
        (fault, evidence): &(GuestFault, Evidence),
    ) -> Result<(Self, Settled), Failure> {
        let Some(event) = events.into_iter().next() else {
            return Ok((self, Settled::Applied { events: applied }));
        };
        let sequence = event.sequence;
        let attempt = self.attempt(fault, evidence.clone());
        let known = self.instance.session().dead_letter(sequence)?;
        let letter = match known {
            Some(mut letter) => {
                add_attempt(&mut letter, attempt);
                letter
            }
            None => {
                let key = key.clone();
                let held = HeldEvent { key, event };
                let bytes = self.rules.poison.limits.dead_letter_bytes;
                DeadLetter::new(&held, vec![attempt], bytes)
            }
        };
        let letter = DeadLetter {
            held: true,
            ..letter
        };
        self.record(letter);
        self.commit_again()?;
        let settled = Settled::Failed {
            events: applied,
            sequence,
            error: fault.to_string(),
            left: self.held.events_of(key),
        };
        Ok((self, settled))
    }

    /// These events are held no longer, and their dead letters are settled.
    fn release(&mut self, key: &KeyBytes, events: Vec<Event>) {
        for event in events {
            let sequence = event.sequence;
            if self.held.letter(sequence).is_some() {
                self.settled(sequence);
            }
            let key = key.clone();
            self.held.release(&HeldEvent { key, event });
            let session = self.instance.session();
            session.set_aside(DeadLetterChange::Release(sequence));
        }
    }

    fn settled(&mut self, sequence: Sequence) {
        self.held.settle(sequence);
        let session = self.instance.session();
        session.set_aside(DeadLetterChange::Settle(sequence));
    }

    /// Commits rows that change without going on in the stream.
    fn commit_again(&mut self) -> Result<(), Failure> {
        let next = self.checkpoint.again();
        self.instance.session().commit(&next)?;
        self.checkpoint = next;
        self.progress.set_aside(self.held.counts());
        Ok(())
    }
}
