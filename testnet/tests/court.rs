//! A contract is disputed: the members act by their commands, the court gets a package that a stranger
//! verifies in an empty folder, whatever is altered in it is refused, the parties see the retrieval.
#![allow(clippy::unwrap_used)]

use qz_evidence::hash::sha256;
use qz_testnet::binaries::{self, Binaries};
use qz_testnet::custody;
use qz_testnet::folder::{Folder, make};
use qz_testnet::outside;
use qz_testnet::ports::Ports;
use qz_testnet::screen::Screen;
use qz_testnet::story::{CASE, Contract, People, Story};
use qz_testnet::verifier;
use qz_verify::archive::{self, Entry};
use qz_verify::package::manifest::Manifest;
use qz_verify::{Input, PackageReport, verify_package};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

#[tokio::test]
async fn from_dispute_to_ruling() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::new_run(place.path()).unwrap();
    let binaries = Binaries::locate().unwrap();
    let mut story = Story::begin(Screen::new(6), binaries, folder, Ports::find_apart().unwrap()).await.unwrap();
    let people = story.introduce().await.unwrap();
    let contract = story.sign_sample(&people).await.unwrap();
    story.fulfil(&people, &contract).await.unwrap();
    let path = format!("/v1/contracts/{}/certificates", contract.subject);
    story.api.post(&path, &json!({})).await.unwrap();

    disputed_and_notarised(&mut story, &people, &contract).await;
    let package = story.retrieve(&[&contract], None, "package").unwrap();
    seen_by_the_parties(&story, &contract).await;
    only_the_court_gets_it(&story, &contract).await;
    notice_is_deferred(&mut story, &people).await;
    ruled(&mut story, &people, &contract).await;
    a_rotated_office_key_releases_and_the_old_one_does_not(&story).await;
    let late = a_court_that_joined_later_gets_a_package(&story, &contract).await;

    let genesis = story.outputs.genesis.clone();
    let policy = std::fs::read(outside::policy(&story.network.folder)).unwrap();
    let verify = story.network.binaries.verify.clone();
    story.network.stop();
    let (package, genesis) = (std::fs::read(package).unwrap(), std::fs::read(genesis).unwrap());
    report_says_whose_witnesses_count(&package, &policy);
    verifies_in_an_empty_folder(&verify, place.path(), &package, &genesis);
    names_the_court_of_the_ledger(&late, &genesis);
    whatever_is_altered_is_refused(&package, &genesis);
}

/// The forum's desk shows the dispute; the notary registers a deed that verifies with its proof.
async fn disputed_and_notarised(story: &mut Story, people: &People, contract: &Contract) {
    let subject = contract.subject.to_string();
    let deed = story.network.folder.out().join("deed.pdf");
    std::fs::write(&deed, "公证书（演示）").unwrap();
    let proof = story.proof_path("deed");
    let arguments = [
        "--subject",
        &subject,
        "--number",
        "（2026）京演证字第1号",
        "--file",
        deed.to_str().unwrap(),
        "--out",
        proof.to_str().unwrap(),
    ];
    let answers = story.office("notary", "notarise", &arguments).unwrap();
    assert_eq!(answers[0]["kind"], "notarisation.registered");
    assert_eq!(answers[0]["document_sha256"], sha256(&["公证书（演示）".as_bytes()]).to_string());
    // The same output again would lose the first act's salts.
    let words = story.office_refused("notary", "notarise", &arguments).unwrap();
    assert!(words.contains("qz-client finish"), "{words}");
    // An act that is known to be recorded may be finished again, and gives the same.
    let again = story.office("notary", "finish", &["--out", proof.to_str().unwrap()]).unwrap();
    assert_eq!(again[0]["record"], answers[0]["record"]);
    let stranger = story.proof_path("stranger");
    let arguments =
        ["--subject", &subject, "--number", "1", "--file", deed.to_str().unwrap(), "--out", stranger.to_str().unwrap()];
    let words = story.office_refused("arbitration", "notarise", &arguments).unwrap();
    assert!(words.contains("refused"), "only a notary registers deeds: {words}");

    let arguments = ["--about", &subject, "--file", deed.to_str().unwrap(), "--description", "演示存证", "--out"];
    let deposit = story.proof_path("deposit");
    let deposit = [&arguments[..], &[deposit.to_str().unwrap()]].concat();
    assert_eq!(story.office("arbitration", "deposit", &deposit).unwrap()[0]["kind"], "evidence.deposited");

    story.dispute(&people.buyer.party, contract, "court").await.unwrap();
    // It went past the platform, which follows all the same.
    let view = story.becomes(contract, "disputed").await.unwrap();
    assert_eq!((&view["status_zh"], &view["ledger"]["status"]), (&json!("争议中"), &json!("disputed")));
    let desk = story.office("court", "watch", &["--once"]).unwrap();
    assert_eq!(desk.last().unwrap()["pending"], json!([subject]));
    assert!(desk.iter().any(|line| line["why"] == "forum" && line["kind"] == "contract.disputed"), "{desk:?}");
    let elsewhere = story.office("arbitration", "watch", &["--once"]).unwrap();
    assert_eq!(elsewhere.last().unwrap()["pending"], json!([]));
}

