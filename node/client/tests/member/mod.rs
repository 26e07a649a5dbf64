//! Members for the client's tests: a real ceremony in temporary folders, and a TLS server per member
//! that speaks the RPC's shapes. What it answers is a table of the test; TLS is that of a node.
#![allow(clippy::unwrap_used)]

use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use qz_client::wire::{ErrorBody, Finalised, Rejection, SubmissionState};
use qz_client::{Client, ClientConfig, NodeEndpoint, Relay, SignedSubmission};
use qz_evidence::genesis::{Genesis, Role};
use qz_evidence::payload::{EvidenceDeposited, Payload};
use qz_evidence::submission::Body;
use qz_evidence::{Hash32, Height, OrgId, SubmissionId};
use qz_genesis::description::ValidatorDescription;
use qz_genesis::home::NewOrganisation;
use qz_genesis::{Home, TlsIdentity, ceremony};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use warp::Filter;

pub const NAMES: [&str; 4] = ["arbitration", "court", "notary", "platform"];

pub fn org(name: &str) -> OrgId {
    OrgId::new(name).unwrap()
}

/// Four organisations after their ceremony; `platform` is the one that calls.
pub struct Consortium {
    folder: TempDir,
    pub genesis: Genesis,
}

impl Consortium {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let homes: Vec<Home> = NAMES.iter().map(|name| home(&folder, name, name)).collect();
        let cards: Vec<Vec<u8>> = homes.iter().map(|home| home.card().unwrap()).collect();
        let body = ceremony::assemble("示范联盟", &cards, 1_790_000_000_000, false).unwrap().body;
        let sign = |home: &Home| qz_evidence::encode(&ceremony::sign(home, &body, None).unwrap());
        let genesis = ceremony::finish(&body, &homes.iter().map(sign).collect::<Vec<_>>()).unwrap();
        for home in &homes {
            std::fs::write(home.genesis_path(), genesis.bytes()).unwrap();
        }
        Self { folder, genesis }
    }

    pub fn home(&self, name: &str) -> Home {
        Home::open(&self.folder.path().join(name)).unwrap()
    }

    /// An organisation of the same name that is not in the genesis.
    pub fn impostor(&self, name: &str) -> Home {
        home(&self.folder, &format!("impostor-{name}"), name)
    }

    pub fn config(&self, nodes: &[(&str, &str)]) -> ClientConfig {
        let endpoint = |(name, url): &(&str, &str)| NodeEndpoint { org: org(name), url: (*url).to_owned() };
        let config = ClientConfig::from_home(&self.home("platform")).unwrap();
        ClientConfig { nodes: nodes.iter().map(endpoint).collect(), ..config }
    }

    pub fn client(&self, nodes: &[(&str, &str)]) -> Client {
        Client::new(&self.config(nodes)).unwrap()
    }

    /// A deposit relayed by the platform.
    pub fn submission(&self, number: u8) -> SignedSubmission {
        let payload = Payload::EvidenceDeposited(EvidenceDeposited { about: None });
        let body = Body::new(
            self.genesis.chain_id(),
            SubmissionId([number; 16]),
            Height(1000),
            payload,
            vec![],
            1_790_000_000_000,
        );
        Relay::from_home(&self.home("platform")).unwrap().wrap(&body, vec![]).unwrap()
    }
}

fn home(folder: &TempDir, directory: &str, name: &str) -> Home {
    let new = NewOrganisation {
        id: org(name),
        name_zh: format!("示范{name}"),
        name_en: name.to_owned(),
        roles: vec![Role::Platform],
        validator: Some(ValidatorDescription {
            power: 1,
            consensus_address: format!("/dns4/{name}.example/tcp/27000"),
            mempool_address: format!("/dns4/{name}.example/tcp/27100"),
            rpc_url: format!("https://{name}.example:27200"),
        }),
    };
    // Certificates are checked against the real clock.
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    Home::create(&folder.path().join(directory), new, today).unwrap()
}

/// A request as the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Method, path and query: `GET /v1/status`.
    pub line: String,
    pub body: Vec<u8>,
}

