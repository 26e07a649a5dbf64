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
    plan["slots"][0]["date"] = json!({"page": pages, "x_mm": 20.0, "y_mm": 60.0});
    problem(&api.post("/v1/contracts", &plan).await, 422, "field.outside");
    plan["slots"][0]["date"] = json!({"page": pages, "x_mm": 60.0, "y_mm": 60.0});
    plan["slots"][1]["straddle"] = json!({"edge": "left", "group": 3, "middle_mm": 100.0});
    // A caption that is asked for needs room; the usual one of a company's seal is left out where there is none.
    let at = plan["slots"][0]["field"].clone();
    plan["slots"][0]["field"]["y_mm"] = json!(22.0);
    plan["slots"][0]["caption"] = json!(true);
    problem(&api.post("/v1/contracts", &plan).await, 422, "field.outside");
    plan["slots"][0]["caption"] = json!(null);
    assert_eq!(api.create("/v1/contracts", &plan).await["contract"]["slots"][0]["caption"], false);
    plan["slots"][0]["field"] = at;
    plan["slots"][1]["caption"] = json!(true);
    let subject = cast.contract_of(&api, &plan).await;
    for (slot, party) in [(0_u8, &cast.buyer), (1, &cast.person)] {
        let operation = prepare(&api, &subject, slot, &party.subject).await;
        let positions: Value = serde_json::from_slice(&committed(&operation, "positions")).unwrap();
        assert_eq!(positions["field"], format!("qz-slot-{slot}"));
        assert_eq!(positions["straddle"].as_array().unwrap().len(), pages);
        assert_eq!(positions["date"].is_array(), slot == 0);
        let (below, caption) = (positions["y_mm"].as_f64().unwrap(), &positions["caption"]);
        assert!((caption[1].as_f64().unwrap() - (below - 9.5)).abs() < 0.011, "{positions}");
        assert_eq!((&caption[2], &caption[3]), (&json!(40.0), &json!(9.0)));
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
    let places: Vec<usize> = report.signatures.iter().map(|signature| signature.placements.len()).collect();
    assert_eq!(places, [2 + pages, 1 + pages], "the field, its slices, the date");
    report_on_the_seal(&world, &cast).await;
}

