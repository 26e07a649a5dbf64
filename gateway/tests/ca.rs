//! `qz-gateway ca`: issued by request, renewed, revoked, and its answers judged by OpenSSL.
#![allow(missing_docs, clippy::unwrap_used)]

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

fn output(program: &str, arguments: &[&str], folder: &Path) -> (bool, String) {
    let output = Command::new(program)
        .args(arguments)
        .env("QZ_PASSPHRASE_FILE", "passphrase")
        .current_dir(folder)
        .output()
        .unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

#[track_caller]
fn run(program: &str, arguments: &[&str], folder: &Path) -> String {
    let (ok, text) = output(program, arguments, folder);
    assert!(ok, "{program} {arguments:?}: {text}");
    text
}

#[test]
fn issued_renewed_revoked() {
    for algorithm in ["p256", "rsa3072"] {
        check(algorithm);
    }
}

fn check(algorithm: &str) {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let gateway = env!("CARGO_BIN_EXE_qz-gateway");
    let listen = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    write_passphrase(&place.join("passphrase"), "correct horse battery");
    run(gateway, &["ca", "init", "--home", "ca", "--listen", &listen, "--algorithm", algorithm], place);
    for key in ["ca/root.key", "ca/issuing.key"] {
        assert!(std::fs::read_to_string(place.join(key)).unwrap().starts_with(r#"{"format":"qz-sealed""#), "{key}");
    }
    assert!(!output(gateway, &["ca", "init", "--home", "ca"], place).0, "not twice");

    // A key and a request of OpenSSL's making.
    let curve = "ec_paramgen_curve:P-256";
    run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", "usb.pem"], place);
    run("openssl", &["req", "-new", "-key", "usb.pem", "-subj", "/CN=usb", "-out", "usb.csr"], place);
    let issue = ["ca", "issue", "--home", "ca", "--request", "usb.csr", "--kind", "seal", "--name", "合同专用章"];
    assert!(!output(gateway, &issue, place).0, "a seal has an organisation");
    let subject = ["--organisation", "北京示例科技有限公司", "--credit-code", "91110108MA00DEM14Q"];
    let pem = run(gateway, &[&issue[..], &subject].concat(), place);
    std::fs::write(place.join("chain.pem"), &pem).unwrap();
    std::fs::write(place.join("leaf.pem"), pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap()).unwrap();
    let path = ["verify", "-x509_strict", "-CAfile", "ca/root.pem", "-untrusted", "ca/chain.pem", "leaf.pem"];
    run("openssl", &path, place);
    let serial = run("openssl", &["x509", "-in", "leaf.pem", "-noout", "-serial"], place);
    let serial = serial.trim().trim_start_matches("serial=").to_lowercase();

    // A request that was tampered with.
    let mut tampered = std::fs::read_to_string(place.join("usb.csr")).unwrap();
    let middle = tampered.len() / 2;
    let other = if tampered.as_bytes()[middle] == b'A' { "B" } else { "A" };
    tampered.replace_range(middle..=middle, other);
    std::fs::write(place.join("usb.csr"), tampered).unwrap();
    assert!(!output(gateway, &[&issue[..], &subject].concat(), place).0);

    let mut command = Command::new(gateway);
    command
        .args(["ca", "serve", "--home", "ca"])
        .env("QZ_PASSPHRASE_FILE", "passphrase")
        .current_dir(place)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _running = Running(command.spawn().unwrap());
    let started = Instant::now();
    while std::net::TcpStream::connect(&listen).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20), "the CA does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
    std::fs::write(place.join("issuing.pem"), {
        let chain = std::fs::read_to_string(place.join("ca/chain.pem")).unwrap();
        chain.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned()
    })
    .unwrap();
    let url = format!("http://{listen}/ocsp");
    let ask = |certificate: &str| {
        let arguments =
            ["ocsp", "-issuer", "issuing.pem", "-cert", certificate, "-url", &url, "-CAfile", "ca/chain.pem"];
        run("openssl", &arguments, place)
    };
    let text = ask("leaf.pem");
    assert!(text.contains("Response verify OK") && text.contains("leaf.pem: good"), "{text}");

    // Renewed: the same key and subject, another serial number; the old one stays good.
    let pem = run(gateway, &["ca", "renew", "--home", "ca", "--serial", &serial], place);
    std::fs::write(place.join("new.pem"), pem.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap()).unwrap();
    let of = |file: &str, what: &str| run("openssl", &["x509", "-in", file, "-noout", what], place);
    assert_eq!(of("leaf.pem", "-pubkey"), of("new.pem", "-pubkey"));
    assert_eq!(of("leaf.pem", "-subject"), of("new.pem", "-subject"));
    assert_ne!(of("leaf.pem", "-serial"), of("new.pem", "-serial"));
    assert!(ask("new.pem").contains("new.pem: good"));

    run(gateway, &["ca", "revoke", "--home", "ca", "--serial", &serial, "--reason", "key_compromise"], place);
    assert!(!output(gateway, &["ca", "renew", "--home", "ca", "--serial", &serial], place).0);
    let text = ask("leaf.pem");
    assert!(text.contains("Response verify OK") && text.contains("leaf.pem: revoked"), "{text}");
    assert!(text.contains("keyCompromise") && ask("new.pem").contains("new.pem: good"));
    // Somebody else's certificate is unknown.
    run(
        "openssl",
        &["req", "-x509", "-new", "-key", "usb.pem", "-subj", "/CN=x", "-days", "9", "-out", "x.pem"],
        place,
    );
    assert!(ask("x.pem").contains("x.pem: unknown"));

    for (name, file) in [("issuing.crl", "i.crl"), ("root.crl", "r.crl")] {
        let bytes = fetch(&format!("http://{listen}/{name}"));
        std::fs::write(place.join(file), bytes).unwrap();
        run("openssl", &["crl", "-inform", "DER", "-in", file, "-out", &format!("{file}.pem")], place);
    }
    let joined = ["ca/root.pem", "i.crl.pem", "r.crl.pem"].map(|f| std::fs::read_to_string(place.join(f)).unwrap());
    std::fs::write(place.join("all.pem"), joined.concat()).unwrap();
    let with_lists = |certificate| {
        let arguments = ["verify", "-crl_check_all", "-CAfile", "all.pem", "-untrusted", "ca/chain.pem", certificate];
        output("openssl", &arguments, place)
    };
    assert!(with_lists("leaf.pem").1.contains("certificate revoked"));
    assert!(with_lists("new.pem").0, "{}", with_lists("new.pem").1);
    assert!(run(gateway, &["ca", "list", "--home", "ca"], place).contains("KeyCompromise"));
}

fn write_passphrase(path: &Path, text: &str) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The keys of an older folder are encrypted by a command, change their passphrase by it, and open under no other.
#[test]
fn keys_are_encrypted_at_rest() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let gateway = env!("CARGO_BIN_EXE_qz-gateway");
    let list = || output(gateway, &["ca", "list", "--home", "ca"], place);
    let curve = "ec_paramgen_curve:P-256";
    run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", "usb.pem"], place);
    run("openssl", &["req", "-new", "-key", "usb.pem", "-subj", "/CN=usb", "-out", "usb.csr"], place);
    let issue = ["ca", "issue", "--home", "ca", "--request", "usb.csr", "--kind", "person", "--name", "周雅文"];

    run(gateway, &["ca", "init", "--home", "ca", "--no-passphrase"], place);
    run(gateway, &issue, place);
    let key = || std::fs::read(place.join("ca/issuing.key")).unwrap();
    assert_eq!(key()[0], 0x30, "PKCS #8");

    write_passphrase(&place.join("passphrase"), "correct horse battery");
    let text = run(gateway, &["ca", "passwd", "--home", "ca"], place);
    assert!(text.contains("root.key") && text.contains("issuing.key"), "{text}");
    assert!(key().starts_with(br#"{"format":"qz-sealed""#));
    run(gateway, &issue, place);

    // Another passphrase: the old one opens nothing any more, and what needs no key goes on.
    write_passphrase(&place.join("new"), "staple battery horse");
    run(gateway, &["ca", "passwd", "--home", "ca", "--new-passphrase-file", "new"], place);
    let (ok, text) = output(gateway, &issue, place);
    assert!(!ok && text.contains("the passphrase is wrong"), "{text}");
    assert!(list().0);
    std::fs::rename(place.join("new"), place.join("passphrase")).unwrap();
    run(gateway, &issue, place);

    // One key does not pass for another, and one that others may read is refused.
    std::fs::copy(place.join("ca/root.key"), place.join("ca/issuing.key")).unwrap();
    assert!(!output(gateway, &issue, place).0);
    std::fs::remove_file(place.join("passphrase")).unwrap();
    write_passphrase(&place.join("passphrase"), "short");
    let (ok, text) = output(gateway, &["ca", "init", "--home", "other"], place);
    assert!(!ok && text.contains("at least 12"), "{text}");
}

/// A GET without a client of its own.
fn fetch(url: &str) -> Vec<u8> {
    use std::io::{Read, Write};
    let rest = url.trim_start_matches("http://");
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = std::net::TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    answer.split_off(head + 4)
}
