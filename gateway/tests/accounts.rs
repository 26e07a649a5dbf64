//! Whose token sees what: parties see their contracts, others get 404 for whatever they ask about them, and
//! an operator's token sees all.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use serde_json::{Value, json};
use support::api::problem;
use support::party::{BUYER, Cast, Party, prepare, render};
use support::{Api, World, text};

fn account_token(world: &World, account: &str) -> String {
    let made = world.admin(&["token", "create", "--name", &format!("token of {account}"), "--account", account]);
    assert!(made.status.success(), "{}", text(&made));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// A party whose key its own account's token registers.
async fn party(world: &mut World, token: &str, seed: u8, name: &str, id_code: &str) -> Party {
    let before = std::mem::replace(&mut world.token, token.to_owned());
    let party = Party::register(world, seed, name, id_code).await;
    world.token = before;
    party
}

async fn sees(api: &Api, path: &str) {
    let (status, _, _) = api.raw_bytes("GET", path, &[], vec![]).await;
    assert_eq!(status, 200, "{path}");
}

async fn does_not_see(api: &Api, path: &str) {
    let (status, body) = api.get(path).await;
    assert_eq!(status, 404, "{path}: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_sees_its_own_contracts_and_no_others() {
    let mut world = World::start().await;
    let [buyers, persons, strangers] = ["buyer-co", "person", "stranger"].map(|account| account_token(&world, account));
    let buyer = party(&mut world, &buyers, 1, BUYER, "91110108MA00DEM14Q").await;
    let person = party(&mut world, &persons, 2, "周雅文", "110101199003071234").await;
    party(&mut world, &strangers, 3, "陌生人", "110101199003071234").await;
    let [operator, buyers, persons, strangers] =
        [world.token.clone(), buyers, persons, strangers].map(|token| world.api_as(&token));

    let buyer_seal = buyer.seal(&buyers, BUYER).await;
    let cast = Cast { document: render(&buyers, "T-1").await, buyer, buyer_seal, person };
    let contract = cast.contract_of(&buyers, &cast.plan()).await;
    let signing = prepare(&buyers, &contract, 0, &cast.buyer.subject).await;
    cast.buyer.carry_out(&buyers, &signing).await;
    // The other party signs by its own token.
    let signing = prepare(&persons, &contract, 1, &cast.person.subject).await;
    cast.person.carry_out(&persons, &signing).await;
    let (_, view) = persons.get(&format!("/v1/contracts/{contract}")).await;
    assert_eq!(persons.settled(view["completion_operation"].as_str().unwrap()).await["status"], "final");
    // A copy that one party had made is in the log of both.
    let copy = json!({"printed_for": "周雅文", "purpose": "存档"});
    persons.create(&format!("/v1/contracts/{contract}/print-copies"), &copy).await;
    let issued = persons.create(&format!("/v1/contracts/{contract}/certificates"), &json!({})).await;

    let path = |part: &str| format!("/v1/contracts/{contract}{part}");
    let (pdf, status) = (issued["pdf_url"].as_str().unwrap(), issued["status_url"].as_str().unwrap());
    let operation = format!("/v1/operations/{}", signing["id"].as_str().unwrap());
    let of_contract = [
        path(""),
        path("/document"),
        path("/proof"),
        path("/events"),
        path("/publication"),
        path("/print-copies"),
        path("/seal-signatures"),
        path("/print-copies/1"),
        pdf.to_owned(),
        status.to_owned(),
        operation.clone(),
    ];
    for path in &of_contract {
        for api in [&operator, &buyers, &persons] {
            sees(api, path).await;
        }
        does_not_see(&strangers, path).await;
    }
    // What one party brought is not the other's.
    let document = format!("/v1/documents/{}", cast.document["id"].as_str().unwrap());
    let (key, seal) = (format!("/v1/keys/{}", cast.buyer.subject), format!("/v1/seals/{}", cast.buyer_seal));
    for path in [&document, &key, &seal, &format!("{seal}/imprint"), &format!("{seal}/certificate")] {
        sees(&operator, path).await;
        sees(&buyers, path).await;
        for api in [&persons, &strangers] {
            does_not_see(api, path).await;
        }
    }

    // Nor can a stranger do anything about it, or learn that it exists.
    let key = &cast.person.subject;
    let acts: [(&str, Value); 8] = [
        ("fix", json!({})),
        ("signatures", json!({"slot": 1, "key": key, "intent": "同意"})),
        ("decline", json!({"slot": 1, "key": key, "reason": "不同意"})),
        ("amendments", json!({"amendment": contract})),
        ("fulfilments", json!({"key": key, "obligation": 1, "step": "due", "description": "到期"})),
        ("disputes", json!({"key": key, "forum": "notary", "reason": "争议"})),
        ("certificates", json!({})),
        ("print-copies", copy),
    ];
    for (what, body) in &acts {
        problem(&strangers.post(&path(&format!("/{what}")), body).await, 404, "contract.unknown");
    }
    let decision = json!({"reason": "停用"});
    assert_eq!(strangers.post(&format!("{seal}/suspend"), &decision).await.0, 404);
    let (status, _) = strangers.sign(signing["id"].as_str().unwrap(), key, &cast.person.signature(&signing)).await;
    assert_eq!(status, 404);
    let mut plan = cast.plan();
    plan["initiator"] = json!(key);
    problem(&strangers.post("/v1/contracts", &plan).await, 404, "document.unknown");
    plan["document"] = render(&strangers, "T-9").await["id"].clone();
    plan["amends"] = json!(contract);
    problem(&strangers.post("/v1/contracts", &plan).await, 404, "contract.unknown");
    problem(&strangers.get("/v1/jobs?status=failed").await, 403, "operator.only");
    sees(&operator, "/v1/jobs?status=failed").await;
    problem(&strangers.get("/metrics").await, 403, "operator.only");
    let (metrics, headers) = operator.bytes("/metrics").await;
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(headers["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}: {metrics}")).parse::<u64>().unwrap()
    };
    assert!(value("qizheng_gateway_ledger_height") > 0);
    assert_eq!(value("qizheng_gateway_ledger_reachable"), 1);
    assert!(value("qizheng_gateway_submissions_total{outcome=\"final\"}") > 0);
    assert!(value("qizheng_gateway_requests_total{route=\"jobs\",status=\"403\"}") > 0);
    assert!(value("qizheng_gateway_request_seconds_count{route=\"contracts\"}") > 0);
    assert!(metrics.ends_with("# EOF\n") && !metrics.contains(support::party::BUYER), "{metrics}");
    sees(&strangers, "/v1/status").await;

    // An operator can put a key into an account, whose tokens then see its contracts.
    let assigned = world.admin(&["assign", "--account", "stranger", "--key", &cast.buyer.subject]);
    assert!(assigned.status.success(), "{}", text(&assigned));
    sees(&strangers, &path("")).await;
    does_not_see(&buyers, &seal).await;
    assert!(!world.admin(&["assign", "--account", "x", "--key", &"0".repeat(64)]).status.success());
    let listed = text(&world.admin(&["token", "list"]));
    assert!(listed.contains("buyer-co") && listed.contains("运营方"), "{listed}");
}
