//! Certificates while the timestamp authority is away: ordered, visibly waiting, not lost by a crash, and
//! issued with a timestamp once the authority answers, over `https` with an authority of the operator's.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use qz_client::{HttpsRoots, TimestampAuthority, TsaError};
use qz_evidence::hash::sha256;
use qz_evidence::verify::{StepStatus, Verdict};
use qz_verify::{Input, verify_any};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::api::problem;
use support::party::Cast;
use support::{Api, World, text};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// TLS in front of a plain service, with the platform's server certificate.
async fn tls_front(tls: &Path, listen: u16, behind: u16) {
    let chain = CertificateDer::pem_file_iter(tls.join("server.crt")).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(tls.join("server.key")).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let (acceptor, listener) =
        (TlsAcceptor::from(Arc::new(config)), TcpListener::bind(("127.0.0.1", listen)).await.unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut front) = acceptor.accept(stream).await else { return };
                let Ok(mut back) = TcpStream::connect(("127.0.0.1", behind)).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut front, &mut back).await;
            });
        }
    });
}

const GATEWAY: &str = env!("CARGO_BIN_EXE_qz-gateway");

/// The timestamp authority of this folder, once it answers.
async fn start_authority(home: &Path, listen: &str) -> Running {
    let started = Command::new(GATEWAY).args(["tsa", "--home"]).arg(home).stderr(Stdio::null()).spawn();
    let authority = Running(started.unwrap());
    let start = Instant::now();
    while TcpStream::connect(listen).await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(20), "the TSA does not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    authority
}

async fn until(api: &Api, url: &str, status: &str) -> Value {
    let start = Instant::now();
    loop {
        let (code, view) = api.get(&format!("{url}?wait=1")).await;
        assert_eq!(code, 200, "{view}");
        if view["status"] == status {
            return view;
        }
        assert!(start.elapsed() < Duration::from_secs(90), "never {status}: {view}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_waits_visibly_for_its_timestamp() {
    let (front, behind) = (free_port(), free_port());
    let url = format!("https://127.0.0.1:{front}");
    let mut world = World::start_configured(&[], |folder| {
        let authority = folder.join("platform/tls/ca.crt").to_str().unwrap().to_owned();
        vec!["--tsa".into(), url.clone(), "--anchor-ca".into(), authority]
    })
    .await;
    let api = world.api();
    let cast = Cast::new(&world).await;
    // Contracts are signed with timestamps; then the authority goes away.
    let (home, listen) = (world.path("tsa"), format!("127.0.0.1:{behind}"));
    let init = Command::new(GATEWAY)
        .args(["admin", "tsa-init", "--no-passphrase", "--listen", &listen, "--organisation", "示例公证处", "--home"])
        .arg(&home)
        .output()
        .unwrap();
    assert!(init.status.success(), "{}", text(&init));
    let authority = start_authority(&home, &listen).await;
    tls_front(&world.path("platform/tls"), front, behind).await;
    let subject = cast.completed(&api, &cast.plan()).await;
    drop(authority);

    let order = format!("/v1/contracts/{subject}/certificates?wait=1");
    let (code, answer) = api.post_as("order", &order, &json!({})).await;
    assert_eq!(code, 202, "{answer}");
    let number = answer["number"].as_str().unwrap();
    let status_url = answer["status_url"].as_str().unwrap();
    let waiting = until(&api, status_url, "waiting_for_timestamp").await;
    assert_eq!(waiting["status_zh"], "等待时间戳机构签发时间戳");
    assert!(waiting["error"].as_str().unwrap().contains(&url), "{waiting}");
    let pdf = format!("/v1/certificates/{number}");
    problem(&api.get(&pdf).await, 409, "certificate.waiting");
    let (_, jobs) = api.get("/v1/jobs?status=retrying").await;
    assert!(jobs["jobs"].as_array().unwrap().iter().any(|job| job["reference"] == number), "{jobs}");
    let listed = world.admin(&["job", "list"]);
    assert!(text(&listed).contains(number) && text(&listed).contains("重试于"), "{}", text(&listed));
    let (_, view) = api.get(&format!("/v1/contracts/{subject}")).await;
    assert_eq!(view["certificates"], json!([{"number": number, "status": "waiting_for_timestamp"}]));
    // The public register knows nothing of it yet.
    problem(&world.api_as("").get(&format!("/api/certificates/{number}")).await, 404, "certificate.unknown");

    // The same request is the same order; a crash loses nothing.
    let (code, again) = api.post_as("order", &order, &json!({})).await;
    assert_eq!((code, &again["number"]), (202, &answer["number"]));
    world.kill_gateway();
    world.start_gateway(&[]).await;

    let _authority = start_authority(&home, &listen).await;

    // Whose certificate nobody has vouched for is not spoken with.
    let stranger = TimestampAuthority { url: url.clone(), tls: HttpsRoots::System };
    let refused = stranger.stamp(&sha256(&[b"x"])).await.unwrap_err();
    assert!(matches!(refused, TsaError::Http(_)), "{refused}");

    let issued = until(&api, status_url, "issued").await;
    let (certificate, _) = api.bytes(issued["pdf_url"].as_str().unwrap()).await;
    assert_eq!(issued["sha256"], sha256(&[&certificate]).to_string());
    let (code, again) = api.post_as("order", &order, &json!({})).await;
    assert_eq!((code, &again["number"], &again["sha256"]), (201, &answer["number"], &issued["sha256"]));
    let roots = std::fs::read(home.join("tsa-root.pem")).unwrap();
    let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
    let genesis = world.genesis();
    let input =
        Input { file: &certificate, genesis: &genesis, proof: None, now_ms, witness_policy: None, tsa_roots: &roots };
    let report = verify_any(&input);
    assert_eq!(report.verdict, Verdict::ValidUnanchored, "no witness policy was given");
    assert_eq!(report.steps[10].status, StepStatus::Pass, "{:?}", report.steps[10]);
    assert_eq!(report.anchors.len(), 1);
}
