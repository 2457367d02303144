//! The only place that wires: data folder, engine, source, supervisor and HTTP.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::guest::catalog::Catalog;
use crate::guest::watch::FolderWatch;
use crate::guest::{Engine, GuestLimits};
use crate::projection::directory::Directory;
use crate::query;
use crate::source::EventSource;
use crate::source::jetstream::JetStreamSource;
use crate::source::shared::SharedReaders;
use crate::store::folder::DataFolder;
use crate::supervisor::{Shared, Supervisor};

/// Runs a host until `shutdown` is cancelled, then drains it.
///
/// # Errors
/// If the data folder, the modules folder or the address cannot be used, or a projection did not stop
/// within the drain deadline.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let folder = DataFolder::lock(&config.store.dir, &config.http.listen.to_string())?;
    let modules = config.modules.dir.clone();
    std::fs::create_dir_all(&modules)
        .with_context(|| format!("cannot make the modules folder {}", modules.display()))?;
    let listener = TcpListener::bind(config.http.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.http.listen))?;
    let address = listener.local_addr()?;
    let engine = Engine::new(&config.store.dir.join("cache"))?;
    let limits = guest_limits(&config);

    let directory = Directory::default();
    let projections = CancellationToken::new();
    let shared = Arc::new(connect(config.clone(), folder, limits));
    let supervisor = Supervisor::new(shared, directory.clone(), projections.clone());
    let http = tokio::spawn(query::serve(listener, directory, config.http.clone(), shutdown.clone()));
    tracing::info!(
        "foldline {} serves http://{address}, modules from {}, read models in {}",
        env!("CARGO_PKG_VERSION"),
        modules.display(),
        config.store.dir.display()
    );

    let catalog = Catalog::new(engine, modules, limits);
    let supervisor = follow_folder(catalog, supervisor, &shutdown).await?;
    tracing::info!("stopping: each projection ends at its next commit");
    projections.cancel();
    drain(&supervisor, config.host.drain()).await?;
    http.await.context("the HTTP server panicked")?
}

fn connect(config: Config, folder: DataFolder, guest_limits: GuestLimits) -> Shared {
    let source: Arc<dyn EventSource> = Arc::new(JetStreamSource::new(config.nats.clone()));
    let batch_limits = config.limits.batch();
    Shared {
        readers: SharedReaders::new(Arc::clone(&source), batch_limits),
        source,
        guest_limits,
        batch_limits,
        folder,
        config,
    }
}

/// Looks at the modules folder at the start and after every change, until `shutdown`.
async fn follow_folder(
    mut catalog: Catalog,
    mut supervisor: Supervisor,
    shutdown: &CancellationToken,
) -> anyhow::Result<Supervisor> {
    let mut watch = FolderWatch::new(catalog.dir());
    loop {
        // Loading compiles, which must not run on an async worker.
        let scan = tokio::task::spawn_blocking(move || (catalog.scan(), catalog));
        let (findings, looked) = scan.await.context("looking at the modules folder panicked")?;
        catalog = looked;
        match findings {
            Ok(findings) => supervisor.take(findings),
            Err(error) => tracing::error!(
                hint = "the running projections go on; make the folder readable again",
                "cannot list the modules folder {}: {error}",
                catalog.dir().display()
            ),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(supervisor),
            () = watch.changed() => {}
        }
    }
}

async fn drain(supervisor: &Supervisor, deadline: Duration) -> anyhow::Result<()> {
    if tokio::time::timeout(deadline, supervisor.drained()).await.is_err() {
        bail!(
            "a projection did not reach a commit within {} ms of the stop; nothing is lost, it goes on \
             from its checkpoint at the next start",
            deadline.as_millis()
        );
    }
    Ok(())
}

fn guest_limits(config: &Config) -> GuestLimits {
    let limits = &config.limits;
    const MIB: usize = 1 << 20;
    GuestLimits {
        module_bytes: limits.module_mib * MIB,
        memory_bytes: limits.memory_mib * MIB,
        call: Duration::from_millis(limits.call_ms),
        changes: limits.changes_per_batch,
        row_bytes: limits.row_kib << 10,
        find_rows: limits.find_rows,
        log_lines: limits.log_lines_per_batch,
    }
}
