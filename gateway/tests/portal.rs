//! The public portal: state proofs, look-up by number with the parties' consents, limits, the single file,
//! and the role that has no signing key.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::Signer;
use qz_domain::publication::{Consent, PublicField};
use qz_evidence::genesis::Genesis;
use qz_evidence::hash::sha256;
use qz_evidence::{Hash32, Height, SubjectId};
use qz_verify::TrustInputs;
use qz_verify::later::{Known, Outcome, later};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;
use support::api::problem;
use support::party::{Cast, Party};
use support::{Api, World, text};

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap()
}

fn subject(hex: &str) -> SubjectId {
    SubjectId(Hash32::from_hex(hex).unwrap())
}

fn signed_consent(chain_id: Hash32, contract: &str, party: &Party, fields: &[PublicField], time_ms: u64) -> Value {
    let consent = Consent {
        contract: subject(contract),
        key: subject(&party.subject),
        fields: fields.iter().copied().collect(),
        time_ms,
    };
    let signature = party.key.sign(&consent.message(&chain_id)).to_bytes();
    json!({"key": party.subject, "fields": consent.fields, "time_ms": time_ms, "signature": BASE64.encode(signature)})
}

#[tokio::test(flavor = "multi_thread")]
async fn state_proofs_and_what_the_parties_made_public() {
    let world = World::start().await;
    let (api, public) = (world.api(), world.api_as(""));
    let cast = Cast::new(&world).await;
    let contract = cast.completed(&api, &cast.plan()).await;

    state_proofs(&world, &public, &contract).await;

    let issued = api.create(&format!("/v1/contracts/{contract}/certificates"), &json!({})).await;
    let number = issued["number"].as_str().unwrap();
    let chain_id = Genesis::open(&world.genesis()).unwrap().chain_id();
    let path = format!("/v1/contracts/{contract}/publication");
    let put = async |body: &Value| api.raw("PUT", &path, &[], body.to_string().into_bytes()).await;
    let shown = async || {
        let (status, found) = public.get(&format!("/api/certificates/{number}")).await;
        assert_eq!(status, 200, "{found}");
        assert_eq!(found["number"], number);
        found["public"].as_object().unwrap().clone()
    };
    problem(&public.get("/api/certificates/QZ-2026-AAAAAAAA").await, 404, "certificate.unknown");
    problem(&public.get(&format!("/api/certificates/{}", "x".repeat(65))).await, 404, "not_found");
    assert!(shown().await.is_empty(), "nothing is public by default");
    problem(&public.get(&path).await, 401, "token.invalid");

    use PublicField::{DocumentSha256, Number, Parties, Status, Title};
    let now = now_ms();
    let by_buyer = signed_consent(chain_id, &contract, &cast.buyer, &PublicField::ALL, now);
    let (status, view) = put(&by_buyer).await;
    assert_eq!((status, &view["public"]), (200, &json!([])), "{view}");
    assert!(shown().await.is_empty(), "one party alone makes nothing public");
    problem(&put(&by_buyer).await, 409, "consent.replayed");
    let by_person = signed_consent(chain_id, &contract, &cast.person, &[Title, Status, Parties, DocumentSha256], now);
    assert_eq!(put(&by_person).await.0, 200);
    let found = shown().await;
    assert_eq!(found["title"], "设备采购合同");
    assert_eq!(found["status"]["en"], "completed");
    assert_eq!(found["parties"].as_array().unwrap().len(), 2);
    let (pdf, _) = api.bytes(&format!("/v1/contracts/{contract}/document")).await;
    assert_eq!(found["document_sha256"], sha256(&[&pdf]).to_string());
    assert!(!found.contains_key("number"));

    let mut forged = signed_consent(chain_id, &contract, &cast.person, &[Title], now + 1);
    forged["fields"] = json!([Title, Number]);
    problem(&put(&forged).await, 422, "signature.invalid");
    let stranger = Party { subject: cast.person.subject.clone(), ..Party::unregistered(9) };
    problem(&put(&signed_consent(chain_id, &contract, &stranger, &[Number], now + 2)).await, 422, "signature.invalid");
    let elsewhere = Party { subject: "00".repeat(32), ..Party::unregistered(9) };
    problem(&put(&signed_consent(chain_id, &contract, &elsewhere, &[Number], now + 2)).await, 403, "party.foreign");
    problem(&put(&json!({"key": cast.person.subject})).await, 422, "json.malformed");

    // Each party can take it back alone.
    assert_eq!(put(&signed_consent(chain_id, &contract, &cast.buyer, &[], now + 3)).await.0, 200);
    assert!(shown().await.is_empty());
}

