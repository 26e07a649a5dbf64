//! Mutual TLS of the RPC. A caller is the active organisation whose certificate authority its certificate
//! chains to; names inside the certificate are not looked at, because any authority can write any.
//!
//! Whom to trust follows the ledger: an organisation that governance removes is refused from the next
//! handshake on, and its open connections end.

use std::fmt;
use std::sync::Arc;

use qz_evidence::OrgId;
use qz_evidence::genesis::Organisation;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};
use tokio::sync::watch;

/// TLS material is unusable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// Own certificate or key.
    #[error("the server certificate or key cannot be read: {0}")]
    Identity(String),
    /// rustls refuses the combination.
    #[error("TLS configuration")]
    Config(#[from] rustls::Error),
}

/// Server configuration, and the means to name callers.
#[derive(Clone, Debug)]
pub(crate) struct MutualTls {
    /// For the acceptor.
    pub config: Arc<ServerConfig>,
    trust: Arc<Trust>,
}

/// Whom this node trusts at the moment.
struct Trust {
    provider: Arc<CryptoProvider>,
    /// The organisation of this node, which may always ask it, even when it is no member any more.
    own: Authority,
    members: watch::Sender<Arc<Vec<Authority>>>,
}

/// An organisation's certificate authority.
#[derive(Clone)]
struct Authority {
    organisation: OrgId,
    der: Vec<u8>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl MutualTls {
    /// Serves with this PEM identity the clients of this node's own organisation; [`MutualTls::trust`]
    /// adds the members.
    pub(crate) fn new(own: &Organisation, certificate_pem: &[u8], key_pem: &[u8]) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let identity = |error: rustls::pki_types::pem::Error| TlsError::Identity(error.to_string());
        let chain = CertificateDer::pem_slice_iter(certificate_pem).collect::<Result<Vec<_>, _>>().map_err(identity)?;
        let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(identity)?;
        let own = Authority::new(own, &provider).map_err(TlsError::Identity)?;
        let trust = Arc::new(Trust { provider: provider.clone(), own, members: watch::Sender::default() });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(trust.clone())
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), trust })
    }

    /// From now on these are the members. One whose authority is unusable cannot call; that is its loss.
    pub(crate) fn trust(&self, organisations: &[Organisation]) {
        let before = self.trust.members.borrow().clone();
        let mut members = Vec::with_capacity(organisations.len());
        for organisation in organisations {
            let kept = before.iter().find(|a| a.organisation == organisation.id && a.der == organisation.tls_ca[..]);
            match kept.cloned().map_or_else(|| Authority::new(organisation, &self.trust.provider), Ok) {
                Ok(authority) => members.push(authority),
                Err(reason) => tracing::error!(organisation = %organisation.id, reason, "unusable TLS authority"),
            }
        }
        self.trust.members.send_replace(Arc::new(members));
    }

    /// The organisation whose authority issued this certificate. To be asked after every handshake: a
    /// resumed session brings its certificate from earlier.
    pub(crate) fn organisation(&self, peer: &[CertificateDer<'_>]) -> Option<OrgId> {
        let (leaf, intermediates) = peer.split_first()?;
        self.trust.issuer(leaf, intermediates, UnixTime::now()).ok()
    }

    /// Resolves when this organisation's clients are not trusted any more, or its authority is another.
    pub(crate) async fn distrusts(&self, organisation: &OrgId) {
        let authority = |members: &[Authority]| {
            members.iter().find(|member| member.organisation == *organisation).map(|member| member.der.clone())
        };
        if self.trust.own.organisation == *organisation {
            return std::future::pending().await;
        }
        let mut members = self.trust.members.subscribe();
        let at_first = authority(&members.borrow_and_update());
        // The sender lives as long as the node does.
        let _ = members.wait_for(|members| at_first.is_none() || authority(members) != at_first).await;
    }
}

impl Authority {
    fn new(organisation: &Organisation, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let der = organisation.tls_ca.to_vec();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(der.clone())).map_err(|error| error.to_string())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { organisation: organisation.id.clone(), der, verifier })
    }
}

impl Trust {
    fn issuer(
        &self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>], now: UnixTime,
    ) -> Result<OrgId, rustls::Error> {
        let members = self.members.borrow().clone();
        let mut refusal = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        for authority in members.iter().chain([&self.own]) {
            match authority.verifier.verify_client_cert(leaf, intermediates, now) {
                Ok(_) => return Ok(authority.organisation.clone()),
                // A certificate that is out of date is that of somebody who is known.
                Err(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {}
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({} members)", self.members.borrow().len())
    }
}

impl ClientCertVerifier for Trust {
    // No hints: whom a node trusts changes while it runs, and a member has one certificate.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self, leaf: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>], now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.issuer(leaf, intermediates, now).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self, message: &[u8], certificate: &CertificateDer<'_>, signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self, message: &[u8], certificate: &CertificateDer<'_>, signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use qz_genesis::Home;

    use super::*;
    use crate::testing::Consortium;

    fn certificate(home: &Home) -> Vec<CertificateDer<'static>> {
        let identity = home.tls_client().unwrap();
        CertificateDer::pem_slice_iter(&identity.certificate_pem).collect::<Result<_, _>>().unwrap()
    }

    #[tokio::test]
    async fn trust_follows_the_members_and_the_own_organisation_stays() {
        let consortium = Consortium::new();
        let (own, other) = (&consortium.homes[0], &consortium.homes[1]);
        let server = own.tls_server().unwrap();
        let tls = MutualTls::new(own.organisation(), &server.certificate_pem, &server.key_pem).unwrap();
        let (mine, theirs) = (certificate(own), certificate(other));
        assert_eq!(tls.organisation(&mine), Some(own.organisation().id.clone()));
        assert_eq!(tls.organisation(&theirs), None, "nobody is a member yet");

        let organisations = consortium.genesis.organisations();
        tls.trust(organisations);
        assert_eq!(tls.organisation(&theirs), Some(other.organisation().id.clone()));
        let kept = tls.distrusts(&other.organisation().id);
        assert!(tokio::time::timeout(Duration::from_millis(20), kept).await.is_err());

        let gone = tls.distrusts(&other.organisation().id);
        tokio::pin!(gone);
        assert!(futures::poll!(&mut gone).is_pending());
        tls.trust(&organisations[2..]);
        gone.await;
        assert_eq!(tls.organisation(&theirs), None, "removed");
        assert_eq!(tls.organisation(&mine), Some(own.organisation().id.clone()));

        let mut broken = organisations.to_vec();
        broken[1].tls_ca = qz_evidence::codec::Bytes(vec![1, 2, 3]);
        tls.trust(&broken);
        assert_eq!(tls.organisation(&theirs), None);
        assert!(tls.organisation(&certificate(&consortium.homes[2])).is_some(), "the others are served");
    }
}
