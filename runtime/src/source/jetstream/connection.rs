//! One connection to the server: made when first needed, watched for breaks.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::Consumer;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::context::{RequestError, RequestErrorKind};
use async_nats::jetstream::{self, Context};
use async_nats::{Client, ConnectOptions, Event, ServerError, SubscribeError};
use tokio::sync::{OnceCell, watch};
use tokio::time::timeout;

use super::pull::Messages;
use super::window::Window;
use super::{JetStreamOptions, connect_error};
use crate::source::{Lane, SourceError};

/// How long one attempt to connect may take, TLS and authentication included.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// How long a caller waits for a connection that others are making, or that broke, before it is told that
/// the server cannot be reached.
const WAIT_FOR_CONNECTION: Duration = Duration::from_secs(3);
/// Longest answer time of one API call. A server that needs longer is not healthy; the call is repeated.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How late a timeout may be noticed on a busy machine.
const LATE_ANSWER: Duration = Duration::from_secs(2);
/// A connection over which not a byte comes while an answer is due is dead, however open it looks: it is made anew.
/// Shorter than an answer may take, so that it is not the question that is blamed.
const SILENT: Duration = Duration::from_millis(2_500);
/// The same when signs of life were missing before the question already. A connection given up wrongly costs little.
const SILENT_WHEN_DOUBTED: Duration = Duration::from_millis(250);
/// Finds connections that died without a sign while nobody asks or reads: two missed pings end them.
const PING_EVERY: Duration = Duration::from_secs(15);
/// Pause between attempts to reconnect; the client's own default grows to 4 s, too long to be back within 3 s.
const RECONNECT_EVERY: Duration = Duration::from_millis(250);

/// What is known of the connection from the client's events, which are hints: some may be lost.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    /// Rises whenever messages may have been lost: on each disconnection and when the client dropped some.
    pub(super) breaks: u64,
    connected: bool,
    trouble: Option<String>,
    /// What was denied last, and when.
    denied: Option<(Instant, String)>,
    /// A reader has missed the server's signs of life: the connection may be dead without anybody having noticed.
    doubted: bool,
}

impl Health {
    fn note(&mut self, event: &Event) {
        match event {
            Event::Connected => {
                self.connected = true;
                self.doubted = false;
                self.trouble = None;
            }
            Event::Disconnected | Event::Closed => {
                self.connected = false;
                self.breaks += 1;
            }
            Event::SlowConsumer(_) => self.breaks += 1,
            Event::ServerError(error) if is_about_permission(error) => {
                self.denied = Some((Instant::now(), error.to_string()));
            }
            Event::ServerError(error) => self.trouble = Some(error.to_string()),
            Event::ClientError(error) => self.trouble = Some(error.to_string()),
            Event::LameDuckMode | Event::Draining => {}
        }
    }
}

/// Lets readers say that the connection may be dead, so that the next question over it waits less.
#[derive(Debug)]
pub(super) struct Doubt {
    health: watch::Sender<Health>,
}

impl Doubt {
    pub(super) fn raise(&self) {
        self.health.send_modify(|health| health.doubted = true);
    }
}

/// A connection that is made when it is first asked for.
#[derive(Debug)]
pub(super) struct Connection {
    options: JetStreamOptions,
    context: OnceCell<Context>,
    health: watch::Sender<Health>,
    window: Arc<Window>,
}

impl Connection {
    pub(super) fn new(options: JetStreamOptions) -> Self {
        Self {
            options,
            context: OnceCell::new(),
            health: watch::Sender::default(),
            window: Arc::default(),
        }
    }

