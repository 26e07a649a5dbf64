//! Controlled print copies: numbered, marked, noted, looked up by their code; and none of an unfinished contract.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use qz_evidence_pdf::{DocumentVerdict, TrustedRoots, examine};
use serde_json::{Value, json};
use std::process::Command;
use support::World;
use support::api::problem;
use support::party::Cast;

/// What every page shows, without spaces.
fn text_of(pdf: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.pdf");
    std::fs::write(&path, pdf).unwrap();
    let output = Command::new("pdftotext").arg("-layout").arg(&path).arg("-").output();
    let output = output.expect("pdftotext is needed for this test: apt-get install poppler-utils");
    let text = String::from_utf8(output.stdout).unwrap();
    let plain = |page: &str| page.split_whitespace().collect::<String>();
    text.split('\u{c}').map(plain).filter(|page| !page.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_are_numbered_marked_and_noted() {
    let world = World::start().await;
    let api = world.api();
    let cast = Cast::new(&world).await;
    let contract = cast.contract(&api).await;
    let path = format!("/v1/contracts/{contract}/print-copies");
    let wanted = json!({"printed_for": "上海样本精密仪器有限公司 周雅文", "purpose": "银行开户存档"});
    problem(&api.post(&path, &wanted).await, 409, "contract.not_completed");
    for (slot, party) in [(0, &cast.buyer), (1, &cast.person)] {
        let operation = support::party::prepare(&api, &contract, slot, &party.subject).await;
        party.carry_out(&api, &operation).await;
    }
    cast.completion(&api, &contract).await;

    let (original, headers) = api.bytes(&format!("/v1/contracts/{contract}/document")).await;
    let source = headers["x-sha256"].to_str().unwrap().to_owned();
    let first = api.create(&path, &wanted).await;
    let (status, again) = api.post_as("copy-2", &path, &wanted).await;
    assert_eq!((status, &again["number"]), (201, &json!(2)));
    assert_eq!(api.post_as("copy-2", &path, &wanted).await.1, again, "the same request makes no other copy");
    assert_eq!((&first["number"], &first["source_sha256"]), (&json!(1), &json!(source)));
    assert!(first["made"].as_str().unwrap().ends_with("+08:00"));
    assert_ne!(first["code"], again["code"]);
    for wrong in [json!({"printed_for": "", "purpose": "存档"}), json!({"printed_for": "甲"})] {
        assert_eq!(api.post(&path, &wrong).await.0, 422);
    }

    let (copy, headers) = api.bytes(&format!("{path}/1")).await;
    assert_eq!(headers["x-sha256"].to_str().unwrap(), first["sha256"]);
    let report = examine(&copy, &TrustedRoots::default());
    assert_eq!((report.verdict, report.signatures.len()), (DocumentVerdict::Unsigned, 0));
    let (pages, before) = (text_of(&copy), text_of(&original));
    assert_eq!(pages.len(), before.len());
    let code = first["code"].as_str().unwrap();
    for page in &pages {
        for said in
            ["打印件第1份", "非原件", "本件不含有效的电子签名", code, source.as_str(), "银行开户存档", "(UTC+8)"]
        {
            assert!(page.contains(said), "{said} is missing: {page}");
        }
    }
    problem(&api.get(&format!("{path}/3")).await, 404, "copy.unknown");

    let (_, log) = api.get(&path).await;
    assert_eq!(log["copies"], json!([first, again]));

    // Anybody who holds the paper: the code leads to what the parties made public, and to nothing else.
    let (status, found) = world.api_as("").get(&format!("/api/certificates/{code}")).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!((&found["kind"], &found["copy"], &found["public"]), (&json!("print-copy"), &json!(1), &json!({})));
    assert_eq!(found["issued_ms"], first["made_ms"]);
    let text = found.to_string();
    assert!(!text.contains("周雅文") && !text.contains("银行开户"), "{text}");
    let unknown = world.api_as("").get("/api/certificates/QZ-COPY-20261122-0000000000000000").await;
    assert_eq!(unknown.0, 404);
    let _: Value = unknown.1;
}
