//! `foldline run`: the host.

use std::path::PathBuf;

use clap::Args;
use foldline::config::{Config, Flags, Sources};
use foldline::{host, telemetry};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::CliError;

/// Each generation that runs has one of these threads for itself, and what compiles, looks and opens files needs some
/// more. Tokio's own limit of 512 would leave a host with as many projections deaf.
const BLOCKING_THREADS_MAX: usize = 8_192;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The config file [default: foldline.toml, if there is one].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// NATS server [default: nats://127.0.0.1:4222].
    #[arg(long, value_name = "URL")]
    nats: Option<String>,
    /// Context of the `nats` command line that says how to reach NATS, by name or by the path of its file.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Folder with the projection modules [default: modules].
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// Folder for the read models [default: data].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where queries are answered [default: 127.0.0.1:7070].
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<String>,
}

pub(crate) fn execute(arguments: Arguments) -> Result<(), CliError> {
    let config = Config::load(&Sources {
        flags: Flags {
            config: arguments.config,
            nats: arguments.nats,
            context: arguments.context,
            modules: arguments.modules,
            data: arguments.data,
            listen: arguments.listen,
        },
        env: std::env::vars_os().collect(),
        folder: PathBuf::new(),
    })?;
    let filter = std::env::var(telemetry::FILTER_VARIABLE).ok();
    telemetry::init(&config.log, filter.as_deref())?;
    warn_of_open_door(&config);
    let failed = |error: std::io::Error| CliError::failed(format!("cannot start: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .build()
        .map_err(failed)?;
    let ended = runtime.block_on(async {
        outlive_file_limits().map_err(failed)?;
        let shutdown = CancellationToken::new();
        tokio::spawn(stop_on_signals(
            Signals::listen().map_err(failed)?,
            shutdown.clone(),
        ));
        host::run(config, this_program(), shutdown)
            .await
            .map_err(|error| CliError::failed(error.to_string()).hint(error.hint()))
    });
    // The host has drained within its deadline; whatever still blocks a thread is not waited for.
    runtime.shutdown_background();
    ended
}

/// This program, also when another version has been put in its place since it was started; none where that is not known.
fn this_program() -> Option<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    match running.exists() {
        true => Some(running),
        false => std::env::current_exe().ok(),
    }
}

fn warn_of_open_door(config: &Config) {
    if !config.http.listen.ip().is_loopback() && config.http.token.is_none() {
        tracing::warn!(
            hint = "set [http] token or FOLDLINE_HTTP_TOKEN, or listen on 127.0.0.1",
            "whoever reaches {} can read every read model",
            config.http.listen
        );
    }
}

/// Where a file may become only so large (`ulimit -f`), a signal would end the process that writes more. Once it is listened
/// for, which is until the process ends, the write fails instead, as on a full disk.
fn outlive_file_limits() -> std::io::Result<()> {
    let exceeded = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    signal(exceeded).map(drop)
}

/// Ctrl-C, and what service supervisors send.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

/// The first signal stops the host in order; a second one ends the process at once, which loses nothing that
/// is committed.
async fn stop_on_signals(mut signals: Signals, shutdown: CancellationToken) {
    let signal = signals.next().await;
    tracing::info!(signal, "stopping; a second signal ends the process at once");
    shutdown.cancel();
    let signal = signals.next().await;
    tracing::warn!(signal, "ended at once");
    std::process::exit(1);
}
