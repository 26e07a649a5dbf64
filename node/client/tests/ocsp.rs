//! A timestamp with the answer of its authority's OCSP responder: both are OpenSSL's, over HTTP.
#![allow(clippy::unwrap_used)]

#[path = "../../../evidence/tests/openssl/mod.rs"]
mod openssl;

use openssl::Pki;
use qz_client::TimestampAuthority;
use qz_evidence::checkpoint::Anchor;
use qz_evidence::hash::sha256;
use qz_evidence::timestamp::{REPLY_TYPE, Roots, Timestamp, TimestampError, verify};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use warp::Filter;

/// A process that ends with the test.
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

fn responder(pki: &Pki, port: u16) -> Running {
    let port = port.to_string();
    let arguments = ["ocsp", "-port", &port, "-index", "index.txt", "-CA", "root.pem", "-ndays", "7"];
    let signer = ["-rsigner", "delegate.pem", "-rkey", "delegate.key"];
    let mut command = Command::new("openssl");
    let command = command.args(arguments).args(signer).current_dir(&pki.folder).stdout(Stdio::null());
    Running(command.stderr(Stdio::null()).spawn().unwrap())
}

/// Stamps until the responder answers, too.
async fn stamped(authority: &TimestampAuthority) -> Anchor {
    let started = Instant::now();
    loop {
        let anchor = authority.stamp(&sha256(&[b"text"])).await.unwrap();
        if !anchor.ocsp.is_empty() {
            return anchor;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "the responder does not answer");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn check(anchor: &Anchor, pki: &Pki) -> Result<Timestamp, TimestampError> {
    verify(anchor, &sha256(&[b"text"]), &Roots::parse(&pki.read("root.pem")).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_the_authoritys_responder_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let pki = Arc::new(Pki::new(folder.path(), &format!("http://127.0.0.1:{port}/")));
    let service = pki.clone();
    let routes = warp::post().and(warp::body::bytes()).then(move |request: bytes::Bytes| {
        let service = service.clone();
        async move {
            let reply = tokio::task::spawn_blocking(move || service.stamp(&request)).await.unwrap();
            warp::reply::with_header(reply, "content-type", REPLY_TYPE)
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority =
        TimestampAuthority { url: format!("http://{}", listener.local_addr().unwrap()), tls: Default::default() };
    tokio::spawn(warp::serve(routes).incoming(listener).run());

    // Nobody answers: the timestamp is good without, and says what was not checked.
    let alone = authority.stamp(&sha256(&[b"text"])).await.unwrap();
    assert!(alone.ocsp.is_empty());
    assert_eq!(check(&alone, &pki).unwrap().trusted.unwrap().unchecked, ["CN=tsa"]);

    let good = responder(&pki, port);
    let anchor = stamped(&authority).await;
    assert_eq!(check(&anchor, &pki).unwrap().trusted.unwrap().unchecked, [""; 0]);
    drop(good);

    pki.revoked("240101000000Z,keyCompromise");
    let _revoked = responder(&pki, port);
    let anchor = stamped(&authority).await;
    assert_eq!(check(&anchor, &pki), Err(TimestampError::Revoked("CN=tsa".to_owned())));
}