/// 用印授权与使用报告: every authorisation and use is in it, and it is signed.
async fn report_on_the_seal(world: &World, cast: &Cast) {
    let api = world.api();
    let seal = format!("/v1/seals/{}", cast.buyer_seal);
    let grant = json!({"key": cast.person.subject, "count": 3, "until": 1_000_000});
    let operation = api.create(&format!("{seal}/authorisations"), &grant).await;
    cast.buyer.carry_out(&api, &operation).await;
    let mut plan = cast.plan();
    plan["number"] = json!("T-2");
    plan["slots"].as_array_mut().unwrap().truncate(1);
    let subject = cast.contract_of(&api, &plan).await;
    let operation = prepare(&api, &subject, 0, &cast.person.subject).await;
    cast.person.carry_out(&api, &operation).await;
    for (what, reason) in [("suspend", "盘点印章"), ("resume", "盘点完毕")] {
        let operation = api.create(&format!("{seal}/{what}"), &json!({"reason": reason})).await;
        cast.buyer.carry_out(&api, &operation).await;
    }

    let (pdf, headers) = api.bytes(&format!("{seal}/report")).await;
    assert_eq!(headers["content-type"], "application/pdf");
    let report = examine(&pdf, &TrustedRoots::default());
    assert_eq!((report.verdict, report.signatures.len()), (DocumentVerdict::Intact, 1));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &pdf).unwrap();
    let output = std::process::Command::new("pdftotext").arg("-layout").arg(file.path()).arg("-").output();
    let output = output.expect("pdftotext is missing: apt-get install poppler-utils");
    let text: String = String::from_utf8_lossy(&output.stdout).split_whitespace().collect();
    for part in [
        "共6条，其中用印2次、授权1次",
        "周雅文",
        "3/1",
        "至第1000000块",
        "所有人自用",
        "授权1byauthorisation",
        "盘点印章",
        "盘点完毕",
        "T-2",
        "+08:00",
        "第1页共",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    // Whoever does not own the seal learns nothing of it.
    let made = world.admin(&["token", "create", "--name", "a stranger", "--account", "stranger"]);
    let token = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let (status, _) = world.api_as(&token).get(&format!("{seal}/report")).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn imprints_are_made_uploaded_looked_at_and_used() {
    let world = World::start().await;
    let api = world.api();
    let cast = Cast::new(&world).await;
    let invoice = json!({"form": "invoice", "name": support::party::BUYER, "id_code": "91110108MA00DEM14Q"});

    let headers = [("content-type", "application/json")];
    let preview = |body: Value| {
        let api = &api;
        async move { api.raw_bytes("POST", "/v1/imprints/preview", &headers, body.to_string().into_bytes()).await }
    };
    let (status, pdf, _) = preview(invoice.clone()).await;
    assert!(status == 200 && pdf.starts_with(b"%PDF-"), "{}", String::from_utf8_lossy(&pdf));
    for wrong in [
        json!({"form": "royal", "name": "甲"}),
        json!({"form": "invoice", "name": "甲公司", "id_code": "12"}),
        json!({"form": "contract", "name": "甲公司", "diameter_mm": 60.0}),
        json!({"form": "handwriting", "strokes": [], "width_mm": 30.0}),
        json!({"form": "date", "date": "2026-13-01"}),
    ] {
        assert_eq!(preview(wrong.clone()).await.0, 422, "{wrong}");
    }

    let upload = |media_type: &'static str, query: &'static str, body: &'static [u8]| {
        let api = &api;
        async move {
            let key = support::api::new_key();
            let headers = [("idempotency-key", key.as_str()), ("content-type", media_type)];
            api.raw("POST", &format!("/v1/imprints{query}"), &headers, body.to_vec()).await
        }
    };
    const SVG: &[u8] = br##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">
        <circle cx="20" cy="20" r="18" fill="none" stroke="#ce1218" stroke-width="1.2"/></svg>"##;
    const SCRIPT: &[u8] = b"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 4 4\"><script/></svg>";
    problem(&upload("image/svg+xml", "", SVG).await, 422, "imprint.width");
    problem(&upload("image/svg+xml", "?width_mm=40", SCRIPT).await, 422, "seal.text");
    problem(&upload("image/svg+xml", "?width_mm=400", SVG).await, 422, "seal.text");
    problem(&upload("image/png", "?width_mm=40", b"\x89PNG\r\n\x1a\nnothing").await, 422, "seal.text");
    problem(&upload("text/plain", "", b"a").await, 415, "imprint.media_type");
    let (status, made) = upload("image/svg+xml", "?width_mm=40", SVG).await;
    assert_eq!((status, &made["width_mm"], &made["height_mm"]), (201, &json!(40.0), &json!(40.0)), "{made}");

    // A seal with that imprint, one with a form, and forms that say something else than the owner's name.
    let request = support::party::seal_request(&cast.buyer.subject, support::party::BUYER);
    let with = |kind: &str, name: &str, value: Value| {
        let mut request = request.clone();
        request["kind"] = json!(kind);
        request[name] = value;
        request
    };
    let operation = api.create("/v1/seals", &with("official", "imprint", made["id"].clone())).await;
    let seal = operation["created_subject"].as_str().unwrap().to_owned();
    cast.buyer.carry_out(&api, &operation).await;
    let (_, view) = api.get(&format!("/v1/seals/{seal}")).await;
    assert_eq!(view["imprint_sha256"], made["sha256"]);
    assert_eq!(hex::encode(committed(&operation, commitment::name::IMPRINT)), made["sha256"].as_str().unwrap());

    let operation = api.create("/v1/seals", &with("invoice", "form", invoice.clone())).await;
    cast.buyer.carry_out(&api, &operation).await;
    let mut other = invoice.clone();
    other["name"] = json!(support::party::SELLER);
    problem(&api.post("/v1/seals", &with("invoice", "form", other)).await, 422, "seal.form");
    problem(&api.post("/v1/seals", &with("finance", "form", invoice)).await, 422, "seal.form");
    let contract = &cast.document["id"];
    problem(&api.post("/v1/seals", &with("official", "imprint", contract.clone())).await, 422, "imprint.unusable");
    problem(&api.post("/v1/seals", &with("official", "imprint", json!("nothing"))).await, 404, "document.unknown");
}
