//! A batch that fails is applied in parts until one event is left that fails alone: the poison event.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::super::poison::OnPoison;
use super::held::held_event;
use super::{Failure, Fold};
use crate::batch::Batch;
use crate::event::{EventRef, Sequence};
use crate::guest::GuestFault;
use crate::guest::instance::Evidence;
use crate::projection::{FailedEvent, named};
use crate::store::dead_letters::{Attempt, DeadLetter, DeadLetterChange, LetterOutline};
use crate::telemetry;

/// Attempts that a dead letter keeps: the first one, which found the fault, and the latest.
const ATTEMPTS_MAX: usize = 10;

/// Log lines of an attempt that are kept, and the bytes of each; the last ones are nearest to the fault.
const LOG_LINES_MAX: usize = 20;
const LOG_LINE_BYTES_MAX: usize = 1_024;

/// How often a lone event that takes too long is tried before it counts as poison, and how long after each failure: a
/// machine that stood still takes time from a guest, too.
const PATIENCE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// What to do about an event that was set aside.
const SET_ASIDE: &str = "see `foldline dead-letters list NAME`; a mended module applies what is held, and so does \
                         `foldline dead-letters retry NAME` where a limit in the configuration was in the way and has been \
                         raised";

/// How soon a wait notices the stop signal.
const NOTICE: Duration = Duration::from_millis(20);

/// A lone event that took too long, and may pass when it is tried again.
pub(super) struct Patience {
    sequence: Sequence,
    attempts: Vec<Attempt>,
}

/// Why a part of a batch failed, and which event may be the cause.
pub(super) struct Suspect {
    pub(super) fault: GuestFault,
    pub(super) evidence: Evidence,
    /// Where the part is to be divided. Nothing lies before it: then the event at this place is the poison event.
    pub(super) at: usize,
}

/// A part of a batch that is still to be applied.
struct Part {
    range: Range<usize>,
    /// Whether a guest that names an event in it is believed. Not where it blamed another event before: it would be asked
    /// once for each event.
    believed: bool,
}

impl Fold {
    /// Projects a batch, but for events of held keys, which are held. Nothing is committed.
    ///
    /// The outer error is the end of the run; after the inner one the instance must not be used again.
    pub(super) fn project(&mut self, batch: &Batch) -> Result<Result<(), Suspect>, Failure> {
        let definition = &self.instance.module().definition;
        let passed = self.held.pass(batch, &definition.key);
        self.held.check(&passed.held, &self.rules.poison.limits)?;
        let projected = match passed.batch.is_empty() {
            true => Ok(()),
            false => self.instance.project(&passed.batch),
        };
        match projected {
            Ok(()) => {
                passed.held.into_iter().for_each(|event| self.hold(event));
                self.folded(batch);
                Ok(Ok(()))
            }
            Err(GuestFault::Store(error)) => Err(error.into()),
            Err(fault) => {
                let evidence = self.instance.evidence();
                let place = suspected(&fault, passed.batch.len());
                let sequence = passed.batch.sequences()[place];
                Ok(Err(Suspect {
                    fault,
                    evidence,
                    at: batch.sequences().partition_point(|&s| s < sequence),
                }))
            }
        }
    }

    /// Applies and commits a batch in parts, after it failed as a whole.
    pub(super) fn isolate(mut self, batch: &Batch, suspect: Suspect) -> Result<Self, Failure> {
        let mut parts = Vec::new();
        let whole = Part {
            range: 0..batch.len(),
            believed: true,
        };
        self = self.divide(batch, whole, suspect, &mut parts)?;
        while let Some(part) = parts.pop() {
            if self.stop.is_cancelled() {
                break;
            }
            match self.project(&batch.slice(part.range.clone()))? {
                Ok(()) => self.commit()?,
                Err(suspect) => {
                    let named = match part.believed {
                        true => suspect.at,
                        false => part.range.len() / 2,
                    };
                    let at = part.range.start + named;
                    let suspect = Suspect { at, ..suspect };
                    self = self.divide(batch, part, suspect, &mut parts)?;
                }
            }
        }
        Ok(self)
    }

    /// Divides a part that failed into parts to be applied one after the other, the last one first; or has found the
    /// poison event in it.
    fn divide(
        mut self,
        batch: &Batch,
        part: Part,
        suspect: Suspect,
        parts: &mut Vec<Part>,
    ) -> Result<Self, Failure> {
        self = self.restarted()?;
        self.commit()?;
        let (at, Part { range, believed }) = (suspect.at, part);
        if at > range.start {
            // What lies before it goes through, is held, or is divided further.
            parts.push(Part {
                range: at..range.end,
                believed,
            });
            parts.push(Part {
                range: range.start..at,
                believed: false,
            });
        } else if self.has_patience(batch.sequences()[at], &suspect) {
            parts.push(Part { range, believed });
        } else {
            self.poisoned(&batch.slice(at..at + 1), suspect)?;
            parts.extend((at + 1 < range.end).then_some(Part {
                range: at + 1..range.end,
                believed,
            }));
        }
        Ok(self)
    }

