//! `/v1/certificates`, and `POST /v1/contracts/{subject}/certificates`

use super::idempotency::{json_bytes, once_with};
use super::problem::Problem;
use super::request::{Caller, Wait, caller, subject};
use super::{Routes, file, ok, respond};
use crate::app::App;
use crate::{access, documents, issuance};
use qz_storage::orders::{Order, OrderStatus};
use qz_storage::{certificates, orders};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use warp::Filter;
use warp::http::StatusCode;
use warp::reply::Response;

/// How long an order is waited for when the caller does not say.
const WAIT: Duration = Duration::from_secs(30);

pub fn routes(app: &Arc<App>) -> Routes {
    let show = warp::path!("v1" / "certificates" / String)
        .and(warp::get())
        .and(caller(app))
        .then(async |number: String, app, caller| respond(show(app, &caller, &number).await));
    let status = warp::path!("v1" / "certificates" / String / "status")
        .and(warp::get())
        .and(caller(app))
        .and(warp::query::<Wait>())
        .then(async |number: String, app, caller, wait: Wait| respond(status(app, &caller, &number, wait).await));
    show.or(status).unify().boxed()
}

/// Orders a signing certificate for a completed contract. 201 if it is issued in the time that the caller
/// waits; otherwise 202: it will be issued, and its status says what it waits for.
pub async fn issue(
    app: Arc<App>, caller: Caller, key: Option<String>, id: &str, wait: Wait,
) -> Result<Response, Problem> {
    let contract = subject(id)?;
    let (_, ordered) = once_with(&app, &caller, key, &[b"certificates", id.as_bytes()], async {
        let row = access::contract(&app, &caller, &contract).await?;
        Ok(issuance::order(&caller, &row)?)
    })
    .await?;
    let ordered: Option<Value> = serde_json::from_slice(&ordered).ok();
    let number = ordered.as_ref().and_then(|answer| answer["number"].as_str()).unwrap_or_default();
    let order = issuance::settled(&app, number, wait.or(WAIT)).await?.ok_or_else(unknown)?;
    let status = match order.status {
        OrderStatus::Issued => StatusCode::CREATED,
        OrderStatus::Failed => return Err(failed(&order)),
        _ => StatusCode::ACCEPTED,
    };
    Ok(json_bytes(status, issuance::view(&app, &order).await?.to_string().into_bytes()))
}

async fn show(app: Arc<App>, caller: &Caller, number: &str) -> Result<Response, Problem> {
    let order = seen(&app, caller, number).await?;
    let Some(certificate) = certificates::find(&app.storage, number).await? else {
        let order = order.ok_or_else(unknown)?;
        return Err(if order.status == OrderStatus::Failed { failed(&order) } else { waiting(&order) });
    };
    let document = documents::get(&app, &certificate.document).await?;
    let bytes = documents::bytes(&app, &document).await?;
    Ok(file("application/pdf", document.file_name.as_deref(), Some(document.sha256), bytes))
}

async fn status(app: Arc<App>, caller: &Caller, number: &str, wait: Wait) -> Result<Response, Problem> {
    seen(&app, caller, number).await?.ok_or_else(unknown)?;
    let order = issuance::settled(&app, number, wait.or(Duration::ZERO)).await?.ok_or_else(unknown)?;
    Ok(ok(&issuance::view(&app, &order).await?))
}

/// The order of a number; certificates of earlier versions of the program have none.
async fn seen(app: &App, caller: &Caller, number: &str) -> Result<Option<Order>, Problem> {
    let order = orders::find(&app.storage, number).await?;
    let contract = match &order {
        Some(order) => order.contract.clone(),
        None => certificates::find(&app.storage, number).await?.ok_or_else(unknown)?.contract,
    };
    let row = qz_storage::contracts::get(&app.storage, &contract).await?;
    if access::sees_contract(app, caller, &row).await? { Ok(order) } else { Err(unknown()) }
}

fn unknown() -> Problem {
    Problem::not_found("没有此编号的签署证明", "no signing certificate has this number")
}

fn waiting(order: &Order) -> Problem {
    let (zh, en) = issuance::words(order.status);
    Problem::new(
        StatusCode::CONFLICT,
        "certificate.waiting",
        format!("签署证明尚未出具：{zh}；将自动重试"),
        format!("the signing certificate is not issued yet: {en}; it is tried again by itself"),
    )
    .with("order_status", order.status.as_str())
}

fn failed(order: &Order) -> Problem {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "certificate.failed",
        format!("签署证明 {} 未能出具，已通知运营方", order.number),
        format!("signing certificate {} could not be issued; the operator sees why", order.number),
    )
    .with("number", order.number.as_str())
}
