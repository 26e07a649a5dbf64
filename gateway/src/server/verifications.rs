//! `POST /v1/verifications`: any PDF in, what is to be said of its signatures out. Nothing is kept.

use super::problem::Problem;
use super::request::{Caller, body, caller};
use super::{Routes, detached, ok};
use crate::app::App;
use crate::verifications;
use bytes::Bytes;
use qz_evidence_pdf::MAX_PDF_BYTES;
use std::sync::Arc;
use warp::Filter;
use warp::http::StatusCode;
use warp::reply::Response;

pub fn routes(app: &Arc<App>) -> Routes {
    warp::path!("v1" / "verifications")
        .and(warp::post())
        .and(caller(app))
        .and(body(MAX_PDF_BYTES))
        .then(async |app, caller, body| detached(verify(app, caller, body)).await)
        .boxed()
}

async fn verify(app: Arc<App>, _: Caller, body: Bytes) -> Result<Response, Problem> {
    if !body.starts_with(b"%PDF-") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "pdf.not_pdf",
            "请提交 PDF 文件",
            "give a PDF file",
        ));
    }
    Ok(ok(&verifications::verify(&app, body.to_vec()).await?))
}
