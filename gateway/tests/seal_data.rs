//! Seal data of GB/T 38540 for new seals: exported, verified by the command line, and absent where they were not
//! asked for.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Command, Output};
use support::api::problem;
use support::party::{BUYER, Party};
use support::{World, text};

fn verify(file: &Path, root: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qz-gateway"));
    command.args(["seal-data", "verify"]).arg(file).arg("--root").arg(root).args(more).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn new_seals_have_data() {
    let mut world = World::start_configured(&[], |_| vec!["--seal-data".into()]).await;
    let api = world.api();
    let buyer = Party::register(&world, 1, BUYER, "91110108MA00DEM14Q").await;
    let seal = buyer.seal(&api, BUYER).await;
    let (esl, _) = api.bytes(&format!("/v1/seals/{seal}/esl")).await;
    let (file, root) = (world.path("seal.esl"), world.path("gateway/demo-ca.pem"));
    std::fs::write(&file, &esl).unwrap();

    let held = verify(&file, &root, &[]);
    assert!(held.status.success(), "{}", text(&held));
    let report: serde_json::Value = serde_json::from_slice(&held.stdout).unwrap();
    assert_eq!((report["verdict"].as_str(), report["kind"].as_str()), (Some("holds"), Some("seal")));
    assert_eq!(report["id"], seal.as_str());
    assert_eq!(report["name"], format!("{BUYER}合同专用章"));
    assert_eq!((&report["type"], &report["signers"]), (&2.into(), &1.into()));
    assert!(report["maker"].as_str().unwrap().contains("制章"), "{report}");
    assert!(report["picture"]["bytes"].as_u64().unwrap() > 1000 && report["picture"]["format"] == "PNG", "{report}");
    assert_eq!(report["picture"]["width_mm"], 40);

    // With the revocation list of the CA its standing is known; long past its end the seal is refused.
    let (list, _) = api.bytes("/ca/revoked.crl").await;
    let crl = world.path("revoked.crl");
    std::fs::write(&crl, list).unwrap();
    let known = verify(&file, &root, &["--crl", &crl.to_string_lossy()]);
    assert!(text(&known).contains("\"revocation_known\": true"), "{}", text(&known));
    let late = verify(&file, &root, &["--at", "2046-01-01T00:00:00Z"]);
    assert!(!late.status.success() && text(&late).contains("有效期"), "{}", text(&late));

    let mut flipped = esl.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let wrong = world.path("flipped.esl");
    std::fs::write(&wrong, flipped).unwrap();
    assert!(!verify(&wrong, &root, &[]).status.success());
    let no_signature = verify(&file, &root, &["--document", &root.to_string_lossy()]);
    assert!(!no_signature.status.success(), "a seal is no signature");

    // The same maker after a restart.
    let maker = std::fs::read(world.path("gateway/seal-maker.json")).unwrap();
    assert_eq!(world.stop_gateway(), Some(0));
    world.start_gateway(&[]).await;
    assert_eq!(std::fs::read(world.path("gateway/seal-maker.json")).unwrap(), maker);
    assert_eq!(world.api().bytes(&format!("/v1/seals/{seal}/esl")).await.0, esl);

    // Switched off: seals made from now on have none, the others keep theirs.
    assert_eq!(world.stop_gateway(), Some(0));
    let path = world.path("gateway/gateway.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config.as_object_mut().unwrap().remove("seal_data").unwrap();
    std::fs::write(&path, config.to_string()).unwrap();
    world.start_gateway(&[]).await;
    let api = world.api();
    let plain = buyer.seal(&api, BUYER).await;
    problem(&api.get(&format!("/v1/seals/{plain}/esl")).await, 404, "seal.no_data");
    api.bytes(&format!("/v1/seals/{seal}/esl")).await;
}
