//! The public portal's routes: pages that verify in the visitor's browser, the pinned genesis and trust
//! inputs, state proofs, and look-up by number. All are `GET` without a body: nothing that a visitor
//! verifies is ever sent here, and no route would take it.

use super::connections::Peer;
use super::problem::Problem;
use super::request::subject;
use super::{ok, respond};
use crate::portal::limits::Limited;
use crate::portal::{Portal, verifier};
use rust_embed::RustEmbed;
use std::sync::Arc;
use std::time::Duration;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::http::StatusCode;
use warp::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName, HeaderValue};
use warp::reject::Rejection;
use warp::reply::Response;

/// `gateway/web/dist`, built by `make web`; the folder is empty when it was not built.
#[derive(RustEmbed)]
#[folder = "web/dist/"]
struct Files;

/// Same as the portal's own tests use.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; worker-src 'self'; \
    manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const NOT_BUILT: &str = "<!doctype html><meta charset=\"utf-8\"><title>契证 Qizheng</title>\
    <p>校验页面尚未构建：请运行 <code>make web</code> 后重新构建 qz-gateway。</p>\
    <p>The portal has not been built: run <code>make web</code>, then build qz-gateway again.</p>";

/// Files at the root that the page and its service worker need, by their exact names.
const ROOT_FILES: [&str; 7] = [
    "icon.svg",
    "icon-192.png",
    "icon-512.png",
    "icon-maskable-512.png",
    "manifest.webmanifest",
    "qz_verify.wasm",
    "sw.js",
];
/// Longest number that is looked up.
const MAX_NUMBER_CHARS: usize = 64;

/// Everything public.
pub fn routes(portal: &Arc<Portal>) -> BoxedFilter<(Response,)> {
    let page = warp::path::end().or(warp::path!("verify")).unify().map(|| file("index.html"));
    let asset = warp::path("assets").and(warp::path::tail()).map(|tail: warp::path::Tail| {
        // The embedded names are exact; a name with `..` is simply not one of them.
        file(&format!("assets/{}", tail.as_str()))
    });
    let root = warp::path::param::<String>().and(warp::path::end()).and_then(root_file);
    let genesis = portal.genesis().bytes().to_vec();
    let genesis = warp::path!("portal" / "genesis.qz")
        .map(move || answer("application/octet-stream", "no-cache", genesis.clone()));
    let site = portal.site();
    let site = warp::path!("portal" / "site.json").map(move || no_store(ok(&site)));
    let files = page.or(asset).unify().or(genesis).unify().or(site).unify().or(download(portal)).unify();
    warp::get()
        .or(warp::head())
        .unify()
        .and(files.or(state_proof(portal)).unify().or(look_up(portal)).unify().or(root).unify())
        .boxed()
}

async fn root_file(name: String) -> Result<Response, Rejection> {
    if ROOT_FILES.contains(&name.as_str()) { Ok(file(&name)) } else { Err(warp::reject::not_found()) }
}

/// Lets a visitor pass who has not asked too often.
fn limited(portal: &Arc<Portal>, what: Limited) -> BoxedFilter<(Arc<Portal>,)> {
    let portal = portal.clone();
    warp::any()
        .and(warp::ext::optional::<Peer>())
        .and(warp::header::optional::<String>("x-forwarded-for"))
        .and_then(move |peer: Option<Peer>, forwarded: Option<String>| {
            let portal = portal.clone();
            async move {
                let visitor = portal.limits.visitor(peer, forwarded.as_deref());
                match portal.limits.check(what, visitor) {
                    Ok(()) => Ok(portal),
                    Err(wait) => Err(warp::reject::custom(too_often(wait))),
                }
            }
        })
        .boxed()
}

fn too_often(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + 1;
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "rate.limited",
        format!("请求过于频繁，请 {seconds} 秒后再试"),
        format!("too many requests; try again in {seconds} s"),
    )
    .with("retry_after_s", seconds)
}

/// `GET /verifier.html`
fn download(portal: &Arc<Portal>) -> BoxedFilter<(Response,)> {
    let template = Files::get("verifier.html").and_then(|found| String::from_utf8(found.data.into_owned()).ok());
    let page = template.and_then(|template| verifier::filled(&template, portal)).map(String::into_bytes);
    let page = Arc::new(page);
    let sha256 = page.as_ref().as_ref().map(|page| hex::encode(qz_evidence::hash::sha256(&[page]).0));
    warp::path!("verifier.html")
        .and(limited(portal, Limited::Download))
        .map(move |_| match (page.as_ref(), &sha256) {
            (Some(page), Some(sha256)) => {
                let mut response = answer("text/html; charset=utf-8", "no-cache", page.clone());
                let headers = response.headers_mut();
                // Kept as a file: served from here it would be a page of this site.
                headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"verifier.html\""));
                if let Ok(value) = HeaderValue::from_str(sha256) {
                    headers.insert(HeaderName::from_static("x-sha256"), value);
                }
                response
            }
            _ => absent(),
        })
        .boxed()
}

/// `GET /api/subjects/{id}/proof`
fn state_proof(portal: &Arc<Portal>) -> BoxedFilter<(Response,)> {
    warp::path!("api" / "subjects" / String / "proof")
        .and(limited(portal, Limited::Proof))
        .then(async |id: String, portal: Arc<Portal>| {
            respond(
                async {
                    let bytes = portal.state_proof(&subject(&id)?).await?;
                    Ok(answer("application/cbor", "no-store", bytes))
                }
                .await,
            )
        })
        .boxed()
}

/// `GET /api/certificates/{number}`
fn look_up(portal: &Arc<Portal>) -> BoxedFilter<(Response,)> {
    warp::path!("api" / "certificates" / String)
        .and(limited(portal, Limited::LookUp))
        .then(async |number: String, portal: Arc<Portal>| {
            respond(
                async {
                    if number.len() > MAX_NUMBER_CHARS {
                        return Err(Problem::not_found("编号过长", "that is no number"));
                    }
                    Ok(no_store(ok(&portal.look_up(&number).await?)))
                }
                .await,
            )
        })
        .boxed()
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
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
        None => absent(),
    }
}

fn absent() -> Response {
    let mut response = Response::new("not found".into());
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
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
        Some("png") => "image/png",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}