async fn seen_by_the_parties(story: &Story, contract: &Contract) {
    let events = story.api.get(&format!("/v1/contracts/{}/events", contract.subject)).await.unwrap();
    let kinds: Vec<&str> = events["events"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    for kind in ["contract.opened", "contract.completed", "notarisation.registered", "contract.disputed"] {
        assert!(kinds.contains(&kind), "{kind} is not among {kinds:?}");
    }
    let retrieval = retrievals(&events);
    assert_eq!(retrieval.len(), 1);
    assert_eq!(retrieval[0]["notice"]["case_number"], CASE);
    assert_eq!(retrieval[0]["notice"]["court"], "court");
}

fn retrievals(events: &Value) -> Vec<Value> {
    let list = events["events"].as_array().unwrap();
    list.iter().filter(|event| event["kind"] == "retrieval.made").cloned().collect()
}

/// A copy of the request is of no use without the court's fresh signature; nor is a token.
async fn only_the_court_gets_it(story: &Story, contract: &Contract) {
    let request = story.network.folder.out().join("request.json");
    let proof = story.proof_path("package");
    let arguments = ["--retrieval", proof.to_str().unwrap(), "--request", request.to_str().unwrap()];
    story.office("court", "release", &arguments).unwrap();
    let fresh: Value = serde_json::from_slice(&std::fs::read(&request).unwrap()).unwrap();
    let fetched = story.api.post("/v1/retrievals", &fresh).await.unwrap();
    assert_eq!(fetched["status"], "ready");

    let refused = async |request: &Value, code: &str| {
        let error = story.api.post("/v1/retrievals/package", request).await.unwrap_err();
        let problem = qz_testnet::api::problem(&error).unwrap_or_else(|| panic!("{error:?}")).clone();
        assert_eq!(problem.code, code, "{problem}");
    };
    let mut old = fresh.clone();
    old["requested_ms"] = (fresh["requested_ms"].as_u64().unwrap() - 11 * 60_000).into();
    refused(&old, "retrieval.signature").await;
    let mut shifted = fresh.clone();
    shifted["requested_ms"] = (fresh["requested_ms"].as_u64().unwrap() + 1).into();
    refused(&shifted, "retrieval.signature").await;
    let mut unsigned = fresh.clone();
    unsigned.as_object_mut().unwrap().remove("requested_ms");
    unsigned.as_object_mut().unwrap().remove("signature");
    refused(&unsigned, "retrieval.signature").await;
    let mut other = fresh.clone();
    other["openings"][0]["salt"] = "00".repeat(32).into();
    refused(&other, "retrieval.request").await;

    // No other office may retrieve.
    let subject = contract.subject.to_string();
    let stranger = story.proof_path("not-a-court");
    let arguments = ["--case", "1", "--contract", &subject, "--out", stranger.to_str().unwrap()];
    let words = story.office_refused("arbitration", "retrieve", &arguments).unwrap();
    assert!(words.contains("refused"), "{words}");
}

/// Asked for by the court, notice waits; the package is made all the same.
async fn notice_is_deferred(story: &mut Story, people: &People) {
    let contract = story.open_sample(people).await.unwrap();
    let package = story.retrieve(&[&contract], Some("2999-12-31"), "deferred").unwrap();
    let events = story.api.get(&format!("/v1/contracts/{}/events", contract.subject)).await.unwrap();
    assert!(retrievals(&events).is_empty(), "{events}");
    let genesis = std::fs::read(&story.outputs.genesis).unwrap();
    let report = check(&std::fs::read(package).unwrap(), &genesis);
    assert_ne!(
        report.verdict.words().0,
        "INVALID",
        "an unfinished contract can be retrieved too: {:?}",
        report.failure
    );
    let manifest = report.manifest.unwrap();
    assert_eq!(manifest.retrieval.notice_after.as_deref(), Some("2999-12-31"));
}

async fn ruled(story: &mut Story, people: &People, contract: &Contract) {
    let subject = contract.subject.to_string();
    let ruling = story.network.folder.out().join("ruling.pdf");
    std::fs::write(&ruling, "裁定书（演示）").unwrap();
    let rule = |story: &Story, member: &str, form: &str, effect: &str, name: &str| {
        let (proof, file) = (story.proof_path(name), ruling.to_str().unwrap().to_owned());
        let arguments = [
            "--contract",
            &subject,
            "--form",
            form,
            "--effect",
            effect,
            "--number",
            CASE,
            "--file",
            &file,
            "--out",
            proof.to_str().unwrap(),
        ];
        story.office(member, "rule", &arguments)
    };
    rule(story, "arbitration", "award", "void", "wrong-forum").unwrap_err();
    rule(story, "court", "order", "interim", "interim").unwrap();
    let desk = story.office("court", "watch", &["--once"]).unwrap();
    assert_eq!(desk.last().unwrap()["pending"], json!([subject]), "an interim order does not end the dispute");
    rule(story, "court", "judgment", "in-force", "judgment").unwrap();
    let desk = story.office("court", "watch", &["--once"]).unwrap();
    assert_eq!(desk.last().unwrap()["pending"], json!([]));
    story.becomes(contract, "completed").await.unwrap();
    // The platform's own door to a forum; it refuses a member that is none.
    let error = story.dispute_by_platform(&people.seller.party, contract, "notary").await.unwrap_err();
    assert_eq!(qz_testnet::api::problem(&error).unwrap().code, "dispute.forum", "{error:?}");
    story.dispute_by_platform(&people.seller.party, contract, "arbitration").await.unwrap();
    story.becomes(contract, "disputed").await.unwrap();
    let desk = story.office("arbitration", "watch", &["--once"]).unwrap();
    assert_eq!(desk.last().unwrap()["pending"], json!([subject]));
    rule(story, "arbitration", "award", "terminated", "award").unwrap();
    story.becomes(contract, "terminated").await.unwrap();
    let events = story.api.get(&format!("/v1/contracts/{}/events", contract.subject)).await.unwrap();
    let ruled = events["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "contract.ruled").count();
    assert_eq!(ruled, 3);
}

/// The offices of the others put this member's card on the ledger.
async fn governed(story: &Story, home: &Path, name: &str) {
    let (folder, binaries) = (&story.network.folder, &story.network.binaries);
    let file = |ending: &str| folder.out().join(format!("{name}.{ending}")).to_str().unwrap().to_owned();
    let genesis = |arguments: &[&str]| binaries::run(&binaries.genesis, arguments).unwrap();
    let secret = |home: &Path| custody::passphrase_file(home).to_str().unwrap().to_owned();
    let document = folder.genesis();
    let document = document.to_str().unwrap();
    let (card, proposal, signed) = (file("qzcard"), file("qzp"), file("signed"));
    genesis(&["card", "--passphrase-file", &secret(home), "--home", home.to_str().unwrap(), "-o", &card]);
    let expiry = "15000";
    genesis(&["propose", "put-organisation", &card, "--genesis", document, "--expiry", expiry, "--out", &proposal]);
    let shown = genesis(&["proposal", "--genesis", document, "--json", &proposal]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let digest = shown["digest"].as_str().unwrap();
    let mut combine = vec!["combine".to_owned(), "--genesis".into(), document.into(), proposal.clone()];
    combine.extend(["--out".to_owned(), signed.clone()]);
    for office in ["platform", "notary", "arbitration"] {
        let (home, approval) = (folder.organisation(office), file(&format!("{office}.approval")));
        let arguments = ["approve", "--passphrase-file", &secret(&home), "--home", home.to_str().unwrap()];
        let more = ["--genesis", document, "--digest", digest, &proposal, "--out", &approval];
        genesis(&[&arguments[..], &more[..]].concat());
        combine.push(approval);
    }
    genesis(&combine.iter().map(String::as_str).collect::<Vec<_>>());
    let platform = folder.organisation("platform");
    let mut submit = Command::new(&binaries.node);
    submit.arg("submit").arg("--home").arg(&platform).arg(&signed);
    let output = submit.env(custody::VARIABLE, custody::passphrase_file(&platform)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

async fn a_rotated_office_key_releases_and_the_old_one_does_not(story: &Story) {
    let folder = &story.network.folder;
    let (old, new) = (folder.organisation("court"), folder.organisation("court-2"));
    let (secret, choice) = (custody::passphrase_file(&old), custody::choose(&new).unwrap());
    let [old, new_home, secret, choice] = [&old, &new, &secret, &choice].map(|path| path.to_str().unwrap());
    let arguments = ["rotate", "--passphrase-file", secret, "--home", old, "--to", new_home, "--keys", "office"];
    let arguments = [&arguments[..], &["--new-passphrase-file", choice]].concat();
    binaries::run(&story.network.binaries.genesis, &arguments).unwrap();
    std::fs::copy(folder.genesis(), new.join("genesis.qz")).unwrap();
    governed(story, &new, "court-2").await;

    let (retrieval, gateway) =
        (story.proof_path("package"), format!("http://127.0.0.1:{}", story.network.ports.gateway()));
    let package = folder.out().join("released-again.zip");
    let arguments = ["--retrieval", retrieval.to_str().unwrap(), "--gateway", &gateway];
    let arguments = [&arguments[..], &["--package", package.to_str().unwrap()]].concat();
    let words = story.office_refused("court", "release", &arguments).unwrap();
    assert!(words.contains("not signed by the court's office key"), "{words}");
    story.office("court-2", "release", &arguments).unwrap();
    assert_eq!(std::fs::read(package).unwrap(), std::fs::read(folder.out().join("package.zip")).unwrap());
}

async fn a_court_that_joined_later_gets_a_package(story: &Story, contract: &Contract) -> Vec<u8> {
    let folder = &story.network.folder;
    let home = folder.organisation("court-b");
    let secret = custody::choose(&home).unwrap();
    let (place, secret) = (home.to_str().unwrap(), secret.to_str().unwrap());
    let arguments = ["keygen", "--passphrase-file", secret, "--home", place, "--org", "court-b", "--roles", "court"];
    let names = ["--name-zh", "第二示例法院", "--name-en", "Second Example Court"];
    let node = ["--consensus-addr", "/ip4/127.0.0.1/tcp/1", "--mempool-addr", "/ip4/127.0.0.1/tcp/2"];
    let arguments = [&arguments[..], &names, &node, &["--rpc-url", "https://127.0.0.1:3"]].concat();
    binaries::run(&story.network.binaries.genesis, &arguments).unwrap();
    std::fs::copy(folder.genesis(), home.join("genesis.qz")).unwrap();
    governed(story, &home, "court-b").await;

    let package = folder.out().join("late.zip");
    let (proof, gateway) = (story.proof_path("late"), format!("http://127.0.0.1:{}", story.network.ports.gateway()));
    let subject = contract.subject.to_string();
    let arguments = ["--case", CASE, "--contract", &subject, "--gateway", &gateway];
    let files = ["--out", proof.to_str().unwrap(), "--package", package.to_str().unwrap()];
    story.office("court-b", "retrieve", &[&arguments[..], &files].concat()).unwrap();
    std::fs::read(package).unwrap()
}

/// A court that no genesis names stands in the verdict by the name of its card.
fn names_the_court_of_the_ledger(package: &[u8], genesis: &[u8]) {
    let report = check(package, genesis);
    assert_eq!(report.failure, None);
    let court = report.court.unwrap();
    assert_eq!((court.org.to_string().as_str(), court.name_zh.as_str()), ("court-b", "第二示例法院"));
    assert!(report.checks[2].detail_en.contains("Second Example Court"));
}

fn verifies_in_an_empty_folder(program: &Path, place: &Path, package: &[u8], genesis: &[u8]) {
    let offline = place.join("offline");
    make(&offline).unwrap();
    let verify = |package: &[u8]| {
        let files = [("package.zip", package), ("genesis.qz", genesis)];
        verifier::verify(program, &offline, &files, &["package.zip", "--genesis", "genesis.qz"]).unwrap()
    };
    let verdict = verify(package);
    assert_eq!(verdict.word, "VALID-UNANCHORED", "{}", verdict.text);
    assert_eq!(verdict.json["kind"], "court-package");
    assert_eq!(verdict.json["manifest"]["case_number"], CASE);
    let parts: Vec<&str> =
        verdict.json["parts"].as_array().unwrap().iter().map(|p| p["role"].as_str().unwrap()).collect();
    assert_eq!(parts, ["retrieval-proof", "proof", "version", "final", "receipt", "certificate"]);
    let mut flipped = package.to_vec();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    assert_eq!(verify(&flipped).failed_step.map(|(n, _)| n), Some(1), "one byte of the archive");
}

/// The platform's own verification inside the package ran all eleven steps, and says with whose trust inputs.
fn report_says_whose_witnesses_count(package: &[u8], policy: &[u8]) {
    let entries = archive::read(package).unwrap();
    let report = entries.iter().find(|entry| entry.name == "report.json").unwrap();
    let report: Value = serde_json::from_slice(&report.bytes).unwrap();
    assert_eq!(report["trust"]["policy_sha256"], sha256(&[policy]).to_string());
    assert_eq!(report["trust"]["witnesses"], json!(["demo"]));
    assert!(report["trust"]["roots"][0]["name"].as_str().unwrap().contains("演示时间戳"));
    for part in report["parts"].as_array().unwrap() {
        let steps = part["report"]["steps"].as_array().unwrap();
        assert!(steps.len() == 11 && steps.iter().all(|step| step["status"] == "pass"), "{}: {steps:?}", part["path"]);
    }
}

fn check(package: &[u8], genesis: &[u8]) -> PackageReport {
    let now_ms = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
    verify_package(&Input { file: package, genesis, proof: None, now_ms, witness_policy: None, tsa_roots: &[] }, None)
}

/// Altered entries, and entries altered together with the manifest by somebody who knows the format.
fn whatever_is_altered_is_refused(package: &[u8], genesis: &[u8]) {
    let entries = archive::read(package).unwrap();
    let index = |name: &str| entries.iter().position(|entry| entry.name == name).unwrap();
    let refused = |entries: Vec<Entry>, what: &str| {
        let report = check(&archive::write(entries).unwrap(), genesis);
        let failure = report.failure.unwrap_or_else(|| panic!("{what}: accepted"));
        assert_eq!(report.verdict.words().0, "INVALID");
        failure.check
    };
    for (at, entry) in entries.iter().enumerate() {
        let mut altered = entries.clone();
        let middle = entry.bytes.len() / 2;
        altered[at].bytes[middle] ^= 1;
        let failed = refused(altered, &entry.name);
        let expected = if entry.name == "report.pdf" { 7 } else { 2 };
        assert!(failed == expected || entry.name == "manifest.json", "{}: check {failed}", entry.name);
    }
    let relisted = |mut entries: Vec<Entry>| -> Vec<Entry> {
        let mut manifest = Manifest::parse(&entries[index("manifest.json")].bytes).unwrap();
        for file in &mut manifest.files {
            let bytes = &entries.iter().find(|entry| entry.name == file.path).unwrap().bytes;
            (file.bytes, file.sha256) = (bytes.len() as u64, sha256(&[bytes]));
        }
        let at = index("manifest.json");
        entries[at].bytes = manifest.to_json();
        entries
    };
    for (name, expected) in [
        ("retrieval/proof.qzproof", 3),
        ("contracts/01/proof.qzproof", 4),
        ("contracts/01/version-1.pdf", 5),
        ("contracts/01/final.pdf", 5),
        ("contracts/01/receipt-1.pdf", 5),
        ("contracts/01/process.json", 7),
        ("report.json", 7),
        ("genesis.qz", 7),
    ] {
        let mut altered = entries.clone();
        let at = index(name);
        let middle = altered[at].bytes.len() / 2;
        altered[at].bytes[middle] ^= 1;
        assert_eq!(refused(relisted(altered), name), expected, "{name}, listed anew");
    }
    let swapped = |a: &str, b: &str| {
        let mut altered = entries.clone();
        (altered[index(a)].bytes, altered[index(b)].bytes) =
            (entries[index(b)].bytes.clone(), entries[index(a)].bytes.clone());
        relisted(altered)
    };
    assert_eq!(refused(swapped("contracts/01/version-1.pdf", "contracts/01/final.pdf"), "swapped"), 5);
    assert_eq!(refused(swapped("contracts/01/version-1.pdf", "contracts/01/receipt-1.pdf"), "swapped"), 5);
    assert_eq!(refused(swapped("retrieval/proof.qzproof", "contracts/01/proof.qzproof"), "swapped proofs"), 4);

    let without = |name: &str| entries.iter().filter(|entry| entry.name != name).cloned().collect::<Vec<_>>();
    for entry in &entries {
        assert_eq!(refused(without(&entry.name), &entry.name), 2, "{} removed", entry.name);
    }
    let mut more = entries.clone();
    more.push(Entry { name: "contracts/01/version-2.pdf".into(), bytes: b"%PDF-".to_vec() });
    assert_eq!(refused(more, "added"), 2);
    // The manifest may not promise less either: a completed contract comes with its final file.
    let mut less = without("contracts/01/final.pdf");
    let at = less.iter().position(|entry| entry.name == "manifest.json").unwrap();
    let mut manifest = Manifest::parse(&less[at].bytes).unwrap();
    manifest.files.retain(|file| file.path != "contracts/01/final.pdf");
    less[at].bytes = manifest.to_json();
    assert_eq!(refused(less, "without the final file"), 5);
    let mut other_case = entries.clone();
    let at = index("manifest.json");
    let mut manifest = Manifest::parse(&other_case[at].bytes).unwrap();
    manifest.case_number = "（2026）京0491民初2号".into();
    other_case[at].bytes = manifest.to_json();
    assert_eq!(refused(other_case, "another case"), 3);
}
