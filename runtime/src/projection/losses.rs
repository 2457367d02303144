//! Lost events that projections wait for somebody to accept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;

use crate::source::LostEvents;

/// Where runs say that they wait, and operators that they accept. Cheap to clone and share.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    gates: Arc<Mutex<BTreeMap<String, Vec<Weak<LossGate>>>>>,
}

impl Losses {
    /// The gate of one run of the projection of this name.
    pub fn gate(&self, projection: &str) -> Arc<LossGate> {
        let gate = Arc::new(LossGate::default());
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let of_projection = gates.entry(projection.to_owned()).or_default();
        // Runs that have ended leave nothing behind.
        of_projection.retain(|gate| gate.strong_count() > 0);
        of_projection.push(Arc::downgrade(&gate));
        gate
    }

    /// Lets every run of this projection go on that waits because of lost events; gives what each has lost. A loss
    /// that comes later is not accepted by it.
    pub fn accept(&self, projection: &str) -> Vec<LostEvents> {
        let gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let of_projection = gates.get(projection).into_iter().flatten();
        let alive = of_projection.filter_map(Weak::upgrade);
        alive.filter_map(|gate| gate.accept()).collect()
    }
}

/// Whether one run may go on although events are lost.
#[derive(Debug, Default)]
pub struct LossGate {
    state: watch::Sender<GateState>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum GateState {
    /// Nothing is lost.
    #[default]
    Open,
    /// It waits.
    Closed(LostEvents),
    /// It may go on, once.
    Accepted,
    /// It goes on, and has not got over the place yet.
    Passing,
}

impl LossGate {
    /// The run has stopped: because of these lost events, or for another reason. What was accepted stays so until it
    /// has been passed over.
    pub fn stopped(&self, lost: Option<LostEvents>) {
        self.state.send_modify(|state| {
            *state = match (lost, *state) {
                (Some(lost), _) => GateState::Closed(lost),
                (None, GateState::Accepted | GateState::Passing) => *state,
                (None, _) => GateState::Open,
            };
        });
    }

    /// Waits until somebody accepts the loss.
    pub async fn accepted(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`.
        let _ = state.wait_for(|state| *state == GateState::Accepted).await;
    }

    /// Whether the loss was accepted.
    pub fn pass(&self) -> bool {
        self.state.send_if_modified(|state| {
            let accepted = matches!(state, GateState::Accepted | GateState::Passing);
            if accepted {
                *state = GateState::Passing;
            }
            accepted
        })
    }

    /// The run goes on behind what was lost; the next loss is not accepted.
    pub fn passed(&self) {
        self.state.send_replace(GateState::Open);
    }

    fn accept(&self) -> Option<LostEvents> {
        let mut accepted = None;
        self.state.send_if_modified(|state| match *state {
            GateState::Closed(lost) => {
                accepted = Some(lost);
                *state = GateState::Accepted;
                true
            }
            _ => false,
        });
        accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: LostEvents = LostEvents { first: 5, last: 9 };

    #[test]
    fn only_a_loss_that_is_waited_for_can_be_accepted_and_only_once() {
        let losses = Losses::default();
        let gate = losses.gate("orders");
        assert!(losses.accept("orders").is_empty());
        gate.stopped(Some(LOST));
        assert!(losses.accept("others").is_empty());
        assert!(!losses.gate("orders").pass(), "another run");
        assert_eq!(losses.accept("orders"), [LOST]);
        assert!(losses.accept("orders").is_empty());
        assert!(gate.pass());
        gate.stopped(None);
        assert!(gate.pass(), "it failed before it had got over the place");
        gate.passed();
        assert!(!gate.pass(), "the next loss is another one");
    }

    #[test]
    fn a_run_that_stopped_for_another_reason_or_ended_accepts_nothing() {
        let losses = Losses::default();
        let gate = losses.gate("orders");
        gate.stopped(Some(LOST));
        gate.stopped(None);
        assert!(losses.accept("orders").is_empty());
        gate.stopped(Some(LOST));
        drop(gate);
        assert!(losses.accept("orders").is_empty());
    }

    #[tokio::test]
    async fn a_run_that_waits_goes_on_when_its_loss_is_accepted() {
        let losses = Losses::default();
        let gate = losses.gate("orders");
        gate.stopped(Some(LOST));
        let waiting = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move { gate.accepted().await }
        });
        assert_eq!(losses.accept("orders"), [LOST]);
        waiting.await.unwrap();
        assert!(gate.pass());
    }
}
