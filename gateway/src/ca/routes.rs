//! The CA over HTTP: revocation lists, certificates, OCSP (RFC 6960 appendix A). Every answer is made from the
//! register as it stands in the folder, so that a revocation by the command line counts at once.

use super::{Ca, DAY_MS, KEYS, SKEW_MS};
use crate::clock::{now_ms, signed};
use crate::key_files::KeyFiles;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use qz_document::ca::ocsp;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use warp::http::StatusCode;
use warp::reply::Response;
use warp::{Filter, Reply};

/// Media types (RFC 6960 appendix A.1; RFC 2585).
const REQUEST_TYPE: &str = "application/ocsp-request";
const RESPONSE_TYPE: &str = "application/ocsp-response";
const LIST_TYPE: &str = "application/pkix-crl";
const CERTIFICATE_TYPE: &str = "application/pkix-cert";
/// Largest request.
const MAX_REQUEST_BYTES: u64 = 8192;

/// Its folder, with the passphrase of its keys once they were read.
struct Home {
    path: PathBuf,
    keys: KeyFiles,
}

/// Where it listens, and its routes.
pub fn open(
    home: &Path,
) -> anyhow::Result<(SocketAddr, impl Filter<Extract = (Response,), Error = Infallible> + Clone + Send + Sync + use<>)>
{
    // A damaged folder is refused now.
    let keys = KeyFiles::open(home);
    keys.warn_of_plain(&KEYS, "qz-gateway ca passwd")?;
    let listen = Ca::open(home, &keys)?.config.listen;
    let home = Arc::new(Home { path: home.to_owned(), keys });
    let with = warp::any().map(move || home.clone());
    let post = warp::path!("ocsp")
        .and(warp::post())
        .and(warp::header::exact_ignore_case("content-type", REQUEST_TYPE))
        .and(warp::body::content_length_limit(MAX_REQUEST_BYTES))
        .and(warp::body::bytes())
        .and(with.clone())
        .then(|body: Bytes, home| made(home, RESPONSE_TYPE, move |ca| answer(ca, &body)));
    let get = warp::path!("ocsp" / String).and(warp::get()).and(with.clone()).then(|text: String, home| async move {
        // RFC 6960 §A.1: the request in base64, percent-encoded.
        let text = text.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=");
        match BASE64.decode(text) {
            Ok(body) => made(home, RESPONSE_TYPE, move |ca| answer(ca, &body)).await,
            Err(_) => StatusCode::BAD_REQUEST.into_response(),
        }
    });
    let files = warp::path!(String).and(warp::get()).and(with).then(|name: String, home| async move {
        match name.as_str() {
            "issuing.crl" => made(home, LIST_TYPE, |ca| ca.issuing_list()).await,
            "root.crl" => made(home, LIST_TYPE, |ca| ca.root_list()).await,
            "issuing.crt" => made(home, CERTIFICATE_TYPE, |ca| Ok(ca.authority.certificate_der().to_vec())).await,
            "root.crt" => made(home, CERTIFICATE_TYPE, |ca| Ok(ca.root_der.clone())).await,
            "health" => StatusCode::OK.into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    });
    let routes = post
        .or(get)
        .unify()
        .or(files)
        .unify()
        .recover(|_| async { Ok::<_, Infallible>(StatusCode::BAD_REQUEST.into_response()) })
        .unify();
    Ok((listen, routes))
}

fn answer(ca: &Ca, request: &[u8]) -> anyhow::Result<Vec<u8>> {
    let now = now_ms();
    let times = (signed(now - SKEW_MS), signed(now + DAY_MS));
    let authority = &ca.authority;
    let status = |serial: &[u8]| ca.register.status(serial);
    Ok(ocsp::answer(request, authority.key(), authority.certificate_der(), times, status)?)
}

async fn made(
    home: Arc<Home>, media_type: &'static str, work: impl FnOnce(&Ca) -> anyhow::Result<Vec<u8>> + Send + 'static,
) -> Response {
    match tokio::task::spawn_blocking(move || work(&Ca::open(&home.path, &home.keys)?)).await {
        Ok(Ok(bytes)) => warp::reply::with_header(bytes, "content-type", media_type).into_response(),
        failed => {
            tracing::error!(?failed, "the CA cannot answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
