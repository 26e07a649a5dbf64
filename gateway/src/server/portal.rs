//! The public portal: static files that verify in the visitor's browser, and the pinned genesis.
//! It has no keys and knows no contracts; nothing that a visitor drops on it is sent anywhere.

use rust_embed::RustEmbed;
use std::sync::Arc;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use warp::reply::Response;

/// `gateway/web/dist`, built by `make web`; the folder is empty when it was not built.
#[derive(RustEmbed)]
#[folder = "web/dist/"]
struct Files;

/// Same as the portal's own tests use.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; worker-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const NOT_BUILT: &str = "<!doctype html><meta charset=\"utf-8\"><title>契证 Qizheng</title>\
    <p>校验页面尚未构建：请运行 <code>make web</code> 后重新构建 qz-gateway。</p>\
    <p>The portal has not been built: run <code>make web</code>, then build qz-gateway again.</p>";

/// `/`, `/verify`, `/assets/*`, `/icon.svg`, `/qz_verify.wasm`, `/portal/genesis.qz`.
pub fn routes(genesis: Arc<Vec<u8>>) -> BoxedFilter<(Response,)> {
    let page = warp::path::end().or(warp::path!("verify")).unify().map(|| file("index.html"));
    let asset = warp::path("assets").and(warp::path::tail()).map(|tail: warp::path::Tail| {
        // The embedded names are exact; a name with `..` is simply not one of them.
        file(&format!("assets/{}", tail.as_str()))
    });
    let icon = warp::path!("icon.svg").map(|| file("icon.svg"));
    let wasm = warp::path!("qz_verify.wasm").map(|| file("qz_verify.wasm"));
    let genesis = warp::path!("portal" / "genesis.qz")
        .map(move || answer("application/octet-stream", "no-cache", genesis.as_ref().clone()));
    warp::get()
        .or(warp::head())
        .unify()
        .and(page.or(asset).unify().or(icon).unify().or(wasm).unify().or(genesis).unify())
        .boxed()
}

/// An embedded file.
pub(super) fn file(name: &str) -> Response {
    match Files::get(name) {
        Some(found) => {
            let hashed = name.starts_with("assets/");
            let cache = if hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
            answer(media_type(name), cache, found.data.into_owned())
        }
        None if matches!(name, "index.html" | "organisation.html") => {
            answer("text/html; charset=utf-8", "no-store", NOT_BUILT.into())
        }
        None => {
            let mut response = Response::new("not found".into());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

fn answer(media_type: &'static str, cache: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(bytes.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
