//! Lets generations stand at a place for a moment, so that two of them can be compared or change places.

use std::time::Duration;

use tokio::sync::watch;

use crate::event::Sequence;

/// What the loop of a generation does, as far as a brake is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// No loop runs, so the checkpoint stays where it is. One that starts looks at the brake first.
    Resting,
    /// Events may be applied at any time.
    Moving,
    /// Everything up to this limit is committed, and nothing is applied until the limit changes.
    Standing {
        /// The limit it stands for.
        limit: Sequence,
    },
}

/// The brake of one generation. Clones are the same brake.
#[derive(Debug, Clone)]
pub struct Brake {
    limit: watch::Sender<Option<Sequence>>,
    motion: watch::Sender<Motion>,
}

impl Default for Brake {
    fn default() -> Self {
        Self {
            limit: watch::Sender::new(None),
            motion: watch::Sender::new(Motion::Resting),
        }
    }
}

impl Brake {
    /// Lets the generation apply nothing behind `limit`; one that is further already stands where it is.
    pub fn stop_at(&self, limit: Sequence) {
        self.limit.send_replace(Some(limit));
    }

    /// Lets the generation go on.
    pub fn release(&self) {
        self.limit.send_replace(None);
    }

    /// Waits until the generation applies nothing behind `limit` any more; false when it takes longer than `within`.
    pub async fn at_rest(&self, limit: Sequence, within: Duration) -> bool {
        let mut motion = self.motion.subscribe();
        let rests = |motion: &Motion| match motion {
            Motion::Resting => true,
            Motion::Moving => false,
            Motion::Standing { limit: at } => *at == limit,
        };
        let rested = tokio::time::timeout(within, motion.wait_for(rests)).await;
        matches!(rested, Ok(Ok(_)))
    }

    /// The loop's end of the brake. While it lives the generation counts as moving or standing.
    pub fn wheel(&self) -> Wheel {
        self.motion.send_replace(Motion::Moving);
        Wheel {
            limit: self.limit.subscribe(),
            motion: self.motion.clone(),
        }
    }
}

/// What the brake acts on: the loop asks it how far it may go.
#[derive(Debug)]
pub struct Wheel {
    limit: watch::Receiver<Option<Sequence>>,
    motion: watch::Sender<Motion>,
}

impl Wheel {
    /// How far the loop may go; none when nothing holds it.
    pub fn limit(&self) -> Option<Sequence> {
        *self.limit.borrow()
    }

    /// Everything up to `limit` is committed: stands until another limit is set, or none.
    pub async fn stand(&mut self, limit: Sequence) {
        self.motion.send_replace(Motion::Standing { limit });
        // The brake may be gone: then nobody holds the loop any more.
        let _gone = self.limit.wait_for(|now| *now != Some(limit)).await;
        self.motion.send_replace(Motion::Moving);
    }

    /// Waits until the limit is another one.
    pub async fn changed(&mut self) {
        if self.limit.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Wheel {
    fn drop(&mut self) {
        self.motion.send_replace(Motion::Resting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(10);

    #[tokio::test(start_paused = true)]
    async fn a_loop_stands_for_the_limit_it_was_given_last_and_goes_on_when_released() {
        let brake = Brake::default();
        assert!(brake.at_rest(7, SOON).await, "no loop runs");
        let mut wheel = brake.wheel();
        assert!(!brake.at_rest(0, SOON).await, "it moves");

        brake.stop_at(0);
        assert_eq!(wheel.limit(), Some(0));
        let standing = tokio::spawn(async move {
            wheel.stand(0).await;
            wheel.stand(5).await;
            wheel
        });
        assert!(brake.at_rest(0, SOON).await);
        brake.stop_at(5);
        assert!(brake.at_rest(5, SOON).await);
        brake.release();
        let wheel = standing.await.unwrap();
        assert_eq!(wheel.limit(), None);
        assert!(!brake.at_rest(5, SOON).await, "it moves again");
        drop(wheel);
        assert!(brake.at_rest(5, SOON).await, "it ended");
    }
}
