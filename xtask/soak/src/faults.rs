//! What happens to the host, in random order.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use crate::sample::Sampler;
use crate::stage::{OF_ORDERS, SCRIBE, Stage};

/// A process of the first half lives so long at least.
const LIFE_MIN: Duration = Duration::from_secs(45);

/// How long something is away or paused.
const AWAY: std::ops::Range<Duration> = Duration::from_millis(300)..Duration::from_secs(4);

/// Dead letters that are retried at once.
const RETRIES: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    HostKilled,
    HostStopped,
    ServerKilled,
    ConnectionsForgotten,
    NetworkFrozen,
    Reloaded,
    Mended,
    Broken,
    Retried,
    Paused,
    Rebuilt,
    NewVersion,
    RolledBack,
}

/// Those that leave the process of the host alone; some twice, because they are harmless alone.
const IN_ONE_LIFE: [Fault; 13] = {
    use Fault::{
        Broken, ConnectionsForgotten, Mended, NetworkFrozen, NewVersion, Paused, Rebuilt, Reloaded,
        Retried, RolledBack, ServerKilled,
    };
    [
        ServerKilled,
        ConnectionsForgotten,
        NetworkFrozen,
        Reloaded,
        Reloaded,
        Mended,
        Broken,
        Retried,
        Retried,
        Paused,
        Rebuilt,
        NewVersion,
        RolledBack,
    ]
};

/// Chooses, does and counts them.
pub(crate) struct Faults<'r> {
    pub(crate) random: &'r mut StdRng,
    pub(crate) counts: BTreeMap<String, u32>,
    began: Instant,
    life_began: Instant,
}

impl<'r> Faults<'r> {
    pub(crate) fn new(random: &'r mut StdRng) -> Self {
        Self {
            random,
            counts: BTreeMap::new(),
            began: Instant::now(),
            life_began: Instant::now(),
        }
    }

    /// One of them; of the host's own process only where that is allowed.
    pub(crate) fn one(&mut self, stage: &mut Stage, sampler: &Sampler, may_crash: bool) {
        let may_crash = may_crash && self.life_began.elapsed() > LIFE_MIN;
        let fault = match may_crash && self.random.random_bool(0.25) {
            true => [Fault::HostKilled, Fault::HostStopped][self.random.random_range(0..2)],
            false => *IN_ONE_LIFE.choose(self.random).expect("there are some"),
        };
        println!("{:>5} s  {fault:?}", self.began.elapsed().as_secs());
        *self.counts.entry(format!("{fault:?}")).or_default() += 1;
        match fault {
            Fault::HostKilled | Fault::HostStopped => self.host(fault, stage, sampler),
            Fault::ServerKilled | Fault::ConnectionsForgotten | Fault::NetworkFrozen => {
                self.network(fault, stage);
            }
            Fault::Reloaded => self.reload(stage),
            Fault::Mended => stage.deploy(SCRIBE, "scribe-mended"),
            Fault::Broken => stage.deploy(SCRIBE, SCRIBE),
            Fault::Retried => self.retry(stage),
            Fault::Paused => self.pause(stage),
            Fault::Rebuilt => drop(stage.ask("order-summary", "rebuild")),
            Fault::NewVersion => stage.deploy("order-summary", "order-summary-next"),
            Fault::RolledBack => drop(stage.ask("order-summary", "rollback")),
        }
    }

    fn host(&mut self, fault: Fault, stage: &mut Stage, sampler: &Sampler) {
        if fault == Fault::HostKilled {
            stage.host.kill();
            sampler.end_life("kill -9");
        } else {
            let ended = stage.host.end_with("TERM");
            sampler.end_life("SIGTERM");
            assert_eq!(ended.code(), Some(0), "{}", stage.host.log());
        }
        stage.host.restart();
        sampler.begin_life(stage.host.pid());
        self.life_began = Instant::now();
    }

    fn network(&mut self, fault: Fault, stage: &mut Stage) {
        match fault {
            Fault::ServerKilled => {
                stage.nats.kill();
                self.away();
                stage.nats.restart();
            }
            Fault::ConnectionsForgotten => stage.proxy.forget_connections(),
            _ => {
                stage.proxy.freeze();
                self.away();
                stage.proxy.thaw();
            }
        }
    }

    fn away(&mut self) {
        sleep(self.random.random_range(AWAY));
    }

    /// Another build of what is in the file. Of the projection with two versions the second one's.
    fn reload(&mut self, stage: &mut Stage) {
        let name = *OF_ORDERS.choose(self.random).expect("there are some");
        let is_next = name == "order-summary" && stage.host.status(name)["version"] == 2;
        stage.deploy(name, if is_next { "order-summary-next" } else { name });
    }

    fn retry(&mut self, stage: &Stage) {
        let letters = stage
            .host
            .get(&format!("/v1/projections/{SCRIBE}/dead-letters"))
            .body;
        for letter in letters.as_array().into_iter().flatten().take(RETRIES) {
            let sequence = &letter["sequence"];
            // Refused where another module has settled it meanwhile.
            stage.ask(SCRIBE, &format!("dead-letters/{sequence}/retry"));
        }
    }

    fn pause(&mut self, stage: &Stage) {
        let name = *OF_ORDERS.choose(self.random).expect("there are some");
        stage.ask(name, "pause");
        self.away();
        assert!(stage.ask(name, "resume"), "{name} goes on");
    }
}
