//! Why a replay of a stream may not give its whole history.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, Info};

use crate::source::Deletion;

/// What the stream deletes by itself, and what it has not any more, a sentence each.
///
/// JetStream does not say why an event is gone. What its beginning has passed may have been lost before it was read;
/// what is missing behind its beginning was deleted on purpose, by one of the rules listed here or by a person.
pub(super) fn forgets(info: &Info) -> Vec<String> {
    let (config, state) = (&info.config, &info.state);
    let deleted = state.deleted_count.unwrap_or_default();
    // That of one that was emptied is still to come.
    let first = match state.messages {
        0 => state.last_sequence + 1,
        _ => state.first_sequence,
    };
    let rules = [
        (config.max_messages_per_subject > 0).then(|| {
            let kept = config.max_messages_per_subject;
            format!("it keeps {kept} events of each subject (max_msgs_per_subject)")
        }),
        config
            .allow_message_ttl
            .then(|| "events may expire one by one (allow_msg_ttl)".to_owned()),
        config
            .allow_rollup
            .then(|| "an event may replace those before it (allow_rollup_hdrs)".to_owned()),
        (config.max_age > Duration::ZERO).then(|| {
            let age = config.max_age;
            format!("it drops events after {age:?} (max_age)")
        }),
        (config.max_messages > 0).then(|| {
            let kept = config.max_messages;
            format!("it keeps {kept} events (max_msgs)")
        }),
        (config.max_bytes > 0).then(|| {
            let kept = config.max_bytes;
            format!("it keeps {kept} bytes (max_bytes)")
        }),
        (deleted > 0).then(|| format!("{deleted} events were deleted from its middle")),
        (first > 1).then(|| format!("it begins with event {first}")),
    ];
    rules.into_iter().flatten().collect()
}

/// Who can have deleted what is missing. That nobody can is never taken back.
pub(super) fn deletion(config: &Config) -> Deletion {
    let replaces = config.max_messages_per_subject > 0 || config.allow_rollup;
    let copies = config.mirror.is_some() || config.sources.is_some();
    if replaces || copies || config.allow_message_ttl {
        return Deletion::ByItself;
    }
    match config.deny_delete && config.deny_purge {
        true => Deletion::Forbidden,
        false => Deletion::ByHand,
    }
}
