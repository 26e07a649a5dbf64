//! `Idempotency-Key`: a request that creates something is answered once; the same request again gets
//! the same answer, without being done again.
//!
//! The key is taken first, the work done outside of any transaction, and rows and answer are committed
//! together; a crash in between leaves the key in progress for a minute.

use super::problem::Problem;
use super::request::Caller;
use crate::app::App;
use crate::change::Change;
use crate::clock::now_ms;
use crate::error::ServiceError;
use qz_evidence::hash::sha256;
use qz_storage::idempotency::{self, Begin};
use serde_json::Value;
use warp::http::StatusCode;
use warp::reply::Response;

/// A key in progress for longer belongs to a process that died.
const STALE_AFTER_MS: u64 = 60_000;
/// Longest key.
const MAX_KEY_CHARS: usize = 128;

/// What a creating request gives.
#[derive(Debug)]
pub struct Outcome {
    status: StatusCode,
    body: Value,
    change: Change,
}

impl Outcome {
    /// Something was created.
    pub fn created(body: Value, change: Change) -> Self {
        Self { status: StatusCode::CREATED, body, change }
    }

    /// A job will create it.
    pub fn accepted(body: Value, change: Change) -> Self {
        Self { status: StatusCode::ACCEPTED, body, change }
    }
}

/// Does `work` once for this key. `request` identifies the request: method, address and body.
pub async fn once(
    app: &App, caller: &Caller, key: Option<String>, request: &[&[u8]],
    work: impl Future<Output = Result<Outcome, Problem>>,
) -> Result<Response, Problem> {
    let (status, body) = once_with(app, caller, key, request, work).await?;
    Ok(json_bytes(status, body))
}

/// The same for who goes on with the answer.
pub async fn once_with(
    app: &App, caller: &Caller, key: Option<String>, request: &[&[u8]],
    work: impl Future<Output = Result<Outcome, Problem>>,
) -> Result<(StatusCode, Vec<u8>), Problem> {
    let key = key.filter(|key| (1..=MAX_KEY_CHARS).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()));
    let Some(key) = key else {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "idempotency.missing",
            "请求须带 Idempotency-Key 头（1–128 个可见 ASCII 字符）",
            "an Idempotency-Key header of 1 to 128 visible ASCII characters is required",
        ));
    };
    // Length-prefixed, so that parts cannot flow into each other.
    let lengths: Vec<[u8; 8]> = request.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let parts: Vec<&[u8]> = lengths.iter().zip(request).flat_map(|(length, part)| [&length[..], part]).collect();
    let fingerprint = sha256(&parts);
    let tx = app.storage.begin().await?;
    let begun =
        idempotency::begin(&tx, &app.encryption, &caller.token, &key, &fingerprint.0, now_ms(), STALE_AFTER_MS).await?;
    tx.commit().await?;
    match begun {
        Begin::New => {}
        Begin::Replay { status, body } => {
            return Ok((StatusCode::from_u16(status).unwrap_or(StatusCode::OK), body));
        }
        Begin::InProgress => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "idempotency.in_progress",
                "相同请求正在处理，请稍后再试",
                "the same request is being worked on; try again shortly",
            ));
        }
        Begin::Mismatch => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency.mismatch",
                "该 Idempotency-Key 已用于内容不同的请求",
                "this Idempotency-Key was used for another request",
            ));
        }
    }
    match finish(app, caller, &key, work).await {
        Ok(answer) => {
            app.changed();
            Ok(answer)
        }
        Err(problem) => {
            let tx = app.storage.begin().await?;
            idempotency::abandon(&tx, &caller.token, &key).await?;
            tx.commit().await?;
            Err(problem)
        }
    }
}

async fn finish(
    app: &App, caller: &Caller, key: &str, work: impl Future<Output = Result<Outcome, Problem>>,
) -> Result<(StatusCode, Vec<u8>), Problem> {
    let Outcome { status, body, change } = work.await?;
    let body = body.to_string().into_bytes();
    let write = async {
        let tx = app.storage.begin().await?;
        change.write(app, &tx, now_ms()).await?;
        if let Some(account) = &caller.account {
            change.assign(&tx, account).await?;
        }
        idempotency::store(&tx, &app.encryption, &caller.token, key, status.as_u16(), &body).await?;
        tx.commit().await?;
        Ok::<_, ServiceError>(())
    };
    write.await?;
    Ok((status, body))
}

/// A JSON response.
pub fn json_bytes(status: StatusCode, body: Vec<u8>) -> Response {
    use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
