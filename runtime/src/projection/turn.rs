//! Who goes first when there is more work than processors: what is served, before what is only being built.
//!
//! A building generation has a thread, a file and a connection of its own, so it holds nobody up; but it works all the
//! time, and the system gives each thread that has work the same share. So after each batch it gives way while others
//! work, for as long as the batch took: beside busy live generations it gets half of what it could use, and beside idle
//! ones everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// How many generations of a host are at work that others give way to. Clones count together.
#[derive(Debug, Clone)]
pub struct Turns {
    at_work: watch::Sender<usize>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            at_work: watch::Sender::new(0),
        }
    }
}

/// One generation's place among the others. Clones are the same place.
#[derive(Debug, Clone)]
pub struct Turn {
    turns: Turns,
    gives_way: Arc<AtomicBool>,
}

/// Counts as being at work while it lives.
#[derive(Debug)]
pub struct AtWork(Option<Turns>);

impl Turn {
    /// A place among `turns`.
    pub fn new(turns: &Turns, gives_way: bool) -> Self {
        Self {
            turns: turns.clone(),
            gives_way: Arc::new(gives_way.into()),
        }
    }

    /// From its next batch on it gives way, or does not any more.
    pub fn set(&self, gives_way: bool) {
        self.gives_way.store(gives_way, Ordering::Relaxed);
    }

    fn gives_way(&self) -> bool {
        self.gives_way.load(Ordering::Relaxed)
    }

    /// It is at work from now on. Nobody gives way to one that gives way itself.
    pub fn begin(&self) -> AtWork {
        if self.gives_way() {
            return AtWork(None);
        }
        self.turns.at_work.send_modify(|at_work| *at_work += 1);
        AtWork(Some(self.turns.clone()))
    }

    /// It has worked for this time: where it gives way, waits as long, but only while others are at work.
    pub async fn end(&self, worked: Duration) {
        if !self.gives_way() || *self.turns.at_work.borrow() == 0 {
            return;
        }
        let mut at_work = self.turns.at_work.subscribe();
        let idle = at_work.wait_for(|&at_work| at_work == 0);
        // Both ends are good: nobody is at work, or it was long enough.
        let _either = tokio::time::timeout(worked, idle).await;
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if let Some(turns) = &self.0 {
            turns.at_work.send_modify(|at_work| *at_work -= 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const BATCH: Duration = Duration::from_millis(8);

    #[tokio::test(start_paused = true)]
    async fn what_is_built_waits_for_live_work_as_long_as_its_batch_took_and_no_longer() {
        let turns = Turns::default();
        let (live, building) = (Turn::new(&turns, false), Turn::new(&turns, true));
        let waited = async |turn: &Turn| {
            let before = Instant::now();
            turn.end(BATCH).await;
            before.elapsed()
        };
        assert_eq!(waited(&building).await, Duration::ZERO, "nobody works");

        let at_work = live.begin();
        assert_eq!(waited(&live).await, Duration::ZERO);
        assert!(waited(&building).await >= BATCH);
        let other = building.begin();
        drop(at_work);
        assert_eq!(waited(&building).await, Duration::ZERO, "only builds work");
        drop(other);

        let at_work = live.begin();
        building.set(false);
        assert_eq!(waited(&building).await, Duration::ZERO, "it was promoted");
        drop(at_work);
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_at_once_when_live_work_ends() {
        let turns = Turns::default();
        let at_work = Turn::new(&turns, false).begin();
        let before = Instant::now();
        let building = Turn::new(&turns, true);
        let waiting = tokio::spawn(async move { building.end(10 * BATCH).await });
        tokio::time::sleep(BATCH).await;
        drop(at_work);
        waiting.await.unwrap();
        assert!(before.elapsed() < 2 * BATCH);
    }
}
