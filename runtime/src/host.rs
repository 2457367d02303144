//! The only place that wires: data folder, engine, source, supervisor and HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, CatalogError};
use crate::config::{Config, Secret};
use crate::guest::folder::ModulesFolder;
use crate::guest::watch::FolderWatch;
use crate::guest::{Compiler, Engine};
use crate::projection::directory::Directory;
use crate::projection::turn::Turns;
use crate::query;
use crate::query::QueryState;
use crate::source::EventSource;
use crate::source::jetstream::JetStreamSource;
use crate::source::shared::SharedReaders;
use crate::store::folder::{DataFolder, FolderError};
use crate::supervisor::{DataWatch, Shared, Supervision, Supervisor};

/// Compiled modules, in the data folder. No projection has this name: its files would be cleared away with old ones.
const COMPILE_CACHE: &str = ".cache";

/// Why a host could not start, or not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The data folder cannot be used, or another host uses it.
    #[error(transparent)]
    Data(#[from] FolderError),
    /// The catalog in it cannot be used.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The modules folder cannot be made.
    #[error("cannot make the modules folder {folder}: {source}")]
    Modules {
        /// The folder.
        folder: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address for queries is taken or not this machine's.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The Wasm engine does not start.
    #[error("cannot start the Wasm engine: {0}")]
    Engine(String),
    /// HTTP stopped by itself, or a thread panicked.
    #[error("the host broke: {0}")]
    Broke(String),
    /// Something did not end within `host.drain_ms`.
    #[error("a projection or a request did not end within {drain_ms} ms of the stop")]
    Drain {
        /// `host.drain_ms`.
        drain_ms: u64,
    },
}

impl HostError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Data(error) => error.hint(),
            Self::Catalog(error) => error.hint(),
            Self::Modules { .. } => {
                "name a folder that the host may write to with [modules] dir or --modules"
            }
            Self::Listen { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => {
                    "this user may not listen there: choose a port above 1023 with --listen"
                }
                std::io::ErrorKind::AddrNotAvailable => {
                    "this machine has no such address: choose one of its own with --listen, or 0.0.0.0 for all of them"
                }
                _ => "end the program that has the address, or choose another one with --listen",
            },
            Self::Engine(_) => {
                "check that the data folder can be written to: compiled modules are kept in it"
            }
            Self::Broke(_) => "this is a bug of Foldline; the log has the details",
            Self::Drain { .. } => {
                "nothing is lost: projections go on from their checkpoints at the next start; raise host.drain_ms if \
                 batches need longer"
            }
        }
    }
}

/// Runs a host until `shutdown` is cancelled, then drains it. `program` is `foldline`, which is
/// started to compile modules within bounds.
///
/// # Errors
/// If it cannot start, or something did not end within the drain deadline.
pub async fn run(
    config: Config,
    program: Option<PathBuf>,
    shutdown: CancellationToken,
) -> Result<(), HostError> {
    // First of all: a second host with the same configuration is told whose folder it is.
    let folder = DataFolder::lock(&config.store.dir, &config.http.listen.to_string())?;
    let (listener, address) = listen(config.http.listen).await?;
    let modules = config.modules.dir.clone();
    std::fs::create_dir_all(&modules).map_err(|source| HostError::Modules {
        folder: modules.display().to_string(),
        source,
    })?;
    let cache = config.store.dir.join(COMPILE_CACHE);
    let engine = Engine::new(&cache).map_err(|error| HostError::Engine(format!("{error:#}")))?;
    let catalog = Catalog::open(&config.store.dir)?;
    let known = catalog.module_digests()?;
    let limits = config.limits.compile();
    let engine = match program.map(|program| Compiler::new(program, cache, limits, known)) {
        Some(compiler) => engine.bounded(compiler),
        None => {
            tracing::warn!(
                "modules are compiled without bounds: it is not known where this program is"
            );
            engine
        }
    };
    let limits = config.limits.guest();
    let modules = ModulesFolder::new(engine.clone(), modules, limits);

    let directory = Directory::default();
    let projections = CancellationToken::new();
    let shared = Arc::new(connect(config.clone(), folder, catalog, engine));
    let data_folder = DataWatch::new(Arc::clone(&shared));
    let supervised = Supervisor::start(shared, directory.clone(), projections.clone())?;
    let token = config.http.token.as_ref().map(Secret::reveal);
    let queries = QueryState::new(directory, supervised.supervision.clone(), token)
        .with_module_bytes(limits.module_bytes);
    let http = tokio::spawn(query::serve(listener, queries, shutdown.clone()));
    tracing::info!(
        "foldline {} serves http://{address}, modules from {}, read models in {}",
        env!("CARGO_PKG_VERSION"),
        config.modules.dir.display(),
        config.store.dir.display()
    );

    tokio::select! {
        followed = follow_folder(modules, &supervised.supervision, &shutdown) => followed?,
        lost = data_folder.keep() => return Err(lost.into()),
    }
    projections.cancel();
    let drained = async {
        supervised.drained().await.map_err(broke)?;
        http.await.map_err(broke)?.map_err(broke)
    };
    let drain_ms = config.host.drain_ms;
    let ended = tokio::time::timeout(config.host.drain(), drained).await;
    ended.unwrap_or(Err(HostError::Drain { drain_ms }))
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), HostError> {
    let failed = |source| HostError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

fn broke(error: impl std::fmt::Display) -> HostError {
    HostError::Broke(error.to_string())
}

fn connect(config: Config, folder: DataFolder, catalog: Catalog, engine: Engine) -> Shared {
    let source: Arc<dyn EventSource> = Arc::new(JetStreamSource::new(&config.nats.options()));
    let batch_limits = config.limits.batch();
    Shared {
        readers: SharedReaders::new(Arc::clone(&source), batch_limits),
        source,
        turns: Turns::default(),
        guest_limits: config.limits.guest(),
        batch_limits,
        folder,
        catalog: Arc::new(catalog),
        engine,
        config,
    }
}

/// Looks at the modules folder at the start and after every change, until `shutdown`.
async fn follow_folder(
    mut folder: ModulesFolder,
    supervision: &Supervision,
    shutdown: &CancellationToken,
) -> Result<(), HostError> {
    let mut watch = FolderWatch::new(folder.dir());
    let mut said = None;
    loop {
        // Loading compiles, which must not run on an async worker.
        let scan = tokio::task::spawn_blocking(move || (folder.scan(), folder));
        // A stop does not wait for a compiler; nothing has changed yet when it is left behind.
        let (findings, looked) = tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            scanned = scan => scanned.map_err(broke)?,
        };
        folder = looked;
        match findings {
            Ok(findings) => {
                if said.take().is_some() {
                    tracing::info!("the modules folder can be listed again");
                }
                if !supervision.take(findings).await {
                    return Err(HostError::Broke("the supervisor stopped".into()));
                }
            }
            // It is looked at each second: once is enough to be told of it.
            Err(error) if said.as_ref() == Some(&error.to_string()) => {}
            Err(error) => {
                tracing::error!(
                    hint = "the running projections go on; make the folder readable again",
                    "cannot list the modules folder {}: {error}",
                    folder.dir().display()
                );
                said = Some(error.to_string());
            }
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = watch.changed() => {}
        }
    }
}
