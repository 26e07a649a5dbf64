//! Mutual TLS of the RPC. A caller is the organisation whose certificate authority its certificate
//! chains to; names inside the certificate are not looked at, because any authority can write any.

use std::sync::Arc;

use qz_evidence::OrgId;
use qz_evidence::genesis::Genesis;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

/// TLS material is unusable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// Own certificate or key.
    #[error("the server certificate or key cannot be read: {0}")]
    Identity(String),
    /// An organisation's certificate authority in the genesis.
    #[error("the TLS authority of {organisation} in the genesis cannot be used: {reason}")]
    Authority { organisation: OrgId, reason: String },
    /// rustls refuses the combination.
    #[error("TLS configuration")]
    Config(#[from] rustls::Error),
}

/// Server configuration, and the means to name callers.
#[derive(Clone, Debug)]
pub(crate) struct MutualTls {
    /// For the acceptor.
    pub config: Arc<ServerConfig>,
    members: Arc<Vec<(OrgId, Arc<dyn ClientCertVerifier>)>>,
}

impl MutualTls {
    /// Accepts clients of any organisation of the genesis, and serves with this PEM identity.
    pub(crate) fn new(genesis: &Genesis, certificate_pem: &[u8], key_pem: &[u8]) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let identity = |error: rustls::pki_types::pem::Error| TlsError::Identity(error.to_string());
        let chain = CertificateDer::pem_slice_iter(certificate_pem).collect::<Result<Vec<_>, _>>().map_err(identity)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(identity)?;

        let mut everybody = RootCertStore::empty();
        let mut members = Vec::new();
        for organisation in genesis.organisations() {
            let authority = CertificateDer::from(organisation.tls_ca.to_vec());
            let refused = |reason: String| TlsError::Authority { organisation: organisation.id.clone(), reason };
            let mut own = RootCertStore::empty();
            own.add(authority.clone()).map_err(|error| refused(error.to_string()))?;
            everybody.add(authority).map_err(|error| refused(error.to_string()))?;
            let verifier = client_verifier(own, &provider).map_err(refused)?;
            members.push((organisation.id.clone(), verifier));
        }
        let verifier = client_verifier(everybody, &provider).map_err(TlsError::Identity)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), members: Arc::new(members) })
    }

    /// The organisation whose authority issued this certificate, which the handshake has accepted.
    pub(crate) fn organisation(&self, peer: &[CertificateDer<'_>]) -> Option<OrgId> {
        let (leaf, intermediates) = peer.split_first()?;
        let now = UnixTime::now();
        self.members
            .iter()
            .find(|(_, verifier)| verifier.verify_client_cert(leaf, intermediates, now).is_ok())
            .map(|(organisation, _)| organisation.clone())
    }
}

fn client_verifier(
    roots: RootCertStore, provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| error.to_string())
}
