//! What every authenticated request brings: who calls, from where, with what body.

use super::connections::Peer;
use super::problem::Problem;
use crate::app::App;
use crate::clock::now_ms;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use qz_evidence::SubjectId;
use qz_evidence::hash::sha256;
use qz_storage::audit::AuditLine;
use qz_storage::{TokenId, tokens};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::reject::Rejection;

/// Largest JSON body.
const MAX_JSON_BYTES: usize = 256 * 1024;
/// How much of a body that is too large is read and dropped, so that its sender hears why.
const DRAIN_BYTES: usize = 64 << 20;

/// Longest wait of one request.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// `?wait=SECONDS`
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    wait: Option<u64>,
}

impl Wait {
    /// How long, if the caller says so, or `otherwise`; never longer than a minute.
    pub fn or(self, otherwise: Duration) -> Duration {
        self.wait.map_or(otherwise, Duration::from_secs).min(MAX_WAIT)
    }
}

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token's id.
    pub token: TokenId,
    /// Whose token it is; nothing: an operator's.
    pub account: Option<String>,
    ip: String,
    device: String,
}

impl Caller {
    /// When, from where, with what and of which program something is asked for; committed to the ledger.
    pub fn capture(&self) -> String {
        let software = concat!("qz-gateway/", env!("CARGO_PKG_VERSION"));
        json!({"time_ms": now_ms(), "ip": self.ip, "device": self.device, "software": software}).to_string()
    }

    /// An audit line.
    pub fn audit(&self, time_ms: u64, action: &str, subject: Option<&str>, detail: &str) -> AuditLine {
        AuditLine {
            time_ms,
            actor: self.token.to_string(),
            ip: Some(self.ip.clone()),
            action: action.to_owned(),
            subject: subject.map(str::to_owned),
            detail: detail.to_owned(),
        }
    }
}

/// Hands the shared state to a handler.
pub fn with_app(app: &Arc<App>) -> BoxedFilter<(Arc<App>,)> {
    let app = app.clone();
    warp::any().map(move || app.clone()).boxed()
}

/// From where a request comes.
pub fn client_ip() -> BoxedFilter<(Option<String>,)> {
    warp::ext::optional::<Peer>().map(|peer: Option<Peer>| peer.map(|Peer(address)| address.ip().to_string())).boxed()
}

/// Lets only requests with an active token pass. Comes before the body is read.
pub fn caller(app: &Arc<App>) -> BoxedFilter<(Arc<App>, Caller)> {
    with_app(app)
        .and(warp::header::optional::<String>("authorization"))
        .and(warp::header::optional::<String>("user-agent"))
        .and(warp::ext::optional::<Peer>())
        .and_then(authenticate)
        .untuple_one()
        .boxed()
}

async fn authenticate(
    app: Arc<App>, authorization: Option<String>, agent: Option<String>, peer: Option<Peer>,
) -> Result<(Arc<App>, Caller), Rejection> {
    let reject = |problem: Problem| warp::reject::custom(problem);
    let token = authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| reject(Problem::unauthorised()))?;
    let digest = token_digest(token);
    let found = tokens::find_active(&app.storage, &digest).await.map_err(|error| reject(error.into()))?;
    let found = found.filter(|row| bool::from(row.sha256.ct_eq(&digest)));
    let row = found.ok_or_else(|| reject(Problem::unauthorised()))?;
    let ip = peer.map_or_else(String::new, |Peer(address): Peer| SocketAddr::ip(&address).to_string());
    let device = agent.unwrap_or_default().chars().filter(|c| !c.is_control()).take(120).collect();
    Ok((app, Caller { token: row.id, account: row.account, ip, device }))
}

/// What is stored of a token. A token has 256 random bits, so a plain hash is enough.
pub fn token_digest(token: &str) -> [u8; 32] {
    sha256(&[token.as_bytes()]).0
}

/// A JSON body of a bounded size.
pub fn json_body() -> BoxedFilter<(Bytes,)> {
    body(MAX_JSON_BYTES)
}

/// A body of at most `limit` bytes, whether its length is announced or not.
pub fn body(limit: usize) -> BoxedFilter<(Bytes,)> {
    warp::header::optional::<u64>("content-length")
        .and(warp::body::stream())
        .and_then(move |announced, stream| collect(announced, stream, limit))
        .boxed()
}

async fn collect(
    announced: Option<u64>, stream: impl Stream<Item = Result<impl Buf, warp::Error>>, limit: usize,
) -> Result<Bytes, Rejection> {
    let most = limit + DRAIN_BYTES;
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    futures::pin_mut!(stream);
    let mut bytes = BytesMut::new();
    let mut read = 0;
    while let Some(chunk) = stream.next().await {
        let mut chunk = chunk.map_err(|_| warp::reject::custom(broken()))?;
        read += chunk.remaining();
        if read > most {
            return Err(too_large());
        }
        if read <= limit {
            bytes.put(&mut chunk);
        } else {
            // Read to its end but not kept: cut off while sending, a client never sees the answer.
            bytes = BytesMut::new();
        }
    }
    if read > limit { Err(too_large()) } else { Ok(bytes.freeze()) }
}

fn too_large() -> Rejection {
    warp::reject::custom(Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body.too_large",
        "请求内容超过上限",
        "the body is too large",
    ))
}

fn broken() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "body.broken", "请求内容未传完", "the body ended too early")
}

/// Parses a JSON body. An empty body counts as `{}`.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| {
        let status = if error.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
        Problem::new(
            status,
            "json.malformed",
            format!("JSON 格式错误或字段不符：{error}"),
            format!("the JSON body is malformed: {error}"),
        )
    })
}

/// A subject in a path.
pub fn subject(text: &str) -> Result<SubjectId, Problem> {
    let hash = qz_evidence::Hash32::from_hex(text).filter(|_| text.bytes().all(|b| !b.is_ascii_uppercase()));
    hash.map(SubjectId).ok_or_else(|| {
        Problem::not_found(
            "没有此主体（编号须为 64 位小写十六进制）",
            "no such subject (64 lower-case hexadecimal digits)",
        )
    })
}
