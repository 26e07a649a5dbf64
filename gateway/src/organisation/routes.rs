//! The page's routes: the files, and one JSON overview for whoever has the operator's token.

use super::Page;
use crate::clock::rfc3339;
use crate::server::token_digest;
use qz_evidence::genesis::Role;
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError};
use subtle::ConstantTimeEq;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use warp::reply::Response;

/// Most records in one answer.
const MAX_SHOWN: usize = 200;

/// `GET /v1/organisation`; the page itself comes from the server module.
pub fn routes(page: &Arc<Page>) -> BoxedFilter<(Response,)> {
    let page = page.clone();
    warp::path!("v1" / "organisation")
        .and(warp::get())
        .and(warp::header::optional::<String>("authorization"))
        .then(move |authorization: Option<String>| {
            let page = page.clone();
            async move {
                match is_operator(&page, authorization.as_deref()) {
                    true => answer(StatusCode::OK, &overview(&page).await),
                    false => unauthorised(),
                }
            }
        })
        .boxed()
}

fn is_operator(page: &Page, authorization: Option<&str>) -> bool {
    let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
    token.is_some_and(|token| bool::from(token_digest(token).ct_eq(&page.token)))
}

fn unauthorised() -> Response {
    let body = json!({
        "code": "token.invalid", "detail": "运维令牌缺失或不正确", "detail_en": "the operator's token is missing or wrong",
    });
    let mut response = answer(StatusCode::UNAUTHORIZED, &body);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn overview(page: &Page) -> Value {
    let organisation = &page.organisation;
    let genesis = page.client.genesis();
    let node = match page.client.status_of(&organisation.id).await {
        Ok(status) => json!({
            "reachable": true, "height": status.height, "time": rfc3339(status.time_ms), "epoch": status.epoch,
            "healthy": status.healthy, "syncing": status.syncing, "peers": status.peers, "mempool": status.mempool,
        }),
        Err(error) => json!({"reachable": false, "error": error.to_string()}),
    };
    let (pending, recent, height, trouble) = {
        let seen = page.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let pending: Vec<Value> = seen
            .pending
            .iter()
            .map(|(contract, concern)| {
                json!({"contract": contract, "since": rfc3339(concern.time_ms), "height": concern.height, "index": concern.index})
            })
            .collect();
        let recent: Vec<Value> = seen.recent.iter().take(MAX_SHOWN).map(with_time).collect();
        (pending, recent, seen.height, seen.trouble.clone())
    };
    json!({
        "organisation": {
            "id": organisation.id, "name_zh": organisation.name_zh, "name_en": organisation.name_en,
            "roles": organisation.roles, "home": page.home, "validates": organisation.validator.is_some(),
        },
        "chain": {"id": genesis.chain_id(), "name": genesis.body().name},
        "can": {
            "notarise": organisation.has(Role::Notary), "retrieve": organisation.has(Role::Court),
            "rule": organisation.has(Role::Court) || organisation.has(Role::Arbitration),
        },
        "node": node,
        "read": {"height": height, "trouble": trouble},
        "pending": pending,
        "records": recent,
        "watched": page.watched,
    })
}

fn with_time(concern: &qz_client::office::Concern) -> Value {
    let mut value = json!(concern);
    value["time"] = rfc3339(concern.time_ms).into();
    value
}
