//! `/v1/contracts/{subject}/publication`: what the parties make public.

use super::problem::Problem;
use super::request::{Caller, caller, json_body, parse, subject};
use super::{Routes, detached, ok, respond};
use crate::app::App;
use crate::{access, publication};
use bytes::Bytes;
use std::sync::Arc;
use warp::Filter;
use warp::reply::Response;

pub fn routes(app: &Arc<App>) -> Routes {
    let show = warp::path!("v1" / "contracts" / String / "publication")
        .and(warp::get())
        .and(caller(app))
        .then(async |id: String, app, caller| respond(show(app, &caller, &id).await));
    let consent = warp::path!("v1" / "contracts" / String / "publication")
        .and(warp::put())
        .and(caller(app))
        .and(json_body())
        .then(async |id: String, app, caller, body| {
            detached(async move { consent(app, caller, &id, body).await }).await
        });
    show.or(consent).unify().boxed()
}

async fn show(app: Arc<App>, caller: &Caller, id: &str) -> Result<Response, Problem> {
    let row = access::contract(&app, caller, &subject(id)?).await?;
    Ok(ok(&publication::view(&app, &row).await?))
}

async fn consent(app: Arc<App>, caller: Caller, id: &str, body: Bytes) -> Result<Response, Problem> {
    let row = access::contract(&app, &caller, &subject(id)?).await?;
    Ok(ok(&publication::consent(&app, &caller, &row, parse(&body)?).await?))
}
