//! Where everything runs: a server with the stream in it, a folder for each run, and the programs.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use foldline_programs::NatsServer;
use tempfile::TempDir;
use xtask::step::step;

use crate::load::{copy_first, load};
use crate::orders::{Ids, OrderEvents};

/// What `cargo xtask bench` has built and found.
pub(crate) struct Programs {
    /// The released `foldline`.
    pub(crate) host: PathBuf,
    pub(crate) nats_server: PathBuf,
    /// Folder of the projection modules.
    pub(crate) guests: PathBuf,
    /// Folder for things that are fetched once and kept.
    pub(crate) tools: PathBuf,
    /// Cargo's target folder; results go to `bench` in it.
    pub(crate) target: PathBuf,
    /// This program, which is also each of its peers.
    pub(crate) this: PathBuf,
}

impl Programs {
    /// From the environment that `cargo xtask bench` makes.
    pub(crate) fn find() -> Result<Self> {
        let variable = |name: &str| {
            let value = env::var_os(name).map(PathBuf::from);
            value.with_context(|| format!("{name} is not set: start this with `cargo xtask bench`"))
        };
        Ok(Self {
            host: variable("FOLDLINE_BIN")?,
            nats_server: variable("FOLDLINE_NATS_SERVER")?,
            guests: variable("FOLDLINE_GUESTS")?,
            tools: variable("FOLDLINE_TOOLS")?,
            target: variable("FOLDLINE_TARGET")?,
            this: env::current_exe()?,
        })
    }

    /// Where results go.
    pub(crate) fn results(&self) -> Result<PathBuf> {
        let folder = self.target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(folder)
    }
}

/// One server and one stream. The order of the fields matters: the server ends before its folder is removed.
pub(crate) struct Stage<'p> {
    pub(crate) programs: &'p Programs,
    pub(crate) server: NatsServer,
    /// Events in the stream, which is the sequence of the last one too.
    pub(crate) events: u64,
    folder: TempDir,
}

impl<'p> Stage<'p> {
    /// Starts a server and fills a stream.
    pub(crate) fn set(programs: &'p Programs, events: u64, ids: Ids) -> Result<Self> {
        Self::set_with(programs, events, OrderEvents::new(events, ids))
    }

    /// The same with `count` events of one's own.
    pub(crate) fn set_with(
        programs: &'p Programs,
        count: u64,
        events: OrderEvents,
    ) -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("run-")
            .tempdir_in(programs.results()?)?;
        let server = NatsServer::start(&programs.nats_server, &folder.path().join("server"))?;
        step(&format!("load {count} order events"), || {
            let runtime = tokio::runtime::Runtime::new()?;
            runtime.block_on(load(server.url(), events))
        })?;
        Ok(Self {
            programs,
            server,
            events: count,
            folder,
        })
    }

    /// Copies the first `count` events to a stream that ends with them.
    pub(crate) fn copy_first(&self, count: u64) -> Result<()> {
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(copy_first(self.server.url(), count))
    }

    /// An empty folder for one run, which removes itself.
    pub(crate) fn run_folder(&self) -> Result<TempDir> {
        Ok(tempfile::Builder::new()
            .prefix("replay-")
            .tempdir_in(self.folder.path())?)
    }

    /// Modules that the host has compiled for this machine, kept from run to run.
    pub(crate) fn compile_cache(&self) -> Result<PathBuf> {
        let folder = self.folder.path().join("cache");
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// The module of a projection.
    pub(crate) fn guest(&self, name: &str) -> PathBuf {
        xtask::guests::module(Path::new(&self.programs.guests), name)
    }
}
