//! `qz-node status`: asks the running node over its own RPC, with the organisation's own client
//! certificate. A single request needs no HTTP library.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use qz_genesis::Home;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::NodeConfig;

/// Patience with the node.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A status is much shorter.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// The status as JSON text.
pub(crate) async fn ask(home: &Path, config: &NodeConfig) -> anyhow::Result<String> {
    tokio::time::timeout(TIMEOUT, fetch(home, config))
        .await
        .map_err(|_| anyhow!("the node did not answer within {} s", TIMEOUT.as_secs()))?
}

async fn fetch(home: &Path, config: &NodeConfig) -> anyhow::Result<String> {
    let home = Home::open(home)?;
    let organisation = home.organisation();
    let card = organisation.validator.as_ref().ok_or_else(|| anyhow!("{} runs no validator", organisation.id))?;
    let listen = config.listen(card)?.rpc;
    let identity = home.tls_client()?;
    let chain = CertificateDer::pem_slice_iter(&identity.certificate_pem)
        .collect::<Result<Vec<_>, _>>()
        .context("client certificate")?;
    let key = PrivateKeyDer::from_pem_slice(&identity.key_pem).context("client key")?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(organisation.tls_ca.to_vec())).context("own TLS authority")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;

    let host = card
        .rpc_url
        .strip_prefix("https://")
        .and_then(|rest| rest.trim_end_matches('/').rsplit_once(':'))
        .map(|(host, _)| host.trim_matches(['[', ']']).to_owned())
        .ok_or_else(|| anyhow!("{} is no https URL with a port", card.rpc_url))?;
    let name = ServerName::try_from(host.clone()).context("host of the RPC")?;
    let stream = TcpStream::connect(listen).await.with_context(|| format!("no node listens on {listen}"))?;
    let mut stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await?;
    let request = format!("GET /v1/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| anyhow!("the node's answer is cut off"))?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("the node answered: {}", head.lines().next().unwrap_or_default());
    }
    let body: serde_json::Value = serde_json::from_str(body).context("the node's answer")?;
    Ok(serde_json::to_string_pretty(&body)?)
}
