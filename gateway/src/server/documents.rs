//! `/v1/documents`

use super::idempotency::{Outcome, once};
use super::problem::Problem;
use super::request::{Caller, body, caller, json_body, parse};
use super::{Routes, detached, file, respond};
use crate::app::App;
use crate::change::Change;
use crate::clock::now_ms;
use crate::{access, documents};
use bytes::Bytes;
use qz_document::inspect::MAX_BYTES;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;
use warp::Filter;
use warp::http::StatusCode;
use warp::reply::Response;

/// Longest file name.
const MAX_NAME_CHARS: usize = 200;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    template: String,
    #[schema(value_type = Object)]
    data: Value,
}

pub fn routes(app: &Arc<App>) -> Routes {
    let key = || warp::header::optional::<String>("idempotency-key");
    let upload = warp::path!("v1" / "documents")
        .and(warp::post())
        .and(caller(app))
        .and(key())
        .and(warp::header::optional::<String>("content-type"))
        .and(warp::header::optional::<String>("x-file-name"))
        .and(body(MAX_BYTES))
        .then(async |app, caller, key, media_type, name, body| {
            detached(upload(app, caller, key, media_type, name, body)).await
        });
    let render = warp::path!("v1" / "documents" / "render")
        .and(warp::post())
        .and(caller(app))
        .and(key())
        .and(json_body())
        .then(async |app, caller, key, body| detached(render(app, caller, key, body)).await);
    let show = warp::path!("v1" / "documents" / String)
        .and(warp::get())
        .and(caller(app))
        .then(async |id: String, app, caller| respond(show(app, &caller, &id).await));
    upload.or(render).unify().or(show).unify().boxed()
}

async fn upload(
    app: Arc<App>, caller: Caller, key: Option<String>, media_type: Option<String>, name: Option<String>, body: Bytes,
) -> Result<Response, Problem> {
    let media_type = media_type.unwrap_or_default();
    if media_type.split(';').next().map(str::trim) != Some("application/pdf") {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "pdf.not_pdf",
            "请以 application/pdf 上传 PDF 文件",
            "upload a PDF file as application/pdf",
        ));
    }
    let name = name.map(|name| file_name(&name));
    let named = name.clone().unwrap_or_default();
    once(&app, &caller, key, &[b"documents", named.as_bytes(), &body], async {
        let (document, warnings) = documents::store_upload(&app, body.to_vec(), name).await?;
        Ok(outcome(&caller, document, "document.uploaded", ("warnings", json!(warnings))))
    })
    .await
}

/// The last part of the name, percent-decoded (headers are ASCII), without control characters.
fn file_name(header: &str) -> String {
    let bytes = header.as_bytes();
    let mut decoded = vec![];
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match digits.filter(|_| *byte == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    let text = String::from_utf8_lossy(&decoded).into_owned();
    let last = text.rsplit(['/', '\\']).next().unwrap_or_default();
    last.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect()
}

async fn render(app: Arc<App>, caller: Caller, key: Option<String>, body: Bytes) -> Result<Response, Problem> {
    once(&app, &caller, key, &[b"documents/render", &body], async {
        let Template { template, data } = parse(&body)?;
        let rendered = documents::render_template(&template, data).await?;
        let anchors = ("anchors", json!(rendered.anchors));
        let mut document = documents::store_pdf(&app, rendered.pdf, Some(format!("{template}.pdf"))).await?;
        document.template = Some(template);
        Ok(outcome(&caller, document, "document.rendered", anchors))
    })
    .await
}

fn outcome(
    caller: &Caller, document: qz_storage::documents::Document, action: &str, (name, more): (&str, Value),
) -> Outcome {
    let mut body = documents::view(&document);
    body[name] = more;
    let digest = hex::encode(document.sha256);
    let line = caller.audit(now_ms(), action, Some(document.id.as_str()), &digest);
    Outcome::created(body, Change { documents: vec![document], audit: vec![line], ..Change::default() })
}

async fn show(app: Arc<App>, caller: &Caller, id: &str) -> Result<Response, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("没有此文件", "no such document"))?;
    let document = access::document(&app, caller, &id).await?;
    let bytes = documents::bytes(&app, &document).await?;
    let media_type = if bytes.starts_with(b"%PDF-") { "application/pdf" } else { "application/octet-stream" };
    Ok(file(media_type, document.file_name.as_deref(), Some(document.sha256), bytes))
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn names_are_tamed() {
        for (given, kept) in [
            ("contract.pdf", "contract.pdf"),
            ("%E5%90%88%E5%90%8C.pdf", "合同.pdf"),
            ("../../etc/passwd", "passwd"),
            ("a%0Ab%2", "ab%2"),
            ("C:\\x\\y.pdf", "y.pdf"),
        ] {
            assert_eq!(file_name(given), kept);
        }
    }
}
