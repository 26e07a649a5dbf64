//! Levels of the signatures on contracts: with a timestamp authority each has its timestamp, and while the
//! authority is out of reach the signature waits, visibly. Judged by pyHanko.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_evidence::verify::Verdict;
use qz_verify::{Input, verify_any};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use support::authorities::{Responder, Tsa, oracle, run_in};
use support::party::{Cast, prepare};
use support::{World, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn signatures_have_timestamps_and_wait_for_the_authority() {
    let folder = tempfile::tempdir().unwrap();
    let mut tsa = Tsa::init(folder.path());
    tsa.start();
    let mut world = World::start_configured(&[], |_| vec!["--tsa".into(), tsa.url(), "--archive".into()]).await;
    let api = world.api();
    let cast = Cast::new(&world).await;
    let mut plan = cast.plan();
    plan["certify"] = json!(true);
    plan["slots"].as_array_mut().unwrap().reverse();
    plan["slots"][0]["group"] = json!(1);
    plan["slots"][1]["group"] = json!(2);
    let (status, refused) = api.post("/v1/contracts", &plan).await;
    assert_eq!((status, &refused["code"]), (422, &json!("certification.initiator")), "{refused}");
    let mut plan = cast.plan();
    plan["certify"] = json!(true);
    let subject = cast.contract_of(&api, &plan).await;

    let first = prepare(&api, &subject, 0, &cast.buyer.subject).await;
    cast.buyer.carry_out(&api, &first).await;
    let (_, view) = api.get(&format!("/v1/contracts/{subject}")).await;
    assert_eq!((&view["signature_level"], &view["certified"]), (&json!("B-T"), &json!(true)), "{view}");
    check_certification(&api.bytes(&format!("/v1/contracts/{subject}/document")).await.0);

    tsa.stop();
    let second = prepare(&api, &subject, 1, &cast.person.subject).await;
    cast.person.sign(&api, &second).await;
    let operation = format!("/v1/operations/{}", second["id"].as_str().unwrap());
    let started = Instant::now();
    loop {
        let (_, view) = api.get(&operation).await;
        let detail = view["followup"]["detail"].as_str().unwrap_or_default();
        if view["status"] == "final" && detail.contains("no timestamp yet") {
            assert_eq!(view["followup"]["status"], "pending");
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{view}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (_, view) = api.get(&format!("/v1/contracts/{subject}")).await;
    assert_eq!(view["status"], "signed", "signed on the ledger, but no file without its timestamp: {view}");
    assert_eq!(view["slots"][1]["in_document"], false);

    tsa.start();
    let view = cast.completion(&api, &subject).await;
    assert_eq!(view["signature_level"], "B-LT", "{view}");
    let (pdf, _) = api.bytes(&format!("/v1/contracts/{subject}/document")).await;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("final.pdf"), &pdf).unwrap();
    let roots = [world.path("gateway/demo-ca.pem").to_string_lossy().into_owned(), path("tsa/tsa-root.pem")];
    let (ok, text) = oracle(&["validate-stamped", &roots[0], &roots[1], &path("final.pdf")]);
    assert!(ok && text.matches("judged VALID").count() == 2, "{text}");
    assert_eq!(text.matches("The TSA certificate is trusted").count(), 2, "{text}");
    let (ok, text) = oracle(&["ades", &roots[0], &roots[1], &path("final.pdf")]);
    assert!(ok && text.matches("judged VALID").count() == 2, "{text}");

    archived_and_renewed(&mut world, &mut tsa, folder.path(), &subject, &pdf).await;
    let api = world.api();
    let (proof, _) = api.bytes(&format!("/v1/contracts/{subject}/proof")).await;
    let genesis = world.genesis();
    let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
    let report = verify_any(&Input {
        file: &pdf,
        genesis: &genesis,
        proof: Some(&proof),
        now_ms,
        witness_policy: None,
        tsa_roots: &[],
    });
    assert_eq!(report.verdict, Verdict::ValidUnanchored, "{:?}", report.failed_step());
}

/// The initiator's signature certifies the file, the other's place waits in it, and nothing else may be added.
fn check_certification(pdf: &[u8]) {
    let text = String::from_utf8_lossy(pdf);
    assert!(text.contains("/DocMDP") && text.contains("/SigFieldLock"), "certified, with a lock for the other");
    let fields = qz_document::sign::signatures(pdf).unwrap();
    assert_eq!(fields.len(), 1);
    let report = qz_evidence_pdf::examine(pdf, &qz_evidence_pdf::TrustedRoots::default());
    assert_eq!(report.verdict, qz_evidence_pdf::DocumentVerdict::Intact);
    let late = qz_document::sign::EmptyField {
        name: "late".into(),
        page: 1,
        x_mm: 10.0,
        y_mm: 10.0,
        width_mm: 9.0,
        height_mm: 9.0,
        lock: None,
    };
    assert!(matches!(qz_document::sign::reserve(pdf, &[late]), Err(qz_document::sign::SignError::Certified)));
}

/// The contract's view once its archive is as wanted.
async fn archive(world: &World, subject: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let (api, started) = (world.api(), Instant::now());
    loop {
        let (_, view) = api.get(&format!("/v1/contracts/{subject}")).await;
        if wanted(&view["archive"]) {
            return view;
        }
        assert!(started.elapsed() < Duration::from_secs(40), "{view}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The archived file continues the final one, gets another timestamp when it is due, and waits for the authority.
async fn archived_and_renewed(world: &mut World, tsa: &mut Tsa, folder: &Path, subject: &str, pdf: &[u8]) {
    let path = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let roots = [world.path("gateway/demo-ca.pem").to_string_lossy().into_owned(), path("tsa/tsa-root.pem")];
    let check = |file: &[u8], timestamps: usize| {
        std::fs::write(path("archive.pdf"), file).unwrap();
        let (ok, text) = oracle(&["ades", &roots[0], &roots[1], &path("archive.pdf")]);
        assert!(ok && text.matches("judged VALID").count() == 2, "{text}");
        let (ok, text) = oracle(&["structure", &path("archive.pdf")]);
        assert!(ok, "{text}");
        let found = qz_evidence_pdf::signatures(file).unwrap();
        assert_eq!(found.len(), 2 + timestamps);
    };
    let view = archive(world, subject, |archive| archive["timestamps"] == 1).await;
    assert_eq!((&view["archive"]["level"], &view["archive"]["waiting_for"]), (&json!("B-LTA"), &Value::Null));
    let (first, _) = world.api().bytes(&format!("/v1/contracts/{subject}/archive")).await;
    assert_eq!(&first[..pdf.len()], pdf, "it continues the final file");
    check(&first, 1);
    // Nothing is due for years.
    let next = view["archive"]["next"].as_str().unwrap().to_owned();
    assert!(next > view["archive"]["stamped"].as_str().unwrap().replace("2026", "2029"), "{next}");

    tsa.stop();
    assert_eq!(world.stop_gateway(), Some(0));
    world.sql("UPDATE archives SET due_ms = 0").await;
    world.sql("UPDATE jobs SET run_after_ms = 0 WHERE kind = 'archive' AND status = 'ready'").await;
    world.start_gateway(&[]).await;
    let waits = |archive: &Value| archive["waiting_for"].as_str().is_some_and(|why| why.contains("no timestamp yet"));
    let view = archive(world, subject, waits).await;
    assert_eq!(view["archive"]["timestamps"], 1);
    let (_, jobs) = world.api().get("/v1/jobs?status=retrying").await;
    assert!(jobs["jobs"].as_array().unwrap().iter().any(|job| job["kind"] == "archive"), "{jobs}");
    tsa.start();
    let view = archive(world, subject, |archive| archive["timestamps"] == 2).await;
    assert_eq!(view["archive"]["waiting_for"], Value::Null);
    let (second, _) = world.api().bytes(&format!("/v1/contracts/{subject}/archive")).await;
    assert_eq!(&second[..first.len()], first, "the first archive is continued");
    check(&second, 2);
    let (same, _) = world.api().bytes(&format!("/v1/contracts/{subject}/document")).await;
    assert_eq!(same, pdf, "the final file is what the ledger commits to");
}

/// A certificate of a CA, which is at this address but not running, for a key that OpenSSL keeps; gives the chain.
fn certified(folder: &Path, listen: &str) -> String {
    let run = |program: &str, arguments: &[&str]| run_in(folder, program, arguments);
    let gateway = env!("CARGO_BIN_EXE_qz-gateway");
    run(gateway, &["ca", "init", "--no-passphrase", "--home", "ca", "--listen", listen]);
    run("openssl", &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072", "-out", "usb.pem"]);
    run("openssl", &["req", "-new", "-key", "usb.pem", "-subj", "/CN=usb", "-out", "usb.csr"]);
    run(
        gateway,
        &[
            "ca",
            "issue",
            "--home",
            "ca",
            "--request",
            "usb.csr",
            "--kind",
            "seal",
            "--name",
            "合同专用章",
            "--organisation",
            support::party::BUYER,
            "--credit-code",
            "91110108MA00DEM14Q",
        ],
    )
}

/// The company's key is on its USB key (OpenSSL here), certified by another CA: digest out, signature in. While that
/// CA says nothing about the certificate, the signature waits and says so; a revoked one is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_outside_of_the_gateway_signs_after_finality() {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let chain = certified(folder.path(), &listen);
    let world = World::start().await;
    let api = world.api();
    let mut cast = Cast::new(&world).await;
    let mut request = support::party::seal_request(&cast.buyer.subject, support::party::BUYER);
    request["external_certificate"] = json!(chain);
    let operation = api.create("/v1/seals", &request).await;
    cast.buyer_seal = operation["created_subject"].as_str().unwrap().to_owned();
    cast.buyer.carry_out(&api, &operation).await;

    let subject = cast.contract(&api).await;
    let operation = prepare(&api, &subject, 0, &cast.buyer.subject).await;
    let id = operation["id"].as_str().unwrap().to_owned();
    let (status, problem) = api.get(&format!("/v1/operations/{id}/to-be-signed")).await;
    assert_eq!((status, &problem["code"]), (409, &json!("signature.not_awaited")), "{problem}");
    cast.buyer.sign(&api, &operation).await;
    let started = Instant::now();
    loop {
        let (_, view) = api.get(&format!("/v1/operations/{id}")).await;
        let detail = view["followup"]["detail"].as_str().unwrap_or_default();
        if detail.starts_with("the status of the X.509 certificate is not known yet") {
            assert_eq!(view["followup"]["status"], "pending", "{view}");
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{view}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (status, problem) = api.get(&format!("/v1/operations/{id}/to-be-signed")).await;
    assert_eq!((status, &problem["code"]), (503, &json!("certificate.status_unknown")), "{problem}");
    let _responder = Responder::start(folder.path(), &listen);
    let started = Instant::now();
    let out = loop {
        let (status, out) = api.get(&format!("/v1/operations/{id}/to-be-signed")).await;
        if status == 200 {
            break out;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{out}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(out["hash"], "SHA-256");
    let message = BASE64.decode(out["to_be_signed"].as_str().unwrap()).unwrap();
    std::fs::write(folder.path().join("message"), &message).unwrap();
    let signed = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign", "usb.pem", "-out", "signature", "message"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(signed.status.success(), "{}", support::text(&signed));
    let mut signature = std::fs::read(folder.path().join("signature")).unwrap();
    let path = format!("/v1/operations/{id}/external-signature");
    let bring = async |signature: &[u8]| {
        let body = json!({"signature": BASE64.encode(signature)}).to_string().into_bytes();
        api.raw("POST", &path, &[("content-type", "application/json")], body).await
    };
    signature[7] ^= 1;
    let (status, problem) = bring(&signature).await;
    assert_eq!((status, &problem["code"]), (422, &json!("signature.wrong")), "{problem}");
    signature[7] ^= 1;
    let (status, answer) = bring(&signature).await;
    assert_eq!(status, 200, "{answer}");
    let settled = api.settled(&id).await;
    assert_eq!(settled["followup"]["status"], "done", "{settled}");
    let operation = prepare(&api, &subject, 1, &cast.person.subject).await;
    cast.person.carry_out(&api, &operation).await;
    let view = cast.completion(&api, &subject).await;
    assert_eq!(view["signature_level"], "B-B", "no authority is configured: {view}");

    let (pdf, _) = api.bytes(&format!("/v1/contracts/{subject}/document")).await;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("final.pdf"), &pdf).unwrap();
    let own = world.path("gateway/demo-ca.pem").to_string_lossy().into_owned();
    let (ok, text) = oracle(&["validate-stamped", &own, &path("ca/root.pem"), &path("final.pdf")]);
    assert!(ok && text.matches("judged VALID").count() == 2, "{text}");

    // Its responder says at once what its list may say tomorrow.
    std::fs::write(path("chain.pem"), &chain).unwrap();
    let serial = run_in(folder.path(), "openssl", &["x509", "-in", "chain.pem", "-noout", "-serial"]);
    let serial = serial.trim().trim_start_matches("serial=").to_lowercase();
    let gateway = env!("CARGO_BIN_EXE_qz-gateway");
    run_in(
        folder.path(),
        gateway,
        &["ca", "revoke", "--home", "ca", "--serial", &serial, "--reason", "key_compromise"],
    );
    let subject = cast.contract(&api).await;
    let request = json!({"slot": 0, "key": cast.buyer.subject, "intent": "同意 I agree"});
    let (status, problem) = api.post(&format!("/v1/contracts/{subject}/signatures"), &request).await;
    assert_eq!((status, &problem["code"]), (409, &json!("certificate.unusable")), "{problem}");
}

/// The seal's key is made in a PKCS#11 token (SoftHSM) and never leaves it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_a_token_signs() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    std::fs::create_dir(folder.path().join("tokens")).unwrap();
    let text = format!("directories.tokendir = {}\n", folder.path().join("tokens").display());
    std::fs::write(&configuration, text).unwrap();
    let made = Command::new("softhsm2-util")
        .env("SOFTHSM2_CONF", &configuration)
        .args(["--init-token", "--free", "--label", "seals", "--pin", "123456", "--so-pin", "12345678"])
        .output()
        .expect("softhsm2 is installed (testnet/setup.sh test)");
    assert!(made.status.success(), "{}", support::text(&made));
    let pin = folder.path().join("pin");
    std::fs::write(&pin, "123456\n").unwrap();
    std::fs::set_permissions(&pin, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();

    let mut world = World::start().await;
    assert_eq!(world.stop_gateway(), Some(0));
    let settings = world.path("gateway/gateway.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&settings).unwrap()).unwrap();
    config["seal_keys"] = json!({
        "algorithm": "rsa3072", "store": "token",
        "token": {"module": "/usr/lib/softhsm/libsofthsm2.so", "token": "seals", "pin_file": pin},
    });
    std::fs::write(&settings, config.to_string()).unwrap();
    world.start_gateway(&[("SOFTHSM2_CONF", configuration.to_str().unwrap())]).await;

    let api = world.api();
    let cast = Cast::new(&world).await;
    let subject = cast.completed(&api, &cast.plan()).await;
    let (pdf, _) = api.bytes(&format!("/v1/contracts/{subject}/document")).await;
    let file = folder.path().join("final.pdf").to_string_lossy().into_owned();
    std::fs::write(&file, &pdf).unwrap();
    let own = world.path("gateway/demo-ca.pem").to_string_lossy().into_owned();
    let (ok, text) = oracle(&["validate", &own, &file]);
    assert!(ok && text.matches("judged VALID").count() == 2 && text.contains("sha256_rsa"), "{text}");
    // The key stands in the token, not in our rows.
    assert_eq!(world.stop_gateway(), Some(0));
    let listed =
        Command::new("softhsm2-util").env("SOFTHSM2_CONF", &configuration).arg("--show-slots").output().unwrap();
    assert!(support::text(&listed).contains("seals"));
}
