//! The HTTP server: `/v1/…` for members' systems, the public portal beside it.
//!
//! Handlers are thin: parse, authenticate, call the service, answer. No SQL and no cryptography here.

mod authority;
mod certificates;
pub mod connections;
mod contracts;
mod documents;
mod idempotency;
mod imprints;
mod keys;
mod openapi;
mod operations;
mod organisation;
mod portal;
mod problem;
mod publication;
mod request;
mod retrievals;
mod seals;
mod status;
mod verifications;

pub use idempotency::Outcome;
pub use organisation::organisation_routes;
pub use request::{Caller, token_digest};

use crate::app::App;
use crate::portal::Portal;
use problem::Problem;
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::filters::path::FullPath;
use warp::http::StatusCode;
use warp::http::header::{
    CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use warp::reject::Rejection;
use warp::reply::Response;

/// What pages of this site never use.
const PERMISSIONS: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()";

/// The routes of one part of the API.
type Routes = BoxedFilter<(Response,)>;

/// Everything that `qz-gateway serve` serves.
pub fn routes(
    app: &Arc<App>, portal: Arc<Portal>,
) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + use<> {
    let api = status::routes(app)
        .or(openapi::routes())
        .unify()
        .or(keys::routes(app))
        .unify()
        .or(seals::routes(app))
        .unify()
        .or(imprints::routes(app))
        .unify()
        .or(documents::routes(app))
        .unify()
        .or(verifications::routes(app))
        .unify()
        .or(publication::routes(app))
        .unify()
        .or(contracts::routes(app))
        .unify()
        .or(operations::routes(app))
        .unify()
        .or(certificates::routes(app))
        .unify()
        .or(authority::routes(app))
        .unify()
        .or(retrievals::routes(app))
        .unify()
        .boxed();
    let app = app.clone();
    let begun = warp::any().map(Instant::now);
    let answered = move |begun: Instant, path: FullPath, response: Response| {
        app.metrics.answered(path.as_str(), response.status().as_u16(), begun.elapsed());
        response
    };
    begun.and(warp::path::full()).and(finished(api.or(portal::routes(&portal)).unify().boxed())).map(answered)
}

/// The portal alone: `qz-gateway portal`.
pub fn portal_routes(portal: Arc<Portal>) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + use<> {
    finished(portal::routes(&portal).or(status::health()).unify().boxed())
}

/// With problem details for whatever was refused, and the headers that every answer carries.
fn finished(routes: Routes) -> impl Filter<Extract = (Response,), Error = Infallible> + Clone + use<> {
    let recover = async |rejection: Rejection| Ok::<_, Infallible>(problem::recover(&rejection).into_response());
    routes.recover(recover).unify().map(with_security_headers)
}

fn with_security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, portal::CONTENT_SECURITY_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Runs a handler to its end even if the client goes away: what it began (an idempotency key, a prepared
/// revision) is finished, and the same request again gets the answer.
async fn detached(handler: impl Future<Output = Result<Response, Problem>> + Send + 'static) -> Response {
    match tokio::spawn(handler).await {
        Ok(outcome) => respond(outcome),
        Err(error) => {
            tracing::error!(%error, "a handler ended abnormally");
            Problem::from(crate::error::ServiceError::Damaged("a handler ended abnormally".into())).into_response()
        }
    }
}

/// A handler's answer or problem as a response.
fn respond(outcome: Result<Response, Problem>) -> Response {
    outcome.unwrap_or_else(Problem::into_response)
}

/// 200 with JSON.
fn ok(body: &Value) -> Response {
    idempotency::json_bytes(StatusCode::OK, body.to_string().into_bytes())
}

/// A file, with its digest in `X-Sha256`.
fn file(media_type: &'static str, name: Option<&str>, sha256: Option<[u8; 32]>, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    if let Some(value) = sha256.and_then(|digest| HeaderValue::from_str(&hex::encode(digest)).ok()) {
        headers.insert(HeaderName::from_static("x-sha256"), value);
    }
    if let Some(value) = name.and_then(|name| HeaderValue::from_str(&disposition(name)).ok()) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}

/// RFC 6266 with the name percent-encoded as RFC 8187 says.
fn disposition(name: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    format!("inline; filename*=UTF-8''{}", name.bytes().map(encode).collect::<String>())
}
