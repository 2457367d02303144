//! The host is killed (`kill -9`) at two hundred random instants, spread over everything it does: it catches up, is live,
//! holds events, applies what it held, reloads, builds, promotes, rolls back. After each kill everything on the disk
//! equals a model's: every row, a checkpoint that is not ahead of the stream, dead letters with their keys, held events
//! in their order, one live generation. What comes after the next start shows at the kill after it.
//!
//! `FOLDLINE_SEED` repeats the instants, as far as a machine does the same in the same time; `FOLDLINE_KILLS` sets another
//! number for all phases together.

use std::time::{Duration, Instant};

use foldline_tests::seed;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

mod aside;
mod expected;
mod generations;
mod reading;
mod steady;

/// Kills of all phases together, each while its phase is going on.
const KILLS: usize = 200;

/// So many kills may come too late in a phase of a handful.
const FEW: usize = 5;

/// A phase of the host's life, and the kills that it has to live through.
struct Phase {
    name: &'static str,
    kills: usize,
    random: StdRng,
}

/// When a kill came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// While it was going on.
    Inside,
    /// When it was over.
    After,
}

impl Phase {
    /// A phase with so many of the [`KILLS`].
    fn new(name: &'static str, share: usize) -> Self {
        let kills = std::env::var("FOLDLINE_KILLS");
        let kills = kills.map_or(KILLS, |kills| {
            kills.parse().expect("FOLDLINE_KILLS is a number")
        });
        Self {
            name,
            kills: (kills * share).div_ceil(KILLS),
            random: StdRng::seed_from_u64(seed()),
        }
    }

    /// Kills, round after round, until so many came while the phase was going on. Those that came after it are checked as
    /// well, and are few: else the instants are badly chosen.
    fn run(mut self, mut round: impl FnMut(&mut StdRng) -> Came) {
        let Self { name, kills, .. } = self;
        let (mut inside, mut after) = (0, 0);
        while inside < kills {
            match round(&mut self.random) {
                Came::Inside => inside += 1,
                Came::After => after += 1,
            }
            assert!(
                after <= kills + FEW,
                "{name}: {inside} kills inside, {after} after it"
            );
        }
        eprintln!("{name}: {inside} kills inside, {after} after it");
    }
}

/// How long it takes.
fn time(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// Waits for a random instant within `whole`. A kill comes at an instant and not on a condition, so this waits for time.
fn instant(random: &mut StdRng, whole: Duration) {
    std::thread::sleep(whole.mul_f64(random.random()));
}
