//! `/v1/imprints`

use super::idempotency::{Outcome, once};
use super::problem::Problem;
use super::request::{Caller, body, caller, parse};
use super::{Routes, detached, file, respond};
use crate::app::App;
use crate::change::Change;
use crate::clock::now_ms;
use crate::imprints;
use bytes::Bytes;
use qz_document::seal::{Imprint, MAX_UPLOAD_BYTES};
use serde::Deserialize;
use std::sync::Arc;
use warp::Filter;
use warp::http::StatusCode;
use warp::reply::Response;

/// `?width_mm=40`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Width {
    width_mm: Option<f64>,
}

pub fn routes(app: &Arc<App>) -> Routes {
    let media_type = || warp::header::optional::<String>("content-type");
    let make = warp::path!("v1" / "imprints")
        .and(warp::post())
        .and(caller(app))
        .and(warp::header::optional::<String>("idempotency-key"))
        .and(media_type())
        .and(warp::query())
        .and(body(MAX_UPLOAD_BYTES))
        .then(async |app, caller, key, media_type, width, body| {
            detached(make(app, caller, key, media_type, width, body)).await
        });
    let preview = warp::path!("v1" / "imprints" / "preview")
        .and(warp::post())
        .and(caller(app))
        .and(media_type())
        .and(warp::query())
        .and(body(MAX_UPLOAD_BYTES))
        .then(async |_, _, media_type, width, body| respond(preview(media_type, width, body).await));
    make.or(preview).unify().boxed()
}

/// A form as JSON, or a picture with its width.
async fn imprint(media_type: Option<String>, width: Width, body: &Bytes) -> Result<Imprint, Problem> {
    let media_type = media_type.unwrap_or_default();
    match (media_type.split(';').next().map(str::trim).unwrap_or_default(), width.width_mm) {
        ("application/json", None) => Ok(imprints::drawn(parse(body)?).await?),
        ("image/png" | "image/jpeg" | "image/svg+xml", Some(width)) => {
            Ok(imprints::uploaded(body.to_vec(), width).await?)
        }
        ("image/png" | "image/jpeg" | "image/svg+xml", None) => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "imprint.width",
            "请以 width_mm 给出印模的实际宽度（毫米）",
            "give the true width of the imprint in millimetres as width_mm",
        )),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "imprint.media_type",
            "请提交印模样式（application/json）或上传 image/png、image/jpeg、image/svg+xml",
            "send a form as application/json, or upload image/png, image/jpeg or image/svg+xml",
        )),
    }
}

async fn preview(media_type: Option<String>, width: Width, body: Bytes) -> Result<Response, Problem> {
    let imprint = imprint(media_type, width, &body).await?;
    Ok(file("application/pdf", None, None, imprint.pdf))
}

async fn make(
    app: Arc<App>, caller: Caller, key: Option<String>, media_type: Option<String>, width: Width, body: Bytes,
) -> Result<Response, Problem> {
    let kind = format!("{} {:?}", media_type.as_deref().unwrap_or_default(), width.width_mm);
    once(&app, &caller, key, &[b"imprints", kind.as_bytes(), &body], async {
        let document = imprints::store(&app, imprint(media_type, width, &body).await?).await?;
        let view = imprints::view(&document)?;
        let digest = hex::encode(document.sha256);
        let line = caller.audit(now_ms(), "imprint.made", Some(document.id.as_str()), &digest);
        Ok(Outcome::created(view, Change { documents: vec![document], audit: vec![line], ..Change::default() }))
    })
    .await
}
