//! TLS of one node: trust exactly one authority, show our own certificate.

use crate::config::ConfigError;
use qz_evidence::genesis::Organisation;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// Trusts only the authority of `server`; TLS 1.2 and 1.3 by `ring`.
pub(crate) fn client_config(
    server: &Organisation, certificate_pem: &[u8], key_pem: &[u8],
) -> Result<rustls::ClientConfig, ConfigError> {
    let tls = |what: &str, reason: String| ConfigError::Tls(format!("{what}: {reason}"));
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(server.tls_ca.to_vec()))
        .map_err(|error| tls(&format!("the authority of organisation {}", server.id), error.to_string()))?;
    let chain = CertificateDer::pem_slice_iter(certificate_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| tls("the client certificate", error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|error| tls("the client key", error.to_string()))?;
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| tls("protocol versions", error.to_string()))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| tls("the client certificate", error.to_string()))
}
