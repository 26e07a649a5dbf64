//! Every route with bad input.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::process::Command;
use support::api::{new_key, problem};
use support::party::{Cast, Party, SELLER, prepare, seal_request};
use support::{Api, World, text};

const UNKNOWN: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
const UNKNOWN_ID: &str = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";

#[tokio::test(flavor = "multi_thread")]
async fn tokens() {
    let world = World::start().await;
    let paths = ["/v1/status", "/v1/keys/x", "/v1/contracts/x", "/v1/operations/x", "/v1/certificates/x", "/v1/jobs"];
    for path in paths {
        for token in ["", "qz_0000", &world.token[1..], &world.token.to_uppercase()] {
            problem(&world.api_as(token).get(path).await, 401, "token.invalid");
        }
    }
    // The token comes before the body is looked at.
    problem(&world.api_as("").upload(b"not a pdf").await, 401, "token.invalid");
    let other = world.create_token("other");
    assert_eq!(world.api_as(&other).get("/v1/status").await.0, 200);
    assert!(!world.admin(&["token", "create", "--name", "other"]).status.success(), "names are unique");
    assert!(world.admin(&["token", "revoke", "--name", "other"]).status.success());
    problem(&world.api_as(&other).get("/v1/status").await, 401, "token.invalid");
    assert!(!world.admin(&["token", "revoke", "--name", "other"]).status.success());
    let list = text(&world.admin(&["token", "list"]));
    assert!(list.contains("test") && list.contains("revoked") && !list.contains(&world.token), "{list}");
    // Nobody but the owner of the machine can read the token: only its hash is stored.
    let database = std::fs::read(world.path("gateway/gateway.sqlite")).unwrap();
    assert!(!database.windows(64).any(|window| window == &world.token.as_bytes()[3..]));
    assert_eq!(world.api_as("").get("/health").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn verifications() {
    let world = World::start().await;
    let api = world.api();
    let verify = async |pdf: &[u8]| {
        api.raw("POST", "/v1/verifications", &[("content-type", "application/pdf")], pdf.to_vec()).await
    };
    problem(&verify(b"hello").await, 415, "pdf.not_pdf");
    let text = support::party::render(&api, "T-2").await;
    let (pdf, _) = api.bytes(&format!("/v1/documents/{}", text["id"].as_str().unwrap())).await;
    let (status, answer) = verify(&pdf).await;
    assert_eq!((status, &answer["report"]["verdict"]), (200, &json!("unsigned")), "{answer}");
    assert_eq!(answer["platform"]["document"], text["id"]);
    // Nobody's file, signed by somebody else, and then altered.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../evidence/fuzz/corpus");
    let signed = std::fs::read(format!("{folder}/pdf/signed-twice.pdf")).unwrap();
    let (_, answer) = verify(&signed).await;
    assert_eq!(answer["report"]["verdict"], "intact", "{answer}");
    assert_eq!(answer["report"]["signatures"][0]["trust"]["state"], "unknown", "another CA's: {answer}");
    assert_eq!(answer["platform"], Value::Null);
    let swapped = std::fs::read(format!("{folder}/examined/shadow-hide-and-replace-root.pdf")).unwrap();
    let (_, answer) = verify(&swapped).await;
    assert_eq!(answer["report"]["verdict"], "changed", "{answer}");
    // Whoever uploads it for signing is told, and a covered text is refused.
    let (status, answer) = api.upload(&pdf).await;
    assert_eq!(status, 201);
    assert!(answer["warnings"].as_array().unwrap().iter().all(|warning| warning["grave"] == false), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents() {
    let world = World::start().await;
    let api = world.api();
    let good = support::party::render(&api, "T-1").await;
    let (pdf, headers) = api.bytes(&format!("/v1/documents/{}", good["id"].as_str().unwrap())).await;
    assert_eq!(headers["content-type"], "application/pdf");
    assert_eq!(api.upload(&pdf).await.0, 201);
    problem(&api.upload(b"hello").await, 415, "pdf.not_pdf");
    problem(&api.upload(b"").await, 415, "pdf.not_pdf");
    problem(&api.upload(&pdf[..pdf.len() / 2]).await, 422, "pdf.malformed");
    problem(&api.upload(&[b"junk\n", &pdf[..]].concat()).await, 422, "pdf.junk_before_header");
    let folder = tempfile::tempdir().unwrap();
    let (plain, locked) = (folder.path().join("plain.pdf"), folder.path().join("locked.pdf"));
    std::fs::write(&plain, &pdf).unwrap();
    let encrypted = Command::new("qpdf").args(["--encrypt", "", "o", "256", "--"]).args([&plain, &locked]).status();
    assert!(encrypted.expect("qpdf is installed").success());
    problem(&api.upload(&std::fs::read(&locked).unwrap()).await, 422, "pdf.encrypted");
    problem(&api.upload(&vec![b' '; (50 << 20) + 1]).await, 413, "body.too_large");
    let key = new_key();
    let wrong_type = [("idempotency-key", key.as_str()), ("content-type", "text/plain")];
    problem(&api.raw("POST", "/v1/documents", &wrong_type, pdf.clone()).await, 415, "pdf.not_pdf");
    let no_key = [("content-type", "application/pdf")];
    problem(&api.raw("POST", "/v1/documents", &no_key, pdf.clone()).await, 400, "idempotency.missing");
    problem(&api.get(&format!("/v1/documents/{UNKNOWN_ID}")).await, 404, "document.unknown");
    problem(&api.get("/v1/documents/..%2f..%2fetc").await, 404, "not_found");
    problem(&api.raw("PUT", "/v1/documents", &[], vec![]).await, 405, "method");

    let render = async |body: Value| api.post("/v1/documents/render", &body).await;
    problem(&render(json!({"template": "lease", "data": {}})).await, 422, "template.unknown");
    problem(&render(json!({"template": "receipt", "data": {"number": 1}})).await, 422, "template.data");
    problem(&render(json!({"template": "receipt"})).await, 422, "json.malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn json_and_idempotency() {
    let world = World::start().await;
    let api = world.api();
    let party = Party::unregistered(9);
    let request = party.registration("周雅文", "110101199003071234");
    let raw = async |body: &str| {
        let key = new_key();
        api.raw("POST", "/v1/keys", &[("idempotency-key", &key)], body.as_bytes().to_vec()).await
    };
    problem(&raw("{").await, 400, "json.malformed");
    problem(&raw("[]").await, 422, "json.malformed");
    problem(&raw("\u{0}").await, 400, "json.malformed");
    problem(&raw(&"[".repeat(10_000)).await, 422, "json.malformed");
    problem(&raw(&" ".repeat(300_000)).await, 413, "body.too_large");
    let mut extra = request.clone();
    extra["surprise"] = json!(1);
    problem(&api.post("/v1/keys", &extra).await, 422, "json.malformed");

    let first = api.post_as("same", "/v1/keys", &request).await;
    assert_eq!(first.0, 201, "{}", first.1);
    assert_eq!(api.post_as("same", "/v1/keys", &request).await, first, "the stored answer is replayed");
    let mut other = request.clone();
    other["name"] = json!("周文雅");
    problem(&api.post_as("same", "/v1/keys", &other).await, 422, "idempotency.mismatch");
    // Another token has keys of its own.
    let second = world.api_as(&world.create_token("second")).post_as("same", "/v1/keys", &request).await;
    assert_eq!(second.0, 201);
    assert_ne!(second.1["id"], first.1["id"]);
    problem(&api.post_as(&"k".repeat(129), "/v1/keys", &request).await, 400, "idempotency.missing");
    // A refused request does not use its key up.
    let mut bad = request.clone();
    bad["name"] = json!("");
    problem(&api.post_as("retry", "/v1/keys", &bad).await, 422, "field.text");
    assert_eq!(api.post_as("retry", "/v1/keys", &request).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_signatures() {
    let world = World::start().await;
    let api = world.api();
    let party = Party::unregistered(9);
    let with = |name: &str, value: Value| {
        let mut request = party.registration("周雅文", "110101199003071234");
        request[name] = value;
        request
    };
    let small_order = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (name, value, code) in [
        ("algorithm", json!("rsa"), "key.algorithm"),
        ("public_key", json!("!"), "key.malformed"),
        ("public_key", json!("AAAA"), "key.malformed"),
        ("public_key", json!(small_order), "key.malformed"),
        ("name", json!("甲\n乙"), "field.text"),
        ("name", json!("甲".repeat(61)), "field.text"),
        ("id_code", json!("12"), "id_code.form"),
        ("identity_check", json!(""), "field.text"),
    ] {
        problem(&api.post("/v1/keys", &with(name, value)).await, 422, code);
    }
    problem(&api.get(&format!("/v1/keys/{UNKNOWN}")).await, 404, "not_found");
    problem(&api.get("/v1/keys/short").await, 404, "not_found");

    let operation = api.create("/v1/keys", &with("name", json!("周雅文"))).await;
    let (id, subject) = (operation["id"].as_str().unwrap(), operation["created_subject"].as_str().unwrap());
    assert_eq!(api.get(&format!("/v1/keys/{subject}")).await.1["status"], "pending");
    let good = party.signature(&operation);
    let mut flipped = good;
    flipped[0] ^= 1;
    problem(&api.sign(id, subject, &flipped).await, 422, "signature.invalid");
    problem(&api.sign(id, subject, &[]).await, 422, "signature.invalid");
    problem(&api.sign(id, UNKNOWN, &good).await, 404, "key.unknown");
    problem(&api.sign(UNKNOWN_ID, subject, &good).await, 404, "not_found");
    problem(&api.sign("x", subject, &good).await, 404, "not_found");
    let other = Party::unregistered(8);
    problem(&api.sign(id, subject, &other.signature(&operation)).await, 422, "signature.invalid");
    assert_eq!(api.sign(id, subject, &good).await.0, 200);
    assert_eq!(api.sign(id, subject, &good).await.1["signed_by"], json!([subject]), "the same again changes nothing");
    assert_eq!(api.get(&format!("/v1/operations/{id}")).await.1["status"], "awaiting_signatures");
    problem(&api.get(&format!("/v1/operations/{UNKNOWN_ID}")).await, 404, "not_found");
    assert_eq!(api.get(&format!("/v1/operations/{id}?wait=abc")).await.0, 400);
    let settled = support::party::attest(&world, &operation).await;
    assert_eq!(settled["status"], "final");
    problem(&api.sign(id, subject, &flipped).await, 409, "operation.state");
    let (_, key) = api.get(&format!("/v1/keys/{subject}")).await;
    assert_eq!((&key["status"], &key["id_code"]), (&json!("active"), &json!("1*************1234")));
    assert!(key["identity_check"].as_str().unwrap().contains("演示核验"));
}

#[tokio::test(flavor = "multi_thread")]
async fn seals_and_contracts() {
    let world = World::start().await;
    let api = world.api();
    let cast = Cast::new(&world).await;
    seals(&api, &cast).await;
    plans(&api, &cast).await;

    let subject = cast.contract(&api).await;
    let path = |what: &str| format!("/v1/contracts/{subject}/{what}");
    for (what, body) in [
        ("signatures", json!({"slot": 0, "key": cast.buyer.subject, "intent": "同意"})),
        ("decline", json!({"slot": 0, "key": cast.buyer.subject, "reason": "否"})),
        ("fix", json!({})),
        ("certificates", json!({})),
    ] {
        let unknown = format!("/v1/contracts/{UNKNOWN}/{what}");
        problem(&api.post(&unknown, &body).await, 404, "contract.unknown");
    }
    problem(&api.post(&path("burn"), &json!({})).await, 404, "not_found");
    problem(&api.post(&path("certificates"), &json!({})).await, 409, "contract.state");
    problem(&api.post(&path("amendments"), &json!({"amendment": UNKNOWN})).await, 409, "contract.state");
    let step = json!({"key": cast.buyer.subject, "obligation": 1, "step": "due", "description": "x"});
    problem(&api.post(&path("fulfilments"), &step).await, 409, "contract.state");
    let sign = async |slot: u16, key: &str, intent: &str| {
        api.post(&path("signatures"), &json!({"slot": slot, "key": key, "intent": intent})).await
    };
    problem(&sign(0, &cast.person.subject, "同意").await, 403, "slot.foreign");
    problem(&sign(1, &cast.person.subject, "同意").await, 409, "slot.order");
    problem(&sign(7, &cast.person.subject, "同意").await, 404, "slot.unknown");
    problem(&sign(300, &cast.person.subject, "同意").await, 422, "json.malformed");
    problem(&sign(0, UNKNOWN, "同意").await, 404, "key.unknown");
    problem(&sign(0, &cast.buyer.subject, "").await, 422, "field.text");
    let operation = prepare(&api, &subject, 0, &cast.buyer.subject).await;
    // Another party's signature does not do.
    let id = operation["id"].as_str().unwrap();
    let foreign = cast.person.signature(&operation);
    problem(&api.sign(id, &cast.person.subject, &foreign).await, 403, "actor.not_required");
    problem(&api.sign(id, &cast.buyer.subject, &foreign).await, 422, "signature.invalid");
    cast.buyer.carry_out(&api, &operation).await;
    problem(&sign(0, &cast.buyer.subject, "同意").await, 409, "slot.signed");
    problem(&api.post(&path("fix"), &json!({})).await, 409, "contract.partly_signed");
    problem(&api.get("/v1/certificates/QZ-2026-AAAAAAAA").await, 404, "not_found");
    problem(&api.get("/v1/jobs").await, 422, "query.status");
    assert_eq!(api.get("/v1/jobs?status=failed").await.1, json!({"jobs": []}));
    // A seal may be used by a key that its owner has authorised.
    authorised_key(&api, &cast).await;
}

async fn seals(api: &Api, cast: &Cast) {
    let good = seal_request(&cast.buyer.subject, support::party::BUYER);
    let with = |name: &str, value: Value| {
        let mut request = good.clone();
        request[name] = value;
        request
    };
    problem(&api.post("/v1/seals", &with("company_name", json!(SELLER))).await, 422, "seal.owner_name");
    problem(&api.post("/v1/seals", &with("owner", json!(UNKNOWN))).await, 404, "key.unknown");
    problem(&api.post("/v1/seals", &with("owner", json!("x"))).await, 422, "json.malformed");
    problem(&api.post("/v1/seals", &with("kind", json!("royal"))).await, 422, "json.malformed");
    problem(&api.post("/v1/seals", &with("bottom_text", json!("章".repeat(11)))).await, 422, "seal.text");
    problem(&api.post("/v1/seals", &with("name", json!(""))).await, 422, "field.text");
    let seal = format!("/v1/seals/{}", cast.buyer_seal);
    problem(&api.post(&format!("{seal}/resume"), &json!({"reason": "x"})).await, 409, "seal.active");
    problem(&api.post(&format!("{seal}/suspend"), &json!({})).await, 422, "json.malformed");
    problem(&api.post(&format!("{seal}/melt"), &json!({"reason": "x"})).await, 404, "not_found");
    problem(&api.post(&format!("/v1/seals/{UNKNOWN}/suspend"), &json!({"reason": "x"})).await, 404, "not_found");
    let empty = json!({"key": cast.person.subject, "count": 0, "until": null});
    problem(&api.post(&format!("{seal}/authorisations"), &empty).await, 422, "authorisation.empty");
    problem(&api.get(&format!("/v1/seals/{UNKNOWN}")).await, 404, "not_found");
    let (imprint, _) = api.bytes(&format!("{seal}/imprint")).await;
    assert!(imprint.starts_with(b"%PDF-"));
    let (certificate, headers) = api.bytes(&format!("{seal}/certificate")).await;
    assert_eq!((certificate[0], headers["content-type"].to_str().unwrap()), (0x30, "application/pkix-cert"));
}

async fn plans(api: &Api, cast: &Cast) {
    let good = cast.plan();
    let check = async |change: &dyn Fn(&mut Value), status: u16, code: &str| {
        let mut plan = good.clone();
        change(&mut plan);
        problem(&api.post("/v1/contracts", &plan).await, status, code);
    };
    check(&|p| p["title"] = json!(""), 422, "field.text").await;
    check(&|p| p["document"] = json!(UNKNOWN_ID), 404, "document.unknown").await;
    check(&|p| p["document"] = json!("../x"), 404, "document.unknown").await;
    check(&|p| p["initiator"] = json!(UNKNOWN), 404, "key.unknown").await;
    check(&|p| p["slots"] = json!([]), 422, "slots.count").await;
    check(&|p| p["slots"][0]["role"] = json!(5), 422, "slot.role").await;
    check(&|p| p["slots"][0]["subject"] = json!(UNKNOWN), 404, "seal.unknown").await;
    check(&|p| p["slots"][1]["subject"] = json!(UNKNOWN), 404, "key.unknown").await;
    check(&|p| p["slots"][0]["field"]["page"] = json!(99), 422, "field.page").await;
    // By words of the document: one place, or the one that was asked for.
    check(&|p| p["slots"][0]["field"] = json!(null), 422, "slot.place").await;
    check(&|p| p["slots"][0]["anchor"] = json!({"text": "单位名称"}), 422, "slot.place").await;
    let by_words = |words: Value| {
        move |p: &mut Value| {
            p["slots"][0]["field"] = json!(null);
            p["slots"][0]["anchor"] = words.clone();
        }
    };
    check(&by_words(json!({"text": "没有这样的文字"})), 422, "anchor.unknown").await;
    check(&by_words(json!({"text": "单位名称（盖章）"})), 422, "anchor.ambiguous").await;
    check(&by_words(json!({"text": "单位名称（盖章）", "occurrence": 3})), 422, "anchor.occurrence").await;
    check(&by_words(json!({"text": " "})), 422, "anchor.unusable").await;
    let mut plan = cast.plan();
    by_words(json!({"text": "单位名称（盖章）", "occurrence": 2, "dx_mm": 30.0, "dy_mm": -10.0}))(&mut plan);
    let opened = api.create("/v1/contracts", &plan).await;
    let (field, first) = (&opened["contract"]["slots"][0]["field"], &cast.plan()["slots"][0]["field"]);
    assert_eq!(field["page"], first["page"], "the page of signatures");
    assert!(field["x_mm"].as_f64().unwrap() > first["x_mm"].as_f64().unwrap() + 40.0, "the right column: {field}");
    check(&|p| p["slots"][0]["field"]["x_mm"] = json!(205.0), 422, "field.outside").await;
    check(&|p| p["rules"] = json!([{"group": 1, "required": 2}]), 422, "rules.invalid").await;
    check(&|p| p["amends"] = json!(UNKNOWN), 404, "contract.unknown").await;
    problem(&api.get(&format!("/v1/contracts/{UNKNOWN}")).await, 404, "contract.unknown");
    problem(&api.get(&format!("/v1/contracts/{UNKNOWN}/document")).await, 404, "contract.unknown");
}

async fn authorised_key(api: &Api, cast: &Cast) {
    let mut plan = cast.plan();
    plan["slots"].as_array_mut().unwrap().truncate(1);
    let subject = cast.contract_of(api, &plan).await;
    let sign =
        json!({"slot": 0, "key": cast.person.subject, "intent": "同意", "handler": "周雅文", "authority": "授权书"});
    let path = format!("/v1/contracts/{subject}/signatures");
    problem(&api.post(&path, &sign).await, 403, "slot.foreign");
    let grant = json!({"key": cast.person.subject, "count": 1, "until": null});
    let operation = api.create(&format!("/v1/seals/{}/authorisations", cast.buyer_seal), &grant).await;
    cast.buyer.carry_out(api, &operation).await;
    let operation = api.create(&path, &sign).await;
    assert_eq!(cast.person.carry_out(api, &operation).await["followup"]["status"], "done");
}

/// Every operation of the OpenAPI document exists: without a token it answers 401, not 404 or 405; what
/// needs no token looks at the body.
#[tokio::test(flavor = "multi_thread")]
async fn the_openapi_document_names_real_routes() {
    let world = World::start().await;
    let api = world.api_as("");
    let (status, document) = api.get("/v1/openapi.json").await;
    assert_eq!((status, document["openapi"].as_str()), (200, Some("3.1.0")));
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{subject}", UNKNOWN).replace("{id}", UNKNOWN_ID);
        let path = path.replace("{number}", "QZ-1").replace("{copy}", "1").replace("{slot}", "0");
        for method in methods.as_object().unwrap().keys() {
            let answer = api.raw(&method.to_uppercase(), &path, &[], vec![]).await;
            // Courts have no token of this gateway: what entitles them is the request that they sign.
            match methods[method]["security"].as_array() {
                Some(none) if none.is_empty() => problem(&answer, 422, "retrieval.request"),
                _ => problem(&answer, 401, "token.invalid"),
            }
            operations += 1;
        }
    }
    assert_eq!(operations, 48);
    for (path, method) in [
        ("/v1/operations/{id}", "get"),
        ("/v1/certificates/{number}/status", "get"),
        ("/v1/contracts/{subject}/certificates", "post"),
    ] {
        let parameters = document["paths"][path][method]["parameters"].as_array().unwrap();
        let wait = parameters.iter().find(|one| one["name"] == "wait").unwrap();
        assert_eq!((&wait["in"], &wait["schema"]["maximum"]), (&json!("query"), &json!(60)), "{path}");
    }
    let key = &document["paths"]["/v1/keys"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert!(key["required"].as_array().unwrap().contains(&json!("public_key")), "{key}");
}

#[tokio::test(flavor = "multi_thread")]
async fn portal_and_server() {
    let world = World::start().await;
    let api = world.api_as("");
    for path in ["/", "/verify", "/verify?no=QZ-2026-ABCDEFGH"] {
        let (page, headers) = api.bytes(path).await;
        assert!(String::from_utf8_lossy(&page).to_lowercase().contains("<!doctype html>"));
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
    assert_eq!(api.bytes("/portal/genesis.qz").await.0, world.genesis());
    for path in
        ["/assets/../index.html", "/assets/%2e%2e/index.html", "/gateway.json", "/assets/none.js", "/v1/nothing"]
    {
        assert_eq!(api.get(path).await.0, 404, "{path}");
    }
    let second = world.second_gateway();
    assert_eq!(second.status.code(), Some(2), "{}", text(&second));
    assert!(text(&second).contains("in use"), "{}", text(&second));
    let organisation = world.path("platform");
    let again = world.admin(&["init", "--organisation", organisation.to_str().unwrap()]);
    assert!(!again.status.success() && text(&again).contains("initialised already"), "{}", text(&again));
    slow_headers(&world).await;
}

/// A client that never finishes its headers is cut off, and does not keep others from being served.
async fn slow_headers(world: &World) {
    let address =
        world.api().get("/v1/status").await.1["portal_url"].as_str().unwrap().replace("http://localhost", "127.0.0.1");
    let connection = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").unwrap();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).unwrap();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).map(|_| answer)
    });
    assert_eq!(world.api().get("/v1/status").await.0, 200);
    assert!(connection.await.unwrap().is_ok(), "the gateway closed it within thirty seconds");
}
