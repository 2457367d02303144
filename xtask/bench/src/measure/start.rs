//! From the start of the host's process until it is ready, with modules and read models it knows.

use anyhow::Result;

use super::Setting;
use crate::host::Host;
use crate::replay::{PROJECTION, TABLE, put_modules};
use crate::report::Finding;
use crate::stage::Stage;
use crate::statistics::Spread;

/// Small, because nothing is replayed while it is measured.
const EVENTS: u64 = 300;

pub(super) fn measure(setting: &Setting<'_>) -> Result<Vec<Finding>> {
    let stage = setting.stage(EVENTS)?;
    let mut findings = Vec::new();
    for modules in [1, 100] {
        let seconds = starts(setting, &stage, modules)?;
        let name = format!("start: ready with {modules} known modules");
        findings.push(Finding::new(
            name,
            Spread::of(seconds.into_iter().map(|s| s * 1e3)),
            "ms",
            "",
        ));
    }
    Ok(findings)
}

fn starts(setting: &Setting<'_>, stage: &Stage<'_>, modules: usize) -> Result<Vec<f64>> {
    let folder = stage.run_folder()?;
    let stem = &PROJECTION[..PROJECTION.len() - 3];
    let names: Vec<String> = (0..modules)
        .map(|number| format!("{stem}{number:03}"))
        .collect();
    put_modules(stage, folder.path(), &names)?;
    let mut seconds = Vec::new();
    for run in 0..=setting.runs {
        let mut host = Host::start(stage, folder.path(), setting.config.as_deref())?;
        host.wait_for("/readyz", |_| true)?;
        // The first start compiles every module and makes every read model.
        if run > 0 {
            seconds.push(host.child.started().elapsed().as_secs_f64());
        }
        for name in &names {
            host.wait_until_live(name, TABLE, EVENTS)?;
        }
        host.child.stop()?;
    }
    Ok(seconds)
}
