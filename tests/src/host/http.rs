//! What a host answers over HTTP.

use std::time::Duration;

use serde_json::Value;

use super::Host;
use crate::wait::{LONG, wait_until, wait_within};

/// Longer than the longest `timeout=` there is, which is 60 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);

/// One answer, whatever its status code.
#[derive(Debug, Clone)]
pub struct Answer {
    /// 200, 404, 503, …
    pub code: u16,
    /// `content-type`, empty if there is none.
    pub content_type: String,
    /// `foldline-sequence`.
    pub sequence: Option<u64>,
    /// `retry-after` in seconds.
    pub retry_after: Option<u64>,
    /// `etag`
    pub etag: Option<String>,
    /// The body; null if it is no JSON.
    pub body: Value,
}

pub(super) fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        // A proxy for the web is not meant for a host on this machine.
        .proxy(None)
        .timeout_global(Some(ANSWER_WITHIN));
    ureq::Agent::new_with_config(config.build())
}

impl Host {
    /// Asks; `None` when the host does not answer.
    pub fn try_get(&self, path: &str) -> Option<Answer> {
        get(&self.http, &format!("{}{path}", self.address())).ok()
    }

    /// Asks; the host must answer, with whatever code.
    ///
    /// # Panics
    /// If it does not.
    pub fn get(&self, path: &str) -> Answer {
        let answer = get(&self.http, &format!("{}{path}", self.address()));
        answer.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// Asks the host to do something; `None` when it does not answer.
    pub fn post(&self, path: &str) -> Option<Answer> {
        let request = self.http.post(format!("{}{path}", self.address()));
        request.send_empty().and_then(answer).ok()
    }

    /// `/v1/projections/{name}`; null while there is no such projection.
    pub fn status(&self, name: &str) -> Value {
        let answer = self.get(&format!("/v1/projections/{name}"));
        if answer.code == 200 {
            answer.body
        } else {
            Value::Null
        }
    }

    /// The projection's checkpoint; 0 while there is none.
    pub fn checkpoint(&self, name: &str) -> u64 {
        self.status(name)["checkpoint"].as_u64().unwrap_or_default()
    }

    /// Rows of a table.
    ///
    /// # Panics
    /// If they are refused.
    pub fn rows(&self, name: &str, table: &str, query: &str) -> Vec<Value> {
        let answer = self.get(&format!("/v1/read-models/{name}/{table}?{query}"));
        match answer.body {
            Value::Array(rows) if answer.code == 200 => rows,
            other => panic!("{name}/{table}?{query}: {} {other}", answer.code),
        }
    }

    /// The row with this key; none if there is none.
    pub fn row(&self, name: &str, table: &str, key: &str) -> Option<Value> {
        let answer = self.get(&format!("/v1/read-models/{name}/{table}/{key}"));
        (answer.code == 200).then_some(answer.body)
    }

    /// The module file of this name as far as it was refused.
    pub fn refused(&self, file: &str) -> Option<Value> {
        let answer = self.get("/v1/projections");
        let refused = answer.body["modules"].as_array()?;
        refused
            .iter()
            .find(|module| module["file"] == file)
            .cloned()
    }

    /// Waits until the projection's status fulfils `condition`.
    ///
    /// # Panics
    /// If it does not within [`LONG`]; the last status is shown.
    #[track_caller]
    pub fn wait_status(&self, name: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        wait_until(&format!("{name} {what}"), || {
            Some(self.status(name)).filter(|status| condition(status))
        })
    }

    /// Waits until the projection has this status: `live`, `failed`, ….
    ///
    /// # Panics
    /// If it has not within [`LONG`].
    #[track_caller]
    pub fn wait_state(&self, name: &str, state: &str) -> Value {
        self.wait_status(name, &format!("is {state}"), |status| {
            status["status"] == state
        })
    }

    /// Waits until the read model shows all events up to `sequence`.
    ///
    /// # Panics
    /// If it does not within twice [`LONG`].
    #[track_caller]
    pub fn wait_applied(&self, name: &str, sequence: u64) {
        wait_within(
            2 * LONG,
            &format!("{name} has applied event {sequence}"),
            || {
                let status = self.status(name);
                let table = status["tables"][0].as_str()?;
                let fresh = format!("limit=1&min_sequence={sequence}&timeout=2s");
                let answer = self.get(&format!("/v1/read-models/{name}/{table}?{fresh}"));
                (answer.code == 200).then_some(())
            },
        );
    }
}

fn get(agent: &ureq::Agent, url: &str) -> Result<Answer, ureq::Error> {
    answer(agent.get(url).call()?)
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Result<Answer, ureq::Error> {
    let text = |name: &str| {
        let value = response.headers().get(name);
        value
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let number = |name: &str| text(name).and_then(|value| value.parse().ok());
    Ok(Answer {
        code: response.status().as_u16(),
        content_type: text("content-type").unwrap_or_default(),
        sequence: number("foldline-sequence"),
        retry_after: number("retry-after"),
        etag: text("etag"),
        // Pages of 1,000 wide rows are larger than ureq's default limit of 10 MB allows to be sure of.
        body: serde_json::from_slice(
            &response
                .body_mut()
                .with_config()
                .limit(1 << 28)
                .read_to_vec()?,
        )
        .unwrap_or_default(),
    })
}
