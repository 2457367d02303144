//! A changed module takes the place of a running one: new code, same read model, same checkpoint.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use indicatif::HumanCount;
use tokio::time::{Instant, sleep};
use xtask::failure::Failure;
use xtask::guests;
use xtask::step::step_async;

use crate::host::{Host, Projection, Query};

pub(crate) const PROJECTION: &str = "order-summary";

/// The same projection with other code: it writes statuses in capital letters.
const CHANGED: &str = "order-summary-changed";
const BEFORE: &str = "shipped";
const AFTER: &str = "SHIPPED";

pub(crate) const DONE_WITHIN: Duration = Duration::from_secs(120);
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// Drops the changed module in, waits until the host runs it, and shows what it does.
pub(crate) async fn show(host: &mut Host, guests: &Path, modules: &Path) -> Result<()> {
    let before = projection(host).await?;
    let host_process = host.child.id();
    println!("    the changed {PROJECTION} writes \"{AFTER}\" where it wrote \"{BEFORE}\"");
    let after = step_async(
        "reload: the changed module is copied over the running one",
        async {
            replace(guests, CHANGED, modules)?;
            wait_for_reload(host, &before).await
        },
    )
    .await?;
    println!(
        "    digest      {:.12} -> {:.12}",
        before.digest, after.digest
    );
    println!(
        "    checkpoint  {} -> {}: kept, and moving on",
        HumanCount(before.checkpoint),
        HumanCount(after.checkpoint)
    );
    println!(
        "    process     {host_process} -> {}: no restart",
        host.child.id()
    );
    wait_for_changed_rows(host).await?;
    let filter = format!("status=eq.{AFTER}");
    let changed = Query::new(PROJECTION, "orders", "updated_at");
    host.query(changed.only(&filter)).await
}

pub(crate) async fn projection(host: &mut Host) -> Result<Projection> {
    let mut projections = host.projections().await?;
    projections
        .remove(PROJECTION)
        .with_context(|| format!("{PROJECTION} is gone from the host"))
}

/// Under another name first, then moved: the host never sees half a file.
pub(crate) fn replace(guests: &Path, by: &str, modules: &Path) -> Result<()> {
    let changed = guests::module(guests, by);
    let running = guests::module(modules, PROJECTION);
    let incoming = running.with_extension("incoming");
    fs::copy(&changed, &incoming).with_context(|| format!("copying {}", changed.display()))?;
    fs::rename(&incoming, &running).with_context(|| format!("replacing {}", running.display()))
}

async fn wait_for_reload(host: &mut Host, before: &Projection) -> Result<Projection> {
    let deadline = Instant::now() + DONE_WITHIN;
    loop {
        let now = projection(host).await?;
        if now.checkpoint < before.checkpoint {
            bail!(
                "the checkpoint went back from {} to {}",
                before.checkpoint,
                now.checkpoint
            );
        }
        // Where events come faster than a slow machine applies them it may never be seen without any lag.
        let runs = ["live", "catching_up"].contains(&now.status.as_str());
        let is_reloaded = now.digest != before.digest && runs;
        if is_reloaded && now.checkpoint > before.checkpoint {
            return Ok(now);
        }
        not_after(deadline, "the changed module is not running")?;
        sleep(POLL).await;
    }
}

async fn wait_for_changed_rows(host: &mut Host) -> Result<()> {
    let deadline = Instant::now() + DONE_WITHIN;
    while host
        .count_rows(&format!("{PROJECTION}/orders?status=eq.{AFTER}&limit=5"))
        .await?
        < 5
    {
        not_after(
            deadline,
            "the changed module runs, but its rows do not show",
        )?;
        sleep(POLL).await;
    }
    Ok(())
}

pub(crate) fn not_after(deadline: Instant, what: &str) -> Result<()> {
    if Instant::now() > deadline {
        let hint = "this should not happen: please report it with the lines above";
        bail!(Failure::new(
            format_args!("{what} after {} s", DONE_WITHIN.as_secs()),
            hint
        ));
    }
    Ok(())
}
