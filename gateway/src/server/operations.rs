//! `/v1/operations`

use super::problem::Problem;
use super::request::{Caller, Wait, caller, json_body, parse};
use super::{Routes, ok, respond};
use crate::app::App;
use crate::{access, external, operations};
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

/// How often a waiting request looks even if nobody rings.
const LOOK: Duration = Duration::from_millis(500);

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
        .and(warp::query::<Wait>())
        .then(async |id: String, app, caller, wait| respond(show(app, &caller, &id, wait).await));
    let sign = warp::path!("v1" / "operations" / String / "signatures")
        .and(warp::post())
        .and(caller(app))
        .and(json_body())
        .then(async |id: String, app, caller, body| respond(sign(app, caller, &id, body).await));
    let to_be_signed = warp::path!("v1" / "operations" / String / "to-be-signed")
        .and(warp::get())
        .and(caller(app))
        .then(async |id: String, app, caller| respond(to_be_signed(app, &caller, &id).await));
    let bring = warp::path!("v1" / "operations" / String / "external-signature")
        .and(warp::post())
        .and(caller(app))
        .and(json_body())
        .then(async |id: String, app, caller, body| respond(bring(app, caller, &id, body).await));
    show.or(sign).unify().or(to_be_signed).unify().or(bring).unify().boxed()
}

fn operation_id(text: &str) -> Result<OperationId, Problem> {
    text.parse().map_err(|_| Problem::not_found("没有此操作", "no such operation"))
}

async fn check_seen(app: &App, caller: &Caller, id: &OperationId) -> Result<(), Problem> {
    let operation = rows::get(&app.storage, id).await?;
    match access::sees_operation(app, caller, &operation).await? {
        true => Ok(()),
        false => Err(Problem::not_found("所指对象不存在", "no such object")),
    }
}

async fn show(app: Arc<App>, caller: &Caller, id: &str, wait: Wait) -> Result<Response, Problem> {
    let id = operation_id(id)?;
    check_seen(&app, caller, &id).await?;
    let end = Instant::now() + wait.or(Duration::ZERO);
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
    check_seen(&app, &caller, &id).await?;
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

async fn to_be_signed(app: Arc<App>, caller: &Caller, id: &str) -> Result<Response, Problem> {
    let id = operation_id(id)?;
    check_seen(&app, caller, &id).await?;
    let operation = rows::get(&app.storage, &id).await?;
    Ok(ok(&external::to_be_signed(&app, &operation).await?))
}

async fn bring(app: Arc<App>, caller: Caller, id: &str, body: Bytes) -> Result<Response, Problem> {
    let id = operation_id(id)?;
    check_seen(&app, &caller, &id).await?;
    let operation = rows::get(&app.storage, &id).await?;
    external::bring(&app, &caller, &operation, parse(&body)?).await?;
    answer(&app, &operation)
}

fn answer(app: &App, operation: &Operation) -> Result<Response, Problem> {
    Ok(ok(&operations::view(app, operation)?))
}
