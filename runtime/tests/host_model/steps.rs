//! What is done to a host at random, and to its model.

use foldline::catalog::GenerationState;
use foldline::projection::poison::OnPoison;
use foldline::projection::requests::{Action, Settled};
use foldline::supervisor::{Command, CommandError};
use rand::RngExt as _;
use rand::seq::IteratorRandom as _;

use crate::case::Case;
use crate::host::Host;
use crate::model::{Generation, Rules};

impl Case {
    pub(crate) async fn step(&mut self) {
        match self.random.random_range(0..25) {
            0..9 => self.publish(),
            9 => self.interrupt(),
            10 | 11 if self.may_look().await => self.restart(true).await,
            12 if self.may_look().await => self.restart(false).await,
            13 | 14 if !self.live.is_changing() && self.may_reload().await => self.reload().await,
            15 => match self.paused {
                true => self.resume().await,
                false => self.pause().await,
            },
            16 if !self.paused => self.settle(Action::Retry).await,
            17 if !self.paused => self.settle(Action::Discard).await,
            18 if !self.paused => self.rebuild().await,
            19 if !self.paused => self.rollback().await,
            20 if !self.paused => self.other_strategy().await,
            21 if !self.live.is_changing() && self.may_look().await => self.look_at_folder().await,
            22 => self.rest().await,
            23 if !self.paused => self.discard_what_stops().await,
            _ if self.paused => self.stays_paused().await,
            _ => self.look(),
        }
    }

    /// An operator retries or discards a dead letter.
    async fn settle(&mut self, action: Action) {
        self.rest().await;
        let letters = self.live.contents().letters.keys().copied();
        let Some(sequence) = letters.choose(&mut self.random) else {
            return;
        };
        if self.has_stopped() {
            return;
        }
        self.said(format!("{action:?} {sequence}"));
        let was_held = self.live.contents().letters[&sequence];
        let command = Command::DeadLetter {
            sequence,
            action,
            generation: None,
        };
        let outcome = self.host().command(command.clone()).await.unwrap();
        if action == Action::Discard {
            self.is_given_up(sequence);
        }
        self.live.settle(&self.history, sequence, action);
        let failed = matches!(outcome.settled, Some(Settled::Failed { .. }));
        assert_eq!(failed, self.has_failed(sequence, was_held), "{outcome:?}");
        self.rest().await;
        if !self.live.contents().letters.contains_key(&sequence) {
            let again = self.host().command(command).await;
            assert!(
                matches!(again, Err(CommandError::NoDeadLetter { .. })),
                "{again:?}"
            );
        }
    }

    /// An operator gives the event up that the live one has stopped at.
    async fn discard_what_stops(&mut self) {
        self.rest().await;
        if !self.has_stopped() {
            return;
        }
        let sequence = self.live.contents().sequence + 1;
        self.said(format!("Discard {sequence}, where it stops"));
        let command = Command::DeadLetter {
            sequence,
            action: Action::Discard,
            generation: None,
        };
        self.host().command(command).await.unwrap();
        self.is_given_up(sequence);
        self.rest().await;
    }

    /// What was built and has failed is not begun again by that.
    fn is_given_up(&mut self, sequence: u64) {
        self.discarded.insert(sequence);
        self.live.discarded(sequence);
        if let Some(standby) = &mut self.standby {
            standby.discarded(sequence);
        }
    }

    /// Whether this event has failed again, or one behind it that was held with it.
    fn has_failed(&self, sequence: u64, was_held: bool) -> bool {
        let contents = self.live.contents();
        let key = &self.history[sequence as usize - 1].key;
        match was_held {
            true => contents.held.contains_key(key),
            false => contents.letters.contains_key(&sequence),
        }
    }

    /// Whether it stands before an event that fails, with nobody to take requests up at once.
    pub(crate) fn has_stopped(&self) -> bool {
        self.live.contents().sequence < self.history.len() as u64
    }

