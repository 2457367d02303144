//! One Wasm engine for the whole host, and the tick that makes a runaway guest stoppable.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Cache, CacheConfig, Config};

use super::bindings::log;
use super::compiler::Compiler;
use super::instance::GuestState;
use super::rows;

/// Time between two epoch ticks: a guest is stopped at most this late. Shorter ticks cost wake-ups of an
/// idle host, longer ones make short time limits imprecise.
pub const TICK: Duration = Duration::from_millis(10);

/// The compiler and runtime all modules share. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub(super) engine: wasmtime::Engine,
    pub(super) linker: std::sync::Arc<Linker<GuestState>>,
    pub(super) compiler: Option<std::sync::Arc<Compiler>>,
}

impl Engine {
    /// An engine that keeps compiled modules in `cache`, so that a host that starts again need not compile.
    ///
    /// # Errors
    /// If the cache folder cannot be made, or this machine cannot run the engine.
    pub fn new(cache: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(cache)
            .with_context(|| format!("cannot make the compile cache {}", cache.display()))?;
        let mut files = CacheConfig::new();
        // The cache wants an absolute path.
        files.with_directory(
            cache
                .canonicalize()
                .context("cannot resolve the compile cache")?,
        );
        let mut config = deterministic();
        config.cache(Some(Cache::new(files).map_err(anyhow::Error::from)?));
        Self::from_config(&config)
    }

    /// An engine without a compile cache, for looking at one module.
    ///
    /// # Errors
    /// If this machine cannot run the engine.
    pub fn uncached() -> anyhow::Result<Self> {
        Self::from_config(&deterministic())
    }

    fn from_config(config: &Config) -> anyhow::Result<Self> {
        let engine = wasmtime::Engine::new(config).map_err(anyhow::Error::from)?;
        let mut linker = Linker::new(&engine);
        log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)
            .and_then(|()| rows::add_to_linker(&mut linker))
            .map_err(anyhow::Error::from)?;
        start_ticking(&engine)?;
        Ok(Self {
            engine,
            linker: std::sync::Arc::new(linker),
            compiler: None,
        })
    }

    /// The same engine, which compiles within the bounds of `compiler`, whose cache is its own.
    #[must_use]
    pub fn bounded(self, compiler: Compiler) -> Self {
        Self {
            compiler: Some(compiler.into()),
            ..self
        }
    }
}

/// The same module over the same events must give the same bytes on every machine.
fn deterministic() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        // NaN bit patterns differ between processors.
        .cranelift_nan_canonicalization(true)
        // Guests are built for 32 bits.
        .wasm_memory64(false)
        // Relaxed SIMD may round differently from one processor to the next.
        .wasm_relaxed_simd(false);
    config
}

/// Ticks until the engine is gone. A thread, because it must tick while every async worker is busy.
fn start_ticking(engine: &wasmtime::Engine) -> anyhow::Result<()> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("epoch".into())
        .spawn(move || {
            while let Some(engine) = engine.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .context("cannot start the thread that stops runaway guests")?;
    Ok(())
}
