//! Whole stories against a real ledger: signing after finality, crash between finality and PDF, refusals
//! by the ledger, tampered storage, certificate.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_evidence::hash::sha256;
use qz_evidence::verify::Verdict;
use qz_evidence_pdf::signatures;
use qz_verify::{Input, verify_any};
use serde_json::{Value, json};
use support::api::problem;
use support::party::{Cast, prepare, render};
use support::{Api, World, text};

async fn contract(api: &Api, subject: &str) -> Value {
    let (status, view) = api.get(&format!("/v1/contracts/{subject}")).await;
    assert_eq!(status, 200, "{view}");
    view
}

async fn signed_pdf(api: &Api, subject: &str) -> Vec<u8> {
    let (pdf, headers) = api.bytes(&format!("/v1/contracts/{subject}/document")).await;
    assert_eq!(headers["x-sha256"].to_str().unwrap(), sha256(&[&pdf]).to_string());
    pdf
}

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_completed_amended_fulfilled_certified() {
    let world = World::start().await;
    let api = world.api();
    let cast = Cast::new(&world).await;
    let subject = cast.completed(&api, &cast.plan()).await;

    let view = contract(&api, &subject).await;
    assert_eq!(view["status"], "completed");
    let pdf = signed_pdf(&api, &subject).await;
    assert_eq!(view["signed_document_sha256"], sha256(&[&pdf]).to_string());
    let found = signatures(&pdf).unwrap();
    assert_eq!(found.iter().map(|s| s.field.as_str()).collect::<Vec<_>>(), ["qz-slot-0", "qz-slot-1"]);
    assert!(found.iter().all(|signature| signature.cms_ok.is_ok()));

    let (proof, _) = api.bytes(&format!("/v1/contracts/{subject}/proof")).await;
    let genesis = world.genesis();
    let verify = |file: &[u8], proof| {
        verify_any(&Input { file, genesis: &genesis, proof, now_ms: now_ms(), witness_policy: None, tsa_roots: &[] })
    };
    let report = verify(&pdf, Some(&proof));
    assert_eq!(report.verdict, Verdict::ValidUnanchored, "{:?}", report.failed_step());

    let issued = api.create(&format!("/v1/contracts/{subject}/certificates"), &json!({})).await;
    let number = issued["number"].as_str().unwrap();
    assert!(number.starts_with("QZ-20") && number.len() == 16, "{number}");
    let (certificate, _) = api.bytes(issued["pdf_url"].as_str().unwrap()).await;
    assert_eq!(issued["sha256"], sha256(&[&certificate]).to_string());
    let report = verify(&certificate, None);
    assert_eq!(report.verdict, Verdict::ValidUnanchored, "{:?}", report.failed_step());
    let disclosed = |value: &str| report.disclosures.iter().any(|disclosure| disclosure.value == value);
    assert!(disclosed("周雅文") && disclosed("1*************1234"));
    assert!(!report.disclosures.iter().any(|disclosure| disclosure.value.contains("19900307")));

    let document = render(&api, "T-2").await;
    let mut plan = cast.plan();
    (plan["document"], plan["number"], plan["amends"]) = (document["id"].clone(), json!("T-2"), json!(subject));
    let amendment = cast.completed(&api, &plan).await;
    let operation = api.create(&format!("/v1/contracts/{subject}/amendments"), &json!({"amendment": amendment})).await;
    cast.buyer.carry_out(&api, &operation).await;

    let receipt = render(&api, "R-1").await;
    let step = json!({
        "key": cast.buyer.subject, "obligation": 1, "step": "performed", "description": "预付款",
        "receipt_document": receipt["id"],
    });
    let operation = api.create(&format!("/v1/contracts/{subject}/fulfilments"), &step).await;
    cast.buyer.carry_out(&api, &operation).await;
    // The same step again is refused by the ledger, and the refusal is handed on.
    let operation = api.create(&format!("/v1/contracts/{subject}/fulfilments"), &step).await;
    let refused = cast.buyer.conclude(&api, &operation).await;
    assert_eq!(refused["status"], "rejected");
    assert!(refused["error"]["code"].as_str().unwrap().contains("fulfilment"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_between_finality_and_pdf_resumes_the_same_digest() {
    let mut world = World::start_with(&[("QZ_FAILPOINT", "after_finality_before_pdf")]).await;
    let api = world.api();
    let cast = Cast::new(&world).await;
    let subject = cast.contract(&api).await;
    let operation = prepare(&api, &subject, 0, &cast.buyer.subject).await;
    let id = operation["id"].as_str().unwrap();
    cast.buyer.sign(&api, &operation).await;
    assert!(world.gateway_died().await, "the failpoint aborts");

    world.start_gateway(&[]).await;
    let settled = api.settled(id).await;
    assert_eq!((&settled["status"], &settled["followup"]["status"]), (&json!("final"), &json!("done")), "{settled}");
    let found = signatures(&signed_pdf(&api, &subject).await).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(operation["to_be_signed_sha256"], hex::encode(found[0].byte_range_digest));
    assert!(found[0].cms_ok.is_ok());

    // Killed at any other moment: it goes on, and nothing is doubled.
    let operation = prepare(&api, &subject, 1, &cast.person.subject).await;
    cast.person.sign(&api, &operation).await;
    world.kill_gateway();
    world.start_gateway(&[]).await;
    let settled = api.settled(operation["id"].as_str().unwrap()).await;
    assert_eq!(settled["followup"]["status"], "done", "{settled}");
    let view = contract(&api, &subject).await;
    api.settled(view["completion_operation"].as_str().unwrap()).await;
    assert_eq!(contract(&api, &subject).await["status"], "completed");
    assert_eq!(signatures(&signed_pdf(&api, &subject).await).unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_seal_signs_nothing() {
    let world = World::start().await;
    let api = world.api();
    let cast = Cast::new(&world).await;
    let subject = cast.contract(&api).await;
    let before = signed_pdf(&api, &subject).await;
    // Prepared while the seal was in force; the owner suspends it before the signature arrives.
    let operation = prepare(&api, &subject, 0, &cast.buyer.subject).await;
    let seal = format!("/v1/seals/{}", cast.buyer_seal);
    let suspend = api.create(&format!("{seal}/suspend"), &json!({"reason": "遗失"})).await;
    cast.buyer.carry_out(&api, &suspend).await;
    assert_eq!(api.get(&seal).await.1["status"], "suspended");

    let refused = cast.buyer.conclude(&api, &operation).await;
    assert_eq!((&refused["status"], &refused["error"]["code"]), (&json!("rejected"), &json!("seal.suspended")));
    assert_eq!(signed_pdf(&api, &subject).await, before);
    assert!(signatures(&before).unwrap().is_empty());
    let request = json!({"slot": 0, "key": cast.buyer.subject, "intent": "同意"});
    problem(&api.post(&format!("/v1/contracts/{subject}/signatures"), &request).await, 409, "seal.suspended");
    problem(&api.post(&format!("{seal}/suspend"), &json!({"reason": "再次"})).await, 409, "seal.suspended");

    // The contract was freed: once resumed, it can be signed.
    let resume = api.create(&format!("{seal}/resume"), &json!({"reason": "找回"})).await;
    cast.buyer.carry_out(&api, &resume).await;
    let operation = prepare(&api, &subject, 0, &cast.buyer.subject).await;
    assert_eq!(cast.buyer.carry_out(&api, &operation).await["followup"]["status"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_service_signs_only_what_the_record_commits_to() {
    let mut world = World::start_with(&[("QZ_FAILPOINT", "after_finality_before_pdf")]).await;
    let api = world.api();
    let cast = Cast::new(&world).await;
    let subject = cast.contract(&api).await;
    let operation = prepare(&api, &subject, 0, &cast.buyer.subject).await;
    let (id, digest) = (operation["id"].as_str().unwrap(), operation["to_be_signed_sha256"].as_str().unwrap());
    cast.buyer.sign(&api, &operation).await;
    assert!(world.gateway_died().await);
    // Somebody with access to the database wants another digest to be signed.
    world
        .sql(&format!(
            "UPDATE operations SET payload = replace(payload, '{digest}', '{}') WHERE id = '{id}'",
            "ab".repeat(32)
        ))
        .await;
    world.start_gateway(&[]).await;
    let settled = api.settled(id).await;
    assert_eq!((&settled["status"], &settled["followup"]["status"]), (&json!("final"), &json!("failed")), "{settled}");
    assert!(signatures(&signed_pdf(&api, &subject).await).unwrap().is_empty());
    let (_, jobs) = api.get("/v1/jobs?status=failed").await;
    let failed = jobs["jobs"].as_array().unwrap().iter().find(|job| job["reference"] == id);
    let job = failed.expect("listed")["id"].to_string();

    // An operator repairs it and has the job tried again.
    assert_eq!(world.stop_gateway(), Some(0));
    assert!(text(&world.admin(&["job", "list"])).contains(id));
    assert!(!world.admin(&["job", "retry", "999999"]).status.success());
    world
        .sql(&format!(
            "UPDATE operations SET payload = replace(payload, '{}', '{digest}') WHERE id = '{id}'",
            "ab".repeat(32)
        ))
        .await;
    world.start_gateway(&[]).await;
    let retried = world.admin(&["job", "retry", &job]);
    assert!(retried.status.success(), "{}", text(&retried));
    assert_eq!(api.settled(id).await["followup"]["status"], "done");
    let signed = signed_pdf(&api, &subject).await;
    assert_eq!(signatures(&signed).unwrap().len(), 1);
    problem(&api.upload(&signed).await, 422, "pdf.already_signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_signature_at_a_time_and_expiry() {
    let mut world = World::start().await;
    let api = world.api();
    let cast = Cast::new(&world).await;
    let mut plan = cast.plan();
    plan["slots"][1]["group"] = json!(1);
    let subject = cast.contract_of(&api, &plan).await;
    let signatures_path = format!("/v1/contracts/{subject}/signatures");
    let first = prepare(&api, &subject, 0, &cast.buyer.subject).await;
    let second = json!({"slot": 1, "key": cast.person.subject, "intent": "同意"});
    let busy = api.post(&signatures_path, &second).await;
    problem(&busy, 409, "contract.busy");
    assert_eq!(busy.1["operation"], first["id"]);
    assert!(busy.1["until_ms"].as_u64().unwrap() > now_ms());

    // A signature counts only on the revision that it was prepared from.
    let id = first["id"].as_str().unwrap();
    let other = render(&api, "T-9").await;
    assert_eq!(world.stop_gateway(), Some(0));
    world.sql(&format!("UPDATE contracts SET current_revision_id = '{}'", other["id"].as_str().unwrap())).await;
    world.start_gateway(&[]).await;
    let stale = api.sign(id, &cast.buyer.subject, &cast.buyer.signature(&first)).await;
    problem(&stale, 409, "contract.changed");
    assert_eq!(api.get(&format!("/v1/operations/{id}")).await.1["signed_by"], json!([]));

    // Sixteen minutes pass.
    assert_eq!(world.stop_gateway(), Some(0));
    world.sql("UPDATE contracts SET current_revision_id = NULL").await;
    let earlier = 16 * 60_000;
    for statement in [
        format!("UPDATE operations SET created_ms = created_ms - {earlier} WHERE id = '{id}'"),
        format!("UPDATE jobs SET run_after_ms = run_after_ms - {earlier} WHERE ref_id = '{id}'"),
        format!("UPDATE contracts SET busy_until_ms = busy_until_ms - {earlier}"),
    ] {
        world.sql(&statement).await;
    }
    world.start_gateway(&[]).await;
    let late = api.sign(id, &cast.buyer.subject, &cast.buyer.signature(&first)).await;
    problem(&late, 409, "operation.expired");
    assert_eq!(api.settled(id).await["status"], "expired");
    let operation = api.create(&signatures_path, &second).await;
    assert_eq!(cast.person.carry_out(&api, &operation).await["followup"]["status"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn declining_ends_it() {
    let world = World::start().await;
    let api = world.api();
    let cast = Cast::new(&world).await;
    let subject = cast.contract(&api).await;
    let request = json!({"slot": 0, "key": cast.buyer.subject, "reason": "价格有误"});
    let operation = api.create(&format!("/v1/contracts/{subject}/decline"), &request).await;
    cast.buyer.carry_out(&api, &operation).await;
    assert_eq!(contract(&api, &subject).await["status"], "declined");
    let sign = json!({"slot": 0, "key": cast.buyer.subject, "intent": "同意"});
    problem(&api.post(&format!("/v1/contracts/{subject}/signatures"), &sign).await, 409, "contract.state");
    // What a client sees in the openings is what the ledger commits to.
    let openings = operation["openings"].as_array().unwrap();
    let reason = openings.iter().find(|opening| opening["name"] == "description").unwrap();
    assert_eq!(BASE64.decode(reason["value"].as_str().unwrap()).unwrap(), "价格有误".as_bytes());
}
