//! `GET /health` (for anybody), `GET /v1/status`; `GET /v1/jobs?status=failed|retrying` and `GET /metrics` (for
//! operators).

use super::problem::Problem;
use super::request::{Caller, caller};
use super::{Routes, ok, respond};
use crate::access;
use crate::app::App;
use crate::clock::rfc3339;
use qz_storage::jobs;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use warp::Filter;
use warp::http::header::CONTENT_TYPE;
use warp::http::{HeaderValue, StatusCode};

/// Most jobs of one answer.
const MAX_JOBS: u64 = 200;

/// `GET /health`
pub fn health() -> Routes {
    warp::path!("health").and(warp::get()).map(|| ok(&json!({"status": "ok"}))).boxed()
}

pub fn routes(app: &Arc<App>) -> Routes {
    let status = warp::path!("v1" / "status").and(warp::get()).and(caller(app)).then(async |app: Arc<App>, _| {
        let ledger = app.ledger.status().await.map_err(Problem::from);
        respond(ledger.map(|status| {
            ok(&json!({
                "organisation": app.ledger.organisation(),
                "attestor": app.ledger.attestor(),
                "chain_id": app.ledger.chain_id(),
                "node": {
                    "organisation": status.organisation, "height": status.height, "time_ms": status.time_ms,
                    "healthy": status.healthy, "syncing": status.syncing,
                },
                "portal_url": app.config.portal_url,
            }))
        }))
    });
    let failed = warp::path!("v1" / "jobs")
        .and(warp::get())
        .and(caller(app))
        .and(warp::query::<HashMap<String, String>>())
        .then(async |app: Arc<App>, caller: Caller, query: HashMap<String, String>| {
            respond(troubled_jobs(&app, &caller, &query).await)
        });
    let metrics = warp::path!("metrics")
        .and(warp::get())
        .and(caller(app))
        .then(async |app: Arc<App>, caller: Caller| respond(metrics(&app, &caller).await));
    health().or(status).unify().or(failed).unify().or(metrics).unify().boxed()
}

async fn metrics(app: &App, caller: &Caller) -> Result<warp::reply::Response, Problem> {
    access::operator(caller)?;
    let mut response = warp::reply::Response::new(app.metrics.render(app).await?.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(crate::metrics::CONTENT_TYPE));
    Ok(response)
}

async fn troubled_jobs(
    app: &App, caller: &Caller, query: &HashMap<String, String>,
) -> Result<warp::reply::Response, Problem> {
    access::operator(caller)?;
    let jobs = match query.get("status").map(String::as_str) {
        Some("failed") => jobs::failed(&app.storage, MAX_JOBS).await?,
        Some("retrying") => jobs::retrying(&app.storage, MAX_JOBS).await?,
        _ => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "query.status",
                "须指定 status=failed 或 status=retrying",
                "status=failed or status=retrying is required",
            ));
        }
    };
    let view = jobs.iter().map(|job| {
        json!({
            "id": job.id.0, "kind": job.kind, "reference": job.ref_id, "status": job.status.as_str(),
            "attempts": job.attempts, "last_error": job.last_error,
            "run_after": rfc3339(job.run_after_ms),
        })
    });
    Ok(ok(&json!({"jobs": view.collect::<Vec<_>>()})))
}
