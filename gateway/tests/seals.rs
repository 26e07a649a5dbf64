//! Seals through the gateway's own doors: cross-page seals 骑缝章 of two signers, bound to the record.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use qz_evidence::commitment::Opening;
use qz_evidence::hash::sha256;
use qz_evidence::{Hash32, commitment};
use qz_evidence_pdf::{DocumentVerdict, TrustedRoots, examine};
use serde_json::{Value, json};
use support::api::problem;
use support::party::{Cast, body_of, prepare};
use support::{Api, World};

/// A contract of several pages.
async fn render_long(api: &Api) -> Value {
    let party = |role: &str, name: &str| {
        json!({
            "role": role, "name": name, "id_code": "91110108MA00DEM14Q", "legal_representative": "李明远",
            "handler": "陈思齐", "address": "北京市", "phone": "010-5555 0108", "bank": "示例银行 1100 0108",
        })
    };
    let clause = json!({"heading": "标的", "text": "乙方向甲方供货，甲方按约付款。".repeat(12)});
    let data = json!({
        "title": "设备采购合同", "number": "T-30", "preamble": "甲乙双方经协商一致，订立本合同。",
        "parties": [party("甲方", support::party::BUYER), party("乙方", support::party::SELLER)],
        "clauses": vec![clause; 40], "items": [], "payments": [], "amount": "人民币贰元整（¥2.00）",
        "sign_date": "2026年11月22日", "place": "北京", "created_ms": 1_795_312_800_000_i64,
    });
    api.create("/v1/documents/render", &json!({"template": "procurement", "data": data})).await
}

/// What the record commits to under this name, opened.
fn committed(operation: &Value, name: &str) -> Vec<u8> {
    let openings = operation["openings"].as_array().unwrap();
    let opening = openings.iter().find(|opening| opening["name"] == name).unwrap();
    let salt = Hash32::from_hex(opening["salt"].as_str().unwrap()).unwrap();
    let opening = Opening::new(name, salt.0, BASE64.decode(opening["value"].as_str().unwrap()).unwrap());
    assert_eq!(body_of(operation).commitment(name), Some(&opening.commitment().hash));
    opening.value.0
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cross_page_seals_over_many_pages() {
    let world = World::start().await;
    let api = world.api();
    let mut cast = Cast::new(&world).await;
    // The sample contract has one sheet when it is printed on both sides.
    let mut plan = cast.plan();
    plan["slots"][0]["straddle"] = json!({"sides": "double"});
    problem(&api.post("/v1/contracts", &plan).await, 422, "straddle.single");
    plan["slots"][0]["straddle"] = json!({"edge": "inner"});
    problem(&api.post("/v1/contracts", &plan).await, 422, "json.malformed");

    cast.document = render_long(&api).await;
    let pages = cast.document["pages"].as_array().unwrap().len();
    assert!(pages > 4, "{pages}");
    let mut plan = cast.plan();
    plan["slots"][0]["straddle"] = json!({});
    plan["slots"][1]["straddle"] = json!({"edge": "left", "group": 3, "middle_mm": 100.0});
    let subject = cast.contract_of(&api, &plan).await;
    for (slot, party) in [(0_u8, &cast.buyer), (1, &cast.person)] {
        let operation = prepare(&api, &subject, slot, &party.subject).await;
        let positions: Value = serde_json::from_slice(&committed(&operation, "positions")).unwrap();
        assert_eq!(positions["field"], format!("qz-slot-{slot}"));
        assert_eq!(positions["straddle"].as_array().unwrap().len(), pages);
        assert_eq!(
            hex::encode(committed(&operation, commitment::name::TO_BE_SIGNED)),
            operation["to_be_signed_sha256"].as_str().unwrap()
        );
        let settled = party.carry_out(&api, &operation).await;
        assert_eq!(settled["followup"]["status"], "done", "{settled}");
    }
    let view = cast.completion(&api, &subject).await;
    let (pdf, _) = api.bytes(&format!("/v1/contracts/{subject}/document")).await;
    assert_eq!(view["signed_document_sha256"], sha256(&[&pdf]).to_string());
    let report = examine(&pdf, &TrustedRoots::default());
    assert_eq!(report.verdict, DocumentVerdict::Intact, "{:?}", report.signatures);
    assert_eq!(report.signatures.len(), 2);
    for signature in &report.signatures {
        assert_eq!(signature.placements.len(), 1 + pages, "the field and its slices");
    }
}