/// What the server does with the n-th request.
pub enum Reply {
    Json(u16, serde_json::Value),
    Bytes(u16, Vec<u8>),
    /// Closes the connection after the request was read: the answer is lost.
    Cut,
    /// Says nothing for a long time.
    Hang,
}

impl Reply {
    pub fn of(state: &SubmissionState) -> Self {
        let status = if matches!(state, SubmissionState::Pending { .. }) { 202 } else { 200 };
        Self::Json(status, serde_json::to_value(state).unwrap())
    }

    pub fn error(status: u16, code: &str) -> Self {
        let error = Rejection { code: code.to_owned(), message_zh: "拒绝".into(), message_en: "refused".into() };
        Self::Json(status, serde_json::to_value(ErrorBody { error }).unwrap())
    }
}

pub fn finalised(digest: Hash32) -> Finalised {
    Finalised { digest, record_hash: Hash32([9; 32]), height: 7, index: 1, time_ms: 5, subjects: vec![] }
}

/// A running server.
pub struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves with the certificate of `home`, for clients of any organisation of the genesis.
    pub async fn start(
        home: &Home, genesis: &Genesis, answer: impl Fn(usize, &Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let acceptor = TlsAcceptor::from(Arc::new(server_tls(home, genesis)));
        let seen = Arc::new(Mutex::new(vec![]));
        let handler = Arc::new(Handler { seen: seen.clone(), answer: Box::new(answer) });
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, handler) = (acceptor.clone(), handler.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    serve(stream, handler).await;
                });
            }
        });
        Self { url, seen, task }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

type Answer = dyn Fn(usize, &Seen) -> Reply + Send + Sync;

struct Handler {
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Box<Answer>,
}

type Stream = tokio_rustls::server::TlsStream<tokio::net::TcpStream>;

async fn serve(stream: Stream, handler: Arc<Handler>) {
    let (cut, mut cuts) = tokio::sync::mpsc::channel::<()>(1);
    let query = warp::query::raw().map(|q| format!("?{q}")).or(warp::any().map(String::new)).unify();
    let routes = warp::any().and(warp::method()).and(warp::path::full()).and(query).and(warp::body::bytes()).then(
        move |method: warp::http::Method, path: warp::path::FullPath, query: String, body: warp::hyper::body::Bytes| {
            let (handler, cut) = (handler.clone(), cut.clone());
            async move {
                let seen = Seen { line: format!("{method} {}{query}", path.as_str()), body: body.to_vec() };
                let number = {
                    let mut all = handler.seen.lock().unwrap();
                    all.push(seen.clone());
                    all.len() - 1
                };
                let response = |status: u16, content_type: &str, bytes: Vec<u8>| {
                    let builder = warp::http::Response::builder().status(status).header("content-type", content_type);
                    builder.body(bytes).unwrap()
                };
                match (handler.answer)(number, &seen) {
                    Reply::Json(status, value) => response(status, "application/json", value.to_string().into_bytes()),
                    Reply::Bytes(status, bytes) => response(status, "application/cbor", bytes),
                    Reply::Cut => {
                        cut.send(()).await.unwrap();
                        std::future::pending().await
                    }
                    Reply::Hang => {
                        tokio::time::sleep(Duration::from_secs(60)).await;
                        response(500, "text/plain", vec![])
                    }
                }
            }
        },
    );
    let service = TowerToHyperService::new(warp::service(routes));
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = connection => {}
        _ = cuts.recv() => {}
    }
}

fn server_tls(home: &Home, genesis: &Genesis) -> rustls::ServerConfig {
    let TlsIdentity { certificate_pem, key_pem } = home.tls_server().unwrap();
    let mut roots = RootCertStore::empty();
    for organisation in genesis.organisations() {
        roots.add(CertificateDer::from(organisation.tls_ca.to_vec())).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let chain = CertificateDer::pem_slice_iter(&certificate_pem).collect::<Result<Vec<_>, _>>().unwrap();
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(&key_pem).unwrap())
        .unwrap()
}
