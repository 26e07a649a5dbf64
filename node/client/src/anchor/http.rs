//! HTTP to outside services. What they answer is signed, so the transport need not be trusted, but an `https`
//! address is checked all the same: against the machine's own roots, or against a file of the operator's. A
//! redirect is not followed and no answer is read beyond its cap.

use reqwest::StatusCode;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;
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

/// Why a file of roots cannot be used.
#[derive(Debug, Error)]
#[error("{path}: {reason}")]
pub struct RootsError {
    path: String,
    reason: String,
}

/// Who may have issued the TLS certificate of an `https` address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HttpsRoots {
    /// The machine's root store (`SSL_CERT_FILE`, `/etc/ssl/certs` …).
    #[default]
    System,
    /// These authorities and no others.
    Only(Arc<Vec<CertificateDer<'static>>>),
}

impl HttpsRoots {
    /// The certificates of a PEM file, at least one.
    pub fn from_pem_file(path: &Path) -> Result<Self, RootsError> {
        let failed = |reason: String| RootsError { path: path.display().to_string(), reason };
        let read = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
        let roots = read.collect::<Result<Vec<_>, _>>().map_err(|error| failed(error.to_string()))?;
        if roots.is_empty() {
            return Err(failed("no PEM certificate in it".to_owned()));
        }
        Ok(Self::Only(Arc::new(roots)))
    }

    /// What rustls is given; nothing for `http`, so that no certificate is believed unchecked.
    fn store(&self, url: &str) -> Result<RootCertStore, String> {
        let mut store = RootCertStore::empty();
        if !url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://")) {
            return Ok(store);
        }
        match self {
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
                match found.errors.first() {
                    Some(error) if store.is_empty() => Err(format!("the machine's root certificates: {error}")),
                    _ if store.is_empty() => Err("this machine has no root certificates (ca-certificates)".to_owned()),
                    _ => Ok(store),
                }
            }
            Self::Only(roots) => {
                for root in roots.iter() {
                    store.add(root.clone()).map_err(|error| error.to_string())?;
                }
                Ok(store)
            }
        }
    }
}

/// An answer.
pub(super) struct Answer {
    pub status: StatusCode,
    pub content_type: String,
    pub body: Vec<u8>,
}

/// Sends a request (`body` with its content type: a POST) and reads the answer up to `limit` bytes.
pub(super) async fn exchange(
    url: &str, roots: &HttpsRoots, body: Option<(&str, Vec<u8>)>, limit: usize,
) -> Result<Answer, HttpError> {
    let unreachable = |error: reqwest::Error| HttpError::Unreachable {
        url: url.to_owned(),
        reason: crate::transport::failure(error).to_string(),
    };
    let client = client(url, roots).map_err(|reason| HttpError::Unreachable { url: url.to_owned(), reason })?;
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

fn client(url: &str, roots: &HttpsRoots) -> Result<reqwest::Client, String> {
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots.store(url)?)
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
