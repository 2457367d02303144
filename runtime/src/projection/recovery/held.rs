//! What is set aside, as far as it must be known while events are applied: nothing of it costs anything while nothing
//! is held.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::super::poison::PoisonLimits;
use super::Failure;
use crate::batch::Batch;
use crate::definition::EventKey;
use crate::event::Sequence;
use crate::store::dead_letters::{HeldEvent, KeyBytes, LetterOutline, SetAside};

/// Dead letters and held keys of one generation, in memory: as many as [`PoisonLimits`] allow.
#[derive(Debug, Default)]
pub(super) struct Held {
    keys: HashMap<KeyBytes, Count>,
    letters: BTreeMap<Sequence, LetterOutline>,
    total: Count,
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    events: u64,
    bytes: u64,
}

/// A batch without the events of held keys.
pub(super) struct Passed<'b> {
    /// What the guest may see.
    pub(super) batch: Cow<'b, Batch>,
    /// The others.
    pub(super) held: Vec<HeldEvent>,
}

impl Held {
    /// As the read model's file says.
    pub(super) fn new(aside: SetAside) -> Self {
        let mut held = Self::default();
        for letter in aside.letters {
            held.letters.insert(letter.sequence, letter);
        }
        for outline in aside.held {
            let count = Count {
                events: outline.events,
                bytes: outline.bytes,
            };
            held.total.add(count);
            held.keys.insert(outline.key, count);
        }
        held
    }

    /// Takes the events of held keys out of a batch.
    pub(super) fn pass<'b>(&self, batch: &'b Batch, key: &EventKey) -> Passed<'b> {
        let nothing_held = Passed {
            batch: Cow::Borrowed(batch),
            held: Vec::new(),
        };
        if self.keys.is_empty() {
            return nothing_held;
        }
        let is_held = |i| {
            let key = key.of(batch.subjects().get(i), batch.headers().get(i));
            // A look-up in a map of owned keys needs one; this happens only while something is held.
            self.keys.contains_key(&key.map(<[u8]>::to_vec))
        };
        let held: Vec<bool> = (0..batch.len()).map(is_held).collect();
        if !held.contains(&true) {
            return nothing_held;
        }
        let events = (0..batch.len()).filter(|&i| held[i]);
        Passed {
            batch: Cow::Owned(batch.keep(|i| !held[i])),
            held: events.map(|i| held_event(batch, i, key)).collect(),
        }
    }

    /// Refuses what would not fit into the limits.
    pub(super) fn check(&self, more: &[HeldEvent], limits: &PoisonLimits) -> Result<(), Failure> {
        let mut total = self.total;
        for held in more {
            total.add(Count::of(held));
            let full = if total.events > limits.held_events {
                ("held events", "[recovery] held_events", limits.held_events)
            } else if total.bytes > limits.held_bytes {
                (
                    "bytes of held events",
                    "[recovery] held_mib",
                    limits.held_bytes,
                )
            } else {
                continue;
            };
            return Err(Failure::SetAsideFull {
                what: full.0,
                key: full.1,
                limit: full.2,
                sequence: held.event.sequence,
            });
        }
        Ok(())
    }

    /// Refuses another dead letter where there are as many as there may be.
    pub(super) fn check_letters(
        &self,
        sequence: Sequence,
        limits: &PoisonLimits,
    ) -> Result<(), Failure> {
        if self.letters.len() < limits.dead_letters {
            return Ok(());
        }
        Err(Failure::SetAsideFull {
            what: "dead letters",
            key: "[recovery] dead_letters",
            limit: limits.dead_letters as u64,
            sequence,
        })
    }

    /// An event is held from now on, and its key with it.
    pub(super) fn hold(&mut self, held: &HeldEvent) {
        let count = Count::of(held);
        self.total.add(count);
        self.keys.entry(held.key.clone()).or_default().add(count);
    }

    /// An event is held no longer. The key is, until [`Self::free`] says that none of its events is left.
    pub(super) fn release(&mut self, held: &HeldEvent) {
        let count = Count::of(held);
        self.total.remove(count);
        if let Some(of_key) = self.keys.get_mut(&held.key) {
            of_key.remove(count);
        }
    }

    /// Nothing of a key is held any more.
    pub(super) fn free(&mut self, key: &KeyBytes) {
        self.keys.remove(key);
    }

    /// A dead letter is new, or there was another attempt.
    pub(super) fn record(&mut self, letter: LetterOutline) {
        self.letters.insert(letter.sequence, letter);
    }

    /// A dead letter is settled.
    pub(super) fn settle(&mut self, sequence: Sequence) {
        self.letters.remove(&sequence);
    }

    /// The dead letter of this sequence.
    pub(super) fn letter(&self, sequence: Sequence) -> Option<&LetterOutline> {
        self.letters.get(&sequence)
    }

    /// Held keys that another module than this one has failed on, or whose drain was interrupted.
    pub(super) fn due(&self, digest: &str) -> Vec<KeyBytes> {
        let tried = |key: &KeyBytes| {
            let mut letters = self.letters.values();
            letters.any(|letter| letter.held && letter.key == *key && letter.digest == digest)
        };
        let mut due: Vec<_> = self
            .keys
            .keys()
            .filter(|key| !tried(key))
            .cloned()
            .collect();
        // A map has no order of its own; the same steps come in the same order.
        due.sort_unstable();
        due
    }

    /// Number of events of a key that are held.
    pub(super) fn events_of(&self, key: &KeyBytes) -> u64 {
        self.keys.get(key).map_or(0, |count| count.events)
    }

    /// Numbers of dead letters and of held keys.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.letters.len() as u64, self.keys.len() as u64)
    }
}

impl Count {
    fn of(held: &HeldEvent) -> Self {
        Self {
            events: 1,
            bytes: held.bytes(),
        }
    }

    fn add(&mut self, more: Self) {
        self.events += more.events;
        self.bytes += more.bytes;
    }

    fn remove(&mut self, less: Self) {
        self.events = self.events.saturating_sub(less.events);
        self.bytes = self.bytes.saturating_sub(less.bytes);
    }
}

/// Event `i` of a batch with its key.
pub(super) fn held_event(batch: &Batch, i: usize, key: &EventKey) -> HeldEvent {
    let key = key.of(batch.subjects().get(i), batch.headers().get(i));
    HeldEvent {
        key: key.map(<[u8]>::to_vec),
        event: batch.event(i),
    }
}
