//! Four real `qz-node` processes: finality, a killed validator, catching up, equal states, and what
//! the RPC refuses.
#![allow(clippy::unwrap_used)]

mod network;

use std::time::Duration;

use network::Network;
use qz_client::{ClientError, ProofRequest, SubmissionState};
use qz_evidence::genesis::Genesis;
use qz_evidence::header::Header;
use qz_evidence::record::Record;
use qz_evidence::records_tree::record_hash;
use qz_evidence::{bundle::Bundle, commit::CommitCertificate, decode_strict};

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_agree_survive_a_kill_and_catch_up() {
    let mut network = Network::start(4);
    let platform = network.client("platform");
    let relay = network.relay("platform");

    // Every member's own node takes submissions.
    let mut finalised = Vec::new();
    for (number, name) in network::NAMES.into_iter().enumerate() {
        let submission = network::deposit(&network.relay(name), number as u8, 1_000);
        let done = network.client(name).submit_and_wait(&submission.bytes, PATIENCE).await.unwrap();
        assert_eq!(done.digest, submission.digest);
        finalised.push(done);
    }

    // The same bytes again are final, not refused; the same id with another body is refused.
    let again = network::deposit(&network.relay("court"), 1, 1_000);
    let repeated = network.client("court").submit_and_wait(&again.bytes, PATIENCE).await.unwrap();
    assert_eq!(repeated, finalised[1]);
    let reused = network::deposit_with_time(&network.relay("court"), 1, 1_000, 77);
    let refusal = network.client("court").submit_and_wait(&reused.bytes, PATIENCE).await.unwrap_err();
    let ClientError::Rejected { status, rejection, .. } = refusal else {
        panic!("{refusal:?}");
    };
    assert_eq!((status, rejection.code.as_str()), (409, "submission.id_reused"));
    assert!(!rejection.message_zh.is_empty());

    // Records and proofs are the ones that were promised.
    let hashes: Vec<_> = finalised.iter().map(|done| done.record_hash).collect();
    let request = ProofRequest { records: hashes.clone(), ..Default::default() };
    let bytes = platform.proof(&request).await.unwrap().unwrap();
    let bundle: Bundle = decode_strict(&bytes).unwrap();
    let genesis = Genesis::open(&bundle.genesis).unwrap();
    let head: Header = decode_strict(&bundle.head).unwrap();
    let commit: CommitCertificate = decode_strict(&bundle.commit).unwrap();
    let signers = commit.verify(&genesis.chain_id(), head.height, &head.block_id(), genesis.validators()).unwrap();
    assert!(signers.len() >= 3);
    let proven: Vec<_> = bundle.entries.iter().map(|entry| record_hash(&entry.record)).collect();
    assert!(hashes.iter().all(|hash| proven.contains(hash)));
    assert_eq!(bundle.states.len(), 4);
    assert!(bundle.states.iter().all(|state| state.root() == Some(head.state_root)));
    for entry in &bundle.entries {
        let record: Record = decode_strict(&entry.record).unwrap();
        assert!(record.height <= head.height);
    }

    // One validator is killed without warning; the others go on.
    network.kill("notary");
    let mut last = 0;
    for number in 10..16 {
        let submission = network::deposit(&relay, number, 1_000);
        last = platform.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap().height;
    }

    // It comes back, catches up and takes part again.
    network.start_node("notary");
    network.wait_for_height("notary", last, PATIENCE).await;
    let submission = network::deposit(&network.relay("notary"), 20, 1_000);
    let notary = network.client("notary");
    let done = notary.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap();
    for name in network::NAMES {
        network.wait_for_height(name, done.height, PATIENCE).await;
    }
    let mut headers = Vec::new();
    for name in network::NAMES {
        headers.push(network.client(name).block(done.height).await.unwrap().unwrap().header);
    }
    assert!(headers.iter().all(|header| *header == headers[0]), "the same header everywhere");

    let known = notary.submission(&finalised[0].digest).await.unwrap();
    assert_eq!(known, Some(SubmissionState::Final(finalised[0].clone())));

    // All four are killed at once; no acknowledged record is lost.
    for name in network::NAMES {
        network.kill(name);
    }
    for name in network::NAMES {
        network.start_node(name);
    }
    let submission = network::deposit(&relay, 30, 1_000);
    platform.submit_and_wait(&submission.bytes, PATIENCE).await.unwrap();
    for hash in &hashes {
        assert!(platform.record(hash).await.unwrap().is_some());
    }
    network.stop_all_cleanly();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_validator_that_lost_its_past_observes_before_it_votes_again() {
    let mut network = Network::prepare(4);
    for name in ["arbitration", "court", "platform"] {
        network.start_node(name);
    }
    let platform = network.client("platform");
    let relay = network.relay("platform");
    let first = network::deposit(&relay, 1, 1_000);
    let first = platform.submit_and_wait(&first.bytes, PATIENCE).await.unwrap();

    // Late for the first time: as good as a lost disk, so it abstains for the height in progress.
    network.start_node("notary");
    network.wait_for_height("notary", first.height, PATIENCE).await;
    network.wait_for_log("notary", "caught up: starting again to vote", PATIENCE).await;
    // Now only with its vote are there three.
    network.kill("court");
    let second = network::deposit(&relay, 2, 1_000);
    platform.submit_and_wait(&second.bytes, PATIENCE).await.unwrap();
    network.start_node("court");

    // Its journal is lost, and only that: it never votes again, but it follows and serves.
    network.kill("notary");
    std::fs::remove_file(network.home("notary").join("signer.journal")).unwrap();
    network.start_node("notary");
    network.wait_for_log("notary", "will not vote until its consensus key is rotated", PATIENCE).await;
    let third = network::deposit(&network.relay("notary"), 3, 1_000);
    let third = network.client("notary").submit_and_wait(&third.bytes, PATIENCE).await.unwrap();
    network.wait_for_height("platform", third.height, PATIENCE).await;
    let block = platform.block(third.height).await.unwrap().unwrap();
    let commit: CommitCertificate = decode_strict(&block.commit.unwrap()).unwrap();
    let notary = network.validator_address("notary");
    assert!(commit.signatures.iter().all(|signature| signature.address != notary));
    assert!(!network.home("notary").join("signer.journal").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_refused_and_a_busy_port_gives_one_line() {
    let mut network = Network::prepare(4);
    network.start_node("court");
    network.wait_until_serving("court", PATIENCE).await;

    // A client of another consortium has a certificate, but not of a member.
    let others = Network::prepare(4);
    let error = network.client_with_identity_of(&others, "court").status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error:?}");

    // Requests that make no sense, each with its status.
    let home = network.home("court");
    let unknown = "00".repeat(32);
    for (request, body, expected) in [
        ("GET /v2/status", "", (404, "not_found")),
        ("DELETE /v1/status", "", (405, "request.method")),
        ("GET /v1/records/xyz", "", (400, "request.malformed")),
        (&format!("GET /v1/records/{unknown}"), "", (404, "not_found")),
        (&format!("GET /v1/subjects/{unknown}"), "", (404, "not_found")),
        (&format!("GET /v1/submissions/{unknown}"), "", (404, "not_found")),
        (&format!("GET /v1/submissions/{}", &unknown[..32]), "", (404, "not_found")),
        ("GET /v1/blocks/7", "", (404, "not_found")),
        ("POST /v1/submissions", "no submission", (400, "submission.malformed")),
        ("POST /v1/submissions", &"x".repeat(100_000), (413, "request.too_large")),
        ("POST /v1/proof", "{}", (400, "request.malformed")),
        ("POST /v1/proof", "[", (400, "request.malformed")),
        ("POST /v1/proof", &format!("{{\"records\":[\"{unknown}\"]}}"), (404, "not_found")),
    ] {
        let request = format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (status, code) = network::raw::ask(&home, request.as_bytes()).await;
        assert_eq!((status, code.as_str()), expected, "{}", &request[..40.min(request.len())]);
    }
    let endless = b"POST /v1/submissions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(network::raw::ask(&home, endless).await.0, 411, "a body needs a length");

    // Who never finishes the headers is put out.
    let started = std::time::Instant::now();
    let (status, _) = network::raw::ask(&home, b"GET /v1/status HTTP/1.1\r\nHost: ").await;
    assert!(matches!(status, 0 | 408), "{status}");
    assert!(started.elapsed() < Duration::from_secs(20));

    let second = network.run_to_end("court");
    assert_eq!(second.status.code(), Some(2));
    let line = String::from_utf8(second.stderr).unwrap();
    assert!(line.contains("占用") && line.trim().lines().count() == 1, "{line}");

    let status = network.run_status("court");
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["organisation"], "court");
    assert_eq!(status["height"], 0, "a single node of four decides nothing");
}
