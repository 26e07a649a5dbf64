//! `/v1/retrievals`: for courts. No token: what entitles is the signed request itself.

use super::problem::Problem;
use super::request::{client_ip, json_body, with_app};
use super::{Routes, detached, file, ok};
use crate::app::App;
use crate::court;
use bytes::Bytes;
use std::sync::{Arc, LazyLock};
use tokio::sync::Semaphore;
use warp::Filter;
use warp::http::StatusCode;
use warp::reply::Response;

/// Requests that are looked at together: each costs a node a proof, and anybody may send one.
static PLACES: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(4));

pub fn routes(app: &Arc<App>) -> Routes {
    let present = warp::path!("v1" / "retrievals")
        .and(warp::post())
        .and(with_app(app))
        .and(client_ip())
        .and(json_body())
        .then(async |app, ip, body| detached(present(app, ip, body)).await);
    let package = warp::path!("v1" / "retrievals" / "package")
        .and(warp::post())
        .and(with_app(app))
        .and(client_ip())
        .and(json_body())
        .then(async |app, ip, body| detached(package(app, ip, body)).await);
    present.or(package).unify().boxed()
}

async fn present(app: Arc<App>, ip: Option<String>, body: Bytes) -> Result<Response, Problem> {
    let _place = PLACES.try_acquire().map_err(|_| busy())?;
    Ok(ok(&court::present(&app, ip, &body).await?))
}

async fn package(app: Arc<App>, ip: Option<String>, body: Bytes) -> Result<Response, Problem> {
    let _place = PLACES.try_acquire().map_err(|_| busy())?;
    let (bytes, sha256, name) = court::package(&app, ip, &body).await?;
    Ok(file("application/zip", Some(&name), Some(sha256), bytes))
}

fn busy() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "retrieval.busy",
        "正在处理其他调取请求，请稍后再试",
        "other retrievals are being looked at; try again shortly",
    )
}
