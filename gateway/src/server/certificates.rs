//! `/v1/certificates`, and `POST /v1/contracts/{subject}/certificates`

use super::idempotency::{Outcome, once};
use super::problem::Problem;
use super::request::{Caller, caller, subject};
use super::{Routes, file, respond};
use crate::app::App;
use crate::clock::now_ms;
use crate::{certificate, contracts, documents};
use qz_storage::certificates;
use serde_json::json;
use std::sync::Arc;
use warp::Filter;
use warp::reply::Response;

pub fn routes(app: &Arc<App>) -> Routes {
    warp::path!("v1" / "certificates" / String)
        .and(warp::get())
        .and(caller(app))
        .then(async |number: String, app, _| respond(show(app, &number).await))
        .boxed()
}

/// Issues a signing certificate for a completed contract.
pub async fn issue(app: Arc<App>, caller: Caller, key: Option<String>, id: &str) -> Result<Response, Problem> {
    let contract = subject(id)?;
    once(&app, &caller, key, &[b"certificates", id.as_bytes()], async {
        let row = contracts::get(&app, &contract).await?;
        let (mut change, certificate, sha256) = certificate::issue(&app, &row).await?;
        change.audit.push(caller.audit(now_ms(), "certificate.issued", Some(&certificate), id));
        let body = json!({
            "number": certificate,
            "pdf_url": format!("/v1/certificates/{certificate}"),
            "sha256": hex::encode(sha256),
        });
        Ok(Outcome::created(body, change))
    })
    .await
}

async fn show(app: Arc<App>, number: &str) -> Result<Response, Problem> {
    let certificate = certificates::get(&app.storage, number).await?;
    let document = documents::get(&app, &certificate.document).await?;
    let bytes = documents::bytes(&app, &document).await?;
    Ok(file("application/pdf", document.file_name.as_deref(), Some(document.sha256), bytes))
}
