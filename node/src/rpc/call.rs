//! One request to a running node, with the organisation's own client certificate, for the commands of
//! `qz-node`. A single request needs no HTTP library.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use qz_evidence::OrgId;
use qz_evidence::genesis::Organisation;
use qz_genesis::Home;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::NodeConfig;

/// Answers to these commands are much shorter.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// A node that can be asked.
pub(crate) struct Target {
    host: String,
    /// Where to connect, if not where the host's name leads.
    address: Option<SocketAddr>,
    port: u16,
    tls_ca: Vec<u8>,
}

/// A request.
pub(crate) struct Request<'a> {
    /// `GET` or `POST`.
    pub method: &'a str,
    pub path: &'a str,
    pub body: &'a [u8],
    pub timeout: Duration,
}

impl Target {
    /// This organisation's own node.
    pub(crate) fn own(home: &Home, config: &NodeConfig) -> anyhow::Result<Self> {
        let organisation = home.organisation();
        let card = organisation.validator.as_ref().ok_or_else(|| anyhow!("{} runs no node", organisation.id))?;
        let address = config.listen(card)?.rpc;
        Ok(Self { address: Some(address), ..Self::announced(organisation)? })
    }

    /// The node of a member of the genesis, where the genesis says that it is.
    pub(crate) fn of_member(home: &Home, member: &OrgId) -> anyhow::Result<Self> {
        let genesis = home.genesis_document().context("cannot use the genesis")?;
        let organisation = genesis.organisation(member);
        Self::announced(organisation.ok_or_else(|| anyhow!("{member} is not in the genesis"))?)
    }

    fn announced(organisation: &Organisation) -> anyhow::Result<Self> {
        let card = organisation.validator.as_ref().ok_or_else(|| anyhow!("{} runs no node", organisation.id))?;
        let authority = card.rpc_url.strip_prefix("https://").map(|rest| rest.trim_end_matches('/'));
        let (host, port) = authority
            .and_then(|authority| authority.rsplit_once(':'))
            .and_then(|(host, port)| Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?)))
            .ok_or_else(|| anyhow!("{} is no https URL with a port", card.rpc_url))?;
        Ok(Self { host, address: None, port, tls_ca: organisation.tls_ca.to_vec() })
    }

    /// Status and JSON body of the answer.
    pub(crate) async fn ask(&self, home: &Home, request: &Request<'_>) -> anyhow::Result<(u16, Value)> {
        let seconds = request.timeout.as_secs();
        tokio::time::timeout(request.timeout, self.fetch(home, request))
            .await
            .map_err(|_| anyhow!("the node did not answer within {seconds} s"))?
    }

    async fn fetch(&self, home: &Home, request: &Request<'_>) -> anyhow::Result<(u16, Value)> {
        let identity = home.tls_client()?;
        let chain = CertificateDer::pem_slice_iter(&identity.certificate_pem)
            .collect::<Result<Vec<_>, _>>()
            .context("client certificate")?;
        let key = PrivateKeyDer::from_pem_slice(&identity.key_pem).context("client key")?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.tls_ca.clone())).context("the node's TLS authority")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)?;

        let name = ServerName::try_from(self.host.clone()).context("host of the RPC")?;
        let stream = match self.address {
            Some(address) => TcpStream::connect(address).await,
            None => TcpStream::connect((self.host.as_str(), self.port)).await,
        };
        let stream = stream.with_context(|| format!("no node answers at {}:{}", self.host, self.port))?;
        let mut stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await?;
        let Request { method, path, body, .. } = request;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.host,
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let mut answer = String::new();
        stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer).await.context("the node refused the connection")?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| anyhow!("the node's answer is cut off"))?;
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let Some(status) = status else { bail!("the node answered: {}", head.lines().next().unwrap_or_default()) };
        Ok((status, serde_json::from_str(body).context("the node's answer")?))
    }
}
