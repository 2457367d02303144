//! How long after its publication an event is in a read model.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Setting;
use super::live::{self, Delays};
use crate::host::Host;
use crate::orders::OrderEvents;
use crate::replay::{PROJECTION, TABLE, put_modules};
use crate::report::Finding;
use crate::stage::Stage;
use crate::statistics::{Spread, quantile};

/// Ten seconds at a thousand events a second.
const EVENTS: u64 = 10_000;
const STREAM_BEFORE: u64 = 3_000;

/// As long as the name of the projection.
const OTHER: &str = "order-summar2";

/// The other projection starts this long after the events, and is asked for this often.
const ALONE_FOR: Duration = Duration::from_secs(1);
const ASK_EVERY: Duration = Duration::from_millis(100);

/// One projection that has nothing else to do.
pub(super) fn alone(setting: &Setting<'_>) -> Result<Vec<Finding>> {
    let stage = setting.stage(STREAM_BEFORE)?;
    let (mut ratios, mut medians, mut tails, mut bare) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 0..=setting.runs {
        let delays = run_alone(setting, &stage, run)?;
        let (visible, subscriber) = (sorted(delays.visible), sorted(delays.bare));
        let (median, base) = (quantile(&visible, 0.5), quantile(&subscriber, 0.5));
        println!("      in a query {median:.2} ms, bare subscriber {base:.2} ms");
        if run > 0 {
            ratios.push(median / base);
            medians.push(median);
            tails.push(quantile(&visible, 0.99));
            bare.push(base);
        }
    }
    Ok(vec![
        Finding::new(
            "latency: median / bare subscriber",
            Spread::of(ratios),
            "times",
            "under 3",
        ),
        Finding::new(
            "latency: visible in a query, median",
            Spread::of(medians),
            "ms",
            "",
        ),
        Finding::new(
            "latency: visible in a query, 99th",
            Spread::of(tails),
            "ms",
            "",
        ),
        Finding::new(
            "latency: bare subscriber, median",
            Spread::of(bare),
            "ms",
            "",
        ),
    ])
}

fn run_alone(setting: &Setting<'_>, stage: &Stage<'_>, run: usize) -> Result<Delays> {
    let folder = stage.run_folder()?;
    let mut host = start(setting, stage, folder.path())?;
    host.wait_until_live(PROJECTION, TABLE, stage.events + run as u64 * EVENTS)?;
    let events = OrderEvents::new(EVENTS, setting.ids);
    live::run(stage.server.url(), &host.url, events, || false)
}

/// What goes on beside the live read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Neighbour {
    /// Another projection catches up from the first event.
    Other,
    /// The same projection is built again, until that takes over.
    Rebuild,
}

/// A live projection with a neighbour that reads the whole stream.
pub(super) fn beside(setting: &Setting<'_>, neighbour: Neighbour) -> Result<Vec<Finding>> {
    let stage = setting.stage(setting.events)?;
    let folder = stage.run_folder()?;
    let mut host = start(setting, &stage, folder.path())?;
    host.wait_until_live(PROJECTION, TABLE, stage.events)?;
    let host = host;
    let watch = RefCell::new(Watch {
        began: Instant::now(),
        asked: Instant::now(),
        is_started: false,
        is_over: false,
    });
    let events = OrderEvents::new(setting.events, setting.ids);
    let delays = live::run(stage.server.url(), &host.url, events, || {
        watch
            .borrow_mut()
            .is_over(&host, neighbour, || match neighbour {
                Neighbour::Other => put_modules(&stage, folder.path(), &[OTHER.to_owned()]),
                Neighbour::Rebuild => host.rebuild(PROJECTION),
            })
    })?;
    anyhow::ensure!(
        watch.borrow().is_over,
        "the neighbour had not caught up or taken over when the events ended"
    );
    let (visible, took) = (sorted(delays.visible), watch.borrow().began.elapsed());
    let at = |part| Spread::of([quantile(&visible, part)]);
    let [largest, median, ended] = match neighbour {
        Neighbour::Other => [
            "beside: live projection, largest delay",
            "beside: live projection, median delay",
            "beside: the other one caught up after",
        ],
        Neighbour::Rebuild => [
            "rebuild: live read model, largest delay",
            "rebuild: live read model, median delay",
            "rebuild: the new one took over after",
        ],
    };
    Ok(vec![
        Finding::new(largest, at(1.0), "ms", "under 1000"),
        Finding::new(median, at(0.5), "ms", ""),
        Finding::new(ended, Spread::of([took.as_secs_f64()]), "s", ""),
    ])
}

/// Lets the neighbour begin after a while, and sees when it has ended.
struct Watch {
    began: Instant,
    asked: Instant,
    is_started: bool,
    is_over: bool,
}

impl Watch {
    fn is_over(
        &mut self,
        host: &Host,
        neighbour: Neighbour,
        begin: impl FnOnce() -> Result<()>,
    ) -> bool {
        if !self.is_started {
            self.is_started = self.began.elapsed() > ALONE_FOR && begin().is_ok();
            return false;
        }
        if self.asked.elapsed() < ASK_EVERY {
            return false;
        }
        self.asked = Instant::now();
        self.is_over = match neighbour {
            Neighbour::Other => host
                .projection(OTHER)
                .is_ok_and(|other| other.status == "live"),
            Neighbour::Rebuild => host.projection(PROJECTION).is_ok_and(|projection| {
                let mut generations = projection.generations.iter();
                generations.any(|generation| generation.state == "live" && generation.number > 1)
            }),
        };
        self.is_over
    }
}

fn start(setting: &Setting<'_>, stage: &Stage<'_>, folder: &std::path::Path) -> Result<Host> {
    put_modules(stage, folder, &[PROJECTION.to_owned()])?;
    Host::start(stage, folder, setting.config.as_deref())
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}