    /// The live module builds another generation, which takes the live one's place unless it has to stop. The host may
    /// start again meanwhile, or another module be put into the modules folder.
    async fn rebuild(&mut self) {
        self.rest().await;
        let outcome = self
            .host()
            .command(Command::Rebuild { from: None })
            .await
            .unwrap();
        let number = outcome.generation.unwrap();
        self.said(format!("rebuild as generation {number}"));
        let rules = Rules {
            strategy: self.settings.strategies[1],
            ..self.live.rules
        };
        self.built = Some(Generation::new(number, rules, &self.discarded));
        // Where the live one has not come to the end, nobody knows where the other one takes over and at which module.
        let may_begin_anew = !self.has_stopped();
        let begins_anew = self.file != self.live.rules.module;
        match self.random.random_range(0..10) {
            0..2 if may_begin_anew || !begins_anew => self.restart(true).await,
            2 if may_begin_anew || !begins_anew => self.restart(false).await,
            3..5 if may_begin_anew => self.reload().await,
            _ => {}
        }
        self.rest().await;
    }

    /// Waits until what is being built has taken the live one's place, or has failed. One that comes as far as the live one
    /// and stops at the same event may do either.
    pub(crate) async fn build_ends(&mut self) {
        let Some(built) = self.built.take() else {
            return;
        };
        let end = built.ends(&self.history).pop_first().unwrap().sequence;
        let may_be = [
            (end >= self.live.contents().sequence).then_some(GenerationState::Live),
            (end < self.history.len() as u64).then_some(GenerationState::Failed),
        ];
        let number = built.number;
        let is_done = |host: &Host| {
            let generation = host.generation(number);
            generation.is_some_and(|generation| may_be.contains(&Some(generation.record.state)))
        };
        let what = format!("generation {number} is one of {may_be:?}");
        self.host().until(&what, is_done).await;
        self.built = Some(built);
        self.has_taken_over();
    }

    /// The model follows what has taken the live one's place.
    pub(crate) fn has_taken_over(&mut self) {
        let live = self.host().entry().live.record.number;
        let Some(mut built) = self.built.take_if(|built| built.number == live) else {
            return;
        };
        let rules = Rules {
            strategy: self.settings.strategies[0],
            ..built.rules
        };
        built.changes(rules, self.live.contents().sequence);
        self.standby = Some(std::mem::replace(&mut self.live, built));
    }

    /// Whether the host may look at the modules folder: what is built anew then must be able to come to its end, and the
    /// live one to be at its own, so that it is known whether it takes over.
    async fn may_look(&mut self) -> bool {
        if self.built.is_none() || self.file == self.live.rules.module {
            return true;
        }
        self.rest().await;
        !self.paused
    }

    /// The same, of a module that is another one.
    async fn may_reload(&mut self) -> bool {
        if self.built.is_none() {
            return true;
        }
        self.rest().await;
        !self.paused
    }

    async fn rollback(&mut self) {
        self.rest().await;
        let outcome = self.host().command(Command::Rollback).await;
        let Some(standby) = self.standby.take() else {
            assert!(
                matches!(outcome, Err(CommandError::NoStandby { .. })),
                "{outcome:?}"
            );
            return;
        };
        let [live_at, standby_at] = [&self.live, &standby].map(|of| of.contents().sequence);
        if standby_at < live_at {
            assert!(
                matches!(outcome, Err(CommandError::Apart(_))),
                "{outcome:?}"
            );
            self.standby = Some(standby);
            return;
        }
        outcome.unwrap();
        self.said("rollback");
        // It was of the version that is left.
        self.built = None;
        if standby.rules.module == self.file {
            self.declined = None;
        } else if self.live.rules.module == self.file {
            self.declined = Some(self.file);
        }
        self.standby = Some(std::mem::replace(&mut self.live, standby));
        self.rest().await;
    }

    /// The host is started again with another strategy in its configuration.
    async fn other_strategy(&mut self) {
        self.rest().await;
        let strategies = [OnPoison::Hold, OnPoison::Skip, OnPoison::Fail];
        let chosen = strategies.into_iter().choose(&mut self.random);
        let strategy = chosen.unwrap_or(OnPoison::Hold);
        self.settings.strategies[0] = strategy;
        for generation in [Some(&mut self.live), self.standby.as_mut()]
            .into_iter()
            .flatten()
        {
            let rules = Rules {
                strategy,
                ..generation.rules
            };
            generation.changes(rules, 0);
        }
        self.said(format!("{:?} from now on", self.settings.strategies[0]));
        self.restart(false).await;
    }
}
