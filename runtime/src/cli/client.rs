//! Talking to a running host.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::RequestBuilder;
use ureq::http::Response;

use super::CliError;
use super::output::printable_json;

/// Longest answer: above what a host sends for one page of rows.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);

/// Above the longest `timeout=` of a read.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(90);

/// Above the time that a host lets one module be compiled: three times its usual `[limits] compile_ms`.
const COMPILE_TIME_MAX: Duration = Duration::from_secs(600);

/// Which host to ask. A host with a token gets it from FOLDLINE_HTTP_TOKEN.
#[derive(Debug, Clone, Args)]
pub(crate) struct HostArguments {
    /// Where the host answers.
    #[arg(
        long,
        value_name = "URL",
        env = "FOLDLINE_HOST",
        default_value = "http://127.0.0.1:7070"
    )]
    host: String,
}

/// A running host.
pub(crate) struct Client {
    agent: ureq::Agent,
    host: String,
    token: Option<String>,
}

/// What a host answered.
pub(crate) struct Answer {
    /// The last event whose changes it contains, when it is about rows.
    pub(crate) sequence: Option<u64>,
    body: String,
}

impl Answer {
    /// The body as JSON text that is safe to print.
    pub(crate) fn json(&self) -> String {
        printable_json(self.body.trim_end())
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, CliError> {
        serde_json::from_str(&self.body).map_err(|error| {
            CliError::failed(format!("the host's answer is not understood: {error}"))
                .hint("is the host of the same version as this program? see `foldline --version`")
        })
    }
}

/// An error as the host answers it.
#[derive(Deserialize)]
struct Problem {
    title: String,
    detail: String,
    hint: Option<String>,
}

impl Client {
    pub(crate) fn new(arguments: &HostArguments) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // The host is on this machine or in this network; a proxy for the web is not meant for it.
            .proxy(None)
            .timeout_connect(Some(CONNECT_TIME_MAX))
            .timeout_global(Some(ANSWER_TIME_MAX));
        let host = arguments.host.trim_end_matches('/');
        let scheme = if host.contains("://") { "" } else { "http://" };
        Self {
            agent: config.build().new_agent(),
            host: format!("{scheme}{host}"),
            token: std::env::var("FOLDLINE_HTTP_TOKEN")
                .ok()
                .filter(|t| !t.is_empty()),
        }
    }

    /// Asks for `path`, which may carry a query; the host's own errors come back with its hints.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, CliError> {
        let request = self.agent.get(format!("{}{path}", self.host));
        self.answer(self.authorized(request).call())
    }

    /// Asks the host to do what `path` says.
    pub(crate) fn post(&self, path: &str) -> Result<Answer, CliError> {
        let request = self.agent.post(format!("{}{path}", self.host));
        self.answer(self.authorized(request).send_empty())
    }

    /// Sends the host a module to look at, which it compiles.
    pub(crate) fn post_module(&self, path: &str, module: &[u8]) -> Result<Answer, CliError> {
        let request = self.agent.post(format!("{}{path}", self.host));
        let request = request.config().timeout_global(Some(COMPILE_TIME_MAX));
        // A host that refuses says so before it has read the body, and reads no further.
        let request = request.build().header("expect", "100-continue");
        self.answer(self.authorized(request).send(module))
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn answer(
        &self,
        response: Result<Response<ureq::Body>, ureq::Error>,
    ) -> Result<Answer, CliError> {
        let mut response = response.map_err(|error| self.no_answer(&error))?;
        let sequence = response.headers().get("foldline-sequence");
        let sequence = sequence.and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let body = body
            .read_to_string()
            .map_err(|error| self.no_answer(&error))?;
        if response.status().is_success() {
            return Ok(Answer { sequence, body });
        }
        Err(self.refused(response.status().as_u16(), &body))
    }

    fn no_answer(&self, error: &ureq::Error) -> CliError {
        let host = &self.host;
        if matches!(error, ureq::Error::Timeout(of) if *of != ureq::Timeout::Connect) {
            return CliError::failed(format!("the host at {host} did not answer in time"))
                .hint("it may still do what was asked for: see `foldline status` and its log");
        }
        CliError::failed(format!("no host answers at {host}: {error}")).hint(
            "start one with `foldline run`, or say where it is with --host URL or FOLDLINE_HOST",
        )
    }

    fn refused(&self, status: u16, body: &str) -> CliError {
        match serde_json::from_str::<Problem>(body) {
            Ok(problem) => CliError {
                hint: problem.hint,
                ..CliError::failed(format!("{}: {}", problem.title, problem.detail))
            },
            Err(_) => CliError::failed(format!(
                "{} answered with status {status}, and not as a Foldline host does",
                self.host
            ))
            .hint("is this the address in [http] listen? say where the host is with --host URL"),
        }
    }
}
