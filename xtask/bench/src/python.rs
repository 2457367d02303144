//! The peers written in Python, with their packages in a folder of the project.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use xtask::process;
use xtask::step::step;

use crate::stage::Programs;

/// For slow networks.
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// A peer's script, and the packages it needs in a virtual environment of its own.
pub(crate) struct Script {
    /// In the folder `peers`. None may have the name of a package, which it would hide.
    file: &'static str,
    /// Folder of the environment in `.tools`.
    folder: &'static str,
    /// As pip takes them.
    packages: &'static [&'static str],
    /// What somebody wants to know before they are fetched.
    note: &'static str,
}

impl Script {
    /// A service written with the client alone.
    pub(crate) const CLIENT_ALONE: Self = Self {
        file: "python.py",
        folder: "bench-python",
        packages: &["nats-py"],
        note: "a few MB",
    };

    /// A service written with Pathway, in the version whose licence was read and that `BENCHMARKS.md` has figures of.
    pub(crate) const PATHWAY: Self = Self {
        file: "with_pathway.py",
        folder: "bench-pathway",
        packages: &["pathway==0.33.0", "nats-py"],
        note: "1.6 GB with all it depends on; BSL 1.1, free for non-production use",
    };

    pub(crate) fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("peers")
            .join(self.file)
    }

    /// The interpreter that has the packages; they are installed if they are not there.
    ///
    /// # Errors
    /// When there is no python3 with its module venv, or a package cannot be installed.
    pub(crate) fn interpreter(&self, programs: &Programs) -> Result<PathBuf> {
        let folder = programs.tools.join(self.folder);
        let (python, complete) = (folder.join("bin/python"), folder.join("complete"));
        let wanted = self.packages.join("\n");
        if fs::read_to_string(&complete).is_ok_and(|installed| installed == wanted) {
            return Ok(python);
        }
        let heading = format!("install {} ({})", self.packages.join(", "), self.note);
        step(&heading, || {
            self.install(&folder, &python, &programs.results()?)
        })?;
        fs::write(&complete, wanted).context("marking the environment as complete")?;
        Ok(python)
    }

    fn install(&self, folder: &Path, python: &Path, logs: &Path) -> Result<()> {
        let log = logs.join(format!("{}.log", self.folder));
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv", "--clear"]).arg(folder);
        process::run_quietly(&mut venv, INSTALL_LIMIT, &log)?;
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "install", "--quiet", "--only-binary=:all:"])
            .args(self.packages);
        process::run_quietly(&mut pip, INSTALL_LIMIT, &log)
    }
}