async fn state_proofs(world: &World, public: &Api, contract: &str) {
    let genesis = world.genesis();
    let trust = TrustInputs::new(&genesis, now_ms());
    let (proof, headers) = public.bytes(&format!("/api/subjects/{contract}/proof")).await;
    assert_eq!(headers["cache-control"], "no-store");
    let known = |records| Known { subject: subject(contract), records, height: Height(1), block_id: Hash32::ZERO };
    let found = later(&proof, &trust, &known(0));
    assert_eq!((found.outcome, found.status), (Outcome::Later, "completed, in force"), "{found:?}");
    let records = found.records.unwrap();
    assert_eq!(later(&proof, &trust, &known(records)).outcome, Outcome::NothingLater);
    assert_eq!(later(&proof, &trust, &known(records + 1)).outcome, Outcome::Conflict);
    // It shows this subject's state and no record, so that nobody walks from one contract to another.
    let shown = qz_verify::show::bundle(&proof).unwrap();
    assert_eq!((shown["entries"].as_array().unwrap().len(), shown["states"].as_array().unwrap().len()), (0, 1));
    for malformed in ["x", &contract[1..], &contract.to_uppercase()] {
        problem(&public.get(&format!("/api/subjects/{malformed}/proof")).await, 404, "not_found");
    }
    problem(
        &public.raw("POST", &format!("/api/subjects/{contract}/proof"), &[], b"file".to_vec()).await,
        405,
        "method",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_single_file_headers_and_limits() {
    let world = World::start().await;
    let public = world.api_as("");
    let (page, headers) = public.bytes("/verifier.html").await;
    assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert_eq!(headers["x-sha256"], sha256(&[&page]).to_string().as_str());
    let page = String::from_utf8(page).unwrap();
    assert!(page.contains(&BASE64.encode(world.genesis())), "the genesis is in the file");
    assert!(page.contains("connect-src 'none'"));
    let (site, _) = public.bytes("/portal/site.json").await;
    let site: Value = serde_json::from_slice(&site).unwrap();
    assert_eq!((&site["register"], &site["operator"]["org"]), (&json!("own"), &json!("platform")));
    for path in
        ["/", "/verify", "/sw.js", "/manifest.webmanifest", "/icon-192.png", "/qz_verify.wasm", "/portal/site.json"]
    {
        let (_, headers) = public.bytes(path).await;
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{path}: {policy}");
        assert_eq!(
            (&headers["x-content-type-options"], &headers["referrer-policy"]),
            (&"nosniff".parse().unwrap(), &"no-referrer".parse().unwrap())
        );
        assert!(headers.contains_key("permissions-policy") && !headers.contains_key("set-cookie"), "{path}");
    }
    for (path, method) in [("/", "POST"), ("/portal/genesis.qz", "PUT"), ("/verifier.html", "POST")] {
        let (status, _) = public.raw(method, path, &[], b"file".to_vec()).await;
        assert!(status == 405 || status == 404, "{method} {path}: {status}");
    }

    // Whoever guesses numbers is cut off, says when to come back, and does not keep others out elsewhere.
    let mut refused = None;
    for n in 0..200 {
        let (status, body, headers) = public.raw_bytes("GET", &format!("/api/certificates/QZ-{n}"), &[], vec![]).await;
        if status == 429 {
            refused = Some((serde_json::from_slice::<Value>(&body).unwrap(), headers));
            break;
        }
        assert_eq!(status, 404);
    }
    let (body, headers) = refused.expect("a limit");
    assert_eq!(body["code"], "rate.limited");
    assert!(headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let forwarded = [("x-forwarded-for", "198.51.100.1")];
    let (status, _) = public.raw("GET", "/api/certificates/QZ-1", &forwarded, vec![]).await;
    assert_eq!(status, 429, "only a trusted proxy says for whom it asks");
    assert_eq!(public.raw_bytes("GET", "/", &[], vec![]).await.0, 200);
}

/// A portal's process; dropping it kills it.
struct Portal(Child);

impl Drop for Portal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn gateway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qz-gateway")).args(arguments).output().unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => names.extend(files(&path)),
            false => names.push(path.file_name().unwrap().to_string_lossy().into_owned()),
        }
    }
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_of_its_own_has_no_signing_key() {
    let world = World::start().await;
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (home, organisation) = (world.path("portal"), world.path("platform"));
    let (home_text, organisation_text) = (home.to_str().unwrap(), organisation.to_str().unwrap());
    let listen = format!("127.0.0.1:{port}");
    let init = ["admin", "portal-init", "--home", home_text, "--organisation", organisation_text, "--listen", &listen];
    let made = gateway(&init);
    assert!(made.status.success(), "{}", text(&made));
    assert_eq!(files(&home), ["client.crt", "client.key", "genesis.qz", "portal.json"]);
    let config = std::fs::read_to_string(home.join("portal.json")).unwrap();
    assert!(!config.contains(organisation_text), "it does not know where the organisation's folder is: {config}");
    let own = std::fs::read(organisation.join("tls/client.key")).unwrap();
    assert_ne!(std::fs::read(home.join("tls/client.key")).unwrap(), own, "a key of its own");
    let again = gateway(&init);
    assert!(!again.status.success(), "nothing is overwritten: {}", text(&again));

    let mut command = Command::new(env!("CARGO_BIN_EXE_qz-gateway"));
    command.args(["portal", "--home", home_text]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _portal = Portal(command.spawn().unwrap());
    let public = Api::new(port, "");
    for _ in 0..200 {
        if public.get("/health").await.0 == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(public.bytes("/portal/genesis.qz").await.0, world.genesis());
    // Its own certificate is good for the node; the state of any key is proven.
    let cast = Cast::new(&world).await;
    let (proof, _) = public.bytes(&format!("/api/subjects/{}/proof", cast.person.subject)).await;
    let genesis = world.genesis();
    let known = Known { subject: subject(&cast.person.subject), records: 1, height: Height(1), block_id: Hash32::ZERO };
    assert_eq!(later(&proof, &TrustInputs::new(&genesis, now_ms()), &known).outcome, Outcome::NothingLater);
    problem(&public.get("/api/certificates/QZ-2026-AAAAAAAA").await, 404, "register.none");
    for path in ["/v1/status", "/v1/contracts", "/v1/openapi.json"] {
        assert_eq!(public.get(path).await.0, 404, "{path} is no route of the portal");
    }

    // A folder with a key that signs is refused.
    let copied = home.join("keys");
    std::fs::create_dir(&copied).unwrap();
    std::fs::copy(organisation.join("keys/relay.key"), copied.join("relay.key")).unwrap();
    let refused = gateway(&["portal", "--home", home_text]);
    assert!(!refused.status.success() && text(&refused).contains("must not have this secret"), "{}", text(&refused));
}
