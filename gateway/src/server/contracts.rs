//! `/v1/contracts`

use super::idempotency::once;
use super::problem::Problem;
use super::request::{Caller, Wait, caller, json_body, parse, subject};
use super::{Routes, detached, file, ok, respond};
use crate::app::App;
use crate::{access, archive, contracts, court, documents, print_copies, proofs, seal_data, signing};
use bytes::Bytes;
use std::sync::Arc;
use warp::Filter;
use warp::reply::Response;

pub fn routes(app: &Arc<App>) -> Routes {
    let key = || warp::header::optional::<String>("idempotency-key");
    let open = warp::path!("v1" / "contracts")
        .and(warp::post())
        .and(caller(app))
        .and(key())
        .and(json_body())
        .then(async |app, caller, key, body| detached(open(app, caller, key, body)).await);
    let act = warp::path!("v1" / "contracts" / String / String)
        .and(warp::post())
        .and(caller(app))
        .and(key())
        .and(warp::query::<Wait>())
        .and(json_body())
        .then(async |id: String, what: String, app, caller, key, wait, body| {
            detached(async move { act(app, caller, key, wait, body, &id, &what).await }).await
        });
    let show = warp::path!("v1" / "contracts" / String)
        .and(warp::get())
        .and(caller(app))
        .then(async |id: String, app, caller| respond(show(app, &caller, &id).await));
    let part = warp::path!("v1" / "contracts" / String / String)
        .and(warp::get())
        .and(caller(app))
        .then(async |id: String, what: String, app, caller| respond(part(app, &caller, &id, &what).await));
    let copy = warp::path!("v1" / "contracts" / String / "print-copies" / u64)
        .and(warp::get())
        .and(caller(app))
        .then(async |id: String, number, app, caller| respond(copy(app, &caller, &id, number).await));
    let seal_signature = warp::path!("v1" / "contracts" / String / "seal-signatures" / u64)
        .and(warp::get())
        .and(caller(app))
        .then(async |id: String, slot, app, caller| respond(seal_signature(app, &caller, &id, slot).await));
    open.or(act).unify().or(show).unify().or(part).unify().or(copy).unify().or(seal_signature).unify().boxed()
}

async fn open(app: Arc<App>, caller: Caller, key: Option<String>, body: Bytes) -> Result<Response, Problem> {
    once(&app, &caller, key, &[b"contracts", &body], async { Ok(contracts::open(&app, &caller, parse(&body)?).await?) })
        .await
}

/// `POST /v1/contracts/{subject}/{what}`
async fn act(
    app: Arc<App>, caller: Caller, key: Option<String>, wait: Wait, body: Bytes, id: &str, what: &str,
) -> Result<Response, Problem> {
    if what == "certificates" {
        return super::certificates::issue(app, caller, key, id, wait).await;
    }
    if !matches!(what, "fix" | "signatures" | "decline" | "amendments" | "fulfilments" | "disputes" | "print-copies") {
        return Err(Problem::not_found("没有此地址", "no such address"));
    }
    let contract = subject(id)?;
    once(&app, &caller, key, &[b"contracts", id.as_bytes(), what.as_bytes(), &body], async {
        let row = access::contract(&app, &caller, &contract).await?;
        Ok(match what {
            "fix" => contracts::fix(&app, &caller, row).await?,
            "signatures" => signing::prepare(&app, &caller, row, parse(&body)?).await?,
            "decline" => contracts::decline(&app, &caller, row, parse(&body)?).await?,
            "print-copies" => print_copies::make(&app, &caller, row, parse(&body)?).await?,
            "disputes" => contracts::dispute(&app, &caller, row, parse(&body)?).await?,
            "amendments" => contracts::amend(&app, &caller, row, parse(&body)?).await?,
            _ => contracts::fulfil(&app, &caller, row, parse(&body)?).await?,
        })
    })
    .await
}

async fn show(app: Arc<App>, caller: &Caller, id: &str) -> Result<Response, Problem> {
    let row = access::contract(&app, caller, &subject(id)?).await?;
    Ok(ok(&contracts::view(&app, &row).await?))
}

/// `GET /v1/contracts/{subject}/{document|proof|events}`
async fn part(app: Arc<App>, caller: &Caller, id: &str, what: &str) -> Result<Response, Problem> {
    let row = access::contract(&app, caller, &subject(id)?).await?;
    match what {
        "document" => {
            let latest = row.final_document.as_ref().or(row.current_revision.as_ref()).unwrap_or(&row.document);
            let document = documents::get(&app, latest).await?;
            let bytes = documents::bytes(&app, &document).await?;
            let name = format!("{}-{}.pdf", row.title, row.number);
            Ok(file("application/pdf", Some(&name), Some(document.sha256), bytes))
        }
        "proof" => {
            let verified = proofs::of_contract(&app, &row, &[]).await?;
            let name = format!("{}-{}.qzproof", row.title, row.number);
            Ok(file("application/cbor", Some(&name), None, verified.bytes))
        }
        "archive" => {
            let (document, bytes) = archive::file(&app, &row).await?;
            Ok(file("application/pdf", document.file_name.as_deref(), Some(document.sha256), bytes))
        }
        "print-copies" => Ok(ok(&print_copies::log(&app, &row).await?)),
        "seal-signatures" => Ok(ok(&seal_data::signatures::list(&app, &row).await?)),
        "events" => Ok(ok(&court::events(&app, &row).await?)),
        _ => Err(Problem::not_found("没有此地址", "no such address")),
    }
}

async fn copy(app: Arc<App>, caller: &Caller, id: &str, number: u64) -> Result<Response, Problem> {
    let row = access::contract(&app, caller, &subject(id)?).await?;
    let (document, bytes) = print_copies::file(&app, &row, number).await?;
    Ok(file("application/pdf", document.file_name.as_deref(), Some(document.sha256), bytes))
}

async fn seal_signature(app: Arc<App>, caller: &Caller, id: &str, slot: u64) -> Result<Response, Problem> {
    let row = access::contract(&app, caller, &subject(id)?).await?;
    let name = format!("{}-{}-{slot}.ses", row.title, row.number);
    let bytes = seal_data::signatures::file(&app, &row, slot).await?;
    Ok(file("application/octet-stream", Some(&name), None, bytes))
}
