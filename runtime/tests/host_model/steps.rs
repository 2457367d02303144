//! What is done to a host at random, and to its model.

use foldline::catalog::GenerationState;
use foldline::projection::poison::OnPoison;
use foldline::projection::requests::{Action, Settled};
use foldline::supervisor::{Command, CommandError};
use rand::RngExt as _;
use rand::seq::IteratorRandom as _;

use crate::case::Case;
use crate::model::Generation;

impl Case {
    pub(crate) async fn step(&mut self) {
        match self.random.random_range(0..24) {
            0..9 => self.publish(),
            9 => self.interrupt(),
            10 | 11 => self.restart(true).await,
            12 => self.restart(false).await,
            13 | 14 if !self.live.is_reloading() => self.reload().await,
            15 => match self.paused {
                true => self.resume().await,
                false => self.pause().await,
            },
            16 if !self.paused => self.settle(Action::Retry).await,
            17 if !self.paused => self.settle(Action::Discard).await,
            18 if !self.paused => self.rebuild().await,
            19 if !self.paused => self.rollback().await,
            20 if !self.paused => self.other_strategy().await,
            21 | 22 => self.rest().await,
            _ if self.paused => self.stays_paused().await,
            _ => self.look(),
        }
    }

    /// An operator retries or discards a dead letter.
    async fn settle(&mut self, action: Action) {
        self.rest().await;
        let letters = self.live.model().contents.letters.keys().copied();
        let Some(sequence) = letters.choose(&mut self.random) else {
            return;
        };
        if self.has_stopped() {
            return;
        }
        self.said(format!("{action:?} {sequence}"));
        let command = Command::DeadLetter { sequence, action };
        let outcome = self.host().command(command.clone()).await.unwrap();
        self.live.settle(&self.history, sequence, action);
        let failed = matches!(outcome.settled, Some(Settled::Failed { .. }));
        let is_held = self.is_held_still(sequence);
        assert_eq!(failed, is_held, "{outcome:?}");
        self.rest().await;
        if !self.live.model().contents.letters.contains_key(&sequence) {
            let again = self.host().command(command).await;
            assert!(matches!(again, Err(CommandError::NoDeadLetter { .. })), "{again:?}");
        }
    }

    /// Whether an event of the same key failed, or itself.
    fn is_held_still(&self, sequence: u64) -> bool {
        let contents = &self.live.model().contents;
        let key = &self.history[sequence as usize - 1].key;
        contents.letters.get(&sequence) == Some(&false) || contents.held.contains_key(key)
    }

    /// Whether it stands before an event that fails, with nobody to take requests up at once.
    pub(crate) fn has_stopped(&self) -> bool {
        self.live.model().contents.sequence < self.history.len() as u64
    }

    /// The live module builds another generation, which takes the live one's place unless it has to stop.
    async fn rebuild(&mut self) {
        self.rest().await;
        let outcome = self.host().command(Command::Rebuild { from: None }).await.unwrap();
        let number = outcome.generation.unwrap();
        self.said(format!("rebuild as generation {number}"));
        if self.random.random_bool(0.3) {
            let crash = self.random.random_bool(0.7);
            self.restart(crash).await;
        }
        let mut built = Generation::new(number, self.live.module);
        let [live, building] = self.settings.strategies;
        let end = built.ends(&self.history, building).pop_first().unwrap();
        let reaches = end.sequence >= self.live.model().contents.sequence;
        let what = format!("generation {number} is promoted: {reaches}");
        self.host()
            .until(&what, |host| {
                let state = host.generation(number).map(|generation| generation.record.state);
                state == Some(if reaches { GenerationState::Live } else { GenerationState::Failed })
            })
            .await;
        if !reaches {
            return self.rest().await;
        }
        // It may have gone on with the other strategy as soon as it was live.
        built.rests(&self.history, building, &end);
        debug_assert!(live == building || built.model().contents.sequence <= self.history.len() as u64);
        self.standby = Some(std::mem::replace(&mut self.live, built));
        self.rest().await;
    }

    async fn rollback(&mut self) {
        self.rest().await;
        let outcome = self.host().command(Command::Rollback).await;
        let Some(standby) = self.standby.take() else {
            assert!(matches!(outcome, Err(CommandError::NoStandby { .. })), "{outcome:?}");
            return;
        };
        let [live_at, standby_at] = [&self.live, &standby].map(|of| of.model().contents.sequence);
        if standby_at < live_at {
            assert!(matches!(outcome, Err(CommandError::Apart(_))), "{outcome:?}");
            self.standby = Some(standby);
            return;
        }
        outcome.unwrap();
        self.said("rollback");
        self.standby = Some(std::mem::replace(&mut self.live, standby));
        self.rest().await;
    }

    /// The host is started again with another strategy in its configuration.
    async fn other_strategy(&mut self) {
        self.rest().await;
        let strategies = [OnPoison::Hold, OnPoison::Skip, OnPoison::Fail];
        let chosen = strategies.into_iter().choose(&mut self.random);
        self.settings.strategies[0] = chosen.unwrap_or(OnPoison::Hold);
        self.said(format!("{:?} from now on", self.settings.strategies[0]));
        self.restart(false).await;
    }
}
