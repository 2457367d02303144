//! What `cargo xtask demo` shows: past orders become read models, live orders change them, a module is replaced under
//! way, and a new version is built beside the live one, promoted and taken back.
//!
//! A [`NatsServer`] and the [`host`] are the two programs it runs, each ends with it;
//! [`publisher`] fills the stream with [`orders`]; [`progress`] waits for the projections and
//! [`reload`] replaces one of them, and [`versions`] gives it a new version.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the demo talks to a person at a terminal"
)]

mod host;
mod orders;
mod progress;
mod publisher;
mod reload;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use foldline_programs::NatsServer;
use indicatif::{HumanCount, ProgressBar};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use xtask::step::{step, step_async};
use xtask::{failure, guests};

use crate::host::{Host, Query};
use crate::progress::{Watch, bar, catch_up};
use crate::publisher::{Publisher, STREAM};

/// The projections shown, named like their crates.
const PROJECTIONS: [&str; 3] = ["order-summary", "customer-totals", "product-sales"];

const PAST_EVENTS: u32 = 30_000;

/// Between two live events.
const PAUSE: Duration = Duration::from_millis(50);

/// What `cargo xtask demo` has built and found.
#[derive(Parser)]
#[command(about = "Started by `cargo xtask demo`")]
struct Options {
    /// End after everything was shown, instead of going on until Ctrl-C
    #[arg(long)]
    once: bool,
    /// The binary `foldline`
    #[arg(long, env = "FOLDLINE_BIN")]
    host: PathBuf,
    /// The binary `nats-server`
    #[arg(long, env = "FOLDLINE_NATS_SERVER")]
    nats_server: PathBuf,
    /// Folder of the projection modules
    #[arg(long, env = "FOLDLINE_GUESTS")]
    guests: PathBuf,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            failure::print(&error);
            ExitCode::FAILURE
        }
    }
}

/// Shows everything. Whatever was started ends with this function.
fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        tokio::select! {
            shown = show(options) => shown,
            signal = interrupted() => signal.and_then(|()| ended_early(options.once)),
        }
    })
}

fn ended_early(once: bool) -> Result<()> {
    println!("\n==> stopped");
    if once {
        bail!("interrupted before everything was shown");
    }
    Ok(())
}

/// Ctrl-C, or the polite signals of a terminal that closes and a supervisor.
async fn interrupted() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
    Ok(())
}

/// The order of the local variables matters: what is declared later is dropped first, so the host
/// ends before the server, and both before their folder is removed.
async fn show(options: &Options) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("foldline-demo-")
        .tempdir()?;
    let folder = folder.path();
    let server = start_server(options, folder)?;
    let publisher = publish_past(server.url()).await?;
    let mut host = start_host(options, folder, server.url()).await?;

    let caught_up = catch_up(&mut host, &PROJECTIONS, PAST_EVENTS.into());
    step_async("catch up with the past", caught_up).await?;
    show_read_models(&host).await?;

    println!(
        "==> live: {} new events a second from here on",
        1000 / PAUSE.as_millis()
    );
    let mut trickle = JoinSet::new();
    trickle.spawn(publisher.trickle(PAUSE));
    let modules = folder.join("modules");
    reload::show(&mut host, &options.guests, &modules).await?;
    versions::show(&mut host, &options.guests, &modules).await?;

    print_what_to_try(&host, server.url());
    if !options.once {
        return go_on(&mut host, &mut trickle).await;
    }
    step("stop the host", || host.child.finish())
}

fn start_server(options: &Options, folder: &Path) -> Result<NatsServer> {
    let server = step("start a private JetStream server", || {
        NatsServer::start(&options.nats_server, folder)
    })?;
    println!("    {}, its data in {}", server.url(), folder.display());
    Ok(server)
}

async fn publish_past(url: &str) -> Result<Publisher> {
    let events = u64::from(PAST_EVENTS);
    let heading = format!(
        "publish {} past order events to stream {STREAM}",
        HumanCount(events)
    );
    step_async(&heading, async {
        let mut publisher = Publisher::connect(url).await?;
        let bar = bar(STREAM, events);
        publisher.publish_past(PAST_EVENTS, &bar).await?;
        bar.finish_and_clear();
        Ok(publisher)
    })
    .await
}

async fn start_host(options: &Options, folder: &Path, nats: &str) -> Result<Host> {
    let modules = folder.join("modules");
    fs::create_dir_all(&modules)?;
    for name in PROJECTIONS {
        let file = guests::module(&options.guests, name);
        let copy = guests::module(&modules, name);
        fs::copy(&file, copy).with_context(|| format!("copying {}", file.display()))?;
    }
    let heading = format!(
        "start the host with {} projection modules",
        PROJECTIONS.len()
    );
    step_async(&heading, Host::start(&options.host, folder, nats)).await
}

async fn show_read_models(host: &Host) -> Result<()> {
    println!("==> the read models");
    host.show(&["status"]).await?;
    host.query(Query::new("order-summary", "orders", "updated_at"))
        .await?;
    host.query(Query::new("customer-totals", "customers", "total_spent"))
        .await?;
    host.query(Query::new("product-sales", "products", "revenue"))
        .await
}

fn print_what_to_try(host: &Host, nats: &str) {
    let url = &host.url;
    let foldline = format!("{}target/debug/foldline", host.environment());
    let customers = "customer-totals/customers?order=total_spent.desc&limit=3";
    println!("==> try it: {url} (the events are in stream {STREAM} on {nats})");
    println!("    curl -s {url}/v1/projections");
    println!("    curl -s '{url}/v1/read-models/{customers}'");
    println!("    curl -s {url}/v1/read-models/order-summary/orders/ord-000001");
    println!("    {foldline} status --watch");
    println!("    {foldline} query order-summary orders status=eq.payment_failed");
}

/// Shows what happens until it is interrupted.
async fn go_on(host: &mut Host, trickle: &mut JoinSet<Result<()>>) -> Result<()> {
    println!("==> running until Ctrl-C");
    let line = ProgressBar::new_spinner();
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let mut watch = Watch::new();
    loop {
        tokio::select! {
            Some(ended) = trickle.join_next() => return ended?.context("publishing live events"),
            _ = seconds.tick() => {}
        }
        let projections = host.projections().await?;
        watch.see(projections.values())?;
        let states = projections.values().map(|each| {
            format!(
                "{} {} at {}",
                each.name,
                each.status,
                HumanCount(each.checkpoint)
            )
        });
        line.set_message(states.collect::<Vec<_>>().join("   "));
        line.tick();
    }
}