    /// Whether this event, which failed alone, is to be tried again; waits before that.
    fn has_patience(&mut self, sequence: Sequence, suspect: &Suspect) -> bool {
        if !matches!(suspect.fault, GuestFault::Time { .. }) {
            return false;
        }
        let attempt = self.attempt(&suspect.fault, suspect.evidence.clone());
        let known = self.patience.take();
        let known = known.filter(|known| known.sequence == sequence);
        let mut attempts = known.map_or_else(Vec::new, |known| known.attempts);
        let wait = PATIENCE.get(attempts.len());
        if let Some(&wait) = wait {
            attempts.push(attempt);
            self.wait(wait);
        }
        self.patience = Some(Patience { sequence, attempts });
        wait.is_some()
    }

    /// The loop has a thread of its own, so waiting blocks nobody else.
    fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.stop.is_cancelled() {
            std::thread::sleep(NOTICE);
        }
    }

    /// The only event of `event` has failed alone: the strategy decides.
    fn poisoned(&mut self, event: &Batch, suspect: Suspect) -> Result<(), Failure> {
        let definition = &self.instance.module().definition;
        let is_being_built = self.rules.poison.is_being_built();
        let strategy = self.rules.poison.strategy(is_being_built, &definition.key);
        let held = held_event(event, 0, &definition.key);
        let reference = held.event.reference();
        if self.rules.poison.was_discarded(&reference)? {
            return self.pass_over(event, &reference, &suspect.fault);
        }
        let attempts = self.attempts(reference.sequence, &suspect.fault, suspect.evidence);
        if strategy == OnPoison::Fail {
            let event = reference;
            return Err(Failure::PoisonEvent {
                failed: Box::new(FailedEvent { event, attempts }),
                fault: Box::new(suspect.fault),
                is_being_built,
            });
        }
        let limits = self.rules.poison.limits;
        self.held.check_letters(held.event.sequence, &limits)?;
        let letter = DeadLetter::new(&held, attempts, limits.dead_letter_bytes);
        if strategy == OnPoison::Hold {
            self.held.check(std::slice::from_ref(&held), &limits)?;
            self.record(DeadLetter {
                held: true,
                ..letter
            });
            self.hold(held);
        } else {
            self.record(letter);
        }
        self.folded(event);
        self.commit()?;
        self.progress.set_aside(self.held.counts());
        Ok(())
    }

    /// An event that was given up, of this read model or an earlier one, fails here, too.
    fn pass_over(
        &mut self,
        batch: &Batch,
        event: &EventRef,
        fault: &GuestFault,
    ) -> Result<(), Failure> {
        self.say_passed_over(event, fault);
        self.folded(batch);
        self.commit()
    }

    /// For those who wonder why an event is not in the rows.
    pub(super) fn say_passed_over(&self, event: &EventRef, fault: &GuestFault) {
        tracing::warn!(
            projection = self.instance.module().definition.name,
            sequence = event.sequence,
            subject = event.subject,
            "event {} was discarded before, and is passed over where it fails: {fault}",
            event.sequence
        );
    }

    /// Records a dead letter, or another attempt at it, with the next commit.
    pub(super) fn record(&mut self, letter: DeadLetter) {
        let what = if letter.held {
            "its key is held"
        } else {
            "it is passed over"
        };
        let error = letter
            .attempts
            .last()
            .map_or("", |attempt| attempt.error.as_str());
        tracing::error!(
            projection = self.instance.module().definition.name,
            sequence = letter.sequence,
            subject = letter.subject,
            hint = named(SET_ASIDE, &self.instance.module().definition.name),
            "event {} ({}) failed and {what}: {error}",
            letter.sequence,
            letter.subject,
        );
        self.held.record(LetterOutline {
            sequence: letter.sequence,
            key: letter.key.clone(),
            held: letter.held,
            digest: letter.digest().to_owned(),
        });
        let session = self.instance.session();
        session.set_aside(DeadLetterChange::Record(Box::new(letter)));
    }

    /// The attempts at an event that has just failed for the last time.
    fn attempts(
        &mut self,
        sequence: Sequence,
        fault: &GuestFault,
        evidence: Evidence,
    ) -> Vec<Attempt> {
        let before = self.patience.take();
        let before = before.filter(|before| before.sequence == sequence);
        let mut attempts = before.map_or_else(Vec::new, |before| before.attempts);
        attempts.push(self.attempt(fault, evidence));
        attempts
    }

    /// What is kept of an attempt that has just failed.
    pub(super) fn attempt(&self, fault: &GuestFault, evidence: Evidence) -> Attempt {
        let Evidence { mut log, backtrace } = evidence;
        log.drain(..log.len().saturating_sub(LOG_LINES_MAX));
        for line in &mut log {
            line.truncate(line.floor_char_boundary(LOG_LINE_BYTES_MAX));
        }
        Attempt {
            at: telemetry::now(),
            digest: self.instance.module().digest.to_string(),
            error: fault.to_string(),
            log,
            backtrace,
        }
    }
}

/// Which of so many events is suspected: a rejection names it; anything else is looked for by halving.
pub(super) fn suspected(fault: &GuestFault, events: usize) -> usize {
    match fault {
        GuestFault::Rejected { index, .. } => *index,
        _ => events / 2,
    }
}

/// Adds another attempt; of many only the first and the latest are kept.
pub(super) fn add_attempt(letter: &mut DeadLetter, attempt: Attempt) {
    letter.attempts_made = letter.attempts_made.saturating_add(1);
    letter.attempts.push(attempt);
    if letter.attempts.len() > ATTEMPTS_MAX {
        letter.attempts.remove(1);
    }
}
