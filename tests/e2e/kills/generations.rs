//! Killed while a generation is built, and while generations change places.

use std::thread;
use std::time::Duration;

use foldline_tests::data::Generation;
use foldline_tests::guests::module;
use foldline_tests::host::{Host, send};
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;

use super::expected::Expected;
use super::steady::Steady;
use super::{Came, Instants, Phase, time};

const NAME: &str = "order-summary";
const FILE: &str = "order-summary.wasm";

/// Events before the first kill.
const PAST: usize = 12_000;

/// A host with one live generation, while events keep coming.
struct Stage {
    expected: Expected,
    stream: Stream,
    host: Host,
    steady: Steady,
    _nats: NatsServer,
}

impl Stage {
    fn new(config: &str) -> Self {
        let expected = Expected::of(Orders::new(3).events(40_000));
        let nats = NatsServer::start();
        let stream = Stream::of_orders(&nats.url());
        stream.publish(&expected.history[..PAST]);
        let config = format!("[store]\ncommit_events = 500\n[projection.{NAME}]\n{config}\n");
        let mut host = Host::new(&nats.url()).configured(&config);
        host.drop_module(FILE, &module(NAME));
        host.restart();
        host.wait_applied(NAME, PAST as u64);
        Self {
            expected,
            stream,
            host,
            steady: Steady::after(PAST),
            _nats: nats,
        }
    }

    /// Runs a phase. `round` gets a host that runs and is live, and says what came when it was killed; it is then told what
    /// is on the disk.
    fn run(
        self,
        phase: Phase,
        mut round: impl FnMut(&mut Instants, &mut Host, Option<&[Generation]>) -> Option<Came>,
    ) {
        let Self {
            expected,
            stream,
            mut host,
            steady,
            _nats,
        } = self;
        thread::scope(|scope| {
            let ended = steady.until_dropped();
            scope.spawn(|| steady.publish(&stream, &expected.history));
            let mut found: Option<Vec<Generation>> = None;
            phase.run(|instants| {
                host.restart();
                host.wait_state(NAME, "live");
                if let Some(found) = &found {
                    // What was being built may have taken its place.
                    let mut may_be = found
                        .iter()
                        .filter(|one| ["live", "building"].contains(&&*one.state));
                    let live = live_number(&host);
                    assert!(
                        may_be.any(|one| Some(one.number) == live),
                        "{live:?} after {found:?}"
                    );
                }
                let came = round(instants, &mut host, found.as_deref());
                host.kill();
                let now = expected.assert_on_disk(&host, NAME, steady.published());
                let is_building = now.iter().any(|one| one.state == "building");
                found = Some(now);
                came.unwrap_or(if is_building {
                    Came::Inside
                } else {
                    Came::After
                })
            });
            drop(ended);
        });
        host.restart();
        host.wait_applied(NAME, stream.last_sequence());
        host.kill();
        let found = expected.assert_on_disk(&host, NAME, stream.last_sequence());
        let live = found.iter().find(|one| one.state == "live").unwrap();
        assert_eq!(live.sequence, stream.last_sequence());
    }
}

/// The number of the live generation.
fn live_number(host: &Host) -> Option<u64> {
    generation(host, "live")?["number"].as_u64()
}

fn generation(host: &Host, state: &str) -> Option<serde_json::Value> {
    let status = host.status(NAME);
    let all = status["generations"].as_array()?;
    all.iter().find(|one| one["state"] == state).cloned()
}

fn rebuild(host: &Host) {
    wait_until("a rebuild begins", || {
        let answer = host.post(&format!("/v1/projections/{NAME}/rebuild"))?;
        (answer.code == 200).then_some(())
    });
}

#[test]
fn a_host_killed_while_it_builds_has_every_generation_right() {
    let phase = Phase::new("building", 25);
    let stage = Stage::new("");
    let before = live_number(&stage.host);
    rebuild(&stage.host);
    let whole = time(|| {
        wait_until("it was promoted", || {
            (live_number(&stage.host) != before).then_some(())
        });
    });
    let mut left = 1.0;
    stage.run(phase, |instants, host, found| {
        let built = found.and_then(|found| found.iter().find(|one| one.state == "building"));
        left = match built {
            Some(built) => 1.0 - (built.sequence as f64 / PAST as f64).min(0.9),
            None => 1.0,
        };
        if generation(host, "building").is_none() {
            rebuild(host);
        }
        instants.wait(whole.mul_f64(left));
        None
    });
}

/// Has something done and kills the host at an instant within `whole`: inside, when no answer came.
fn kill_during(instants: &mut Instants, host: &Host, command: &str, whole: Duration) -> Came {
    thread::scope(|scope| {
        let asked = scope.spawn(|| host.post(&format!("/v1/projections/{NAME}/{command}")));
        instants.wait(whole);
        send("KILL", host.pid());
        match asked.join().unwrap() {
            None => Came::Inside,
            Some(_) => Came::After,
        }
    })
}

fn command(host: &Host, command: &str) {
    wait_until(command, || {
        let answer = host.post(&format!("/v1/projections/{NAME}/{command}"))?;
        (answer.code == 200).then_some(())
    });
}

#[test]
fn a_host_killed_while_it_promotes_has_one_live_generation_that_is_right() {
    let phase = Phase::new("promoting", 20);
    let stage = Stage::new("promote = \"manual\"");
    let build = |host: &Host| {
        if generation(host, "building").is_none() {
            rebuild(host);
        }
        wait_until("it has nearly caught up", || {
            let [built, live] = ["building", "live"].map(|state| generation(host, state));
            let (built, live) = (
                built?["checkpoint"].as_u64()?,
                live?["checkpoint"].as_u64()?,
            );
            (built + 100 >= live).then_some(())
        });
    };
    build(&stage.host);
    let whole = time(|| command(&stage.host, "promote"));
    stage.run(phase, |instants, host, _| {
        build(host);
        Some(kill_during(instants, host, "promote", whole))
    });
}

#[test]
fn a_host_killed_while_it_rolls_back_has_one_live_generation_that_is_right() {
    let phase = Phase::new("rolling back", 15);
    let stage = Stage::new("");
    stage.host.drop_module(FILE, &module("order-summary-next"));
    stage
        .host
        .wait_status(NAME, "has version 2 live", |status| status["version"] == 2);
    // The first one takes longer than those that follow it.
    let times = [(); 4].map(|()| time(|| command(&stage.host, "rollback")));
    let whole = times.into_iter().min().unwrap();
    stage.run(phase, |instants, host, _| {
        wait_until("there is one to go back to", || generation(host, "standby"));
        Some(kill_during(instants, host, "rollback", whole))
    });
}
