//! `/v1/seals`

use super::idempotency::once;
use super::problem::Problem;
use super::request::{Caller, caller, json_body, parse, subject};
use super::{Routes, detached, file, ok, respond};
use crate::app::App;
use crate::{access, documents, seal_data, seal_report, seals};
use bytes::Bytes;
use qz_domain::compose::SealDecision;
use std::sync::Arc;
use warp::Filter;
use warp::reply::Response;

pub fn routes(app: &Arc<App>) -> Routes {
    let key = || warp::header::optional::<String>("idempotency-key");
    let make = warp::path!("v1" / "seals")
        .and(warp::post())
        .and(caller(app))
        .and(key())
        .and(json_body())
        .then(async |app, caller, key, body| detached(make(app, caller, key, body)).await);
    let change = warp::path!("v1" / "seals" / String / String)
        .and(warp::post())
        .and(caller(app))
        .and(key())
        .and(json_body())
        .then(async |id: String, what: String, app, caller, key, body| {
            detached(async move { change(app, caller, key, body, &id, &what).await }).await
        });
    let show = warp::path!("v1" / "seals" / String)
        .and(warp::get())
        .and(caller(app))
        .then(async |id: String, app, caller| respond(show(app, &caller, &id).await));
    let part = warp::path!("v1" / "seals" / String / String)
        .and(warp::get())
        .and(caller(app))
        .then(async |id: String, what: String, app, caller| respond(part(app, &caller, &id, &what).await));
    make.or(change).unify().or(show).unify().or(part).unify().boxed()
}

async fn make(app: Arc<App>, caller: Caller, key: Option<String>, body: Bytes) -> Result<Response, Problem> {
    once(&app, &caller, key, &[b"seals", &body], async { Ok(seals::make(&app, &caller, parse(&body)?).await?) }).await
}

async fn change(
    app: Arc<App>, caller: Caller, key: Option<String>, body: Bytes, id: &str, what: &str,
) -> Result<Response, Problem> {
    let seal = subject(id)?;
    let decision = match what {
        "suspend" => Some(SealDecision::Suspend),
        "resume" => Some(SealDecision::Resume),
        "destroy" => Some(SealDecision::Destroy),
        "authorisations" => None,
        _ => return Err(Problem::not_found("没有此地址", "no such address")),
    };
    once(&app, &caller, key, &[b"seals", id.as_bytes(), what.as_bytes(), &body], async {
        access::seal(&app, &caller, &seal).await?;
        Ok(match decision {
            Some(decision) => seals::decide(&app, &caller, seal, decision, parse(&body)?).await?,
            None => seals::authorise(&app, &caller, seal, parse(&body)?).await?,
        })
    })
    .await
}

async fn show(app: Arc<App>, caller: &Caller, id: &str) -> Result<Response, Problem> {
    access::seal(&app, caller, &subject(id)?).await?;
    Ok(ok(&seals::show(&app, &subject(id)?).await?))
}

async fn part(app: Arc<App>, caller: &Caller, id: &str, what: &str) -> Result<Response, Problem> {
    access::seal(&app, caller, &subject(id)?).await?;
    let seal = qz_storage::seals::get(&app.storage, &subject(id)?.0.0).await?;
    match what {
        "imprint" => {
            let document = documents::get(&app, &seal.imprint).await?;
            let bytes = documents::bytes(&app, &document).await?;
            Ok(file("application/pdf", document.file_name.as_deref(), Some(document.sha256), bytes))
        }
        "esl" => {
            let data = seal_data::of(&app, &seal).await?;
            let name = format!("{}-{}.esl", seal.company_name, seal.name);
            Ok(file("application/octet-stream", Some(&name), None, data.esl))
        }
        "report" => {
            let report = seal_report::make(&app, &seal, &subject(id)?).await?;
            let name = format!("用印报告-{}-{}.pdf", seal.company_name, seal.name);
            Ok(file("application/pdf", Some(&name), None, report))
        }
        "certificate" => Ok(file("application/pkix-cert", None, None, seal.certificate_der)),
        _ => Err(Problem::not_found("没有此地址", "no such address")),
    }
}
