//! Brings two generations of a projection to a stand at one place of the stream.

use std::time::Duration;

use crate::event::Sequence;
use crate::projection::State;
use crate::projection::brake::Brake;
use crate::projection::progress::Progress;

/// How long each of the two may need to come to a stand. The other one waits meanwhile, and readers of the live one
/// see no news.
const WITHIN: Duration = Duration::from_secs(5);

/// One of the two.
#[derive(Debug, Clone)]
pub(super) struct Party {
    pub(super) version: u32,
    pub(super) progress: Progress,
    pub(super) brake: Brake,
}

/// Neither of the two commits anything while this lives.
#[derive(Debug)]
pub(super) struct Meeting {
    parties: [Party; 2],
}

/// Why two generations could not be brought together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Apart {
    /// A call of a guest, or a commit, takes too long.
    #[error("version {version} did not come to a stand within {WITHIN:?}")]
    Slow {
        /// The one.
        version: u32,
    },
    /// One is behind and does not move.
    #[error("version {version} is at {at}, {missing} events behind, and does not come nearer")]
    Behind {
        /// The one.
        version: u32,
        /// Its checkpoint.
        at: Sequence,
        /// Distance to the other's checkpoint.
        missing: u64,
    },
}

impl Apart {
    /// What to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Slow { .. } => "try again; a slow module needs long for a batch",
            Self::Behind { .. } => {
                "see `foldline status NAME` for what keeps it from reading, and try again when it has caught up"
            }
        }
    }
}

/// Whether the other generation may be ahead of the live one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The other one is at least as far as the live one: enough to take its place.
    Reached,
    /// Both stand at the same sequence.
    Same,
    /// Wherever it is: the live one is given up.
    Any,
}

impl Meeting {
    /// Lets both stand; the one that is behind comes up first, where `place` asks for it.
    pub(super) async fn arrange(live: Party, other: Party, place: Place) -> Result<Self, Apart> {
        // From here on everything is released again, whatever happens.
        let meeting = Self {
            parties: [live, other],
        };
        for party in &meeting.parties {
            party.stop_at(0).await?;
        }
        let [live, other] = &meeting.parties;
        let (at_live, at_other) = (live.progress.checkpoint(), other.progress.checkpoint());
        if place == Place::Any {
            return Ok(meeting);
        }
        if at_other < at_live {
            other.come_up(at_live).await?;
        } else if at_live < at_other && place == Place::Same {
            live.come_up(at_other).await?;
        }
        Ok(meeting)
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        for party in &self.parties {
            party.brake.release();
        }
    }
}

impl Party {
    async fn stop_at(&self, limit: Sequence) -> Result<(), Apart> {
        self.brake.stop_at(limit);
        if self.brake.at_rest(limit, WITHIN).await {
            return Ok(());
        }
        let at = self.progress.checkpoint();
        if limit > at {
            return Err(self.behind(at, limit));
        }
        Err(Apart::Slow {
            version: self.version,
        })
    }

    async fn come_up(&self, to: Sequence) -> Result<(), Apart> {
        self.brake.stop_at(to);
        self.begun().await;
        self.stop_at(to).await?;
        let at = self.progress.checkpoint();
        if at < to {
            return Err(self.behind(at, to));
        }
        Ok(())
    }

    /// Waits a little for one that is only starting: it rests, but not for long.
    async fn begun(&self) {
        let mut status = self.progress.subscribe();
        let begun = status.wait_for(|status| status.status != State::Starting);
        // Whatever it does after that time, it is looked at next.
        let _waited = tokio::time::timeout(WITHIN, begun).await;
    }

    fn behind(&self, at: Sequence, to: Sequence) -> Apart {
        Apart::Behind {
            version: self.version,
            at,
            missing: to - at,
        }
    }
}
