//! The messages of one consumer, asked for ahead.
//!
//! The client library's own stream of a pull consumer copies its whole context for every message, which costs a
//! reader a third of its time (`cargo xtask bench --only drain,foldline`). This asks in the same way and hands out
//! the bare messages. Whatever is doubtful is an error here, because a reader that meets one is thrown away.

use std::time::Duration;

use async_nats::jetstream::consumer::Consumer;
use async_nats::jetstream::consumer::pull::{BatchConfig, Config};
use async_nats::{
    Client, HeaderMap, Message, PublishError, StatusCode, SubscribeError, Subscriber,
};
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use tokio::time::{Instant, timeout_at};

/// A request that found nothing ends after this time and is made again.
const EXPIRES: Duration = Duration::from_secs(10);
/// The server gives a sign of life this often when there is nothing to read. Short enough that what follows on silence
/// fits into 3 s: doubting the connection, making a new one, opening the read model again.
const HEARTBEAT: Duration = Duration::from_millis(750);
/// Two missed signs of life are an error.
const SILENCE_MAX: Duration = Duration::from_millis(1_500);

/// Why there are no more messages.
#[derive(Debug, thiserror::Error)]
pub(super) enum PullError {
    #[error("the server gave no sign of life")]
    Silent,
    #[error("the consumer was deleted")]
    Deleted,
    #[error("the consumer is gone")]
    Gone,
    #[error("the subscription ended")]
    Ended,
    #[error("the server refused to deliver: {0}")]
    Refused(String),
    #[error("cannot ask for messages: {0}")]
    Ask(#[from] PublishError),
}

/// What may be on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl Amount {
    /// Whether less than half of `request` is left.
    fn is_low(self, request: Self) -> bool {
        self.messages <= request.messages / 2 || self.bytes <= request.bytes / 2
    }

    fn add(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }

