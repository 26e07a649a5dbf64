//! One request to one node, and the walk over the nodes. HTTP stays in this file.

use crate::config::{ClientConfig, ConfigError};
use crate::error::{Attempt, ClientError, Failure};
use crate::tls;
use crate::wire::{ErrorBody, Rejection};
use qz_evidence::OrgId;
use qz_evidence::genesis::Organisation;
use reqwest::StatusCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Time to connect, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Unused connections are closed after this; sooner than a node closes them (10 s, which may begin while it still
/// holds an answer), so that no request is written into a connection that is just being closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);
/// A node that failed is asked last for this long.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// Largest error body that is read.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// A request, before it is known which node gets it.
pub(crate) struct Request {
    pub path: String,
    pub body: Option<(&'static str, Vec<u8>)>,
    pub timeout: Duration,
    pub max_bytes: usize,
}

impl Request {
    /// A `GET`.
    pub fn get(path: String, max_bytes: usize) -> Self {
        Self { path, body: None, timeout: Duration::from_secs(10), max_bytes }
    }
}

/// What one node said.
pub(crate) enum Answer<T = Vec<u8>> {
    /// Success with this body.
    Success(T),
    /// A typed refusal; other nodes are not asked.
    Refused(u16, Rejection),
}

/// A node that can be called.
pub(crate) struct Node {
    pub org: OrgId,
    pub url: String,
    http: reqwest::Client,
    failed_at: Mutex<Option<Instant>>,
}

impl Node {
    /// Sends a request and reads the answer, never more than its cap.
    pub async fn ask(&self, request: &Request) -> Result<Answer, Failure> {
        let answer = self.exchange(request).await;
        self.note(matches!(&answer, Err(failure) if *failure != Failure::NotFound));
        answer
    }

    /// Begins an answer without an end, within this time.
    pub async fn open(
        &self, path: &str, last_event_id: Option<&str>, patience: Duration,
    ) -> Result<Answer<reqwest::Response>, Failure> {
        let mut builder = self.http.get(format!("{}{path}", self.url));
        if let Some(id) = last_event_id {
            builder = builder.header("last-event-id", id);
        }
        let answer = match tokio::time::timeout(patience, builder.send()).await {
            Err(_) => Err(Failure::Timeout),
            Ok(Err(error)) => Err(failure(error)),
            Ok(Ok(response)) if response.status().is_success() => Ok(Answer::Success(response)),
            Ok(Ok(response)) => match tokio::time::timeout(patience, unsuccessful(response)).await {
                Err(_) => Err(Failure::Timeout),
                Ok(Err(failure)) => Err(failure),
                Ok(Ok((status, rejection))) => Ok(Answer::Refused(status, rejection)),
            },
        };
        self.note(answer.is_err());
        answer
    }

    /// A stream of this node broke off.
    pub fn has_failed(&self) {
        self.note(true);
    }

    fn note(&self, is_down: bool) {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = is_down.then(Instant::now);
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, Failure> {
        let url = format!("{}{}", self.url, request.path);
        let builder = match &request.body {
            None => self.http.get(url),
            Some((content_type, bytes)) => {
                self.http.post(url).header(reqwest::header::CONTENT_TYPE, *content_type).body(bytes.clone())
            }
        };
        let again = builder.try_clone();
        let response = match (builder.timeout(request.timeout).send().await, again) {
            // Every request here is safe to repeat; this one was written into a connection that the node had closed.
            (Err(error), Some(again)) if was_reset(&error) => again.timeout(request.timeout).send().await,
            (outcome, _) => outcome,
        };
        let response = response.map_err(failure)?;
        if response.status().is_success() {
            return Ok(Answer::Success(read_capped(response, request.max_bytes).await?));
        }
        unsuccessful(response).await.map(|(status, rejection)| Answer::Refused(status, rejection))
    }

    /// Has the other nodes asked first for a while, as after a failure: it answers, but does not get on.
    pub fn ask_later(&self) {
        *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// When it failed, if that is not long ago.
    fn cooling_down_since(&self) -> Option<Instant> {
        let failed_at = *self.failed_at.lock().unwrap_or_else(PoisonError::into_inner);
        failed_at.filter(|at| at.elapsed() < COOL_DOWN)
    }

    /// An attempt in vain, for the error.
    pub fn attempt(&self, failure: Failure) -> Attempt {
        tracing::debug!(node = %self.org, url = %self.url, %failure, "node gave no usable answer");
        Attempt { node: self.org.clone(), url: self.url.clone(), failure }
    }
}

/// A refusal with its status, or a failure for which another node is asked.
async fn unsuccessful(response: reqwest::Response) -> Result<(u16, Rejection), Failure> {
    let status = response.status();
    let body = read_capped(response, MAX_ERROR_BYTES).await?;
    let error = serde_json::from_slice::<ErrorBody>(&body).map(|body| body.error);
    match status {
        StatusCode::NOT_FOUND if error.is_ok() => Err(Failure::NotFound),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(unavailable(status, error)),
        _ if status.is_client_error() => match error {
            Ok(rejection) => Ok((status.as_u16(), rejection)),
            Err(_) => Err(Failure::Nonsense(format!("status {status} without an error body"))),
        },
        _ if status.is_server_error() => Err(unavailable(status, error)),
        _ => Err(Failure::Nonsense(format!("status {status}"))),
    }
}

fn unavailable(status: StatusCode, error: Result<Rejection, serde_json::Error>) -> Failure {
    let message = error.map_or_else(|_| "no reason given".to_owned(), |rejection| rejection.to_string());
    Failure::Unavailable { status: status.as_u16(), message }
}

async fn read_capped(mut response: reqwest::Response, limit: usize) -> Result<Vec<u8>, Failure> {
    let announced = response.content_length().unwrap_or(0);
    if usize::try_from(announced).map_or(true, |length| length > limit) {
        return Err(Failure::TooLarge(limit));
    }
    let mut bytes = vec![];
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        if bytes.len() + chunk.len() > limit {
            return Err(Failure::TooLarge(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

pub(crate) fn failure(error: reqwest::Error) -> Failure {
    // A connection that times out is "no connection": nothing was sent.
    if error.is_connect() {
        Failure::Connect(causes(&error))
    } else if error.is_timeout() {
        Failure::Timeout
    } else {
        Failure::Broken(causes(&error))
    }
}

/// A reset says that the node read no more of this connection when the request came.
fn was_reset(error: &reqwest::Error) -> bool {
    let first: &dyn std::error::Error = error;
    let mut causes = std::iter::successors(Some(first), |error| error.source());
    causes.any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| matches!(io.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe))
    })
}

/// The innermost causes, which say what happened ("invalid peer certificate: UnknownIssuer").
fn causes(error: &reqwest::Error) -> String {
    let mut source = std::error::Error::source(error);
    let mut texts: Vec<String> = vec![];
    while let Some(cause) = source {
        let text = cause.to_string();
        if texts.last() != Some(&text) {
            texts.push(text);
        }
        source = cause.source();
    }
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}

/// The nodes in the order of preference.
pub(crate) struct Nodes(Vec<Node>);

impl Nodes {
    /// `card` gives the organisation's card, whose TLS authority must have issued the node's certificate.
    pub fn new<'a>(
        config: &ClientConfig, card: impl Fn(&OrgId) -> Option<&'a Organisation>,
    ) -> Result<Self, ConfigError> {
        let node = |endpoint: &crate::config::NodeEndpoint| {
            let unknown = || ConfigError::UnknownOrganisation(endpoint.org.clone());
            let server = card(&endpoint.org).ok_or_else(unknown)?;
            let tls = tls::client_config(server, &config.client_certificate_pem, &config.client_key_pem)?;
            let http = reqwest::Client::builder()
                .tls_backend_preconfigured(tls)
                .https_only(true)
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .build()
                .map_err(|error| ConfigError::Tls(error.to_string()))?;
            Ok(Node { org: endpoint.org.clone(), url: endpoint.url.clone(), http, failed_at: Mutex::new(None) })
        };
        Ok(Self(config.nodes.iter().map(node).collect::<Result<_, ConfigError>>()?))
    }

    /// In order of preference, those that failed lately last, the latest at the very end.
    pub fn in_order(&self) -> Vec<&Node> {
        let mut nodes: Vec<&Node> = self.0.iter().collect();
        nodes.sort_by_key(|node| node.cooling_down_since());
        nodes
    }

    pub fn of(&self, org: &OrgId) -> Option<&Node> {
        self.0.iter().find(|node| node.org == *org)
    }

    /// Asks node after node until one gives an answer that `parse` understands.
    pub async fn first_answer<T>(
        &self, request: &Request, parse: impl Fn(&Node, &[u8]) -> Result<T, String>,
    ) -> Result<(OrgId, T), ClientError> {
        let mut tried = vec![];
        for node in self.in_order() {
            match node.ask(request).await {
                Ok(Answer::Success(bytes)) => match parse(node, &bytes) {
                    Ok(value) => return Ok((node.org.clone(), value)),
                    Err(reason) => tried.push(node.attempt(Failure::Nonsense(reason))),
                },
                Ok(Answer::Refused(status, rejection)) => {
                    return Err(ClientError::Rejected { node: node.org.clone(), status, rejection });
                }
                Err(failure) => tried.push(node.attempt(failure)),
            }
        }
        Err(ClientError::Unreachable { tried })
    }
}
