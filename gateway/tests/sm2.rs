//! Contracts signed with SM2 and SM3 through the API: a seal whose key the gateway keeps, and one whose key is on a
//! company's own device under an SM2 CA. Judged by BouncyCastle, by the examination of PDFs and by the verifier of proofs.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_evidence::verify::Verdict;
use qz_evidence_pdf::{DocumentReport, DocumentVerdict, TrustedRoots, examine};
use qz_verify::{Input, verify_any};
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use support::authorities::{Responder, Tsa, run_in};
use support::party::{BUYER, Cast, prepare, seal_request};
use support::{World, free_port};

const IDENTIFIER: &str = "distid:1234567812345678";
const SM2: &str = "1.2.156.10197.1.401+1.2.156.10197.1.501";

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap()
}

/// BouncyCastle's answers about files whose signers' certificates are of this CA.
fn bouncy_castle(folder: &Path, ca_pem: &Path, files: &[&[u8]]) -> Vec<String> {
    let ca = folder.join("oracle-ca.der");
    run_in(folder, "openssl", &["x509", "-in", ca_pem.to_str().unwrap(), "-outform", "DER", "-out", "oracle-ca.der"]);
    let lines = files.iter().enumerate().map(|(n, bytes)| {
        let path = folder.join(format!("oracle-{n}.pdf"));
        std::fs::write(&path, bytes).unwrap();
        format!("{}\t{}\n", ca.display(), path.display())
    });
    let lines: String = lines.collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("document/tests/oracles.sh");
    let mut child = Command::new(script).arg("cms").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "BouncyCastle is missing: testnet/setup.sh test");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn algorithms(report: &DocumentReport) -> Vec<&str> {
    let people = report.signatures.iter().filter_map(|one| one.algorithm.as_deref());
    people.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_are_signed_with_sm2() {
    let folder = tempfile::tempdir().unwrap();
    let mut tsa = Tsa::init(folder.path());
    tsa.start();
    let flags = vec!["--tsa".into(), tsa.url(), "--seal-algorithm".into(), "sm2".into()];
    let world = World::start_configured(&[], |_| flags).await;
    let api = world.api();
    let mut cast = Cast::new(&world).await;

    // A token has no SM2, and says what to do.
    let mut request = seal_request(&cast.buyer.subject, BUYER);
    request["key"] = json!({"algorithm": "sm2", "store": "token"});
    let (status, problem) = api.post("/v1/seals", &request).await;
    assert_eq!((status, &problem["code"]), (422, &json!("key.sm2_token")), "{problem}");
    assert!(problem.to_string().contains("external_certificate"), "{problem}");

    // A seal with a key in the store, and a person's key for one signature: both SM2, as configured.
    let subject = cast.completed(&api, &cast.plan()).await;
    let (_, view) = api.get(&format!("/v1/contracts/{subject}")).await;
    assert_eq!(view["signature_level"], "B-LT", "{view}");
    let (pdf, _) = api.bytes(&format!("/v1/contracts/{subject}/document")).await;
    let (proof, _) = api.bytes(&format!("/v1/contracts/{subject}/proof")).await;
    let demo_ca = world.path("gateway/demo-ca.pem");
    let root = std::fs::read(&demo_ca).unwrap();
    let stamps = std::fs::read(tsa.home.join("tsa-root.pem")).unwrap();
    let examined = |pdf: &[u8], roots: &[u8]| examine(pdf, &TrustedRoots::parse(roots, &stamps, now_ms()).unwrap());
    let report = examined(&pdf, &root);
    assert_eq!(report.verdict, DocumentVerdict::Valid, "{report:#?}");
    assert_eq!(algorithms(&report), ["SM2, SM3", "SM2, SM3"]);
    let genesis = world.genesis();
    let proven = |file: &[u8], proof: &[u8]| {
        let input = Input {
            file,
            genesis: &genesis,
            proof: Some(proof),
            now_ms: now_ms(),
            witness_policy: None,
            tsa_roots: &[],
        };
        verify_any(&input)
    };
    let verdict = proven(&pdf, &proof);
    assert_eq!(verdict.verdict, Verdict::ValidUnanchored, "{:?}", verdict.failed_step());

    let mut altered = pdf.clone();
    let at = altered.windows(9).position(|window| window == b"/MediaBox").unwrap() + 5;
    altered[at] ^= 1;
    assert_eq!(examined(&altered, &root).verdict, DocumentVerdict::Invalid);
    assert!(proven(&altered, &proof).failed_step().is_some());
    let answers = bouncy_castle(folder.path(), &demo_ca, &[&pdf, &altered]);
    assert_eq!(answers[0], format!("ok {SM2} {SM2}"));
    assert!(answers[1].starts_with("bad "), "{answers:?}");

    // A key on the company's own device, under an SM2 CA (OpenSSL plays the device).
    let listen = format!("127.0.0.1:{}", free_port());
    let chain = certified(folder.path(), &listen);
    let _responder = Responder::start(folder.path(), &listen);
    let mut request = seal_request(&cast.buyer.subject, BUYER);
    request["external_certificate"] = json!(chain);
    let operation = api.create("/v1/seals", &request).await;
    cast.buyer_seal = operation["created_subject"].as_str().unwrap().to_owned();
    cast.buyer.carry_out(&api, &operation).await;
    let subject = cast.contract(&api).await;
    let operation = prepare(&api, &subject, 0, &cast.buyer.subject).await;
    cast.buyer.sign(&api, &operation).await;
    let id = operation["id"].as_str().unwrap().to_owned();
    bring_signature(folder.path(), &api, &id).await;
    let settled = api.settled(&id).await;
    assert_eq!(settled["followup"]["status"], "done", "{settled}");
    let operation = prepare(&api, &subject, 1, &cast.person.subject).await;
    cast.person.carry_out(&api, &operation).await;
    cast.completion(&api, &subject).await;
    let (pdf, _) = api.bytes(&format!("/v1/contracts/{subject}/document")).await;
    let outside = std::fs::read(folder.path().join("ca/root.pem")).unwrap();
    let report = examined(&pdf, &[root, outside].concat());
    assert_eq!(report.verdict, DocumentVerdict::Valid, "{report:#?}");
    assert_eq!(algorithms(&report), ["SM2, SM3", "SM2, SM3"]);
}

/// Fetches the bytes, has them signed, and brings the signature once a broken one was refused.
async fn bring_signature(folder: &Path, api: &support::api::Api, id: &str) {
    let started = std::time::Instant::now();
    let out = loop {
        let (status, out) = api.get(&format!("/v1/operations/{id}/to-be-signed")).await;
        if status == 200 {
            break out;
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(30), "{out}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(out["hash"], "SM3");
    std::fs::write(folder.join("message"), BASE64.decode(out["to_be_signed"].as_str().unwrap()).unwrap()).unwrap();
    let sign = ["dgst", "-sm3", "-sign", "usb.pem", "-sigopt", IDENTIFIER, "-out", "signature", "message"];
    run_in(folder, "openssl", &sign);
    let mut signature = std::fs::read(folder.join("signature")).unwrap();
    let path = format!("/v1/operations/{id}/external-signature");
    let bring = async |signature: &[u8]| {
        let body = json!({"signature": BASE64.encode(signature)}).to_string().into_bytes();
        api.raw("POST", &path, &[("content-type", "application/json")], body).await
    };
    *signature.last_mut().unwrap() ^= 1;
    let (status, problem) = bring(&signature).await;
    assert_eq!((status, &problem["code"]), (422, &json!("signature.wrong")), "{problem}");
    *signature.last_mut().unwrap() ^= 1;
    let (status, answer) = bring(&signature).await;
    assert_eq!(status, 200, "{answer}");
}

/// A certificate of an SM2 CA at this address for an SM2 key of OpenSSL's; gives the chain.
fn certified(folder: &Path, listen: &str) -> String {
    let run = |program: &str, arguments: &[&str]| run_in(folder, program, arguments);
    let gateway = env!("CARGO_BIN_EXE_qz-gateway");
    run(gateway, &["ca", "init", "--home", "ca", "--listen", listen, "--algorithm", "sm2", "--no-passphrase"]);
    run("openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", "usb.pem"]);
    let request = ["req", "-new", "-key", "usb.pem", "-sm3", "-sigopt", IDENTIFIER, "-subj", "/CN=usb"];
    run("openssl", &[&request[..], &["-out", "usb.csr"]].concat());
    let issue = ["ca", "issue", "--home", "ca", "--request", "usb.csr", "--kind", "seal", "--name", "合同专用章"];
    run(gateway, &[&issue[..], &["--organisation", BUYER, "--credit-code", "91110108MA00DEM14Q"]].concat())
}
