//! `/v1/operations`

use super::problem::Problem;
use super::request::{Caller, caller, json_body, parse};
use super::{Routes, ok, respond};
use crate::app::App;
use crate::operations;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use qz_evidence::SubjectId;
use qz_storage::OperationId;
use qz_storage::operations::{self as rows, Operation};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::ToSchema;
use warp::Filter;
use warp::http::StatusCode;
use warp::reply::Response;

/// Longest wait of one request.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// How often a waiting request looks even if nobody rings.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    #[serde(default)]
    wait: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Signature {
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    subject: SubjectId,
    signature: String,
}

pub fn routes(app: &Arc<App>) -> Routes {
    let show = warp::path!("v1" / "operations" / String)
        .and(warp::get())
        .and(caller(app))
        .and(warp::query::<Query>())
        .then(async |id: String, app, _, query| respond(show(app, &id, query).await));
    let sign = warp::path!("v1" / "operations" / String / "signatures")
        .and(warp::post())
        .and(caller(app))
        .and(json_body())
        .then(async |id: String, app, caller, body| respond(sign(app, caller, &id, body).await));
    show.or(sign).unify().boxed()
}

fn operation_id(text: &str) -> Result<OperationId, Problem> {
    text.parse().map_err(|_| Problem::not_found("没有此操作", "no such operation"))
}

async fn show(app: Arc<App>, id: &str, query: Query) -> Result<Response, Problem> {
    let id = operation_id(id)?;
    let end = Instant::now() + Duration::from_secs(query.wait).min(MAX_WAIT);
    loop {
        // Listen before looking, so that nothing falls in between.
        let progress = app.progress.notified();
        let operation = rows::get(&app.storage, &id).await?;
        let left = end.saturating_duration_since(Instant::now());
        if operations::is_settled(&operation) || left.is_zero() {
            return answer(&app, &operation);
        }
        let _ = tokio::time::timeout(left.min(LOOK), progress).await;
    }
}

async fn sign(app: Arc<App>, caller: Caller, id: &str, body: Bytes) -> Result<Response, Problem> {
    let id = operation_id(id)?;
    let Signature { subject, signature } = parse(&body)?;
    let signature = BASE64.decode(&signature).map_err(|_| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "signature.invalid",
            "签名不是有效的 Base64",
            "the signature is not valid base64",
        )
    })?;
    let operation = operations::sign(&app, &caller, &id, subject, signature).await?;
    answer(&app, &operation)
}

fn answer(app: &App, operation: &Operation) -> Result<Response, Problem> {
    Ok(ok(&operations::view(app, operation)?))
}
