//! Plain HTTP to outside services. What they answer is signed, so the transport need not be trusted; a
//! redirect is not followed and no answer is read beyond its cap.

use reqwest::StatusCode;
use rustls::RootCertStore;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HttpError {
    /// No connection, or it broke, or it took too long.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// Whom.
        url: String,
        /// Why.
        reason: String,
    },
    /// Larger than any honest answer.
    #[error("the answer of {url} is larger than {limit} bytes")]
    TooLarge {
        /// Whose.
        url: String,
        /// The cap.
        limit: usize,
    },
}

/// An answer.
pub(super) struct Answer {
    pub status: StatusCode,
    pub content_type: String,
    pub body: Vec<u8>,
}

/// Sends a request (`body` with its content type: a POST) and reads the answer up to `limit` bytes.
pub(super) async fn exchange(url: &str, body: Option<(&str, Vec<u8>)>, limit: usize) -> Result<Answer, HttpError> {
    let unreachable = |error: reqwest::Error| HttpError::Unreachable {
        url: url.to_owned(),
        reason: crate::transport::failure(error).to_string(),
    };
    let client = client().map_err(|reason| HttpError::Unreachable { url: url.to_owned(), reason })?;
    let request = match body {
        None => client.get(url),
        Some((content_type, bytes)) => client.post(url).header(reqwest::header::CONTENT_TYPE, content_type).body(bytes),
    };
    let mut response = request.send().await.map_err(unreachable)?;
    let header = response.headers().get(reqwest::header::CONTENT_TYPE);
    let content_type = header.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let status = response.status();
    let mut bytes = vec![];
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if bytes.len() + chunk.len() > limit {
            return Err(HttpError::TooLarge { url: url.to_owned(), limit });
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Answer { status, content_type, body: bytes })
}

/// Without roots, so that an `https` address fails instead of being believed without a check.
fn client() -> Result<reqwest::Client, String> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| error.to_string())
}
