//! Dead letters and held events in memory.

use std::collections::BTreeMap;

use crate::event::{Event, Sequence};
use crate::store::dead_letters::{
    DeadLetter, DeadLetterChange, HeldEvent, HeldOutline, KeyBytes, LetterOutline, SetAside,
};

#[derive(Debug, Clone, Default)]
pub(super) struct Aside {
    letters: BTreeMap<Sequence, DeadLetter>,
    held: BTreeMap<Sequence, HeldEvent>,
}

impl Aside {
    pub(super) fn change(&mut self, change: &DeadLetterChange) {
        match change {
            DeadLetterChange::Record(letter) => {
                self.letters.insert(letter.sequence, (**letter).clone());
            }
            DeadLetterChange::Settle(sequence) => {
                self.letters.remove(sequence);
            }
            DeadLetterChange::Hold(held) => {
                self.held.insert(held.event.sequence, held.clone());
            }
            DeadLetterChange::Release(sequence) => {
                self.held.remove(sequence);
            }
        }
    }

    pub(super) fn outline(&self) -> SetAside {
        let mut held: BTreeMap<&KeyBytes, (u64, u64)> = BTreeMap::new();
        for event in self.held.values() {
            let (events, bytes) = held.entry(&event.key).or_default();
            (*events, *bytes) = (*events + 1, *bytes + event.bytes());
        }
        let letter = |letter: &DeadLetter| LetterOutline {
            sequence: letter.sequence,
            key: letter.key.clone(),
            held: letter.held,
            digest: letter.digest().to_owned(),
        };
        let key = |(key, (events, bytes)): (&KeyBytes, _)| HeldOutline {
            key: key.clone(),
            events,
            bytes,
        };
        SetAside {
            letters: self.letters.values().map(letter).collect(),
            held: held.into_iter().map(key).collect(),
        }
    }

    pub(super) fn held_events(&self, key: Option<&[u8]>, limit: usize, bytes: u64) -> Vec<Event> {
        let of_key = self.held.values().filter(|held| held.key.as_deref() == key);
        let (mut events, mut taken) = (Vec::new(), 0);
        for held in of_key.take(limit) {
            taken += held.bytes();
            if taken > bytes && !events.is_empty() {
                break;
            }
            events.push(held.event.clone());
        }
        events
    }

    pub(super) fn dead_letter(&self, sequence: Sequence) -> Option<DeadLetter> {
        self.letters.get(&sequence).cloned()
    }
}
