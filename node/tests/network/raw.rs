//! Requests that no decent client sends: raw bytes over mutual TLS.

use std::path::Path;
use std::sync::Arc;

use qz_genesis::Home;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection to a member's node with its own client certificate.
pub async fn connect(home: &Path) -> TlsStream<TcpStream> {
    connect_with_window(home, 65_536).await
}

/// The same with a receive buffer of about so many bytes.
pub async fn connect_with_window(home: &Path, window: u32) -> TlsStream<TcpStream> {
    let home = Home::open(home).unwrap();
    let identity = home.tls_client().unwrap();
    let chain = CertificateDer::pem_slice_iter(&identity.certificate_pem).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(&identity.key_pem).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(home.organisation().tls_ca.to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    let url = home.organisation().validator.as_ref().unwrap().rpc_url.clone();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(window).unwrap();
    let stream = socket.connect(url.strip_prefix("https://").unwrap().parse().unwrap()).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap()
}

/// A request over plain HTTP: status and body.
pub async fn plain(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

/// The body of the answer to a whole request.
pub async fn body(home: &Path, request: &[u8]) -> String {
    let mut stream = connect(home).await;
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// Sends a whole request and gives the status and the error code of the answer.
pub async fn ask(home: &Path, request: &[u8]) -> (u16, String) {
    let mut stream = connect(home).await;
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // The node may close without reading the rest of a body that is too large.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap_or("0").parse().unwrap();
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}