    fn take(&mut self, other: Self) {
        self.messages = self.messages.saturating_sub(other.messages);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// Messages in the order in which the consumer delivers them, at most one and a half requests ahead.
#[derive(Debug)]
pub(super) struct Messages {
    client: Client,
    subscriber: Subscriber,
    /// Where requests go to.
    subject: String,
    inbox: String,
    /// What one request asks for, and how it says so.
    request: Amount,
    asking: Bytes,
    /// What was asked for and has not come.
    due: Amount,
    /// Since when nothing has come while it was waited for.
    silent_since: Option<Instant>,
}

impl Messages {
    /// Listens for the messages of `consumer`; the first call of [`next`](Self::next) asks for them. `prefix` is
    /// that of the JetStream API.
    pub(super) async fn open(
        client: Client,
        prefix: &str,
        consumer: &Consumer<Config>,
        request: Amount,
    ) -> Result<Self, SubscribeError> {
        let info = consumer.cached_info();
        let subject = format!(
            "{prefix}.CONSUMER.MSG.NEXT.{}.{}",
            info.stream_name, info.name
        );
        let inbox = client.new_inbox();
        let subscriber = client.subscribe(inbox.clone()).await?;
        Ok(Self {
            client,
            subscriber,
            subject,
            inbox,
            request,
            asking: asking(request),
            due: Amount::default(),
            silent_since: None,
        })
    }

    /// The next message. Nothing is lost when the future is dropped.
    pub(super) async fn next(&mut self) -> Result<Message, PullError> {
        loop {
            if self.due.is_low(self.request) {
                self.ask().await?;
            }
            let message = self.arrival().await?;
            match message.status {
                None | Some(StatusCode::OK) => {
                    self.due.take(Amount {
                        messages: 1,
                        bytes: message.length,
                    });
                    return Ok(message);
                }
                Some(status) => self.told(status, &message)?,
            }
        }
    }

    async fn ask(&mut self) -> Result<(), PullError> {
        let (subject, inbox) = (self.subject.clone(), self.inbox.clone());
        self.client
            .publish_with_reply(subject, inbox, self.asking.clone())
            .await?;
        self.due.add(self.request);
        Ok(())
    }

    /// Whatever comes next, also what the server only says about the consumer.
    async fn arrival(&mut self) -> Result<Message, PullError> {
        // A clock is only looked at when there is something to wait for.
        let arrived = match self.subscriber.next().now_or_never() {
            Some(arrived) => arrived,
            None => {
                let since = *self.silent_since.get_or_insert_with(Instant::now);
                timeout_at(since + SILENCE_MAX, self.subscriber.next())
                    .await
                    .map_err(|_| PullError::Silent)?
            }
        };
        self.silent_since = None;
        arrived.ok_or(PullError::Ended)
    }

    /// Takes in what the server says instead of a message.
    fn told(&mut self, status: StatusCode, message: &Message) -> Result<(), PullError> {
        let said = message.description.as_deref().unwrap_or_default();
        match status {
            StatusCode::IDLE_HEARTBEAT => Ok(()),
            StatusCode::NO_RESPONDERS => Err(PullError::Gone),
            StatusCode::REQUEST_TERMINATED if said == "Consumer Deleted" => Err(PullError::Deleted),
            // A request has ended; what it did not bring has to be asked for again.
            StatusCode::TIMEOUT | StatusCode::REQUEST_TERMINATED
                if !said.starts_with("Exceeded") =>
            {
                self.due
                    .take(undelivered(message.headers.as_ref(), self.request));
                Ok(())
            }
            _ => Err(PullError::Refused(format!("{status} {said}"))),
        }
    }
}

fn asking(request: Amount) -> Bytes {
    let asking = BatchConfig {
        batch: request.messages,
        max_bytes: request.bytes,
        expires: Some(EXPIRES),
        idle_heartbeat: HEARTBEAT,
        ..BatchConfig::default()
    };
    // Numbers and nothing else: this cannot fail, and an empty request would ask for one message.
    serde_json::to_vec(&asking).map_or_else(|_| Bytes::new(), Bytes::from)
}

/// What a request that ended had not brought; the whole `request` where the server does not say.
fn undelivered(headers: Option<&HeaderMap>, request: Amount) -> Amount {
    let number = |name: &str| headers?.get(name)?.as_str().parse().ok();
    Amount {
        messages: number("Nats-Pending-Messages").unwrap_or(request.messages),
        bytes: number("Nats-Pending-Bytes").unwrap_or(request.bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: Amount = Amount {
        messages: 100,
        bytes: 1_000,
    };

    #[test]
    fn more_is_asked_for_when_half_of_the_messages_or_of_the_bytes_has_come() {
        let mut due = Amount::default();
        assert!(due.is_low(REQUEST));
        due.add(REQUEST);
        assert!(!due.is_low(REQUEST));
        let left = |messages, bytes| Amount { messages, bytes }.is_low(REQUEST);
        assert!(left(50, 999) && left(99, 500) && !left(51, 501));
    }

    #[test]
    fn what_a_request_did_not_bring_is_what_the_server_says_or_all_of_it() {
        let mut headers = HeaderMap::new();
        headers.insert("Nats-Pending-Messages", "7");
        headers.insert("Nats-Pending-Bytes", "70");
        let said = undelivered(Some(&headers), REQUEST);
        assert_eq!((said.messages, said.bytes), (7, 70));
        assert_eq!(undelivered(None, REQUEST), REQUEST);
    }

    #[test]
    fn a_request_says_how_much_and_how_long() {
        let said: serde_json::Value = serde_json::from_slice(&asking(REQUEST)).unwrap();
        assert_eq!(said["batch"], 100);
        assert_eq!(said["max_bytes"], 1_000);
        assert_eq!(said["expires"], 10_000_000_000_u64);
        assert_eq!(said["idle_heartbeat"], 750_000_000);
    }
}
