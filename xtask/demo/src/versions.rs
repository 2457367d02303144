//! A new version takes the place of a live one: built beside it, promoted, compared, and taken back.

use std::path::Path;

use anyhow::Result;
use indicatif::{HumanCount, ProgressBar};
use tokio::time::{Instant, sleep};
use xtask::guests;
use xtask::step::step_async;

use crate::host::{Host, Query};
use crate::progress::bar;
use crate::reload::{DONE_WITHIN, POLL, PROJECTION, not_after, projection, replace};

/// The same projection in version 2: one more column, and one more index.
const NEXT: &str = "order-summary-next";

/// Shows what version 2 would mean, lets it be built and promoted, compares the two, and goes back.
pub(crate) async fn show(host: &mut Host, guests: &Path, modules: &Path) -> Result<()> {
    println!("==> version 2 of {PROJECTION}: one more column, paid_at, and an index on status");
    let file = guests::module(guests, NEXT);
    host.show(&["plan", &file.display().to_string()]).await?;
    let built = step_async("version 2 is built beside version 1, and promoted", async {
        replace(guests, NEXT, modules)?;
        wait_until_live(host, 2).await
    });
    built.await?;
    host.show(&["status", PROJECTION]).await?;
    host.query(Query::new(PROJECTION, "orders", "paid_at"))
        .await?;
    println!(
        "    where the two differ: the changed module of version 1 writes statuses in capitals"
    );
    host.show(&["diff", PROJECTION, "--examples", "3"]).await?;
    host.show(&["rollback", PROJECTION]).await?;
    wait_until_live(host, 1).await?;
    host.show(&["status", PROJECTION]).await
}

/// Waits until this version is served, and shows how far it is until then.
async fn wait_until_live(host: &mut Host, version: u32) -> Result<()> {
    let (deadline, bar) = (Instant::now() + DONE_WITHIN, bar(PROJECTION, 0));
    loop {
        let now = projection(host).await?;
        let mut generations = now.generations.iter();
        if let Some(building) = generations.find(|one| one.state == "building") {
            draw(&bar, building.events_done, building.lag);
        }
        if now.version == version {
            bar.finish_and_clear();
            let events = HumanCount(now.checkpoint);
            println!("    version {version} serves, with all {events} events");
            return Ok(());
        }
        not_after(deadline, &format!("version {version} is not live"))?;
        sleep(POLL).await;
    }
}

fn draw(bar: &ProgressBar, done: u64, lag: u64) {
    bar.set_length(done + lag);
    bar.set_position(done);
}
