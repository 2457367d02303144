//! The host is killed (`kill -9`) at two hundred random instants, spread over everything it does: it catches up, is live,
//! holds events, applies what it held, reloads, builds, promotes, rolls back. After each kill everything on the disk
//! equals a model's: every row, a checkpoint that is not ahead of the stream, dead letters with their keys, held events
//! in their order, one live generation. What comes after the next start shows at the kill after it.
//!
//! `FOLDLINE_SEED` repeats the instants, as far as a machine does the same in the same time; `FOLDLINE_KILLS` sets another
//! number for all phases together.

use std::fs;
use std::time::{Duration, Instant};

use foldline_tests::host::Host;
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
    instants: Instants,
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
            instants: Instants {
                random: StdRng::seed_from_u64(seed()),
                pace: 1.0,
            },
        }
    }

    /// Kills, round after round, until so many came while the phase was going on. Those that came after it are checked as
    /// well, and are few: else the instants are badly chosen.
    fn run(mut self, mut round: impl FnMut(&mut Instants) -> Came) {
        let Self { name, kills, .. } = self;
        let (mut inside, mut after) = (0, 0);
        while inside < kills {
            let came = round(&mut self.instants);
            self.instants.adapt(came);
            match came {
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

impl Phase {
    /// Kills while the host reads `last` events, which takes it the `whole` time. `check` says how far it came; once it has
    /// read all, it begins again without its data.
    fn run_replays(
        self,
        host: &mut Host,
        whole: Duration,
        last: u64,
        check: impl Fn(&Host) -> u64,
    ) {
        let mut left = 0.0;
        self.run(|instants| {
            if left == 0.0 {
                host.kill();
                fs::remove_dir_all(host.data()).unwrap();
                left = 1.0;
            }
            host.restart();
            instants.wait(whole.mul_f64(left));
            host.kill();
            let reached = check(host);
            left = 1.0 - reached as f64 / last as f64;
            if reached < last {
                Came::Inside
            } else {
                Came::After
            }
        });
    }
}

/// How long it takes.
fn time(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// Random instants within the time that something takes. How long that is depends on what else the machine does, so they
/// come earlier after one that came too late, and later again after one that did not.
struct Instants {
    random: StdRng,
    pace: f64,
}

impl Instants {
    /// Waits for the next one. A kill comes at an instant and not on a condition, so this waits for time.
    fn wait(&mut self, whole: Duration) {
        let part = self.pace * self.random.random::<f64>();
        std::thread::sleep(whole.mul_f64(part));
    }

    fn adapt(&mut self, came: Came) {
        self.pace *= match came {
            Came::Inside => 1.05,
            Came::After => 0.8,
        };
    }
}
