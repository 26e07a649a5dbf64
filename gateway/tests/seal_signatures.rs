//! Seal signatures of GB/T 38540 over completed contracts: made by a job with each seal that has seal data, verified by
//! the command line and by BouncyCastle, and refused over anything else.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::api::{Api, problem};
use support::authorities::{Tsa, run_in};
use support::party::{BUYER, Cast, seal_request};
use support::{World, text};

/// The list once the job is done.
async fn signatures(api: &Api, contract: &str) -> Value {
    let started = Instant::now();
    loop {
        let (_, list) = api.get(&format!("/v1/contracts/{contract}/seal-signatures")).await;
        if !list["signatures"].as_array().unwrap().is_empty() {
            return list;
        }
        let (_, jobs) = api.get("/v1/jobs?status=failed").await;
        assert!(started.elapsed() < Duration::from_secs(30), "{list} {jobs}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What BouncyCastle says of a signature with a seal over a document.
fn bouncy_castle(ca: &Path, signature: &Path, document: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("document/tests/oracles.sh");
    let mut child = Command::new(script).arg("ses").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let line = format!("signature\t{}\t{}\t{}\n", ca.display(), signature.display(), document.display());
    child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "BouncyCastle is missing: testnet/setup.sh test");
    String::from_utf8(output.stdout).unwrap()
}

struct Scene {
    world: World,
    tsa: Tsa,
    folder: tempfile::TempDir,
}

impl Scene {
    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Verifies the signature of slot 0 over the contract's final file; gives the file of the signature.
    async fn check(&self, api: &Api, contract: &str) -> PathBuf {
        let list = signatures(api, contract).await;
        assert_eq!(list["signatures"].as_array().unwrap().len(), 1, "{list}");
        assert_eq!(list["signatures"][0]["slot"], 0);
        let path = format!("/v1/contracts/{contract}");
        let (pdf, _) = api.bytes(&format!("{path}/document")).await;
        let (ses, _) = api.bytes(&format!("{path}/seal-signatures/0")).await;
        problem(&api.get(&format!("{path}/seal-signatures/1")).await, 404, "seal_signature.none");
        let (signature, document) = (self.put("signature.ses", &ses), self.put("final.pdf", &pdf));
        let (root, stamps) = (self.world.path("gateway/demo-ca.pem"), self.tsa.home.join("tsa-root.pem"));
        let verify = |document: &Path| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_qz-gateway"));
            command.args(["seal-data", "verify"]).arg(&signature).arg("--document").arg(document);
            command.arg("--root").arg(&root).arg("--tsa-root").arg(&stamps).output().unwrap()
        };
        let held = verify(&document);
        assert!(held.status.success(), "{}", text(&held));
        let report: Value = serde_json::from_slice(&held.stdout).unwrap();
        assert_eq!((&report["verdict"], &report["time"]["is"]), (&json!("holds"), &json!("proven")), "{report}");
        let last = format!("bytes=0-{};record=", pdf.len() - 1);
        assert!(report["properties"].as_str().unwrap().contains(&last), "{report}");
        let mut altered = pdf;
        altered[100] ^= 1;
        let altered = self.put("altered.pdf", &altered);
        assert!(!verify(&altered).status.success());

        let der = self.folder.path().join("ca.der");
        run_in(
            self.folder.path(),
            "openssl",
            &["x509", "-in", root.to_str().unwrap(), "-outform", "DER", "-out", "ca.der"],
        );
        let said = bouncy_castle(&der, &signature, &document);
        assert!(said.starts_with("ok ") && said.contains(&last), "{said}");
        assert!(bouncy_castle(&der, &signature, &altered).starts_with("bad "));
        signature
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn completed_contracts_are_signed_with_seal_data() {
    let folder = tempfile::tempdir().unwrap();
    let mut tsa = Tsa::init(folder.path());
    tsa.start();
    let flags = ["--seal-data", "--seal-signatures", "--tsa", &tsa.url()].map(str::to_owned).to_vec();
    let world = World::start_configured(&[], |_| flags).await;
    let scene = Scene { world, tsa, folder };
    let api = scene.world.api();
    let mut cast = Cast::new(&scene.world).await;
    let contract = cast.completed(&api, &cast.plan()).await;
    scene.check(&api, &contract).await;

    // A seal whose own key is SM2 has one key for the PDF and for its seal data.
    let mut request = seal_request(&cast.buyer.subject, BUYER);
    request["key"] = json!({"algorithm": "sm2"});
    let operation = api.create("/v1/seals", &request).await;
    let (seal, first) = (operation["created_subject"].as_str().unwrap().to_owned(), cast.buyer_seal.clone());
    cast.buyer.carry_out(&api, &operation).await;
    cast.buyer_seal = seal.clone();
    let holds_own = async |seal: &str| {
        let (esl, _) = api.bytes(&format!("/v1/seals/{seal}/esl")).await;
        let (own, _) = api.bytes(&format!("/v1/seals/{seal}/certificate")).await;
        esl.windows(own.len()).any(|window| window == own)
    };
    assert!(holds_own(&seal).await && !holds_own(&first).await);
    let contract = cast.completed(&api, &cast.plan()).await;
    scene.check(&api, &contract).await;

    // With a destroyed seal end both of its certificates.
    let operation = api.create(&format!("/v1/seals/{first}/destroy"), &json!({"reason": "停用"})).await;
    cast.buyer.carry_out(&api, &operation).await;
    let (list, _) = api.bytes("/ca/revoked.crl").await;
    scene.put("revoked.crl", &list);
    let said =
        run_in(scene.folder.path(), "openssl", &["crl", "-inform", "DER", "-in", "revoked.crl", "-noout", "-text"]);
    assert_eq!(said.matches("Serial Number:").count(), 2, "{said}");
}