    /// Asks the server something over a connection that stands right now.
    ///
    /// A break ends the wait: the question or its answer went down with the connection.
    ///
    /// # Errors
    /// [`SourceError::Unreachable`] within a few seconds.
    pub(super) async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(Context) -> T,
    ) -> Result<T, SourceError> {
        let mut health = self.health();
        let breaks = health.borrow().breaks;
        let context = self.context().await?;
        let client = context.client();
        let broken = async { drop(health.wait_for(|health| health.breaks != breaks).await) };
        let silent = tokio::select! {
            biased;
            answer = question(context) => {
                self.health.send_modify(|health| health.doubted = false);
                return Ok(answer);
            }
            () = broken => return Err(self.unreachable("the connection broke".into())),
            silent = self.silence(&client) => silent,
        };
        // It fails only where the client has ended, which breaks the connection too.
        let _ = client.force_reconnect().await;
        Err(self.unreachable(format!("nothing came for {silent:?}; connecting again")))
    }

    /// Waits until nothing has come for as long as it gives.
    async fn silence(&self, client: &Client) -> Duration {
        let limit = match self.health.borrow().doubted {
            true => SILENT_WHEN_DOUBTED,
            false => SILENT,
        };
        let received = || client.statistics().in_bytes.load(Ordering::Relaxed);
        loop {
            let before = received();
            tokio::time::sleep(limit).await;
            if received() == before {
                return limit;
            }
        }
    }

    /// Where a reader says that it has missed the server's signs of life.
    pub(super) fn doubt(&self) -> Doubt {
        Doubt {
            health: self.health.clone(),
        }
    }

    async fn context(&self) -> Result<Context, SourceError> {
        let connecting = self.context.get_or_try_init(|| self.connect());
        let context = match timeout(WAIT_FOR_CONNECTION, connecting).await {
            Ok(connected) => connected?,
            Err(_) => return Err(self.unreachable("no connection so far".into())),
        };
        self.standing(context).await?;
        Ok(context.clone())
    }

    /// Listens for the messages of a consumer.
    pub(super) async fn pull(
        &self,
        context: &Context,
        consumer: &Consumer<Config>,
        lane: Lane,
    ) -> Result<Messages, SubscribeError> {
        let client = context.client();
        let request = self.window.request(lane, client.max_payload());
        Messages::open(client, self.options.api_prefix(), consumer, request).await
    }

    /// Bytes of the largest message that the server takes.
    pub(super) async fn max_payload(&self) -> Result<usize, SourceError> {
        Ok(self.context().await?.client().max_payload())
    }

    /// How much its readers ask for ahead.
    pub(super) fn window(&self) -> &Arc<Window> {
        &self.window
    }

    /// What happens to the connection from now on.
    pub(super) fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// What an API call that failed means.
    pub(super) fn no_answer(&self, error: &(dyn Error + 'static)) -> SourceError {
        if nobody_responds(error) {
            return self.unreachable(match &self.options.api_prefix {
                Some(prefix) => format!("no JetStream answers at {prefix}"),
                None => "JetStream is not enabled there".into(),
            });
        }
        if let Some(refusal) = refusal(error) {
            return self.refused(refusal.to_string());
        }
        let health = self.health.borrow();
        // A missing permission shows as a timeout here and as a server error beside it. An older one was about
        // another call.
        if let Some((at, denied)) = &health.denied
            && at.elapsed() <= ANSWER_WITHIN + LATE_ANSWER
        {
            return self.refused(denied.clone());
        }
        match &health.trouble {
            Some(trouble) => self.unreachable(format!("{error} ({trouble})")),
            None => self.unreachable(error.to_string()),
        }
    }

    async fn connect(&self) -> Result<Context, SourceError> {
        let servers: Vec<&str> = self.options.url.split(',').map(str::trim).collect();
        let client = self
            .client_options()
            .connect(&servers[..])
            .await
            .map_err(|error| connect_error::meaning(&error, &self.options, CONNECT_WITHIN))?;
        Ok(self.options.jetstream(client, ANSWER_WITHIN))
    }

    /// The subjects on which it has answers sent.
    pub(super) fn answers(&self) -> String {
        let prefix = self.options.inbox_prefix.as_deref();
        format!("{}.>", prefix.unwrap_or("_INBOX"))
    }

    fn client_options(&self) -> ConnectOptions {
        let health = self.health.clone();
        let options = self.options.connect_options();
        options
            .name("foldline")
            .connection_timeout(CONNECT_WITHIN)
            .request_timeout(Some(ANSWER_WITHIN))
            .ping_interval(PING_EVERY)
            .reconnect_delay_callback(|attempts| match attempts {
                0 | 1 => Duration::ZERO,
                _ => RECONNECT_EVERY,
            })
            .event_callback(move |event| {
                health.send_modify(|health| health.note(&event));
                std::future::ready(())
            })
    }

    /// Waits a little for a connection that broke to come back.
    async fn standing(&self, context: &Context) -> Result<(), SourceError> {
        let client = context.client();
        let connected = || client.connection_state() == async_nats::connection::State::Connected;
        if connected() {
            return Ok(());
        }
        let mut health = self.health();
        let back = timeout(
            WAIT_FOR_CONNECTION,
            health.wait_for(|health| health.connected || connected()),
        );
        if back.await.is_ok() || connected() {
            return Ok(());
        }
        Err(match self.health.borrow().trouble.clone() {
            Some(trouble) if connect_error::is_about_identity(&trouble) => {
                connect_error::unauthorized(&self.options)
            }
            Some(trouble) => self.unreachable(trouble),
            None => self.unreachable("the connection was lost".into()),
        })
    }

    fn refused(&self, reason: String) -> SourceError {
        SourceError::Refused {
            url: self.options.shown_url(),
            reason,
        }
    }

    fn unreachable(&self, reason: String) -> SourceError {
        SourceError::Unreachable {
            url: self.options.shown_url(),
            reason,
        }
    }
}

/// Whether no JetStream listens to API calls.
fn nobody_responds(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref::<RequestError>() {
        Some(error) => error.kind() == RequestErrorKind::NoResponders,
        None => error.source().is_some_and(nobody_responds),
    }
}

/// JetStream's own answer, if the call failed by one.
fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a jetstream::Error> {
    match error.downcast_ref() {
        Some(refusal) => Some(refusal),
        None => error.source().and_then(refusal),
    }
}

fn is_about_permission(error: &ServerError) -> bool {
    let text = error.to_string();
    text.to_ascii_lowercase().contains("permissions violation")
}
