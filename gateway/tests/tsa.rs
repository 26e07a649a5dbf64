//! The demonstration timestamp authority over HTTP, judged by the real `openssl ts` and by the client that
//! anchors proofs.
#![allow(clippy::unwrap_used)]

use qz_client::TimestampAuthority;
use qz_evidence::hash::sha256;
use qz_evidence::timestamp::{self, Roots};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(program: &str, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    text
}

fn write_passphrase(path: &Path) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all("correct horse battery".as_bytes()).unwrap();
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn post(url: &str, content_type: &str, body: Vec<u8>) -> (u16, Vec<u8>) {
    let client = reqwest::Client::builder().tls_backend_preconfigured(no_tls()).no_proxy().build().unwrap();
    let response = client.post(url).header("content-type", content_type).body(body).send().await.unwrap();
    (response.status().as_u16(), response.bytes().await.unwrap().to_vec())
}

fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_accepts_its_tokens_and_so_do_we() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let gateway = env!("CARGO_BIN_EXE_qz-gateway");
    let listen = format!("127.0.0.1:{}", free_port());
    let url = format!("http://{listen}");
    // An older folder with keys in plain files serves too, and is encrypted by a command.
    let init = ["admin", "tsa-init", "--home", "tsa", "--listen", &listen, "--organisation", "示例公证处"];
    run(gateway, &[&init[..], &["--no-passphrase"]].concat(), place);
    write_passphrase(&place.join("passphrase"));
    run(gateway, &["admin", "tsa-passwd", "--home", "tsa", "--new-passphrase-file", "passphrase"], place);
    for key in ["tsa/root.key", "tsa/tsa.key"] {
        assert!(std::fs::read_to_string(place.join(key)).unwrap().starts_with(r#"{"format":"qz-sealed""#), "{key}");
    }
    let start = || {
        let mut command = Command::new(gateway);
        command.args(["tsa", "--home", "tsa"]).env("QZ_PASSPHRASE_FILE", "passphrase");
        Running(command.current_dir(place).stderr(Stdio::null()).spawn().unwrap())
    };
    let wait = async || {
        let started = Instant::now();
        while tokio::net::TcpStream::connect(&listen).await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "the TSA does not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let running = start();
    wait().await;

    // By the real openssl, with and without the certificate in the token.
    std::fs::write(place.join("data"), "检查点 checkpoint").unwrap();
    for arguments in [&["-cert"][..], &[]] {
        let query = [&["ts", "-query", "-data", "data", "-sha256", "-out", "query"][..], arguments].concat();
        run("openssl", &query, place);
        let (status, reply) =
            post(&url, "application/timestamp-query", std::fs::read(place.join("query")).unwrap()).await;
        assert_eq!(status, 200);
        std::fs::write(place.join("reply"), reply).unwrap();
        run("openssl", &["ts", "-reply", "-in", "reply", "-token_out", "-out", "token"], place);
        if arguments.is_empty() {
            continue;
        }
        let verify = ["ts", "-verify", "-queryfile", "query", "-in", "reply", "-CAfile", "tsa/tsa-root.pem"];
        assert!(run("openssl", &verify, place).contains("Verification: OK"));
        let text = run("openssl", &["ts", "-reply", "-in", "reply", "-text"], place);
        for part in [
            "Status: Granted",
            "1.3.6.1.4.1.32473.3161.1",
            "Serial number: 0x01",
            "Accuracy: 0x01 seconds",
            "Nonce: 0x",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
    // It refuses what it does not do, in the words of the protocol.
    run("openssl", &["ts", "-query", "-data", "data", "-sha512", "-out", "query"], place);
    let (status, reply) = post(&url, "application/timestamp-query", std::fs::read(place.join("query")).unwrap()).await;
    assert_eq!(status, 200);
    std::fs::write(place.join("reply"), reply).unwrap();
    let text = run("openssl", &["ts", "-reply", "-in", "reply", "-text"], place);
    assert!(text.contains("Status: Rejected") && text.contains("unrecognized or unsupported algorithm"), "{text}");
    let (_, reply) = post(&url, "application/timestamp-query", b"nonsense".to_vec()).await;
    std::fs::write(place.join("reply"), reply).unwrap();
    assert!(run("openssl", &["ts", "-reply", "-in", "reply", "-text"], place).contains("Rejected"));
    assert_eq!(post(&url, "text/plain", vec![0x30]).await.0, 400);

    // By our own client: a token with its revocation list, which our verifier relies on.
    let authority = TimestampAuthority { url: url.clone(), tls: Default::default() };
    let imprint = sha256(&[b"checkpoint"]);
    let anchor = authority.stamp(&imprint).await.unwrap();
    assert_eq!(anchor.revocations.len(), 1);
    let roots = Roots::parse(&std::fs::read(place.join("tsa/tsa-root.pem")).unwrap()).unwrap();
    let found = timestamp::verify(&anchor, &imprint, &roots).unwrap();
    let path = found.trusted.unwrap();
    assert!(path.unchecked.is_empty() && found.authority.contains("演示时间戳"), "{path:?} {}", found.authority);
    assert!(timestamp::verify(&anchor, &sha256(&[b"another"]), &roots).is_err());

    // A new start never uses a number again; without the service there is an error and no other clock.
    drop(running);
    let error = authority.stamp(&imprint).await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    let _running = start();
    wait().await;
    let again = timestamp::verify(&authority.stamp(&imprint).await.unwrap(), &imprint, &roots).unwrap();
    let number = |hex: &str| u64::from_str_radix(hex, 16).unwrap();
    assert!(number(&again.serial) > 1000 && number(&found.serial) < 1000, "{} {}", again.serial, found.serial);
}
