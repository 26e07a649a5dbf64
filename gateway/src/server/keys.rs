//! `/v1/keys`

use super::idempotency::once;
use super::problem::Problem;
use super::request::{Caller, caller, json_body, parse, subject};
use super::{Routes, detached, ok, respond};
use crate::app::App;
use crate::{access, keys};
use bytes::Bytes;
use std::sync::Arc;
use warp::Filter;
use warp::reply::Response;

pub fn routes(app: &Arc<App>) -> Routes {
    let register = warp::path!("v1" / "keys")
        .and(warp::post())
        .and(caller(app))
        .and(warp::header::optional::<String>("idempotency-key"))
        .and(json_body())
        .then(async |app, caller, key, body| detached(register(app, caller, key, body)).await);
    let show = warp::path!("v1" / "keys" / String)
        .and(warp::get())
        .and(caller(app))
        .then(async |id: String, app, caller| respond(show(app, &caller, &id).await));
    register.or(show).unify().boxed()
}

async fn register(app: Arc<App>, caller: Caller, key: Option<String>, body: Bytes) -> Result<Response, Problem> {
    once(&app, &caller, key, &[b"keys", &body], async { Ok(keys::register(&app, &caller, parse(&body)?).await?) }).await
}

async fn show(app: Arc<App>, caller: &Caller, id: &str) -> Result<Response, Problem> {
    access::key(&app, caller, &subject(id)?).await?;
    Ok(ok(&keys::show(&app, &subject(id)?).await?))
}
